"""Work on a 12 MP photo by each backend that this machine has, checked against each other first."""

import importlib.util
import statistics
import time
from collections.abc import Callable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from gpu_handler.backends.base import Brush, Canvas, Edges, FillBrush, PixelBackend
from gpu_handler.backends.tensors import TensorBackend
from gpu_handler.imaging.pixels import Alpha, Pixels
from gpu_handler.rules.shading import shade
from gpu_handler.rules.tone import plan_tone
from infra.samples import simulated_logits
from infra.samples.rooms import living_room
from shared.rules import ToneParameters
from tests.benchmarks.table import heading, line
from tests.gpu_handler.backends.scenes import fills, tables, textures

ROUNDS = 5
TWELVE_MEGAPIXELS = 2.0


def run() -> None:
    """Print ms; a step ends when the device has ended it."""
    sample = living_room(TWELVE_MEGAPIXELS)
    logits = simulated_logits(sample.masks["Wall"])
    shape = sample.pixels.shape[0], sample.pixels.shape[1]
    brushes = _brushes(sample.pixels, shape)
    backends = list(_backends())
    heading("12 MP, ms", *(backend.name for backend in backends))
    canvases = [backend.open(sample.pixels) for backend in backends]
    alphas = [canvas.refine(logits).host() for canvas in canvases]
    furthest = [str(_apart(alpha, alphas[0])) for alpha in alphas]
    line("levels apart from the first: mask", *furthest)
    for name, brush in brushes.items():
        pictures = [_painted(backend, sample.pixels, alphas[0], brush) for backend in backends]
        line(f"levels apart: {name}", *(str(_apart(each, pictures[0])) for each in pictures))

    def each(name: str, step: Callable[[PixelBackend, Canvas], object]) -> None:
        pairs = zip(backends, canvases, strict=True)
        line(name, *(f"{_seconds(step, backend, canvas) * 1000:.1f}" for backend, canvas in pairs))

    each("open and first mask", lambda backend, _: backend.open(sample.pixels).refine(logits))
    each("next mask", lambda _, canvas: canvas.refine(logits))
    each("next mask, soft", lambda _, canvas: canvas.refine(logits, Edges.SOFT))
    covers = [canvas.refine(logits) for canvas in canvases]
    by_canvas = dict(zip(map(id, canvases), covers, strict=True))
    for name, brush in brushes.items():
        each(
            f"lay: {name}",
            lambda _, canvas, brush=brush: canvas.paint(by_canvas[id(canvas)], brush),
        )
    each("hand the picture over", lambda _, canvas: canvas.picture())


def _brushes(pixels: Pixels, shape: tuple[int, int]) -> dict[str, Brush]:
    tone = plan_tone(ToneParameters(warmth=0.4, contrast=0.2))
    assert tone is not None
    fill = fills(shape)["fill, corrected"]
    assert isinstance(fill, FillBrush)
    return {
        "recolour": shade((163, 173, 148), pixels[::16, ::16].reshape(-1, 3)),
        "recolour, softened": tables(shape)["table, softened"],
        "tone": tone,
        "texture": textures(shape)["texture, grazing"],
        "fill": fill,
    }


def _painted(backend: PixelBackend, photo: Pixels, alpha: Alpha, brush: Brush) -> Pixels:
    """`alpha` is of the photo's size: one stretched by each backend would add a level."""
    canvas = backend.open(photo)
    canvas.paint(canvas.stretch(alpha), brush)
    return canvas.picture()


def _apart(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> int:
    """In levels: each may be one from the formula, so that more than 2 is a mistake."""
    return int(np.abs(first.astype(np.int16) - second).max())


def _backends() -> Iterator[PixelBackend]:
    if importlib.util.find_spec("numba") is not None:
        from gpu_handler.backends.cpu import CpuBackend

        yield CpuBackend()
    if torch.cuda.is_available():
        yield TensorBackend("cuda")
    else:
        yield TensorBackend("cpu")


def _seconds(
    step: Callable[[PixelBackend, Canvas], object], backend: PixelBackend, canvas: Canvas
) -> float:
    taken: list[float] = []
    for _ in range(ROUNDS + 1):
        started = time.perf_counter()
        step(backend, canvas)
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        taken.append(time.perf_counter() - started)
    return statistics.median(taken[1:])
