"""What can be found in a photo and ruled on: known concepts and open vocabulary."""

import unicodedata
from collections.abc import Mapping
from enum import StrEnum

from msgspec import Struct

from shared.spelling import fold, quoted

LONGEST_CONCEPT = 64
"""Characters of an open-vocabulary name, as the contract has it."""


class Kind(StrEnum):
    SURFACE = "surface"  # one surface, whatever lies in front of it: a wall, a floor
    INSTANCES = "instances"  # things that can be counted: handles, logos


class Concept(Struct, frozen=True):
    """A concept and how it is found.

    `prompts` are noun phrases for the segmenter, best first, tried in turn until one finds
    something. `defaults` maps an action to the canonical value it takes where none is given.
    `threshold` in 0..1 is the score from which an instance counts. `host` marks a surface that
    things stand before: it goes on where one of them is removed. An open-vocabulary concept has
    no defaults.
    """

    id: str
    name_en: str
    name_ko: str
    prompts: tuple[str, ...]
    kind: Kind = Kind.INSTANCES
    defaults: Mapping[str, str] = {}
    threshold: float = 0.5
    host: bool = False

    def answers_to(self, name: str) -> bool:
        """Whether `name` is this concept's id or label, whatever its case, spaces, `-` and `_`."""
        return fold(name) in {fold(self.id), fold(self.name_en), fold(self.name_ko)}


class InvalidConcept(ValueError):
    """A name that cannot be a noun phrase; the message says why."""


def open_concept(name: str) -> Concept:
    """The concept that a free noun phrase asks for; `_` and white space both part its words.

    Its id is the phrase in NFKC with single `_` between the words: reading the id again gives the
    same id. Raises InvalidConcept for a name that is empty, longer than 64 characters, without a
    letter or digit, or with characters that do not print.
    """
    if len(name) > 4 * LONGEST_CONCEPT:
        raise InvalidConcept(f"a concept has at most {LONGEST_CONCEPT} characters")
    words = unicodedata.normalize("NFKC", name).replace("_", " ").split()
    phrase = " ".join(words)
    if not phrase:
        raise InvalidConcept("a concept needs a name")
    if len(phrase) > LONGEST_CONCEPT:
        raise InvalidConcept(f"a concept has at most {LONGEST_CONCEPT} characters")
    if any(unicodedata.category(c).startswith("C") for c in phrase):
        raise InvalidConcept(f"{quoted(name)} has characters that do not print")
    if not any(c.isalnum() for c in phrase):
        raise InvalidConcept(f"{quoted(name)} has no letter or digit")
    return Concept("_".join(words), phrase, phrase, (phrase,))
