"""Reading an image at a list of points."""

from typing import cast

import cv2
import numpy as np

from infra.samples.camera import Floats

ROW = 4096


def read(
    field: Floats, x: Floats, y: Floats, *, wrap: bool = False, smooth: bool = False
) -> Floats:
    """`field` (H, W) or (H, W, 3) at N places in its pixels: (N,) or (N, 3).

    Bilinear, or bicubic where `smooth`; beyond the edge it repeats where `wrap`, else it stays.
    """
    # cv2.remap takes at most 32767 rows: lay the points out as an image.
    across, down = (
        np.pad(part, (0, -len(part) % ROW)).reshape(-1, ROW).astype(np.float32) for part in (x, y)
    )
    found = cv2.remap(
        np.asarray(field, np.float32),
        across,
        down,
        cv2.INTER_CUBIC if smooth else cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_WRAP if wrap else cv2.BORDER_REPLICATE,
    )
    return cast("Floats", found.reshape(-1, *field.shape[2:])[: len(x)])
