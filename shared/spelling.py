"""How names that people type are compared, quoted and corrected."""

import difflib
import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache

LONGEST_NAME = 100
"""Characters; nothing longer is compared with known names (comparing costs its square)."""


@lru_cache(maxsize=4096)
def fold(text: str) -> str:
    """The same key for `Oak A`, `oak_a`, `OAK-A` and, in any normal form, for Korean names."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return "".join(c for c in folded if c not in "-_" and not c.isspace())


@lru_cache(maxsize=4096)
def _letters(text: str) -> str:
    """The folded name with Hangul taken apart, so that a wrong vowel is one letter of three."""
    return unicodedata.normalize("NFD", fold(text))


@lru_cache(maxsize=4096)
def _words(text: str) -> frozenset[str]:
    words = re.split(r"[\W_]+", unicodedata.normalize("NFKC", text).casefold())
    return frozenset(w for w in words if len(w) > 1)


def nearest(value: str, names: Iterable[str], limit: int = 5) -> tuple[str, ...]:
    """At most `limit` of `names` that look like `value` or share words with it, best first."""
    if len(value) > LONGEST_NAME:
        return ()
    known: dict[str, str] = {}
    for name in names:
        known.setdefault(_letters(name), name)
    letters, words = _letters(value), _words(value)
    shared = {key: len(words & _words(name)) for key, name in known.items()}
    close = difflib.get_close_matches(letters, known, limit)
    matcher = difflib.SequenceMatcher(a="", b=letters)
    scores: dict[str, float] = {}
    for key in {*close, *(key for key, count in shared.items() if count)}:
        matcher.set_seq1(key)
        scores[key] = matcher.ratio() + 0.3 * shared[key]
    best = sorted(scores, key=lambda key: (-scores[key], key))
    return tuple(known[key] for key in best[:limit])


def printable(text: str, longest: int = 64) -> str:
    """`text` cut, and without characters that do not print: safe in a log line or a message."""
    cut = text if len(text) <= longest else text[: longest - 1] + "…"
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in cut)


def quoted(text: str) -> str:
    """`text` in quotes for an error message, as `printable` leaves it."""
    return f"'{printable(text)}'"
