"""One photo on the CPU, and the picture that is painted from it."""

import math
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from gpu_handler.backends.base import (
    Brush,
    Cover,
    CurveBrush,
    Edges,
    FillBrush,
    Proof,
    TableBrush,
    TextureBrush,
)
from gpu_handler.backends.cpu import refining
from gpu_handler.backends.cpu.covers import CpuCover, divided, most, spared, union
from gpu_handler.backends.cpu.filling import carry, fill
from gpu_handler.backends.cpu.painting import paint_curves, paint_table
from gpu_handler.backends.cpu.proving import compare
from gpu_handler.backends.cpu.texturing import paint_texture
from gpu_handler.backends.edges import weigh
from gpu_handler.imaging.pixels import Alpha, Floats, Pixels, shrink

_SAMPLES = 20_000
_SURE = 243  # alpha from which a pixel shows the surface and nothing else


class CpuCanvas:
    """Beyond the photo it holds the picture, once it is painted on, and a copy of it once it is
    settled, 3 bytes a pixel each; a cover is 1 byte a pixel. Its loops need rows at most, what is
    worked out at the filter's size 25 MB."""

    def __init__(self, photo: Pixels) -> None:
        if photo.ndim != 3 or photo.shape[2] != 3 or photo.dtype != np.uint8 or not photo.size:
            raise ValueError(f"not a photo: {photo.dtype} {photo.shape}")
        self._first = self._photo = np.ascontiguousarray(photo)
        self._picture: Pixels | None = None
        self._guide: refining.Guide | None = None

    @property
    def shape(self) -> tuple[int, int]:
        return self._photo.shape[0], self._photo.shape[1]

    def refine(self, logits: Floats, edges: Edges = Edges.FINE) -> Cover:
        if self._guide is None:
            self._guide = refining.Guide(self._photo)
        evidence = weigh(logits, self._guide.longest_side)
        if edges is Edges.SOFT:
            return CpuCover(refining.soft(evidence, self.shape))
        if evidence.constant is not None:
            return CpuCover(np.full(self.shape, evidence.constant, np.uint8))
        return CpuCover(refining.fine(self._photo, self._guide, evidence))

    def stretch(self, alpha: Alpha) -> Cover:
        if alpha.ndim != 2 or alpha.dtype != np.uint8 or not alpha.size:
            raise ValueError(f"not an alpha: {alpha.dtype} {alpha.shape}")
        if alpha.shape == self.shape:
            return CpuCover(alpha)
        height, width = self.shape
        large = cv2.resize(
            alpha.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR
        )
        return CpuCover(np.asarray(cv2.convertScaleAbs(large), np.uint8))

    def union(self, covers: Sequence[Cover]) -> Cover:
        return CpuCover(union([cover.host() for cover in covers]))

    def spared(self, cover: Cover, shield: Cover) -> Cover:
        return CpuCover(spared(cover.host(), shield.host()))

    def divided(self, covers: Sequence[Cover]) -> list[Cover]:
        return [CpuCover(share) for share in divided([c.host() for c in covers])]

    def carried(self, cover: Cover, hole: Cover, brush: FillBrush) -> Cover:
        return CpuCover(carry(cover.host(), hole.host(), brush))

    def samples(self, cover: Cover, *, painted: bool = False) -> NDArray[np.uint8]:
        pixels, alpha = self._picture_now() if painted else self._photo, cover.host()
        for least in (_SURE, 1):
            if count := most(alpha, least):
                step = max(1, math.isqrt(count // _SAMPLES))
                taken = pixels[::step, ::step][alpha[::step, ::step] >= least]
                return taken if len(taken) else pixels[alpha >= least]
        return pixels[:0, 0]

    def small(self, longest_side: int, *, painted: bool = False) -> Pixels:
        return shrink(self._picture_now() if painted else self._photo, longest_side)

    def small_cover(self, cover: Cover, longest_side: int) -> Alpha:
        return shrink(cover.host(), longest_side)

    def paint(self, cover: Cover, brush: Brush) -> None:
        known = cover if isinstance(cover, CpuCover) else CpuCover(cover.host())
        if self._picture is None:
            self._picture = self._photo.copy()
        match brush:
            case TableBrush():
                paint_table(self._photo, self._picture, known, brush)
            case CurveBrush():
                paint_curves(self._photo, self._picture, known, brush)
            case TextureBrush():
                paint_texture(self._picture, known, brush)
            case FillBrush():
                fill(self._photo, self._picture, known, brush)

    def settle(self) -> None:
        if self._picture is not None:
            self._photo, self._picture = self._picture, None
            self._guide = None

    def proof(self, shield: Cover) -> Proof:
        return compare(self._first, self._picture_now(), shield.host())

    def picture(self) -> Pixels:
        # The photo is its owner's, who may keep it.
        return self._photo.copy() if self._picture is None else self._picture

    def _picture_now(self) -> Pixels:
        return self._photo if self._picture is None else self._picture
