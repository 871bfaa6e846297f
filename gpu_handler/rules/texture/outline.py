"""A mask seen small: which cells it fills and where they are in the photo."""

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from gpu_handler.imaging.pixels import Alpha


class Outline(Struct, frozen=True, eq=False):
    """`inside` (h, w) bool, and how many photo pixels each cell is wide and high."""

    inside: NDArray[np.bool_]
    scale: tuple[float, float]

    @classmethod
    def of(cls, cover: Alpha, shape: tuple[int, int]) -> "Outline":
        """`cover` (h, w) is a small copy of one over a photo (H, W).

        Half covered is inside; where that leaves nothing, whatever is covered at all.
        """
        inside = cover >= 128
        inside = inside if inside.any() else cover > 0
        return cls(inside, (shape[1] / cover.shape[1], shape[0] / cover.shape[0]))

    def cells(self) -> NDArray[np.float64]:
        """(3, n) photo positions (x, y, 1) of cells inside, some thousands of them at most."""
        rows, columns = np.nonzero(self.inside)
        step = max(1, len(rows) // 4000)
        return self.place(columns[::step], rows[::step])

    def place(
        self, columns: NDArray[np.integer], rows: NDArray[np.integer], lower: float = 0.5
    ) -> NDArray[np.float64]:
        """(3, n) photo positions (x, y, 1) in cells, `lower` = 0 at their upper edge and 1 at
        their lower one; pixel centres at whole numbers."""
        sx, sy = self.scale
        x, y = (columns + 0.5) * sx - 0.5, (rows + lower) * sy - 0.5
        return np.stack((x, y, np.ones(len(x)))).astype(np.float64)

    def box(self) -> tuple[float, float, float, float]:
        """(x0, y0, x1, y1) of the photo that the mask reaches; it must not be empty."""
        rows, columns = np.nonzero(self.inside)
        sx, sy = self.scale
        return (
            float(columns.min() * sx),
            float(rows.min() * sy),
            float((columns.max() + 1) * sx),
            float((rows.max() + 1) * sy),
        )
