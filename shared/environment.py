"""Typed reads of environment variables, refused with one line that names the variable."""

import re
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from urllib.parse import urlsplit

from shared.signing import signing_key

MIN_SECRET_BYTES = 32
"""RFC 7518, section 3.2: an HS256 key is at least as long as its hash."""

LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")


class Mode(StrEnum):
    """What ENV may say; whatever else it says, a misspelt production too, is refused."""

    DEVELOPMENT = "development"
    PRODUCTION = "production"


class SettingsError(Exception):
    """A setting is missing or malformed: one line that names it and never repeats a secret."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name}: {reason}")


class Environment:
    """Reads of one mapping; every method raises SettingsError.

    A variable set to nothing but blanks counts as not set. A default of None means required.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    def given(self, name: str) -> str:
        """What is set, without the blanks around it; "" where nothing is."""
        value = self._environ.get(name, "").strip()
        if not value.isprintable():  # a line break, or bytes that are not UTF-8
            raise SettingsError(name, "must be printable text")
        return value

    def text(self, name: str, default: str | None = None) -> str:
        value = self.given(name) or default
        if value is None:
            raise SettingsError(name, "is not set")
        return value

    def parts(self, name: str) -> tuple[str, ...]:
        """What stands between commas; empty where nothing is set."""
        parts = (part.strip() for part in self.given(name).split(","))
        return tuple(part for part in parts if part)

    def key(self, name: str) -> str:
        """What goes into a header or a signature: visible ASCII."""
        value = self.text(name)
        if re.fullmatch(r"[!-~]+", value) is None:
            raise SettingsError(name, "must be ASCII without spaces")
        return value

    def name(self, name: str, default: str | None = None) -> str:
        """One segment of a path."""
        value = self.text(name, default)
        if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", value) is None:
            raise SettingsError(name, "must be letters, digits, '.', '_' and '-'")
        return value

    def secret(self, name: str) -> str:
        value = self.text(name)
        _check_length(name, value.encode())
        return value

    def secrets(self, name: str, key_of: Callable[[str], bytes] = str.encode) -> tuple[str, ...]:
        """One or more, parted by commas; `key_of` makes bytes of one, or raises ValueError."""
        values = self.parts(name)
        if not values:
            raise SettingsError(name, "is not set")
        for number, value in enumerate(values, 1):
            which = f"the {_ordinal(number)} of {len(values)} " if len(values) > 1 else ""
            try:
                key = key_of(value)
            except ValueError as error:
                raise SettingsError(name, f"{which}{error}") from None
            _check_length(name, key, which)
        return values

    def signing_secrets(self, name: str) -> tuple[str, ...]:
        """The same for callback secrets: `whsec_` means base64."""
        return self.secrets(name, signing_key)

    def whole(self, name: str, default: int, *, low: int = 1, high: int = 10**9) -> int:
        text = self.text(name, str(default))
        if not (text.isascii() and text.isdigit() and len(text) < 20 and low <= int(text) <= high):
            raise SettingsError(name, f"must be a whole number in {low}..{high}")
        return int(text)

    def seconds(self, name: str, default: float, *, low: float, high: float) -> float:
        text = self.text(name, str(default))
        try:
            value = float(text)
        except ValueError:
            raise SettingsError(name, f"must be a number of seconds, not {text!r}") from None
        if not low <= value <= high:  # also refuses NaN
            raise SettingsError(name, f"must lie in {low:g}..{high:g} seconds, not {text}")
        return value

    def flag(self, name: str) -> bool:
        value = self.text(name, "false").lower()
        if value not in ("true", "false", "1", "0"):
            raise SettingsError(name, f"must be true or false, not {value!r}")
        return value in ("true", "1")

    def choice(
        self,
        name: str,
        default: str,
        allowed: Sequence[str],
        fold: Callable[[str], str] = str,
    ) -> str:
        value = fold(self.text(name, default))
        if value not in allowed:
            raise SettingsError(name, f"must be one of {', '.join(allowed)}, not {value!r}")
        return value

    def mode(self) -> Mode:
        return Mode(self.choice("ENV", Mode.DEVELOPMENT, tuple(Mode)))

    def log_level(self, name: str = "LOG_LEVEL") -> str:
        return self.choice(name, "INFO", LOG_LEVELS, str.upper)

    def url(self, name: str, default: str | None = None) -> str:
        """An http(s) URL without query, fragment or credentials; no slash at its end."""
        value = self.text(name, default).rstrip("/")
        if not is_url(value):
            raise SettingsError(name, "must be an http or https URL")
        return value

    def origin(self, name: str) -> str:
        """Scheme, host and port alone."""
        return check_origin(name, self.text(name).rstrip("/"))


def means_production(env: str) -> bool:
    """Whether who wrote that into ENV meant production; for what must never run there."""
    return env.strip().lower() in {Mode.PRODUCTION, "prod"}


def check_origin(name: str, value: str) -> str:
    if not is_url(value) or urlsplit(value).path:
        raise SettingsError(name, "must be like https://host or http://host:port")
    return value


def is_url(value: str) -> bool:
    try:
        parts = urlsplit(value)
        named = parts.hostname is not None and parts.port != 0
    except ValueError:  # a port that is no number, a broken IPv6 address
        return False
    plain = value.isascii() and not set("?#@ ") & set(value)
    return named and plain and parts.scheme in {"http", "https"}


def _check_length(name: str, secret: bytes, which: str = "") -> None:
    if len(secret) < MIN_SECRET_BYTES:
        raise SettingsError(name, f"{which}must hold at least {MIN_SECRET_BYTES} bytes")


def _ordinal(number: int) -> str:
    return {1: "1st", 2: "2nd", 3: "3rd"}.get(number, f"{number}th")
