"""Real plates and images that nobody here made; skipped where they are absent."""

from __future__ import annotations

import pandas as pd
import pytest

from hcs.domain import columns as col
from hcs.domain.columns import Reason
from hcs.domain.config.stages import (
    FeaturesConfig,
    IngestConfig,
    RegexLayout,
    SplitsConfig,
    StackConfig,
)
from hcs.errors import InputError
from hcs.io.files.parquet import read_problems
from hcs.io.plates.reader import PlateReader
from hcs.io.plates.validate import faults_of
from hcs.io.stack import open_stack
from hcs.learn.probes.positions import plate_position_association
from hcs.stages import features, ingest, splits, stack


def test_spaom2020_from_tiffs_to_splits(test_data, tmp_path, cluster):
    source = test_data / "spaom2020" / "dataset2D"
    out = str(tmp_path / "spaom.zarr")
    result = ingest.run(
        IngestConfig(
            source=str(source / "images"),
            out=out,
            layout=RegexLayout(pattern=r"(?P<column>\d\d)(?P<row>[A-H])\.tif"),
            platemap=str(source / "metadata.csv"),
            plate_name="SPAOM",
        ),
        cluster,
    )
    assert result.problems == ()
    assert faults_of(out) == []
    reader = PlateReader(out)
    assert (len(reader.images), reader.plate_format.n_wells) == (96, 96)
    assert reader.images[col.COMPOUND].value_counts().to_dict() == dict.fromkeys(
        ["control", "matrigel5", "pre2i", "pre2i_cleaned"], 24
    )
    found = {
        item.variable: item.verdict
        for item in plate_position_association(reader.images, col.COMPOUND)
    }
    assert (found["column"], found["row"]) == ("confounded", "unrelated")
    stacked = stack.run(
        StackConfig(plates=(out,), out=str(tmp_path / "stack.zarr"), channel="1", image_px=64),
        cluster,
    )
    assert open_stack(stacked.out).n_images == 96
    drawn = splits.run(
        SplitsConfig(
            plates=(out,), out=str(tmp_path / "splits.json"), group_by=col.WELL,
            label=col.COMPOUND, n_splits=6, train=16, validation=4, test=4,
        )
    )  # fmt: skip
    assert drawn.summary["splits"] == 6


def test_real_neurons_with_a_median_of_zero(test_data, tmp_path):
    out = str(tmp_path / "isl.zarr")
    ingest.run(
        IngestConfig(
            source=str(test_data / "isl_tuj1"),
            out=out,
            layout=RegexLayout(pattern=r"(?P<channel>\w+)_widefield\.png", well="A01"),
        )
    )
    assert PlateReader(out).channels == ("dapi", "tuj1")
    table = features.run(
        FeaturesConfig(plates=(out,), out=str(tmp_path / "f.parquet"), channel="tuj1")
    )
    measured = pd.read_parquet(table.out)
    assert measured[col.N_CELLS].iloc[0] > 100
    assert measured["Image_Neurite_TotalLength_px"].iloc[0] > 10_000
    config = StackConfig(plates=(out,), out=str(tmp_path / "s.zarr"), channel="tuj1")
    with pytest.raises(InputError, match="the median is 0"):
        stack.run(config)
    assert read_problems(config.out)["reason"].tolist() == [Reason.ZERO_MEDIAN]
