"""`python -m infra.local.store --host 127.0.0.1 --port 9000 --root DIR --bucket s3-images`.

Credentials come from STORE_ACCESS_KEY and STORE_SECRET_KEY, so that no process list shows them.
"""

import argparse
import logging
import os
import sys
from pathlib import Path

import uvicorn

from infra.local.store.app import RefusedInProduction, create_store
from infra.local.store.serving import server_config
from infra.local.store.shelf import AlreadyServed


def main() -> int:
    """Serve until SIGINT or SIGTERM; 2 where a setting is wrong, with one line that names it."""
    arguments = _arguments()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    for name in ("STORE_ACCESS_KEY", "STORE_SECRET_KEY"):
        if not os.environ.get(name):
            return _refuse(f"{name} is not set")
    try:
        store = create_store(
            arguments.root,
            bucket=arguments.bucket,
            access_key=os.environ["STORE_ACCESS_KEY"],
            secret_key=os.environ["STORE_SECRET_KEY"],
            environment=os.environ.get("ENV", "development"),
        )
    except (RefusedInProduction, AlreadyServed, ValueError, OSError) as error:
        return _refuse(str(error))
    uvicorn.Server(server_config(store, arguments.host, arguments.port)).run()
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="infra.local.store", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--root", type=Path, required=True, help="folder for objects and index")
    parser.add_argument("--bucket", default="s3-images")
    return parser.parse_args()


def _refuse(reason: str) -> int:
    sys.stderr.write(f"object store: {reason}\n")
    return 2


if __name__ == "__main__":
    sys.exit(main())
