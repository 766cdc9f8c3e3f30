"""Whether the command's memory depends on the number of cells that ``features`` joins.

    python -m benchmarks.memory.join

Plates of 384 wells with one small field each; a stand-in for the measuring gives every field 900
cells of 20 columns, so that 6 plates hold 2,000,000 cells and 24 plates 8,000,000. Each run is a
process of its own, whose peak resident memory the operating system tells.
"""

from __future__ import annotations

import multiprocessing
import resource
import shutil
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import tifffile

from benchmarks._table import WORK, report
from hcs.compute.units import Past
from hcs.domain import columns as col
from hcs.domain.config.measuring import MorphologyConfig, Sizes
from hcs.domain.config.stages import FeaturesConfig, IngestConfig
from hcs.domain.wells import PlateFormat
from hcs.io.files import parquet
from hcs.io.runs.ledger import Ledger
from hcs.stages import features, ingest

CELLS = 900
COLUMNS = 20
LIMIT = 0.15


def measure_nothing(task: features.WellTask, past: Past) -> Mapping[str, Any]:
    """Stand in for the measuring of a well: numbers of the right shape."""
    del past
    rng = np.random.default_rng(len(task.unit_id))
    key = {col.PLATE: task.plate, col.WELL: task.well, col.SITE: task.fields[0].site}
    images = pd.DataFrame([{**key, col.N_CELLS: CELLS, "Image_X": 1.0}])
    numbers = rng.normal(size=(CELLS, COLUMNS))
    named = {f"Cells_{n}": numbers[:, n] for n in range(COLUMNS)}
    cells = pd.DataFrame({**key, **named}, index=range(CELLS))
    ledger = Ledger.of(task.out)
    parquet.write_table(ledger.part(task.unit_id, ".images.parquet"), images)
    parquet.write_table(ledger.part(task.unit_id, ".cells.parquet"), cells)
    return {"n_images": 1, "n_cells": CELLS, "problems": []}


def run(plates: list[str], out: str, queue: multiprocessing.Queue[Any]) -> None:
    features._measure_well = measure_nothing
    settings = MorphologyConfig(
        sizes=Sizes(soma_diameter_px=8, neurite_width_px=2), illumination="none"
    )
    started = time.perf_counter()
    result = features.run(
        FeaturesConfig(plates=tuple(plates), out=out, morphology=settings, write_labels=False)
    )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    seconds = time.perf_counter() - started
    queue.put({"plates": len(plates), "cells": result.summary["cells"], "MiB": peak, "s": seconds})


def main() -> None:
    base = WORK / "join"
    shutil.rmtree(base, ignore_errors=True)
    (base / "tiffs").mkdir(parents=True)
    for number, well in enumerate(PlateFormat.WELLS_384.wells()):
        image = np.random.default_rng(number).integers(100, 200, (32, 32), dtype=np.uint16)
        name = f"{well.name[0]} - {well.column + 1:02d}(fld 001 wv Blue - FITC).tif"
        tifffile.imwrite(base / "tiffs" / name, image)
    plates = []
    for number in range(24):
        plate = str(base / f"P{number:02d}.zarr")
        ingest.run(IngestConfig(source=str(base / "tiffs"), out=plate, plate_name=f"P{number:02d}"))
        plates.append(plate)
    context = multiprocessing.get_context("spawn")
    rows = []
    for count in (6, 24):
        queue = context.Queue()
        out = str(base / f"features{count}.parquet")
        process = context.Process(target=run, args=(plates[:count], out, queue))
        process.start()
        rows.append(queue.get())
        process.join()
    change = rows[1]["MiB"] / rows[0]["MiB"] - 1
    verdict = "within" if abs(change) < LIMIT else "beyond"
    report("bench_memory_join", rows, [f"four times the cells: {change:+.1%}, {verdict} 15 %"])
    shutil.rmtree(base, ignore_errors=True)


if __name__ == "__main__":
    main()
