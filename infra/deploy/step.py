"""One thing to set up: how it differs from what is wanted, and how to mend that."""

from collections.abc import Callable
from enum import StrEnum

from msgspec import Struct


class Verdict(StrEnum):
    AS_WANTED = "is as wanted"
    CREATE = "will be created"
    CHANGE = "will be changed"


class Step(Struct, frozen=True):
    """`lines` are the differences, `+`, `-` or `~` first, without any secret; `carry_out` may be
    called again where an earlier call was interrupted."""

    subject: str
    verdict: Verdict
    lines: tuple[str, ...] = ()
    carry_out: Callable[[], None] | None = None

    @property
    def pending(self) -> bool:
        return self.carry_out is not None


def changed(name: str, before: object, after: object) -> str:
    return f"~ {name}: {shown(before)} -> {shown(after)}"


def shown(value: object) -> str:
    match value:
        case None | "" | () | []:
            return "none"
        case list() | tuple():
            return ", ".join(map(str, value))  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
        case _:
            return str(value)
