"""p values are uniform without an effect, and adjustment keeps the false-discovery rate."""

import numpy as np
import pytest
from scipy import stats

from hcs.domain.constants import MAD_TO_SD
from hcs.screen.groups import summarize
from hcs.screen.significance import (
    adjust,
    empirical_p,
    leave_one_out_z,
    orient,
    prediction_p,
)


@pytest.mark.parametrize(
    ("direction", "expected"),
    [
        pytest.param(1.0, stats.t.sf(3 / (2 * np.sqrt(4 / 3)), 2), id="above"),
        pytest.param(-1.0, stats.t.cdf(3 / (2 * np.sqrt(4 / 3)), 2), id="below"),
        pytest.param(0.0, 2 * stats.t.sf(3 / (2 * np.sqrt(4 / 3)), 2), id="either way"),
    ],
)
def test_prediction_p_by_hand(direction, expected):
    reference = summarize(np.array([8.0, 10.0, 12.0]), np.zeros(3, np.intp), 1)
    p = prediction_p(np.array([13.0]), reference, np.array([0]), np.array([direction]))
    assert p[0] == pytest.approx(expected)


@pytest.mark.parametrize("n_controls", [3, 8, 32])
def test_prediction_p_is_uniform_without_an_effect(n_controls):
    rng = np.random.default_rng(7)
    n_groups = 4000
    group = np.repeat(np.arange(n_groups), n_controls)
    reference = summarize(rng.normal(5, 2, group.size), group, n_groups)
    p = prediction_p(
        rng.normal(5, 2, n_groups), reference, np.arange(n_groups), np.full(n_groups, 1.0)
    )
    assert stats.kstest(p, "uniform").pvalue > 0.001


def test_missing_reference_is_missing_p():
    reference = summarize(np.array([1.0, 1.0]), np.array([0, 0]), 2)
    p = prediction_p(np.array([2.0, 2.0]), reference, np.array([0, 1]), np.zeros(2))
    assert np.isnan(p).all()


def test_orientation():
    z = np.array([2.0, -2.0, -2.0])
    assert orient(z, np.array([1.0, -1.0, 0.0])).tolist() == [2.0, 2.0, 2.0]
    assert orient(z, np.array([-1.0, 1.0, 1.0])).tolist() == [-2.0, -2.0, -2.0]


def test_leave_one_out_equals_a_plain_loop():
    rng = np.random.default_rng(8)
    group = rng.integers(0, 5, 60).astype(np.intp)
    value = rng.normal(size=60)
    found = leave_one_out_z(value, group, 6)
    for i in range(60):
        others = value[(group == group[i]) & (np.arange(60) != i)]
        mad = MAD_TO_SD * np.median(np.abs(others - np.median(others)))
        assert found[i] == pytest.approx((value[i] - np.median(others)) / mad)


def test_leave_one_out_of_many_and_of_few():
    rng = np.random.default_rng(9)
    group = np.array([0] * 500 + [1, 1] + [2])
    found = leave_one_out_z(rng.normal(size=503), group, 3)
    assert np.isfinite(found[:500]).all()
    assert np.isnan(found[500:]).all()


def test_empirical_p_by_hand():
    null = np.array([1.0, 2.0, 3.0, np.nan])
    p = empirical_p(np.array([4.0, 3.0, 2.5, 0.0, np.nan]), null)
    assert p[:4].tolist() == [0.25, 0.5, 0.5, 1.0]
    assert np.isnan(p[4])
    assert np.isnan(empirical_p(np.array([1.0]), np.array([np.nan])))[0]


def test_adjustment_equals_scipy_within_each_family():
    p = np.array([0.01, 0.04, np.nan, 0.03, 0.5, 0.02])
    family = np.array([0, 0, 0, 1, 1, 0])
    tested = np.array([True, True, True, True, True, False])
    q = adjust(p, family, tested)
    assert q[[0, 1]].tolist() == pytest.approx(stats.false_discovery_control([0.01, 0.04]))
    assert q[[3, 4]].tolist() == pytest.approx(stats.false_discovery_control([0.03, 0.5]))
    assert np.isnan(q[[2, 5]]).all()
