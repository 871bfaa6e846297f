"""`python -m infra.demo`: albums of photos through the whole stack, on this machine."""

import os
import sys
from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from infra.demo.albums import plan_albums
from infra.demo.arguments import Options, read_arguments
from infra.demo.interrupts import INTERRUPTED, unwind_on_signals
from infra.demo.refusal import Refused
from infra.demo.results import prepare_folder
from infra.demo.session import DemoFailed, Finished, run_demo
from infra.demo.summary import print_summary
from infra.local.errors import StackError

FAILED = 1
DOES_NOT_FIT = 2
PIPE_WIDTH = 120


def main(arguments: Sequence[str]) -> int:
    """The exit code, as `--help` explains it."""
    console = Console(width=None if sys.stdout.isatty() else PIPE_WIDTH, highlight=False)
    try:
        options = read_arguments(arguments)
        albums = plan_albums(options)
        for album in albums:
            prepare_folder(options.output / album.preset)
        finished = run_demo(console, albums, options.output)
    except Refused as refusal:
        _complain(str(refusal))
        return DOES_NOT_FIT
    except KeyboardInterrupt:
        _complain("Interrupted; everything that was started is stopped.")
        os._exit(INTERRUPTED)  # without waiting for a thread that draws a sample
    except (DemoFailed, StackError, OSError) as error:
        _complain(f"The demo failed: {error}")
        return FAILED
    print_summary(console, finished.albums)
    _say_where(console, options, finished)
    return exit_code(options, finished)


def exit_code(options: Options, finished: Finished) -> int:
    """Sample photos must all be done. Own ones may be unreadable: then one that is done will do."""
    done = [outcome.done for album in finished.albums for outcome in album.outcomes]
    if all(done) or (options.photos and any(done)):
        return 0
    if not options.photos:
        _complain(f"Not every sample photo is done. The end of worker.log:\n{finished.worker_log}")
    return FAILED


def _say_where(console: Console, options: Options, finished: Finished) -> None:
    folders = ", ".join(f"{album.folder}/" for album in finished.albums)
    lines = {
        "contact sheet": str(finished.sheet),
        "results": folders,
        "took": f"{finished.seconds:.0f} s, and everything that was started is stopped",
        "go on": "make serve   runs the stack until Ctrl-C; README.md has the API by example",
    }
    if not options.photos:
        lines["your photos"] = 'make demo PHOTOS="kitchen.jpg hall.heic" RULE="Wall=recolor:sage"'
    for label, text in lines.items():
        console.print(Text.assemble((f"  {label:<14}", "bold"), text), soft_wrap=True)


def _complain(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    unwind_on_signals()
    sys.exit(main(sys.argv[1:]))
