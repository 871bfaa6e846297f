"""`make bench`: print every table, or those named: `python -m tests.benchmarks api presigning`.

What follows the first option is for the table named last, `api`, `sam3`, `album` or `cold_start`:
`python -m tests.benchmarks sam3 --size full`.
"""

import importlib.util
import itertools
import sys
from collections.abc import Callable, Sequence

Options = Sequence[str]


def _presigning(_: Options) -> None:
    from tests.benchmarks import presigning

    presigning.run()


def _api(options: Options) -> None:
    from tests.benchmarks import api

    api.run(options)


def _photo(_: Options) -> None:
    from tests.benchmarks import photo

    photo.run()


def _codecs(_: Options) -> None:
    from tests.benchmarks import codecs

    codecs.run()


def _pixels(_: Options) -> None:
    if importlib.util.find_spec("torch") is None:
        print("\nPixels on a device are left out: torch is not installed")
        return
    from tests.benchmarks import pixels

    pixels.run()


def _album(options: Options) -> None:
    from tests.benchmarks import album

    album.run(options)


def _sam3(options: Options) -> None:
    if importlib.util.find_spec("torch") is None:
        print("\nSAM3 is left out: the extra `sam3` is not installed")
        return
    from tests.benchmarks.sam3.command import main

    main(options)


def _cold_start(options: Options) -> None:
    if importlib.util.find_spec("torch") is None:
        print("\nCold starts are left out: the extra `sam3` is not installed")
        return
    from tests.benchmarks.cold_start import command

    command.run(options)


# Each imports what it needs when it is asked for: a GPU machine has no web framework.
TABLES: dict[str, Callable[[Options], None]] = {
    "presigning": _presigning,
    "api": _api,
    "photo": _photo,
    "codecs": _codecs,
    "pixels": _pixels,
    "album": _album,
    "sam3": _sam3,
    "cold_start": _cold_start,
}

TAKE_OPTIONS = ("api", "sam3", "album", "cold_start")


def main() -> int:
    arguments = sys.argv[1:]
    names = list(itertools.takewhile(lambda word: not word.startswith("-"), arguments))
    options = arguments[len(names) :]
    if unknown := [name for name in names if name not in TABLES]:
        print(f"unknown: {', '.join(unknown)}; known: {', '.join(TABLES)}", file=sys.stderr)
        return 2
    if options and not set(names[-1:]) & set(TAKE_OPTIONS):
        known = ", ".join(TAKE_OPTIONS)
        print(f"{options[0]}: only one of {known}, named last, takes options", file=sys.stderr)
        return 2
    for name in names or TABLES:
        TABLES[name](options if names[-1:] == [name] else ())
    return 0


if __name__ == "__main__":
    sys.exit(main())
