"""What brushes make of a photo, part by part: (rows, columns, 3) float32."""

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch import Tensor

from gpu_handler.backends.base import (
    GRAIN,
    LIT,
    STEPS,
    TABLE,
    Brush,
    CurveBrush,
    FillBrush,
    TableBrush,
    TextureBrush,
)
from gpu_handler.backends.tensors.stretching import Part, Stretched, read
from gpu_handler.backends.tensors.texturing import texture
from gpu_handler.backends.tensors.turn import Turn
from gpu_handler.imaging.color import LUMINANCE, srgb_to_linear

Paint = Callable[[Part], Tensor]


def paint_of(brush: Brush, photo: Tensor, turn: Turn) -> Paint:
    match brush:
        case TableBrush():
            return _table(brush, photo, turn)
        case CurveBrush():
            return _curve(brush, photo, turn)
        case TextureBrush():
            return texture(brush, (photo.shape[0], photo.shape[1]), turn)
        case FillBrush():
            return _fill(brush, photo, turn)


def _table(brush: TableBrush, photo: Tensor, turn: Turn) -> Paint:
    table, tint = turn.send(brush.table), turn.send(brush.tint)
    shape = photo.shape[0], photo.shape[1]
    base = None if brush.base is None else Stretched(turn.send(brush.base)[..., None], shape)

    def paint(part: Part) -> Tensor:
        old = photo[part].int()
        grey = (299 * old[..., 0] + 587 * old[..., 1] + 114 * old[..., 2] + 500) // 1000
        place = grey.float()
        if base is not None:
            grain = (place - base.part(part)[..., 0]).clamp(-GRAIN, GRAIN)
            place = place - (1 - brush.detail) * grain
        new = table[(place * STEPS + 0.5).floor().long().clamp(0, TABLE - 1)]
        expected = grey[..., None] * tint + 2
        shift = new * brush.residual * (((old + 2) / expected).clamp(0.75, 1.33) - 1)
        room = (LIT - new).clamp(min=0)
        bent = shift * room / (room + shift).clamp(min=1)
        return new + torch.where(shift > 0, bent, shift)

    return paint


def _curve(brush: CurveBrush, photo: Tensor, turn: Turn) -> Paint:
    linear = turn.send(srgb_to_linear(np.arange(256) / 255).astype(np.float32))
    weights, gains = turn.send(LUMINANCE.astype(np.float32)), turn.send(brush.gains)
    curve = turn.send(brush.curve)

    def paint(part: Part) -> Tensor:
        old = linear[photo[part].int()]
        light = (old * weights).sum(-1, keepdim=True)
        moved = old * gains
        gained = (moved * weights).sum(-1, keepdim=True)
        scale = torch.where(gained > 0, light / gained.clamp(min=1e-12), 0)
        away = (moved * scale - light) * brush.saturation
        room = torch.where(away > 0, 1 - light, -light)
        fits = torch.where(away != 0, room / torch.where(away != 0, away, 1), 1)
        kept = light + away * fits.amin(-1, keepdim=True).clamp(max=1)
        return curve[(_encoded(kept.clamp(0, 1)) * (TABLE - 1) + 0.5).floor().long()]

    return paint


def _encoded(light: Tensor) -> Tensor:
    """Linear light 0..1 to sRGB (IEC 61966-2-1)."""
    power = 1.055 * light.clamp(min=1e-8) ** (1 / 2.4) - 0.055
    return torch.where(light <= 0.0031308, light * 12.92, power)


def _fill(brush: FillBrush, photo: Tensor, turn: Turn) -> Paint:
    x0, y0, x1, y1 = brush.box
    correction = Stretched(turn.send(brush.correction), (y1 - y0, x1 - x0))
    where = partial(sources, brush, turn.send(brush.source))

    def paint(part: Part) -> Tensor:
        inner = (
            slice(part[0].start - y0, part[0].stop - y0),
            slice(part[1].start - x0, part[1].stop - x0),
        )
        return read(photo, *where(part)) + correction.part(inner)

    return paint


def sources(brush: FillBrush, source: Tensor, part: Part) -> tuple[Tensor, Tensor]:
    """x and y, float64, that the pixels of a part of the brush's box come from."""
    x0, y0, x1, y1 = brush.box
    h, w = brush.source.shape[:2]
    y = torch.arange(part[0].start, part[0].stop, device=source.device)
    x = torch.arange(part[1].start, part[1].stop, device=source.device)
    rows, columns = (y - y0) * h // (y1 - y0), (x - x0) * w // (x1 - x0)
    moved = source[rows][:, columns].double()
    return x[None] + moved[..., 0], y[:, None] + moved[..., 1]
