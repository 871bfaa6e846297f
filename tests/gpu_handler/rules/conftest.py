"""A painted wall under light and shade, made by code."""

import numpy as np
import pytest
from numpy.typing import NDArray

from gpu_handler.imaging.color import linear_to_srgb, srgb_to_linear


def paint_wall(
    paint: tuple[int, int, int], darkest: float = 0.7, height: int = 360, width: int = 480
) -> NDArray[np.uint8]:
    """(H, W, 3) sRGB: a lamp's falloff, a shadow's soft edge, some coloured light and grain.

    `darkest`: linear light far from the lamp, in relation to 1.05 below it.
    """
    y, x = np.mgrid[0:height, 0:width]
    lamp = darkest + (1.05 - darkest) * np.exp(
        -(((x / width - 0.3) ** 2 + (y / height - 0.2) ** 2) / 0.25)
    )
    shadow = 1 - 0.25 / (1 + np.exp(-(x / width - 0.75) * 40))
    tint = 1 + 0.05 * (x / width - 0.5)[..., None] * np.array((1, 0, -1))
    linear = srgb_to_linear(np.array(paint) / 255) * (lamp * shadow)[..., None] * tint
    grain = np.random.default_rng(1).normal(0, 1.5, (height, width, 3))
    return (linear_to_srgb(linear) * 255 + grain).clip(0, 255).round().astype(np.uint8)


@pytest.fixture(scope="session")
def cream_wall() -> NDArray[np.uint8]:
    return paint_wall((226, 208, 180))


@pytest.fixture(scope="session")
def dark_wall() -> NDArray[np.uint8]:
    return paint_wall((82, 52, 44))


@pytest.fixture(scope="session")
def harsh_wall() -> NDArray[np.uint8]:
    """Most of it in deep shade."""
    return paint_wall((226, 208, 180), darkest=0.35)
