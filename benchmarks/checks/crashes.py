"""End every stage at each of its changes of the file system, run it again, compare.

    python -m benchmarks.checks.crashes [--stages stack train …] [--most 150]

Small inputs of every stage (``tests/helpers``: 12 fields of 64 px in 6 wells, 32 vectors in 4
splits). A stage runs undisturbed, then once for each change (of more than ``--most``, every fifth)
in a process that ends at that change as a kill would: the file is not opened for writing, not
renamed, not removed. The same command then runs again. Recovered means that it ends well, that
arrays, tables and documents are those of the undisturbed run, and that no temporary file, set aside
or mark of an unfinished run is left. Stages that are done are kept: the check goes on where it was
stopped.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks._table import WORK, report

sys.path.append(str(Path(__file__).resolve().parents[2] / "tests" / "helpers"))

import kills
import small_studies

BASE = WORK / "crashes"
STEP = 5


def restore(stage: str, inputs: Path, out: Path) -> None:
    """Begin with an empty output."""
    shutil.rmtree(out, ignore_errors=True)
    small_studies.prepare(stage, inputs, out)


def attempt(stage: str, inputs: Path, out: Path, end_at: int = -1) -> tuple[int, int]:
    """Run a stage in a process of its own; exit status and number of changes."""
    method = "spawn" if stage in small_studies.NETWORK else "fork"
    return kills.run_until(
        small_studies.run_stage, stage, inputs, out, folder=out, end_at=end_at, method=method
    )


def judge(stage: str, inputs: Path, out: Path, expected: dict[str, Any]) -> dict[str, Any]:
    """Run a stage again after it was ended, and say what is not as it should be."""
    status, _ = attempt(stage, inputs, out)
    different = small_studies.find_differences(expected, small_studies.read_output(out))
    left = kills.find_leftovers(out)
    return {"status": status, "different": different, "left": left}


def check(stage: str, inputs: Path, most: int) -> Iterator[dict[str, Any]]:
    """Yield what became of a stage, change by change; the first says how many there are."""
    out = BASE / stage
    restore(stage, inputs, out)
    status, n_changes = attempt(stage, inputs, out)
    if status != 0:
        msg = f"hcs {stage} fails undisturbed"
        raise SystemExit(msg)
    expected = small_studies.read_output(out)
    yield {"changes": n_changes}
    for end_at in range(0, n_changes, STEP if n_changes > most else 1):
        restore(stage, inputs, out)
        status, _ = attempt(stage, inputs, out, end_at)
        if status == kills.KILLED:
            yield {"change": end_at, **judge(stage, inputs, out, expected)}
    shutil.rmtree(out)


def summarize(stage: str, found: list[dict[str, Any]], seconds: float) -> dict[str, Any]:
    """One row of the table."""
    tried = found[1:]
    return {
        "stage": stage,
        "changes": found[0]["changes"],
        "tried": len(tried),
        "not recovered": sum(bool(item["status"] or item["different"]) for item in tried),
        "leftovers": sum(bool(item["left"]) for item in tried),
        "s": round(seconds, 1),
    }


def show(stage: str, found: list[dict[str, Any]]) -> None:
    """Say which changes a stage did not recover from."""
    for item in found[1:]:
        if item["status"] or item["different"] or item["left"]:
            print(f"{stage}, change {item['change']}: {item}", flush=True)


def warm(stage: str, inputs: Path) -> None:
    """Run a stage once in this process: children that are forked then find kernels compiled."""
    out = BASE / stage
    restore(stage, inputs, out)
    small_studies.run_stage(stage, inputs, out)


def in_own_process(stage: str, inputs: Path, most: int, kept: Path) -> None:
    """Check a stage and keep its row."""
    if stage not in small_studies.NETWORK:
        warm(stage, inputs)
    started = time.time()
    found = list(check(stage, inputs, most))
    show(stage, found)
    kept.write_text(json.dumps(summarize(stage, found, time.time() - started)))


def main() -> None:
    """Check the stages that were not checked yet."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--stages", nargs="+", default=list(small_studies.STAGES))
    parser.add_argument("--most", type=int, default=150, help="Changes of which each is tried.")
    options = parser.parse_args()
    inputs = BASE / "inputs"
    BASE.mkdir(parents=True, exist_ok=True)
    context = multiprocessing.get_context("spawn")
    rows = []
    for stage in options.stages:
        kept = BASE / f"{stage}.json"
        if not kept.exists():
            process = context.Process(target=small_studies.write_inputs, args=(inputs,))
            process.start()
            process.join()
            process = context.Process(
                target=in_own_process, args=(stage, inputs, options.most, kept)
            )
            process.start()
            process.join()
        if not kept.exists():
            msg = f"{stage} could not be checked"
            raise SystemExit(msg)
        rows.append(json.loads(kept.read_text()))
        print(rows[-1], flush=True)
    failed = sum(row["not recovered"] + row["leftovers"] for row in rows)
    tried = sum(row["tried"] for row in rows)
    notes = [f"{tried} ends tried, {failed} not recovered or with something left"]
    report("check_crashes", rows, notes)
    shutil.rmtree(BASE)


if __name__ == "__main__":
    main()
