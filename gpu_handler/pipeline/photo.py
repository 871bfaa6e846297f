"""From the bytes of one photo to its painted pixels, masks and findings."""

from collections.abc import Mapping
from functools import partial

from msgspec import Struct

from gpu_handler.backends.base import Canvas, Cover
from gpu_handler.imaging.decode import decode_image
from gpu_handler.imaging.pixels import Alpha, Pixels
from gpu_handler.pipeline.brushwork import Brushwork
from gpu_handler.pipeline.findings import Findings, make_findings
from gpu_handler.pipeline.plan import Plan
from gpu_handler.pipeline.stopping import StopSign
from gpu_handler.pipeline.stopwatch import Stopwatch
from gpu_handler.pipeline.worker import Worker
from gpu_handler.rules.compose import Composed, Layer, Surroundings, compose
from gpu_handler.segment.base import Segmentation
from gpu_handler.segment.overlap import settle_overlaps
from shared.concepts import Kind
from shared.messages import ItemWarning
from shared.rules import Action, parse_rule


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
    decoded = await lanes.pixels(watch.timed("decode", decode_image, data))
    prepared = await lanes.pixels(watch.timed("prepare", worker.engine.prepare, decoded.pixels))
    found = await worker.device.segment(prepared, plan.concepts, stop, watch)
    stop.check()
    warnings = [ItemWarning("IMAGE_NOTE", text) for text in decoded.warnings]
    return SeenPhoto(decoded.pixels, found, warnings)


async def paint(worker: Worker, seen: SeenPhoto, plan: Plan, watch: Stopwatch) -> PaintedPhoto:
    """Carry out the rules. The caller is at one of the worker's easels."""
    return await worker.lanes.pixels(
        watch.timed("apply", apply, worker.brushwork, worker.engine.name, seen, plan)
    )


def apply(brushwork: Brushwork, engine: str, seen: SeenPhoto, plan: Plan) -> PaintedPhoto:
    """Refine the masks of what was found and carry out the rules; no pixel of `seen` changes."""
    return brushwork.run(seen.pixels, partial(_apply, brushwork, engine, seen, plan))


def _apply(
    brushwork: Brushwork, engine: str, seen: SeenPhoto, plan: Plan, canvas: Canvas
) -> PaintedPhoto:
    found = _settled(seen, plan)
    covers = {one.concept: canvas.refine(one.logits, brushwork.edges) for one in found if one.found}
    shields = {name: cover for name, cover in covers.items() if name in plan.protect}
    layers = [
        Layer(name, parse_rule(rule), covers[name])
        for name, rule in plan.rules.items()
        if name in covers
    ]
    composed = compose(
        canvas,
        seen.pixels,
        layers,
        list(shields.values()),
        _surroundings(plan, covers),
        brushwork.inpainter,
    )
    findings = make_findings(engine, plan, found, composed, canvas.shape, seen.warnings)
    return _handed_over(canvas, composed, shields, findings)


def _settled(seen: SeenPhoto, plan: Plan) -> list[Segmentation]:
    """Who keeps what, among the concepts that were asked for; hosts claim nothing from them."""
    pairs = list(zip(seen.found, plan.concepts, strict=True))
    asked = [(one, concept) for one, concept in pairs if plan.asked(concept.id)]
    settled = settle_overlaps([one for one, _ in asked], [c for _, c in asked], plan.protect)
    return settled + [one for one, concept in pairs if not plan.asked(concept.id)]


def _surroundings(plan: Plan, covers: Mapping[str, Cover]) -> Surroundings:
    """For removals: things that stay, or are protected, are not copied from."""
    hosts = {name: cover for name, cover in covers.items() if name in plan.hosts}
    things = {concept.id for concept in plan.concepts if concept.kind is Kind.INSTANCES}
    gone = {name for name, rule in plan.rules.items() if rule.action is Action.REMOVE}
    others = [
        cover
        for name, cover in covers.items()
        if name not in hosts and name not in gone and (name in things or name in plan.protect)
    ]
    return Surroundings(hosts, tuple(others))


def _handed_over(
    canvas: Canvas, composed: Composed, shields: Mapping[str, Cover], findings: Findings
) -> PaintedPhoto:
    covers = {**shields, **composed.covers}
    order = [name for name in findings.concepts if name in covers]
    return PaintedPhoto(
        pixels=canvas.picture(),
        masks={name: covers[name].host() for name in order},
        findings=findings,
    )
