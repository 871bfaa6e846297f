"""The service behind a real server in a thread, for calls that come at the same time."""

from contextlib import AbstractContextManager

import uvicorn
from litestar import Litestar

from edge_api.serving import BoundedHeads
from tests.serving import running


def serve(app: Litestar) -> AbstractContextManager[str]:
    """The address of `app`, for as long as the context lasts."""
    return running(
        uvicorn.Config(
            app, http=BoundedHeads, log_config=None, access_log=False, ws="none", lifespan="on"
        )
    )
