"""A smooth surface over what is known, spread where it is not."""

import cv2
import numpy as np
from numpy.typing import NDArray

from gpu_handler.imaging.pixels import Floats

_SMOOTHINGS = 8


def spread(values: NDArray[np.float32], known: NDArray[np.float32]) -> Floats:
    """(h, w, C) `values` where `known` (h, w) is 1, and a smooth continuation where it is 0.

    Pull-push: a pyramid of weighted means, filled from the coarsest level down (S. Gortler et al.,
    "The Lumigraph", 1996, section 3.4), and some smoothing at each level, which brings it close to
    the harmonic one: a gradient goes on as a gradient. Zeros where nothing is known at all.
    """
    weight = np.ascontiguousarray(known, np.float32)
    levels = [(values.astype(np.float32) * weight[..., None], weight)]
    while min(levels[-1][1].shape) > 1:
        sums, weights = levels[-1]
        half = ((weights.shape[1] + 1) // 2, (weights.shape[0] + 1) // 2)
        levels.append((_shrunk(sums, half), _shrunk(weights, half)))
    sums, weights = levels[-1]
    total = float(weights.sum())
    mean = sums.sum((0, 1)) / total if total > 0 else np.zeros(sums.shape[2], np.float32)
    filled = np.broadcast_to(mean, sums.shape).astype(np.float32)
    for sums, weights in reversed(levels):
        size = (weights.shape[1], weights.shape[0])
        coarse = cv2.resize(filled, size, interpolation=cv2.INTER_LINEAR).reshape(sums.shape)
        share = np.minimum(weights, 1)[..., None]
        known_part = sums / np.maximum(weights, 1e-6)[..., None] * share
        filled = known_part + coarse * (1 - share)
        for _ in range(_SMOOTHINGS):
            means = cv2.blur(filled, (3, 3), borderType=cv2.BORDER_REPLICATE).reshape(sums.shape)
            filled = known_part + means * (1 - share)
    return np.asarray(filled, np.float32)


def _shrunk(values: Floats, size: tuple[int, int]) -> Floats:
    small = cv2.resize(values, size, interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.float32).reshape(size[1], size[0], *values.shape[2:])


def blurred(values: NDArray[np.float32], inside: NDArray[np.float32], sigma: float) -> Floats:
    """(h, w, C) Gaussian means of the `values` for which `inside` (h, w) is 1, of those alone."""
    weight = cv2.GaussianBlur(inside, (0, 0), sigma)
    mixed = cv2.GaussianBlur(values * inside[..., None], (0, 0), sigma).reshape(values.shape)
    return np.asarray(mixed / np.maximum(np.asarray(weight), 1e-4)[..., None], np.float32)
