"""From the bytes of one photo to its painted pixels, masks and findings."""

from collections.abc import Sequence

from msgspec import Struct

from gpu_handler.imaging.decode import decode_image
from gpu_handler.imaging.pixels import Alpha, Pixels
from gpu_handler.masks import EdgeGuide
from gpu_handler.pipeline.findings import Findings, make_findings
from gpu_handler.pipeline.plan import Plan
from gpu_handler.pipeline.stopping import StopSign
from gpu_handler.pipeline.stopwatch import Stopwatch
from gpu_handler.pipeline.worker import Worker
from gpu_handler.rules.compose import Layer, compose, spared, strongest
from gpu_handler.segment.base import Segmentation, Segmenter
from shared.messages import ItemWarning
from shared.rules import parse_rule


class PaintedPhoto(Struct, frozen=True, eq=False):
    """`masks` by concept, only those that were found.

    For a concept with a rule it is the alpha that was applied, what protection took from it
    included; for a protected one it is what was kept.
    """

    pixels: Pixels
    masks: dict[str, Alpha]
    findings: Findings


async def paint(
    worker: Worker, data: bytes, plan: Plan, stop: StopSign, watch: Stopwatch
) -> PaintedPhoto:
    """Decode, segment and apply. The caller is in the worker's darkroom.

    Raises ImageError, and Stopped between two steps.
    """
    lanes = worker.lanes
    stop.check()
    decoded = await lanes.pixels(watch.timed, "decode", decode_image, data)
    pixels = decoded.pixels
    found = await lanes.device(_segment, worker.engine, pixels, plan, stop, watch)
    stop.check()
    warnings = [ItemWarning("IMAGE_NOTE", text) for text in decoded.warnings]
    return await lanes.pixels(
        watch.timed, "apply", apply, worker.engine.name, pixels, plan, found, warnings
    )


def _segment(
    engine: Segmenter, pixels: Pixels, plan: Plan, stop: StopSign, watch: Stopwatch
) -> list[Segmentation]:
    stop.check()  # it may have waited for the device through the end of its job
    with watch.stage("segment"):
        return engine.segment([pixels], [plan.concepts])[0]


def apply(
    engine: str,
    pixels: Pixels,
    plan: Plan,
    found: Sequence[Segmentation],
    warnings: Sequence[ItemWarning],
) -> PaintedPhoto:
    """Refine the masks of what was found and carry out the rules. `pixels` stay unchanged."""
    guide = EdgeGuide(pixels)
    masks = {seen.concept: guide.alpha(seen.logits) for seen in found if seen.found}
    shields = [mask for concept, mask in masks.items() if concept in plan.protect]
    shield = strongest(shields)
    layers = [
        Layer(concept, parse_rule(rule), masks[concept])
        for concept, rule in plan.rules.items()
        if concept in masks
    ]
    composed = compose(pixels, layers, shields)
    findings = make_findings(engine, plan, found, composed, warnings)
    applied = masks | {layer.concept: spared(layer.alpha, shield) for layer in layers}
    return PaintedPhoto(composed.pixels, applied, findings)
