"""Logits to an alpha at full size; `gpu_handler.backends.edges` has the formulas."""

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from gpu_handler.backends.edges import EPSILON, GAIN, HIGH, LOW, SOFT, Evidence
from gpu_handler.backends.tensors.stretching import Stretched, strips
from gpu_handler.backends.tensors.turn import Turn
from gpu_handler.imaging.pixels import Pixels


class Guide:
    """A photo at the filter's size, with what its windows have in common for every mask."""

    def __init__(self, small: Pixels, turn: Turn) -> None:
        self.longest_side = max(small.shape)
        self.rgb = turn.send(small).float() / 255
        self._windows: dict[int, tuple[Tensor, Tensor]] = {}

    def model(self, evidence: Evidence, logits: Tensor) -> Tensor:
        """(h, w, 4) float32: slopes for red, green and blue (0..255), and the offset."""
        shape = self.rgb.shape[0], self.rgb.shape[1]
        whole = slice(0, shape[0]), slice(0, shape[1])
        mask = torch.sigmoid(GAIN * Stretched(logits[..., None], shape).part(whole))
        radius = evidence.radius
        mean, inverse = self._statistics(radius)
        mask_mean = _box(mask, radius)
        shared = _box(self.rgb * mask, radius) - mean * mask_mean
        slope = (inverse * shared[..., None, :]).sum(-1)
        offset = mask_mean - (slope * mean).sum(-1, keepdim=True)
        return _box(torch.cat((slope, offset), -1), radius) / _SCALE.to(slope.device)

    def _statistics(self, radius: int) -> tuple[Tensor, Tensor]:
        """Means (h, w, 3) and the inverse covariances (h, w, 3, 3)."""
        if radius not in self._windows:
            products = (self.rgb[..., :, None] * self.rgb[..., None, :]).flatten(-2)
            mean = _box(self.rgb, radius)
            spread = _box(products, radius).unflatten(-1, (3, 3))
            spread = spread - mean[..., :, None] * mean[..., None, :]
            spread = spread + EPSILON * torch.eye(3, device=spread.device)
            self._windows[radius] = mean, _inverse(spread)
        return self._windows[radius]


_SCALE = torch.tensor((255.0, 255.0, 255.0, 1.0))


def fine(photo: Tensor, guide: Guide, evidence: Evidence, turn: Turn) -> Tensor:
    """(H, W) uint8 of a mask that has a boundary."""
    shape = photo.shape[0], photo.shape[1]
    model = Stretched(guide.model(evidence, turn.send(evidence.logits)), shape)
    band = Stretched(turn.send(evidence.band)[..., None], shape)
    rows, columns = (_nearest(*sides) for sides in zip(shape, evidence.inside.shape, strict=True))
    inside = turn.send(evidence.inside)
    across = turn.send(columns)
    out = torch.empty(shape, dtype=torch.uint8, device=photo.device)
    for part in strips((slice(0, shape[0]), slice(0, shape[1]))):
        line = model.part(part)
        value = (line[..., :3] * photo[part].float()).sum(-1) + line[..., 3]
        t = ((value - LOW) / (HIGH - LOW)).clamp(0, 1)
        new = t * t * (3 - 2 * t) * 255
        stairs = inside[turn.send(rows[part[0]])][:, across].float()
        out[part] = (stairs + (new - stairs) * band.part(part)[..., 0] + 0.5).to(torch.uint8)
    return out


def soft(evidence: Evidence, shape: tuple[int, int], turn: Turn) -> Tensor:
    """(H, W) uint8: the logits stretched, through the sigmoid."""
    logits = turn.send(evidence.logits).clamp(-SOFT, SOFT)
    ramp = Stretched(logits[..., None], shape)
    out = torch.empty(shape, dtype=torch.uint8, device=logits.device)
    for part in strips((slice(0, shape[0]), slice(0, shape[1]))):
        alpha = torch.sigmoid(ramp.part(part)[..., 0]) * 255
        out[part] = (alpha + 0.5).to(torch.uint8)
    return out


def _nearest(full: int, cells: int) -> NDArray[np.int64]:
    place = ((np.arange(full) + 0.5) * cells / full).astype(np.int64)
    return np.minimum(place, cells - 1)


def _inverse(m: Tensor) -> Tensor:
    """Of symmetric (..., 3, 3), in closed form."""
    a, b, c = m[..., 0, 0], m[..., 0, 1], m[..., 0, 2]
    d, e, f = m[..., 1, 1], m[..., 1, 2], m[..., 2, 2]
    first, second, third = d * f - e * e, e * c - b * f, b * e - d * c
    share = 1 / (first * a + second * b + third * c)
    rows = (
        (first, second, third),
        (second, a * f - c * c, c * b - a * e),
        (third, c * b - a * e, a * d - b * b),
    )
    flat = torch.stack([value for row in rows for value in row], -1)
    return (flat * share[..., None]).unflatten(-1, (3, 3))


def _box(values: Tensor, radius: int) -> Tensor:
    """Means of windows of an (h, w, C), borders mirrored with the edge repeated."""
    for side in (0, 1):
        size = values.shape[side]
        place = torch.arange(-radius, size + radius, device=values.device) % (2 * size)
        values = values.index_select(side, torch.where(place < size, place, 2 * size - 1 - place))
    window = 2 * radius + 1
    means = F.avg_pool2d(values.permute(2, 0, 1)[None], window, stride=1)
    return means[0].permute(1, 2, 0)
