"""Position tests equal scipy's Kruskal-Wallis plate by plate, and find planted effects."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from hcs.domain import columns as col
from hcs.domain.config.screening import BScore, HitsOptions, Loess
from hcs.domain.wells import PlateFormat
from hcs.screen.controls import PositionEffect
from hcs.screen.hits import call_hits
from hcs.screen.plates import read_wells
from hcs.screen.position.testing import kruskal_wallis, position_tests, shared_position_tests
from hcs.words.hits import say_faults

LABELS = np.array([0, 0, 0, 1, 1, 1, 2, 2, 2, 2])


@settings(deadline=None)  # a busy machine is no fault
@given(st.lists(st.integers(0, 6).map(float) | st.just(float("nan")), min_size=10, max_size=10))
def test_equal_to_scipy_with_ties_and_missing_values(values):
    plate = np.array(values)
    found = kruskal_wallis(np.stack([plate, plate[::-1]]), LABELS)[0][0]
    samples = [plate[(g == LABELS) & np.isfinite(plate)] for g in range(3)]
    samples = [sample for sample in samples if sample.size]
    if len(samples) < 2 or np.unique(np.concatenate(samples)).size < 2:
        assert np.isnan(found)
    else:
        assert found == pytest.approx(stats.kruskal(*samples).pvalue, abs=1e-12)


def test_a_known_example():
    # Kruskal & Wallis 1952, table 1.1 (three machines): H = 5.656, p by χ² with 2 df.
    values = np.array([340.0, 345, 330, 342, 338, 339, 333, 344, 347, 343, 349, 355])
    machine = np.array([0, 0, 0, 0, 0, 1, 1, 1, 2, 2, 2, 2])
    assert kruskal_wallis(values[None], machine)[0][0] == pytest.approx(
        stats.chi2.sf(5.656, 2), abs=2e-4
    )


def plate(values, kinds="trt", name="P1"):
    wells = [well.name for well in PlateFormat.WELLS_96.wells()]
    columns = {col.PLATE: name, col.WELL: wells, col.SCORE: np.ravel(values), col.PERT_TYPE: kinds}
    return pd.DataFrame(columns)


@pytest.mark.parametrize("effect", ["row_p", "column_p", "edge_p", None])
def test_planted_effects(effect):
    rng = np.random.default_rng(5)
    rows, columns = np.mgrid[0:8, 0:12]
    edge = (rows == 0) | (rows == 7) | (columns == 0) | (columns == 11)
    planted = {"row_p": rows, "column_p": columns, "edge_p": 3 * edge}
    values = rng.normal(size=(8, 12)) + planted.get(effect, 0)
    found = position_tests(read_wells(plate(values)))
    for name, p in found.items():
        if name == effect:
            assert p[0] < 1e-6
        elif effect is None and name.endswith("_p"):
            assert p[0] > 0.01


def test_controls_do_not_pass_for_a_column_effect():
    rng = np.random.default_rng(6)
    values, kinds = rng.normal(size=(8, 12)), np.full((8, 12), "trt", dtype=object)
    values[:, 0], kinds[:, 0] = values[:, 0] + 9, "negcon"
    assert position_tests(read_wells(plate(values, kinds.ravel())))["column_p"][0] > 0.01


@pytest.mark.parametrize(
    "values",
    [
        pytest.param(np.full(96, 1.0), id="all equal"),
        pytest.param(np.full(96, np.nan), id="all missing"),
        pytest.param(np.where(np.arange(96) == 3, 1.0, np.nan), id="one well"),
    ],
)
def test_degenerate_plates_have_no_p(values):
    found = position_tests(read_wells(pd.concat([plate(values), plate(range(96), name="P2")])))
    assert all(np.isnan(p[0]) for p in found.values())
    assert found["row_p"][1] < 1e-6


ROWS, COLUMNS = np.divmod(np.arange(96), 12)
EDGE = (ROWS == 0) | (ROWS == 7) | (COLUMNS == 0) | (COLUMNS == 11)
BOWL = 4 * ((2 * COLUMNS / 11 - 1) ** 2 + (2 * ROWS / 7 - 1) ** 2) / 2
IN_COLUMN = np.where(COLUMNS == 0, "negcon", "trt").astype(object)
WORDS = {
    "edge": "lie apart at the edge",
    "corner": "lie apart in the corners also after the correction",
}
IN_ROW = np.where(ROWS == 0, "negcon", "trt").astype(object)


def find_effects(seed, place, kinds, options, n_plates=3):
    rng = np.random.default_rng(seed)
    plates = [plate(rng.normal(size=96) + place, kinds, f"P{n}") for n in range(n_plates)]
    _, quality, faults = call_hits(pd.concat(plates, ignore_index=True), options)
    return quality, [fault for fault in faults if isinstance(fault.cause, PositionEffect)]


@pytest.mark.parametrize(
    ("place", "kinds", "options", "along"),
    [
        pytest.param(BOWL, IN_ROW, HitsOptions(), "edge", id="a bowl, not corrected"),
        pytest.param(4 * EDGE, IN_ROW, HitsOptions(spatial=Loess()), "edge", id="an edge, loess"),
        pytest.param(
            4 * EDGE,
            IN_COLUMN,
            HitsOptions(normalization=BScore(), reference="samples"),
            "corner",
            id="an edge, b-score",
        ),
    ],
)
def test_what_a_correction_leaves_on_plates_of_96_wells_is_said(place, kinds, options, along):
    """Each left up to 43 % false discoveries without a word: 84 wells are few for a plate alone."""
    for seed in range(5):
        quality, faults = find_effects(seed, place, kinds, options)
        assert along in set(quality["position_effect"])
        assert (quality["position_effect"] != "").all()
        assert WORDS[along] in "".join(fault.message for fault in say_faults(faults, "hits"))


def test_an_effect_that_all_plates_share_is_said_once():
    quality, faults = find_effects(1, ROWS / 7 * 1.5, IN_COLUMN, HitsOptions(), n_plates=12)
    together = [fault for fault in faults if fault.plate is None]
    assert [fault.cause.n_plates for fault in together] == [12]
    assert "treated wells of all 12 plates together" in say_faults(together, "hits")[0].message
    assert (quality["position_effect"] != "").all()


def test_shared_tests_hold_their_level():
    p = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        plates = [plate(rng.normal(size=96) * 10**n, name=f"P{n}") for n in range(3)]
        found = shared_position_tests(read_wells(pd.concat(plates, ignore_index=True)))
        p.append(found[["row_p", "column_p", "edge_p", "corner_p", "surface_p"]].iloc[0])
    level = (pd.DataFrame(p) < 0.1).mean()
    assert level.between(0.0, 0.2).all()


def test_a_surface_is_the_least_squares_fit_of_ranks():
    rng = np.random.default_rng(8)
    values = rng.normal(size=96) + BOWL
    found = position_tests(read_wells(plate(values)))
    x, y = COLUMNS / 5.5 - 1, ROWS / 3.5 - 1
    design = np.column_stack([np.ones(96), x, y, x * x, y * y, x * y])
    ranks = stats.rankdata(values)
    fitted = design @ np.linalg.lstsq(design, ranks, rcond=None)[0]
    statistic = 95 * fitted.var() / ranks.var()
    assert found["surface_p"][0] == pytest.approx(stats.chi2.sf(statistic, 5), rel=1e-6)
