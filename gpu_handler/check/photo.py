"""A photo that nobody took, decoded, painted and encoded by the parts that real ones go through."""

import cv2
import numpy as np
from msgspec import Struct

from gpu_handler.imaging.decode import ImageError, decode_image
from gpu_handler.imaging.pixels import Pixels
from gpu_handler.imaging.png import encode_png
from gpu_handler.imaging.preview import encode_preview
from gpu_handler.pipeline.brushwork import Brushwork
from gpu_handler.pipeline.photo import PaintedPhoto, SeenPhoto, apply
from gpu_handler.pipeline.plan import make_plan
from gpu_handler.segment.base import Instance, Segmentation
from shared.actions import Action, ConceptRule

WIDTH, HEIGHT = 320, 240
EDGE = WIDTH // 2
"""Left of it is wall, right of it a moulding that is protected."""

_GRID = 288  # what SAM3's masks come in, so that their way to full size is part of it
_MARGIN = 24
"""Pixels beside the edge that are not looked at: there the mask follows the photo, not the grid."""


class CheckFailed(Exception):
    """A part does not do what it is there for. `str()` is one line: the part, and what it did."""


class Proof(Struct, frozen=True):
    """`backend` painted, `painted` is the share of the wall that took the paint, 0 to 1."""

    backend: str
    painted: float


def prove(brushwork: Brushwork) -> Proof:
    """Take a synthetic photo the whole way but for the search, which each engine does at its own
    price. The first call compiles what later ones use.

    Raises CheckFailed, and what a lost device raises.
    """
    photo = _decoded(encode_preview(_drawn(), WIDTH, 95))
    painted = _painted(brushwork, photo)
    _check_encoder(painted.pixels)
    wall, moulding = np.s_[:, : EDGE - _MARGIN], np.s_[:, EDGE + _MARGIN :]
    if not np.array_equal(painted.pixels[moulding], photo[moulding]):
        raise CheckFailed("paint: a protected pixel changed")
    share = float((painted.pixels[wall] != photo[wall]).any(axis=2).mean())
    if share < 0.9:
        raise CheckFailed(f"paint: {share:.0%} of the wall took the colour")
    return Proof(brushwork.backends[0].name, round(share, 3))


def _drawn() -> Pixels:
    """A bright wall that falls into shade, and a dark moulding beside it: (H, W, 3) uint8 sRGB."""
    light = np.linspace(0.75, 1.0, HEIGHT, dtype=np.float32)[:, None, None]
    colours = np.empty((HEIGHT, WIDTH, 3), np.float32)
    colours[:, :EDGE] = (214, 205, 190)
    colours[:, EDGE:] = (96, 72, 58)
    return np.asarray(colours * light, np.uint8)


def _decoded(data: bytes) -> Pixels:
    try:
        pixels = decode_image(data).pixels
    except ImageError as error:
        raise CheckFailed(f"decode: {error.code}") from error
    if pixels.shape != (HEIGHT, WIDTH, 3):
        raise CheckFailed(f"decode: {pixels.shape}")
    return pixels


def _painted(brushwork: Brushwork, photo: Pixels) -> PaintedPhoto:
    plan = make_plan("interior", {"Wall": ConceptRule(Action.RECOLOR, "sage")}, ["Frame_Molding"])
    found = [_found("Wall", 0, EDGE), _found("Frame_Molding", EDGE, WIDTH)]
    return apply(brushwork, "check", SeenPhoto(photo, found, []), plan)


_ACTIONS = (
    ConceptRule(Action.RECOLOR, "sage"),
    ConceptRule(Action.TONE, "warm"),
    ConceptRule(Action.TEXTURE, "oak_a"),
    ConceptRule(Action.REMOVE),
)


def rehearse(brushwork: Brushwork) -> None:
    """Every action once, on what the photo shows of a door: what `prove` leaves uncompiled for the
    first photo that needs it, so that a build can keep it. Raises what `prove` raises."""
    photo = _decoded(encode_preview(_drawn(), WIDTH, 95))
    for rule in _ACTIONS:
        plan = make_plan("interior", {"Door": rule}, [])
        spans = {"Wall": (0, WIDTH), "Door": (EDGE - _MARGIN, EDGE + _MARGIN)}
        found = [_found(concept.id, *spans.get(concept.id, (0, 0))) for concept in plan.concepts]
        apply(brushwork, "check", SeenPhoto(photo, found, []), plan)


def _found(concept: str, left: int, right: int) -> Segmentation:
    columns = (np.arange(_GRID) + 0.5) * WIDTH / _GRID
    inside = np.where((columns > left) & (columns < right), 6.0, -6.0)
    logits = np.ascontiguousarray(np.broadcast_to(inside, (_GRID, _GRID)), np.float32)
    box = (left / WIDTH, 0.0, right / WIDTH, 1.0)
    return Segmentation(concept, 1.0, logits, (Instance(1.0, box, logits),))


def _check_encoder(pixels: Pixels) -> None:
    """The PNG says what was painted, to a reader that is not ours."""
    packed = np.frombuffer(encode_png(pixels), np.uint8)
    read = cv2.imdecode(packed, cv2.IMREAD_COLOR_RGB)
    if read is None or not np.array_equal(read, pixels):
        raise CheckFailed("encode: the PNG differs from what was painted")
