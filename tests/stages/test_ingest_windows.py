"""Display windows: one a channel for the whole plate, kept true as the plate changes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import tifffile
from small_plates import name_of

from hcs.domain.config.stages import IngestConfig
from hcs.errors import StaleError
from hcs.io.plates import plate
from hcs.stages import ingest

DIM, BRIGHT = "UV - DAPI", "Blue - FITC"
SIDE = 64


def write_well(folder: Path, column: int, *, bright: int = 20_000, sites: int = 2) -> None:
    """Write a dim channel of 100 to 163 counts beside one that is two hundred times brighter."""
    folder.mkdir(exist_ok=True)
    ramp = np.tile(np.arange(SIDE), (SIDE, 1))
    for site in range(1, sites + 1):
        tifffile.imwrite(folder / name_of("A", column, site, DIM), (ramp + 100).astype("u2"))
        picture = (ramp * (bright // SIDE) + 500).astype("u2")
        tifffile.imwrite(folder / name_of("A", column, site, BRIGHT), picture)


def run(folder: Path, **more):
    given = {"source": str(folder / "tiffs"), "out": str(folder / "P.zarr"), "plate_name": "P"}
    return ingest.run(IngestConfig.model_validate(given | more))


def windows_of(out: Path) -> dict[str, set[tuple[float, ...]]]:
    """Every window that a field of the plate has, by channel."""
    found: dict[str, set[tuple[float, ...]]] = {}
    for file in sorted(out.glob("?/*/?/zarr.json")):
        for channel in json.loads(file.read_text())["attributes"]["ome"]["omero"]["channels"]:
            found.setdefault(channel["label"], set()).add(tuple(channel["window"].values()))
    return found


def state_of(folder: Path) -> dict[str, tuple[int, int]]:
    files = (file for file in folder.rglob("*") if file.is_file())
    return {str(file): (file.stat().st_size, file.stat().st_mtime_ns) for file in files}


@pytest.fixture
def folder(tmp_path):
    for column in (1, 2, 3):
        write_well(tmp_path / "tiffs", column)
    return tmp_path


def test_every_field_has_the_window_of_its_channel(folder):
    result = run(folder)
    found = windows_of(folder / "P.zarr")
    assert found[DIM] == {(0, 65535, 100, 163)}
    assert found[BRIGHT] == {(0, 65535, 500, 500 + 63 * 312)}
    told = result.summary["display windows"]
    assert '"UV - DAPI" 100 to 163' in told
    assert "changed" not in told


def test_a_few_hot_pixels_do_not_darken_a_channel(folder):
    for file in (folder / "tiffs").glob("*DAPI*"):
        image = tifffile.imread(file)
        image[5, 5:7] = 65_535
        tifffile.imwrite(file, image)
    run(folder)
    assert windows_of(folder / "P.zarr")[DIM] == {(0, 65535, 100, 163)}


def test_a_second_run_reads_and_writes_nothing(folder, monkeypatch):
    run(folder)
    before = state_of(folder / "P.zarr")
    monkeypatch.setattr(plate, "set_windows", None)
    monkeypatch.setattr("hcs.stages.work.ingest.windows.measure_windows", None)
    result = run(folder)
    assert (result.n_run, state_of(folder / "P.zarr")) == (0, before)
    assert '"UV - DAPI" 100 to 163' in result.summary["display windows"]


def test_a_well_that_comes_changes_the_windows_of_the_others_and_not_their_pixels(folder):
    run(folder)
    before = state_of(folder / "P.zarr/A/1")
    write_well(folder / "tiffs", 4, bright=40_000)
    result = run(folder)
    assert result.n_run == 1
    assert "changed in 6 fields" in result.summary["display windows"]
    found = windows_of(folder / "P.zarr")
    (window,) = found[BRIGHT]
    assert window[3] > 30_000
    assert len(found[DIM]) == 1
    changed = {Path(f).name for f, s in state_of(folder / "P.zarr/A/1").items() if before[f] != s}
    assert changed == {"zarr.json"}
    settled = state_of(folder / "P.zarr")
    assert (run(folder).n_run, state_of(folder / "P.zarr")) == (0, settled)


def test_a_plate_that_grew_is_shown_as_one_that_was_written_at_once(folder):
    run(folder)
    write_well(folder / "tiffs", 4, bright=40_000)
    run(folder)
    run(folder, out=str(folder / "at_once.zarr"))
    assert windows_of(folder / "P.zarr") == windows_of(folder / "at_once.zarr")


def test_a_field_that_stays_in_a_well_that_changes_is_shown_like_the_others(folder):
    run(folder)
    path = folder / "tiffs" / name_of("A", 2, 1, BRIGHT)
    tifffile.imwrite(path, tifffile.imread(path) * np.uint16(3))
    assert run(folder).n_run == 1
    assert {channel: len(found) for channel, found in windows_of(folder / "P.zarr").items()} == {
        DIM: 1,
        BRIGHT: 1,
    }


def test_a_run_that_is_killed_while_windows_change_leaves_none_behind(folder, monkeypatch):
    run(folder)
    first = windows_of(folder / "P.zarr")
    write_well(folder / "tiffs", 4, bright=40_000)
    true, calls = plate.set_windows, []

    def die_at_the_third(*args):
        calls.append(args)
        if len(calls) == 3:
            raise KeyboardInterrupt
        true(*args)

    monkeypatch.setattr(plate, "set_windows", die_at_the_third)
    with pytest.raises(KeyboardInterrupt):
        run(folder)
    monkeypatch.setattr(plate, "set_windows", true)
    for file in (folder / "tiffs").glob("A - 04*"):
        file.unlink()
    run(folder)
    shutil.rmtree(folder / "P.zarr/A/4")
    assert windows_of(folder / "P.zarr") == first


def test_a_projected_plate_is_shown_as_its_projection_is(tmp_path):
    (tmp_path / "tiffs").mkdir()
    for z, level in enumerate((100, 900, 200)):
        ramp = np.tile(np.arange(SIDE), (SIDE, 1)) + level
        tifffile.imwrite(tmp_path / "tiffs" / f"A01_s1_z{z}.tif", ramp.astype("u2"))
    layout = {"kind": "regex", "pattern": r"(?P<well>[A-H]\d\d)_s(?P<site>\d)_z(?P<z>\d)\.tif"}
    run(tmp_path, layout=layout, projection="max")
    assert windows_of(tmp_path / "P.zarr") == {"0": {(0, 65535, 900, 963)}}
    run(tmp_path, layout=layout, out=str(tmp_path / "kept.zarr"))
    assert windows_of(tmp_path / "kept.zarr") == {"0": {(0, 65535, 100, 963)}}


def test_a_plate_used_where_it_lies_is_left_as_it_is(folder):
    out = folder / "P.zarr"
    run(folder)
    document = out / "A/1/0/zarr.json"
    content = json.loads(document.read_text())
    content["attributes"]["ome"]["omero"]["channels"][0]["window"]["end"] = 7
    document.write_text(json.dumps(content))
    shutil.rmtree(folder / "P.zarr.hcs")
    before = {f: s for f, s in state_of(out).items() if "/A/" in f}
    result = run(folder, source=str(out))
    assert "display windows" not in result.summary
    assert {f: s for f, s in state_of(out).items() if "/A/" in f} == before


def test_an_unreadable_file_does_not_hide_the_others(folder):
    (folder / "tiffs" / name_of("A", 1, 1, DIM)).write_bytes(b"no image")
    result = run(folder)
    assert [problem.reason for problem in result.problems]
    assert windows_of(folder / "P.zarr")[DIM] == {(0, 65535, 100, 163)}


def test_a_damaged_document_is_named(folder):
    run(folder)
    document = folder / "P.zarr/A/1/0/zarr.json"
    document.write_text("x" * document.stat().st_size)
    write_well(folder / "tiffs", 4, bright=40_000)
    with pytest.raises(StaleError, match=r"A/1/0/zarr.json is damaged: remove it"):
        run(folder)
    document.unlink()
    run(folder)
    assert len(windows_of(folder / "P.zarr")[BRIGHT]) == 1
