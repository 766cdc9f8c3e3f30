from __future__ import annotations

import pandas as pd
import pytest

from hcs.domain import columns as col
from hcs.domain.wells import PlateFormat
from hcs.report.charts import dose_curves, plate_maps, style


def wells_of(**columns) -> pd.DataFrame:
    names = ("A01", "B02", "H12")
    frame = pd.DataFrame({col.WELL: names, col.HIT: [False, True, False]})
    return frame.assign(**columns)


@pytest.mark.parametrize(
    ("scores", "limits"),
    [
        pytest.param([0.1, 0.5, 0.9], (0.0, 1.0), id="probabilities"),
        pytest.param([None, None, None], (0.0, 1.0), id="no-values"),
        pytest.param([5.0, 5.0, 5.0], (4.0, 6.0), id="constant"),
    ],
)
def test_score_scale(scores, limits):
    scale = plate_maps.score_scale(wells_of(score=scores))
    assert (scale.low, scale.high) == limits


def test_values_that_are_no_probabilities_span_their_own_range():
    scale = plate_maps.score_scale(wells_of(score=[-20.0, 0.0, 300.0]))
    assert -20 <= scale.low < 0
    assert 250 < scale.high <= 300


def test_z_scale_is_symmetric_and_ignores_controls():
    wells = wells_of(robust_z=[-40.0, 5.0, -1.0], Metadata_pert_type=["poscon", "trt", "trt"])
    scale = plate_maps.z_scale(wells)
    assert scale.low == -scale.high
    assert 4 < scale.high <= 5
    assert plate_maps.z_scale(wells_of(robust_z=[0.1, 0.2, None])).high == 3.0


@pytest.mark.parametrize(
    "plate_format", [pytest.param(f, id=str(f.n_wells)) for f in PlateFormat if f.n_wells > 90]
)
def test_every_format_is_drawn_with_its_wells(plate_format):
    wells = wells_of(score=[0.1, 0.5, None], robust_z=[0.0, 1.0, None])
    scale = plate_maps.score_scale(wells)
    plot = plate_maps.plate_figure(wells, plate_format, scale)
    empty, filled, hit = plot.renderers
    assert len(empty.data_source.data["x"]) == plate_format.n_wells
    assert filled.data_source.data["x"] == [1, 2, 12]
    assert filled.data_source.data["y"] == [0, 1, 7]
    assert hit.glyph.marker == "star"
    assert (plot.x_range.start, plot.x_range.end) == (0.5, plate_format.n_columns + 0.5)
    assert plot.y_range.start > plot.y_range.end  # row A is on top


def test_marks_of_controls_hits_and_flagged_wells():
    wells = pd.DataFrame(
        {
            col.WELL: ["A01", "A02", "A03", "A04", "A05"],
            col.PERT_TYPE: ["negcon", "poscon", "trt", "trt", "negcon"],
            col.HIT: [False, False, True, False, False],
            col.USABLE: [True, True, True, True, False],
            col.SCORE: [0.9, 0.1, 0.2, 0.8, 0.9],
        }
    )
    plot = plate_maps.plate_figure(wells, PlateFormat.WELLS_24, plate_maps.score_scale(wells))
    marks = {r.glyph.marker: r for r in plot.renderers if hasattr(r.glyph, "marker")}
    places = {marker: list(r.data_source.data["x"]) for marker, r in marks.items()}
    assert places == {"circle": [1], "triangle": [2], "star": [3], "x": [5]}


def test_compounds_with_three_doses_have_a_curve_strongest_first():
    rows = [("weak", dose, 0.1 * i, "trt") for i, dose in enumerate((0.1, 1.0, 10.0))] + [
        ("strong", dose, -0.4 * i, "trt") for i, dose in enumerate((0.1, 1.0, 10.0))
    ]
    rows += [("two doses", 1.0, 0.9, "trt"), ("two doses", 2.0, 0.9, "trt")]
    rows += [("control", dose, 5.0, "poscon") for dose in (0.1, 1.0, 10.0)]
    names = [col.COMPOUND, col.CONCENTRATION_UM, col.RESCUE, col.PERT_TYPE]
    hits = pd.DataFrame(rows, columns=names)
    found = dose_curves.rank_compounds(hits, col.RESCUE)
    assert [name for name, _ in found] == ["strong", "weak"]
    assert dose_curves.effect_column(hits) == col.RESCUE
    low, high = dose_curves.shared_range([part for _, part in found], col.RESCUE)
    assert low < -0.8
    assert high > 1.0


def test_without_rescue_the_effect_is_robust_z():
    hits = pd.DataFrame({col.RESCUE: [None, None], col.ROBUST_Z: [1.0, 2.0]})
    assert dose_curves.effect_column(hits) == col.ROBUST_Z
    assert dose_curves.rank_compounds(hits, col.ROBUST_Z) == []


def test_the_positive_class_has_its_own_color():
    colors = style.class_colors(["ALS", "control", "other"], "ALS")
    assert len(set(colors.values())) == 3
    assert style.class_colors(["control", "ALS"], "ALS")["ALS"] == colors["ALS"]


def test_colors_of_robust_z_end_at_ten():
    assert plate_maps.z_scale(wells_of(robust_z=[-800.0, 500.0, 300.0])).high == 10.0
