"""All rules of one photo put together, and what they left alone counted."""

from collections.abc import Sequence
from typing import assert_never

import cv2
import numpy as np
from msgspec import Struct

from gpu_handler.imaging.pixels import Alpha, Pixels, tiles
from gpu_handler.rules.recolor import RecolorReport, recolor
from gpu_handler.rules.tone import tone
from shared.messages import ItemWarning
from shared.rules import PixelRule, Recolor, Remove, Texture, Tone

_PROTECTED = 128
"""Protect alpha from which a pixel is protected: final alpha 0, counted in the report."""

_KEEP = np.clip(255 - 2 * np.arange(256), 0, 255).astype(np.uint8)
"""What is left of a rule's alpha for each protect alpha: 255 at 0, nothing from 128 on."""


class Layer(Struct, frozen=True, eq=False):
    """One rule and where it applies; `alpha` is (H, W) uint8 of the concept, before protection."""

    concept: str
    rule: PixelRule
    alpha: Alpha


class Composed(Struct, frozen=True, eq=False):
    """The result and its proof: output compared with input over all protected pixels.

    `max_abs_diff_in_protect` in levels of 0..255. `recolored`: one report for each recolour that
    painted anything, by concept.
    """

    pixels: Pixels
    protected_pixels: int
    protected_pixels_changed: int
    max_abs_diff_in_protect: int
    warnings: tuple[ItemWarning, ...]
    recolored: dict[str, RecolorReport]


def compose(pixels: Pixels, layers: Sequence[Layer], protect: Sequence[Alpha]) -> Composed:
    """Apply `layers` to a photo (H, W, 3) in their order, but for what `protect` (H, W) covers.

    A later layer lies over earlier ones: a recolour takes light, shade and statistics from the
    photo as it came (under its final alpha) and covers what earlier layers painted; a tone shifts
    what they left. The alpha of a layer
    is mask * keep / 255, with keep = 255 - 2 * max(protect), at least 0: a protected pixel
    (protect alpha 128 or more) is never touched, and a soft edge of protection fades the rule in.
    Where the alpha is 0 the photo's pixel stays, bit for bit. Raises ValueError for a mask of
    another size than the photo.
    """
    for mask in (*protect, *(layer.alpha for layer in layers)):
        if mask.shape != pixels.shape[:2]:
            raise ValueError(f"a mask of {mask.shape} on a photo of {pixels.shape}")
    shield = strongest(protect)
    out = pixels.copy()
    warnings: list[ItemWarning] = []
    recolored: dict[str, RecolorReport] = {}
    for layer in layers:
        alpha = spared(layer.alpha, shield)
        match layer.rule:
            case Recolor():
                _, report = recolor(pixels, alpha, layer.rule, out)
                if report is not None:
                    recolored[layer.concept] = report
            case Tone(parameters):
                tone(out, alpha, parameters, out)
            case Texture() | Remove():
                warnings.append(_unavailable(layer))
            case _:
                assert_never(layer.rule)
    counts = (0, 0, 0) if shield is None else _compare(pixels, out, shield)
    return Composed(out, *counts, tuple(warnings), recolored)


def _unavailable(layer: Layer) -> ItemWarning:
    action = type(layer.rule).__name__.lower()
    message = f"{action} is not available yet: {layer.concept} stays as it is."
    return ItemWarning("ACTION_UNAVAILABLE", message, layer.concept)


def strongest(protect: Sequence[Alpha]) -> Alpha | None:
    """The largest protect alpha of each pixel, (H, W); None where nothing is protected."""
    if not protect:
        return None
    shield = protect[0].copy()
    for mask in protect[1:]:
        np.maximum(shield, mask, out=shield)
    return shield


def spared(alpha: Alpha, shield: Alpha | None) -> Alpha:
    """What protection leaves of a layer's alpha: the one that is applied; 0 stays 0 exactly."""
    if shield is None:
        return alpha
    keep = cv2.LUT(shield, _KEEP)
    return np.asarray(cv2.multiply(alpha, np.asarray(keep), scale=1 / 255), np.uint8)


def _compare(before: Pixels, after: Pixels, shield: Alpha) -> tuple[int, int, int]:
    """Protected pixels, how many of them differ in any channel, and by how much at most."""
    total, changed, most = 0, 0, 0
    for tile in tiles(shield.shape):
        inside = shield[tile] >= _PROTECTED
        if inside.any():
            difference = cv2.absdiff(before[tile], after[tile]).max(2)[inside]
            total += difference.size
            changed += int(np.count_nonzero(difference))
            most = max(most, int(difference.max()))
    return total, changed, most
