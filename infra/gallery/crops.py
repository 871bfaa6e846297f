"""Where to look: the place along a mask's edge where an error would show most."""

import cv2
import numpy as np
from numpy.typing import NDArray

from gpu_handler.imaging.pixels import Alpha, Pixels

_GRID = 512


def edge_place(before: Pixels, alpha: Alpha, side: int) -> tuple[int, int]:
    """x, y of the corner of a square of `side` pixels inside the picture.

    It has the most contrast of the photo along the boundary of `alpha` (H, W), away from the
    picture's border; the middle where there is no boundary.
    """
    height, width = alpha.shape
    factor = min(1.0, _GRID / max(height, width))
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    grey = cv2.cvtColor(cv2.resize(before, size, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY)
    mask = np.asarray(cv2.resize(alpha, size, interpolation=cv2.INTER_AREA), np.uint8)
    square = np.ones((3, 3), np.uint8)
    edge = np.asarray(cv2.morphologyEx((mask > 127).astype(np.uint8), cv2.MORPH_GRADIENT, square))
    contrast = np.asarray(cv2.morphologyEx(grey, cv2.MORPH_GRADIENT, square), np.float32)
    window = max(3, round(side * factor))
    score = cv2.blur(contrast * edge, (window, window), borderType=cv2.BORDER_CONSTANT)
    y, x = _best(np.asarray(score, np.float32), window // 2 + 1)
    left = min(max(0, round(x / factor - side / 2)), max(0, width - side))
    top = min(max(0, round(y / factor - side / 2)), max(0, height - side))
    return left, top


def _best(score: NDArray[np.float32], border: int) -> tuple[float, float]:
    inner = score[border:-border, border:-border]
    if not inner.size or inner.max() <= 0:
        return score.shape[0] / 2, score.shape[1] / 2
    place = int(inner.argmax())
    return place // inner.shape[1] + border, place % inner.shape[1] + border
