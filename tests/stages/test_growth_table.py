"""Growth per hour of the wells of a time-lapse, beside the table of features."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import tifffile
from planted_stacks import LENGTHS, SIZES, draw

from hcs.domain import columns as col
from hcs.domain.config.stages import FeaturesConfig, IngestConfig
from hcs.stages import features, ingest
from hcs.stages.work.measuring.growth import locate_growth

WELLS = {"A1": 1, "A2": 2}


def write_lapse(folder, unit):
    (folder / "tiffs").mkdir()
    for number, (well, n_cells) in enumerate(WELLS.items()):
        for t, length in enumerate(LENGTHS):
            image = np.clip(draw(n_cells, length, 10 * number + t), 1, 65535).astype(np.uint16)
            tifffile.imwrite(folder / "tiffs" / f"{well}_t{90 * t if unit else t}.tif", image)
    pattern = rf"(?P<row>[A-Z])(?P<column>\d)_t(?P<t{unit}>\d+)\.tif"
    (folder / "wells.csv").write_text("well,compound\nA1,X\nA2,Y\n")
    given = {"source": str(folder / "tiffs"), "out": str(folder / "T.zarr"), "plate_name": "T"}
    given |= {"platemap": str(folder / "wells.csv")}
    layout = {"kind": "regex", "pattern": pattern}
    ingest.run(IngestConfig.model_validate(given | {"layout": layout}))


def measure(folder, time="all"):
    given = {"plates": (str(folder / "T.zarr"),), "out": str(folder / "f.parquet"), "time": time}
    given |= {"morphology": SIZES, "write_labels": False}
    return features.run(FeaturesConfig.model_validate(given))


def test_neurites_grow_by_what_was_planted(tmp_path):
    write_lapse(tmp_path, "_min")
    result = measure(tmp_path)
    assert result.summary["growth per hour"] == "f_growth.parquet"
    table = pd.read_parquet(locate_growth(result.out))
    assert table[col.WELL].tolist() == ["A01", "A02"]
    assert table[col.COMPOUND].tolist() == ["X", "Y"]
    planted = np.array(list(WELLS.values())) * (LENGTHS[-1] - LENGTHS[0]) / 3
    found = table["Image_Neurite_TotalLength_px_per_h"].to_numpy()
    assert found == pytest.approx(planted, rel=0.4)
    images = pd.read_parquet(result.out).groupby(col.WELL)["Image_Neurite_TotalLength_px"]
    lines = [np.polyfit([0, 1.5, 3], lengths, 1)[0] for _, lengths in images]
    assert found == pytest.approx(lines)
    assert (table["Image_Neurite_TotalLength_px_per_h_se"] < 0.3 * found).all()
    assert table["Image_Count_Cells_per_h"].tolist() == pytest.approx([0, 0], abs=1e-9)
    assert table["Metadata_Growth_n_times"].tolist() == [3, 3]
    assert measure(tmp_path).n_run == 0
    measure(tmp_path, "last")
    assert not locate_growth(result.out).exists(), "a table of another choice does not stay"


def test_without_minutes_it_says_why(tmp_path):
    write_lapse(tmp_path, "")
    result = measure(tmp_path)
    assert not locate_growth(result.out).exists()
    assert "does not state the minutes" in result.summary["no growth per hour"]
