"""Text in Pillow's own font, which knows little more than ASCII: other words are replaced."""

import unicodedata
from functools import lru_cache

from PIL import Image, ImageDraw, ImageFont

Font = ImageFont.FreeTypeFont

ELLIPSIS = "..."
_NO_CHARACTER = "\U0010ffff"


@lru_cache
def font(size: int) -> Font:
    """The bundled font at `size` pixels."""
    loaded = ImageFont.load_default(size=size)
    if not isinstance(loaded, ImageFont.FreeTypeFont):
        raise RuntimeError("Pillow was built without FreeType, so it cannot draw text by size")
    return loaded


def drawable(text: str, instead: str) -> str:
    """`text` without accents where the font has all its letters, else `instead`."""
    plain = unicodedata.normalize("NFKD", text)
    plain = "".join(c for c in plain if not unicodedata.combining(c)).strip()
    return plain if plain and all(map(_has_glyph, plain)) else instead


@lru_cache(maxsize=1024)
def _has_glyph(character: str) -> bool:
    if character == " ":
        return True
    return character.isprintable() and _drawn(character) != _drawn(_NO_CHARACTER)


def _drawn(character: str) -> bytes:
    image = Image.new("L", (48, 48))
    ImageDraw.Draw(image).text((4, 4), character, 255, font(24))
    return image.tobytes()


def fitted(text: str, size: int, width: float) -> str:
    """`text`, cut with an ellipsis so that it is at most `width` pixels long."""
    face = font(size)
    if face.getlength(text) <= width:
        return text
    while text and face.getlength(text + ELLIPSIS) > width:
        text = text[:-1]
    return text.rstrip() + ELLIPSIS


def wrapped(text: str, size: int, width: float, lines: int) -> list[str]:
    """`text` in at most `lines` lines of at most `width` pixels; the last one may be cut."""
    face = font(size)
    done: list[str] = []
    rest = text.split()
    while rest and len(done) < lines - 1:
        count = 1
        while count < len(rest) and face.getlength(" ".join(rest[: count + 1])) <= width:
            count += 1
        done.append(fitted(" ".join(rest[:count]), size, width))
        rest = rest[count:]
    return [*done, fitted(" ".join(rest), size, width)] if rest else done
