"""Colour science against published values and its own inverses."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpu_handler.imaging.color import (
    delta_e_2000,
    linear_to_cielab,
    linear_to_oklab,
    linear_to_srgb,
    oklab_to_linear,
    reduce_chroma,
    srgb_to_linear,
)

UNIT = st.floats(0, 1, width=32)


def test_oklab_of_known_colours() -> None:
    """White and the primaries, from the tables of CSS Color 4 (its sample conversions)."""
    known = {
        (1, 1, 1): (1.0, 0.0, 0.0),
        (1, 0, 0): (0.62796, 0.22486, 0.12585),
        (0, 1, 0): (0.86644, -0.23389, 0.17950),
        (0, 0, 1): (0.45201, -0.03246, -0.31153),
    }
    for rgb, lab in known.items():
        assert linear_to_oklab(np.array(rgb, float)) == pytest.approx(lab, abs=1e-4)


def test_cielab_of_known_colours() -> None:
    """Widely published D65 values: white, sRGB red, middle grey #777777."""
    known = {(255, 255, 255): (100, 0, 0), (255, 0, 0): (53.24, 80.09, 67.20)}
    known |= {(119, 119, 119): (50.03, 0, 0)}
    for rgb, lab in known.items():
        found = linear_to_cielab(srgb_to_linear(np.array(rgb) / 255))
        assert found == pytest.approx(lab, abs=0.02)


@pytest.mark.parametrize(("kind", "close"), [(np.float32, 2e-5), (np.float64, 1e-7)])
def test_there_and_back_in_either_precision(kind: type[np.floating], close: float) -> None:
    srgb = np.random.default_rng(1).random((500, 3)).astype(kind)
    lab = linear_to_oklab(srgb_to_linear(srgb))
    back = linear_to_srgb(oklab_to_linear(lab))
    assert lab.dtype == back.dtype == kind
    assert np.abs(back - srgb).max() < close


@given(st.tuples(UNIT, UNIT, UNIT), st.floats(0, 3))
@settings(max_examples=100, deadline=None)
def test_reduced_chroma_fits_srgb_and_keeps_lightness_and_hue(
    rgb: tuple[float, float, float], more: float
) -> None:
    lab = linear_to_oklab(np.array(rgb, np.float64)) * (1, 1 + more, 1 + more)
    fitted = reduce_chroma(lab)
    linear = oklab_to_linear(fitted)
    assert linear.min() >= -2e-4
    assert linear.max() <= 1 + 2e-4
    assert fitted[0] == lab[0]
    assert abs(float(fitted[1] * lab[2] - fitted[2] * lab[1])) < 1e-9
    assert np.hypot(*fitted[1:]) <= np.hypot(*lab[1:]) + 1e-12


# Sharma, Wu, Dalal 2005, table 1: pairs chosen to find mistakes in hue means and differences.
SHARMA = """
50 2.6772 -79.7751 50 0 -82.7485 2.0425
50 3.1571 -77.2803 50 0 -82.7485 2.8615
50 2.8361 -74.0200 50 0 -82.7485 3.4412
50 -1.3802 -84.2814 50 0 -82.7485 1.0000
50 0 0 50 -1 2 2.3669
50 2.4900 -0.0010 50 -2.4900 0.0009 7.1792
50 2.4900 -0.0010 50 -2.4900 0.0010 7.1792
50 2.4900 -0.0010 50 -2.4900 0.0011 7.2195
50 2.4900 -0.0010 50 -2.4900 0.0012 7.2195
50 -0.0010 2.4900 50 0.0009 -2.4900 4.8045
50 -0.0010 2.4900 50 0.0011 -2.4900 4.7461
50 2.5 0 50 0 -2.5 4.3065
50 2.5 0 73 25 -18 27.1492
50 2.5 0 61 -5 29 22.8977
50 2.5 0 56 -27 -3 31.9030
50 2.5 0 58 24 15 19.4535
60.2574 -34.0099 36.2677 60.4626 -34.1751 39.4387 1.2644
63.0109 -31.0961 -5.8663 62.8187 -29.7946 -4.0864 1.2630
22.7233 20.0904 -46.6940 23.0331 14.9730 -42.5619 2.0373
90.8027 -2.0831 1.4410 91.1528 -1.6435 0.0447 1.4441
2.0776 0.0795 -1.1350 0.9033 -0.0636 -0.5514 0.9082
"""


def test_ciede2000_of_the_published_pairs() -> None:
    rows = np.array([line.split() for line in SHARMA.split("\n") if line], float)
    there = delta_e_2000(rows[:, :3], rows[:, 3:6])
    back = delta_e_2000(rows[:, 3:6], rows[:, :3])
    assert there == pytest.approx(rows[:, 6], abs=5e-5)
    assert back == pytest.approx(there, abs=1e-9)
