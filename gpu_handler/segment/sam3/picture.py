"""The square picture that SAM3 looks at: a photo stretched, not padded, to the model's side.

The published model was given pictures shrunk by torch's antialiased bilinear filter on uint8, and
so are ours, bit for bit. Read as it lies, channels last, a photo of 12 megapixels takes 11 ms of
one core; made planar first, as the usual transform does, 112 ms. Pillow's BILINEAR takes 76 ms and
is off by one level wherever the ratio is not whole (a fifth of all pixels at worst); its
`reducing_gap` and every filter of OpenCV are further off.

The pixels stay uint8 here: a quarter of the bytes to send to the device, which makes them
(x - 127.5) / 127.5 itself.
"""

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from gpu_handler.imaging.pixels import Pixels


def prepare_picture(photo: NDArray[np.uint8], side: int) -> Pixels:
    """(H, W, 3) uint8 sRGB as (side, side, 3) uint8, contiguous; a picture of that size as it is.

    Thread-safe, and without the GIL while it works. Raises ValueError for what is no photo.
    """
    if photo.dtype != np.uint8 or photo.ndim != 3 or photo.shape[2] != 3 or not photo.size:
        raise ValueError(f"a photo is (H, W, 3) uint8, not {photo.shape} {photo.dtype}")
    if side < 1:
        raise ValueError(f"a picture of {side} pixels has none")
    if photo.shape[:2] == (side, side):
        return np.ascontiguousarray(photo)
    # A view that torch takes for channels_last: nothing is copied, and its fast kernel is chosen.
    # It wants to be able to write, so a read-only photo is copied first.
    planes = torch.from_numpy(np.require(photo, requirements=("C", "W"))).permute(2, 0, 1)[None]
    small = F.interpolate(planes, (side, side), mode="bilinear", antialias=True)
    return np.ascontiguousarray(small[0].permute(1, 2, 0).numpy())
