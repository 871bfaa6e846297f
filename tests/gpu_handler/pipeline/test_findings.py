"""What the findings say beyond numbers: what a mask was made of, and what may be missing."""

import numpy as np
import pytest

from gpu_handler.pipeline.findings import Findings, make_findings
from gpu_handler.pipeline.plan import make_plan
from gpu_handler.rules.compose import Composed
from gpu_handler.segment.base import Instance, Segmentation, Source
from shared.actions import Action, ConceptRule

SHAPE = (60, 80)


def seen(concept: str, count: int, *, presence: float = 0.9, capped: bool = False) -> Segmentation:
    logits = np.full((16, 16), 3, np.float32)
    one = Instance(0.7, (0.25, 0.0, 0.5, 1.0), logits.astype(np.float16))
    return Segmentation(
        concept, presence, logits, (one,) * count, Source.SEMANTIC, "a plain wall", capped
    )


def findings(*found: Segmentation, protect: tuple[str, ...] = ()) -> Findings:
    plan = make_plan("interior", {"Wall": ConceptRule(Action.RECOLOR, "#7FA8C9")}, protect)
    return make_findings("sam3", plan, found, Composed(), SHAPE, [])


def test_the_mask_tells_what_it_was_made_of_and_by_which_words() -> None:
    wall = findings(seen("Wall", 1)).concepts["Wall"]
    assert (wall.source, wall.phrase) == (Source.SEMANTIC, "a plain wall")
    assert wall.instances[0].box == (20, 0, 40, 60)
    assert wall.instances[0].area == 60 * 80


@pytest.mark.parametrize(("protect", "end"), [((), "stay as they are."), (("Wall",), "protected.")])
def test_a_capped_concept_is_warned_of(protect: tuple[str, ...], end: str) -> None:
    [warning] = findings(seen("Wall", 128, capped=True), protect=protect).warnings
    assert (warning.code, warning.concept) == ("INSTANCES_CAPPED", "Wall")
    assert warning.message.startswith("Wall: only the 128 most certain were told apart.")
    assert warning.message.endswith(end)


def test_what_was_not_found_is_not_called_capped() -> None:
    [warning] = findings(seen("Wall", 0, presence=0.1, capped=True)).warnings
    assert warning.code == "CONCEPT_NOT_FOUND"
    assert "was not found" in warning.message


def test_what_is_likely_there_is_not_called_absent() -> None:
    [warning] = findings(seen("Wall", 0, presence=0.8)).warnings
    assert warning.code == "CONCEPT_NOT_FOUND"
    assert "seems to be in this photo" in warning.message
