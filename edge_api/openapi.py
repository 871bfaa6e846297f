"""The OpenAPI document as a file: what a client is generated from without a running service."""

import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from litestar import Litestar

from edge_api.asgi import create_app
from edge_api.controllers.openapi import polish
from edge_api.settings import Settings

FILE = Path("docs/openapi.json")
"""Where the repository keeps it, seen from the repository."""


def run_openapi(path: Path, *, check: bool) -> int:
    """Write the document, or with `check` compare it; 1 where the file is another."""
    text = _document()
    if not check:
        path.write_text(text, encoding="utf-8")
        return 0
    if path.is_file() and path.read_text(encoding="utf-8") == text:
        return 0
    sys.stderr.write(f"{path} is not what the service serves: run `make openapi`\n")
    return 1


def render(app: Litestar) -> str:
    """What `/docs/openapi.json` answers with, keys sorted and a line each, so that it can be
    compared by eye."""
    document = polish(app.openapi_schema.to_schema())
    return json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def _document() -> str:
    # A service that is never started: none of what these settings name is asked for anything.
    with TemporaryDirectory() as folder:
        settings = Settings.from_env(
            {
                "DATABASE_URL": f"sqlite:///{folder}/edge.db",
                "JWT_SECRET": "for-the-document-alone-" + "j" * 32,
                "GPU_CALLBACK_SECRET": "for-the-document-alone-" + "c" * 32,
                "R2_ENDPOINT_URL": "http://localhost",
                "R2_ACCESS_KEY_ID": "none",
                "R2_SECRET_ACCESS_KEY": "none",
                "RUNPOD_BASE_URL": "http://localhost",
                "RUNPOD_API_KEY": "none",
                "RUNPOD_ENDPOINT_ID": "none",
                "PUBLIC_URL": "http://localhost",
            }
        )
        return render(create_app(settings))
