"""What the report says on how morphology was measured and what differs."""

from __future__ import annotations

import pandas as pd

from hcs.io.files import parquet
from hcs.learn.scores.group_tests import compare_groups
from hcs.report import measured
from hcs.report.blocks import Paragraph, Table
from hcs.report.study import open_study

WITH = {
    "P01": {
        "soma_diameter_um": 14.1,
        "neurite_width_um": 2.0,
        "illumination": {
            "TH": {"range_fraction": 0.31, "gain": 0.8, "corrected": True, "source": "vendor"},
            "DAPI": {"range_fraction": 0.02, "gain": 0.0, "corrected": False, "source": "plate"},
        },
    }
}


def test_scales_and_light_of_each_plate(builder):
    frame = pd.DataFrame(
        {"Metadata_Plate": ["P01"], "Metadata_Well": ["A01"], "Metadata_Site": [0]}
    )
    made = {"stage": "features", "software": "hcs", "measured_with": WITH}
    parquet.write_table(builder.folder / "features.parquet", frame, made)
    (said,) = measured.how_measured(open_study(builder.folder))
    assert isinstance(said, Paragraph)
    assert "soma diameter 14.1 µm and neurite width 2 µm" in str(said.text)
    assert "divided by the illumination of the vendor's flat field (uneven by 31%)" in str(
        said.text
    )
    assert "channel DAPI was left" in str(said.text)


def test_tests_and_importance_of_the_forest(builder):
    means = pd.DataFrame(
        {
            "class": ["ALS"] * 4 + ["control"] * 4,
            "Image_Neurite_Beading": [0.5, 0.6, 0.55, 0.52, 0.3, 0.31, 0.29, 0.33],
            "Image_Count_Cells": [10, 12, 11, 9, 10, 11, 12, 9],
        }
    )
    tests = compare_groups(means, list(means.columns[1:]), "class", "ALS")
    folder = builder.folder / "forest"
    folder.mkdir(exist_ok=True)
    parquet.write_table(folder / "groups.parquet", tests)
    importance = pd.DataFrame(
        {"feature": ["Image_Neurite_Beading"], "importance_mean": [0.2], "importance_sd": [0.05]}
    )
    parquet.write_table(folder / "importance.parquet", importance)
    first, second = measured.what_differs(open_study(builder.folder))
    assert isinstance(first, Table)
    assert "eading" in str(first.rows[0][0])
    assert "Holm" in first.caption
    assert str(second.rows[0][1]).startswith("0.200")


def test_a_study_without_forest_says_nothing(builder):
    builder.write_splits()
    assert list(measured.what_differs(open_study(builder.folder))) == []
