"""docs/mistakes.md as the tests read it: what can be done wrong, and what is then said."""

import re
from collections.abc import Iterable
from pathlib import Path

from msgspec import Struct

PAGE = Path(__file__).parents[3] / "docs" / "mistakes.md"
HEAD = ["mistake", "it says", "what to do"]


class Row(Struct, frozen=True):
    """`sentence` has … for whatever differs from case to case."""

    section: str
    mistake: str
    sentence: str
    remedy: str

    @property
    def names(self) -> list[str]:
        """Of the settings that the mistake is about."""
        return re.findall(r"`(\w+)`", self.mistake)

    def says(self, lines: Iterable[str], name: str = "NAME") -> None:
        """Exactly one line, and this one."""
        (line,) = lines
        words = [re.escape(part) for part in self.sentence.replace("NAME", name).split("…")]
        assert re.fullmatch(".+".join(words), line), f"{line!r} is not {self.sentence!r}"
        assert "Traceback" not in line


def rows(section: str) -> dict[str, Row]:
    """The rows below a heading, by what was done wrong."""
    found = [row for row in all_rows() if row.section == section]
    assert found, f"no table below {section}"
    assert len({row.mistake for row in found}) == len(found)
    return {row.mistake: row for row in found}


def all_rows() -> list[Row]:
    found, section = list[Row](), ""
    for line in PAGE.read_text().splitlines():
        if line.startswith("#"):
            section = line.lstrip("# ")
        if line.startswith("| "):
            cells = [cell.strip() for cell in line.strip("|").split(" | ")]
            if cells != HEAD:
                found.append(Row(section, *cells))
    return found
