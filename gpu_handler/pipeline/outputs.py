"""The objects that one finished photo leaves in the store."""

import msgspec
from msgspec import Struct

from gpu_handler.imaging.png import encode_mask_png, encode_png
from gpu_handler.imaging.preview import encode_preview
from gpu_handler.pipeline.photo import PaintedPhoto
from shared.keys import InvalidKey, KeyKind, instances_key, mask_key, parse_key
from shared.messages import ItemMessage, JobMessage

PREVIEW_SIDE = 1600


class Output(Struct, frozen=True):
    """One object to store."""

    key: str
    body: bytes
    content_type: str


def check_keys(message: JobMessage, item: ItemMessage) -> None:
    """Raises InvalidKey unless all keys of the item are those of its user, job and number."""
    expected = (
        (KeyKind.INPUT, item.input_key),
        (KeyKind.OUTPUT, item.output_key),
        (KeyKind.PREVIEW, item.preview_key),
    )
    for kind, key in expected:
        found = parse_key(key)
        if found.kind is not kind:
            raise InvalidKey(f"not a key for the {kind}: {key}")
        if (found.user, found.job, found.idx) != (message.user_id, message.job_id, item.idx):
            raise InvalidKey(f"key of another item: {key}")


def encode_outputs(message: JobMessage, item: ItemMessage, photo: PaintedPhoto) -> list[Output]:
    """Masks and findings first, the result last: where it is, the rest is on its way."""
    user, job, idx = message.user_id, message.job_id, item.idx
    masks = [
        Output(mask_key(user, job, idx, concept), encode_mask_png(alpha), "image/png")
        for concept, alpha in photo.masks.items()
    ]
    findings = msgspec.json.encode(photo.findings)
    return [
        *masks,
        Output(instances_key(user, job, idx), findings, "application/json"),
        Output(item.preview_key, encode_preview(photo.pixels, PREVIEW_SIDE), "image/jpeg"),
        Output(item.output_key, encode_png(photo.pixels), "image/png"),
    ]
