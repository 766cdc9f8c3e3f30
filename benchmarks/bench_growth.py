"""How reports and studies grow with the number of plates: time, memory of the process, bytes.

    python -m benchmarks.bench_growth [--report 50 200 400] [--study 50 200 800 2000]
        [--hcs COMMAND] [--folder FOLDER]

A report is of hits that were called from values drawn at random, 384 wells a plate, 3,000
compounds. A study is of plates of two wells of 16 × 16 pixels whose splits cannot be drawn, as
there are too few clones: what is measured is the time until ``hcs run`` says so. Each run is a
process of its own; memory is its peak.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import tifffile

from benchmarks._table import WORK, report

_LIMIT_SECONDS = 900
_MIB = 1024**2


def measure(command: Sequence[str], folder: Path) -> dict[str, Any]:
    """Run a command and return its seconds, the peak of its memory and its exit code."""
    began, used = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=_LIMIT_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return {"seconds": f"> {_LIMIT_SECONDS}"}
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {
        "exit": done.returncode,
        "seconds": time.perf_counter() - began,
        "processor": after.ru_utime + after.ru_stime - used.ru_utime - used.ru_stime,
        # The largest of all children so far: sizes ascend, so it is that of this one.
        "MiB": after.ru_maxrss // 1024,
        "said": " ".join(done.stderr.split())[-80:] if done.returncode else "",
    }


def write_values(file: Path, n_plates: int) -> None:
    """Write values of plates of 384 wells with controls in two columns."""
    rng = np.random.default_rng(0)
    wells = [f"{chr(65 + row)}{column:02d}" for row in range(16) for column in range(1, 25)]
    column = np.tile([int(well[1:]) for well in wells], n_plates)
    kinds = np.where(column == 1, "negcon", np.where(column == 24, "poscon", "trt"))
    values = rng.normal(size=len(kinds)) + 3 * (kinds == "poscon")
    pd.DataFrame(
        {
            "plate": np.repeat([f"P{number:04d}" for number in range(n_plates)], len(wells)),
            "well": np.tile(wells, n_plates), "pert_type": kinds,
            "compound": [f"cpd{number % 3000}" for number in range(len(kinds))],
            "concentration_um": 1.0, "x": values,
        }
    ).to_csv(file, index=False)  # fmt: skip


def grow_report(hcs: Sequence[str], work: Path, n_plates: int) -> dict[str, Any]:
    """Call hits of so many plates and write the report."""
    folder = work / f"report{n_plates}"
    (folder / "out").mkdir(parents=True)
    write_values(folder / "values.csv", n_plates)
    called = [*hcs, "hits", "--values", "values.csv", "--column", "x", "--out", "out/hits.parquet"]
    hits = measure(called, folder)
    found = measure([*hcs, "report", "out"], folder)
    pages = list((folder / "out").rglob("*.html"))
    sizes = [page.stat().st_size / _MIB for page in pages]
    return {
        "what": "report", "plates": n_plates, **found, "hits, seconds": hits["seconds"],
        "pages": len(pages), "all pages, MiB": sum(sizes), "largest, MiB": max(sizes, default=0.0),
    }  # fmt: skip


def grow_study(hcs: Sequence[str], work: Path, n_plates: int) -> dict[str, Any]:
    """Run a study of so many plates until it says that its splits cannot be drawn."""
    folder = work / f"study{n_plates}"
    names = [f"P{number:04d}" for number in range(n_plates)]
    for name in names:
        (folder / name).mkdir(parents=True)
        for column in (1, 2):
            image = np.random.default_rng(column).integers(100, 3000, (16, 16)).astype(np.uint16)
            tifffile.imwrite(folder / name / f"A - {column:02d}(fld 001 wv DAPI).tif", image)
    header = "well,clone,donor,diagnosis,batch\n"
    (folder / "map.csv").write_text(f"{header}A01,C1,D1,ALS,B1\nA02,C2,D2,control,B1\n")
    plates = "".join(
        f"- {{name: {name}, source: {name}, platemap: map.csv, role: cohort}}\n" for name in names
    )
    (folder / "study.yaml").write_text(
        f"name: big\nout: out\nplates:\n{plates}embed: {{backbone: {{weights: random}}}}\n"
    )
    found = measure([*hcs, "run", "study.yaml", "--cluster", "inline"], folder)
    made = len(list(folder.glob("out/plates/*.zarr")))
    return {"what": "study", "plates": n_plates, **found, "plates written before": made}


def main() -> None:
    """Measure all and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--report", type=int, nargs="*", default=[50, 200, 400])
    parser.add_argument("--study", type=int, nargs="*", default=[50, 200, 800, 2000])
    parser.add_argument("--hcs", default=str(Path(sys.executable).with_name("hcs")))
    parser.add_argument("--folder", type=Path, default=WORK / f"growth-{os.getpid()}")
    given = parser.parse_args()
    hcs = given.hcs.split()
    rows = []
    try:
        for grow, sizes in ((grow_study, given.study), (grow_report, given.report)):
            for n_plates in sorted(sizes):
                rows.append(grow(hcs, given.folder, n_plates))
                print(rows[-1], file=sys.stderr)
    finally:
        shutil.rmtree(given.folder, ignore_errors=True)
    report("bench_growth", rows)


if __name__ == "__main__":
    main()
