"""Features: one row an image and a cell, labels in the plate, the same by one worker or two."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import tifffile
from small_plates import name_of

from hcs.domain import columns as col
from hcs.domain.config.stages import FeaturesConfig, IngestConfig
from hcs.errors import InputError
from hcs.io.files.parquet import read_provenance
from hcs.io.plates.reader import PlateReader
from hcs.io.plates.validate import faults_of
from hcs.stages import features, ingest


@pytest.fixture
def plate(source, tmp_path):
    """Ingest the plate with a pixel size."""
    out = str(tmp_path / "P1.zarr")
    ingest.run(
        IngestConfig(
            source=str(source.images),
            out=out,
            platemap=str(source.platemap),
            plate_name="P1",
            pixel_size_um=1.0,
        )
    )
    return out


def config_of(plate, tmp_path, **more):
    given = {"plates": (plate,), "out": str(tmp_path / "features.parquet")}
    return FeaturesConfig.model_validate(given | more)


def test_images_cells_and_labels(plate, tmp_path, cluster):
    result = features.run(config_of(plate, tmp_path), cluster)
    assert result.problems == ()
    images = pd.read_parquet(result.out)
    assert len(images) == 24
    assert set(images[col.N_CELLS]) == {2.0}
    assert images["Image_Soma_MeanArea_um2"].between(70, 150).all()
    assert images[col.CLONE].notna().all()
    cells = pd.read_parquet(features.locate_cells(result.out))
    assert len(cells) == 48
    reader = PlateReader(plate)
    assert reader.label_names("A/1/0") == ("soma", "neurites")
    assert set(np.unique(reader.read_label("A/1/0", "soma"))) == {0, 1, 2}
    assert faults_of(plate) == []
    assert read_provenance(result.out)["stage"] == "features"


def test_a_size_in_um_needs_a_pixel_size_and_one_in_px_does_not(source, tmp_path):
    out = str(tmp_path / "bare.zarr")
    ingest.run(IngestConfig(source=str(source.images), out=out, plate_name="bare"))
    in_um = {"sizes": {"soma_diameter_um": 9}}
    with pytest.raises(InputError, match=r"--soma-um 9\).*plate bare has no pixel size.*--soma-px"):
        features.run(config_of(out, tmp_path, morphology=in_um))
    in_px = {"sizes": {"soma_diameter_px": 9.5}}
    result = features.run(config_of(out, tmp_path, morphology=in_px))
    measured_with = read_provenance(result.out)["measured_with"]["bare"]
    assert measured_with["soma_diameter_px"] == 9.5
    assert set(pd.read_parquet(result.out)[col.N_CELLS]) == {2.0}


def test_ngio_opens_labels_and_the_features_table(plate, tmp_path):
    ngio = pytest.importorskip("ngio")
    features.run(config_of(plate, tmp_path))
    opened = ngio.open_ome_zarr_plate(plate)
    assert "features" in opened.list_tables()
    assert sorted(opened.get_image("A", 1, "0").list_labels()) == ["neurites", "soma"]


def test_one_process_and_workers_agree_to_the_bit(plate, tmp_path, cluster):
    one = pd.read_parquet(features.run(config_of(plate, tmp_path)).out)
    two = features.run(config_of(plate, tmp_path, out=str(tmp_path / "b.parquet")), cluster)
    pd.testing.assert_frame_equal(one, pd.read_parquet(two.out), check_exact=True)


def test_second_run_does_nothing(plate, tmp_path):
    features.run(config_of(plate, tmp_path))
    again = features.run(config_of(plate, tmp_path))
    assert (again.n_run, again.n_skipped) == (0, 12)


def test_without_pixel_size_the_unit_is_pixels(source, tmp_path):
    out = str(tmp_path / "P2.zarr")
    ingest.run(IngestConfig(source=str(source.images), out=out, plate_name="P2"))
    images = pd.read_parquet(features.run(config_of(out, tmp_path)).out)
    assert "Image_Neurite_TotalLength_px" in images
    assert not [name for name in images.columns if name.startswith("Image_") and "_um" in name]


def test_plates_with_and_without_pixel_size_do_not_mix(source, plate, tmp_path):
    out = str(tmp_path / "P2.zarr")
    ingest.run(IngestConfig(source=str(source.images), out=out, plate_name="P2"))
    with pytest.raises(InputError, match=r"\['P2'\] have no pixel size"):
        features.run(config_of(plate, tmp_path, plates=(plate, out)))


def test_a_constant_image_gets_zeros_not_a_crash(source, tmp_path):
    tifffile.imwrite(source.images / name_of("A", 1, 1), np.full((64, 64), 7, np.uint16))
    out = str(tmp_path / "P3.zarr")
    ingest.run(IngestConfig(source=str(source.images), out=out, plate_name="P3"))
    images = pd.read_parquet(features.run(config_of(out, tmp_path)).out)
    row = images.query("Metadata_Well == 'A01' and Metadata_Site == 1").iloc[0]
    assert row[col.N_CELLS] == 0
    assert row["Image_Neurite_TotalLength_px"] == 0
