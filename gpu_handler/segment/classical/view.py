"""A small, denoised copy of a photo and the measures everything else is judged by."""

from functools import cached_property
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from gpu_handler.imaging.pixels import Pixels, shrink
from gpu_handler.segment.classical.shapes import Floats, spread

WORK = 512
"""Longest side that the photo is analysed at; the logits come on this grid."""

_BLANK = 1.0  # CIELAB units of deviation, all over the photo
_RELIEF = 25.0  # grey levels for half a unit of L, fewer for the next
_LINE = 0.06  # of the diagonal: shorter straight lines are texture, longer ones are structure
_HUE_LINE = 0.065  # the same for lines in hue alone, which bounced light draws too


class View:
    """One photo at working size. All arrays are (h, w) or (h, w, 3) of that size."""

    def __init__(self, pixels: Pixels) -> None:
        self.rgb = np.ascontiguousarray(shrink(np.ascontiguousarray(pixels), WORK))
        self.shape: tuple[int, int] = (self.rgb.shape[0], self.rgb.shape[1])

    @property
    def too_small(self) -> bool:
        """Whether there is too little to tell anything from."""
        return min(self.shape) < 24

    @cached_property
    def blank(self) -> bool:
        """Whether the photo is of one colour: a lens cap, an empty page."""
        return bool(self.lab.std(axis=(0, 1)).max() < _BLANK)

    @cached_property
    def smooth(self) -> NDArray[np.uint8]:
        """sRGB without grain and fine texture, its edges kept."""
        once = cv2.bilateralFilter(self.rgb, 7, 18, 3)
        return np.asarray(cv2.bilateralFilter(once, 7, 18, 3), np.uint8)

    @cached_property
    def lab(self) -> Floats:
        """CIELAB of `smooth`: L in 0..100, a and b signed."""
        return to_lab(self.smooth)

    @cached_property
    def sharp_lab(self) -> Floats:
        """CIELAB of the photo as it is."""
        return to_lab(self.rgb)

    @cached_property
    def gradient(self) -> Floats:
        """Colour change per pixel, in CIELAB units, over all three channels."""
        return steepness(self.lab)

    @cached_property
    def texture(self) -> Floats:
        """Deviation of lightness from its surroundings within a few pixels, in units of L."""
        light = np.ascontiguousarray(self.sharp_lab[..., 0])
        mean = np.asarray(cv2.blur(light, (9, 9)))
        square = np.asarray(cv2.blur(light * light, (9, 9)))
        return np.sqrt(np.maximum(square - mean * mean, 0)).astype(np.float32)

    @cached_property
    def lines(self) -> Floats:
        """(n, 4) float32: x0, y0, x1, y1 of long straight lines, in working pixels.

        Where a wall meets a ceiling of its own lightness only the hue changes, so lines are looked
        for in a and b too, at half size, where there is less grain.
        """
        h, w = self.shape
        half = cv2.resize(self.lab, (w // 2, h // 2), interpolation=cv2.INTER_AREA)
        hue = np.asarray(half, np.float32)
        return np.concatenate(
            [
                self._structure(_segments(self.lab[..., 0]), 6, _LINE),
                self._structure(_segments(2 * hue[..., 1]) * 2 + 0.5, 10, _HUE_LINE),
                self._structure(_segments(2 * hue[..., 2]) * 2 + 0.5, 10, _HUE_LINE),
            ]
        )

    def _structure(self, lines: Floats, rim: int, least: float) -> Floats:
        """The lines longer than `least` of the diagonal that are edges themselves: not the rim, up
        to `rim` pixels off, that the relief has beside a strong edge.
        """
        side = 2 * rim + 1
        near = np.asarray(cv2.dilate(self.gradient, np.ones((3, 3), np.uint8)))
        around = np.asarray(cv2.dilate(self.gradient, np.ones((side, side), np.uint8)))
        along = np.linspace(0, 1, 24)[:, None]
        x = lines[:, 0] + (lines[:, 2] - lines[:, 0]) * along
        y = lines[:, 1] + (lines[:, 3] - lines[:, 1]) * along
        h, w = self.shape
        place = np.clip(np.rint(y), 0, h - 1).astype(int), np.clip(np.rint(x), 0, w - 1).astype(int)
        own = np.median(near[place], axis=0) > 0.35 * np.median(around[place], axis=0)
        length = np.hypot(lines[:, 2] - lines[:, 0], lines[:, 3] - lines[:, 1])
        return lines[own & (length > least * np.hypot(h, w))]


def to_lab(rgb: NDArray[np.uint8]) -> Floats:
    """(h, w, 3) uint8 sRGB as float32 CIELAB."""
    scaled = np.divide(rgb, 255, dtype=np.float32)
    return np.asarray(cv2.cvtColor(scaled, cv2.COLOR_RGB2LAB), np.float32)


def steepness(image: Floats) -> Floats:
    """Length of the gradient of an (h, w, C) image over all its channels, per pixel."""
    dx = np.asarray(cv2.Sobel(image, cv2.CV_32F, 1, 0, ksize=3, scale=1 / 8))
    dy = np.asarray(cv2.Sobel(image, cv2.CV_32F, 0, 1, ksize=3, scale=1 / 8))
    return np.sqrt((dx * dx + dy * dy).sum(axis=2)).astype(np.float32)


def _segments(channel: Floats) -> Floats:
    """(n, 4) float32 straight edges of an (h, w) channel, faint ones too."""
    # The crease between a wall and a ceiling is a grey level or two: only its relief shows it.
    relief = np.arcsinh((channel - spread(np.ascontiguousarray(channel), 3)) * 2)
    gray = np.clip(relief * _RELIEF + 128, 0, 255).astype(np.uint8)
    # OpenCV answers None where there is no line at all.
    found = cast("object", cv2.createLineSegmentDetector().detect(gray)[0])
    if found is None:
        return np.zeros((0, 4), np.float32)
    return np.asarray(found, np.float32).reshape(-1, 4)
