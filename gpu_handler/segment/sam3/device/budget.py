"""How many photos and pairs are worked on together: what fits in the memory that is free."""

import torch
from msgspec import Struct

from gpu_handler.segment.sam3.device.footprint import Footprint
from gpu_handler.segment.sam3.weights.memory import GB
from gpu_handler.segment.sam3.weights.refusals import MemoryShort


class Means(Struct, frozen=True):
    """How a type of device is used.

    Never more than `photos` and `pairs` at once; never more than `share` of the memory that is
    free. A step takes `scratch` times what its tensors do: its kernels' own buffers are not seen
    where nothing is run to measure. `padding` is the largest share of a batch that may be copies.
    """

    photos: int
    pairs: int
    share: float
    scratch: float
    padding: float


CUDA = Means(photos=16, pairs=64, share=0.85, scratch=1.0, padding=0.25)
"""The share leaves room for the text encoder, which comes with the first unknown phrase, and for
what the allocator cannot use. With this padding three entries are run as four, and five as four
and one instead of as eight; which is faster is a guess that no GPU has confirmed yet."""

CPU = Means(photos=1, pairs=4, share=0.6, scratch=1.5, padding=0.0)
"""Batches gain next to nothing. A narrow model at 1008 pixels on two cores, in seconds: one photo
1.3, two 2.5; pairs one by one 1.1 each, by fours 0.9, by eights 1.0. oneDNN copies what it
convolves into layouts of its own: its peaks were 1.1 to 1.5 times what the tensors took. Photos are
decoded and written in the same memory at the same time, hence the share."""


class Budget(Struct, frozen=True):
    """`photos` and `pairs`, powers of two, fit together into `room` bytes."""

    photos: int
    pairs: int
    padding: float = 0.0


def means_of(device: torch.device) -> Means:
    return CUDA if device.type == "cuda" else CPU


def make_budget(footprint: Footprint, free: int | None, means: Means) -> Budget:
    """The most photos and pairs that fit into `free` bytes, None where nobody knows how many.

    Where both do not fit in full, there are four pairs to a photo: that is about how many concepts
    are asked for. Raises MemoryShort where one photo and one pair do not fit.
    """
    if free is None:
        return Budget(1, 1, means.padding)
    room = int(free * means.share / means.scratch)
    fitting = [
        Budget(photos, pairs, means.padding)
        for photos in _sizes(means.photos)
        for pairs in _sizes(means.pairs)
        if footprint.peak(photos, pairs) <= room
    ]
    if not fitting:
        raise MemoryShort(_refusal(footprint, free, means))
    return max(fitting, key=lambda b: (min(4 * b.photos, b.pairs), b.pairs, b.photos))


def _refusal(footprint: Footprint, free: int, means: Means) -> str:
    needed = footprint.peak(1, 1) * means.scratch
    return (
        f"too little memory for SAM3: one photo and one concept need {needed / GB:.2f} GB beside "
        f"the weights, {free * means.share / GB:.2f} GB are left: {means.share:.0%} of what is free"
    )


def _sizes(most: int) -> list[int]:
    return [1 << step for step in range(most.bit_length())]
