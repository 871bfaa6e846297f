"""What was found, and how bad it is."""

from enum import StrEnum

from msgspec import Struct


class Mark(StrEnum):
    OK = "ok"
    NOTE = "note"  # good to know; nothing is wrong
    TROUBLE = "trouble"


class Finding(Struct, frozen=True):
    """One sentence about one part; it holds no secret and no presigned URL."""

    mark: Mark
    part: str
    sentence: str


def ok(part: str, sentence: str) -> Finding:
    return Finding(Mark.OK, part, sentence)


def note(part: str, sentence: str) -> Finding:
    return Finding(Mark.NOTE, part, sentence)


def trouble(part: str, sentence: str) -> Finding:
    return Finding(Mark.TROUBLE, part, sentence)
