"""No stage takes the place of what it did not make: raw images, other outputs, other plates."""

from __future__ import annotations

import pytest
import tifffile
from foreign_plates import Image, write_plate
from small_plates import field, name_of
from typer.testing import CliRunner

from hcs.domain.config.stages import ConvertConfig, IngestConfig, StackConfig
from hcs.errors import InputError
from hcs.io.plates.reader import PlateReader
from hcs.stages import convert, ingest, stack
from hcs_cli.app import app


def list_files(folder):
    """Content of every file that is no record of ours."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".hcs" not in str(path.relative_to(folder))
    }


def write_raw(folder, seed=0):
    folder.mkdir()
    for column in (1, 2):
        tifffile.imwrite(folder / name_of("A", column, 1), field(seed + column))
    return folder


def run_ingest(source, out, **stated):
    return ingest.run(IngestConfig(source=str(source), out=str(out), **stated))


def run_stack(plate, out):
    return stack.run(StackConfig(plates=(str(plate),), out=str(out), image_px=32))


def run_convert(plate, out):
    return convert.run(ConvertConfig(plate=str(plate), out=str(out)))


@pytest.fixture
def place(tmp_path):
    write_raw(tmp_path / "P1")
    run_ingest(tmp_path / "P1", tmp_path / "P1.zarr")
    run_stack(tmp_path / "P1.zarr", tmp_path / "stack.zarr")
    run_convert(tmp_path / "P1.zarr", tmp_path / "old.zarr")
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "notes.txt").write_text("years")
    (tmp_path / "wells.csv").write_text("well\nA01\n")
    return tmp_path


@pytest.mark.parametrize("out", ["P1", "P1.zarr", "old.zarr", "stack.zarr", "thesis", "wells.csv"])
@pytest.mark.parametrize("run", [run_stack, run_convert, run_ingest], ids=lambda run: run.__name__)
def test_what_lies_at_the_output_stays(place, run, out):
    own = {run_stack: "stack.zarr", run_convert: "old.zarr", run_ingest: "P1.zarr"}
    before = list_files(place)
    source = place / "P1" if run is run_ingest else place / "P1.zarr"
    if out == own[run]:
        assert run(source, place / out).n_skipped > 0
        return
    with pytest.raises(InputError, match=out):
        run(source, place / out)
    assert list_files(place) == before
    assert out in own.values() or not (place / f"{out}.hcs").exists()


@pytest.mark.parametrize("records", [True, False], ids=["with-records", "moved-without-records"])
def test_an_output_is_known_by_its_documents_where_no_mark_is(place, records):
    for name in ("P1.zarr", "stack.zarr", "old.zarr"):
        (place / f"{name}.hcs" / "stage.json").unlink()
        if not records:
            (place / f"{name}.hcs").rename(place / f"{name}.away")
    before = list_files(place / "P1.zarr")
    with pytest.raises(InputError, match="is an output of hcs stack"):
        run_ingest(place / "P1", place / "stack.zarr")
    with pytest.raises(InputError, match="is an output of hcs convert"):
        run_ingest(place / "P1", place / "old.zarr")
    write_raw(place / "P2", seed=5)
    run_ingest(place / "P2", place / "P2.zarr")
    with pytest.raises(InputError, match="is an output of hcs ingest"):
        run_stack(place / "P2.zarr", place / "P1.zarr")
    assert list_files(place / "P1.zarr") == before
    run_stack(place / "P2.zarr", place / "stack.zarr")


@pytest.mark.parametrize("version", ["0.4", "0.5"])
@pytest.mark.parametrize("used", ["untouched", "measured", "in-place"])
def test_a_plate_of_another_program_stays(place, version, used):
    theirs = place / "theirs.zarr"
    write_plate(theirs, {"A/1": {"0": Image(labels=("D",), n={"c": 1})}}, version=version)
    if used == "measured":
        (place / "theirs.zarr.hcs").mkdir()
        (place / "theirs.zarr.hcs" / "lock").touch()
    if used == "in-place":
        run_ingest(theirs, theirs)
    before = list_files(theirs)
    for run, source in ((run_ingest, "P1"), (run_convert, "P1.zarr"), (run_stack, "P1.zarr")):
        with pytest.raises(InputError, match=r"theirs\.zarr"):
            run(place / source, theirs)
    assert list_files(theirs) == before
    run_ingest(theirs, theirs)


def test_a_converted_plate_that_got_a_plate_map_is_converted_anew(place):
    run_ingest(place / "old.zarr", place / "old.zarr", platemap=str(place / "wells.csv"))
    assert run_convert(place / "P1.zarr", place / "old.zarr").summary["images"] == 2


def test_no_output_lies_within_a_store_that_is_read(place):
    before = list_files(place)
    for run in (run_stack, run_convert):
        with pytest.raises(InputError, match="lies within"):
            run(place / "P1.zarr", place / "P1.zarr" / "A" / "mine.zarr")
    assert list_files(place) == before


def test_another_plate_does_not_take_the_place_of_one(place):
    write_raw(place / "P2", seed=5)
    before = list_files(place / "P1.zarr")
    with pytest.raises(InputError, match=r"holds plate 'P1' of .*P1, and this is plate 'P2'"):
        run_ingest(place / "P2", place / "P1.zarr")
    assert list_files(place / "P1.zarr") == before
    run_ingest(place / "P1", place / "P1.zarr", plate_name="renamed")
    assert PlateReader(str(place / "P1.zarr")).name == "renamed"
    (place / "P1").rename(place / "moved")
    assert run_ingest(place / "moved", place / "P1.zarr", plate_name="renamed").n_run == 0


@pytest.mark.parametrize(
    ("command", "out"),
    [
        (["features", "P1.zarr", "--out"], "dir.parquet"),
        (["info", "P1.zarr", "--overview"], "thesis"),
        (["report", ".", "--out"], "thesis"),
        (["ingest", "P1"], "wells.csv"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else value,
)
def test_a_folder_for_a_file_is_a_sentence(place, monkeypatch, command, out):
    monkeypatch.chdir(place)
    (place / "dir.parquet").mkdir()
    clustered = ["--cluster", "inline"] if command[0] in {"features", "ingest"} else []
    result = CliRunner().invoke(app, [*command, out, *clustered])
    assert isinstance(result.exception, SystemExit)
    assert (result.exit_code, f"error: {out} is a f" in result.output) == (1, True), result.output


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("P1", "hcs ingest P1 NEW.zarr makes one"),
        ("nowhere.zarr", "nowhere.zarr does not exist"),
        ("wells.csv", "wells.csv is a file; an OME-Zarr plate was expected"),
    ],
)
@pytest.mark.parametrize("command", [["info"], ["validate"], ["features"]], ids=lambda c: c[0])
def test_what_is_no_plate_is_said_with_a_way_out(place, monkeypatch, command, given, said):
    monkeypatch.chdir(place)
    clustered = ["--cluster", "inline"] if command == ["features"] else []
    done = CliRunner().invoke(app, [*command, given, *clustered])
    assert done.exit_code in {1, 2}
    assert said in done.output or (command, given) == (["features"], "wells.csv"), done.output


@pytest.mark.parametrize(
    "command",
    [
        ["report", "."],
        ["splits", "P1.zarr"],
        ["info", "P1.zarr"],
        ["evaluate", "P1"],
    ],
    ids=lambda command: command[0],
)
def test_a_file_of_another_kind_stays(place, monkeypatch, command):
    monkeypatch.chdir(place)
    option = "--overview" if command[0] == "info" else "--out"
    done = CliRunner().invoke(app, [*command, option, "wells.csv"])
    assert done.exit_code == 1
    assert "wells.csv is there and is no ." in done.output
    assert (place / "wells.csv").read_text() == "well\nA01\n"
