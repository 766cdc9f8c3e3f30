"""Plates of any version become OME-Zarr 0.4: equal pixels, labels, and readable by others."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
import zarr
from foreign_plates import Image, write_plate
from small_plates import field, name_of
from typer.testing import CliRunner

from hcs.domain import columns as col
from hcs.domain.config.stages import ConvertConfig, IngestConfig
from hcs.errors import ImageReadError, InputError
from hcs.io.plates import plate
from hcs.io.plates.reader import PlateReader
from hcs.io.plates.validate import faults_of
from hcs.stages import convert, ingest
from hcs_cli.app import app


@pytest.fixture
def made(tmp_path):
    """Make a plate of two wells and two channels, 300 px so that it has two levels, and labels."""
    for column in (1, 2):
        for index, channel in enumerate(("DAPI", "TUJ1")):
            pixels = field(10 * column + index, (300, 280))
            tifffile.imwrite(tmp_path / name_of("A", column, 1, channel), pixels)
    (tmp_path / "wells.csv").write_text("well,clone,diagnosis\nA01,C1,ALS\nA02,C2,control\n")
    result = ingest.run(
        IngestConfig(
            source=str(tmp_path),
            out=str(tmp_path / "P1.zarr"),
            platemap=str(tmp_path / "wells.csv"),
            pixel_size_um=0.65,
        )
    )
    labels = np.zeros((300, 280), np.uint32)
    labels[10:50, 20:90] = 3
    plate.write_label(result.out, "A/1/0", "soma", labels, 0.65)
    return result.out


def converted(source, tmp_path, **more):
    """Convert a plate; returns the path of the new one."""
    out = str(tmp_path / "old.zarr")
    result = convert.run(ConvertConfig.model_validate({"plate": str(source), "out": out} | more))
    assert result.problems == ()
    return out


def assert_equal_pixels(source, out):
    """Compare all arrays of fields and labels of two plates."""
    one, other = (zarr.open_group(path, mode="r") for path in (source, out))
    arrays = [f"{well}/{path}" for well in ("A/1", "A/2") for path in ("0/0", "0/1")]
    for path in [*arrays, "A/1/0/labels/soma/0", "A/1/0/labels/soma/1"]:
        np.testing.assert_array_equal(other[path][...], one[path][...])
        assert other[path].metadata.zarr_format == 2


def test_pixels_labels_and_metadata_are_those_of_the_plate(made, tmp_path):
    out = converted(made, tmp_path)
    assert_equal_pixels(made, out)
    assert Path(out, "A/1/0/0/0/0/0").is_file(), "chunks lie in folders"
    assert not list(Path(out).rglob("zarr.json"))
    reader = PlateReader(out)
    assert (reader.version, reader.channels) == ("0.4", ("DAPI", "TUJ1"))
    assert reader.pixel_size_um == pytest.approx(0.65)
    assert reader.label_names("A/1/0") == ("soma",)
    assert reader.images[col.CLONE].tolist() == ["C1", "C2"]
    assert faults_of(out) == []


def test_ome_zarr_models_ngio_and_ome_zarr_py_take_it(made, tmp_path, monkeypatch, capsys):
    import ngio
    from ome_zarr.io import parse_url
    from ome_zarr.reader import Reader
    from ome_zarr_models import _cli
    from ome_zarr_models.v04.hcs import HCS

    out = converted(made, tmp_path)
    HCS.from_zarr(zarr.open_group(out, mode="r"))
    for inside in ("", "/A/1/0", "/A/1/0/labels/soma"):
        monkeypatch.setattr(sys, "argv", ["ome-zarr-models", "validate", out + inside])
        _cli.main()
    assert "Valid" in capsys.readouterr().out
    source = PlateReader(made)
    image = ngio.open_ome_zarr_plate(out).get_image("A", 1, "0")
    assert image.get_image().channel_labels == ["DAPI", "TUJ1"]
    found = image.get_image().get_as_numpy()
    np.testing.assert_array_equal(np.squeeze(found)[1], source.read_plane("A/1/0", 1))
    assert image.list_labels() == ["soma"]
    assert list(Reader(parse_url(out))())
    (node, *_) = Reader(parse_url(f"{out}/A/1/0"))()
    np.testing.assert_array_equal(np.asarray(node.data[0])[0], source.read_plane("A/1/0", 0))


def test_a_second_run_writes_only_what_changed(made, tmp_path):
    out = converted(made, tmp_path)
    again = convert.run(ConvertConfig(plate=made, out=out))
    assert (again.n_run, again.n_skipped) == (0, 2)
    labels = np.full((300, 280), 5, np.uint32)
    plate.write_label(made, "A/2/0", "soma", labels, 0.65)
    more = convert.run(ConvertConfig(plate=made, out=out))
    assert (more.n_run, more.n_skipped) == (1, 1)
    assert PlateReader(out).read_label("A/2/0", "soma").max() == 5


def test_padding_stays_padding(tmp_path):
    images = {"0": Image(n={"z": 3}), "1": Image()}
    write_plate(tmp_path / "in.zarr", {"A/1": images})
    made = ingest.run(IngestConfig(source=str(tmp_path / "in.zarr"), out=str(tmp_path / "P.zarr")))
    out = converted(made.out, tmp_path)
    reader = PlateReader(out)
    assert reader.acquired("A/1/1", 0).tolist() == [[True, False, False]]
    with pytest.raises(ImageReadError) as caught:
        reader.read_plane("A/1/1", 0, z_index=2)
    assert caught.value.reason == "not-acquired"
    back = ingest.run(IngestConfig(source=out, out=str(tmp_path / "back.zarr")))
    assert PlateReader(back.out).acquired("A/1/1", 0).tolist() == [[True, False, False]]


@pytest.mark.parametrize("version", ["0.1", "0.3", "0.4", "0.5", "0.6.dev4"])
def test_plates_of_other_programs_are_converted_image_by_image(tmp_path, version):
    images = {
        "0": Image(axes="tczyx", acquisition=0, n_levels=2),
        "1": Image(axes="tczyx", labels=("TOM20",), acquisition=1, scale=1.3),
    }
    plate = {"acquisitions": [{"id": 0}, {"id": 1}]}
    source = write_plate(tmp_path / "in.zarr", {"A/1": images}, version=version, plate=plate)
    out = converted(tmp_path / "in.zarr", tmp_path)
    root = zarr.open_group(out, mode="r")
    for name in ("0", "1"):
        np.testing.assert_array_equal(root[f"A/1/{name}/0"][...], source["A/1", name])
    listed = root["A/1"].attrs["well"]["images"]
    assert [image["acquisition"] for image in listed] == [0, 1]
    faults = [fault for fault in faults_of(out) if "pixel size" not in fault]
    assert faults == []
    if version >= "0.4":
        described = root["A/1/1"].attrs["multiscales"][0]["datasets"][0]
        scale = {"type": "scale", "scale": [1.0, 1.0, 1.0, 1.3, 1.3]}
        assert described["coordinateTransformations"] == [scale]


def test_a_lost_file_is_named_and_never_written_as_zeros(made, tmp_path):
    next(path for path in Path(made, "A/2/0/0/c").rglob("*") if path.is_file()).unlink()
    out = str(tmp_path / "old.zarr")
    result = convert.run(ConvertConfig(plate=made, out=out))
    (problem,) = result.problems
    assert (problem.reason, problem.well) == ("missing-file", "A02")
    assert [well["path"] for well in PlateReader(out).metadata["wells"]] == ["A/1"]
    table = pd.DataFrame(PlateReader(out).images)
    assert table[col.FIELD_PATH].tolist() == ["A/1/0"]


def test_an_image_without_any_pixels_is_named(tmp_path):
    write_plate(tmp_path / "in.zarr", {"A/1": {"0": Image(), "1": Image()}})
    for chunk in (tmp_path / "in.zarr/A/1/1/0").glob("[0-9]*"):
        chunk.unlink()
    out = str(tmp_path / "old.zarr")
    (problem,) = convert.run(ConvertConfig(plate=str(tmp_path / "in.zarr"), out=out)).problems
    assert (problem.reason, problem.file) == ("missing-file", "A/1/1")
    assert len(PlateReader(out).images) == 1


def test_outputs_that_cannot_be_are_refused(made, tmp_path):
    with pytest.raises(InputError, match="both the plate and the output"):
        convert.run(ConvertConfig(plate=made, out=made))
    (tmp_path / "other.zarr").mkdir()
    (tmp_path / "other.zarr/zarr.json").write_text("{}")
    with pytest.raises(InputError, match=r"no OME-Zarr 0\.4"):
        convert.run(ConvertConfig(plate=made, out=str(tmp_path / "other.zarr")))


def test_the_command_converts(made, tmp_path):
    out = str(tmp_path / "old.zarr")
    said = CliRunner().invoke(
        app, ["convert", made, out, "--ome-zarr", "0.4", "--cluster", "inline"]
    )
    assert said.exit_code == 0, said.output
    assert_equal_pixels(made, out)
