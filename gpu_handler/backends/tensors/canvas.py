"""One photo on a device, and the picture that is painted from it."""

import math
from collections.abc import Sequence
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gpu_handler.backends.base import Brush, Cover, Edges, FillBrush, Proof
from gpu_handler.backends.edges import WORK, weigh
from gpu_handler.backends.tensors import refining
from gpu_handler.backends.tensors.painting import paint_of, sources
from gpu_handler.backends.tensors.stretching import Part, Stretched, read, strips
from gpu_handler.backends.tensors.turn import Turn
from gpu_handler.imaging.pixels import Alpha, Floats, Pixels, shrink

_SAMPLES = 20_000
_SURE = 243  # alpha from which a pixel shows the surface and nothing else


class TensorCover:
    """(H, W) uint8 on the device."""

    def __init__(self, alpha: Tensor, turn: Turn) -> None:
        self.alpha, self._turn = alpha, turn

    def host(self) -> Alpha:
        with self._turn.work():
            return self._turn.fetch(self.alpha)

    @cached_property
    def occupied(self) -> Part | None:
        """The rows and columns outside of which it is 0; None where it is 0 everywhere."""
        rows = self.alpha.any(1).nonzero()
        if not len(rows):
            return None
        columns = self.alpha.any(0).nonzero()
        return (
            slice(int(rows[0]), int(rows[-1]) + 1),
            slice(int(columns[0]), int(columns[-1]) + 1),
        )


class TensorCanvas:
    """On the device 3 bytes a pixel for the photo, 3 for the picture once it is painted on, 3 for
    the first photo once that is settled, 1 for each cover, and 180 MB at most for the strips that
    are worked on: 0.7 GB for 50 MP with two covers."""

    def __init__(self, photo: Pixels, turn: Turn) -> None:
        if photo.ndim != 3 or photo.shape[2] != 3 or photo.dtype != np.uint8 or not photo.size:
            raise ValueError(f"not a photo: {photo.dtype} {photo.shape}")
        self._turn = turn
        # Planning reads small pictures, the same ones on every backend: made here, of the array.
        self._host: Pixels | None = photo
        self._host_picture: Pixels | None = None
        with turn.work():
            self._first = self._photo = turn.send(photo)
        self._picture: Tensor | None = None
        self._guide: refining.Guide | None = None

    @property
    def shape(self) -> tuple[int, int]:
        return self._photo.shape[0], self._photo.shape[1]

    def refine(self, logits: Floats, edges: Edges = Edges.FINE) -> Cover:
        small = self.small(WORK) if self._guide is None else None
        with self._turn.work():
            if self._guide is None and small is not None:
                self._guide = refining.Guide(small, self._turn)
            assert self._guide is not None
            evidence = weigh(logits, self._guide.longest_side)
            if edges is Edges.SOFT:
                return self._cover(refining.soft(evidence, self.shape, self._turn))
            if (value := evidence.constant) is not None:
                return self._cover(self._filled(value))
            return self._cover(refining.fine(self._photo, self._guide, evidence, self._turn))

    def stretch(self, alpha: Alpha) -> Cover:
        if alpha.ndim != 2 or alpha.dtype != np.uint8 or not alpha.size:
            raise ValueError(f"not an alpha: {alpha.dtype} {alpha.shape}")
        with self._turn.work():
            sent = self._turn.send(alpha)
            if alpha.shape == self.shape:
                return self._cover(sent)
            large, out = Stretched(sent.float()[..., None], self.shape), self._filled(0)
            for part in strips(self._whole):
                out[part] = (large.part(part)[..., 0] + 0.5).to(torch.uint8)
            return self._cover(out)

    def union(self, covers: Sequence[Cover]) -> Cover:
        with self._turn.work():
            out = self._alpha(covers[0])
            for cover in covers[1:]:
                out = torch.maximum(out, self._alpha(cover))
            return self._cover(out)

    def spared(self, cover: Cover, shield: Cover) -> Cover:
        with self._turn.work():
            alpha, guard, out = self._alpha(cover), self._alpha(shield), self._filled(0)
            for part in strips(self._whole):
                keep = (255 - 2 * guard[part].int()).clamp(min=0)
                out[part] = ((2 * alpha[part].int() * keep + 255) // 510).to(torch.uint8)
            return self._cover(out)

    def divided(self, covers: Sequence[Cover]) -> list[Cover]:
        with self._turn.work():
            taken, shares = self._filled(0), list[Cover]()
            for cover in reversed(covers):
                alpha, share = self._alpha(cover), self._filled(0)
                for part in strips(self._whole):
                    room = 255 - taken[part].int()
                    weight = torch.minimum(alpha[part].int(), room)
                    whole = (510 * weight + room) // (2 * room).clamp(min=1)
                    share[part] = torch.where(room > 0, whole, 0).to(torch.uint8)
                    taken[part] += weight.to(torch.uint8)
                shares.append(self._cover(share))
            return shares[::-1]

    def carried(self, cover: Cover, hole: Cover, brush: FillBrush) -> Cover:
        with self._turn.work():
            own, gap = self._alpha(cover), self._alpha(hole)
            out, source = own.clone(), self._turn.send(brush.source)
            x0, y0, x1, y1 = brush.box
            for part in strips((slice(y0, y1), slice(x0, x1))):
                value = read(own[..., None], *sources(brush, source, part))[..., 0]
                carried = (value * gap[part] / 255 + 0.5).to(torch.uint8)
                out[part] = torch.maximum(out[part], carried)
            return self._cover(out)

    def samples(self, cover: Cover, *, painted: bool = False) -> NDArray[np.uint8]:
        with self._turn.work():
            pixels, alpha = self._now() if painted else self._photo, self._alpha(cover)
            for least in (_SURE, 1):
                if count := int(torch.count_nonzero(alpha >= least)):
                    step = max(1, math.isqrt(count // _SAMPLES))
                    taken = pixels[::step, ::step][alpha[::step, ::step] >= least]
                    taken = taken if len(taken) else pixels[alpha >= least]
                    return self._turn.fetch(taken)
            return np.empty((0, 3), np.uint8)

    def small(self, longest_side: int, *, painted: bool = False) -> Pixels:
        if painted and self._picture is not None:
            if self._host_picture is None:
                self._host_picture = self.picture()
            return shrink(self._host_picture, longest_side)
        if self._host is None:
            with self._turn.work():
                self._host = self._turn.fetch(self._photo)
        return shrink(self._host, longest_side)

    def small_cover(self, cover: Cover, longest_side: int) -> Alpha:
        return shrink(cover.host(), longest_side)

    def paint(self, cover: Cover, brush: Brush) -> None:
        with self._turn.work():
            alpha = self._known(cover)
            self._host_picture = None
            if self._picture is None:
                self._picture = self._photo.clone()
            inside = alpha.occupied
            if inside is not None and isinstance(brush, FillBrush):
                inside = _common(inside, brush.box)
            if inside is None:
                return
            paint = paint_of(brush, self._photo, self._turn)
            for part in strips(inside):
                _lay(self._picture[part], paint(part), alpha.alpha[part])

    def settle(self) -> None:
        if self._picture is not None:
            self._photo, self._picture = self._picture, None
            self._guide = None
            self._host, self._host_picture = self._host_picture, None

    def proof(self, shield: Cover) -> Proof:
        with self._turn.work():
            guard, now = self._alpha(shield), self._now()
            found = torch.zeros(3, dtype=torch.int64, device=self._turn.device)
            for part in strips(self._whole):
                inside = guard[part] >= 128
                off = (now[part].short() - self._first[part].short()).abs().amax(-1)
                off = torch.where(inside, off, 0)
                found[0] += inside.sum()
                found[1] += (off > 0).sum()
                found[2] = torch.maximum(found[2], off.max().long())
            total, changed, most = found.tolist()
            return Proof(total, changed, most)

    def picture(self) -> Pixels:
        if self._host_picture is not None:
            return self._host_picture
        with self._turn.work():
            picture = self._turn.fetch(self._now())
        self._host_picture = picture if self._picture is not None else None
        return picture

    @property
    def _whole(self) -> Part:
        return slice(0, self.shape[0]), slice(0, self.shape[1])

    def _now(self) -> Tensor:
        return self._photo if self._picture is None else self._picture

    def _filled(self, value: int) -> Tensor:
        return torch.full(self.shape, value, dtype=torch.uint8, device=self._turn.device)

    def _cover(self, alpha: Tensor) -> TensorCover:
        return TensorCover(alpha, self._turn)

    def _known(self, cover: Cover) -> TensorCover:
        if isinstance(cover, TensorCover):
            return cover
        return self._cover(self._turn.send(cover.host()))

    def _alpha(self, cover: Cover) -> Tensor:
        return self._known(cover).alpha


def _common(part: Part, box: tuple[int, int, int, int]) -> Part | None:
    rows = slice(max(part[0].start, box[1]), min(part[0].stop, box[3]))
    columns = slice(max(part[1].start, box[0]), min(part[1].stop, box[2]))
    empty = rows.start >= rows.stop or columns.start >= columns.stop
    return None if empty else (rows, columns)


def _lay(picture: Tensor, paint: Tensor, cover: Tensor) -> None:
    """Blend in place; what is painted is rounded first."""
    new = (paint + 0.5).floor().clamp(0, 255).int()
    alpha = cover.int()[..., None]
    mixed = (picture.int() * (255 - alpha) + new * alpha + 127) // 255
    picture.copy_(mixed.to(torch.uint8))
