"""Files that are not what their key says, and files that are no photos."""

import io
from pathlib import Path

import pytest
from PIL import Image

from infra.client import RuleAction
from tests.e2e.conftest import Phone, encode, photos_of

pytestmark = pytest.mark.e2e

HEIC = Path(__file__).parent.parent / "data" / "quadrants.heic"
WALL = {"Wall": RuleAction("recolor", "navy")}


def test_one_bad_file_fails_alone_and_its_credit_comes_back(phone: Phone) -> None:
    pixels = photos_of("interior", 0.25)[0].pixels
    truncated = encode(pixels, "JPEG")[:2000]
    photos = [
        encode(pixels, "PNG"),
        b"This is a shopping list, not a photo.\n" * 50,
        encode(pixels, "WEBP"),
        truncated,
        HEIC.read_bytes(),
    ]

    job = phone.run("interior", photos, WALL)

    assert job.status == "done"
    assert [item.status for item in job.items] == ["done", "failed", "done", "failed", "done"]
    assert [entry.idx for entry in job.download_urls] == [0, 2, 4]
    heic = phone.image(job.download_urls[2].output_url)
    assert heic.shape == (240, 320, 3)
    assert phone.client.item(job.job_id, 1).item.error_code == "UNSUPPORTED_IMAGE"
    assert phone.client.item(job.job_id, 3).item.error_code == "IMAGE_TRUNCATED"
    assert job.items[1].error
    assert "Traceback" not in job.items[1].error
    assert phone.client.me().credits == 7


def test_an_album_of_bad_files_costs_nothing(phone: Phone) -> None:
    job = phone.run("interior", [b"GIF89a nothing", b"%PDF-1.7"], WALL)

    assert job.status == "failed"
    assert phone.client.me().credits == 10


def test_the_orientation_of_the_phone_is_honoured(phone: Phone) -> None:
    pixels = photos_of("interior", 0.25)[0].pixels
    exif = Image.Exif()
    exif[0x0112] = 6
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", exif=exif)

    job = phone.run("interior", [buffer.getvalue()], WALL)

    height, width = pixels.shape[:2]
    assert phone.image(job.download_urls[0].output_url).shape == (width, height, 3)


def test_a_concept_that_is_not_there_is_said_and_changes_nothing(phone: Phone) -> None:
    pixels = photos_of("seller", 0.25)[0].pixels

    job = phone.run("seller", [encode(pixels, "PNG")], {"zebra": RuleAction("recolor", "black")})

    detail = phone.client.item(job.job_id, 0)
    assert {warning.code for warning in detail.item.warnings} >= {"CONCEPT_NOT_FOUND"}
    assert detail.output_url
    assert (phone.image(detail.output_url) == pixels).all()
