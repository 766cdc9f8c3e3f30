"""Growth over time on the page: wells and conditions against time, as they were planted."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from hcs.domain import columns as col
from hcs.report.blocks import Charts, Paragraph, Table
from hcs.report.class_features import class_features
from hcs.report.growth import choose_clock, growth
from hcs.report.study import open_study

LENGTH = "Image_Neurite_TotalLength_um"
SPEED = {"ALS": 60.0, "control": 90.0}


def features_of(times=(0, 1, 2), minutes=60.0):
    """Two fields of four wells, which grow by a speed of their class an hour."""
    rows = []
    for number, well in enumerate(("A01", "A02", "A03", "A04")):
        label = ("ALS", "control")[number % 2]
        for site in (1, 2):
            for time in times:
                grown = SPEED[label] * time * minutes / 60
                row = {col.PLATE: "P1", col.WELL: well, col.SITE: site, col.TIME: time}
                row |= {col.CLONE: f"C{number}", col.DIAGNOSIS: label, col.N_CELLS: 5.0}
                row |= {col.TIME_MIN: time * minutes, LENGTH: 100 + 10 * number + site + grown}
                rows.append(row)
    return pd.DataFrame(rows)


def section_of(tmp_path, table):
    table.to_parquet(tmp_path / "features.parquet")
    return growth(open_study(str(tmp_path)))


def of_kind(section, kind):
    return [block for block in section.blocks if isinstance(block, kind)]


def test_wells_and_conditions_are_drawn_against_hours(tmp_path):
    section = section_of(tmp_path, features_of(times=(0, 2, 4)))
    (charts,) = of_kind(section, Charts)
    assert [name for _, name in charts.legend] == ["ALS", "control"]
    chart = next(chart for chart in charts.charts if "length" in chart.title.lower())
    sources = [renderer.data_source.data for renderer in chart.model.renderers]
    wells = [data for data in sources if "x" in data]
    assert [len(data["x"]) for data in wells] == [2, 2]
    np.testing.assert_allclose(wells[0]["x"][0], [0, 2, 4])
    np.testing.assert_allclose(wells[0]["y"][0], 101.5 + np.array([0, 120, 240]))
    means = {data["condition"][0]: data for data in sources if "condition" in data}
    np.testing.assert_allclose(means["control"]["mean"], 121.5 + np.array([0, 180, 360]))
    assert list(means["control"]["count"]) == [2, 2, 2]


def test_the_table_tells_by_how_much_wells_grew(tmp_path):
    (table,) = of_kind(section_of(tmp_path, features_of(times=(0, 2, 4))), Table)
    assert [column.title for column in table.columns][2:4] == ["At 0 h", "At 4 h"]
    rows = {row[1]: row for row in table.rows if "length" in row[0].lower()}
    grown = {"ALS": ("240.0\xa0±\xa00.0", "60.00\xa0±\xa00.00")}
    grown["control"] = ("360.0\xa0±\xa00.0", "90.00\xa0±\xa00.00")
    assert rows["ALS (n = 2)"][2:] == ("111.5", "351.5", *grown["ALS"])
    assert rows["control (n = 2)"][2:] == ("121.5", "481.5", *grown["control"])


def test_a_well_that_was_lost_on_the_way_changes_no_other(tmp_path):
    table = features_of(times=(0, 2, 4))
    lost = (table[col.WELL] == "A04") & (table[col.TIME] == 4)
    (found,) = of_kind(section_of(tmp_path, table[~lost]), Table)
    rows = {row[1]: row for row in found.rows if "length" in row[0].lower()}
    assert rows["control (n = 1)"][2:] == ("111.5", "471.5", "360.0", "90.00\xa0±\xa00.00")


@pytest.mark.parametrize(
    ("minutes", "label"), [(10.0, "time (min)"), (60.0, "time (h)"), (None, "time point")]
)
def test_time_is_shown_in_the_unit_that_fits(minutes, label):
    table = features_of(times=(0, 1, 5), minutes=minutes or 1.0)
    assert choose_clock(table if minutes else table.drop(columns=col.TIME_MIN)).label == label


def test_controls_and_samples_are_told_apart_without_classes(tmp_path):
    table = features_of().drop(columns=[col.DIAGNOSIS])
    kinds = table[col.WELL].map({"A01": "negcon", "A02": "trt", "A03": "trt", "A04": "trt"})
    (charts,) = of_kind(section_of(tmp_path, table.assign(**{col.PERT_TYPE: kinds})), Charts)
    assert [name for _, name in charts.legend] == ["negative control", "treated"]


def test_one_time_point_has_no_growth(tmp_path):
    assert section_of(tmp_path, features_of(times=(3,))) is None
    assert section_of(tmp_path, features_of(times=(3,)).drop(columns=[col.TIME])) is None


def test_classes_are_compared_at_one_time_point_and_it_is_said(tmp_path):
    features_of().to_parquet(tmp_path / "features.parquet")
    study = open_study(str(tmp_path))
    assert len(study.features) == 8
    assert set(study.features[col.TIME]) == {2}
    said = [
        str(block.text) for block in class_features(study).blocks if isinstance(block, Paragraph)
    ]
    assert any("time point 2 is compared here" in text for text in said)
