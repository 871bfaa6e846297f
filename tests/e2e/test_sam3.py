"""SAM3, a tiny one, through the real stack: what comes out is what the engine itself finds."""

import math
from collections.abc import Generator
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from gpu_handler.backends.cpu import CpuBackend
from gpu_handler.pipeline.brushwork import Brushwork
from gpu_handler.pipeline.photo import PaintedPhoto, SeenPhoto, apply
from gpu_handler.pipeline.plan import Plan, make_plan
from gpu_handler.segment.base import Segmenter
from gpu_handler.segment.sam3.engine import open_engine
from gpu_handler.segment.sam3.weights.checkpoint import open_folder
from infra.client import ItemDetail, Job, PaletteClient, RuleAction
from infra.local.stack import Stack
from shared.actions import Action, ConceptRule
from tests.checkpoints import tiny_model, write_video_checkpoint
from tests.e2e.conftest import Phone, encode, photos_of

pytestmark = pytest.mark.e2e

PRESENCE = 0.47
"""Of every concept in every photo. No score is higher, so what needs 0.5 is never found, and what
the preset lets in from 0.4 on is."""

RULES = {"Frame_Molding": "#1F3A5F", "Handle": "#7FA8C9", "zebra": "#000000"}
PROTECT = ["Grout"]


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    model = tiny_model(seed=1, sure=True)
    presence = model.detr_decoder.presence_head.layer3
    assert presence is not None
    presence.weight.zero_()
    presence.bias.fill_(math.log(PRESENCE / (1 - PRESENCE)))
    return write_video_checkpoint(tmp_path_factory.mktemp("models") / "sam3", model)


@pytest.fixture(scope="module")
def sam3_stack(weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Generator[Stack]:
    chosen = {
        "SEGMENTER": "sam3",
        "SAM3_MODEL": str(weights),
        "SAM3_DEVICE": "cpu",
        "OMP_NUM_THREADS": "1",
    }
    with Stack(tmp_path_factory.mktemp("stack"), worker_env=chosen) as running:
        running.wait_ready()
        yield running


@pytest.fixture
def engine(weights: Path) -> Generator[Segmenter]:
    """The same weights in this process, with as many threads: sums come in the same order."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield open_engine(open_folder(weights), device="cpu")
    torch.set_num_threads(before)


def expected(engine: Segmenter, plan: Plan, pixels: NDArray[np.uint8]) -> PaintedPhoto:
    (found,) = engine.segment([engine.prepare(pixels)], [plan.concepts])
    return apply(Brushwork([CpuBackend()]), engine.name, SeenPhoto(pixels, found, []), plan)


def test_a_job_comes_back_as_the_engine_sees_it(sam3_stack: Stack, engine: Segmenter) -> None:
    photos = [sample.pixels for sample in photos_of("interior", 0.1)[:3]]
    rules = {name: ConceptRule(Action.RECOLOR, value) for name, value in RULES.items()}
    plan = make_plan("interior", rules, PROTECT)

    with PaletteClient(sam3_stack.api_url, trust_env=False) as client:
        phone = Phone(client)
        wished = {name: RuleAction("recolor", value) for name, value in RULES.items()}
        job = phone.run("interior", [encode(one, "PNG") for one in photos], wished, PROTECT)

        assert (job.status, job.done_items) == ("done", 3), job
        for idx, pixels in enumerate(photos):
            check_photo(phone, job, idx, pixels, expected(engine, plan, pixels))

    told = (sam3_stack.log_dir / "worker.log").read_text()
    assert "engine: sam3, asked for by SEGMENTER" in told
    assert "cpu (1 threads)" in told


def check_photo(
    phone: Phone, job: Job, idx: int, before: NDArray[np.uint8], painted: PaintedPhoto
) -> None:
    detail = phone.client.item(job.job_id, idx)
    check_report(detail)
    assert detail.output_url
    assert detail.instances_url
    after = phone.image(detail.output_url)
    assert np.array_equal(after, painted.pixels)
    assert (after != before).any(), "nothing was painted"

    assert {"Frame_Molding", "Grout"} <= detail.mask_urls.keys() == painted.masks.keys()
    for concept, url in detail.mask_urls.items():
        assert np.array_equal(phone.image(url), painted.masks[concept]), concept
    kept = phone.image(detail.mask_urls["Grout"]) >= 128
    assert kept.any()
    assert (after[kept] == before[kept]).all()

    findings = msgspec.json.decode(phone.client.download(detail.instances_url))
    assert findings == msgspec.json.decode(msgspec.json.encode(painted.findings))
    check_instances(findings["concepts"]["Frame_Molding"]["instances"], before.shape)
    assert findings["concepts"]["zebra"]["instances"] == []
    assert findings["concepts"]["zebra"]["presence"] == PRESENCE


def check_report(detail: ItemDetail) -> None:
    report = detail.item.report
    assert report
    assert report.engine == "sam3"
    assert report.max_abs_diff_in_protect == 0
    assert report.protected_pixels > 0
    assert report.instances["Frame_Molding"] > 0
    assert report.instances["zebra"] == 0
    told = [(warning.code, warning.concept) for warning in detail.item.warnings]
    assert ("CONCEPT_NOT_FOUND", "zebra") in told
    assert {"prepare", "device_wait", "segment"} <= (detail.item.timings or {}).keys()


def check_instances(instances: list[dict[str, object]], shape: tuple[int, ...]) -> None:
    assert [one["number"] for one in instances] == list(range(1, len(instances) + 1))
    for one in instances:
        x0, y0, x1, y1 = msgspec.convert(one["box"], tuple[int, int, int, int])
        assert 0 <= x0 < x1 <= shape[1]
        assert 0 <= y0 < y1 <= shape[0]
        assert 0 < msgspec.convert(one["score"], float) <= PRESENCE
        assert 0 < msgspec.convert(one["area"], int) <= shape[0] * shape[1]
