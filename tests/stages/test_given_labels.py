"""Labels of other programs measured: in plates and folders, numbers kept, faults named."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import tifffile
import zarr

from hcs.domain import columns as col
from hcs.domain.config.stages import FeaturesConfig, IngestConfig
from hcs.errors import InputError, UnknownNameError
from hcs.io.files import parquet
from hcs.io.plates import plate as io_plate
from hcs.io.plates.reader import PlateReader
from hcs.stages import features, ingest

FIELDS = [f"{row}/{column}/{site}" for row in "ABC" for column in range(1, 5) for site in (0, 1)]


@pytest.fixture
def plate(source, tmp_path):
    out = str(tmp_path / "P1.zarr")
    given = {"source": str(source.images), "out": out, "plate_name": "P1", "pixel_size_um": 0.5}
    ingest.run(IngestConfig.model_validate(given | {"platemap": str(source.platemap)}))
    return out


def squares(first=7, second=70_000, dtype=np.uint32):
    """Two objects: one of the two somas of a field, and a patch of its background."""
    label = np.zeros((64, 64), dtype)
    label[20:30, 10:20] = first
    label[50:56, 4:10] = second
    return label


def leave_label(plate, path, name, label, *, axes="yx", scale=None):
    """Write a label as other programs do: listed nowhere, chunks of zeros left out."""
    group = zarr.open_group(plate, mode="r+").require_group(f"{path}/labels/{name}")
    data = label.reshape((1,) * (len(axes) - label.ndim) + label.shape)
    chunks = (1,) * (data.ndim - 2) + (32, 32)
    array = group.create_array("0", shape=data.shape, dtype=data.dtype, chunks=chunks, fill_value=0)
    array[...] = data
    steps = [{"type": "scale", "scale": scale or [1.0] * len(axes)}]
    kinds = {"t": "time", "c": "channel"}
    described = [{"name": axis, "type": kinds.get(axis, "space")} for axis in axes]
    if scale:
        described = [item | {"unit": "micrometer"} for item in described]
    sets = [{"path": "0", "coordinateTransformations": steps}]
    group.attrs["ome"] = {
        "version": "0.5",
        "multiscales": [{"axes": described, "datasets": sets}],
    }


def measure(plate, tmp_path, labels, name="f.parquet", **more):
    given = {
        "plates": (plate,) if isinstance(plate, str) else plate,
        "out": str(tmp_path / name),
        "morphology": {"labels": labels, "sizes": {"soma_diameter_px": 10, "neurite_width_px": 2}},
        "write_labels": False,
    }
    result = features.run(FeaturesConfig.model_validate(given | more))
    cells = pd.read_parquet(features.locate_cells(result.out))
    return result, pd.read_parquet(result.out), cells


IN_PLATE = {"cells": {"kind": "plate", "name": "cellpose"}}


@pytest.mark.parametrize(
    ("dtype", "axes", "scale"),
    [("uint32", "yx", None), ("int64", "zyx", [1.0, 0.5, 0.5]), ("int32", "tczyx", None)],
)
def test_labels_in_a_plate_are_the_objects(plate, tmp_path, dtype, axes, scale):
    for path in FIELDS:
        leave_label(plate, path, "cellpose", squares(dtype=dtype), axes=axes, scale=scale)
    result, images, cells = measure(plate, tmp_path, IN_PLATE)
    assert result.problems == ()
    assert set(images[col.N_CELLS]) == {2.0}
    assert cells["Cells_ObjectNumber"].tolist() == [7, 70_000] * 24
    assert cells["Cells_Soma_Area_um2"].tolist() == [25.0, 9.0] * 24
    assert cells["Cells_Location_Center_X_px"].tolist()[:2] == [14.5, 6.5]
    length = cells.groupby("Cells_ObjectNumber")["Cells_Neurite_Length_um"].mean()
    assert length[7] > 5, "the neurite of the field grows from the soma that was given"
    assert length[70_000] == 0


def test_a_changed_label_is_measured_again_and_nothing_else(plate, tmp_path):
    for path in FIELDS:
        leave_label(plate, path, "cellpose", squares())
    measure(plate, tmp_path, IN_PLATE)
    zarr.open_array(f"{plate}/B/2/1/labels/cellpose/0", mode="r+")[50:56, 4:10] = 9
    result, _, cells = measure(plate, tmp_path, IN_PLATE)
    assert (result.n_run, result.n_skipped) == (1, 11)
    changed = cells.query("Metadata_Well == 'B02' and Metadata_Site == 2")
    assert changed["Cells_ObjectNumber"].tolist() == [7, 9]


def test_missing_and_unusable_labels_are_named_never_empty(plate, tmp_path):
    for path in FIELDS[:-4]:
        leave_label(plate, path, "cellpose", squares())
    leave_label(plate, FIELDS[-4], "cellpose", np.zeros((64, 64), np.uint16))
    leave_label(plate, FIELDS[-3], "cellpose", squares()[::2, ::2])
    leave_label(plate, FIELDS[-2], "cellpose", squares(), scale=[0.65, 0.65])
    result, images, _ = measure(plate, tmp_path, IN_PLATE)
    assert len(images) == 20
    reasons = {f"{p.file}": (str(p.reason), p.message) for p in result.problems}
    assert [reasons[path][0] for path in FIELDS[-4:]] == [
        "missing-file", "wrong-shape", "contradictory", "missing-file",
    ]  # fmt: skip
    assert "--blank-labels empty" in reasons[FIELDS[-4]][1]
    assert "32 × 32 pixels, its field has 64 × 64" in reasons[FIELDS[-3]][1]
    assert "states pixels of 0.65 µm, its field 0.5 µm" in reasons[FIELDS[-2]][1]
    assert "has no label 'cellpose'" in reasons[FIELDS[-1]][1]
    _, images, _ = measure(plate, tmp_path, IN_PLATE | {"blank": "empty"})
    row = images.query("Metadata_Well == 'C03' and Metadata_Site == 1")
    assert row[col.N_CELLS].tolist() == [0.0]


def test_a_name_that_no_field_has_is_refused(plate, tmp_path):
    leave_label(plate, FIELDS[0], "stardist", squares())
    with pytest.raises(UnknownNameError, match="no label 'cellpose'; plate P1 has"):
        measure(plate, tmp_path, IN_PLATE)


def test_labels_of_others_are_never_overwritten(plate, tmp_path):
    leave_label(plate, FIELDS[3], "soma", squares())
    with pytest.raises(InputError, match=r"A/2/1/labels/soma was not written by hcs"):
        measure(plate, tmp_path, {}, write_labels=True)
    kept = PlateReader(plate).read_label(FIELDS[3], "soma")
    np.testing.assert_array_equal(kept, squares())


def test_given_labels_stay_and_neurites_carry_their_numbers(plate, tmp_path):
    for path in FIELDS:
        leave_label(plate, path, "cellpose", squares())
    measure(plate, tmp_path, IN_PLATE, write_labels=True)
    reader = PlateReader(plate)
    np.testing.assert_array_equal(reader.read_label("A/1/0", "cellpose"), squares())
    assert reader.label_names("A/1/0") == ("neurites",)
    numbers = set(np.unique(reader.read_label("A/1/0", "neurites")).tolist())
    assert 7 in numbers
    assert numbers <= {0, 7, 70_000, 2**32 - 1}
    measure(plate, tmp_path, IN_PLATE, write_labels=True)


def test_a_folder_of_masks(source, plate, tmp_path):
    folder = tmp_path / "masks"
    folder.mkdir()
    images = PlateReader(plate).images
    for index, row in enumerate(images.itertuples()):
        stem = row.sources.rsplit("/", 1)[-1].removesuffix(".tif")
        name = stem if index % 2 else f"{row.Metadata_Well}_{row.Metadata_Site}"
        tifffile.imwrite(folder / f"{name}_mask.tif", squares(3, 300, np.uint16))
    tifffile.imwrite(folder / "other.tif", squares())
    (folder / "A01_1_mask.tif").unlink()
    labels = {"cells": {"kind": "folder", "path": str(folder)}}
    result, images, cells = measure(plate, tmp_path, labels, write_labels=True)
    assert {(p.file, str(p.reason), p.kept) for p in result.problems} == {
        ("other.tif", "unmatched-file", True),
        ("A/1/0", "missing-file", False),
    }
    assert len(images) == 23
    assert cells["Cells_ObjectNumber"].tolist() == [3, 300] * 23
    written = PlateReader(plate).read_label("A/1/1", "soma")
    np.testing.assert_array_equal(written, squares(3, 300))
    assert len(parquet.read_problems(result.out)) == 2


def test_given_nuclei_seed_the_somas(plate, tmp_path):
    for path in FIELDS:
        leave_label(plate, path, "nuc", squares())
    labels = {"nuclei": {"kind": "plate", "name": "nuc"}}
    _, images, cells = measure(plate, tmp_path, labels)
    assert set(images["Image_Count_Nuclei"]) == {2.0}
    assert len(cells) == 24, "the soma without a nucleus is no cell, nor is the nucleus without one"


def test_one_label_is_not_both(plate, tmp_path):
    same = {"kind": "plate", "name": "nuc"}
    with pytest.raises(ValueError, match="by the same labels"):
        measure(plate, tmp_path, {"cells": same, "nuclei": same})


def test_the_mark_is_in_what_hcs_writes(plate, tmp_path):
    measure(plate, tmp_path, {}, write_labels=True)
    attributes = zarr.open_group(f"{plate}/A/1/0/labels/soma", mode="r").attrs.asdict()
    assert attributes[io_plate.NOTES] == {io_plate.MADE_BY: "hcs features"}


@pytest.mark.parametrize("assay", ["cells", "nuclei"])
def test_assays_without_neurites_measure_given_objects(plate, tmp_path, assay):
    for path in FIELDS:
        leave_label(plate, path, "given", squares())
    labels = {assay: {"kind": "plate", "name": "given"}}
    config = {"plates": (plate,), "out": str(tmp_path / "f.parquet")}
    config["morphology"] = {"labels": labels, "assay": {"kind": assay}}
    result = features.run(FeaturesConfig.model_validate(config))
    assert result.problems == ()
    cells = pd.read_parquet(features.locate_cells(result.out))
    part = assay.capitalize()
    assert cells[f"{part}_ObjectNumber"].tolist() == [7, 70_000] * 24
    assert cells[f"{part}_AreaShape_Area"].tolist() == [100.0, 36.0] * 24
    np.testing.assert_array_equal(PlateReader(plate).read_label("A/1/0", "given"), squares())


def test_given_cells_and_nuclei_together(plate, tmp_path):
    inner = np.zeros((64, 64), np.uint16)
    inner[22:26, 12:16], inner[40:44, 40:44] = 900, 901
    for path in FIELDS:
        leave_label(plate, path, "cyto", squares())
        leave_label(plate, path, "nuc", inner)
    names = {"cells": "cyto", "nuclei": "nuc"}
    labels = {kind: {"kind": "plate", "name": name} for kind, name in names.items()}
    config = {"plates": (plate,), "out": str(tmp_path / "f.parquet")}
    config["morphology"] = {"labels": labels, "assay": {"kind": "cells"}}
    result = features.run(FeaturesConfig.model_validate(config))
    images = pd.read_parquet(result.out)
    cells = pd.read_parquet(features.locate_cells(result.out))
    assert cells["Cells_ObjectNumber"].tolist() == [7, 70_000] * 24
    assert cells["Nuclei_AreaShape_Area"].tolist()[:1] == [16.0]
    assert np.isnan(cells["Nuclei_AreaShape_Area"][1])
    assert set(images["Image_Count_Nuclei"]) == {2.0}
    assert set(images["Image_Count_SkippedNuclei"]) == {1.0}
