"""Whether the peak memory of ingest and features depends on the number of fields of a plate.

    python -m benchmarks.memory.stages

Writes plates of 200 and of 800 fields of the same size (384 wells, simulated noise with somas),
runs both stages on a fresh local cluster for each plate, and reads every worker's peak resident
memory from the operating system, and the command's own.
"""

from __future__ import annotations

import multiprocessing
import resource
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from benchmarks._table import WORK, report
from hcs.compute.client import open_client
from hcs.domain.config.stages import FeaturesConfig, IngestConfig, LocalCluster
from hcs.domain.wells import PlateFormat
from hcs.stages import features, ingest

SIDE = 1024
LIMIT = 0.15


def peak_mib() -> float:
    """Peak resident memory of this process in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def write_fields(folder: Path, count: int) -> None:
    if folder.exists():
        return
    folder.mkdir(parents=True)
    wells = PlateFormat.WELLS_384.wells()
    rng = np.random.default_rng(0)
    for number in range(count):
        well, site = wells[number % 200], number // 200 + 1
        image = rng.normal(300, 15, (SIDE, SIDE))
        for y, x in rng.integers(20, SIDE - 20, (12, 2)):
            image[y - 8 : y + 8, x - 8 : x + 8] += 2500
            image[y : y + 2, max(0, x - 150) : x + 150] += 500
        name = f"{well.name[0]} - {well.column + 1:02d}(fld {site:03d} wv Blue - FITC).tif"
        tifffile.imwrite(folder / name, np.clip(image, 1, 65535).astype(np.uint16))


def run(stage: str, count: int, queue: multiprocessing.Queue[Any]) -> None:
    base = WORK / "memory"
    source, plate = base / f"tiffs{count}", base / f"P{count}.zarr"
    with open_client(LocalCluster(n_workers=2)) as client:
        assert client is not None
        if stage == "ingest":
            ingest.run(IngestConfig(source=str(source), out=str(plate), plate_wells=384), client)
        else:
            out = str(base / f"features{count}.parquet")
            features.run(FeaturesConfig(plates=(str(plate),), out=out), client)
        workers = max(client.run(peak_mib).values())
    queue.put({"stage": stage, "fields": count, "worker MiB": workers, "command MiB": peak_mib()})


def main() -> None:
    base = WORK / "memory"
    shutil.rmtree(base, ignore_errors=True)
    context = multiprocessing.get_context("spawn")
    rows = []
    for stage in ("ingest", "features"):
        for count in (200, 800):
            write_fields(base / f"tiffs{count}", count)
            queue = context.Queue()
            process = context.Process(target=run, args=(stage, count, queue))
            process.start()
            rows.append(queue.get())
            process.join()
    notes = []
    for stage in ("ingest", "features"):
        small, large = (row for row in rows if row["stage"] == stage)
        change = large["worker MiB"] / small["worker MiB"] - 1
        verdict = "within" if abs(change) < LIMIT else "beyond"
        notes.append(f"{stage}: 800 against 200 fields {change:+.1%}, {verdict} ±{LIMIT:.0%}")
    report("bench_memory", rows, notes)
    shutil.rmtree(base, ignore_errors=True)


if __name__ == "__main__":
    main()
