"""What the demo's command line takes and refuses, before anything is started."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.client import Executed, Item, ItemDetail, RuleAction
from infra.demo.__main__ import exit_code, main
from infra.demo.albums import SHOWCASE, Photo, plan_albums
from infra.demo.arguments import Options, read_arguments
from infra.demo.flow import AlbumOutcome, Outcome
from infra.demo.refusal import Refused
from infra.demo.results import prepare_folder
from infra.demo.rule_text import parse_protect, parse_rule
from infra.demo.session import Finished
from infra.demo.sheet import SheetPhoto
from shared.presets import PRESETS
from shared.rules import RequestedRule, resolve_rules
from shared.spelling import fold


def photos(folder: Path, count: int) -> list[str]:
    paths = [folder / f"{number}.jpg" for number in range(count)]
    for path in paths:
        path.write_bytes(b"\xff\xd8")
    return [str(path) for path in paths]


def test_a_rule_as_the_readme_writes_it() -> None:
    assert parse_rule("Wall=recolor:offwhite_b,Floor=recolor:oak_a") == {
        "Wall": RuleAction("recolor", "offwhite_b"),
        "Floor": RuleAction("recolor", "oak_a"),
    }


@pytest.mark.parametrize(
    ("text", "rules"),
    [
        (" Wall = recolor : Oak A ", {"Wall": ("recolor", "Oak A")}),
        ("벽=recolor:오크", {"벽": ("recolor", "오크")}),
        ("kitchen island=recolor:#aabbcc", {"kitchen island": ("recolor", "#aabbcc")}),
        ("Handle=remove", {"Handle": ("remove", "")}),
        ("Wall=recolor:,Floor=tone", {"Wall": ("recolor", ""), "Floor": ("tone", "")}),
        (
            "Floor=tone:warmth=0.3, contrast=-.1,Wall=recolor:sage",
            {"Floor": ("tone", "warmth=0.3,contrast=-.1"), "Wall": ("recolor", "sage")},
        ),
    ],
)
def test_rules_in_other_spellings(text: str, rules: dict[str, tuple[str, str]]) -> None:
    assert parse_rule(text) == {name: RuleAction(*rule) for name, rule in rules.items()}


WORD = st.text(st.characters(categories=["L", "N"], include_characters="_ -"), min_size=1).filter(
    lambda word: word == word.strip() and word.casefold() != "tone"
)


@given(
    st.lists(
        st.tuples(WORD, WORD, WORD), min_size=1, max_size=4, unique_by=lambda entry: fold(entry[0])
    )
)
def test_what_is_written_is_read(entries: list[tuple[str, str, str]]) -> None:
    text = ",".join(f"{name}={action}:{value}" for name, action, value in entries)
    assert parse_rule(text) == {name: RuleAction(*rule) for name, *rule in entries}


@given(st.text(max_size=60))
def test_any_text_is_a_rule_or_refused_in_one_line(text: str) -> None:
    told = "one line"
    try:
        assert parse_rule(text)
    except Refused as refusal:
        told = str(refusal)
    assert len(told.splitlines()) == 1


@pytest.mark.parametrize("text", ["", "Wall", "Wall=", "=recolor:sage", "Wall=recolor:sage,,", ","])
def test_broken_rules_show_the_form(text: str) -> None:
    with pytest.raises(Refused, match="write Concept=action:value"):
        parse_rule(text)


def test_a_concept_may_not_be_there_twice() -> None:
    with pytest.raises(Refused, match="'wall' is there twice"):
        parse_rule("Wall=recolor:sage,wall=recolor:navy")


def test_protect() -> None:
    assert parse_protect("Frame_Molding, Grout") == ["Frame_Molding", "Grout"]
    with pytest.raises(Refused, match="empty name"):
        parse_protect("Grout,,Wall")


def test_without_arguments_both_sample_albums_run_with_their_own_rules() -> None:
    albums = plan_albums(read_arguments([]))
    assert [(album.preset, album.concepts) for album in albums] == list(SHOWCASE.items())
    assert all(not album.paths and album.protect is None for album in albums)


@pytest.mark.parametrize("preset", SHOWCASE)
def test_the_rules_of_the_sample_albums_resolve_without_a_warning_but_for_protection(
    preset: str,
) -> None:
    asked = {
        name: RequestedRule(rule.action, rule.value) for name, rule in SHOWCASE[preset].items()
    }
    resolved = resolve_rules(PRESETS[preset], asked, None)
    assert [warning.code for warning in resolved.warnings] == ["PROTECT_DEFAULTS"]


def test_a_rule_without_a_preset_is_about_the_interior() -> None:
    (album,) = plan_albums(read_arguments(["--rule", "Wall=recolor:navy", "--protect", "Grout"]))
    assert (album.preset, album.protect) == ("interior", ["Grout"])
    assert album.concepts == {"Wall": RuleAction("recolor", "navy")}


def test_own_photos_take_the_rule_that_is_given(tmp_path: Path) -> None:
    paths = photos(tmp_path, 10)
    arguments = ["--photos", *paths, "--preset", "seller", "--rule", "Body=recolor:teal"]
    (album,) = plan_albums(read_arguments(arguments))
    assert [str(path) for path in album.paths] == paths
    assert (album.preset, album.concepts) == ("seller", {"Body": RuleAction("recolor", "teal")})


def test_more_photos_than_the_free_plan_takes_are_refused(tmp_path: Path) -> None:
    options = read_arguments(["--photos", *photos(tmp_path, 11)])
    with pytest.raises(Refused, match=r"11 photos were given; the free plan .* 10 credits"):
        plan_albums(options)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--preset", "interor"], "PRESET: 'interor' is not a preset; did you mean interior?"),
        (["--preset", "xyz"], "PRESET: 'xyz' is not a preset; there are interior, seller"),
        (["--photos", "missing.jpg"], "PHOTOS: missing.jpg: No such file"),
        (["--photos", "."], "PHOTOS: . is a folder"),
        (["--photos"], "--photos"),
        (["--no-such-option"], "--no-such-option"),
        (["--rule", "Wall=paint:red"], "RULE: Wall: 'paint' is not an action (known: recolor"),
        (["--rule", "Wall=recolor:sagee"], "RULE: Wall: 'sagee' is not a known material"),
        (["--rule", "Wall"], "RULE: 'Wall' is not understood"),
        (["--protect", "!"], "PROTECT: '!' has no letter"),
        (["--output", "/dev/null/here"], "OUTPUT: /dev/null/here"),
    ],
)
def test_what_does_not_fit_is_told_in_one_line_with_exit_code_2(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    told = capsys.readouterr()
    assert words in told.err
    assert told.err.count("\n") == 1
    assert told.out == ""


def test_only_an_earlier_demos_files_are_taken_away(tmp_path: Path) -> None:
    ours = ["00_before.heic", "01_result.png", "02_mask_Wall-1a2b3c4d.png", "00_instances.json"]
    theirs = ["00_before", "holiday.jpg", "00_result.png.bak", "100_result.png", "notes.json"]
    for name in ours + theirs:
        (tmp_path / name).touch()
    prepare_folder(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == set(theirs) - {"00_before"}


def finished(*statuses: str) -> Finished:
    album = plan_albums(Options(preset="interior"))[0]
    outcomes = [
        Outcome(
            Photo("a", ".jpg", bytes),
            ItemDetail(Item(idx, status)),
            SheetPhoto(number=idx, name="a"),
        )
        for idx, status in enumerate(statuses)
    ]
    done = AlbumOutcome(album, Executed(queued=True), outcomes, Path("x"), 1.0)
    return Finished([done], Path("sheet.png"), 1.0, "last words")


def test_sample_photos_must_all_be_done(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code(Options(), finished("done", "done")) == 0
    assert exit_code(Options(), finished("done", "failed")) == 1
    assert "last words" in capsys.readouterr().err


def test_of_own_photos_one_that_is_done_will_do() -> None:
    own = Options(photos=(Path("a.jpg"),))
    assert exit_code(own, finished("done", "failed")) == 0
    assert exit_code(own, finished("failed", "failed")) == 1
