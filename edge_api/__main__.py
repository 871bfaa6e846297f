"""`python -m edge_api serve | migrate | admin`."""

import argparse
import os
import sys

import uvicorn

from edge_api.admin.commands import run_admin
from edge_api.admin.parser import add_admin
from edge_api.asgi import create_app
from edge_api.settings import Settings
from edge_api.storage.migrate import upgrade
from shared.environment import SettingsError
from shared.logs import configure_logs


def main(arguments: list[str] | None = None) -> int:
    """Run a command; 2 and one line on stderr where a setting does not fit."""
    options = _parser().parse_args(arguments)
    try:
        settings = Settings.from_env(os.environ)
        configure_logs(settings.log_level, sys.stderr)
    except (SettingsError, ValueError) as error:
        sys.stderr.write(f"edge_api: {error}\n")
        return 2
    if options.command == "migrate":
        upgrade(settings.database_url.reveal())
        return 0
    if options.command == "admin":
        return run_admin(options, settings)
    uvicorn.run(
        create_app(settings),
        host=options.host,
        port=options.port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=10,
    )
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="edge_api")
    commands = parser.add_subparsers(dest="command", required=True)
    serve = commands.add_parser("serve", help="run the HTTP service and its background loops")
    serve.add_argument("--host", default="127.0.0.1")
    serve.add_argument("--port", type=int, default=8787)
    commands.add_parser("migrate", help="bring the database to the newest schema and exit")
    add_admin(commands.add_parser("admin", help="what operators do by hand"))
    return parser


if __name__ == "__main__":
    sys.exit(main())
