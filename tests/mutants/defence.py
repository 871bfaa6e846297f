"""A defence: what it is for, where it stands, and who notices when it is gone."""

from pathlib import Path

from msgspec import Struct

ROOT = Path(__file__).parents[2]


class DefenceMoved(Exception):
    """The text that a mutation replaces does not stand where it stood, or stands there twice."""


class Defence(Struct, frozen=True, kw_only=True):
    """`text` stands once in `file`; with `instead` in its place the defence is gone.

    Each of `noticed_by` is a test file or a test function (pytest's id without parameters), and
    every one of them must fail without the defence.
    """

    name: str
    why: str
    file: str
    text: str
    instead: str
    noticed_by: tuple[str, ...]

    def remove(self, source: str) -> str:
        """The source without the defence. Raises DefenceMoved."""
        found = source.count(self.text)
        if found != 1:
            raise DefenceMoved(
                f"{self.name}: defence moved, {self.file} has its text {found} times"
            )
        return source.replace(self.text, self.instead)
