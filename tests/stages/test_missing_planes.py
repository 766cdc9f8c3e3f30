"""Planes that are missing are no planes that were not acquired: no stage passes them over."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile

from hcs.domain.columns import Reason
from hcs.domain.config.layouts import RegexLayout
from hcs.domain.config.stages import FeaturesConfig, IngestConfig, StackConfig
from hcs.io.plates.reader import PlateReader
from hcs.stages import features, ingest, stack

PATTERN = r"(?P<well>[A-H]\d\d)_(?P<channel>[A-Z]+)_t(?P<t>\d)_z(?P<z>\d)\.tif"
SIDE = 32
BRIGHT = 5000
"""Counts that the plane which is to be damaged has above the others."""


def write_source(folder: Path, wells, n_times: int, n_planes: int, damaged: str | None) -> str:
    """TH at every time and z; plane 1 of each is the brightest; one file is no image."""
    folder.mkdir()
    draws = np.random.default_rng(3)
    for well in wells:
        for t, z in np.ndindex(n_times, n_planes):
            picture = draws.integers(100, 300, (SIDE, SIDE)) + (z == 1) * BRIGHT
            tifffile.imwrite(folder / f"{well}_TH_t{t}_z{z}.tif", picture.astype("uint16"))
        tifffile.imwrite(
            folder / f"{well}_DAPI_t0_z0.tif", draws.integers(1, 9, (SIDE, SIDE), "uint16")
        )
    if damaged is not None:
        (folder / damaged).write_bytes(b"II*\0 and no more")
    return str(folder)


def take(source: str, out: Path, **more):
    layout = {} if source.endswith(".zarr") else {"layout": RegexLayout(pattern=PATTERN)}
    return ingest.run(
        IngestConfig.model_validate({"source": source, "out": str(out)} | layout | more)
    )


def states(out: str, field: str) -> list[list[bool]]:
    reader = PlateReader(out)
    channel = reader.channel_index("TH")
    return [reader.acquired(field, channel).tolist(), reader.missing(field, channel).tolist()]


@pytest.mark.parametrize("wells", [("A01", "A02"), ("A01",)], ids=["two-wells", "one-well"])
def test_a_copy_of_a_plate_knows_what_the_plate_lacks(tmp_path, wells):
    source = write_source(tmp_path / "in", wells, 1, 3, "A01_TH_t0_z2.tif")
    first = take(source, tmp_path / "P.zarr")
    copy = take(first.out, tmp_path / "Q.zarr")
    assert states(first.out, "A/1/0") == [[[True, True, False]], [[False, False, True]]]
    assert states(copy.out, "A/1/0") == states(first.out, "A/1/0")
    assert [(p.reason, p.well, p.kept) for p in copy.problems] == [
        (Reason.MISSING_FILE, "A01", True)
    ]


def test_a_stack_that_the_plate_notes_as_incomplete_is_not_projected_from_it(tmp_path):
    source = write_source(tmp_path / "in", ("A01", "A02"), 1, 3, "A01_TH_t0_z1.tif")
    first = take(source, tmp_path / "P.zarr")
    flat = take(first.out, tmp_path / "flat.zarr", projection="max")
    assert {(p.reason, p.well) for p in flat.problems} == {(Reason.MISSING_FILE, "A01")}
    assert states(flat.out, "A/1/0") == [[[False]], [[True]]]
    reader = PlateReader(flat.out)
    assert reader.read_plane("A/2/0", reader.channel_index("TH")).min() >= BRIGHT


@pytest.mark.parametrize("plane", ["max", "mean", "focus"])
def test_stages_project_no_stack_that_lacks_a_plane(tmp_path, plane):
    source = write_source(tmp_path / "in", ("A01", "A02"), 1, 3, "A01_TH_t0_z1.tif")
    plate = take(source, tmp_path / "P.zarr").out
    config = {"plates": (plate,), "channel": "TH", "plane": plane}
    measured = features.run(
        FeaturesConfig.model_validate(config | {"out": str(tmp_path / "f.parquet")})
    )
    stacked = stack.run(StackConfig.model_validate(config | {"out": str(tmp_path / "s.zarr")}))
    for result in (measured, stacked):
        assert [(p.reason, p.well) for p in result.problems] == [(Reason.MISSING_FILE, "A01")]
        assert "z 1 of channel TH was missing" in result.problems[0].message
    assert pd.read_parquet(measured.out)["Metadata_Well"].tolist() == ["A02"]
    # Planes that are there can still be chosen.
    config |= {"plane": "z:2", "out": str(tmp_path / "two.parquet")}
    assert features.run(FeaturesConfig.model_validate(config)).problems == ()


def test_a_missing_time_point_is_a_problem_and_one_not_acquired_is_not(tmp_path):
    wells = ("A01", "A02", "A03")
    source = write_source(tmp_path / "in", wells, 3, 1, "A01_TH_t1_z0.tif")
    plate = take(source, tmp_path / "P.zarr").out
    config = {"plates": (plate,), "time": "all"}
    lapse = FeaturesConfig.model_validate(
        config | {"channel": "TH", "out": str(tmp_path / "th.parquet")}
    )
    measured = features.run(lapse)
    problems = [p for p in measured.problems if p.reason != Reason.DOUBTFUL]
    assert [(p.reason, p.well) for p in problems] == [(Reason.MISSING_FILE, "A01")]
    assert problems[0].message.startswith("time 1:")
    assert measured.summary["images"] == 8
    assert "fields at times at which they were not acquired" not in measured.summary
    once = FeaturesConfig.model_validate(
        config | {"channel": "DAPI", "out": str(tmp_path / "dapi.parquet")}
    )
    measured = features.run(once)
    assert measured.problems == ()
    assert measured.summary["fields at times at which they were not acquired"] == 6
