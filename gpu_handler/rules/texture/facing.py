"""Surfaces seen from the front: things on their own, and walls of which nothing else is known."""

import numpy as np

from gpu_handler.backends.base import Plane
from gpu_handler.rules.texture.ground import CEILING
from gpu_handler.rules.texture.outline import Outline
from gpu_handler.rules.texture.surfaces import Lie

THING = 0.3
"""Metres that the longer side of a thing is taken for: bottles, bags, lamps, boxes for sale."""


def facing_plane(mask: Outline, lie: Lie, texels: float) -> Plane:
    """The tile parallel to the picture; `texels` are those of one metre.

    Something upright is taken to be as high as a room. The tile begins at the lower left corner
    of the mask, as one who lays it would.
    """
    x0, y0, x1, y1 = mask.box()
    metres = CEILING / (y1 - y0) if lie is not Lie.BODY else THING / max(x1 - x0, y1 - y0)
    size = metres * texels
    return Plane(np.array(((size, 0, -size * x0), (0, size, -size * y1), (0, 0, 1.0))))
