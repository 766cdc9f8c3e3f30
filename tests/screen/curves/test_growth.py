"""GR metrics against the toy example that the authors publish with their own programs."""

import numpy as np
import pytest

from hcs.screen.curves.growth import fit_growth, growth_rate_inhibition

# datarail/gr_metrics, MCF10A, perturbation 0, replicate 1, 48 h: counts of its example input;
# GR values and metrics as its R package GRmetrics prints them (OUTPUT/R_input1_GRmetrics.tsv).
DOSE = np.array([0.001, 0.003162, 0.01, 0.03162, 0.1, 0.3162, 1, 3.162, 10])
DRUG_A = np.array([1131, 1205, 1021, 743, 459, 318, 284, 274, 249], float)
DRUG_C = np.array([1118, 1187, 1199, 1257, 1087, 1049, 793, 488, 409], float)
CONTROL, START = np.full(9, 1212.5), np.full(9, 299.5)


def test_gr_values():
    found = growth_rate_inhibition(DRUG_A, CONTROL, START)
    expected = [0.932192640069, 0.993858057695, 0.836636259139, 0.568911721218, 0.235692165878]
    assert found[:5].tolist() == pytest.approx(expected, abs=1e-11)


@pytest.mark.parametrize(
    ("count", "gr50", "gec50", "gr_inf", "hill", "gr_max", "aoc"),
    [
        pytest.param(
            DRUG_A, 0.0401590540510592, 0.0446507657124445, -0.0656685389606291,
            1.16389429109656, -0.087471872664457, 0.622696637673626, id="drug A",
        ),
        pytest.param(
            DRUG_C, 1.41775558882076, 1.20511497885423, 0.0911468824624679,
            1.23847413378254, 0.16702748096268, 0.225217666321321, id="drug C",
        ),
    ],
)  # fmt: skip
def test_metrics(count, gr50, gec50, gr_inf, hill, gr_max, aoc):
    found = fit_growth(DOSE, growth_rate_inhibition(count, CONTROL, START))
    assert found.curve.status == "fitted"
    assert found.curve.at_zero == 1.0
    assert found.gr50_um == pytest.approx(gr50, rel=1e-3)
    assert found.gec50_um == pytest.approx(gec50, rel=1e-3)
    assert found.gr_inf == pytest.approx(gr_inf, abs=1e-3)
    assert found.hill == pytest.approx(hill, rel=1e-3)
    assert found.gr_max == pytest.approx(gr_max, abs=1e-9)
    assert found.gr_aoc == pytest.approx(aoc, abs=1e-9)


def test_a_drug_without_effect_has_no_gr50():
    rng = np.random.default_rng(0)
    found = fit_growth(DOSE, 1 + rng.normal(0, 0.05, 9))
    assert found.curve.status == "flat"
    assert np.isnan([found.gr50_um, found.gec50_um, found.gr_inf]).all()
    assert found.gr_aoc == pytest.approx(0, abs=0.05)


@pytest.mark.parametrize(
    ("count", "control", "start", "expected"),
    [
        pytest.param(400, 400, 100, 1.0, id="grows as the control"),
        pytest.param(200, 400, 100, np.sqrt(2) ** 1 - 1 + 0, id="half of the doublings"),
        pytest.param(100, 400, 100, 0.0, id="stands still"),
        pytest.param(50, 400, 100, 2**-0.5 - 1, id="dies"),
        pytest.param(400, 100, 100, np.nan, id="control did not grow"),
        pytest.param(400, 400, 0, np.nan, id="nothing at the start"),
        pytest.param(np.nan, 400, 100, np.nan, id="not counted"),
    ],
)
def test_by_hand(count, control, start, expected):
    found = growth_rate_inhibition(*(np.array([float(n)]) for n in (count, control, start)))
    assert found[0] == pytest.approx(expected, nan_ok=True)


def test_a_well_without_cells_is_defined():
    found = growth_rate_inhibition(np.array([0.0]), np.array([400.0]), np.array([100.0]))
    assert -1 < found[0] < -0.99


def test_nothing_to_fit():
    found = fit_growth(np.array([]), np.array([]))
    assert found.curve.status == "too few concentrations"
    assert np.isnan([found.gr_max, found.gr_aoc]).all()
