"""Why a file is not a photo that can be worked on."""

from enum import StrEnum


class ImageErrorCode(StrEnum):
    EMPTY_FILE = "EMPTY_FILE"
    UNSUPPORTED_IMAGE = "UNSUPPORTED_IMAGE"  # not JPEG, PNG, WebP or HEIC, or a rare kind of these
    IMAGE_TOO_LARGE = "IMAGE_TOO_LARGE"  # bytes, pixels or side above the limit
    IMAGE_TRUNCATED = "IMAGE_TRUNCATED"  # the upload broke off
    IMAGE_CORRUPT = "IMAGE_CORRUPT"  # the right format, but it does not decode


class ImageError(Exception):
    """A file that was refused. `message` is a sentence for the person who sent it."""

    def __init__(self, code: ImageErrorCode, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


def truncated() -> ImageError:
    return ImageError(
        ImageErrorCode.IMAGE_TRUNCATED, "The file ends too early: its upload was cut off."
    )


def corrupt(what: str) -> ImageError:
    return ImageError(ImageErrorCode.IMAGE_CORRUPT, f"The picture is damaged: {what}.")
