"""Which file is number n of a campaign: the same for the same seed, in any process."""

import random
from collections.abc import Iterator
from itertools import islice

from msgspec import Struct

from tests.fuzz.extremes import extremes
from tests.fuzz.heif_lies import HEIF_LIES
from tests.fuzz.jpeg_lies import JPEG_LIES
from tests.fuzz.mutations import GENERIC, Mutation, splice
from tests.fuzz.png_lies import PNG_LIES
from tests.fuzz.seeds import LARGE, SIZES, Seeds
from tests.fuzz.webp_lies import WEBP_LIES

FORMATS = ("jpeg", "png", "webp", "heic")

LIES: dict[str, tuple[Mutation, ...]] = {
    "jpeg": JPEG_LIES,
    "png": PNG_LIES,
    "webp": WEBP_LIES,
    "heic": HEIF_LIES,
}

EXTREME = "extreme"


class Case(Struct, frozen=True, eq=False):
    name: str
    kind: str
    data: bytes


class Cases:
    """The files of one format: `count` damaged ones, then those made by hand if `extreme`."""

    def __init__(self, format_: str, seed: int, count: int, extreme: bool) -> None:
        self.format, self.seed, self.count, self.extreme = format_, seed, count, extreme
        self._seeds, self._lies = Seeds(format_), LIES[format_]

    def since(self, start: int) -> Iterator[Case]:
        for index in range(start, self.count):
            yield self.damaged(index)
        if self.extreme:
            by_hand = (Case(name, EXTREME, data) for name, data in extremes(self.format))
            yield from islice(by_hand, max(0, start - self.count), None)

    def at(self, index: int) -> Case:
        return next(self.since(index))

    def damaged(self, index: int) -> Case:
        noise = random.Random(f"{self.format} {self.seed} {index}")
        kinds = self._seeds.kinds
        kind = kinds[index % len(kinds)]
        size = LARGE if noise.random() < 1 / 500 else noise.choice(SIZES)
        data = self._seeds.file(kind, size)
        if noise.random() < 0.05:
            data = splice(data, self._seeds.file(noise.choice(kinds), SIZES[0]), noise)
        for _ in range(noise.choice((1, 1, 1, 2, 3))):
            mutations = self._lies if noise.random() < 0.6 else GENERIC
            data = noise.choice(mutations)(data or b"\0", noise)
        return Case(f"{index}", kind, data)
