"""What is kept of each photo: files in the output folder, and what the contact sheet shows."""

import re
from io import BytesIO
from pathlib import Path

import numpy as np
from msgspec import Struct
from PIL import Image

from gpu_handler.imaging.decode import ImageError, decode_image
from gpu_handler.imaging.pixels import shrink
from infra.client import ItemDetail
from infra.demo.albums import Photo
from infra.demo.refusal import Refused
from infra.demo.sheet import SheetPhoto
from shared.keys import concept_slug

SHOWN_SIDE = 1200
"""Pixels; longer sides are shrunk for the contact sheet."""

_OURS = re.compile(
    r"\d\d_(before(\.\w+)?|result\.png|preview\.jpg|instances\.json|mask_[\w-]+\.png)"
)


class Files(Struct, frozen=True, eq=False):
    """The bytes of one photo's results; None and empty where it failed."""

    result: bytes | None = None
    preview: bytes | None = None
    instances: bytes | None = None
    masks: dict[str, bytes] = {}


def prepare_folder(folder: Path) -> None:
    """Make it and take away what an earlier demo left in it, and nothing else. Raises Refused."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path in folder.iterdir():
            if _OURS.fullmatch(path.name) and path.is_file():
                path.unlink()
        probe = folder / ".writable"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise Refused(f"OUTPUT: {folder} cannot be written to: {error.strerror}") from error


def save_files(folder: Path, idx: int, photo: Photo, before: bytes, files: Files) -> None:
    """As `00_before.jpg`, `00_result.png`, `00_preview.jpg`, `00_mask_Wall.png` and so on."""
    suffix = photo.suffix if re.fullmatch(r"\.\w+", photo.suffix) else ""
    named = {
        f"before{suffix}": before,
        "result.png": files.result,
        "preview.jpg": files.preview,
        "instances.json": files.instances,
    }
    named |= {f"mask_{concept_slug(name)}.png": mask for name, mask in files.masks.items()}
    for name, data in named.items():
        if data is not None:
            (folder / f"{idx:02d}_{name}").write_bytes(data)


def sheet_photo(
    idx: int, photo: Photo, before: bytes, files: Files, detail: ItemDetail
) -> SheetPhoto:
    """The same in pictures small enough to keep for all photos at once."""
    item, report = detail.item, detail.item.report
    return SheetPhoto(
        number=idx,
        name=photo.name,
        before=_decoded(before),
        after=None if files.preview is None else _opened(files.preview, "RGB"),
        masks={name: _opened(mask, "L") for name, mask in files.masks.items()},
        size=None if report is None else (report.width, report.height),
        instances={} if report is None else report.instances,
        engine="" if report is None else report.engine,
        seconds=None if item.timings is None else item.timings.get("total"),
        protected_pixels=0 if report is None else report.protected_pixels,
        protected_pixels_changed=0 if report is None else report.protected_pixels_changed,
        error=item.error if item.error or item.status == "done" else "no reason was given",
    )


def _decoded(data: bytes) -> Image.Image | None:
    """As the worker sees the photo: upright and in sRGB; None for what is no picture."""
    try:
        return Image.fromarray(shrink(decode_image(data).pixels, SHOWN_SIDE))
    except ImageError:
        return None


def _opened(data: bytes, mode: str) -> Image.Image:
    with Image.open(BytesIO(data)) as image:
        pixels = np.asarray(image.convert(mode), np.uint8)
    return Image.fromarray(shrink(pixels, SHOWN_SIDE))
