"""Maps without scripts: a square a well in the color of its value, signs, escaped names."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

from hcs.domain import columns as col
from hcs.domain.wells import PlateFormat
from hcs.report.charts.drawn_maps import draw_maps
from hcs.report.charts.plate_maps import DIVERGING, Scale


def wells_of(n=384):
    names = [well.name for well in PlateFormat.WELLS_384.wells()][:n]
    frame = pd.DataFrame({col.WELL: names, col.SCORE: np.linspace(0, 1, n), col.HIT: False})
    frame[col.PERT_TYPE] = "trt"
    frame[col.COMPOUND] = "<b>cpd</b>"
    frame.loc[0, col.PERT_TYPE] = "negcon"
    frame.loc[1, col.SCORE] = np.nan
    frame.loc[n - 1, col.HIT] = True
    return frame


def test_every_well_has_the_color_of_its_value_and_its_sign():
    scale = Scale(col.SCORE, DIVERGING, 0.0, 1.0)
    first, second = draw_maps(wells_of(), PlateFormat.WELLS_384, [scale, scale])
    squares = re.findall(r'<rect x="(\d+)" y="(\d+)" fill="(#\w+)"><title>(.*?)</title>', first.svg,
                         re.DOTALL)  # fmt: skip
    assert len(squares) == 384
    assert squares[0][:3] == ("0", "0", DIVERGING[0])
    assert squares[1][2] not in DIVERGING
    assert squares[-1][:3] == ("23", "15", DIVERGING[-1])
    assert "compound: &lt;b&gt;cpd&lt;/b&gt;" in squares[5][3]
    assert "<b>" not in first.svg
    assert (first.svg.count("○"), first.svg.count("★")) == (1, 1)
    assert "<title>P24 1.00</title>" in second.svg
    assert len(first.svg.encode()) + 2 * len(second.svg.encode()) < 150_000


def test_wells_of_unknown_kind_bear_no_sign_and_stop_no_page():
    """A plate map without a kind for every well ended the report with a traceback."""
    wells = wells_of(96)
    wells[col.PERT_TYPE] = pd.array([None, "negcon"] * 48, dtype="string")
    scale = Scale(col.SCORE, DIVERGING, 0.0, 1.0)
    assert draw_maps(wells, PlateFormat.WELLS_96, [scale])
