"""Dockerfiles as data: stages of instructions, with their arguments filled in."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from string import Template

import msgspec
from msgspec import Struct

_FROM = re.compile(r"(?:--platform=\S+\s+)?(?P<image>\S+)(?:\s+AS\s+(?P<name>\S+))?", re.IGNORECASE)
_FLAG = re.compile(r"--(?P<name>[a-z-]+)=(?P<value>\S+)\s*")


class Malformed(ValueError):
    """A line of a Dockerfile that nobody could build."""


class Instruction(Struct, frozen=True):
    """`flags` such as `from` and `chown`, the last of each; `text` is what follows them."""

    line: int
    keyword: str
    text: str
    flags: Mapping[str, str] = {}

    @property
    def exec_form(self) -> list[str] | None:
        """The words of a JSON array; None for the shell form."""
        try:
            return msgspec.json.decode(self.text, type=list[str])
        except msgspec.DecodeError:
            return None

    @property
    def pairs(self) -> dict[str, str]:
        """Names and values of an ENV, in the `name=value` spelling."""
        return dict(re.findall(r"([A-Za-z_]\w*)=(\S+)", self.text))


class Stage(Struct, frozen=True):
    """`image` is a tag, or the name of an earlier stage."""

    image: str
    name: str
    line: int
    body: tuple[Instruction, ...]

    def last(self, keyword: str) -> Instruction | None:
        return next((one for one in reversed(self.body) if one.keyword == keyword), None)

    def all(self, keyword: str) -> list[Instruction]:
        return [one for one in self.body if one.keyword == keyword]


class Dockerfile(Struct, frozen=True):
    """`arguments` are those before the first stage, with their defaults."""

    arguments: Mapping[str, str]
    stages: tuple[Stage, ...]

    def stage(self, name: str) -> Stage | None:
        return next((stage for stage in self.stages if stage.name == name), None)

    @property
    def final(self) -> Stage:
        return self.stages[-1]

    @property
    def built(self) -> list[Stage]:
        """What the last stage needs, it included, in order; the others are not built."""
        needed, open_names = [self.final], [self.final]
        while open_names:
            stage = open_names.pop()
            names = [stage.image, *(copy.flags.get("from", "") for copy in stage.all("COPY"))]
            for found in filter(None, map(self.stage, names)):
                if found not in needed:
                    needed.append(found)
                    open_names.append(found)
        return [stage for stage in self.stages if stage in needed]


def read_dockerfile(path: Path) -> Dockerfile:
    """Raises Malformed."""
    return parse(path.read_text())


def parse(text: str) -> Dockerfile:
    """Raises Malformed. ENV and RUN keep their variables: those are the shell's."""
    lines = _logical_lines(text)
    split = next((i for i, one in enumerate(lines) if one.keyword == "FROM"), None)
    if split is None:
        raise Malformed("no FROM")
    halves = (one.text.partition("=") for one in lines[:split])
    arguments = {name: value for name, _, value in halves}
    return Dockerfile(arguments, tuple(_stages(lines[split:], arguments)))


def _stages(lines: Sequence[Instruction], arguments: Mapping[str, str]) -> list[Stage]:
    begins = [i for i, one in enumerate(lines) if one.keyword == "FROM"]
    stages = list[Stage]()
    for begin, end in zip(begins, [*begins[1:], len(lines)], strict=True):
        head = lines[begin]
        found = _FROM.fullmatch(Template(head.text).safe_substitute(arguments))
        if found is None:
            raise Malformed(f"line {head.line}: {head.text}")
        name = found["name"] or str(len(stages))
        stages.append(Stage(found["image"], name, head.line, tuple(lines[begin + 1 : end])))
    return stages


def _logical_lines(text: str) -> list[Instruction]:
    """Comments gone, continued lines joined by a space."""
    found = list[Instruction]()
    parts, first = list[str](), 0
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        first = first or number
        parts.append(stripped.removesuffix("\\").strip())
        if not stripped.endswith("\\"):
            found.append(_instruction(first, " ".join(parts)))
            parts, first = [], 0
    if parts:
        raise Malformed(f"line {first}: ends in a backslash")
    return found


def _instruction(line: int, text: str) -> Instruction:
    keyword, _, rest = text.partition(" ")
    rest, flags = rest.strip(), dict[str, str]()
    while found := _FLAG.match(rest):
        flags[found["name"]] = found["value"]
        rest = rest[found.end() :]
    return Instruction(line, keyword.upper(), rest, flags)
