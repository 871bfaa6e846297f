"""The sample albums: reproducible photos whose masks fit them exactly."""

import io
from functools import cache

import numpy as np
import pytest
from PIL import Image

from infra.samples import ALBUMS, Sample, album, encode_jpeg
from shared.presets import PRESETS

SCALE = 0.25


@cache
def samples(preset: str) -> list[Sample]:
    return album(preset, scale=SCALE)


@pytest.mark.parametrize("preset", ALBUMS)
def test_each_preset_has_at_least_four_photos_of_known_concepts(preset: str) -> None:
    assert len(samples(preset)) >= 4
    for sample in samples(preset):
        assert sample.pixels.shape == (378, 504, 3)
        for concept, mask in sample.masks.items():
            assert PRESETS[preset].knows(concept), concept
            assert mask.shape == sample.pixels.shape[:2]
            assert mask.max() > 127


@pytest.mark.parametrize(
    ("preset", "concepts"),
    [("interior", {"Wall", "Floor", "Ceiling", "Window", "Frame_Molding"}), ("seller", {"Body"})],
)
def test_what_the_album_is_about_is_in_every_photo(preset: str, concepts: set[str]) -> None:
    for sample in samples(preset):
        assert concepts <= sample.masks.keys(), sample.name
    kinds = {concept for sample in samples(preset) for concept in sample.masks}
    assert preset == "interior" or {"Label_Text", "Logo", "Gloss"} <= kinds


@pytest.mark.parametrize("preset", ALBUMS)
def test_no_pixel_belongs_to_two_concepts(preset: str) -> None:
    # A highlight is part of the body that it lies on.
    for sample in samples(preset):
        masks = [mask for concept, mask in sample.masks.items() if concept != "Gloss"]
        assert np.sum(masks, axis=0, dtype=int).max() <= 255 + len(masks)


def test_the_same_photo_comes_out_every_time() -> None:
    again = ALBUMS["seller"][0](SCALE)

    assert (again.pixels == samples("seller")[0].pixels).all()
    assert (again.masks["Body"] == samples("seller")[0].masks["Body"]).all()


@pytest.mark.parametrize("preset", ALBUMS)
def test_photos_have_light_and_shade_and_noise(preset: str) -> None:
    surface = "Wall" if preset == "interior" else "Body"
    for sample in samples(preset):
        gray = sample.pixels.mean(axis=2)
        inside = gray[sample.masks[surface] == 255]
        assert inside.std() > 3, sample.name
        steps = np.abs(np.diff(gray, axis=1))[:, :-1]
        assert np.median(steps) > 0.3, f"{sample.name} has no noise"
        assert (sample.pixels == 255).all(axis=2).mean() < 0.02, f"{sample.name} is burnt out"


def test_a_mask_edge_lies_where_the_photo_changes() -> None:
    sample = next(sample for sample in samples("interior") if sample.name == "dining room")
    mask = sample.masks["Wall"].astype(float)
    edge = np.hypot(*np.gradient(mask)) > 40
    gradient = np.hypot(*np.gradient(sample.pixels.mean(axis=2)))

    assert edge.sum() > 500
    assert np.median(gradient[edge]) > 5 * np.median(gradient)


def test_the_jpeg_carries_what_a_phone_would_send() -> None:
    with Image.open(io.BytesIO(encode_jpeg(samples("seller")[0]))) as image:
        assert image.format == "JPEG"
        exif = image.getexif()
        assert exif[0x0110] == "Example Phone"
        assert exif.get_ifd(0x8825)[1] == "N"
