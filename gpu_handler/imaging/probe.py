"""What a file says it is, read from its own bytes before anything is allocated for its pixels."""

from gpu_handler.imaging.errors import ImageError, ImageErrorCode, truncated
from gpu_handler.imaging.headers import (
    PNG_SIGNATURE,
    Header,
    ImageFormat,
    check_heif_boxes,
    jpeg_header,
    png_header,
    webp_header,
)
from gpu_handler.imaging.limits import MAX_BYTES, MAX_PIXELS, MAX_SIDE

_JPEG = b"\xff\xd8\xff"
_HEVC_BRANDS = frozenset((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"))
_HEIF_BRANDS = _HEVC_BRANDS | {b"mif1", b"msf1", b"mif2"}

_OTHERS = (
    (b"GIF8", "a GIF"),
    (b"%PDF", "a PDF document"),
    (b"BM", "a BMP picture"),
    (b"II*\x00", "a TIFF or raw camera file"),
    (b"MM\x00*", "a TIFF or raw camera file"),
    (b"\xff\x0a", "a JPEG XL picture"),
    (b"\x00\x00\x00\x0cJXL ", "a JPEG XL picture"),
    (b"\x00\x00\x00\x0cjP  ", "a JPEG 2000 picture"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"<svg", "an SVG drawing"),
    (b"<?xml", "an XML or SVG file"),
    (b"<", "a web page"),
)


def probe(data: bytes) -> Header | None:
    """Format and size of a file; None for HEIF, whose size only its own library can tell.

    Raises ImageError for what is empty, too large, cut off or of another kind.
    """
    if not data:
        raise ImageError(ImageErrorCode.EMPTY_FILE, "The file is empty.")
    if len(data) > MAX_BYTES:
        message = f"The file has {len(data) >> 20} MB; at most {MAX_BYTES >> 20} MB are taken."
        raise ImageError(ImageErrorCode.IMAGE_TOO_LARGE, message)
    match sniff(data):
        case ImageFormat.JPEG:
            header = jpeg_header(data)
        case ImageFormat.PNG:
            header = png_header(data)
        case ImageFormat.WEBP:
            header = webp_header(data)
        case ImageFormat.HEIF:
            check_heif_boxes(data)
            return None
    check_size(header.width, header.height)
    return header


def check_size(width: int, height: int) -> None:
    """Refuse sides and areas that are not a photo's; the figures are those the file claims."""
    if width < 1 or height < 1:
        raise ImageError(ImageErrorCode.IMAGE_CORRUPT, "The picture claims to have no pixels.")
    if max(width, height) > MAX_SIDE or width * height > MAX_PIXELS:
        message = (
            f"The picture has {width} x {height} pixels; at most {MAX_PIXELS // 1_000_000} "
            f"megapixels and {MAX_SIDE} pixels a side are taken."
        )
        raise ImageError(ImageErrorCode.IMAGE_TOO_LARGE, message)


def sniff(data: bytes) -> ImageFormat:
    """The format by its first bytes; the name and type that came with a file are never asked."""
    if data.startswith(_JPEG):
        return ImageFormat.JPEG
    if data.startswith(PNG_SIGNATURE):
        return ImageFormat.PNG
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return ImageFormat.WEBP
    if data[4:8] == b"ftyp" and _is_hevc(data):
        return ImageFormat.HEIF
    if _JPEG.startswith(data) or PNG_SIGNATURE.startswith(data):
        raise truncated()
    message = f"JPEG, PNG, WebP and HEIC photos are taken; this is {_kind(data)}."
    raise ImageError(ImageErrorCode.UNSUPPORTED_IMAGE, message)


def _kind(data: bytes) -> str:
    if data[4:8] == b"ftyp":
        return "an AVIF picture" if data[8:12] == b"avif" else "a video or a raw camera file"
    text = data[:64].removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    for magic, kind in _OTHERS:
        if data.startswith(magic) or text.startswith(magic):
            return kind
    return "something else"


def _is_hevc(data: bytes) -> bool:
    """`mif1` alone says nothing of the codec: an AVIF file carries it as well."""
    end = min(int.from_bytes(data[:4]), 256)
    brands = {data[8:12], *(data[i : i + 4] for i in range(16, end, 4))}
    return bool(brands & _HEIF_BRANDS) and (bool(brands & _HEVC_BRANDS) or b"avif" not in brands)
