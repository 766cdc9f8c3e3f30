"""What a plate of tens of thousands of tiny files costs to plan, to write, to take up and to check.

    python -m benchmarks.bench_planning [--wells 1536] [--fields 9] [--channels 4] [--side 32]
        [--hcs COMMAND ...] [--folder FOLDER] [--only dry-run ...]

Names as an IN Cell Analyzer writes them, pixels of noise, so small that almost nothing is spent
on them. Each run is a process of its own on an inline cluster: a dry run, the ingest, the same
ingest again (nothing to do), and ``hcs validate``. ``--hcs`` takes several commands, such as that
of another version; they take turns, each with a plate of its own. Seconds are those of the clock
and of the processor, memory is the peak of the process. The folder is removed at the end.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from benchmarks._table import WORK, report
from hcs.domain.wells import PlateFormat

CHANNELS = ("UV - DAPI", "Blue - FITC", "Green - dsRed", "Red - Cy5")
STEPS = ("dry run", "ingest", "ingest again", "validate")


def write_tiffs(folder: Path, given: argparse.Namespace) -> int:
    """Write every file of the plate; returns how many."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    plain = folder.with_suffix(".tif")
    count = 0
    for well in PlateFormat.of_size(given.wells).wells():
        row, column = well.path.split("/")
        for site in range(1, given.fields + 1):
            for channel in CHANNELS[: given.channels]:
                # The first is written by tifffile, the others with its header: a tenth of the time.
                image = rng.integers(100, 4000, (given.side, given.side), np.uint16)
                if not count:
                    tifffile.imwrite(plain, image)
                    content = plain.read_bytes()
                    start = content.index(image.tobytes())
                    before, after = content[:start], content[start + image.nbytes :]
                name = f"{row} - {int(column):02d}(fld {site:03d} wv {channel}).tif"
                (folder / name).write_bytes(before + image.tobytes() + after)
                count += 1
    plain.unlink()
    return count


def measure(command: Sequence[str]) -> dict[str, float]:
    """Run a command; returns seconds of clock and processor, and the peak of its memory."""
    os.sync()
    started = time.perf_counter()
    # Fork and wait4, as only these tell the peak of one child.
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    message = process.stderr.read() if process.stderr else b""
    _, status, used = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{' '.join(command)} ended with {process.returncode}: {message[-2000:]!r}")
    return {
        "seconds": seconds,
        "processor s": used.ru_utime + used.ru_stime,
        "peak MiB": used.ru_maxrss / 1024,
    }


def steps(command: list[str], source: Path, out: Path) -> dict[str, list[str]]:
    ingest = [*command, "ingest", str(source), str(out), "--cluster", "inline"]
    return {
        "dry run": [*ingest, "--dry-run"],
        "ingest": ingest,
        "ingest again": ingest,
        "validate": [*command, "validate", str(out)],
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--wells", type=int, default=1536)
    parser.add_argument("--fields", type=int, default=9)
    parser.add_argument("--channels", type=int, default=4)
    parser.add_argument("--side", type=int, default=32)
    parser.add_argument("--hcs", nargs="+", default=[f"{sys.executable} -m hcs_cli"])
    parser.add_argument("--folder", default=str(WORK / "planning"))
    parser.add_argument("--only", nargs="+", default=STEPS)
    given = parser.parse_args()
    folder = Path(given.folder)
    source = folder / "tiffs"
    count = write_tiffs(source, given)
    rows: list[dict[str, Any]] = []
    for step in given.only:
        for number, command in enumerate(given.hcs):
            out = folder / f"plate{number}.zarr"
            if step == "ingest":
                shutil.rmtree(out, ignore_errors=True)
                shutil.rmtree(f"{out}.hcs", ignore_errors=True)
            found = measure(steps(command.split(), source, out)[step])
            rows.append({"step": step, "command": number + 1, "files": count, **found})
            print(rows[-1], flush=True)
    notes = [f"{step}: {compare(rows, step)}" for step in given.only if len(given.hcs) > 1]
    load = os.getloadavg()[0]
    notes.append(f"load of the machine at the end: {load:.1f} on {os.cpu_count()} cores")
    report("bench_planning", rows, notes)
    shutil.rmtree(folder)


def compare(rows: list[dict[str, Any]], step: str) -> str:
    """Say what the last command took of the first one's."""
    found = [row for row in rows if row["step"] == step]
    ratios = {key: found[-1][key] / found[0][key] for key in ("processor s", "peak MiB")}
    return ", ".join(f"{ratio:.2f} × {key}" for key, ratio in ratios.items())


if __name__ == "__main__":
    main()
