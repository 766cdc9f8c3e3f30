"""Advice on a correction comes from trying each on the plates that need one."""

import numpy as np
import pandas as pd
import pytest

from hcs.domain import columns as col
from hcs.domain.config.screening import HitsOptions, Loess, LoessWithEdge
from hcs.domain.wells import PlateFormat
from hcs.screen.hits import call_hits
from hcs.screen.position.advice import try_corrections
from hcs.screen.position.smooth import edge_step
from hcs.words.hits import advise_correction, say_faults

ROW, COLUMN = np.divmod(np.arange(384), 24)
EDGE = (ROW == 0) | (ROW == 15) | (COLUMN == 0) | (COLUMN == 23)
SLOPE = COLUMN / 23
NAMES = [well.name for well in PlateFormat.WELLS_384.wells()]
ROW_1 = np.where(ROW == 0, "negcon", "trt")
SCATTERED = np.where(np.random.default_rng(0).random(384) < 0.08, "negcon", "trt")


def make_plates(place, kinds, n_plates=2, seed=1):
    rng = np.random.default_rng(seed)
    values = [rng.normal(size=384) + place for _ in range(n_plates)]
    return pd.DataFrame(
        {
            col.MODEL: "reader",
            col.PLATE: np.repeat([f"P{n}" for n in range(n_plates)], 384),
            col.WELL: NAMES * n_plates,
            col.PERT_TYPE: np.tile(kinds, n_plates),
            col.SCORE: np.concatenate(values),
        }
    )


def advise(wells, options):
    _, quality, faults = call_hits(wells, options)
    tried = try_corrections(wells, quality, options)
    return tried.set_index("correction"), advise_correction(tried, options), faults


@pytest.mark.parametrize(
    ("place", "advised"),
    [
        pytest.param(4 * SLOPE, "loess", id="a slope"),
        pytest.param(4 * EDGE, "loess-edge", id="an edge"),
        pytest.param(4 * EDGE + 4 * SLOPE, "loess-edge", id="both"),
    ],
)
def test_the_correction_that_leaves_nothing_is_advised(place, advised):
    options = HitsOptions(direction="both")
    tried, words, faults = advise(make_plates(place, SCATTERED), options)
    assert tried["n_left"]["none"] == 2
    assert tried["n_left"][advised] == 0
    assert tried["advised"].to_dict() == {name: name == advised for name in tried.index}
    assert tried["treated_spread"][advised] < 0.95
    assert f"compare with --correct {advised}, which leaves it on 0 of 2 plates" in words["reader"]
    messages = [problem.message for problem in say_faults(faults, "hits", words)]
    assert any(f"--correct {advised}" in message for message in messages)
    corrected = {"loess": Loess(), "loess-edge": LoessWithEdge()}[advised]
    hits, _, left = call_hits(make_plates(place, SCATTERED), HitsOptions(spatial=corrected))
    assert left == []
    assert hits[col.HIT].sum() <= 2


def test_plates_without_an_effect_try_nothing():
    tried, words, _ = advise(make_plates(0 * SLOPE, SCATTERED), HitsOptions())
    assert tried.empty
    assert words == {}


def test_a_layout_of_doses_is_asked_for_where_no_correction_helps():
    checks = 6.0 * ((ROW + COLUMN) % 2 * (ROW % 2))
    tried, words, _ = advise(make_plates(checks, SCATTERED), HitsOptions(direction="both"))
    if not tried["advised"].any():
        assert "does the layout follow it?" in words["reader"]


def test_controls_that_a_polish_cannot_see_are_said():
    tried, _, _ = advise(make_plates(4 * SLOPE, ROW_1), HitsOptions(direction="both"))
    assert not tried["controls_compare"]["median-polish"]
    assert tried["controls_compare"]["loess"]


@pytest.mark.parametrize("step", [0.0, 1.0, 6.0])
def test_a_step_at_the_edge_is_found_over_a_surface_and_beside_hits(step):
    rng = np.random.default_rng(4)
    plates = rng.normal(size=(20, 16, 24)) + 5 * SLOPE.reshape(16, 24) ** 2
    plates = plates + step * EDGE.reshape(16, 24) + 8 * (rng.random(plates.shape) < 0.03)
    plates[:, 0, :5] = np.nan
    found = edge_step(plates)
    assert found.mean() == pytest.approx(step, abs=0.25)
    assert found.std() < 0.45


def test_plates_of_edge_wells_alone_have_no_step():
    assert edge_step(np.random.default_rng(5).normal(size=(2, 2, 3))).tolist() == [0.0, 0.0]


def test_doses_along_columns_are_not_corrected_away():
    """LOESS was advised for a plate whose columns are concentrations."""
    wells = make_plates(-4 * SLOPE, SCATTERED, n_plates=1)
    wells[col.CONCENTRATION_UM] = np.where(wells[col.PERT_TYPE] == "trt", 1.5**COLUMN, np.nan)
    tried, words, faults = advise(wells, HitsOptions(direction="both"))
    assert set(tried["doses_follow"]) == {"column"}
    assert words["reader"].startswith("no correction is advised: concentrations follow the column")
    assert "no correction is advised" in say_faults(faults, "hits", words)[0].message
    wells[col.CONCENTRATION_UM] = np.random.default_rng(1).permutation(wells[col.CONCENTRATION_UM])
    assert set(advise(wells, HitsOptions(direction="both"))[0]["doses_follow"]) == {""}
