"""An effect that rises and falls again is told from one that does not; EC50 is that of its rise."""

import numpy as np
import pandas as pd
import pytest

from hcs.domain import columns as col
from hcs.screen.curves.bell import fit_bell
from hcs.screen.curves.dose import fit_doses
from hcs.screen.curves.logistic import Bounds, log_logistic, squares_of_logistic

DOSE = np.repeat(np.logspace(-2, 1.5, 8), 3)


def sigmoid(place, slope):
    return 1 / (1 + (10.0**place / DOSE) ** slope)


def fit(clean, seed, noise=0.07):
    value = clean + np.random.default_rng(seed).normal(0, noise, DOSE.size)
    return fit_bell(DOSE, value, squares_of_logistic(DOSE, value, Bounds()))


def test_bells_are_told_and_the_rise_lies_in_its_interval():
    found = [fit(sigmoid(-0.9, 1.5) - sigmoid(0.8, 1.5), seed) for seed in range(20)]
    assert sum(bell.is_clear for bell in found) >= 19
    assert sum(bell.rise_low <= -0.9 <= bell.rise_high for bell in found) >= 17
    assert np.median([bell.log10_rise for bell in found]) == pytest.approx(-0.9, abs=0.15)
    assert np.median([bell.log10_fall for bell in found]) == pytest.approx(0.8, abs=0.15)
    assert np.median([bell.residual_sd for bell in found]) == pytest.approx(0.07, rel=0.25)


@pytest.mark.parametrize(("place", "slope"), [(-0.2, 1.0), (1.2, 1.5), (0.3, 4.0)])
def test_curves_that_do_not_turn_back_are_not_doubted(place, slope):
    clean = log_logistic(DOSE, 0.0, 1.0, place, slope)
    assert sum(fit(clean, seed).is_clear for seed in range(20)) <= 1


def table(value):
    return pd.DataFrame(
        {
            col.MODEL: "cnn", col.COMPOUND: "A", col.CONCENTRATION_UM: DOSE, col.RESCUE: value,
            col.USABLE: True,
        }
    )  # fmt: skip


@pytest.mark.parametrize("sign", [1.0, -1.0], ids=["rises", "falls"])
def test_a_table_of_curves_says_so(sign):
    """One curve through both arms gave an EC50 of neither."""
    clean = sign * (sigmoid(-0.9, 1.5) - sigmoid(0.9, 1.5))
    row = fit_doses(table(clean + np.random.default_rng(2).normal(0, 0.05, DOSE.size))).iloc[0]
    assert row["status"] == "turns back"
    assert row["ec50_um_low"] < 10**-0.9 < row["ec50_um_high"]
    assert row["falls_at_um"] == pytest.approx(10**0.9, rel=0.5)
    assert "turns back (half-way at" in row["message"]
    assert np.isnan(row["hill_low"])
    assert np.isnan(row["auc_fitted"])


def test_a_plain_curve_keeps_its_fit():
    clean = log_logistic(DOSE, 0.0, 1.0, -0.2, 1.0)
    row = fit_doses(table(clean + np.random.default_rng(1).normal(0, 0.05, DOSE.size))).iloc[0]
    assert row["status"] == "fitted"
    assert row["turns_p"] > 0.01
    assert np.isnan(row["falls_at_um"])


def test_few_concentrations_are_not_tested():
    dose = np.repeat([0.1, 1.0, 10.0, 30.0, 100.0], 3)
    value = np.tile([0.0, 1.0, 1.0, 0.5, 0.0], 3).reshape(3, 5).T.ravel()
    assert np.isnan(fit_bell(dose, value, 1.0).p)
