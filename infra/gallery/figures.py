"""What is measured of one result, in words for the sheet."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from gpu_handler.imaging.color import linear_to_oklab, srgb_to_linear
from gpu_handler.imaging.pixels import Alpha, Pixels
from gpu_handler.pipeline.photo import PaintedPhoto
from gpu_handler.rules.recolor import RecolorReport
from gpu_handler.rules.remove.plan import RemovalReport
from gpu_handler.rules.texture.plan import TextureReport

_SAMPLES = 200_000


def lightness_kept(before: Pixels, after: Pixels, alpha: Alpha) -> float:
    """Correlation of OKLab lightness where the mask is full; 1 where nothing varies."""
    old, new = (_lightness(pixels, alpha) for pixels in (before, after))
    if len(old) < 2 or old.std() < 1e-6 or new.std() < 1e-6:
        return 1.0
    return float(np.corrcoef(old, new)[0, 1])


def newly_clipped(before: Pixels, after: Pixels, alpha: Alpha) -> float:
    """Share of the mask's pixels that have a channel at 0 or 255 which it was not at before."""
    full = alpha == 255
    ends = (after == 255) & (before != 255) | (after == 0) & (before != 0)
    return float(ends.any(-1)[full].mean()) if full.any() else 0.0


def described(before: Pixels, painted: PaintedPhoto, shown: str, seconds: float) -> list[str]:
    """Lines of text: what came of the rules, what was kept, and how long it took."""
    return [*_lines(before, painted, shown), f"{seconds * 1000:.0f} ms"]


def _lines(before: Pixels, painted: PaintedPhoto, shown: str) -> Iterator[str]:
    for name, concept in painted.findings.concepts.items():
        if concept.recolored:
            yield from _recolored(name, concept.recolored)
        if concept.textured:
            yield from _textured(name, concept.textured)
        for report in concept.removed:
            yield from _removed(name, report)
    if shown in painted.masks:
        alpha = painted.masks[shown]
        told = painted.findings.concepts[shown]
        if not (told.removed or told.textured):  # a pattern has lightness of its own
            yield f"lightness kept {lightness_kept(before, painted.pixels, alpha):.3f}"
        yield f"newly clipped {newly_clipped(before, painted.pixels, alpha):.2%}"
    kept = painted.findings.protect
    yield f"protected {kept.protected_pixels:,}, changed {kept.protected_pixels_changed}"
    for warning in painted.findings.warnings:
        if warning.code in ("CONCEPT_NOT_FOUND", "PROTECT_NOT_FOUND"):
            yield f"not found: {warning.concept}"


def _recolored(name: str, report: RecolorReport) -> Iterator[str]:
    flag = ", out of reach" if report.out_of_reach else ""
    yield f"{name}: delta E {report.delta_e:.1f}{flag}"


def _textured(name: str, report: TextureReport) -> Iterator[str]:
    yield f"{name}: {report.geometry.replace('_', ' ')}, {report.planes} planes"
    if report.vanishing_point is not None:
        x, y = report.vanishing_point
        yield f"to {x:.0f}, {y:.0f}; support {report.support:.2f}"


def _removed(name: str, report: RemovalReport) -> Iterator[str]:
    hosts = ", ".join(report.hosts) or "what is around"
    yield f"{name}: {report.hole_share:.1%} filled with {hosts}"
    if report.basic_fill:
        yield f"basic fill: {report.reason}"


def _lightness(pixels: Pixels, alpha: Alpha) -> NDArray[np.floating]:
    inside = pixels[alpha == 255]
    inside = inside[:: max(1, len(inside) // _SAMPLES)]
    return linear_to_oklab(srgb_to_linear(inside / np.float32(255)))[..., 0]
