"""One 12 MP photo on one core, from its bytes to all outputs, beside the textbook way.

Two masks (a wall and what is protected on it), one recolour; result PNG, 1600 px preview, two mask
PNGs. Finding the masks is left out of both.
"""

import json
import resource
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from gpu_handler.backends.base import Canvas, Edges
from gpu_handler.backends.cpu import CpuBackend
from gpu_handler.imaging.decode import decode_image
from gpu_handler.imaging.pixels import Pixels
from gpu_handler.imaging.png import encode_mask_png, encode_png
from gpu_handler.imaging.preview import encode_preview
from gpu_handler.rules.compose import Layer, compose
from infra.samples import encode_jpeg, simulated_logits
from infra.samples.rooms import living_room
from shared.rules import Recolor, Remove, Texture, Tone, ToneParameters
from tests.benchmarks import textbook
from tests.benchmarks.core import one_core
from tests.benchmarks.table import heading, line, repeated, row

ROUNDS = 7
PLAIN_ROUNDS = 3
TWELVE_MEGAPIXELS = 2.0
PREVIEW = 1600
SAGE = (163, 173, 148)

Logits = NDArray[np.float32]


def run() -> None:
    """Print milliseconds, ratios and memory."""
    sample = living_room(TWELVE_MEGAPIXELS)
    jpeg = encode_jpeg(sample)
    logits = [simulated_logits(sample.masks[name]) for name in ("Wall", "Frame_Molding")]
    height, width = sample.pixels.shape[:2]
    with one_core():
        plain = repeated(lambda: textbook.work(jpeg, logits, SAGE, PREVIEW), PLAIN_ROUNDS)
        heading(f"{width} × {height}, one core, ms", "median", "least", "textbook : it")
        reference = statistics.median(plain)
        row("textbook", reference * 1000, min(plain) * 1000, 1.0)
        for edges in Edges:
            ours = repeated(lambda edges=edges: work(jpeg, logits, edges), ROUNDS)
            median = statistics.median(ours)
            row(f"ours, {edges} edges", median * 1000, min(ours) * 1000, reference / median)
        _stages(jpeg, logits)
        _actions(sample.pixels, simulated_logits(sample.masks["Floor"]), logits[0])
    _memory()


def work(jpeg: bytes, logits: list[Logits], edges: Edges) -> int:
    """What the handler does between download and upload; gives back the bytes to upload."""
    pixels = decode_image(jpeg).pixels
    canvas = CpuBackend().open(pixels)
    wall, trim = (canvas.refine(one, edges) for one in logits)
    composed = compose(canvas, pixels, [Layer("Wall", Recolor(SAGE, "sage"), wall)], [trim])
    picture = canvas.picture()
    outputs = [
        encode_png(picture),
        encode_preview(picture, PREVIEW),
        encode_mask_png(composed.covers["Wall"].host()),
        encode_mask_png(trim.host()),
    ]
    return sum(len(output) for output in outputs)


def _stages(jpeg: bytes, logits: list[Logits]) -> None:
    pixels = decode_image(jpeg).pixels
    canvas = CpuBackend().open(pixels)
    wall = canvas.refine(logits[0])
    picture = canvas.picture()
    heading("of that", "median", "least")
    _step("decode JPEG", lambda: decode_image(jpeg))
    _step("first mask, fine", lambda: CpuBackend().open(pixels).refine(logits[0]))
    _step("next mask, fine", lambda: canvas.refine(logits[0]))
    _step("next mask, soft", lambda: canvas.refine(logits[0], Edges.SOFT))
    _step("PNG of the result", lambda: encode_png(picture))
    _step("preview", lambda: encode_preview(picture, PREVIEW))
    _step("PNG of a mask", lambda: encode_mask_png(wall.host()))


def _actions(pixels: Pixels, floor: Logits, wall: Logits) -> None:
    """A whole rule, planned and painted, its mask and tile at hand."""
    heading("one rule, ms", "median", "least", "% painted")
    for name, rule, logits in (
        ("recolor", Recolor(SAGE, "sage"), wall),
        ("tone, brighter", Tone(ToneParameters(brightness=0.3)), wall),
        ("tone, warmer", Tone(ToneParameters(warmth=0.4)), wall),
        ("texture, oak floor", Texture("oak_a"), floor),
        ("texture, brick wall", Texture("brick_red"), wall),
        ("remove, 12 % of the photo", Remove(), floor),
    ):
        canvas = CpuBackend().open(pixels)
        cover = canvas.refine(logits)
        _step(name, _ruled(canvas, pixels, Layer("Floor", rule, cover)), cover.host().mean() / 2.55)


def _ruled(canvas: Canvas, pixels: Pixels, layer: Layer) -> Callable[[], object]:
    def call() -> object:
        fresh = CpuBackend().open(pixels) if isinstance(layer.rule, Remove) else canvas
        return compose(fresh, pixels, [layer], [])

    return call


def _step(name: str, call: Callable[[], object], *more: float) -> None:
    call()
    seconds = repeated(call, ROUNDS)
    row(name, statistics.median(seconds) * 1000, min(seconds) * 1000, *more)


def _memory() -> None:
    """Peak memory above that of the loaded program, each in a process of its own."""
    heading("peak memory of one photo, MiB", "above start", "bytes a pixel")
    for way in ("fine", "soft", "textbook"):
        told = subprocess.run(
            [sys.executable, "-m", "tests.benchmarks.photo", way],
            capture_output=True,
            text=True,
            check=True,
        )
        figures = json.loads(told.stdout)
        line(way, f"{figures['mib']:.0f}", f"{figures['per_pixel']:.1f}")


def _measure(way: str) -> None:
    """In a process of its own: one small photo to load everything, then the large one."""
    small, large = (living_room(scale) for scale in (0.25, TWELVE_MEGAPIXELS))
    jobs = []
    for sample in (small, large):
        logits = [simulated_logits(sample.masks[name]) for name in ("Wall", "Frame_Molding")]
        jobs.append((encode_jpeg(sample), logits))
    count = large.pixels.shape[0] * large.pixels.shape[1]
    del small, large, sample
    _once(way, *jobs[0])
    _forget_peak()
    before = _resident()
    _once(way, *jobs[1])
    grown = _peak() - before
    print(json.dumps({"mib": grown / 2**20, "per_pixel": grown / count}))


def _once(way: str, jpeg: bytes, logits: list[Logits]) -> None:
    if way == "textbook":
        textbook.work(jpeg, logits, SAGE, PREVIEW)
    else:
        work(jpeg, logits, Edges(way))


def _forget_peak() -> None:
    Path("/proc/self/clear_refs").write_text("5")  # proc(5): resets VmHWM


def _resident() -> int:
    return _status("VmRSS")


def _peak() -> int:
    try:
        return _status("VmHWM")
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _status(name: str) -> int:
    for text in Path("/proc/self/status").read_text().splitlines():
        if text.startswith(name):
            return int(text.split()[1]) * 1024
    raise OSError(name)


if __name__ == "__main__":
    cv2.setNumThreads(1)
    _measure(sys.argv[1])
