"""Faults of plates of any program, each found and named once."""

from __future__ import annotations

import json
import shutil

import pytest
import zarr
from foreign_plates import Image, write_plate

from hcs.domain.config.stages import IngestConfig
from hcs.errors import InputError
from hcs.io.plates.validate import faults_of
from hcs.stages import ingest

TWO = {"A/1": {"0": Image(n_levels=2), "1": Image(n_levels=2)}, "B/2": {"0": Image(n_levels=2)}}
ROWS = {
    "rows": [{"name": row} for row in "AB"],
    "columns": [{"name": column} for column in "12"],
}


def with_fields(*fields, **more):
    """Write a plate of one well with these images."""
    return {"wells": {"A/1": {str(index): image for index, image in enumerate(fields)}}, **more}


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        pytest.param(
            {
                "plate": ROWS
                | {
                    "wells": [
                        {"path": "A/1", "rowIndex": 0, "columnIndex": 0},
                        {"path": "B/2", "rowIndex": 0, "columnIndex": 0},
                    ]
                }
            },
            [
                "well B/2: rowIndex 0 points at row 'A', its path says 'B' (1)",
                "columnIndex 0 points",
            ],
            id="indices-contradict",
        ),
        pytest.param(
            {"plate": {"rows": None, "columns": None}},
            ["plate: columns: is absent", "plate: rows: is absent"],
            id="no-rows",
        ),
        pytest.param(
            {"plate": {"rows": [{"name": "A"}]}},
            ["well B/2: row 'B' is not declared (A)"],
            id="undeclared-row",
        ),
        pytest.param(
            with_fields(Image(labels=("A", "B", "A"))),
            ["field A/1/0: names several channels 'A'"],
            id="twin-labels",
        ),
        pytest.param(
            with_fields(Image(labels=("A",), n={"c": 3})),
            ["field A/1/0: names 1 channels, its array has 3"],
            id="fewer-labels",
        ),
        pytest.param(
            with_fields(Image(), Image(labels=("A", "B"))),
            ["field A/1/1: its channels are A, B, those of field A/1/0 DAPI, GFP"],
            id="other-channels",
        ),
        pytest.param(
            with_fields(Image(), Image(axes="tczyx")),
            ["field A/1/1: its axes are t, c, z, y, x, those of field A/1/0 c, z, y, x"],
            id="other-axes",
        ),
        pytest.param(
            with_fields(Image(), Image(scale=1.3), Image(unit="nanometer", scale=650.0)),
            ["field A/1/1: its pixel size is 1.3 µm, that of field A/1/0 0.65 µm"],
            id="other-scale",
        ),
        pytest.param(
            with_fields(Image(), Image(size=32, dtype="uint8")),
            ["its shape is (2, 1, 32, 32), that of field A/1/0", "its pixels are uint8"],
            id="other-shape-and-type",
        ),
        pytest.param(
            with_fields(Image(acquisition=0), Image(acquisition=3, labels=("A", "B"))),
            ["well A/1: acquisition 0 is not declared", "acquisition 3 is not declared"],
            id="undeclared-acquisition",
        ),
        pytest.param(
            with_fields(Image(), plate={"acquisitions": [{"id": 0}, {"id": 1}]}),
            ["well A/1: an image does not say which of the acquisitions 0, 1"],
            id="silent-image",
        ),
        pytest.param(
            {"wells": {"A/1": {"left_1": Image()}}},
            ["well A/1: images.0.path: has characters that are not allowed"],
            id="a-path-with-a-line",
        ),
    ],
)
def test_contradictions_are_named(tmp_path, made, expected):
    write_plate(tmp_path / "P.zarr", made.pop("wells", TWO), **made)
    faults = faults_of(tmp_path / "P.zarr")
    assert len(faults) == len(expected), faults
    for fault, told in zip(faults, expected, strict=True):
        assert told in fault


@pytest.mark.parametrize(
    ("lost", "expected"),
    [
        pytest.param("A/1", "well A/1 is listed, but it is not there", id="well"),
        pytest.param("A/1/0", "field A/1/0 is listed, but it is not there", id="field"),
        pytest.param("A/1/0/0", "field A/1/0: level 0 is not there", id="largest-level"),
        pytest.param("A/1/0/1", "level 1 of field A/1/0 is not there", id="smaller-level"),
        pytest.param("A/1/0/0/[0-9]*", "field A/1/0: level 0 has no pixels", id="all-chunks"),
    ],
)
def test_what_is_lost_is_named(tmp_path, lost, expected):
    write_plate(tmp_path / "P.zarr", TWO)
    for path in tmp_path.glob(f"P.zarr/{lost}"):
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    (fault,) = faults_of(tmp_path / "P.zarr")
    assert expected in fault


def test_a_lost_file_of_a_plate_of_our_own_is_named(tmp_path):
    write_plate(tmp_path / "in.zarr", TWO)
    out = tmp_path / "P.zarr"
    ingest.run(IngestConfig(source=str(tmp_path / "in.zarr"), out=str(out)))
    assert faults_of(out) == []
    next(path for path in (out / "B/2/0/0").rglob("0") if path.is_file()).unlink()
    (fault,) = faults_of(out)
    assert "field B/2/0: level 0 has no pixels" in fault


def test_a_fault_of_many_fields_is_one_line(tmp_path):
    wells = {f"A/{n}": {"0": Image(labels=("A",), n={"c": 2})} for n in range(1, 7)}
    write_plate(tmp_path / "P.zarr", wells)
    (fault,) = faults_of(tmp_path / "P.zarr")
    assert fault.startswith("fields A/1/0, A/2/0, A/3/0, A/4/0 and 2 more: names 1 channels")


@pytest.mark.parametrize("version", ["0.1", "0.2", "0.3", "0.4", "0.6.dev4"])
def test_other_programs_plates_without_versions_are_valid(tmp_path, version):
    write_plate(tmp_path / "P.zarr", {"A/1": {"0": Image(axes="tczyx")}}, version=version)
    if version == "0.4":
        for file in (tmp_path / "P.zarr").rglob(".zattrs"):
            document = json.loads(file.read_text())
            for piece in (document.get("plate"), document.get("well")):
                (piece or {}).pop("version", None)
            for piece in document.get("multiscales", ()):
                piece.pop("version")
            file.write_text(json.dumps(document))
    found = faults_of(tmp_path / "P.zarr")
    names = [fault for fault in found if "for the dimensions" not in fault]  # of Zarr v3 alone
    assert names == []


def test_a_version_that_contradicts_the_plate_is_named(tmp_path):
    write_plate(tmp_path / "P.zarr", TWO)
    group = zarr.open_group(tmp_path / "P.zarr/A/1", mode="r+")
    group.attrs["well"] = {**group.attrs["well"], "version": "0.3"}
    faults = faults_of(tmp_path / "P.zarr")
    assert any("well A/1: follows OME-Zarr 0.3, the plate 0.4" in fault for fault in faults)


@pytest.mark.parametrize(
    "damage",
    ["{", "[]", "7", '{"plate": 3}', '{"multiscales": "x"}', '{"multiscales": [{"axes": 3}]}',
     '{"multiscales": [{"axes": ["y", "x"], "datasets": [{"path": "0", "scale": []}]}]}',
     '{"well": {"images": [3, {"path": null}]}}', '{"multiscales": [{"datasets": [{"path": 4}]}]}'],
)  # fmt: skip
@pytest.mark.parametrize("place", ["A/1", "A/1/0"])
def test_damaged_documents_are_faults_and_never_tracebacks(tmp_path, damage, place):
    write_plate(tmp_path / "P.zarr", TWO)
    (tmp_path / "P.zarr" / place / ".zattrs").write_text(damage)
    assert faults_of(tmp_path / "P.zarr") != []


def test_a_transformation_that_is_none_is_a_fault(tmp_path):
    write_plate(tmp_path / "P.zarr", TWO)
    group = zarr.open_group(tmp_path / "P.zarr/A/1/0", mode="r+")
    described = group.attrs["multiscales"]
    described[0]["datasets"][0]["coordinateTransformations"] = [{"type": []}]
    group.attrs["multiscales"] = described
    assert any("A/1/0" in fault for fault in faults_of(tmp_path / "P.zarr"))


@pytest.mark.parametrize("damage", ["{", "[]", '{"plate": 3}', '{"plate": {"wells": 3}}'])
def test_a_plate_without_metadata_is_refused_in_words(tmp_path, damage):
    write_plate(tmp_path / "P.zarr", TWO)
    (tmp_path / "P.zarr/.zattrs").write_text(damage)
    with pytest.raises(InputError, match=r"P\.zarr"):
        faults_of(tmp_path / "P.zarr")


def test_every_document_is_read_once_and_told(tmp_path):
    write_plate(tmp_path / "P.zarr", TWO)
    told = []
    faults_of(tmp_path / "P.zarr", lambda *piece: told.append(piece))
    assert told == [("wells", 2, 2), ("fields", 3, 3), ("arrays", 6, 6)]
