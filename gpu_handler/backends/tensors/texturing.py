"""Tiles laid on planes in perspective and lit."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from gpu_handler.backends.base import Plane, TextureBrush
from gpu_handler.backends.tensors.stretching import Part, Stretched
from gpu_handler.backends.tensors.turn import Turn

_TAPS = 8
_HORIZON = 1e-6  # instead of 0, where every level but the last is too fine by far


def texture(brush: TextureBrush, shape: tuple[int, int], turn: Turn) -> Callable[[Part], Tensor]:
    light = Stretched(turn.send(brush.light), shape)
    tile = _Tile(brush, turn)

    def paint(part: Part) -> Tensor:
        y = torch.arange(part[0].start, part[0].stop, dtype=torch.float64, device=turn.device)
        x = torch.arange(part[1].start, part[1].stop, dtype=torch.float64, device=turn.device)
        y, x = torch.meshgrid(y, x, indexing="ij")
        colour = tile.seen(*_footprint(_maps(brush.planes, x, y), x, y))
        lit = colour * light.part(part)
        room = 255 - brush.shoulder
        over = (lit - brush.shoulder).clamp(min=0)
        return torch.where(over > 0, brush.shoulder + room * (1 - (-over / room).exp()), lit)

    return paint


def _maps(planes: tuple[Plane, ...], x: Tensor, y: Tensor) -> Tensor:
    """(rows, columns, 3, 3): the map of the plane that each pixel is on."""
    taken = torch.full(x.shape, len(planes) - 1, dtype=torch.int64, device=x.device)
    for number in range(len(planes) - 2, -1, -1):
        inside = torch.ones_like(x, dtype=torch.bool)
        for a, b, c in planes[number].limits:
            inside &= a * x + b * y + c >= 0
        taken = torch.where(inside, number, taken)
    maps = torch.from_numpy(np.stack([plane.texels for plane in planes])).double()
    return maps.to(x.device)[taken]


def _footprint(m: Tensor, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """u, v and the longer side of each pixel's footprint, in texels, and the shorter's length."""
    w = m[..., 2, 0] * x + m[..., 2, 1] * y + m[..., 2, 2]
    w = torch.where(w == 0, _HORIZON, w)
    u = (m[..., 0, 0] * x + m[..., 0, 1] * y + m[..., 0, 2]) / w
    v = (m[..., 1, 0] * x + m[..., 1, 1] * y + m[..., 1, 2]) / w
    ux, vx = (m[..., 0, 0] - u * m[..., 2, 0]) / w, (m[..., 1, 0] - v * m[..., 2, 0]) / w
    uy, vy = (m[..., 0, 1] - u * m[..., 2, 1]) / w, (m[..., 1, 1] - v * m[..., 2, 1]) / w
    along, beside = torch.hypot(ux, vx), torch.hypot(uy, vy)
    swap = along < beside
    shorter = torch.where(swap, along, beside)
    return u, v, torch.where(swap, uy, ux), torch.where(swap, vy, vx), shorter


class _Tile:
    """All levels of a tile in one list of texels."""

    def __init__(self, brush: TextureBrush, turn: Turn) -> None:
        sizes = np.array([level.shape[0] for level in brush.levels])
        starts = np.concatenate(([0], np.cumsum(sizes * sizes)[:-1]))
        self.last = len(sizes) - 1
        self.sizes, self.starts = turn.send(sizes), turn.send(starts)
        texels = np.concatenate([level.reshape(-1, 3) for level in brush.levels])
        self.texels = turn.send(texels)

    def seen(self, u: Tensor, v: Tensor, du: Tensor, dv: Tensor, shorter: Tensor) -> Tensor:
        """(rows, columns, 3): the mean of the taps along the longer side."""
        longer = torch.hypot(du, dv)
        taps = (longer / shorter.clamp(min=1)).ceil().clamp(1, _TAPS)
        depth = (longer / taps).clamp(min=1).log2().clamp(0, self.last)
        level = depth.floor().long()
        blend = (depth - level).float()[..., None]
        total = torch.zeros((*u.shape, 3), device=u.device)
        for t in range(int(taps.max())):
            shift = (t + 0.5) / taps - 0.5
            at_u, at_v = u + shift * du, v + shift * dv
            fine = self._read(level, at_u, at_v)
            coarse = self._read((level + 1).clamp(max=self.last), at_u, at_v)
            tap = torch.lerp(fine, coarse, blend)
            total += torch.where((t < taps)[..., None], tap, 0)
        return total / taps[..., None].float()

    def _read(self, level: Tensor, u: Tensor, v: Tensor) -> Tensor:
        """One level at (u, v) of the first, bilinear, wrapped around."""
        scale = 2.0 ** -level.double()
        u, v = (u + 0.5) * scale - 0.5, (v + 0.5) * scale - 0.5
        left, top = u.floor(), v.floor()
        across, down = (u - left).float()[..., None], (v - top).float()[..., None]
        size, start = self.sizes[level], self.starts[level]
        x0, y0 = left.long() % size, top.long() % size
        x1, y1 = (x0 + 1) % size, (y0 + 1) % size
        corners = [self.texels[start + y * size + x].float() for y in (y0, y1) for x in (x0, x1)]
        first = torch.lerp(corners[0], corners[1], across)
        return torch.lerp(first, torch.lerp(corners[2], corners[3], across), down)
