"""Which way a floor's own planks run, where that is not along the room."""

import numpy as np
from numpy.typing import NDArray

from gpu_handler.rules.texture.camera import Camera
from gpu_handler.rules.texture.outline import Outline
from gpu_handler.rules.texture.segments import Segments

_NEAR = np.radians(5.0)  # lines that far apart are of one direction
_ASKEW = np.radians(9.0)  # nearer to the room's own directions, the room's are taken
_ENOUGH = 0.6  # length of the floor's lines in longest sides of the photo
_MOST = 0.5  # share of them that has to run the same way


def own_turn(segments: Segments, mask: Outline, camera: Camera) -> float:
    """Radians from the room's depth to its right, 0..pi, in which the lines on a level surface
    run: 0 unless most of them run askew to the room."""
    height, width = camera.shape
    size, (x, y) = max(height, width), camera.centre
    ends = np.stack((segments.starts, segments.ends)) * size + (x, y)
    inside = _inside(mask, ends.mean(0)) & (segments.lengths > 0)
    pixels = np.concatenate((ends, np.ones((*ends.shape[:2], 1))), 2)
    ways: NDArray[np.float64] = pixels @ camera.rays().T
    seen = inside & (np.abs(ways[..., 1]).min(0) > 0.03)
    weights = segments.lengths[seen]
    if weights.sum() < _ENOUGH:
        return 0.0
    plan = ways[:, seen][..., (2, 0)] / ways[:, seen][..., 1:2]
    along = plan[1] - plan[0]
    angles = np.arctan2(along[:, 1], along[:, 0])
    apart = np.abs(_fold(angles[:, None] - angles, np.pi)) < _NEAR
    votes = weights @ apart
    best = int(votes.argmax())
    middle = _fold(angles[apart[best]] - angles[best], np.pi) @ weights[apart[best]] / votes[best]
    turn = float(angles[best] + middle) % np.pi
    askew = abs(float(_fold(np.array(turn), np.pi / 2))) > _ASKEW
    return turn if askew and votes[best] > _MOST * weights.sum() else 0.0


def _inside(mask: Outline, places: NDArray[np.floating]) -> NDArray[np.bool_]:
    """(n,) whether photo positions (n, 2) are on the mask."""
    rows, columns = mask.inside.shape
    column = np.clip((places[:, 0] + 0.5) / mask.scale[0], 0, columns - 1).astype(np.intp)
    row = np.clip((places[:, 1] + 0.5) / mask.scale[1], 0, rows - 1).astype(np.intp)
    return np.asarray(mask.inside[row, column], np.bool_)


def _fold(angles: NDArray[np.floating], period: float) -> NDArray[np.floating]:
    """Into -period / 2..period / 2."""
    return (angles + period / 2) % period - period / 2
