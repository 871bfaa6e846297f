"""The sample albums, by preset."""

from collections.abc import Callable

from infra.samples.photo import Sample
from infra.samples.products import bottle, candle, gift_box, mug
from infra.samples.rooms import bedroom, dining_room, living_room, study

ALBUMS: dict[str, tuple[Callable[[float], Sample], ...]] = {
    "interior": (living_room, bedroom, dining_room, study),
    "seller": (bottle, gift_box, mug, candle),
}


def album(preset_id: str, *, scale: float = 1.0) -> list[Sample]:
    """Photos of 2016 × 1512 pixels at scale 1, the same ones every time.

    Raises KeyError for a preset without an album.
    """
    return [make(scale) for make in ALBUMS[preset_id]]
