"""`python -m infra deploy`: the command line."""

import argparse
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from infra.deploy.deployment import read_deployment
from infra.deploy.errors import DeployError
from infra.deploy.operating import destroy, scale, status, what_goes
from infra.deploy.plan import Tools, apply, look, open_tools, show_plan
from shared.environment import SettingsError

FAILED = 1
DOES_NOT_FIT = 2
EPILOG = """\
Keys come from the environment and are neither written nor shown: RUNPOD_API_KEY, R2_ACCOUNT_ID (or
R2_ENDPOINT_URL), R2_ACCESS_KEY_ID, R2_SECRET_ACCESS_KEY, R2_ADMIN_ACCESS_KEY_ID and
R2_ADMIN_SECRET_ACCESS_KEY where the first pair may not change the bucket, and what env_from of the
file names. Exit codes: 0 done, 1 it failed or still differs, 2 the call, the file or the
environment does not fit. docs/deploy.md has the rest."""

Ask = Callable[[str], str]


def main(
    arguments: Sequence[str], environ: Mapping[str, str] | None = None, ask: Ask | None = None
) -> int:
    """`ask` gets a question and returns what was typed; by default only a terminal is asked."""
    options = _parser().parse_args(arguments)
    try:
        deployment = read_deployment(options.file)
        with open_tools(deployment, os.environ if environ is None else environ) as tools:
            return _run(tools, options, ask or _ask_terminal)
    except SettingsError as error:
        _complain(f"The environment does not fit: {error}.")
        return DOES_NOT_FIT
    except DeployError as error:
        _complain(str(error))
        return FAILED


def _run(tools: Tools, options: argparse.Namespace, ask: Ask) -> int:
    match options.command:
        case "plan":
            show_plan(tools, look(tools), _say)
        case "apply":
            return 0 if apply(tools, _say) else FAILED
        case "status":
            status(tools, _say)
        case "scale":
            low, high = (0, 0) if options.to_zero else options.workers
            scale(tools, low, high, _say)
        case _:
            return _destroy(tools, options, ask)
    return 0


def _destroy(tools: Tools, options: argparse.Namespace, ask: Ask) -> int:
    chosen = {"with_bucket": options.with_bucket, "delete_objects": options.delete_objects}
    if options.delete_objects and not options.with_bucket:
        _complain("--delete-objects goes with --with-bucket.")
        return DOES_NOT_FIT
    _say("This goes, and does not come back:")
    for line in what_goes(tools, **chosen):
        _say(f"    {line}")
    name = tools.deployment.endpoint.name
    if not options.yes and ask(f"Type {name} to delete it: ").strip() != name:
        _complain("Nothing was deleted.")
        return FAILED
    destroy(tools, **chosen, say=_say)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m infra deploy",
        description="Set up the Runpod endpoint and the R2 bucket that a file describes.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--file", type=Path, default=Path("deploy.toml"), metavar="FILE")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("plan", help="show what is there and what would change; changes nothing")
    commands.add_parser("apply", help="make it so; run again, it changes nothing")
    commands.add_parser("status", help="show the endpoint, its workers and the bucket")
    scaling = commands.add_parser("scale", help="change how many workers there may be")
    how = scaling.add_mutually_exclusive_group(required=True)
    how.add_argument("--to-zero", action="store_true", help="no worker at all; jobs wait")
    how.add_argument("--workers", type=_count, nargs=2, metavar=("MIN", "MAX"))
    ending = commands.add_parser("destroy", help="delete the endpoint; the bucket only if asked")
    ending.add_argument("--with-bucket", action="store_true", help="and the bucket, if it is empty")
    ending.add_argument("--delete-objects", action="store_true", help="and everything in it")
    ending.add_argument("--yes", action="store_true", help="do not ask")
    return parser


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) <= 1000):
        raise argparse.ArgumentTypeError("must be a whole number in 0..1000")
    return int(text)


def _ask_terminal(question: str) -> str:
    if not sys.stdin.isatty():
        raise DeployError("Nobody is there to confirm it: --yes does it without asking.")
    return input(question)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")


def _complain(text: str) -> None:
    sys.stderr.write(f"{text}\n")
