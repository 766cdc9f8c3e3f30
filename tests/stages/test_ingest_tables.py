"""``hcs ingest`` with other people's plate maps: sheets, merged cells, changed names of plates."""

from __future__ import annotations

import json

import numpy as np
import openpyxl
import pytest
import tifffile
from typer.testing import CliRunner

from hcs.domain import columns as col
from hcs.io.plates.reader import PlateReader
from hcs_cli.app import app


@pytest.fixture
def source(tmp_path):
    """Three images of a plate whose name begins with zeros."""
    folder = tmp_path / "00012"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for column in (1, 2, 3):
        pixels = rng.integers(90, 400, (16, 16), dtype=np.uint16)
        tifffile.imwrite(folder / f"A - {column}(fld 1).tif", pixels)
    return folder


def write_workbook(path):
    """Two maps and a sheet of notes; compound and dose are merged over two wells."""
    book = openpyxl.Workbook()
    book.active.title = "notes"
    book.active.append(["Ask Kim"])
    for name, amount in (("low", "0,5"), ("high", "1.000")):
        sheet = book.create_sheet(name)
        for row in (
            ["Layout of June"],
            ["plate", "well", "pert_type", "compound", "concentration"],
            [None, None, None, None, "µM"],
            [12, "A1", "trt", "K", amount],
            [12, "A2", "trt", None, None],
            [12, "A3", "negcon", "DMSO", 0],
            ["Total", None, None, None, 3],
        ):
            sheet.append(row)
        sheet.merge_cells("D4:D5")
        sheet.merge_cells("E4:E5")
    book.save(path)
    return path


def ingest(source, book, *options):
    out = source.parent / "P.zarr"
    given = ["ingest", str(source), str(out), "--platemap", str(book), "--cluster", "inline"]
    done = CliRunner().invoke(app, [*given, *options, "--json"])
    return done, out


def test_a_sheet_of_a_workbook_is_read_as_it_looks_and_what_was_done_is_said(source):
    book = write_workbook(source.parent / "map.xlsx")
    done, _ = ingest(source, book)
    assert done.exit_code == 1
    assert "--sheet NAME" in done.stderr
    assert "'low', 'high'" in done.stderr
    done, out = ingest(source, book, "--sheet", "low")
    assert done.exit_code == 0, done.stderr
    wells = PlateReader(str(out)).well_table.set_index(col.WELL)
    assert wells[col.COMPOUND].tolist() == ["K", "K", "DMSO"]
    assert wells[col.CONCENTRATION_UM].tolist() == [0.5, 0.5, 0]
    assert wells[col.PLATE].tolist() == ["00012"] * 3
    said = json.loads(done.stdout)["summary"]["plate map"]
    for part in ("D4:D5, E4:E5", "above the header", "holds units: µM", "Total", "'12' of the"):
        assert part in said


def test_a_number_that_is_not_clear_is_refused_until_it_is_said(source):
    book = write_workbook(source.parent / "map.xlsx")
    done, _ = ingest(source, book, "--sheet", "high")
    assert done.exit_code == 1
    assert "is this 1 or 1000?" in " ".join(done.stderr.split())
    assert "found '1.000'" in " ".join(done.stderr.split())
    done, out = ingest(source, book, "--sheet", "high", "--decimal", "comma")
    assert done.exit_code == 0, done.stderr
    wells = PlateReader(str(out)).well_table
    assert wells[col.CONCENTRATION_UM].tolist() == [1000, 1000, 0]


def test_a_map_of_another_plate_is_one_problem_with_a_way_out(tmp_path, source):
    (tmp_path / "map.csv").write_text("plate,well,compound\nP7,A01,x\nP7,A02,y\n")
    out = tmp_path / "P.zarr"
    arguments = ["ingest", str(source), str(out), "--platemap", str(tmp_path / "map.csv")]
    done = CliRunner().invoke(app, [*arguments, "--cluster", "inline", "--json"])
    assert done.exit_code == 3
    (found,) = json.loads(done.stdout)["problems"]
    assert (found["reason"], found["plate"], found["well"]) == ("not-in-map", "00012", None)
    assert "it describes 'P7', and not '00012'" in found["message"]
    assert "--plate-name" in found["message"]


@pytest.mark.parametrize(
    ("more", "code", "said"),
    [
        (["--platemap", "."], 1, "plate map . is a folder; a file was expected"),
        (["--well", "A01"], 2, "it needs --layout regex:PATTERN"),
    ],
)
def test_wrong_use_is_said_in_plain_words(tmp_path, source, monkeypatch, more, code, said):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["ingest", source.name, "P.zarr", *more, "--cluster", "inline"])
    assert (done.exit_code, said in done.output) == (code, True), done.output
