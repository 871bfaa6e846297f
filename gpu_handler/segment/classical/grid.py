"""Masks as logits and instances, as a learned segmenter would give them."""

import cv2
import numpy as np

from gpu_handler.segment.base import Instance, Logits, Segmentation
from gpu_handler.segment.classical.shapes import Mask, spread

SURE = 8.0
"""The largest logit; every absent concept is at minus this everywhere."""

_SLOPE = 0.8  # logits per working pixel of distance from the edge


class Finding:
    """One thing found: its mask and how sure the rule that found it is, 0..1."""

    def __init__(self, mask: Mask, score: float) -> None:
        self.mask = mask
        self.score = score


def absent(concept: str, shape: tuple[int, int]) -> Segmentation:
    return Segmentation(concept, 0.0, np.full(shape, -SURE, np.float32))


def segmentation(concept: str, shape: tuple[int, int], findings: list[Finding]) -> Segmentation:
    """The concept from its findings, the largest first; equal ones from the top left on."""
    found = sorted((f for f in findings if f.mask.any()), key=_order)
    if not found:
        return absent(concept, shape)
    whole = np.logical_or.reduce([f.mask for f in found])
    return Segmentation(
        concept,
        max(f.score for f in found),
        logits(whole),
        tuple(Instance(f.score, _box(f.mask), logits(f.mask)) for f in found),
    )


def logits(mask: Mask) -> Logits:
    """(h, w) float32 in -8..8: the signed distance to the mask's edge, rounded at corners."""
    inside = mask.astype(np.uint8)
    if mask.all():
        return np.full(mask.shape, SURE, np.float32)
    into = np.asarray(cv2.distanceTransform(inside, cv2.DIST_L2, 5), np.float32)
    out = np.asarray(cv2.distanceTransform(1 - inside, cv2.DIST_L2, 5), np.float32)
    signed = np.where(mask, into - 0.5, 0.5 - out).astype(np.float32)
    near = np.clip(signed, -SURE / _SLOPE, SURE / _SLOPE)
    smooth = spread(near, 0.8)
    return np.clip(smooth * _SLOPE, -SURE, SURE).astype(np.float32)


def _order(finding: Finding) -> tuple[int, int]:
    return -int(finding.mask.sum()), int(finding.mask.argmax())


def _box(mask: Mask) -> tuple[float, float, float, float]:
    h, w = mask.shape
    columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
    left, right = int(columns[0]) / w, (int(columns[-1]) + 1) / w
    return left, int(rows[0]) / h, right, (int(rows[-1]) + 1) / h
