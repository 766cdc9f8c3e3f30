"""Folders with pipes, odd names and damaged metadata: each is a problem, and nothing hangs."""

from __future__ import annotations

import os

import pytest
import tifffile
from small_plates import field, name_of

from hcs.domain.config.layouts import AutoLayout
from hcs.errors import ImageReadError
from hcs.io import layouts
from hcs.io.images import tiff

GOOD = name_of("A", 1, 1)


@pytest.fixture
def folder(tmp_path):
    tifffile.imwrite(tmp_path / GOOD, field(1))
    return tmp_path


def scan(folder):
    result = layouts.scan(folder, AutoLayout())
    assert [plane.path for plane in result.plate.planes][:1] == [GOOD]
    return {row["file"]: row["message"] for row in result.problems}


@pytest.mark.parametrize(
    "name", ["P.xdce", "P.HTD", "MeasurementData.mlf", "Index.idx.xml", "a.txt"]
)
def test_a_pipe_in_place_of_metadata_is_a_problem(folder, name):
    os.mkfifo(folder / name)
    assert "it is a pipe" in scan(folder)[name]


def test_a_pipe_in_place_of_an_image_is_unreadable(folder):
    os.mkfifo(folder / name_of("A", 2, 1))
    for read in (tiff.probe, tiff.read_plane):
        with pytest.raises(ImageReadError, match="named pipe; a file was expected"):
            read(folder / name_of("A", 2, 1))


def test_names_that_are_no_text_are_problems(folder):
    name = os.fsdecode(b"A - 09(fld 001 wv \xff).tif")
    (folder / name).write_bytes((folder / GOOD).read_bytes())
    assert "its name is no UTF-8" in scan(folder)["A - 09(fld 001 wv \\udcff).tif"]


def test_an_empty_folder_that_is_called_as_an_image_is_a_problem(folder):
    (folder / name_of("A", 2, 1)).mkdir()
    assert "an empty folder" in scan(folder)[name_of("A", 2, 1)]


def test_metadata_that_no_reader_foresaw_are_a_problem_and_the_rest_is_read(tmp_path):
    tifffile.imwrite(tmp_path / "P_A01_s1_w1.tif", field(1))
    (tmp_path / "P.HTD").write_text('"HTSInfoFile", Version 1.0\n"Description", "' + "x" * 200_000)
    result = layouts.scan(tmp_path, AutoLayout())
    assert len(result.plate.planes) == 1
    assert ["P.HTD: the metadata of ImageXpress" in r["message"] for r in result.problems] == [True]
