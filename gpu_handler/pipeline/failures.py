"""Why one photo failed, as its owner and the API are told."""

import logging

from gpu_handler.devices.errors import DeviceExhausted, DeviceLost
from gpu_handler.imaging.decode import MAX_BYTES, ImageError, ImageErrorCode
from shared.keys import InvalidKey
from shared.messages import ItemError
from shared.objects import ObjectChanged, ObjectMissing, ObjectTooLarge, StorageUnavailable

log = logging.getLogger(__name__)


def describe(error: Exception) -> ItemError:
    """A stable code and a sentence for a person; never the text of an unforeseen error.

    Unforeseen errors are logged whole, here and nowhere else.
    """
    match error:
        case ImageError():
            return ItemError(error.code, error.message)
        case ObjectMissing():
            return ItemError("INPUT_MISSING", "The photo is not in the storage. Upload it again.")
        case ObjectChanged():
            message = "The photo was replaced after its upload was confirmed. Make a new job."
            return ItemError("INPUT_CHANGED", message)
        case ObjectTooLarge():
            message = f"The file is too large; at most {MAX_BYTES >> 20} MB are taken."
            return ItemError(ImageErrorCode.IMAGE_TOO_LARGE, message)
        case StorageUnavailable():
            log.warning("storage: %s", error)
            message = "The storage did not answer. This is our fault; try again in a while."
            return ItemError("STORAGE_UNAVAILABLE", message, retryable=error.retryable)
        case InvalidKey():
            log.warning("refused key: %s", error)
            return ItemError("INVALID_KEY", "The photo's storage keys do not belong to its job.")
        case DeviceExhausted():
            log.warning("device memory: %s", error)
            message = "There was not enough memory on the device for this photo. Try it again."
            return ItemError("DEVICE_EXHAUSTED", message, retryable=True)
        case DeviceLost():
            # Logged once, where it was noticed.
            message = (
                "The device failed while this job was worked on. This is our fault; try again."
            )
            return ItemError("DEVICE_LOST", message, retryable=True)
        case _:
            log.error("photo failed", exc_info=error)
            message = "Something went wrong while this photo was worked on. Try it again."
            return ItemError("INTERNAL_ERROR", message, retryable=True)
