"""Rescue is 0 at the diseased and 1 at the healthy control; its interval covers."""

import numpy as np
import pytest

from hcs.screen.groups import summarize
from hcs.screen.rescue import rescue_interval, rescue_score


def controls(values, group, n_groups):
    return summarize(np.asarray(values, float), np.asarray(group, np.intp), n_groups)


def test_the_scale():
    negcon = controls([0.8, 0.9, 1.0], [0, 0, 0], 1)
    poscon = controls([0.1, 0.2, 0.0], [0, 0, 0], 1)
    found = rescue_score(np.array([0.9, 0.1, 0.5, 1.3]), negcon, poscon, np.zeros(4, np.intp))
    assert found == pytest.approx([0, 1, 0.5, -0.5])


@pytest.mark.parametrize("true_rescue", [0.0, 0.6, 1.2])
@pytest.mark.parametrize(("n_negcon", "n_poscon", "replicates"), [(16, 16, 1), (8, 4, 3)])
def test_the_interval_covers(true_rescue, n_negcon, n_poscon, replicates):
    rng = np.random.default_rng(10)
    n = 6000
    negcon = controls(rng.normal(1, 0.1, n * n_negcon), np.repeat(np.arange(n), n_negcon), n)
    poscon = controls(rng.normal(0, 0.1, n * n_poscon), np.repeat(np.arange(n), n_poscon), n)
    value = rng.normal(1 - true_rescue, 0.1, (n, replicates)).mean(axis=1)
    low, high = rescue_interval(value, negcon, poscon, np.arange(n), float(replicates))
    covered = np.mean((low <= true_rescue) & (true_rescue <= high))
    # 99.9 % of runs lie within 3.3 binomial standard errors of 95 %.
    assert covered == pytest.approx(0.95, abs=3.3 * np.sqrt(0.95 * 0.05 / n))


@pytest.mark.parametrize(
    ("negcon", "poscon"),
    [
        pytest.param([], [1.0, 1.1, 0.9], id="no negative control"),
        pytest.param([1.0, 1.1, 0.9], [], id="no positive control"),
        pytest.param([1.0, 1.2, 0.9], [1.0, 1.1, 0.9], id="controls do not differ"),
    ],
)
def test_no_interval_without_two_different_controls(negcon, poscon):
    stats = [controls(values, np.zeros(len(values)), 1) for values in (negcon, poscon)]
    low, high = rescue_interval(np.array([0.5]), *stats, np.array([0]))
    assert np.isnan([low[0], high[0]]).all()


def test_controls_without_noise_give_an_interval_of_no_width():
    stats = [controls(values, [0, 0], 1) for values in ([1.0, 1.0], [0.0, 0.0])]
    low, high = rescue_interval(np.array([0.25]), *stats, np.array([0]))
    assert (low[0], high[0]) == (pytest.approx(0.75), pytest.approx(0.75))
