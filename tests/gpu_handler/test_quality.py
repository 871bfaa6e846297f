"""What users judge, in figures, on photos whose truth is known."""

from collections.abc import Iterator
from functools import cache

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from gpu_handler.backends.base import Edges
from gpu_handler.backends.cpu import CpuBackend
from gpu_handler.imaging.color import LUMINANCE, srgb_to_linear
from gpu_handler.imaging.pixels import Pixels
from gpu_handler.pipeline.brushwork import Brushwork
from gpu_handler.pipeline.photo import PaintedPhoto, SeenPhoto, apply
from gpu_handler.pipeline.plan import make_plan
from infra.gallery.figures import lightness_kept, newly_clipped
from infra.gallery.scenes import SampleScene
from infra.samples import Sample, album, simulated_logits
from infra.samples.rooms import loft
from shared.actions import Action, ConceptRule

SCALE = 0.4
BAND = 61 / 4032  # of the width: how far around a mask's edge its error counts
SMALL = 1 / 1000  # of a photo: less is a few cells of the mask's grid
PROTECT = {"interior": ["Frame_Molding"], "seller": ["Label_Text", "Logo", "Gloss"]}
COLOURS = ["navy", "sage", "offwhite_b", "charcoal", "terracotta", "dusty_blue"]


@cache
def samples(preset: str) -> tuple[Sample, ...]:
    return tuple(album(preset, scale=SCALE))


@cache
def standing_sofa() -> Sample:
    return loft(SCALE)


def everything() -> Iterator[tuple[str, Sample]]:
    for preset in ("interior", "seller"):
        for sample in samples(preset):
            yield preset, sample


def painted(sample: Sample, preset: str, **rules: tuple[Action, str]) -> PaintedPhoto:
    asked = {name: ConceptRule(action, value) for name, (action, value) in rules.items()}
    plan = make_plan(preset, asked, PROTECT[preset])
    scene = SampleScene(sample)
    seen = SeenPhoto(sample.pixels, scene.find(plan.concepts), [])
    return apply(Brushwork([CpuBackend()]), scene.engine, seen, plan)


def band(mask: NDArray[np.uint8]) -> NDArray[np.bool_]:
    square = np.ones((3, 3), np.uint8)
    edge = cv2.morphologyEx((mask > 127).astype(np.uint8), cv2.MORPH_GRADIENT, square)
    side = max(3, round(BAND * mask.shape[1])) | 1
    return np.asarray(cv2.dilate(edge, np.ones((side, side), np.uint8))) > 0


def edge_contrast(pixels: Pixels, mask: NDArray[np.uint8]) -> float:
    """How far apart the colours inside and outside the edge are, in levels."""
    near = band(mask)
    means = [pixels[near & side].mean(0) for side in (mask > 200, mask < 55)]
    return float(np.abs(means[0] - means[1]).max())


def test_edges_have_at_most_half_the_error_of_stretched_masks() -> None:
    fine, soft, worse = 0.0, 0.0, list[str]()
    for _, sample in everything():
        canvas = CpuBackend().open(sample.pixels)
        for concept, mask in sample.masks.items():
            logits, near = simulated_logits(mask), band(mask)
            errors = [
                np.abs(canvas.refine(logits, edges).host()[near] - mask[near].astype(int)).sum()
                for edges in (Edges.FINE, Edges.SOFT)
            ]
            fine, soft = fine + errors[0], soft + errors[1]
            seen = edge_contrast(sample.pixels, mask) > 25 and (mask > 127).mean() > SMALL
            if seen and errors[0] > 0.5 * errors[1]:
                worse.append(f"{sample.name}: {concept}")
    assert fine <= 0.35 * soft
    assert worse == []


@pytest.mark.parametrize("colour", COLOURS)
def test_painted_surfaces_keep_their_light_and_reach_their_colour_or_say_so(colour: str) -> None:
    for preset, sample in everything():
        for concept in ("Wall", "Floor", "Body"):
            if concept not in sample.masks:
                continue
            photo = painted(sample, preset, **{concept: (Action.RECOLOR, colour)})
            alpha, name = photo.masks[concept], f"{sample.name}: {concept} to {colour}"
            assert lightness_kept(sample.pixels, photo.pixels, alpha) >= 0.95, name
            assert newly_clipped(sample.pixels, photo.pixels, alpha) <= 0.01, name
            report = photo.findings.concepts[concept].recolored
            assert report is not None
            assert report.delta_e <= 5 or report.out_of_reach, name
            codes = [warning.code for warning in photo.findings.warnings]
            assert ("OUT_OF_REACH" in codes) == report.out_of_reach, name


def test_most_colours_are_reached() -> None:
    """Flagging everything would be easy."""
    reached = [
        painted(sample, "interior", Wall=(Action.RECOLOR, colour))
        .findings.concepts["Wall"]
        .recolored
        for sample in samples("interior")
        for colour in COLOURS
    ]
    kept = [report for report in reached if report is not None and not report.out_of_reach]
    assert len(kept) >= 0.8 * len(reached)


@pytest.mark.parametrize(
    ("action", "value"),
    [
        (Action.RECOLOR, "navy"),
        (Action.TONE, "warm"),
        (Action.TEXTURE, "brick_red"),
        (Action.REMOVE, ""),
    ],
)
def test_what_no_mask_covers_and_what_is_protected_stays_bit_for_bit(
    action: Action, value: str
) -> None:
    # To fill a whole wall takes a second and a half.
    photos = list(everything())[:: 4 if action is Action.REMOVE else 1]
    for preset, sample in photos:
        concept = "Body" if preset == "seller" else "Wall"
        photo = painted(sample, preset, **{concept: (action, value)})
        covered = photo.masks[concept] > 0
        assert np.array_equal(photo.pixels[~covered], sample.pixels[~covered])
        assert photo.findings.protect.protected_pixels_changed == 0
        assert (photo.pixels[covered] != sample.pixels[covered]).any()


def test_a_sofa_goes_and_its_floor_goes_on() -> None:
    sample = standing_sofa()
    photo = painted(sample, "interior", Sofa=(Action.REMOVE, ""))
    sofa, hole = sample.things["Sofa"] > 200, photo.masks["Sofa"] > 0
    assert hole[sofa].all()
    assert np.array_equal(photo.pixels[~hole], sample.pixels[~hole])
    assert hole.sum() < 1.6 * sofa.sum()
    ring = np.asarray(cv2.dilate(hole.astype(np.uint8), np.ones((31, 31), np.uint8))) > 0
    floor = ring & ~hole & (sample.masks["Floor"] > 200)
    filled, around = photo.pixels[sofa].astype(float), sample.pixels[floor].astype(float)
    assert np.abs(filled.mean(0) - around.mean(0)).max() < 22
    (report,) = photo.findings.concepts["Sofa"].removed
    assert report.hosts == ("Floor",)


def test_a_floor_is_repainted_where_the_sofa_stood() -> None:
    sample = standing_sofa()
    rules = {"Sofa": (Action.REMOVE, ""), "Floor": (Action.RECOLOR, "navy")}
    photo = painted(sample, "interior", **rules)
    sofa = cv2.erode((sample.things["Sofa"] > 200).astype(np.uint8), np.ones((15, 15), np.uint8))
    inside = photo.pixels[np.asarray(sofa) > 0].astype(float)
    floor = photo.pixels[(sample.masks["Floor"] == 255) & (photo.masks["Sofa"] == 0)].astype(float)
    assert np.abs(np.median(inside, 0) - np.median(floor, 0)).max() < 15
    assert photo.masks["Floor"][np.asarray(sofa) > 0].min() > 200


@pytest.mark.parametrize("value", ["warm", "cool", "saturation=0.35", "saturation=-0.4"])
def test_tones_of_colour_alone_keep_the_luminance(value: str) -> None:
    for preset, sample in everything():
        concept = "Body" if preset == "seller" else "Wall"
        photo = painted(sample, preset, **{concept: (Action.TONE, value)})
        inside = photo.masks[concept] == 255
        before, after = (
            srgb_to_linear(pixels[inside] / 255) @ LUMINANCE
            for pixels in (sample.pixels, photo.pixels)
        )
        assert abs(after.mean() / before.mean() - 1) < 0.02, sample.name


def test_no_halo_is_wider_than_a_pixel_on_a_black_and_white_step() -> None:
    pixels = np.zeros((600, 800, 3), np.uint8)
    y, x = np.mgrid[0:600, 0:800]
    inside = (x - 380) * 0.8 + (y - 300) * 0.35 > 0
    pixels[inside] = 255
    logits = simulated_logits((inside * 255).astype(np.uint8), wobble=0)
    alpha = CpuBackend().open(pixels).refine(logits).host()
    square = np.ones((3, 3), np.uint8)
    core = np.asarray(cv2.erode(inside.astype(np.uint8), square)) > 0
    outside = np.asarray(cv2.dilate(inside.astype(np.uint8), square)) == 0
    assert (alpha[core] == 255).all()
    assert (alpha[outside] == 0).all()
