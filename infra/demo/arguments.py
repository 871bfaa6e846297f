"""The command line of the demo, checked as far as it can be before anything starts."""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from msgspec import Struct

from infra.client import RuleAction
from infra.demo.refusal import Refused
from infra.demo.rule_text import parse_protect, parse_rule
from shared.presets import PRESETS
from shared.spelling import nearest, quoted

_EPILOG = """\
Without --photos the two sample albums run, or the one that --preset names. --rule and --protect
without --preset are about the interior album. Without --protect the preset's defaults are
protected. Exit codes: 0 every photo is done (own photos: at least one is), 1 something failed,
2 the arguments do not fit, 130 interrupted."""


class Options(Struct, frozen=True):
    """None where a person said nothing; `photos` is empty for the sample albums."""

    photos: tuple[Path, ...] = ()
    preset: str | None = None
    concepts: dict[str, RuleAction] | None = None
    protect: list[str] | None = None
    output: Path = Path("demo-output")


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise Refused(message)


def read_arguments(arguments: Sequence[str]) -> Options:
    """What was asked for. Raises Refused; `--help` prints and exits as argparse does."""
    parser = _Parser(
        prog="python -m infra.demo",
        description="Run albums of photos through the whole stack on this machine.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--photos", type=Path, nargs="+", default=[], metavar="FILE")
    parser.add_argument("--preset", metavar="|".join(PRESETS))
    parser.add_argument("--rule", metavar="Wall=recolor:sage,Floor=tone:warm")
    parser.add_argument("--protect", metavar="Frame_Molding,Grout")
    parser.add_argument("--output", type=Path, default=Path("demo-output"), metavar="FOLDER")
    given = parser.parse_args(arguments)
    return Options(
        photos=tuple(_readable(path) for path in given.photos),
        preset=None if given.preset is None else _known_preset(given.preset),
        concepts=None if given.rule is None else parse_rule(given.rule),
        protect=None if given.protect is None else parse_protect(given.protect),
        output=given.output,
    )


def _known_preset(name: str) -> str:
    if name in PRESETS:
        return name
    guess = nearest(name, PRESETS, 1)
    asked = f"; did you mean {guess[0]}?" if guess else f"; there are {', '.join(PRESETS)}"
    raise Refused(f"PRESET: {quoted(name)} is not a preset{asked}")


def _readable(path: Path) -> Path:
    """A photo that can be opened; what is in it is for the service to judge."""
    if path.is_dir():
        raise Refused(f"PHOTOS: {path} is a folder; name the photos in it")
    try:
        with path.open("rb") as file:
            file.read(1)
    except OSError as error:
        raise Refused(f"PHOTOS: {path}: {os.strerror(error.errno or 0)}") from error
    return path
