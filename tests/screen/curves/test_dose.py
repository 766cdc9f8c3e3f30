"""Curves of a whole table: every compound in its row, areas and levels by hand."""

import numpy as np
import pandas as pd
import pytest
from scipy.integrate import quad

from hcs.domain import columns as col
from hcs.domain.config.screening import DoseOptions
from hcs.errors import UnknownNameError
from hcs.screen.curves.dose import area_fitted, area_observed, concentration_at, fit_doses
from hcs.screen.curves.logistic import Curve, log_logistic

DOSES = np.logspace(-2, 1.5, 8)


def table(curves, noise=0.004, seed=3, **columns):
    """Three replicates of every compound: `curves` gives its parameters."""
    rng = np.random.default_rng(seed)
    tables = []
    for name, parameters in curves.items():
        dose = np.repeat(DOSES, 3)
        value = log_logistic(dose, *parameters) + rng.normal(0, noise, dose.size)
        data = {col.COMPOUND: name, col.CONCENTRATION_UM: dose, col.RESCUE: value}
        tables.append(pd.DataFrame({col.MODEL: "cnn"} | data | columns))
    return pd.concat(tables, ignore_index=True)


CURVES = {
    "strong": (0.0, 0.95, -0.5, 1.2),
    "weak": (0.0, 0.35, 0.1, 1.0),
    "none": (0.0, 0.0, 0.0, 1.0),
}
LATE = {"late": (0.0, 1.0, 2.3, 1.5)}  # with noise, its flank would pass for a small, early curve


def test_every_compound_has_its_row():
    rows = fit_doses(pd.concat([table(CURVES), table(LATE, noise=1e-5)])).set_index(col.COMPOUND)
    assert rows["status"].to_dict() == {
        "late": "outside range",
        "none": "flat",
        "strong": "fitted",
        "weak": "fitted",
    }
    strong = rows.loc["strong"]
    assert strong["ec50_um_low"] < 10**-0.5 < strong["ec50_um_high"]
    assert strong["ec50_um"] == pytest.approx(10**-0.5, rel=0.03)
    assert strong["hill_low"] < 1.2 < strong["hill_high"]
    assert (strong["n_values"], strong["n_concentrations"]) == (24, 8)
    assert (strong["lowest_um"], strong["highest_um"]) == pytest.approx((0.01, 10**1.5))
    # The absolute EC50 is where a rescue of 0.5 is reached; the weak compound never gets there.
    share = 0.5 / 0.95
    expected = 10**-0.5 * (share / (1 - share)) ** (1 / 1.2)
    assert strong["reaches_level_at_um"] == pytest.approx(expected, rel=0.03)
    assert np.isnan(rows.loc["weak", "reaches_level_at_um"])
    unfitted = rows.loc[["none", "late"]]
    assert unfitted[["ec50_um", "hill", "at_infinity", "auc_fitted"]].isna().all(axis=None)
    assert unfitted["auc_observed"].notna().all()
    assert unfitted["message"].str.len().gt(10).all()


def test_areas():
    curve = Curve("fitted", at_zero=0.2, at_infinity=1.4, log10_ec50=0.3, hill=1.7)
    integral, _ = quad(lambda x: log_logistic(np.array(10**x), 0.2, 1.4, 0.3, 1.7), -2, 1)
    assert area_fitted(curve, 0.01, 10.0) == pytest.approx(integral / 3)
    # Means 1, 3, 2 at 0.1, 1, 100: trapezoids 2 × 1 and 2.5 × 2 over three decades.
    dose = np.array([0.0, 0.1, 1.0, 1.0, 100.0])
    assert area_observed(dose, np.array([9.0, 1.0, 2.0, 4.0, 2.0])) == pytest.approx(7 / 3)
    assert np.isnan(area_observed(np.array([1.0, 1.0]), np.array([1.0, 2.0])))


@pytest.mark.parametrize(
    ("level", "expected"),
    [(0.5, 1.0), (0.8, 4.0), (1.0, np.nan), (-0.1, np.nan)],
)
def test_level(level, expected):
    curve = Curve("fitted", at_zero=0.0, at_infinity=1.0, log10_ec50=0.0, hill=1.0)
    assert concentration_at(curve, level) == pytest.approx(expected, nan_ok=True)


def test_unusable_wells_and_single_concentrations_are_left_out():
    wells = table({"a": (0, 1, 0, 1)}, usable=True)
    outlier = wells.iloc[[10]].assign(**{col.USABLE: False, col.RESCUE: 99.0})
    single = wells.iloc[:3].assign(**{col.COMPOUND: "b"})
    rows = fit_doses(pd.concat([wells, outlier, single]))
    assert rows[col.COMPOUND].tolist() == ["a"]
    assert rows["n_values"].tolist() == [24]


def test_options():
    wells = table({"a": (100.0, 20.0, 0, 1)}, noise=1).rename(columns={col.RESCUE: "viability"})
    options = DoseOptions(value="viability", at_zero=(100.0, 100.0), level=50.0)
    row = fit_doses(wells, options).iloc[0]
    assert row["at_zero"] == 100.0
    assert row["reaches_level_at_um"] == pytest.approx(10 ** np.log10(5 / 3), rel=0.1)
    with pytest.raises(ValueError, match="at_infinity runs downwards"):
        DoseOptions(at_infinity=(1.0, 0.0))


def test_without_doses():
    assert len(fit_doses(table(CURVES).iloc[:0])) == 0
    with pytest.raises(UnknownNameError, match="no column 'rescue'"):
        fit_doses(table(CURVES).drop(columns=col.RESCUE))


def test_doses_that_kill_are_left_out_and_said():
    """A rescuer of EC50 0.3 that kills at its top doses was given 2.6, Hill 10, falling."""
    wells = table({"rescuer": (0.0, 0.9, np.log10(0.3), 1.3)})
    dead = wells[col.CONCENTRATION_UM] > 3
    wells.loc[dead, col.RESCUE] = -0.8
    row = fit_doses(wells.assign(toxic=dead)).iloc[0]
    assert row["ec50_um"] == pytest.approx(0.3, rel=0.1)
    assert row["at_infinity"] > row["at_zero"]
    assert (row["n_values"], row["n_toxic"]) == (int((~dead).sum()), int(dead.sum()))
    assert row["message"] == "9 toxic wells at 3.16228 to 31.6228 µM left out"
    untold = fit_doses(wells).iloc[0]
    assert untold["status"] == "turns back"  # without a word on toxicity


@pytest.mark.parametrize(("hill", "said"), [(25.0, "steepest"), (0.05, "flattest"), (1.2, "")])
def test_a_slope_at_the_end_of_the_search_is_said(hill, said):
    dose = np.logspace(-1, 1, 31) if hill > 1 else np.logspace(-6, 6, 31)
    wells = pd.DataFrame({col.COMPOUND: "c", col.CONCENTRATION_UM: dose})
    wells[col.RESCUE] = log_logistic(dose, 0.0, 1.0, 0.02, hill)
    row = fit_doses(wells).iloc[0]
    assert row["status"] == "fitted"
    assert said in row["message"]
    assert bool(row["message"]) == bool(said)
