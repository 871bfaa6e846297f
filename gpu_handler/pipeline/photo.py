"""From the bytes of one photo to its painted pixels, masks and findings."""

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
from gpu_handler.segment.base import Segmentation
from gpu_handler.segment.overlap import settle_overlaps
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


class SeenPhoto(Struct, frozen=True, eq=False):
    """A decoded photo, and what the engine found in it for each of the plan's concepts."""

    pixels: Pixels
    found: list[Segmentation]
    warnings: list[ItemWarning]


async def look(
    worker: Worker, data: bytes, plan: Plan, stop: StopSign, watch: Stopwatch
) -> SeenPhoto:
    """Decode and segment. The caller is in the worker's darkroom.

    Raises ImageError, what `DeviceQueue.segment` raises, and Stopped between two steps.
    """
    lanes = worker.lanes
    stop.check()
    worker.device.check()
    decoded = await lanes.pixels(watch.timed, "decode", decode_image, data)
    prepared = await lanes.pixels(watch.timed, "prepare", worker.engine.prepare, decoded.pixels)
    found = await worker.device.segment(prepared, plan.concepts, stop, watch)
    stop.check()
    warnings = [ItemWarning("IMAGE_NOTE", text) for text in decoded.warnings]
    return SeenPhoto(decoded.pixels, found, warnings)


async def paint(worker: Worker, seen: SeenPhoto, plan: Plan, watch: Stopwatch) -> PaintedPhoto:
    """Carry out the rules. The caller is at one of the worker's easels."""
    return await worker.lanes.pixels(watch.timed, "apply", apply, worker.engine.name, seen, plan)


def apply(engine: str, seen: SeenPhoto, plan: Plan) -> PaintedPhoto:
    """Refine the masks of what was found and carry out the rules; no pixel of `seen` changes."""
    pixels = seen.pixels
    found = settle_overlaps(seen.found, plan.concepts, plan.protect)
    guide = EdgeGuide(pixels)
    masks = {one.concept: guide.alpha(one.logits) for one in found if one.found}
    shields = [mask for concept, mask in masks.items() if concept in plan.protect]
    shield = strongest(shields)
    layers = [
        Layer(concept, parse_rule(rule), masks[concept])
        for concept, rule in plan.rules.items()
        if concept in masks
    ]
    composed = compose(pixels, layers, shields)
    findings = make_findings(engine, plan, found, composed, seen.warnings)
    applied = masks | {layer.concept: spared(layer.alpha, shield) for layer in layers}
    return PaintedPhoto(composed.pixels, applied, findings)
