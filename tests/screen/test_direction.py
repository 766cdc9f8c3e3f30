"""Percent inhibition is drawn from the positive controls: it never tells by itself what they do."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from hcs.domain import columns as col
from hcs.domain.config.screening import HitsOptions, PercentInhibition, RobustZScore
from hcs.screen.controls import OppositeControls, UnclearDirection
from hcs.screen.hits import call_hits

N_PLATES = 20
NPI = HitsOptions(normalization=PercentInhibition())


def draw_wells(shift: float, swapped: tuple[int, ...] = (), model: str = "x") -> pd.DataFrame:
    """Plates of 96 wells around 50: 8 negative controls, 8 positive ones `shift` above them."""
    draws = np.random.default_rng(4)
    rows = []
    for plate in range(N_PLATES):
        for row, column in np.ndindex(8, 12):
            kind = {0: "negcon", 11: "poscon"}.get(column, "trt")
            up = shift * (-1 if plate in swapped else 1)
            value = 50 + draws.normal() + (up if kind == "poscon" else 0)
            well = f"{'ABCDEFGH'[row]}{column + 1:02d}"
            rows.append((model, f"P{plate}", well, kind, value))
    names = [col.MODEL, col.PLATE, col.WELL, col.PERT_TYPE, col.SCORE]
    return pd.DataFrame(rows, columns=names)


@pytest.mark.parametrize("model", ["x", "cnn"])
def test_positive_controls_that_do_nothing_show_no_way(model):
    hits, _, faults = call_hits(draw_wells(0.0, model=model), NPI)
    assert [type(fault.cause) for fault in faults] == [UnclearDirection]
    assert set(hits[col.DIRECTION]) == {0}


@pytest.mark.parametrize("shift", [-9.0, 9.0])
def test_inhibition_lies_up_whichever_way_the_controls_lie(shift):
    hits, _, faults = call_hits(draw_wells(shift), NPI)
    assert faults == []
    assert set(hits[col.DIRECTION]) == {1}


@pytest.mark.parametrize("how", [PercentInhibition(), RobustZScore()], ids=["npi", "robust-z"])
def test_a_plate_of_swapped_controls_is_named_on_every_scale(how):
    _, _, faults = call_hits(draw_wells(9.0, swapped=(2,)), HitsOptions(normalization=how))
    assert [(fault.plate, type(fault.cause)) for fault in faults] == [("P2", OppositeControls)]
