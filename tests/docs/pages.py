"""The pages of the repository, and what is read out of them."""

import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))

_FENCE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_INDENTED = re.compile(r"^(?: {4}|\t).*$", re.MULTILINE)
_SPAN = re.compile(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)", re.DOTALL)


def named(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@cache
def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def prose(text: str) -> str:
    """Without code of any kind: where a link is a link."""
    return _SPAN.sub("", _INDENTED.sub("", _FENCE.sub("", text)))


def spans(text: str) -> list[str]:
    """What stands in backticks, in sentences and tables, each on one line."""
    return [" ".join(found[1].split()) for found in _SPAN.findall(_FENCE.sub("", text))]


def code(text: str) -> list[str]:
    """Lines of code, in blocks and in sentences, without the comments behind them."""
    blocks = [*_FENCE.findall(text), *_INDENTED.findall(_FENCE.sub("", text))]
    joined = "\n".join(blocks).replace("\\\n", " ")
    lines = [line.strip() for line in joined.splitlines()] + spans(text)
    return [re.sub(r"(?:^|\s)#.*", "", line) for line in lines]


@cache
def anchors(page: Path) -> frozenset[str]:
    """Of its headings, as GitHub makes them: letters, digits, `-` and `_`, small, spaces as `-`."""
    bare = _FENCE.sub("", text_of(page))
    found: dict[str, int] = {}
    for heading in re.findall(r"^#{1,6} (.+?)#*$", bare, re.MULTILINE):
        words = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading.strip()).lower()
        anchor = re.sub(r"[^\w\- ]", "", words).replace(" ", "-")
        again = found.get(anchor, 0)
        found[anchor] = again + 1
        if again:
            found[f"{anchor}-{again}"] = 1
    return frozenset(found)
