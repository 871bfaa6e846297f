"""The loop that converts colours, compiled when it is first called."""

import numpy as np
from numpy.typing import NDArray

from gpu_handler.imaging.compiled import compiled


@compiled
def convert(
    pixels: NDArray[np.uint8],
    curves: NDArray[np.int32],
    matrix: NDArray[np.int32],
    encoded: NDArray[np.uint8],
) -> None:
    for i in range(pixels.shape[0]):
        red, green, blue = curves[0, pixels[i, 0]], curves[1, pixels[i, 1]], curves[2, pixels[i, 2]]
        for channel in range(3):
            light = matrix[channel, 0] * red + matrix[channel, 1] * green
            light = (light + matrix[channel, 2] * blue + 8192) >> 14
            pixels[i, channel] = encoded[min(max(light, 0), 16383)]
