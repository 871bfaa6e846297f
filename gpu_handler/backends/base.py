"""The one interface for work on whole pictures, and what exactly each step computes.

Deciding and doing are apart. What is to be done (a table, a mapping, offsets) is decided by
`gpu_handler.rules` on small pictures and samples, in float64, and is the same whatever backend is
used. A backend does it to every pixel. All of them give what the formulas here give, rounded to
8 bits, but for one level.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import Protocol, TypeAlias

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from gpu_handler.imaging.pixels import Alpha, Floats, Pixels

STEPS = 4
"""Entries of a table for one level of 0..255: finer than 8 bits where the table is steep."""

TABLE = 255 * STEPS + 1

LIT = 252.0
"""Level that coloured light does not lift a channel above."""

GRAIN = 12.0
"""Levels around a surface's smooth light within which detail is grain: more is a highlight."""


class Edges(StrEnum):
    """How coarse logits become an alpha at full size."""

    FINE = "fine"  # along the photo's own edges
    SOFT = "soft"  # stretched and nothing more: a ramp as wide as the logits' cells


class TableBrush(Struct, frozen=True, eq=False):
    """New colours by how light the old pixel was: a recolour.

    For a pixel `old` (0..255) with the grey g = (299 R + 587 G + 114 B + 500) // 1000:
    `base` is None: i = g; else i = g - (1 - `detail`) * clip(g - b, -GRAIN, GRAIN), b from `base`
    (h, w) float32, stretched: grain is softened, and what stands out farther keeps its size.
    new = `table`[round(STEPS * i), clipped to the table], (TABLE, 3) float32 of 0..255.
    Coloured light, for each channel: d = new * `residual` * (clip((old + 2) / (g * `tint` + 2),
    0.75, 1.33) - 1), `tint` (3,) float32; where d > 0 it bends towards white:
    d * r / max(r + d, 1) with r = max(0, LIT - new). The result is new + d.
    """

    table: NDArray[np.float32]
    tint: NDArray[np.float32]
    residual: float = 0.0
    detail: float = 1.0
    base: Floats | None = None


class CurveBrush(Struct, frozen=True, eq=False):
    """A shift of the colours that are there: a tone.

    In linear light (sRGB decoded), with Y of a colour by the BT.709 weights: v = old * `gains`
    (3,) float32, times Y(old) / Y(v) where Y(v) > 0; then v = Y + (v - Y) * `saturation` (0 is
    grey, 1 as it was), brought into 0..1 at the same Y: Y + (v - Y) * k with the largest k <= 1
    for which it fits. Encoded again as e (0..1), each channel becomes
    `curve`[round(255 * STEPS * e)], (TABLE,) float32 of 0..255.
    """

    gains: NDArray[np.float32]
    saturation: float
    curve: NDArray[np.float32]


class Plane(Struct, frozen=True, eq=False):
    """One flat piece of a surface.

    `texels` (3, 3) float64 maps (x, y, 1), pixel centres of the photo at whole numbers, to
    homogeneous texel coordinates (u right, v down) of the tile's first level, whose centres are at
    whole numbers too. The piece is where a * x + b * y + c >= 0 for every (a, b, c) of `limits`.
    """

    texels: NDArray[np.float64]
    limits: tuple[tuple[float, float, float], ...] = ()


class TextureBrush(Struct, frozen=True, eq=False):
    """A seamless tile laid on planes and lit.

    `levels`: the tile (n, n, 3) uint8, n a power of two, and its halves down to 1 x 1, each the
    mean of 2 x 2 texels of the one before; all wrap around. A pixel is on the first of `planes`
    whose limits hold, on the last one where none does. With the derivatives of (u, v) by x and by
    y as the two sides of its footprint, the longer has the length p and the shorter q, in texels:
    taps n = clip(ceil(p / max(q, 1)), 1, 8), the level is log2(max(p / n, 1)), at most the last;
    the last also where the third coordinate is 0, on a plane's horizon itself.
    Each tap lies at (t + 0.5) / n - 0.5, t = 0..n-1, of the longer side around the pixel and is
    trilinear: bilinear on the two levels around, centres aligned ((u + 0.5) / 2**k - 0.5), and
    between them. The mean of the taps times `light` (h, w, 3) float32, stretched, is the colour m;
    above `shoulder` (s, 0..255) it bends towards white: s + (255 - s) * (1 - exp(-(m - s) /
    (255 - s))).
    """

    levels: tuple[Pixels, ...]
    planes: tuple[Plane, ...]
    light: Floats
    shoulder: float = 217.0


class FillBrush(Struct, frozen=True, eq=False):
    """Pixels of the same photo put in a hole, from elsewhere.

    `box` is (x0, y0, x1, y1), the part of the photo that the small arrays cover. `source`
    (h, w, 2) float32 holds for each of its cells how far away, in pixels of the photo (dx, dy),
    its pixels come from: pixel x of the box takes that of column (x - x0) * w // (x1 - x0), rows
    alike. The photo is read there bilinearly (clamped to its edges) and `correction` (h, w, 3)
    float32, in levels, stretched over the box, is added. Nothing is laid outside the box.
    """

    box: tuple[int, int, int, int]
    source: Floats
    correction: Floats


Brush: TypeAlias = TableBrush | CurveBrush | TextureBrush | FillBrush


class Cover(Protocol):
    """How much of each pixel something covers: (H, W) uint8, kept where the backend works.

    Never changed once it is there.
    """

    def host(self) -> Alpha:
        """As an array of this process; it may be the backend's own, so it is only read."""
        ...


class Proof(Struct, frozen=True):
    """What became of protected pixels: how many there are, how many differ from the photo as it
    came in any channel, and by how many levels at most."""

    pixels: int
    changed: int
    max_abs_diff: int


class Canvas(Protocol):
    """One photo and the picture that is painted from it. Used by one thread at a time.

    The picture begins as a copy of the photo. Brushes read the photo and lay over the picture.
    "Stretched" means bilinear between cell centres, x -> (x + 0.5) * w / W - 0.5, edges repeated.
    """

    @property
    def shape(self) -> tuple[int, int]:
        """(H, W)."""
        ...

    def refine(self, logits: Floats, edges: Edges = Edges.FINE) -> Cover:
        """The cover of a mask given by logits (h, w), any grid stretched over the photo.

        > 0 is inside; what is no number is outside. `gpu_handler.backends.edges` has the formulas.
        """
        ...

    def stretch(self, alpha: Alpha) -> Cover:
        """A small (h, w) uint8 alpha, stretched and rounded; one of the photo's size as it is."""
        ...

    def union(self, covers: Sequence[Cover]) -> Cover:
        """The largest of one or more, pixel by pixel."""
        ...

    def spared(self, cover: Cover, shield: Cover) -> Cover:
        """What protection leaves: round(cover * keep / 255), keep = max(0, 255 - 2 * shield).

        So nothing is left where the shield is 128 or more.
        """
        ...

    def divided(self, covers: Sequence[Cover]) -> list[Cover]:
        """Covers to lay one after the other so that each keeps its own share, later ones first.

        Let w = min(cover, 255 - s), s the shares of all later ones. Laying paint over paint would
        fade the earlier one twice, so its cover becomes (510 * w + 255 - s) // (2 * (255 - s)),
        0 where s is 255. Where shares sum up to 255, nothing of the photo is left.
        """
        ...

    def carried(self, cover: Cover, hole: Cover, brush: FillBrush) -> Cover:
        """`cover`, and in the hole that of the places its pixels come from: a floor goes on under
        what was taken off it. max(cover, round(hole * c / 255)), c read as the brush reads pixels,
        without correction; outside its box as it was.
        """
        ...

    def samples(self, cover: Cover, *, painted: bool = False) -> NDArray[np.uint8]:
        """(n, 3) pixels of the photo, or of the picture, that the cover shows, about 20,000.

        Those of a cover of 243 or more, or where there is none, of 1 or more: of `count` such
        pixels every `step`-th row and column, step = max(1, isqrt(count // 20_000)), row by row;
        all of them where that meets none. (0, 3) for an empty cover.
        """
        ...

    def small(self, longest_side: int, *, painted: bool = False) -> Pixels:
        """`imaging.pixels.shrink` of the photo, or of the picture."""
        ...

    def small_cover(self, cover: Cover, longest_side: int) -> Alpha:
        """`imaging.pixels.shrink` of a cover."""
        ...

    def paint(self, cover: Cover, brush: Brush) -> None:
        """Lay what the brush makes of the photo over the picture.

        (picture * (255 - cover) + new * cover + 127) // 255, with `new` rounded and clipped to
        0..255: where the cover is 0 the picture stays, and where it is 255 it is replaced, to the
        last bit.
        """
        ...

    def settle(self) -> None:
        """The picture as it is now becomes the photo for what follows; `proof` keeps the first."""
        ...

    def proof(self, shield: Cover) -> Proof:
        """The picture against the photo as it came, over all pixels whose shield is >= 128."""
        ...

    def picture(self) -> Pixels:
        """The picture as it is now; the canvas is not painted on any more after that."""
        ...


class PixelBackend(Protocol):
    """Opens canvases; thread-safe."""

    @property
    def name(self) -> str:
        """`cpu`, `torch-cpu`, `torch-cuda`."""
        ...

    def open(self, photo: Pixels) -> Canvas:
        """A canvas for (H, W, 3) uint8 sRGB; the array is only read, and must not change.

        Raises `gpu_handler.devices.errors`: DeviceExhausted where it has no memory for this photo,
        as any method of the canvas may, and DeviceLost.
        """
        ...
