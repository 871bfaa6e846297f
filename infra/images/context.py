"""What a build may copy: the files of a folder that its .dockerignore lets through."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from msgspec import Struct


class Pattern(Struct, frozen=True):
    """`path` matches a file, or a folder with all that is in it."""

    path: re.Pattern[str]
    kept: bool

    def matches(self, name: str) -> bool:
        return self.path.fullmatch(name) is not None


class BuildContext(Struct, frozen=True):
    """The folder that `docker build` sends, less what is ignored; the last pattern decides."""

    root: Path
    patterns: Sequence[Pattern]

    def holds(self, name: str) -> bool:
        kept = True
        for pattern in self.patterns:
            if pattern.matches(name):
                kept = pattern.kept
        return kept

    def files(self, source: str) -> Iterator[str]:
        """Names below `source`, a file or a folder, relative to the root."""
        start = self.root / source
        found = sorted(start.rglob("*")) if start.is_dir() else [start]
        for path in found:
            name = path.relative_to(self.root).as_posix()
            if path.is_file() and self.holds(name):
                yield name


def open_context(root: Path) -> BuildContext:
    return BuildContext(root, parse_ignore((root / ".dockerignore").read_text()))


def parse_ignore(text: str) -> list[Pattern]:
    lines = (line.strip() for line in text.splitlines())
    return [_pattern(line) for line in lines if line and not line.startswith("#")]


def _pattern(line: str) -> Pattern:
    glob = line.removeprefix("!").strip("/")
    parts = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    pieces: list[str] = re.findall(r"\*\*/|\*\*|\*|\?|[^*?]+", glob)
    translated = "".join(parts.get(piece) or re.escape(piece) for piece in pieces)
    return Pattern(re.compile(f"{translated}(?:/.*)?"), line.startswith("!"))
