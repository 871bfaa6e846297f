"""`python -m edge_api serve | migrate | admin | openapi`."""

import argparse
import os
import sys
from pathlib import Path

from litestar import Litestar

from edge_api.admin.commands import run_admin
from edge_api.admin.parser import add_admin
from edge_api.asgi import create_app
from edge_api.openapi import FILE, run_openapi
from edge_api.serving import serve
from edge_api.settings import Settings
from edge_api.storage.database import DatabaseUnavailable
from edge_api.storage.migrate import upgrade
from shared.environment import SettingsError
from shared.logs import configure_logs


def main(arguments: list[str] | None = None) -> int:
    """Run a command; 2 and one line on stderr where a setting does not fit."""
    options = _parser().parse_args(arguments)
    if options.command == "openapi":
        return run_openapi(options.path, check=options.check)
    try:
        settings = Settings.from_env(os.environ)
        configure_logs(settings.log_level, sys.stderr)
    except (SettingsError, ValueError) as error:
        sys.stderr.write(f"edge_api: {error}\n")
        return 2
    try:
        return _run(options, settings)
    except DatabaseUnavailable as error:
        sys.stderr.write(f"edge_api: DATABASE_URL: the database cannot be opened: {error}\n")
        return 2


def _run(options: argparse.Namespace, settings: Settings) -> int:
    if options.command == "migrate":
        upgrade(settings.database_url.reveal())
        return 0
    if options.command == "admin":
        return run_admin(options, settings)
    several = options.workers > 1
    app = "edge_api.__main__:application" if several else create_app(settings)
    serve(app, options.host, options.port, options.workers)
    return 0


def application() -> Litestar:
    """One worker's application; each of them runs the background loops."""
    settings = Settings.from_env(os.environ)
    configure_logs(settings.log_level, sys.stderr)
    return create_app(settings)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="edge_api")
    commands = parser.add_subparsers(dest="command", required=True)
    served = commands.add_parser("serve", help="run the HTTP service and its background loops")
    served.add_argument("--host", default="127.0.0.1")
    served.add_argument("--port", type=int, default=8787)
    served.add_argument(
        "--workers", type=int, default=1, help="processes that share the port and the database"
    )
    commands.add_parser("migrate", help="bring the database to the newest schema and exit")
    add_admin(commands.add_parser("admin", help="what operators do by hand"))
    document = commands.add_parser("openapi", help="write the OpenAPI document; needs no settings")
    document.add_argument("path", type=Path, nargs="?", default=FILE, help=f"by default {FILE}")
    document.add_argument("--check", action="store_true", help="write nothing, 1 where it differs")
    return parser


if __name__ == "__main__":
    sys.exit(main())
