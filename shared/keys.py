"""Object keys: where the photo, result, preview and masks of an item lie in the bucket."""

import hashlib
import re
import unicodedata
from enum import StrEnum
from typing import assert_never

from msgspec import Struct

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_SLUG = re.compile(r"[A-Za-z0-9_-]{1,64}")
_HASHED = re.compile(r".*-[0-9a-f]{8}")
_NOT_IN_SLUG = re.compile(r"[^A-Za-z0-9_-]+")
_STEM_LENGTH = 40
_MAX_IDX = 999_999
_PATH = r"(?P<user>[A-Za-z0-9_-]{1,64})/(?P<job>[A-Za-z0-9_-]{1,64})/(?P<idx>0|[1-9][0-9]{0,5})"


class InvalidKey(ValueError):
    """A key, or a part of one, that this product never makes."""


class KeyKind(StrEnum):
    INPUT = "input"
    OUTPUT = "output"
    PREVIEW = "preview"
    MASK = "mask"
    INSTANCES = "instances"


_PATTERNS = {
    KeyKind.INPUT: re.compile(rf"inputs/{_PATH}\.jpg"),
    KeyKind.OUTPUT: re.compile(rf"outputs/{_PATH}_result\.png"),
    KeyKind.PREVIEW: re.compile(rf"previews/{_PATH}_thumb\.jpg"),
    KeyKind.MASK: re.compile(rf"masks/{_PATH}_(?P<slug>[A-Za-z0-9_-]{{1,64}})\.png"),
    KeyKind.INSTANCES: re.compile(rf"masks/{_PATH}_instances\.json"),
}


class ObjectKey(Struct, frozen=True):
    """A key taken apart; `str()` puts it together again. Only a mask has a `concept_slug`."""

    kind: KeyKind
    user: str
    job: str
    idx: int
    concept_slug: str | None = None

    def __str__(self) -> str:
        item = f"{_checked_id(self.user)}/{_checked_id(self.job)}/{_checked_idx(self.idx)}"
        if (self.kind is KeyKind.MASK) != (self.concept_slug is not None):
            raise InvalidKey("a mask key, and no other, has a concept")
        match self.kind:
            case KeyKind.INPUT:
                return f"inputs/{item}.jpg"
            case KeyKind.OUTPUT:
                return f"outputs/{item}_result.png"
            case KeyKind.PREVIEW:
                return f"previews/{item}_thumb.jpg"
            case KeyKind.MASK:
                return f"masks/{item}_{_checked_slug(self.concept_slug or '')}.png"
            case KeyKind.INSTANCES:
                return f"masks/{item}_instances.json"
            case _:
                assert_never(self.kind)


def input_key(user: str, job: str, idx: int) -> str:
    return str(ObjectKey(KeyKind.INPUT, user, job, idx))


def output_key(user: str, job: str, idx: int) -> str:
    return str(ObjectKey(KeyKind.OUTPUT, user, job, idx))


def preview_key(user: str, job: str, idx: int) -> str:
    return str(ObjectKey(KeyKind.PREVIEW, user, job, idx))


def mask_key(user: str, job: str, idx: int, concept: str) -> str:
    """The mask of `concept`, a name as a person wrote it; see `concept_slug`."""
    return str(ObjectKey(KeyKind.MASK, user, job, idx, concept_slug(concept)))


def instances_key(user: str, job: str, idx: int) -> str:
    return str(ObjectKey(KeyKind.INSTANCES, user, job, idx))


def input_prefix(user: str, job: str) -> str:
    """What every input of the job begins with; ends with `/`, so job `a` never lists job `ab`."""
    return f"inputs/{_checked_id(user)}/{_checked_id(job)}/"


def result_prefixes(user: str, job: str) -> list[str]:
    """What every result of the job begins with: outputs, previews, masks."""
    folder = f"{_checked_id(user)}/{_checked_id(job)}/"
    return [f"{kind}/{folder}" for kind in ("outputs", "previews", "masks")]


def user_prefixes(user: str) -> list[str]:
    """What every object of a user begins with."""
    folder = f"{_checked_id(user)}/"
    return [f"{kind}/{folder}" for kind in ("inputs", "outputs", "previews", "masks")]


def parse_key(key: str) -> ObjectKey:
    """Take a key apart. Raises `InvalidKey` for whatever the functions above would not build."""
    for kind, pattern in _PATTERNS.items():
        if found := pattern.fullmatch(key):
            part = found.groupdict()
            return ObjectKey(kind, part["user"], part["job"], int(part["idx"]), part.get("slug"))
    raise InvalidKey(f"not a key of this bucket: {key[:120]!r}")


def concept_slug(concept: str) -> str:
    """1-64 characters of `[A-Za-z0-9_-]`, different for every two different concepts.

    Names that differ only in space against underscore, or in Unicode composition, are the same
    concept. Whatever is not plain ASCII, is too long or looks like a hashed slug already gets the
    hash of the whole name. Raises `InvalidKey` for a blank name.
    """
    name = unicodedata.normalize("NFC", concept).replace(" ", "_")
    if not name.strip("_"):
        raise InvalidKey("a concept needs a name")
    if _SLUG.fullmatch(name) and not _HASHED.fullmatch(name):
        return name
    stem = _NOT_IN_SLUG.sub("", name)[:_STEM_LENGTH].strip("_-") or "concept"
    # surrogatepass: a lone surrogate may come out of JSON, and must not be a crash here.
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{stem}-{digest[:8]}"


def _checked_id(part: str) -> str:
    if not _ID.fullmatch(part):
        raise InvalidKey(f"not an id: {part[:80]!r}")
    return part


def _checked_slug(slug: str) -> str:
    if not _SLUG.fullmatch(slug):
        raise InvalidKey(f"not a concept slug: {slug[:80]!r}")
    return slug


def _checked_idx(idx: int) -> int:
    if isinstance(idx, bool) or not 0 <= idx <= _MAX_IDX:
        raise InvalidKey(f"not an item number: {idx!r}")
    return idx
