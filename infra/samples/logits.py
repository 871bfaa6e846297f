"""What a segmentation model of SAM's kind would answer for a known mask."""

import cv2
import numpy as np
from numpy.typing import NDArray

SIDE = 288
"""Side of SAM3's mask grid."""

_BLUR = 0.7  # cells
_SURE = 6.0  # logits go no farther


def simulated_logits(
    mask: NDArray[np.uint8], seed: int = 0, wobble: float = 0.5
) -> NDArray[np.float32]:
    """(288, 288) logits for an exact coverage (H, W) 0..255, stretched over the photo.

    The boundary wanders smoothly, by about `wobble` cells; the mask is averaged down to the grid
    and blurred, and nothing is surer than a logit of 6 either way.
    """
    height, width = mask.shape
    random = np.random.default_rng(seed)
    bends = random.standard_normal((36, 36, 2)).astype(np.float32) * np.float32(wobble / SIDE)
    bends = np.asarray(cv2.resize(bends, (width, height), interpolation=cv2.INTER_CUBIC))
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    moved = cv2.remap(
        mask.astype(np.float32) / 255,
        x + bends[..., 0] * np.float32(width),
        y + bends[..., 1] * np.float32(height),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    small = cv2.resize(moved, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    share = np.asarray(cv2.GaussianBlur(small, (0, 0), _BLUR), np.float64)
    least = 1 / (1 + np.exp(_SURE))
    share = np.clip(share, least, 1 - least)
    return np.log(share / (1 - share)).astype(np.float32)
