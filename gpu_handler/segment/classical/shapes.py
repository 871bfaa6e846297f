"""Masks grown, shrunk, cut into pieces and outlined; OpenCV with bool masks and exact types."""

import cv2
import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
Floats = NDArray[np.float32]
Labels = NDArray[np.int32]
Outline = NDArray[np.int32]


def grown(mask: Mask, by: int) -> Mask:
    """Everything within a square of `by` pixels each way."""
    return np.asarray(cv2.dilate(mask.astype(np.uint8), _square(2 * by + 1))) > 0


def shrunk(mask: Mask, by: int) -> Mask:
    """What keeps `by` pixels from the edge; beyond the picture counts as outside."""
    side = 2 * by + 1
    disk = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    return np.asarray(cv2.erode(mask.astype(np.uint8), disk, borderValue=(0.0,))) > 0


def opened(mask: Mask, side: int) -> Mask:
    """Without what is narrower than `side` pixels."""
    raw = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, _square(side))
    return np.asarray(raw) > 0


def closed(mask: Mask, side: int) -> Mask:
    """With gaps narrower than `side` pixels bridged."""
    raw = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_CLOSE, _square(side))
    return np.asarray(raw) > 0


def pieces(mask: Mask) -> tuple[Labels, NDArray[np.int64]]:
    """Connected pieces numbered from 1, 0 outside; and their areas, that of number 0 set to 0."""
    _, labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=4)
    numbered = np.asarray(labels, np.int32)
    area = np.bincount(numbered.ravel()).astype(np.int64)
    area[0] = 0
    return numbered, area


def outlines(mask: Mask) -> list[Outline]:
    """The outer outline of each piece."""
    found, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return [np.asarray(outline, np.int32) for outline in found]


def filled(shape: tuple[int, int], drawn: list[Outline]) -> Mask:
    """What outlines enclose, holes included."""
    canvas = np.zeros(shape, np.uint8)
    for outline in drawn:
        cv2.fillPoly(canvas, [outline], (1.0,))
    return canvas > 0


def straightness(outline: Outline) -> float:
    """How much of the four-sided shape round it an outline fills, 0 where there is no such."""
    hull = cv2.convexHull(outline)
    around = cv2.arcLength(hull, closed=True)
    for slack in (0.02, 0.03, 0.05, 0.08):
        corners = cv2.approxPolyDP(hull, slack * around, closed=True)
        if len(corners) == 4 and cv2.contourArea(corners) > 0:
            return min(1.0, float(cv2.contourArea(outline)) / float(cv2.contourArea(corners)))
    return 0.0


def otsu(values: Floats) -> float:
    """The level that best parts low from high values, 0..100 (N. Otsu, 1979)."""
    scaled = np.clip(values.reshape(-1, 1) * 2.55, 0, 255).astype(np.uint8)
    level, _ = cv2.threshold(scaled, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    return float(level) / 2.55


def spread(values: Floats, reach: float) -> Floats:
    """Gaussian blur of an (h, w) or (h, w, C) map; `reach` is its sigma in pixels."""
    return np.asarray(cv2.GaussianBlur(values, (0, 0), reach), np.float32)


def local_mean(values: Floats, mask: Mask, reach: float) -> tuple[Floats, Floats]:
    """(h, w, C) mean of `values` over the masked pixels round each pixel; and (h, w) how many
    of the pixels round it are masked, 0..1.
    """
    inside = mask.astype(np.float32)
    weight = spread(inside, reach)
    total = spread(values * inside[..., None], reach)
    return (total / np.maximum(weight, 1e-4)[..., None]).astype(np.float32), weight


def _square(side: int) -> NDArray[np.uint8]:
    return np.ones((side, side), np.uint8)
