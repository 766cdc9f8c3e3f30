"""Arrays of other programs: numbers in harmless codecs are read, all else is refused undecoded."""

from __future__ import annotations

import json
import os
import pickle

import numpy as np
import pytest
import zarr
from foreign_plates import Image, write_plate
from numcodecs import LZ4, Delta, Zlib

from hcs.domain.config.layouts import AutoLayout
from hcs.errors import HcsError, ImageReadError, InputError
from hcs.io.layouts import scan
from hcs.io.plates.codecs import refuse_unsafe
from hcs.io.plates.reader import PlateReader


class Touch:
    """Makes a file when it is unpickled."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


def edit(file, **entries):
    """Change entries of a JSON document."""
    file.write_text(json.dumps(json.loads(file.read_text()) | entries))


def test_a_plate_that_carries_code_is_refused_and_the_code_is_not_run(tmp_path):
    plate, trap = tmp_path / "P.zarr", tmp_path / "run"
    write_plate(plate, {"A/1": {"0": Image(axes="yx", labels=("A",))}}, version="0.4")
    array = plate / "A/1/0/0"
    for file in array.rglob("*"):
        if file.is_file() and not file.name.startswith("."):
            file.write_bytes(pickle.dumps(Touch(trap)))
    objects = {"dtype": "|O", "filters": [{"id": "vlen-utf8"}], "compressor": {"id": "pickle"}}
    edit(array / ".zarray", **objects, fill_value="")
    reader = PlateReader(str(plate), is_source=True)
    with pytest.raises((ImageReadError, InputError), match="A/1/0"):
        reader.read_plane("A/1/0", 0)
    with pytest.raises(InputError, match=r"numbers were expected"):
        reader.level("A/1/0", 0)
    assert not trap.exists()


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        pytest.param({"compressor": {"id": "json2"}}, "json2", id="compressor"),
        pytest.param({"filters": [{"id": "vlen-array", "dtype": "i4"}]}, "vlen-array", id="filter"),
    ],
)
def test_codecs_that_are_not_listed_are_named(entries, said):
    class Array:
        dtype = np.dtype("uint16")

        class metadata:
            @staticmethod
            def to_dict():
                return {"compressor": None, "filters": None} | entries

    with pytest.raises(InputError, match=rf"P\.zarr/A is packed by the codec '{said}'.*blosc"):
        refuse_unsafe(Array, "P.zarr/A")


def test_numbers_in_common_codecs_are_taken(tmp_path):
    two = zarr.open_group(tmp_path / "2.zarr", mode="w", zarr_format=2)
    common = {"shape": (4, 4), "chunks": (2, 2)}
    refuse_unsafe(two.create_array("a", dtype="u2", compressors=Zlib(), **common), "a")
    delta = [Delta(dtype="<u2")]
    refuse_unsafe(
        two.create_array("b", dtype="u2", filters=delta, compressors=LZ4(), **common), "b"
    )
    three = zarr.open_group(tmp_path / "3.zarr", mode="w", zarr_format=3)
    refuse_unsafe(three.create_array("a", dtype="f4", shards=(4, 4), **common), "a")


def test_pipes_among_documents_are_faults_and_not_waited_for(tmp_path):
    plate = tmp_path / "P.zarr"
    write_plate(plate, {"A/1": {"0": Image(), "1": Image()}}, version="0.5")
    document = plate / "A/1/1/zarr.json"
    document.unlink()
    os.mkfifo(document)
    found = scan(plate, AutoLayout())
    assert {plane.path for plane in found.plate.planes} == {"A/1/0"}
    assert ["named pipe" in row["message"] for row in found.problems] == [True]
    (plate / "zarr.json").unlink()
    os.mkfifo(plate / "zarr.json")
    with pytest.raises(HcsError, match="named pipe"):
        _ = PlateReader(str(plate)).name


def test_a_well_whose_image_lies_elsewhere_is_not_followed(tmp_path):
    plate = tmp_path / "P.zarr"
    write_plate(plate, {"A/1": {"0": Image()}, "B/2": {"0": Image()}}, version="0.5")
    document = plate / "A/1/zarr.json"
    content = json.loads(document.read_text())
    content["attributes"]["ome"]["well"]["images"][0]["path"] = "../../B/2/0"
    document.write_text(json.dumps(content))
    found = scan(plate, AutoLayout())
    assert {plane.path for plane in found.plate.planes} == {"B/2/0"}
    assert any("lies outside of the well" in row["message"] for row in found.problems)
