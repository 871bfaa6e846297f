"""The examples of a page: calls, the answers shown under them, and what happens between them."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from msgspec import Struct

_PART = re.compile(
    r"^```(?P<kind>http|json)\n(?P<body>.*?)^```$|^<!-- (?P<stage>\w+): (?P<words>.*?) -->$",
    re.MULTILINE | re.DOTALL,
)


class Call(Struct, frozen=True):
    """`body` is text as it is sent; `< name` stands for the bytes of a photo."""

    line: int
    method: str
    target: str
    headers: dict[str, str]
    body: str


class Answer(Struct, frozen=True):
    """`body` has those parts of the envelope that the page shows."""

    line: int
    status: int
    headers: dict[str, str]
    body: dict[str, Any]


class Stage(Struct, frozen=True):
    """What the page does not show: `worker` and `repeat` with their words."""

    line: int
    name: str
    words: str


Part = Call | Answer | Stage


def read_examples(page: Path) -> Iterator[Part]:
    text = page.read_text(encoding="utf-8")
    for found in _PART.finditer(text):
        line = text.count("\n", 0, found.start()) + 1
        if found["stage"]:
            yield Stage(line, found["stage"], found["words"])
        elif found["kind"] == "http":
            yield _call(line, found["body"])
        else:
            yield _answer(line, found["body"])


def _call(line: int, text: str) -> Call:
    head, _, body = text.partition("\n\n")
    first, *headers = head.strip().splitlines()
    method, _, target = first.partition(" ")
    return Call(line, method, target, _headers(headers), body.strip())


def _answer(line: int, text: str) -> Answer:
    lines = text.splitlines()
    notes = [shown.removeprefix("//").strip() for shown in lines if shown.startswith("//")]
    body = "\n".join(shown for shown in lines if not shown.startswith("//"))
    status, *headers = notes
    return Answer(line, int(status.split()[0]), _headers(headers), json.loads(body))


def _headers(lines: list[str]) -> dict[str, str]:
    pairs = (line.partition(":") for line in lines)
    return {name.strip(): value.strip() for name, _, value in pairs}
