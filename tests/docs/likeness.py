"""Whether an answer is like the one that a page shows, where ids, times and addresses differ."""

import re
from typing import Any, cast
from urllib.parse import urlsplit

MORE = "…"

PASSING = {"retry_after"}
"""Whole numbers that are less a second later."""

_ID = re.compile(r"(?:(?:user|job|rule)_)?[0-9a-f]{32}")
_TOKEN = re.compile(r"eyJ[\w-]+\.[\w-]+\.[\w…-]+")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


class Unlike(AssertionError):
    """Where the answer differs, and how."""

    def __init__(self, path: str, shown: object, given: object) -> None:
        super().__init__(f"{path or 'answer'}: the page shows {shown!r}, the answer has {given!r}")


class Likeness:
    """Remembers which id, token and URL of the answers stands behind which of the page."""

    def __init__(self) -> None:
        self._known: dict[str, str] = {}

    def real(self, text: str) -> str:
        """`text` of the page with what really stands behind it, the longest first."""
        for shown in sorted(self._known, key=len, reverse=True):
            text = text.replace(shown, self._known[shown])
        return text

    def check(self, shown: object, given: object, path: str = "") -> None:
        """Raises Unlike where they differ by more than the rules of test_app_examples.py allow."""
        match shown:
            case dict():
                self._object(cast("dict[str, Any]", shown), given, path)
            case list():
                self._array(cast("list[Any]", shown), given, path)
            case str():
                self._text(shown, given, path)
            case float():
                _expect(isinstance(given, float), path, shown, given)
            case _:
                _expect(type(shown) is type(given) and shown == given, path, shown, given)

    def _object(self, shown: dict[str, Any], given: object, path: str) -> None:
        if not isinstance(given, dict):
            raise Unlike(path, shown, given)
        told = cast("dict[str, Any]", given)
        names = [name for name in shown if name != MORE]
        same = set(names) < set(told) if MORE in shown else set(names) == set(told)
        _expect(same, path, sorted(shown), sorted(told))
        for name in names:
            where = f"{path}.{name}".lstrip(".")
            if name in PASSING:
                _expect(type(shown[name]) is type(told[name]), where, shown[name], told[name])
            else:
                self.check(shown[name], told[name], where)

    def _array(self, shown: list[Any], given: object, path: str) -> None:
        if not isinstance(given, list):
            raise Unlike(path, shown, given)
        told = cast("list[Any]", given)
        entries = [entry for entry in shown if entry != MORE]
        same = len(entries) < len(told) if MORE in shown else len(entries) == len(told)
        _expect(same, path, shown, told)
        for index, entry in enumerate(entries):
            self.check(entry, told[index], f"{path}[{index}]")

    def _text(self, shown: str, given: object, path: str) -> None:
        if not isinstance(given, str):
            raise Unlike(path, shown, given)
        if "://" in shown:
            same = _place(self.real(shown)) == _place(given)
            self._known[shown] = given  # the same object may be signed anew
        elif _ID.fullmatch(shown):
            same = shown.rpartition("_")[0] == given.rpartition("_")[0]
            same &= self._known.setdefault(shown, given) == given
        elif _TOKEN.fullmatch(shown):
            same = _TOKEN.fullmatch(given) is not None
            self._known[shown] = given
        elif _MOMENT.fullmatch(shown):
            same = _MOMENT.fullmatch(given) is not None
        else:
            same = self.real(shown) == given
        _expect(same, path, shown, given)


def _place(url: str) -> tuple[str, bool]:
    """Which object a URL is of, wherever the store is, and whether it is signed."""
    parts = urlsplit(url)
    return parts.path, "X-Amz-Signature=" in parts.query


def _expect(condition: bool, path: str, shown: object, given: object) -> None:
    if not condition:
        raise Unlike(path, shown, given)
