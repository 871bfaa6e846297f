"""What a product stands in front of: learnt from the photo's border, shadows included."""

import cv2
import numpy as np

from gpu_handler.segment.classical.palette import palette
from gpu_handler.segment.classical.shapes import Floats
from gpu_handler.segment.classical.view import View

_RING = 0.03  # of the shorter side: the border that is taken for backdrop
_ROUGH = 5.0  # texture in units of L
_SHADOW = 0.5  # darkest a shadow leaves the backdrop, as a share of its lightness


def strangeness(view: View) -> Floats:
    """(h, w) float32, in CIELAB units: how far a pixel is from every backdrop colour seen.

    A backdrop may change from top to bottom (a table before a wall) and glow in the middle: a
    pixel is held against what the borders show in its row and against all that they show.
    """
    lab = view.lab
    ring = max(2, round(_RING * min(view.shape)))
    by_row = np.minimum(*(_away(lab, _row_color(lab, side, ring)) for side in (0, 1)))
    between = _away(lab, _across(lab, ring))
    anywhere = _away_from_all(lab, _border_colors(lab, ring))
    return np.minimum(np.minimum(by_row, between), anywhere).astype(np.float32)


def busy_border(view: View) -> bool:
    """Whether most of the border is too rough to be a backdrop: there is nothing to go by."""
    ring = max(2, round(_RING * min(view.shape)))
    rough = view.texture > _ROUGH
    sides = (rough[:ring], rough[:, :ring], rough[:, -ring:], rough[-ring:])
    return sum(float(side.mean()) for side in sides) / 4 > 0.5


def _row_color(lab: Floats, side: int, ring: int) -> Floats:
    """(h, 1, 3): the border's colour in each row, on the left (0) or the right (1)."""
    edge = lab[:, :ring] if side == 0 else lab[:, -ring:]
    color = np.median(edge, axis=1).astype(np.float32)
    return np.asarray(cv2.blur(color[:, None], (1, 5)), np.float32).reshape(-1, 1, 3)


def _across(lab: Floats, ring: int) -> Floats:
    """(h, w, 3): the two borders' colours blended across each row."""
    along = np.linspace(0, 1, lab.shape[1], dtype=np.float32)[None, :, None]
    left, right = _row_color(lab, 0, ring), _row_color(lab, 1, ring)
    return (left * (1 - along) + right * along).astype(np.float32)


def _border_colors(lab: Floats, ring: int) -> Floats:
    """(k, 3): the main colours of the whole border, rare ones (something that reaches it) out."""
    sides = (lab[:ring], lab[:, :ring], lab[:, -ring:], lab[-ring:])
    border = np.concatenate([side.reshape(-1, 3) for side in sides]).astype(np.float32)
    colors, share = palette(border, 6)
    return colors[share > 0.06]


def _away_from_all(lab: Floats, colors: Floats) -> Floats:
    far = np.full(lab.shape[:2], 100, np.float32)
    for color in colors:
        far = np.minimum(far, _away(lab, color.reshape(1, 1, 3)))
    return far


def _away(lab: Floats, color: Floats) -> Floats:
    """Distance from a backdrop colour, or from that colour in shadow, whichever is nearer."""
    apart = lab - color
    weighed = apart * apart * np.array((0.6, 1.3, 1.3), np.float32)
    plain = np.sqrt(weighed.sum(axis=2)).astype(np.float32)
    ratio = lab[..., 0] / np.maximum(color[..., 0], 1)
    # A shadow scales lightness and chroma alike, smoothly.
    dimmed = lab[..., 1:] - color[..., 1:] * ratio[..., None]
    shade = 2.0 * np.sqrt((dimmed * dimmed).sum(axis=2)) + 12 * np.maximum(0, 1 - ratio)
    in_shadow = (ratio < 1) & (ratio > _SHADOW)
    plain[in_shadow] = np.minimum(plain, shade)[in_shadow]
    return plain.astype(np.float32)
