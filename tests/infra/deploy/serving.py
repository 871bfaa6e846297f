"""Applications behind a real server in a thread of this process."""

from contextlib import AbstractContextManager
from typing import Any

import uvicorn

from tests.serving import running


def served(app: Any, *, dated: bool = True) -> AbstractContextManager[str]:
    """Its address, on a free port, for as long as the context lasts. Without `dated` the Date of
    every answer is the application's own."""
    return running(
        uvicorn.Config(
            app, log_config=None, access_log=False, ws="none", lifespan="auto", date_header=dated
        )
    )
