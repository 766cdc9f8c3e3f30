"""Promises that span stages: a killed command loses nothing, memory is bounded, nothing unsafe."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tifffile
from small_plates import field, name_of

from hcs.errors import SplitError
from hcs.io.plates.reader import PlateReader
from hcs.stages.work.study import read_splits

ROOT = Path(__file__).resolve().parents[3]

PEAK_OF_INGEST = """
import resource, sys
from hcs.domain.config.stages import IngestConfig
from hcs.stages import ingest
ingest.run(IngestConfig(source=sys.argv[1], out=sys.argv[2], plate_wells=96))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def files_of(plate: Path) -> dict[str, bytes]:
    """Read everything in a plate but its own attributes, which hold the time of the run.

    A write that is killed leaves its temporary file beside the place it never took; readers do not
    look at those.
    """
    return {
        str(path.relative_to(plate)): path.read_bytes()
        for path in plate.rglob("*")
        if path.is_file()
        and path != plate / "zarr.json"
        and path.suffix not in {".partial", ".tmp"}
    }


def test_ingest_killed_at_any_moment_ends_as_undisturbed(source, tmp_path):
    def command(out: Path) -> list[str]:
        options = ["--cluster", "inline", "--plate-name", "P1"]
        return [sys.executable, "-m", "hcs_cli", "ingest", str(source.images), str(out), *options]

    whole, killed = tmp_path / "whole.zarr", tmp_path / "killed.zarr"
    subprocess.run(command(whole), check=True, capture_output=True)
    process = subprocess.Popen(
        command(killed), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    units = tmp_path / "killed.zarr.hcs" / "units"
    deadline = time.monotonic() + 60
    while len(list(units.glob("*.json"))) < 3:
        assert time.monotonic() < deadline
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    finished = len(list(units.glob("*.json")))
    again = subprocess.run([*command(killed), "--json"], check=True, capture_output=True, text=True)
    result = json.loads(again.stdout)
    assert result["n_skipped"] == finished
    assert result["n_skipped"] + result["n_run"] == 12
    assert files_of(killed) == files_of(whole)
    assert len(PlateReader(str(killed)).images) == 24


def test_peak_memory_of_ingest_does_not_follow_the_number_of_fields(tmp_path):
    image = np.tile(field(1), (8, 8))
    peaks = []
    for count in (24, 192):
        folder = tmp_path / str(count)
        folder.mkdir()
        for number in range(count):
            row, rest = "ABCDEFGH"[number % 8], number // 8
            tifffile.imwrite(folder / name_of(row, 1 + rest % 12, 1 + rest // 12), image)
        command = [
            sys.executable,
            "-c",
            PEAK_OF_INGEST,
            str(folder),
            str(tmp_path / f"{count}.zarr"),
        ]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        peaks.append(int(done.stdout))
    assert peaks[1] < 1.15 * peaks[0]


@pytest.mark.parametrize("role", ["validation", "test"])
def test_splits_that_share_a_clone_cannot_be_read(tmp_path, role):
    split = {"index": 0, "train": ["A", "B"], "validation": ["C", "D"], "test": ["E", "F"]}
    split[role] = ["A", "B"]
    names = "ABCDEF"
    content = {
        "format": "hcs-splits/1", "group_by": "Metadata_Clone", "label": "Metadata_Diagnosis",
        "classes": ["als", "control"], "positive": "als", "seed": 0,
        "counts": {"train": 1, "validation": 1, "test": 1},
        "groups": [
            {"name": name, "label": "als" if index % 2 else "control", "n_images": 4}
            for index, name in enumerate(names)
        ],
        "splits": [split],
    }  # fmt: skip
    path = tmp_path / "splits.json"
    path.write_text(json.dumps(content))
    with pytest.raises(SplitError, match="A"):
        read_splits(path)


def test_nothing_unsafe_is_loaded():
    unsafe = re.compile(
        r"import pickle|pickle\.load|allow_pickle=True|safe_mode=False|yaml\.load\(|joblib\.load"
    )
    # What the command sends to its own workers through Dask, which pickles every task anyway.
    sent = ROOT / "hcs" / "compute" / "dispatch.py"
    for folder in ("hcs", "cli"):
        for path in set((ROOT / folder).rglob("*.py")) - {sent}:
            assert not unsafe.search(path.read_text(encoding="utf-8")), path
