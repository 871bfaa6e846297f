"""The few colours that many pixels have."""

import cv2
import numpy as np

from gpu_handler.segment.classical.shapes import Floats

_ENOUGH = 4000  # pixels; more change the centres by less than grain does
_SEED = 7  # OpenCV draws from one generator per thread; the same photo must give the same answer


def palette(colors: Floats, most: int) -> tuple[Floats, Floats]:
    """(k, C) mean colours of at most `most` clusters of (n, C) colours, n > 0, and the share of
    the colours in each, (k,), in 0..1.
    """
    few = np.ascontiguousarray(colors[:: max(1, len(colors) // _ENOUGH)], np.float32)
    k = min(most, len(few))
    cv2.setRNGSeed(_SEED)
    stop = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 12, 0.5)
    unset = np.zeros((len(few), 1), np.int32)
    _, which, centers = cv2.kmeans(few, k, unset, stop, 2, cv2.KMEANS_PP_CENTERS)
    share = np.bincount(np.asarray(which).ravel(), minlength=k) / len(few)
    return np.asarray(centers, np.float32), share.astype(np.float32)
