"""Tables of neurons that can hardly be right are doubted, plate by plate; others are not."""

from __future__ import annotations

import pandas as pd
import pytest

from hcs.domain import columns as col
from hcs.stages.work.measuring.doubts import find_doubts


def _table(tmp_path, **changed):
    rows = {
        col.PLATE: ["P1"] * 10,
        col.WELL: ["A01"] * 10,
        col.SITE: range(10),
        "Image_Count_Cells": 8.0,
        "Image_Neurite_TotalLength_px": 900.0,
        "Image_Neurite_BroadFraction": 0.2,
        "Image_Neurite_UnassignedFraction": 0.2,
        "Image_Count_Nuclei": 20.0,
        "Image_Count_NucleiSkipped": 12.0,
        "Image_Count_NucleiSkipped_NoStain": 12.0,
    }
    file = tmp_path / "features.parquet"
    pd.DataFrame(rows | changed).to_parquet(file)
    return str(file)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        pytest.param({}, None, id="as neurons are"),
        pytest.param(
            {"Image_Count_Cells": 1.0},
            "10 cells beside 200 nuclei (120 have no stain around them)",
            id="few cells",
        ),
        pytest.param(
            {"Image_Neurite_BroadFraction": 0.8}, "these look like round cells", id="round cells"
        ),
        pytest.param({"Image_Neurite_UnassignedFraction": 0.95}, "leads to no cell", id="nets"),
        pytest.param(
            {"Image_Count_Cells": [50.0] + [0.0] * 9}, "9 of 10 images show no cell", id="empty"
        ),
    ],
)
def test_what_can_hardly_be_right_is_said(tmp_path, changed, message):
    found = find_doubts(_table(tmp_path, **changed), "features")
    assert len(found) == (message is not None)
    for problem in found:
        assert message in problem.message
        assert problem.kept
        assert (problem.plate, problem.reason) == ("P1", "doubtful")


def _cells(tmp_path, **changed):
    rows = {
        col.PLATE: ["P1"] * 3,
        "Image_Count_Cells": 80.0,
        "Image_Cells_AreaFraction": 0.2,
        "Image_Intensity_Mean": 265.0,
        "Image_Intensity_Median": 201.0,
        "Image_Intensity_Maximum": 2244.0,
    }
    file = tmp_path / "cells.parquet"
    pd.DataFrame(rows | changed).to_parquet(file)
    return str(file)


_INVERTED = {
    "Image_Intensity_Mean": 65270.0,
    "Image_Intensity_Median": 65334.0,
    "Image_Intensity_Maximum": 65401.0,
}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        pytest.param({}, None, id="as cells are"),
        pytest.param(_INVERTED, "3 of 3 images are dark objects on a bright ground", id="dark"),
        pytest.param(
            _INVERTED | {"Image_Intensity_Maximum": 65535.0, "Image_Intensity_P99": 65370.0},
            "dark objects on a bright ground",
            id="dark with a hot pixel",
        ),
        pytest.param(
            {"Image_Cells_AreaFraction": 0.54}, "240 cells, found without nuclei, cover", id="sheet"
        ),
        pytest.param(
            {"Image_Cells_AreaFraction": 0.7, "Image_Count_Nuclei": 80.0}, None, id="with nuclei"
        ),
        pytest.param(
            {"Image_Count_Nuclei": 92.0, "Image_Count_SkippedNuclei": 12.0},
            "36 of 276 nuclei have softer edges",
            id="skipped",
        ),
        pytest.param(
            {"Image_Count_Nuclei": 80.0, "Image_Count_UnstainedCells": 60.0},
            "180 of 240 cells show no stain around their nucleus",
            id="no bodies",
        ),
        pytest.param(
            {"Image_Intensity_Median": 0.0, "Image_Intensity_Mean": 0.0}, None, id="on black"
        ),
        pytest.param(
            dict.fromkeys(_INVERTED, 7.0) | {"Image_Count_Cells": 0.0}, None, id="constant"
        ),
    ],
)
def test_cells_that_can_hardly_be_right_are_doubted(tmp_path, changed, message):
    found = find_doubts(_cells(tmp_path, **changed), "features")
    assert len(found) == (message is not None)
    for problem in found:
        assert message in problem.message
        assert problem.kept


@pytest.mark.parametrize(
    ("diameter", "is_doubted"), [(11, False), (8, False), (60, True), (2, True)]
)
def test_objects_far_from_the_assumed_size_are_doubted(tmp_path, diameter, is_doubted):
    column = "Image_Nuclei_MeanArea_um2"
    file = _cells(tmp_path, **{column: 95.0, "Image_Count_Nuclei": 80.0})
    found = find_doubts(file, "features", assumed={"P1": {column: diameter}})
    assert len(found) == is_doubted
    for problem in found:
        assert f"nuclei that were found are 11 um wide and were sought as {diameter}" in (
            problem.message
        )


def test_objects_of_another_program_and_dark_ones_that_were_sought_are_not_doubted(tmp_path):
    file = _cells(tmp_path, **_INVERTED, Image_Cells_AreaFraction=0.6)
    assert find_doubts(file, "features", given=True) == []
    assert len(find_doubts(file, "features", bright=False)) == 1


def test_a_table_of_another_assay_is_not_doubted(tmp_path):
    file = tmp_path / "nuclei.parquet"
    pd.DataFrame({col.PLATE: ["P1"], "Image_Count_Nuclei": [500.0]}).to_parquet(file)
    assert find_doubts(str(file), "features") == []
