"""What was found in one photo and what was kept: `_instances.json`, the report, the warnings."""

import math
from collections.abc import Sequence

import numpy as np
from msgspec import Struct

from gpu_handler.pipeline.plan import Plan
from gpu_handler.rules.compose import Composed
from gpu_handler.rules.recolor import RecolorReport
from gpu_handler.rules.remove.plan import RemovalReport
from gpu_handler.rules.texture.plan import TextureReport
from gpu_handler.segment.base import Instance, Segmentation, Source
from shared.messages import ItemReport, ItemWarning
from shared.rules import Action, ConceptRule

FINDINGS_VERSION = 1

_LIKELY = 0.5  # presence from which "was not found" would be half the truth


class FoundInstance(Struct, frozen=True):
    """`number` counts from 1 within its concept, the same for the same photo every time.

    `box` is (x0, y0, x1, y1) in pixels of the upright photo, x1 and y1 exclusive. `area` is in
    pixels too, measured on the engine's grid, before edges are refined.
    """

    number: int
    score: float
    box: tuple[int, int, int, int]
    area: int


class FoundConcept(Struct, frozen=True):
    """`presence` in 0..1: how sure the engine is that the concept is in the photo at all.

    `source` tells what its mask was made of, `phrase` the wording that found it, empty for an
    engine that reads none. `rule` is what was asked for, `recolored` what a recolour came to,
    `textured` how a texture was laid, `removed` how each hole was filled (the same holes for all
    concepts that were removed); all may be absent.
    """

    presence: float
    instances: tuple[FoundInstance, ...]
    source: Source
    phrase: str
    rule: ConceptRule | None = None
    recolored: RecolorReport | None = None
    textured: TextureReport | None = None
    removed: tuple[RemovalReport, ...] = ()


class Kept(Struct, frozen=True):
    """The protect report. Differences are in levels of 0..255 over the protected pixels."""

    concepts: tuple[str, ...]
    missing: tuple[str, ...]
    protected_pixels: int
    protected_pixels_changed: int
    max_abs_diff_in_protect: int


class Findings(Struct, frozen=True):
    """The whole of `_instances.json`."""

    schema_version: int
    engine: str
    width: int
    height: int
    concepts: dict[str, FoundConcept]
    protect: Kept
    warnings: list[ItemWarning]


def make_findings(
    engine: str,
    plan: Plan,
    found: Sequence[Segmentation],
    composed: Composed,
    shape: tuple[int, int],
    warnings: Sequence[ItemWarning],
) -> Findings:
    """What was asked for, in the order of `found`; what is missing adds its own warnings.

    `shape` is (H, W) of the photo.
    """
    height, width = shape
    found = [seen for seen in found if plan.asked(seen.concept)]
    kept = [seen for seen in found if seen.concept in plan.protect]
    return Findings(
        schema_version=FINDINGS_VERSION,
        engine=engine,
        width=width,
        height=height,
        concepts={seen.concept: _concept(seen, plan, composed, shape) for seen in found},
        protect=Kept(
            tuple(seen.concept for seen in kept if seen.found),
            tuple(seen.concept for seen in kept if not seen.found),
            composed.proof.pixels,
            composed.proof.changed,
            composed.proof.max_abs_diff,
        ),
        warnings=[
            *warnings,
            *(_missing(seen, plan) for seen in found if not seen.found),
            *(_capped(seen, plan) for seen in found if seen.found and seen.capped),
            *composed.warnings,
        ],
    )


def make_report(findings: Findings, masks: Sequence[str]) -> ItemReport:
    """The part of the findings that travels in the callback; `masks` are stored concepts."""
    return ItemReport(
        engine=findings.engine,
        width=findings.width,
        height=findings.height,
        instances={name: len(concept.instances) for name, concept in findings.concepts.items()},
        masks=list(masks),
        protected_pixels=findings.protect.protected_pixels,
        protected_pixels_changed=findings.protect.protected_pixels_changed,
        max_abs_diff_in_protect=findings.protect.max_abs_diff_in_protect,
    )


def _concept(
    seen: Segmentation, plan: Plan, composed: Composed, shape: tuple[int, int]
) -> FoundConcept:
    height, width = shape
    instances = tuple(
        _instance(number, instance, width, height)
        for number, instance in enumerate(seen.instances, start=1)
    )
    name = seen.concept
    rule = plan.rules.get(name)
    return FoundConcept(
        round(seen.presence, 4),
        instances,
        seen.source,
        seen.phrase,
        rule,
        composed.recolored.get(name),
        composed.textured.get(name),
        composed.removed if rule is not None and rule.action is Action.REMOVE else (),
    )


def _instance(number: int, instance: Instance, width: int, height: int) -> FoundInstance:
    x0, y0, x1, y1 = instance.box
    box = (
        _pixel(math.floor(x0 * width), width),
        _pixel(math.floor(y0 * height), height),
        _pixel(math.ceil(x1 * width), width),
        _pixel(math.ceil(y1 * height), height),
    )
    share = np.count_nonzero(instance.logits > 0) / max(1, instance.logits.size)
    return FoundInstance(number, round(instance.score, 4), box, round(share * width * height))


def _pixel(value: int, size: int) -> int:
    return max(0, min(value, size))


def _missing(seen: Segmentation, plan: Plan) -> ItemWarning:
    if seen.concept in plan.protect:
        message = f"{seen.concept} was not found in this photo, so nothing of it is protected."
        return ItemWarning("PROTECT_NOT_FOUND", message, seen.concept)
    message = f"{seen.concept} was not found in this photo, so it stays as it is."
    if seen.presence >= _LIKELY:
        message = (
            f"{seen.concept} seems to be in this photo, but no part of it could be told from what "
            "lies around or before it, so it stays as it is."
        )
    return ItemWarning("CONCEPT_NOT_FOUND", message, seen.concept)


def _capped(seen: Segmentation, plan: Plan) -> ItemWarning:
    spared = "are not protected" if seen.concept in plan.protect else "stay as they are"
    message = (
        f"{seen.concept}: only the {len(seen.instances)} most certain were told apart. Where the "
        f"photo has more, those {spared}."
    )
    return ItemWarning("INSTANCES_CAPPED", message, seen.concept)
