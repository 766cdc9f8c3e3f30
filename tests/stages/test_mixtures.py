"""Plates of one table that differ in what their columns count in are doubted, and floats too."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import tifffile
from scipy import ndimage

from hcs.domain.config.stages import FeaturesConfig, IngestConfig
from hcs.stages import features, ingest


def _ingest(tmp_path, name, dtype=np.uint16, pixel_um=0.5, factor=1.0, zoom=1):
    y, x = np.mgrid[:80, :80]
    disks = [np.hypot(y - cy, x - cx) <= 7 for cy in (20, 60) for cx in (20, 60)]
    plane = ndimage.gaussian_filter(np.where(np.any(disks, axis=0), 150.0, 0), 1) + 20
    noisy = np.random.default_rng(0).poisson(plane) * factor
    folder = tmp_path / name
    folder.mkdir()
    tifffile.imwrite(folder / "A1.tif", np.kron(noisy, np.ones((zoom, zoom))).astype(dtype))
    layout = {"kind": "regex", "pattern": r"(?P<row>[A-Z])(?P<column>\d)\.tif"}
    out = str(tmp_path / f"{name}.zarr")
    given = {"source": str(folder), "out": out, "plate_name": name, "layout": layout}
    ingest.run(IngestConfig.model_validate(given | {"pixel_size_um": pixel_um}))
    return out


def _measure(tmp_path, *plates):
    morphology = {"assay": {"kind": "nuclei"}, "illumination": "none", "measured": "all"}
    given = {"plates": plates, "out": str(tmp_path / "f.parquet"), "write_labels": False}
    return features.run(FeaturesConfig.model_validate(given | {"morphology": morphology}))


@pytest.mark.parametrize(
    ("second", "words"),
    [
        pytest.param({}, [], id="alike"),
        pytest.param({"dtype": np.uint8}, ["of different types (P1 uint16, P2 uint8)"], id="type"),
        pytest.param(
            {"pixel_um": 0.25, "zoom": 2}, ["of different sizes (P1 0.5 µm, P2 0.25 µm)"], id="size"
        ),
    ],
)
def test_plates_that_do_not_compare_are_named(tmp_path, second, words):
    plates = _ingest(tmp_path, "P1"), _ingest(tmp_path, "P2", **second)
    result = _measure(tmp_path, *plates)
    found = [problem.message for problem in result.problems if problem.reason == "doubtful"]
    assert len(found) == len(words)
    assert all(word in message for word, message in zip(words, found, strict=True))


@pytest.mark.parametrize("factor", [1 / 300, 1.0])
def test_floats_have_textures_only_where_one_is_white(tmp_path, factor):
    result = _measure(tmp_path, _ingest(tmp_path, "P1", np.float32, factor=factor))
    cells = pd.read_parquet(features.locate_cells(result.out))
    entropy = cells.filter(regex="_Texture_Entropy_").to_numpy()
    assert len(cells) == 4
    if factor < 1:
        assert (entropy > 1).all()
        assert not result.problems
    else:
        assert np.isnan(entropy).all()
        assert "float32 above 1" in result.problems[0].message
