"""Noise that wraps around: white noise filtered in the frequency domain is periodic by itself."""

import zlib

import cv2
import numpy as np

from gpu_handler.imaging.color import Array


class Chance:
    """Random numbers of one material: the same name, the same numbers."""

    def __init__(self, name: str) -> None:
        self.random = np.random.default_rng(zlib.crc32(name.encode()))

    def noise(self, n: int, along_y: float, along_x: float, slope: float = 1.0) -> Array:
        """(n, n) of mean 0 and deviation 1.

        `along_y`, `along_x`: cycles per tile above which it fades, by 1 / (1 + k^2)^slope.
        """
        spectrum = np.fft.rfft2(self.random.standard_normal((n, n), dtype=np.float32))
        ky = np.fft.fftfreq(n, 1 / n)[:, None] / along_y
        kx = np.fft.rfftfreq(n, 1 / n)[None] / along_x
        spectrum *= (1 + kx * kx + ky * ky) ** -slope
        spectrum[0, 0] = 0
        values = np.fft.irfft2(spectrum, (n, n)).astype(np.float32)
        return values / max(float(values.std()), 1e-9)

    def clouds(self, n: int, cycles: float, octaves: int = 4, gain: float = 0.55) -> Array:
        """(n, n) of mean 0 and deviation 1: noise upon ever finer noise."""
        total = np.zeros((n, n), np.float32)
        for octave in range(octaves):
            scale = cycles * 2**octave
            if scale < n / 2:
                total += gain**octave * self.noise(n, scale, scale, 2.0)
        return total / max(float(total.std()), 1e-9)

    def each(self, count: int, spread: float) -> Array:
        """(count,) numbers around 0 with that deviation, none farther than twice it."""
        return (np.clip(self.random.standard_normal(count), -2, 2) * spread).astype(np.float32)

    def whole(self, count: int, below: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        return self.random.integers(0, below, count)


def wrapped(values: Array, y: Array, x: Array) -> Array:
    """`values` (n, n) read at (y, x), bilinear, around the edges."""
    read = cv2.remap(values, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
    return np.asarray(read, np.float32)


def grid(n: int) -> tuple[Array, Array]:
    """Rows and columns (n, n) of texel centres, 0.5 .. n - 0.5."""
    axis = np.arange(n, dtype=np.float32) + np.float32(0.5)
    y, x = np.meshgrid(axis, axis, indexing="ij")
    return y, x


def step(low: float, high: float, values: Array) -> Array:
    """0 below `low`, 1 above `high`, smooth between."""
    t = np.clip((values - low) / (high - low), 0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)
