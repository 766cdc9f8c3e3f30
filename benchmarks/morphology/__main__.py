"""Run the parts of the benchmark of morphology and write their tables.

    python -m benchmarks.morphology [fields|cohorts|masks|nuclei|cells|neurons|speed …]

``fields``: simulated fields of ``fields.py`` (three noise levels, densities and neurite
widths). ``cohorts``: fields of ``hcs simulate``, through the stages. ``masks``: hand-made neurite
masks. ``nuclei``: nuclear masks and a table of CellProfiler. ``cells``: assays of cells and nuclei.
``neurons``: real neurons, as a picture to look at. ``speed``: the whole stage on a plate, beside
a plain scikit-image pipeline and CellProfiler on the same fields.

Fields that were measured by the same code are not measured again; ``--fresh`` forgets them.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks._table import WORK, report
from benchmarks.morphology.fields import PIXEL_SIZE_UM, FieldPlan, draw_field, plans

TUNING_SEED, HELD_OUT_SEED = 2_000, 500_000
"""First seeds: constants were fitted on fields from the first, figures come from the second."""

COUNT = "Image_Count_Cells"
AREA = "Image_Soma_MeanArea_um2"
LENGTH = "Image_Neurite_HiddenCorrectedLength_um"
TRACED = "Image_Neurite_TotalLength_um"
CACHE = WORK / "morphology"
PARTS = ("fields", "cohorts", "masks", "nuclei", "cells", "neurons", "speed")


def main() -> None:
    given = _arguments()
    if given.fresh:
        for file in CACHE.glob("*.jsonl"):
            file.unlink()
    data = Path(os.environ.get("HCS_TEST_DATA", Path(__file__).parents[3] / "shared" / "data"))
    if "fields" in given.parts:
        compare_fields(given.fields, TUNING_SEED if given.tuning else HELD_OUT_SEED, given.workers)
    from benchmarks.morphology import cells, cohorts, nuclei, real, speed

    if "cohorts" in given.parts:
        cohorts.cohorts()
    for part, module in (
        ("masks", real),
        ("nuclei", nuclei),
        ("cells", cells),
        ("neurons", real),
    ):
        if part in given.parts:
            getattr(module, part)(data)
    if "speed" in given.parts:
        speed.speed(given.speed_fields, given.cellprofiler)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], default=list(PARTS))
    parser.add_argument("--fields", type=int, default=216, help="simulated fields (small: 27)")
    parser.add_argument("--tuning", action="store_true", help="the seeds that constants came from")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--speed-fields", type=int, default=48)
    parser.add_argument("--cellprofiler", metavar="PYTHON", help="a Python with CellProfiler 4.2")
    parser.add_argument("--fresh", action="store_true", help="forget what was measured before")
    given = parser.parse_args()
    given.parts = given.parts or list(PARTS)
    return given


def code_mark() -> str:
    """Fingerprint of the generator and of the measuring code, which here has no nuclear channel."""
    here = Path(__file__).parent
    hcs = here.parents[1] / "hcs"
    kernels = sorted((hcs / "ops").rglob("*.py"))
    files = [file for file in kernels if not file.name.startswith("nuclei")]
    files.append(here / "fields.py")
    files.append(hcs / "domain" / "config" / "measuring.py")
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:12]


# ── simulated fields ────────────────────────────────────────────────────────────────────────────


def compare_fields(n_fields: int, first_seed: int, workers: int) -> None:
    """Measure simulated fields and report bias, correlation and counts."""
    CACHE.mkdir(parents=True, exist_ok=True)
    cache = CACHE / f"{code_mark()}.jsonl"
    done = {row["seed"]: row for row in _read_cache(cache)}
    todo = [plan for plan in plans(n_fields, first_seed) if plan.seed not in done]
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    with ProcessPoolExecutor(workers) as pool, cache.open("a", encoding="utf-8") as stream:
        for row in pool.map(_measure_field, todo):
            stream.write(json.dumps(row) + "\n")
            stream.flush()
            done[row["seed"]] = row
    wanted = [plan.seed for plan in plans(n_fields, first_seed)]
    table = pd.DataFrame([done[seed] for seed in wanted])
    suffix = "tuning" if first_seed == TUNING_SEED else "fields"
    report(f"bench_morphology_{suffix}", list(_summary(table)), [f"simulated, {len(table)} fields"])


def _read_cache(file: Path) -> Iterator[dict[str, Any]]:
    if not file.exists():
        return
    for line in file.read_text(encoding="utf-8").splitlines():
        try:
            yield json.loads(line)
        except json.JSONDecodeError:  # a run was stopped in the middle of this line
            continue


def _measure_field(plan: FieldPlan) -> dict[str, Any]:
    from hcs.domain.config.stages import MorphologyConfig, Neurons
    from hcs.ops.morphology import measure_field

    image, truth = draw_field(plan)
    settings = MorphologyConfig(assay=Neurons(feature_set="classic"))
    found = measure_field(image, pixel_size_um=PIXEL_SIZE_UM, settings=settings).features
    return {
        **{name: getattr(plan, name) for name in ("seed", "noise", "density", "width")},
        **{f"true_{name}": value for name, value in asdict(truth).items()},
        "count": found[COUNT],
        "area": found[AREA],
        "length": found[LENGTH],
        "traced": found[TRACED],
    }


def _summary(table: pd.DataFrame) -> Iterator[dict[str, Any]]:
    yield _line("all", table)
    for name in ("density", "noise", "width"):
        for level, part in table.groupby(name, sort=False):
            yield _line(f"{name} {level}", part)
    for (density, width), part in table.groupby(["density", "width"], sort=False):
        yield _line(f"{density}, {width}", part)


def _line(name: str, part: pd.DataFrame) -> dict[str, Any]:
    length = part["length"] / part["true_length_um"] - 1
    return {
        "fields": name,
        "n": len(part),
        "length r": float(np.corrcoef(part["length"], part["true_length_um"])[0, 1]),
        "length bias %": 100 * float(length.mean()),
        "length SD %": 100 * float(length.std()),
        "traced bias %": 100 * float((part["traced"] / part["true_length_um"] - 1).mean()),
        "count bias %": 100 * float(part["count"].sum() / part["true_count"].sum() - 1),
        "area bias %": 100 * float((part["area"] / part["true_mean_soma_area_um2"] - 1).mean()),
    }


if __name__ == "__main__":
    main()
