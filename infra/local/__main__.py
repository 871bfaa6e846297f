"""`python -m infra.local`: run the whole stack on this machine until Ctrl-C."""

import argparse
import os
import signal
import sys
import threading
from pathlib import Path
from types import FrameType

from infra.local.errors import StackCancelled, StackError
from infra.local.site import BUCKET, ENDPOINT_ID
from infra.local.stack import Stack

LOOK_SECONDS = 0.5
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main() -> int:
    """0 when it was asked to stop, 1 when it could not start or run on."""
    options = _parser().parse_args()
    asked = threading.Event()
    _listen_for_signals(asked)
    try:
        stack = Stack(
            options.data_dir,
            host=options.host,
            port=options.port,
            workers=options.workers,
            echo=sys.stderr if options.verbose else None,
            cancelled=asked.is_set,
        )
        with stack:
            stack.wait_ready(options.ready_timeout)
            _say(_banner(stack))
            while not asked.wait(LOOK_SECONDS):
                stack.check()
    except StackError as error:
        _say(str(error))
        return 1
    except StackCancelled:
        pass
    _say("stopped")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m infra.local", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="an address of this machine")
    parser.add_argument("--port", type=int, default=8787, help="of the API; 0 takes a free one")
    parser.add_argument("--data-dir", type=Path, default=Path(".data"))
    parser.add_argument("--workers", type=_count, default=1, help="how many GPU handlers")
    parser.add_argument("--ready-timeout", type=float, metavar="SECONDS")
    parser.add_argument("--verbose", action="store_true", help="show every process's log lines")
    return parser


def _count(text: str) -> int:
    number = int(text)
    if not 1 <= number <= 16:
        raise argparse.ArgumentTypeError("from 1 to 16")
    return number


def _listen_for_signals(asked: threading.Event) -> None:
    """The first one sets `asked`. With the second this process leaves at once: the guardians then
    kill what is left."""

    def stop(_: int, __: FrameType | None) -> None:
        if asked.is_set():
            os._exit(1)
        asked.set()

    for number in STOP_SIGNALS:
        # Under nohup the end of the terminal is nothing to listen to.
        if number is not signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, stop)


def _banner(stack: Stack) -> str:
    pids = stack.processes
    workers = [f"{name} (pid {pid})" for name, pid in pids.items() if name.startswith("worker")]
    rows = {
        "API": f"{stack.api_url}   pid {pids.get('api')}",
        "try it": f"{stack.api_url}/docs",
        "OpenAPI": f"{stack.api_url}/docs/openapi.json",
        "object store": f"{stack.store_url}/{BUCKET}   pid {pids.get('store')}",
        "Runpod (emulated)": f"{stack.runpod_url}/v2/{ENDPOINT_ID}   pid {pids.get('runpod')}",
        "GPU handler": ", ".join(workers),
        "data": str(stack.site.data_dir),
        "logs": str(stack.log_dir),
    }
    lines = [f"  {label:<18} {text}" for label, text in rows.items()]
    return "\n".join(["The local stack is up. Ctrl-C stops all of it.", *lines])


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201 - a command line speaks to a person


if __name__ == "__main__":
    sys.exit(main())
