"""The third picture of a row: the photo in grey with each concept's mask in its own colour."""

from collections.abc import Mapping

from PIL import Image, ImageChops, ImageFilter

from infra.demo.sheet.canvas import hatched

COLORS = (
    "#2F7FD6",
    "#F08A24",
    "#3FA34D",
    "#C8489B",
    "#E5B800",
    "#7B5CD6",
    "#1FA8A0",
    "#E0533D",
    "#8A5A3C",
    "#6FBF2B",
    "#D98AAF",
    "#52677D",
)
_FILL = 0.52
_GREY_FLOOR = 58


def concept_colors(concepts: list[str]) -> dict[str, str]:
    """A colour for each concept, the same for the whole sheet; they repeat after twelve."""
    return {concept: COLORS[place % len(COLORS)] for place, concept in enumerate(concepts)}


def overlaid(
    photo: Image.Image,
    masks: Mapping[str, Image.Image],
    colors: Mapping[str, str],
    protected: frozenset[str],
) -> Image.Image:
    """RGB, as large as `photo`. Protected concepts lie on top and are hatched."""
    base = photo.convert("L").point(
        [_GREY_FLOOR + v * (255 - _GREY_FLOOR) // 255 for v in range(256)]
    )
    result = base.convert("RGB")
    for concept in sorted(masks, key=lambda name: name in protected):
        mask = masks[concept].convert("L").resize(photo.size, Image.Resampling.BOX)
        _paint(result, mask, colors[concept], hatch=concept in protected)
    return result


def _paint(image: Image.Image, mask: Image.Image, color: str, *, hatch: bool) -> None:
    image.paste(color, (0, 0), mask.point([round(v * _FILL) for v in range(256)]))
    if hatch:
        image.paste("#FFFFFF", (0, 0), hatched(mask).point([v * 3 // 4 for v in range(256)]))
    image.paste(color, (0, 0), outline(mask))


def outline(mask: Image.Image) -> Image.Image:
    """(L) a line two pixels wide along the border of a mask."""
    return ImageChops.subtract(
        mask.filter(ImageFilter.MaxFilter(3)), mask.filter(ImageFilter.MinFilter(3))
    )
