"""Ingest when things break: workers killed, disk full, two runs at once, hostile files, names."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from small_plates import field, name_of
from typer.testing import CliRunner

from hcs.compute.client import open_client
from hcs.domain import columns as col
from hcs.domain.config.stages import IngestConfig, LocalCluster
from hcs.io.files.paths import sidecar
from hcs.io.plates import plate
from hcs.io.plates.reader import PlateReader
from hcs.io.plates.validate import faults_of
from hcs.stages import ingest
from hcs_cli.app import app

INGEST = [sys.executable, "-m", "hcs_cli", "ingest"]


def files_of(plate: Path) -> dict[str, bytes]:
    """Read everything in a plate but its own attributes, which hold the time of the run."""
    return {
        str(path.relative_to(plate)): path.read_bytes()
        for path in plate.rglob("*")
        if path.is_file() and path != plate / "zarr.json"
    }


def leftovers(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.suffix in {".tmp", ".partial"}]


@pytest.fixture
def large(tmp_path):
    """Write 24 wells with two fields of 256 × 256 pixels: 5 MB that compress little."""
    folder = tmp_path / "large"
    folder.mkdir()
    noise = np.random.default_rng(0).integers(0, 2**16, (256, 256)).astype(np.uint16)
    for number in range(48):
        row, column, site = "ABCD"[number % 4], 1 + number // 4 % 6, 1 + number // 24
        tifffile.imwrite(folder / name_of(row, column, site), noise + np.uint16(number))
    return folder


def config_of(source: Path, out: Path, **more) -> IngestConfig:
    return IngestConfig(source=str(source), out=str(out), plate_name="P1", **more)


# ── killed ──────────────────────────────────────────────────────────────────────────────────────


def test_killed_workers_change_nothing(large, tmp_path):
    whole, shaken = tmp_path / "whole.zarr", tmp_path / "shaken.zarr"
    ingest.run(config_of(large, whole))
    units = sidecar(shaken) / "units"
    with open_client(LocalCluster(n_workers=2)) as client:
        assert client is not None
        results = []
        run = threading.Thread(
            target=lambda: results.append(ingest.run(config_of(large, shaken), client))
        )
        run.start()
        deadline = time.monotonic() + 60
        while not (units.exists() and any(units.iterdir())):
            assert time.monotonic() < deadline
            time.sleep(0.002)
        for process in client.run(os.getpid).values():
            os.kill(process, signal.SIGKILL)
        assert len(list(units.glob("[A-D]*.json"))) < 24
        run.join(timeout=120)
    assert results
    assert results[0].problems == ()
    assert results[0].n_run == 24
    ingest.run(config_of(large, shaken))  # sweeps what the killed workers left
    assert leftovers(shaken) == []
    assert files_of(shaken) == files_of(whole)


def test_leftovers_of_a_killed_run_are_swept_by_the_next(source, tmp_path):
    out = tmp_path / "P1.zarr"
    ingest.run(config_of(source.images, out))
    half = out / "A" / "1" / ".0.0a1b2c3d.tmp"
    shutil.copytree(out / "A" / "1" / "0", half)
    (out / "A" / "1" / ".zarr.json.0a1b2c3d.tmp").write_text("{")
    (Path(f"{out}.hcs") / "units" / ".A01.json.0a1b2c3d.tmp").write_text("{")
    ingest.run(config_of(source.images, out))
    assert leftovers(tmp_path) == []
    assert faults_of(str(out)) == []


def test_files_put_back_after_a_killed_run_are_written_again(source, tmp_path, monkeypatch):
    config = config_of(source.images, tmp_path / "P1.zarr")
    ingest.run(config)
    image = source.images / name_of("A", 2, 1)
    kept = tmp_path / "kept.tif"
    shutil.copy2(image, kept)
    tifffile.imwrite(image, field(99))

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(plate, "write_well", killed)  # after the pixels, before the record
        with pytest.raises(KeyboardInterrupt):
            ingest.run(config)
    shutil.copy2(kept, image)
    again = ingest.run(config)
    assert again.n_run == 1
    expected = tifffile.imread(kept)
    np.testing.assert_array_equal(PlateReader(config.out).read_plane("A/2/0", 0), expected)


def test_a_lock_dies_with_its_process(source, tmp_path):
    out = tmp_path / "P1.zarr"
    hold = (
        "import sys, time; from hcs.io.runs.locks import locked\n"
        "with locked(sys.argv[1]): print('held', flush=True); time.sleep(60)"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", hold, str(out)], stdout=subprocess.PIPE, text=True
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        command = ["ingest", str(source.images), str(out), "--cluster", "inline"]
        refused = CliRunner().invoke(app, command)
        assert refused.exit_code == 1
        assert "being written by another run" in refused.stderr
        assert not out.exists()
        holder.send_signal(signal.SIGKILL)
    assert CliRunner().invoke(app, command).exit_code == 0


# ── full ────────────────────────────────────────────────────────────────────────────────────────

FULL_DISK = """
mount -t tmpfs -o size=1500k tmpfs "$1" || exit 77
run() { "$PYTHON" -m hcs_cli ingest "$2" "$1/P1.zarr" --plate-name P1 --cluster "$3" --json; }
run "$1" "$2" "$4" > "$3/first.json" 2> "$3/first.err"; echo $? > "$3/first.code"
find "$1" -name "*.tmp" -o -name "*.partial" > "$3/leftovers"
mount -o remount,size=64m tmpfs "$1" || exit 77
run "$1" "$2" inline > "$3/second.json" 2> "$3/second.err"; echo $? > "$3/second.code"
cp -r "$1/P1.zarr" "$3/P1.zarr"
"""


def test_a_full_disk_is_said_and_the_run_goes_on_when_there_is_room(large, tmp_path):
    if shutil.which("unshare") is None:
        pytest.skip("needs unshare, to mount a small file system without being root")
    small, notes = tmp_path / "small", tmp_path / "notes"
    small.mkdir()
    notes.mkdir()
    shell = ["unshare", "--user", "--map-root-user", "--mount", "bash", "-c", FULL_DISK, "bash"]
    done = subprocess.run(
        [*shell, str(small), str(large), str(notes), "local:2"],
        env={**os.environ, "PYTHON": sys.executable},
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode in {1, 77} and not (notes / "first.code").exists():
        pytest.skip(f"this machine lets nobody mount: {done.stderr.strip()}")
    assert (notes / "first.code").read_text() == "1\n"
    told = (notes / "first.err").read_text()
    assert "no space is left on the disk" in told
    assert "Traceback" not in told
    assert (notes / "leftovers").read_text() == ""
    assert (notes / "second.code").read_text() == "0\n", (notes / "second.err").read_text()
    second = json.loads((notes / "second.json").read_text())
    assert second["n_skipped"] > 0
    assert second["n_skipped"] + second["n_run"] == 24
    ingest.run(config_of(large, tmp_path / "whole.zarr"))
    assert files_of(notes / "P1.zarr") == files_of(tmp_path / "whole.zarr")


def test_a_limit_on_file_size_is_said_and_leaves_nothing_half_written(large, tmp_path):
    out = tmp_path / "P1.zarr"
    limited = ["bash", "-c", 'ulimit -f 64; exec "$@"', "bash", *INGEST, str(large), str(out)]
    done = subprocess.run(
        [*limited, "--cluster", "inline"], check=False, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "ulimit -f" in done.stderr
    assert "Traceback" not in done.stderr
    assert leftovers(tmp_path) == []
    assert ingest.run(config_of(large, out)).n_run == 24


# ── hostile ─────────────────────────────────────────────────────────────────────────────────────


def huge(path: Path) -> None:
    """Write a TIFF whose header claims 10⁹ × 10⁹ pixels, in 32-bit fields."""
    tifffile.imwrite(path, np.zeros((70_000, 1), np.uint16))
    with tifffile.TiffFile(path, mode="r+b") as tif:
        for name in ("ImageWidth", "ImageLength"):
            tag = tif.pages[0].tags[name]
            tag.overwrite(10**9, dtype="I")


def bomb(path: Path) -> None:
    """Write a small TIFF whose one strip unpacks to 200 MB."""
    tifffile.imwrite(path, field(1), compression="zlib", rowsperstrip=64)
    data = zlib.compress(bytes(200_000_000), 9)
    end = path.stat().st_size
    with tifffile.TiffFile(path, mode="r+b") as tif:
        tif.pages[0].tags["StripOffsets"].overwrite([end])
        tif.pages[0].tags["StripByteCounts"].overwrite([len(data)])
    with path.open("ab") as stream:
        stream.write(data)


def test_hostile_images_are_named_and_take_no_memory(source, tmp_path):
    huge(source.images / name_of("B", 2, 1))
    bomb(source.images / name_of("B", 3, 2))
    script = (
        "import resource, sys\nfrom hcs.domain.config.stages import IngestConfig\n"
        "from hcs.stages import ingest\n"
        "ingest.run(IngestConfig(source=sys.argv[1], out=sys.argv[2], plate_name='P1'))\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    peaks = []
    for out in ("hostile.zarr", "plain.zarr"):
        command = [sys.executable, "-c", script, str(source.images), str(tmp_path / out)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        peaks.append(int(done.stdout))
        for column, site in ((2, 1), (3, 2)):
            tifffile.imwrite(source.images / name_of("B", column, site), field(7))
    hostile = tmp_path / "hostile.zarr"
    listed = set(PlateReader(str(hostile)).images[col.FIELD_PATH])
    assert len(listed) == 22
    assert not listed & {"B/2/0", "B/3/1"}
    assert peaks[0] < 1.2 * peaks[1]
    again = ingest.run(config_of(source.images, hostile))
    assert (again.n_run, again.problems) == (2, ())


def test_paths_of_spaces_other_scripts_and_300_characters(tmp_path):
    folder = tmp_path / "plate 1 (copy)" / ("日本 µ " + "ß" * 90) / ("x" * 200)
    folder.mkdir(parents=True)
    channel = "Bläu – " + "y" * 150
    for column in (1, 2):
        tifffile.imwrite(folder / name_of("A", column, 1, channel), field(column))
    out = tmp_path / ("Ω" * 100) / "out put.zarr"
    assert len(str(folder)) > 300
    result = ingest.run(IngestConfig(source=str(folder), out=str(out), plate_name="n" * 300))
    assert result.problems == ()
    reader = PlateReader(str(out))
    assert (reader.name, reader.channels) == ("n" * 300, (channel,))
    np.testing.assert_array_equal(reader.read_plane("A/2/0", 0), field(2))


def test_an_output_whose_name_is_too_long_is_said_without_a_traceback(source, tmp_path):
    command = ["ingest", str(source.images), str(tmp_path / ("P" * 253)), "--cluster", "inline"]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 1
    assert "255 bytes a name" in done.stderr


def test_pixels_behind_links_of_the_source_are_those_that_the_links_lead_to(source, tmp_path):
    store = tmp_path / "store"
    store.mkdir()
    tifffile.imwrite(store / "1.tif", field(7))
    tifffile.imwrite(store / name_of("D", 1, 1), field(8))
    (source.images / name_of("D", 2, 1)).symlink_to(store / "1.tif")
    (source.images / "more").symlink_to(store, target_is_directory=True)
    result = ingest.run(config_of(source.images, tmp_path / "P1.zarr"))
    reader = PlateReader(result.out)
    np.testing.assert_array_equal(reader.read_plane("D/2/0", 0), field(7))
    np.testing.assert_array_equal(reader.read_plane("D/1/0", 0), field(8))
