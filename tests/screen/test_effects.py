"""Effect sizes against numbers worked out by hand from the published formulas."""

import numpy as np
import pytest
from scipy.special import gamma

from hcs.screen import effects
from hcs.screen.groups import summarize

# Mean 10, SD 2, median 10, MAD 2 × 1.4826; and mean 40, SD 4, median 40, MAD 4 × 1.4826.
NEGATIVE = summarize(np.array([8.0, 10.0, 12.0]), np.zeros(3, np.intp), 1)
POSITIVE = summarize(np.array([36.0, 40.0, 44.0]), np.zeros(3, np.intp), 1)
NOTHING = summarize(np.array([]), np.array([], np.intp), 1)
EQUAL = summarize(np.array([10.0, 10.0]), np.zeros(2, np.intp), 1)


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        pytest.param(effects.z_prime, 1 - 3 * (2 + 4) / 30, id="Z'"),
        pytest.param(effects.robust_z_prime, 1 - 3 * 1.4826 * (2 + 4) / 30, id="robust Z'"),
        pytest.param(effects.signal_window, (30 - 3 * (2 + 4)) / 4, id="signal window"),
    ],
)
def test_separation_of_controls(function, expected):
    assert function(NEGATIVE, POSITIVE)[0] == pytest.approx(expected)
    assert np.isnan(function(NEGATIVE, NOTHING)[0])


def test_signal_window_divides_by_the_higher_signal_whichever_control_it_is():
    assert effects.signal_window(POSITIVE, NEGATIVE)[0] == pytest.approx((30 - 18) / 4)


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        pytest.param(effects.ssmd, 30 / np.sqrt(2**2 + 4**2), id="moments"),
        pytest.param(
            effects.ssmd_equal_variance,
            30 / np.sqrt(2 / (6 - 3.48) * (2 * 4 + 2 * 16)),
            id="equal variance",
        ),
        pytest.param(
            effects.robust_ssmd, 30 / (1.4826 * np.sqrt(2**2 + 4**2)), id="median and MAD"
        ),
    ],
)
def test_ssmd_of_two_groups(function, expected):
    assert function(POSITIVE, NEGATIVE)[0] == pytest.approx(expected)
    assert function(NEGATIVE, POSITIVE)[0] == pytest.approx(-expected)
    assert np.isnan(function(NOTHING, NEGATIVE)[0])
    assert np.isnan(function(EQUAL, EQUAL)[0])


def test_ssmd_of_a_single_well():
    found = effects.robust_ssmd_of_single(
        np.array([16.0, 16.0]), np.array([10.0, 10.0]), np.array([2.0, 0.0])
    )
    assert found[0] == pytest.approx(6 / (np.sqrt(2) * 2))
    assert np.isnan(found[1])


def test_ssmd_of_replicates():
    n = np.array([1.0, 2.0, 3.0, 6.0])
    found = effects.ssmd_of_replicates(np.full(4, 3.0), np.full(4, 1.5), n)
    assert np.isnan(found[0])
    assert found[1] == pytest.approx(2.0)
    assert found[2] == pytest.approx(gamma(1.0) / gamma(0.5) * np.sqrt(2 / 2) * 2.0)
    assert found[3] == pytest.approx(gamma(2.5) / gamma(2.0) * np.sqrt(2 / 5) * 2.0)


def test_ssmd_of_replicates_is_unbiased():
    rng = np.random.default_rng(3)
    draws = rng.normal(1.5, 1.0, (200_000, 5))
    found = effects.ssmd_of_replicates(
        draws.mean(axis=1), draws.std(axis=1, ddof=1), np.full(200_000, 5.0)
    )
    assert found.mean() == pytest.approx(1.5, abs=0.01)


@pytest.mark.parametrize(
    ("value", "name"),
    [
        pytest.param(-5.0, "extremely strong", id="5 belongs to the stronger class"),
        pytest.param(4.99, "very strong", id="4.99"),
        pytest.param(2.0, "strong", id="2"),
        pytest.param(-1.7, "fairly strong", id="-1.7"),
        pytest.param(1.3, "moderate", id="1.3"),
        pytest.param(1.0, "fairly moderate", id="1"),
        pytest.param(0.8, "fairly weak", id="0.8"),
        pytest.param(0.5, "weak", id="0.5"),
        pytest.param(0.25, "very weak", id="0.25"),
        pytest.param(0.1, "extremely weak", id="0.1"),
        pytest.param(0.0, "none", id="0"),
        pytest.param(np.nan, None, id="missing"),
    ],
)
def test_strength_classes(value, name):
    assert effects.ssmd_class(np.array([value]))[0] == name


def test_variation():
    assert effects.coefficient_of_variation(NEGATIVE)[0] == pytest.approx(0.2)
    assert np.isnan(effects.coefficient_of_variation(NOTHING)[0])
