"""Tones by name and by number."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import asdict

from shared.tone import TONES, InvalidTone, ToneParameters, canonical_tone, parse_tone


def test_the_named_tones_go_where_they_say() -> None:
    assert set(TONES) == {"warm", "cool", "bright", "dark", "vivid", "muted", "contrast"}
    assert TONES["warm"].warmth > 0 > TONES["cool"].warmth
    assert TONES["bright"].brightness > 0 > TONES["dark"].brightness
    assert TONES["vivid"].saturation > 0 > TONES["muted"].saturation
    assert TONES["contrast"].contrast > 0
    for tone in TONES.values():
        assert tone != ToneParameters()
        assert all(-1 <= v <= 1 for v in asdict(tone).values())


@pytest.mark.parametrize(
    ("value", "canonical", "parameters"),
    [
        (" Warm ", "warm", TONES["warm"]),
        (
            "warmth=0.4, brightness=-0.1",
            "brightness=-0.1,warmth=0.4",
            ToneParameters(warmth=0.4, brightness=-0.1),
        ),
        ("Saturation = +1", "saturation=1", ToneParameters(saturation=1)),
        ("contrast=.25;warmth=-1.", "contrast=0.25,warmth=-1", ToneParameters(-1, 0, 0.25)),
        ("warmth=-0.00001", "warmth=0", ToneParameters()),
        ("warmth=0.123456", "warmth=0.123", ToneParameters(warmth=0.123)),
        ("Warm = 0.5", "warmth=0.2", ToneParameters(warmth=0.2)),
        ("dark=2", "brightness=-0.7", ToneParameters(brightness=-0.7)),
        ("warm=0", "warmth=0", ToneParameters()),
        ("warm, bright=1", "brightness=0.35,warmth=0.4", ToneParameters(0.4, 0.35)),
        ("vivid=0.5,contrast", "contrast=0.35,saturation=0.175", ToneParameters(0, 0, 0.35, 0.175)),
        ("contrast=1", "contrast=1", ToneParameters(contrast=1)),
        ("warm=2,warmth=0.9", "warmth=1", ToneParameters(warmth=1)),
    ],
)
def test_what_people_write(value: str, canonical: str, parameters: ToneParameters) -> None:
    assert canonical_tone(value) == canonical
    assert parse_tone(value) == parameters == parse_tone(canonical)
    assert canonical_tone(canonical) == canonical


@pytest.mark.parametrize(
    ("value", "reason", "suggestion"),
    [
        ("", "not a known tone", "warm"),
        ("wram", "not a known tone", "warm"),
        ("warmth", "not a known tone", "warmth=0.3"),
        ("warmht=0.2", "not a tone parameter", "warmth"),
        ("warmth=0.1,", "not a tone parameter", "warmth"),
        ("warmth=0.1,brightness", "needs a number", "brightness=0.3"),
        ("warmth=nan", "needs a number", None),
        ("warmth=inf", "needs a number", None),
        ("warmth=1e3", "needs a number", None),
        ("warmth=0x1", "needs a number", None),
        ("warmth=١", "needs a number", None),
        ("warmth=.", "needs a number", None),
        ("warmth=", "needs a number", None),
        ("warmth=1.0001", "from -1 to 1", None),
        ("warmth=-2", "from -1 to 1", None),
        ("warm=2.001", "from 0 to 2", None),
        ("dark=-1", "from 0 to 2", None),
        ("warm=strong", "needs a number from 0 to 2", None),
        ("warm,warm=0.1", "given twice", None),
        ("vvid=0.5", "not a tone parameter", "vivid"),
        ("warmth=0.1,Warmth=0.2", "given twice", None),
        ("warmth=0.1," * 1000, "at most", None),
        ("x" * 100_000, "not a known tone", "warm"),
    ],
)
def test_what_does_not_resolve_says_why(value: str, reason: str, suggestion: str | None) -> None:
    for read in (parse_tone, canonical_tone):
        with pytest.raises(InvalidTone, match=reason) as caught:
            read(value)
        assert suggestion is None or suggestion in caught.value.suggestions
        assert len(str(caught.value)) < 200


@given(st.fixed_dictionaries({}, optional={k: st.floats(-1, 1) for k in asdict(ToneParameters())}))
def test_numbers_survive_to_a_thousandth(pairs: dict[str, float]) -> None:
    written = ", ".join(f"{key} = {value:.6f}" for key, value in pairs.items())
    if not written:
        return
    read = asdict(parse_tone(written))
    assert all(abs(read[key] - pairs.get(key, 0.0)) <= 0.000_502 for key in read)
    assert parse_tone(canonical_tone(written)) == parse_tone(written)


@given(st.one_of(st.text(), st.text("warmthbighnescou=,;.-+019 ")))
def test_any_text_is_a_tone_or_says_that_it_is_not(value: str) -> None:
    try:
        canonical = canonical_tone(value)
    except InvalidTone:
        return
    assert canonical_tone(canonical) == canonical
