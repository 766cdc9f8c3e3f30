"""Assays of cells and nuclei through the stage: tables, labels, channels, markers, refusals."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile

from hcs.domain import columns as col
from hcs.domain.config.stages import FeaturesConfig, IngestConfig
from hcs.errors import InputError, UnknownNameError
from hcs.io.files.parquet import read_provenance
from hcs.io.plates.reader import PlateReader
from hcs.report.gallery import write_gallery
from hcs.stages import features, ingest

sys.path.insert(0, str(Path(__file__).parents[1] / "ops" / "cells"))
from test_bodies import disks, photo

SHAPE = (120, 160)
GRID = [(y, x) for y in (25, 60, 95) for x in (25, 62, 99, 136)]
POSITIVE = {"A1": 4, "A2": 0, "B1": 0, "B2": 3}
"""Wells of 12 cells, and how many of them are positive, weakly."""


@pytest.fixture(scope="module")
def plate(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cells")
    for seed, (well, positive) in enumerate(POSITIVE.items()):
        rng = np.random.default_rng(seed)
        marker = disks(GRID, 7, 100 * rng.uniform(0.7, 1.3, len(GRID)), SHAPE)
        marker = np.maximum(marker, disks(GRID[:positive], 7, 600, SHAPE))
        planes = {
            "DAPI": photo(disks(GRID, 7, 1500, SHAPE), seed),
            "Alexa 488": photo(disks(GRID, 14, 600, SHAPE), seed + 10),
            "Cy5": photo(marker, seed + 20, noise=4.0),
        }
        for name, plane in planes.items():
            tifffile.imwrite(folder / f"{well}_{name}.tif", plane)
    out = str(folder / "P.zarr")
    layout = {"kind": "regex", "pattern": r"(?P<row>[A-Z])(?P<column>\d)_(?P<channel>.+)\.tif"}
    config = {"source": str(folder), "out": out, "plate_name": "P", "layout": layout}
    ingest.run(IngestConfig.model_validate(config | {"pixel_size_um": 0.5}))
    return out


def measure(plate, tmp_path, channel=None, **morphology):
    config = {
        "plates": (plate,), "out": str(tmp_path / "f.parquet"), "channel": channel,
        "morphology": {"illumination": "none", **morphology},
    }  # fmt: skip
    result = features.run(FeaturesConfig.model_validate(config))
    tables = [pd.read_parquet(path) for path in (result.out, features.locate_cells(result.out))]
    return result, *tables


OTSU = {"name": "PH3", "channel": "Cy5", "threshold": {"kind": "otsu"}, "compartment": "nucleus"}


def test_cells_around_nuclei_with_every_channel_and_one_level_for_the_plate(plate, tmp_path):
    result, images, cells = measure(
        plate, tmp_path, "Alexa 488", assay={"kind": "cells"}, nuclei="DAPI", measured="all",
        markers=[OTSU],
    )  # fmt: skip
    assert result.problems == ()
    assert images[col.N_CELLS].tolist() == images["Image_Count_Nuclei"].tolist() == [12] * 4
    assert images["Image_PH3_PositiveCount"].tolist() == list(POSITIVE.values())
    level = read_provenance(result.out)["measured_with"]["P"]["marker_levels_counts"]["PH3"]
    assert 130 < level < 600
    assert result.summary["marker PH3 of P"] == f"positive above {level:.4g} counts"
    assert len(cells) == 48
    for part in ("Nuclei", "Cells", "Cytoplasm"):
        for channel in ("DAPI", "Alexa488", "Cy5"):
            assert cells[f"{part}_Intensity_MeanIntensity_{channel}"].notna().all()
            assert f"{part}_Texture_Contrast_{channel}_3_00_256" in cells
    dna = cells["Nuclei_Intensity_MeanIntensity_DAPI"]
    assert dna.between(1300, 1800).all()
    assert (dna > cells["Cytoplasm_Intensity_MeanIntensity_DAPI"] + 800).all()
    assert cells[col.WELL].value_counts().to_dict() == dict.fromkeys(
        ["A01", "A02", "B01", "B02"], 12
    )
    reader = PlateReader(plate)
    assert set(reader.label_names("A/1/0")) == {"cells", "nuclei"}
    assert int(reader.read_label("A/1/0", "cells").max()) == 12
    again, *_ = measure(
        plate, tmp_path, "Alexa 488", assay={"kind": "cells"}, nuclei="DAPI", measured="all",
        markers=[OTSU],
    )  # fmt: skip
    assert (again.n_run, again.n_skipped) == (0, 4)


def test_nuclei_alone_need_one_channel_and_measure_it(plate, tmp_path):
    result, images, cells = measure(plate, tmp_path, "DAPI", assay={"kind": "nuclei"})
    assert images[col.N_CELLS].tolist() == [12] * 4
    size = read_provenance(result.out)["measured_with"]["P"]["nucleus_diameter_um"]
    assert size == pytest.approx(7.0, rel=0.25)
    assert not [name for name in [*images, *cells] if "Neurite" in name or "Soma" in name]
    assert not [name for name in cells if "Texture" in name]
    with pytest.raises(InputError, match=r"--nuclei is 'DAPI' and --channel is 'Cy5'"):
        measure(plate, tmp_path, "Cy5", assay={"kind": "nuclei"}, nuclei="DAPI")
    with pytest.raises(InputError, match="name one with --channel"):
        measure(plate, tmp_path, assay={"kind": "nuclei"})


def test_labels_of_another_assay_do_not_stay_behind(plate, tmp_path):
    measure(plate, tmp_path, "Alexa 488", nuclei="DAPI")
    reader = PlateReader(plate)
    assert set(reader.label_names("A/1/0")) == {"soma", "neurites", "nuclei"}
    (tmp_path / "later").mkdir()
    measure(plate, tmp_path / "later", "DAPI", assay={"kind": "nuclei"})
    assert set(PlateReader(plate).label_names("A/1/0")) == {"nuclei"}
    assert not (Path(plate) / "A/1/0/labels/soma").exists()
    captions = write_gallery([plate], tmp_path / "g.png", channel="DAPI", n_fields=2, tile_px=64)
    assert all("12 cells in the field" in caption for caption in captions)


def test_rings_and_bodies_alone(plate, tmp_path):
    ring = {"kind": "cells", "ring_um": 2.0}
    _, images, cells = measure(plate, tmp_path, assay=ring, nuclei="DAPI")
    assert images[col.N_CELLS].tolist() == [12] * 4
    radius = np.sqrt(cells["Cells_AreaShape_Area"] / np.pi)
    assert (radius - np.sqrt(cells["Nuclei_AreaShape_Area"] / np.pi)).mean() == pytest.approx(
        4, abs=0.6
    )
    _, images, cells = measure(plate, tmp_path, "Alexa 488", assay={"kind": "cells"})
    assert images[col.N_CELLS].tolist() == [12] * 4
    assert "Image_Count_Nuclei" not in images


def test_without_two_groups_none_is_positive_and_that_is_said(plate, tmp_path):
    marker = {**OTSU, "channel": "DAPI", "name": "D"}
    result, images, _ = measure(
        plate, tmp_path, assay={"kind": "nuclei"}, nuclei="DAPI", markers=[marker]
    )
    assert images["Image_D_PositiveCount"].sum() == 0
    assert result.summary["marker D of P"] == "no two groups of cells: none is positive"


def test_somas_are_measured_in_other_channels_too(plate, tmp_path):
    _, images, cells = measure(plate, tmp_path, "Alexa 488", measured=["DAPI"])
    assert "Cells_Texture_Entropy_DAPI_3_00_256" in cells
    found = cells["Cells_Intensity_MeanIntensity_DAPI"]
    assert found.between(300, 1500).all()
    assert len(found) == images[col.N_CELLS].sum()


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"measured": ["FITC"]}, UnknownNameError, "no channel 'FITC'"),
        ({"markers": [{**OTSU, "compartment": "cytoplasm"}]}, InputError, "need --nuclei"),
        ({"markers": [{**OTSU, "name": "Intensity"}]}, InputError, "'Intensity'"),
    ],
)
def test_what_cannot_be_is_refused(plate, tmp_path, given, error, message):
    with pytest.raises(error, match=message):
        measure(plate, tmp_path, "Alexa 488", assay={"kind": "cells"}, **given)
