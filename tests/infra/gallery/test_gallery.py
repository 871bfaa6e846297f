"""The gallery: every shot can be carried out, the sheet is drawn, and bad photos are refused."""

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from infra.gallery.__main__ import main
from infra.gallery.crops import edge_place
from infra.gallery.figures import lightness_kept, newly_clipped
from infra.gallery.scenes import sample_scene
from infra.gallery.sheet import WIDTH, Card, Strip, draw
from infra.gallery.shots import SHOTS, TONES, photo_shots, tone_shots
from shared.actions import Action, parse_rule
from shared.presets import PRESETS


def gallery(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["gallery", *arguments])
    return main()


def test_every_action_every_named_tone_and_what_the_readme_shows_are_there() -> None:
    rules = [rule for shot in (*SHOTS, *tone_shots()) for rule in shot.rules.values()]
    assert {rule.action for rule in rules} == set(Action)
    assert {rule.value for rule in rules if rule.action is Action.TONE} == set(TONES)
    for shot in (*SHOTS, *tone_shots(), *photo_shots("x", "interior"), *photo_shots("x", "seller")):
        assert shot.preset in PRESETS
        for rule in shot.rules.values():
            parse_rule(rule)
    assert 6 <= sum(shot.telling for shot in SHOTS) <= 10


def test_the_whole_sheet_of_small_samples(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    small = tmp_path / "docs" / "small.jpg"
    arguments = ["--output", str(tmp_path), "--small", str(small), "--scale", "0.1"]
    assert gallery(monkeypatch, *arguments) == 0
    with Image.open(tmp_path / "gallery.png") as sheet:
        assert sheet.width == WIDTH
        assert sheet.height > 200 * len(SHOTS)
    assert small.stat().st_size <= 400_000
    with Image.open(small) as picture:
        assert picture.width == 1320
    assert capsys.readouterr().out.count(" s\n") >= len(SHOTS)


def test_photos_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEGMENTER", "classical")
    photo = tmp_path / "room.jpg"
    Image.fromarray(sample_scene("living room", 0.25).pixels).save(photo)
    assert gallery(monkeypatch, "--photos", str(photo), "--output", str(tmp_path)) == 0
    assert (tmp_path / "gallery.png").exists()


def test_what_is_no_photo_is_refused_in_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SEGMENTER", "classical")
    text = tmp_path / "notes.jpg"
    text.write_text("no photo")
    for path in (text, tmp_path / "missing.jpg"):
        assert gallery(monkeypatch, "--photos", str(path), "--output", str(tmp_path)) == 1
        assert capsys.readouterr().err.startswith("gallery: ")


def test_the_edge_is_looked_at_where_the_photo_has_most_contrast() -> None:
    pixels = np.full((400, 600, 3), 120, np.uint8)
    alpha = np.zeros((400, 600), np.uint8)
    alpha[100:300, 150:450] = 255
    pixels[140:260, 450:] = 255
    x, y = edge_place(pixels, alpha, 60)
    assert 390 <= x <= 450
    assert 80 <= y <= 260
    assert edge_place(pixels, np.zeros_like(alpha), 60) == (270, 170)


def test_figures_tell_light_that_was_lost_and_levels_that_clip() -> None:
    ramp = np.linspace(40, 200, 100).astype(np.uint8)[None, :, None].repeat(50, 0).repeat(3, 2)
    alpha = np.full(ramp.shape[:2], 255, np.uint8)
    assert lightness_kept(ramp, ramp // 2, alpha) > 0.99
    assert lightness_kept(ramp, ramp[:, ::-1], alpha) < -0.9
    burnt = ramp.copy()
    burnt[:, 90:] = 255
    assert newly_clipped(ramp, burnt, alpha) == pytest.approx(0.1)
    assert newly_clipped(burnt, burnt, alpha) == 0


def test_rows_of_any_shape_are_drawn() -> None:
    tall, wide = np.zeros((300, 100, 3), np.uint8), np.full((50, 400, 3), 200, np.uint8)
    rows = [
        Card(
            "A long title that needs more than one line to be read", ["x" * 90], tall, tall, (0, 0)
        ),
        Card("한국어", [], wide, wide, (390, 40), [(1, 2, 3)], [(4, 5, 6)]),
        Strip("Many", [("a", tall), ("b", tall)]),
    ]
    assert draw(rows, "heading").width == WIDTH
