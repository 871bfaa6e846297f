"""One photo, answered inline: for the Runpod console, endpoint tests and a quick look."""

import base64
import binascii
import re
from collections.abc import Sequence

import msgspec
from msgspec import Struct

from gpu_handler.devices.errors import DeviceExhausted, DeviceLost
from gpu_handler.fetch import Fetcher, FetchError
from gpu_handler.imaging.decode import MAX_BYTES, ImageError
from gpu_handler.imaging.png import encode_png
from gpu_handler.imaging.preview import encode_preview
from gpu_handler.inputs import InlineRequest, InputRefused, invalid
from gpu_handler.pipeline.failures import describe
from gpu_handler.pipeline.findings import FoundInstance, Kept
from gpu_handler.pipeline.photo import PaintedPhoto, look, paint
from gpu_handler.pipeline.plan import Plan, make_plan
from gpu_handler.pipeline.stopping import StopSign
from gpu_handler.pipeline.stopwatch import Stopwatch
from gpu_handler.pipeline.worker import Worker
from shared.messages import ItemWarning
from shared.presets import UnknownPreset, find_preset
from shared.rules import ConceptRule, InvalidRules, Problem, ResolvedRules, resolve_rules

MAX_RESULT_BYTES = 4_000_000
"""Before base64 makes it a third larger; with a preview the answer stays below 8 MB."""

PNG_PIXELS = 1_500_000
"""More of them hardly ever fit into MAX_RESULT_BYTES as PNG: it is not tried."""

SMALLER_SIDES = (4096, 2800, 2000, 1400)
PREVIEW_SIDE = 1024
RESULT_QUALITY = 92

_DATA_URL = re.compile(r"data:[\w.+/-]*(?:;[\w=.+-]+)*;base64,", re.IGNORECASE)


class ShownInstance(FoundInstance, frozen=True, kw_only=True):
    """An instance with the concept that it is one of."""

    concept: str


class InlineAnswer(Struct, frozen=True):
    """Width and height are the photo's; a result that had to be made smaller has a warning.

    `result_format` is png or jpeg; `rules` are the values that the request came to.
    """

    engine: str
    width: int
    height: int
    instances: list[ShownInstance]
    rules: dict[str, ConceptRule]
    protect: Kept
    warnings: list[ItemWarning]
    timings: dict[str, float]
    result_format: str
    result_base64: str
    preview_base64: str


class _Result(Struct, frozen=True):
    format: str
    body: bytes
    preview: bytes
    warnings: tuple[ItemWarning, ...] = ()


async def answer(worker: Worker, fetcher: Fetcher, request: InlineRequest) -> InlineAnswer:
    """Do what a job does to one photo, and hand everything back. Raises InputRefused."""
    plan, resolved = _plan(request)
    watch = Stopwatch()
    try:
        with watch.stage("download"):
            data = await _photo_bytes(fetcher, request)
        async with watch.queued(worker.darkroom):
            seen = await look(worker, data, plan, StopSign(), watch)
            async with watch.queued(worker.easels):
                photo = await paint(worker, seen, plan, watch)
                result = await worker.lanes.pixels(watch.timed("encode", _encode, photo))
    except (FetchError, ImageError) as error:
        raise InputRefused(error.code, error.message) from error
    except (DeviceExhausted, DeviceLost) as error:
        told = describe(error)
        raise InputRefused(told.code, told.message) from error
    decided = [ItemWarning(w.code, w.message, w.concept) for w in resolved.warnings]
    return _answer(photo, result, decided, resolved.concepts, watch.timings())


def _plan(request: InlineRequest) -> tuple[Plan, ResolvedRules]:
    try:
        preset = find_preset(request.preset)
        resolved = resolve_rules(
            preset, request.concepts, request.protect, protect_defaults=request.protect_defaults
        )
    except UnknownPreset as error:
        raise invalid("preset", f"{error}; known are {', '.join(error.suggestions)}") from error
    except InvalidRules as error:
        raise InputRefused("INVALID_INPUT", _all_of(error.problems)) from error
    return make_plan(preset.id, resolved.concepts, resolved.protect), resolved


def _all_of(problems: Sequence[Problem]) -> str:
    return "; ".join(
        f"field {p.path}: {p.message}"
        + (f" (try {', '.join(p.suggestions)})" if p.suggestions else "")
        for p in problems
    )


async def _photo_bytes(fetcher: Fetcher, request: InlineRequest) -> bytes:
    match request.image_url, request.image_base64:
        case str(url), None:
            return await fetcher.fetch(url)
        case None, str(text):
            return _unpack(text)
        case None, None:
            raise invalid("image_url", "give this or image_base64")
        case _:
            raise invalid("image_url", "give this or image_base64, not both")


def _unpack(text: str) -> bytes:
    """Base64 with or without a `data:` prefix and line breaks."""
    if len(text) > MAX_BYTES * 3 // 2:
        raise InputRefused("IMAGE_TOO_LARGE", f"at most {MAX_BYTES >> 20} MB are taken")
    head = _DATA_URL.match(text, 0, 200)
    packed = "".join(text[head.end() if head else 0 :].split())
    try:
        return base64.b64decode(packed, validate=True)
    except (binascii.Error, ValueError) as error:
        raise invalid("image_base64", "is not base64") from error


def _encode(photo: PaintedPhoto) -> _Result:
    """The result as large as fits, and a preview."""
    pixels, preview = photo.pixels, encode_preview(photo.pixels, PREVIEW_SIDE)
    longest = max(pixels.shape[:2])
    if pixels.shape[0] * pixels.shape[1] <= PNG_PIXELS:
        body = encode_png(pixels)
        if len(body) <= MAX_RESULT_BYTES:
            return _Result("png", body, preview)
    for side in (longest, *(s for s in SMALLER_SIDES if s < longest)):
        body = encode_preview(pixels, side, RESULT_QUALITY)
        if len(body) <= MAX_RESULT_BYTES:
            return _Result("jpeg", body, preview, () if side == longest else (_smaller(side),))
    return _Result("jpeg", preview, preview, (_smaller(PREVIEW_SIDE),))


def _smaller(side: int) -> ItemWarning:
    message = f"The result was made smaller to fit this answer: {side} pixels on the longest side."
    return ItemWarning("RESULT_REDUCED", message)


def _answer(
    photo: PaintedPhoto,
    result: _Result,
    decided: list[ItemWarning],
    rules: dict[str, ConceptRule],
    timings: dict[str, float],
) -> InlineAnswer:
    findings = photo.findings
    return InlineAnswer(
        engine=findings.engine,
        width=findings.width,
        height=findings.height,
        instances=[
            ShownInstance(**msgspec.structs.asdict(instance), concept=name)
            for name, concept in findings.concepts.items()
            for instance in concept.instances
        ],
        rules=rules,
        protect=findings.protect,
        warnings=[*decided, *findings.warnings, *result.warnings],
        timings=timings,
        result_format=result.format,
        result_base64=base64.b64encode(result.body).decode(),
        preview_base64=base64.b64encode(result.preview).decode(),
    )
