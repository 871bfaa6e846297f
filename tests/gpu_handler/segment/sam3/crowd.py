"""A hundred instances at full size on a 4032 × 4032 photo; prints what was found and what it took.

Run by itself, for a process of its own: the peak of its memory is what is measured.
"""

import json
import resource
import sys
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[4]))

from gpu_handler.backends.cpu import CpuBackend
from gpu_handler.pipeline.findings import make_findings
from gpu_handler.pipeline.plan import Plan
from gpu_handler.rules.compose import compose
from gpu_handler.segment.sam3.evidence import read_pairs
from gpu_handler.segment.sam3.network.detector import Found
from shared.concepts import open_concept

QUERIES, SIDE, PHOTO, STEP = 128, 288, 4032, 28


def resident_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() / 2**20


def peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def crowd() -> tuple[Found, list[int]]:
    """Ten rows of ten, each of its own size; and the areas they cover, in pixels of the photo."""
    masks = torch.full((1, QUERIES, SIDE, SIDE), -6.0)
    boxes = torch.zeros(1, QUERIES, 4)
    areas: list[int] = []
    for n in range(100):
        y, x, height, width = STEP * (n // 10), STEP * (n % 10), 8 + n % 10, 8 + n // 10
        masks[0, n, y : y + height, x : x + width] = 6
        boxes[0, n] = torch.tensor([x, y, x + width, y + height]) / SIDE
        areas.append(height * width * (PHOTO // SIDE) ** 2)
    scores = torch.linspace(0.99, 0.6, QUERIES)[None].clone()
    scores[0, 100:] = 0.01
    semantic = masks.amax(1)
    return Found(scores, scores.logit(), boxes, torch.tensor([6.0]), masks, semantic), areas


def main() -> None:
    photo = np.random.default_rng(0).integers(0, 256, (PHOTO, PHOTO, 3), np.uint8)
    found, areas = crowd()
    before = resident_mib()
    answers = read_pairs(found, [open_concept("person")], ["person"])
    canvas = CpuBackend().open(photo)
    composed = compose(canvas, photo, [], [canvas.refine(answers[0].logits)])
    plan = Plan((), {}, frozenset({"person"}))
    findings = make_findings("sam3", plan, answers, composed, canvas.shape, [])
    seen = findings.concepts["person"].instances
    told = [one.area for one in seen]
    wrong = [pair for pair in zip(told, areas, strict=True) if pair[0] != pair[1]]
    print(
        json.dumps({"instances": len(seen), "wrong_areas": wrong, "grown_mib": peak_mib() - before})
    )


if __name__ == "__main__":
    main()
