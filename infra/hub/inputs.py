"""Inputs that need nothing but themselves: a small photo of ours, and what to do to it."""

import base64
from typing import Any

from gpu_handler.imaging.preview import encode_preview
from infra.samples.rooms import living_room

SCALE = 0.24
"""484 × 363 pixels: 20 kB, so that a person can still scroll past it in the console."""

QUALITY = 80

SECONDS = 120
"""For one photo, a cold start not counted in: what the Hub allows a test."""


def photo() -> bytes:
    """The sample album's living room as a small JPEG."""
    pixels = living_room(SCALE).pixels
    return encode_preview(pixels, max(pixels.shape[:2]), QUALITY)


def inputs() -> dict[str, dict[str, Any]]:
    """By a name of what is done, the first for the console's Run button."""
    room = base64.b64encode(photo()).decode()
    return {
        "recolor_walls_to_sage": {
            "preset": "interior",
            "concepts": {"Wall": {"action": "recolor", "value": "sage"}},
            "protect": ["Frame_Molding"],
            "image_base64": room,
        },
        "lay_an_oak_floor": {
            "preset": "interior",
            "concepts": {"Floor": {"action": "texture", "value": "oak_a"}},
            "image_base64": room,
        },
    }


def test_input() -> dict[str, Any]:
    """What test_input.json says: the console's input, and the SDK's without a platform."""
    return {"input": next(iter(inputs().values()))}


def tests() -> dict[str, Any]:
    """What .runpod/tests.json says. The tests need no bucket and no weights, but the worker's
    settings have to be there: these values open nothing."""
    return {
        "tests": [
            {"name": name, "input": given, "timeout": SECONDS * 1000}
            for name, given in inputs().items()
        ],
        "config": {
            "gpuTypeId": "NVIDIA GeForce RTX 4090",
            "gpuCount": 1,
            "env": [{"key": key, "value": value} for key, value in _PLACEHOLDERS.items()],
            "allowedCudaVersions": ["13.0"],
        },
    }


_PLACEHOLDERS = {
    "SEGMENTER": "classical",
    "STORAGE_S3_ENDPOINT": "https://storage.invalid",
    "STORAGE_ACCESS_KEY": "placeholder",
    "STORAGE_SECRET_KEY": "placeholder",
    "STORAGE_BUCKET": "s3-images",
    "GPU_CALLBACK_SECRET": "placeholder-that-signs-nothing-0000",
}
