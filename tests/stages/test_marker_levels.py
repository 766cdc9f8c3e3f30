"""The level of a marker is found on fields at times at which they were acquired."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import tifffile

from hcs.domain.config.stages import FeaturesConfig, IngestConfig
from hcs.io.plates.reader import PlateReader
from hcs.planes.reading import choose
from hcs.stages import features, ingest
from hcs.stages.work.segmenting import look_at

sys.path.insert(0, str(Path(__file__).parents[1] / "ops" / "cells"))
from test_bodies import disks, photo

SHAPE = (120, 160)
GRID = [(y, x) for y in (25, 60, 95) for x in (25, 62, 99, 136)]


def _ingest(tmp_path):
    """Ingest a well of positive cells that came late, and one that is negative throughout."""
    folder = tmp_path / "source"
    folder.mkdir()
    for time, well in [(0, "A2"), (1, "A2"), (2, "A2"), (2, "A1")]:
        rng = np.random.default_rng(time)
        marker = disks(GRID, 7, 100 * rng.uniform(0.7, 1.3, len(GRID)), SHAPE)
        if well == "A1":
            marker = np.maximum(marker, disks(GRID[:4], 7, 600, SHAPE))
        for name, plane in {"DAPI": disks(GRID, 7, 1500, SHAPE), "Cy5": marker}.items():
            tifffile.imwrite(folder / f"{well}_t{time}_{name}.tif", photo(plane, time, noise=4.0))
    layout = {
        "kind": "regex",
        "pattern": r"(?P<row>[A-Z])(?P<column>\d)_t(?P<t>\d)_(?P<channel>.+)\.tif",
    }
    out = str(tmp_path / "P.zarr")
    config = {"source": str(folder), "out": out, "plate_name": "P", "layout": layout}
    ingest.run(IngestConfig.model_validate(config | {"pixel_size_um": 0.5}))
    return out


def test_a_level_and_a_range_see_fields_that_were_acquired_late(tmp_path):
    plate = _ingest(tmp_path)
    config = FeaturesConfig.model_validate(
        {
            "plates": (plate,),
            "out": str(tmp_path / "f.parquet"),
            "time": {"kind": "all"},
            "write_labels": False,
            "morphology": {
                "assay": {"kind": "nuclei"},
                "nuclei": "DAPI",
                "illumination": "none",
                "markers": [{"name": "M", "channel": "Cy5", "threshold": {"kind": "otsu"}}],
            },
        }
    )
    images = pd.read_parquet(features.run(config).out)
    positive = images.groupby("Metadata_Well")["Image_M_PositiveCount"].sum()
    assert positive.to_dict() == {"A01": 4, "A02": 0}
    reader = PlateReader(plate)
    seen = look_at(reader, ["Cy5"], choose([reader], None, config.time, every=True)["P"], "plate")
    assert seen.ranges is not None
    assert seen.ranges[0][1] > 500
