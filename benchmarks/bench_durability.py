"""What checksums and waiting for the disk cost an ingest, against another version of hcs.

    python -m benchmarks.bench_durability [--fields 96] [--side 2048] [--rounds 3] [--tree FOLDER]

On one plate of simulated 16-bit TIFFs (noise and spots), inline, each run in a process of its own,
in turns; only the stage is timed, start and imports are not. ``--tree`` is the folder of another
version's source, as ``git archive`` writes it. Medians of the rounds, by the clock and by the
processor; before every run the disk is let finish.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

import numpy as np
import tifffile

from benchmarks._table import WORK, report

_RUN = """
import json, sys, time
from hcs.domain.config.stages import IngestConfig
from hcs.stages import ingest
config = IngestConfig(source=sys.argv[1], out=sys.argv[2], plate_name="P", plate_wells=384)
clock, used = time.perf_counter(), time.process_time()
assert not ingest.run(config).problems
print(json.dumps([time.perf_counter() - clock, time.process_time() - used]))
"""


def write_tiffs(folder: Path, n_fields: int, side: int) -> None:
    """Write one field a well."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for number in range(n_fields):
        image = rng.poisson(300, (side, side)).astype(np.uint16)
        for y, x in rng.integers(0, side - 20, (40, 2)):
            image[y : y + 20, x : x + 20] += 2000
        row, column = divmod(number, 24)
        name = f"{chr(65 + row)} - {column + 1:02d}(fld 001 wv DAPI).tif"
        tifffile.imwrite(folder / name, image)


def measure(tree: Path, sync: str, source: Path, out: Path) -> list[float]:
    """Ingest once; return the seconds of the clock and of the processor."""
    shutil.rmtree(out, ignore_errors=True)
    shutil.rmtree(f"{out}.hcs", ignore_errors=True)
    os.sync()
    environment = {**os.environ, "PYTHONPATH": f"{tree}:{tree}/cli", "HCS_SYNC": sync}
    done = subprocess.run(
        [sys.executable, "-c", _RUN, str(source), str(out)],
        env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    found: list[float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    """Measure all in turns and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fields", type=int, default=96)
    parser.add_argument("--side", type=int, default=2048)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tree", type=Path)
    parser.add_argument("--folder", type=Path, default=WORK / f"durability-{os.getpid()}")
    given = parser.parse_args()
    here = Path(__file__).resolve().parents[1]
    runs = {"with checksums": (here, "0"), "and waiting for the disk": (here, "1")}
    if given.tree is not None:
        runs = {"the other version": (given.tree.resolve(), "0"), **runs}
    found: dict[str, list[list[float]]] = {name: [] for name in runs}
    try:
        write_tiffs(given.folder / "tiffs", given.fields, given.side)
        for _ in range(given.rounds):
            for name, (tree, sync) in runs.items():
                out = given.folder / "P.zarr"
                found[name].append(measure(tree, sync, given.folder / "tiffs", out))
                print(name, found[name][-1], file=sys.stderr)
    finally:
        shutil.rmtree(given.folder, ignore_errors=True)
    first = next(iter(found.values()))
    base = [statistics.median(run[i] for run in first) for i in (0, 1)]
    rows = []
    for name, each in found.items():
        clock, used = (statistics.median(run[i] for run in each) for i in (0, 1))
        rows.append(
            {
                "ingest": name, "seconds": clock, "least": min(run[0] for run in each),
                "processor": used, "of the first": clock / base[0],
                "of the first, processor": used / base[1],
            }
        )  # fmt: skip
    report("bench_durability", rows)


if __name__ == "__main__":
    main()
