"""Both sample albums through the real stack, measured against exact ground truth."""

import io
from typing import Any

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from gpu_handler.imaging.color import linear_to_oklab, srgb_to_linear
from infra.client import RuleAction
from infra.local.stack import Stack
from infra.samples import Sample, encode_jpeg
from tests.e2e.conftest import Phone, photos_of, read_image

pytestmark = pytest.mark.e2e

SURFACE = {"interior": "Wall", "seller": "Body"}
COLOR = {"interior": "sage", "seller": "terracotta"}


def lightness(pixels: NDArray[np.uint8]) -> NDArray[np.floating[Any]]:
    """OKLab L of (N, 3) uint8 sRGB."""
    return linear_to_oklab(srgb_to_linear(pixels / 255.0))[..., 0]


def overlap(found: NDArray[np.uint8], truth: NDArray[np.uint8]) -> float:
    """Intersection over union of two coverages, both cut at one half."""
    one, other = found > 127, truth > 127
    return float((one & other).sum() / (one | other).sum())


@pytest.mark.parametrize("preset", ["interior", "seller"])
def test_an_album_comes_back_painted_and_protected(stack: Stack, phone: Phone, preset: str) -> None:
    samples = photos_of(preset, 0.5)
    photos = [encode_jpeg(sample) for sample in samples]
    concept = SURFACE[preset]

    job = phone.run(preset, photos, {concept: RuleAction("recolor", COLOR[preset])})

    assert (job.status, job.done_items, job.failed_items) == ("done", len(samples), 0)
    assert phone.client.me().credits == 10 - len(samples)
    for idx, (sample, photo) in enumerate(zip(samples, photos, strict=True)):
        check_photo(phone, job.job_id, idx, sample, photo, concept)
    check_lines(stack, job.job_id)


def check_photo(
    phone: Phone, job_id: str, idx: int, sample: Sample, photo: bytes, concept: str
) -> None:
    detail = phone.client.item(job_id, idx)
    assert detail.output_url
    assert detail.preview_url
    assert detail.item.report
    before = read_image(photo)
    after = phone.image(detail.output_url)
    mask = phone.image(detail.mask_urls[concept])
    assert after.shape == before.shape
    assert mask.shape == before.shape[:2]

    assert overlap(mask, sample.masks[concept]) >= 0.8, sample.name
    inside = mask == 255
    moved = np.abs(after.astype(int) - before)[inside].mean()
    assert moved > 5, f"{sample.name}: {concept} was not painted"
    correlation = np.corrcoef(lightness(before[inside]), lightness(after[inside]))[0, 1]
    assert correlation >= 0.95, sample.name

    assert detail.item.report.engine == "classical"
    assert detail.item.report.max_abs_diff_in_protect == 0
    for name, url in detail.mask_urls.items():
        if name != concept:
            protected = phone.image(url) >= 128
            assert (after[protected] == before[protected]).all(), f"{sample.name}: {name}"

    assert detail.instances_url
    check_instances(phone.client.download(detail.instances_url), concept)
    check_nothing_private(phone.client.download(detail.output_url))
    check_nothing_private(phone.client.download(detail.preview_url))


def check_lines(stack: Stack, job_id: str) -> None:
    """The job's id finds its whole story, and each line of its one attempt names that too."""
    api, worker = (lines_of(stack, name, job_id) for name in ("api", "worker"))
    (dispatched,) = [line for line in api if line["message"] == "job dispatched"]
    begun = [line for line in worker if line["message"].startswith("job begins")]
    told = [line for line in api if line.get("path") == f"/jobs/{job_id}/callback"]
    assert begun
    assert told
    (executed,) = [line for line in api if line.get("path") == f"/jobs/{job_id}/execute"]
    assert dispatched["request_id"] == executed["request_id"]
    for line in (*worker, *told):
        for name in ("dispatch_id", "attempt", "request_id"):
            assert line[name] == dispatched[name], line["message"]
    assert {line["runpod_job_id"] for line in worker} == {dispatched["runpod_job_id"]}


def lines_of(stack: Stack, name: str, job_id: str) -> list[dict[str, Any]]:
    written = (stack.log_dir / f"{name}.log").read_text().splitlines()
    texts = [line.partition(" | ")[2] for line in written if job_id in line]
    lines = [msgspec.json.decode(text) for text in texts if text.startswith("{")]
    return [line for line in lines if line.get("job_id") == job_id]


def check_instances(body: bytes, concept: str) -> None:
    data = msgspec.json.decode(body)
    assert data["engine"] == "classical"
    assert data["protect"]["max_abs_diff_in_protect"] == 0
    found = data["concepts"][concept]
    numbers = [instance["number"] for instance in found["instances"]]
    assert numbers
    assert numbers == list(range(1, len(numbers) + 1))
    for instance in found["instances"]:
        assert {"score", "box", "area"} <= instance.keys()


def check_nothing_private(data: bytes) -> None:
    with Image.open(io.BytesIO(data)) as image:
        assert not image.getexif()
        assert "icc_profile" not in image.info
    assert b"Exif" not in data[:4096]
    assert b"GPS" not in data[:4096]


def test_the_samples_do_carry_what_must_not_come_out() -> None:
    with Image.open(io.BytesIO(encode_jpeg(photos_of("interior", 0.25)[0]))) as image:
        assert image.getexif().get_ifd(0x8825), "without GPS on the way in, the test proves nothing"
