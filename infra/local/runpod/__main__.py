"""`python -m infra.local.runpod`: the emulator as a process. Keys come from the environment."""

import argparse
import logging
import os
import sys
from collections.abc import Mapping

from infra.local.runpod.emulator import Emulator
from infra.local.runpod.serving import EmulatorServer, listen
from infra.local.runpod.settings import RunpodSettings
from shared.environment import means_production

LOOPBACK = ("127.0.0.1", "::1", "localhost")


def main() -> int:
    options = _parser().parse_args()
    try:
        settings = _settings(options, os.environ)
        listener = listen(options.host, options.port)
    except ValueError as error:
        return _refuse(str(error))
    except OSError as error:
        return _refuse(f"cannot listen on {options.host}:{options.port}: {error.strerror}")
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    for library in ("httpx", "uvicorn"):  # a request line of httpx would show a whole webhook URL
        logging.getLogger(library).setLevel(logging.WARNING)
    with listener:
        try:
            EmulatorServer(Emulator(settings)).run([listener])
        except KeyboardInterrupt:
            return 0
    return 0


def _settings(options: argparse.Namespace, environ: Mapping[str, str]) -> RunpodSettings:
    """Raises ValueError, with one line that names what is wrong."""
    if means_production(environ.get("ENV", "")):
        raise ValueError("ENV: the emulator is not for production")
    if options.host not in LOOPBACK:
        raise ValueError(f"--host: the emulator serves this machine only, not {options.host}")
    for name in ("RUNPOD_API_KEY", "RUNPOD_WORKER_KEY"):
        if not environ.get(name, "").strip():
            raise ValueError(f"{name}: is not set")
    return RunpodSettings(
        api_key=environ["RUNPOD_API_KEY"].strip(),
        worker_key=environ["RUNPOD_WORKER_KEY"].strip(),
        long_poll=options.long_poll,
        heartbeat_timeout=options.heartbeat_timeout,
        execution_timeout=options.execution_timeout,
        retention=options.retention,
        max_retries=options.max_retries,
    )


def _parser() -> argparse.ArgumentParser:
    default = RunpodSettings(api_key="", worker_key="")
    parser = argparse.ArgumentParser(prog="infra.local.runpod", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True, help="0 takes a free one")
    for name in ("long_poll", "heartbeat_timeout", "execution_timeout", "retention"):
        seconds: float = getattr(default, name)
        option = f"--{name.replace('_', '-')}"
        parser.add_argument(option, type=float, default=seconds, metavar="SECONDS")
    parser.add_argument("--max-retries", type=int, default=default.max_retries, metavar="N")
    return parser


def _refuse(reason: str) -> int:
    print(reason, file=sys.stderr)  # noqa: T201 - a command line's last words
    return 1


if __name__ == "__main__":
    sys.exit(main())
