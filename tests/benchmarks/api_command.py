"""`serve --port`, with what `python -m edge_api serve` gives to uvicorn."""

import argparse

import uvicorn
from litestar import Litestar


def serve(app: Litestar) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("command", choices=["serve"])
    parser.add_argument("--port", type=int, required=True)
    uvicorn.run(
        app,
        host="127.0.0.1",
        port=parser.parse_args().port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=10,
    )
