"""Kill a whole study at random moments, run it again, and compare with an undisturbed run.

    python -m benchmarks.check_resume [--kills 3] [--seed 0]

Simulates a small cohort with a screen, runs ``hcs run`` undisturbed, then in another folder kills
the command's whole process group with SIGKILL at random moments and starts it again each time.
Every output is compared: integers, text and labels must be the same, floats within 1e-6.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import yaml
import zarr

from benchmarks._table import WORK, report

TOLERANCE = 1e-6
TIMELESS = {"provenance", "hcs"}
MAX_RUNS = 12


def command(study: Path) -> list[str]:
    return [sys.executable, "-m", "hcs_cli", "run", str(study)]


def write_study(base: Path, name: str) -> Path:
    """Give a study its own source of truth and its own output folder."""
    settings = yaml.safe_load((base / "images" / "study.yaml").read_text())
    settings["out"] = f"../{name}"
    settings["embed"] = {"views": 1, "backbone": {"weights": "random"}, "batch_images": 8}
    settings["stack"] = {"image_px": 64}
    settings["train"] = {"epochs": 4}
    settings["forest"] = {"n_trees": 20}
    path = base / "images" / f"{name}.yaml"
    path.write_text(yaml.safe_dump(settings))
    return path


def run_and_kill(study: Path, rng: random.Random, kills: int, longest: float) -> list[float]:
    """Start the study, kill it at random moments, and let the last start finish."""
    moments: list[float] = []
    for _ in range(MAX_RUNS):
        process = subprocess.Popen(
            command(study), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True,
        )  # fmt: skip
        try:
            wait = rng.uniform(0.15, 0.7) * longest if len(moments) < kills else None
            process.wait(timeout=wait)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            moments.append(wait or 0.0)
            continue
        if process.returncode not in {0, 3}:
            msg = f"the study failed with exit code {process.returncode}"
            raise SystemExit(msg)
        return moments
    msg = f"not finished after {MAX_RUNS} starts"
    raise SystemExit(msg)


def timeless(value: object) -> object:
    """Leave out when and how long."""
    if isinstance(value, dict):
        return {key: timeless(item) for key, item in value.items() if key not in TIMELESS}
    return [timeless(item) for item in value] if isinstance(value, list) else value


def compare_zarr(one: Path, two: Path) -> int:
    """Compare every array of two stores; return how many there are."""
    count = 0
    for path in sorted(one.rglob("zarr.json")):
        other = two / path.relative_to(one)
        left, right = json.loads(path.read_text()), json.loads(other.read_text())
        assert timeless(left) == timeless(right), path
        if left["node_type"] != "array":
            continue
        a = np.asarray(zarr.open_array(path.parent, mode="r")[...])
        b = np.asarray(zarr.open_array(other.parent, mode="r")[...])
        if a.dtype.kind == "f":
            np.testing.assert_allclose(a, b, rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True)
        else:
            assert (a == b).all(), path
        count += 1
    return count


def compare(one: Path, two: Path) -> dict[str, int]:
    """Compare all outputs of two studies."""
    counts = {"arrays": 0, "tables": 0, "documents": 0}
    stores = [path for path in sorted(one.rglob("*.zarr")) if path.is_dir()]
    for store in stores:
        counts["arrays"] += compare_zarr(store, two / store.relative_to(one))
    for path in sorted(one.rglob("*.parquet")):
        if any(part.endswith(".hcs") for part in path.relative_to(one).parts):
            continue
        left, right = pd.read_parquet(path), pd.read_parquet(two / path.relative_to(one))
        pd.testing.assert_frame_equal(left, right, rtol=TOLERANCE, atol=TOLERANCE)
        counts["tables"] += 1
    for name in ("splits.json", "evaluation.json", "planted.json"):
        left, right = json.loads((one / name).read_text()), json.loads((two / name).read_text())
        assert timeless(left) == timeless(right), name
        counts["documents"] += 1
    return counts


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    base = WORK / "resume"
    shutil.rmtree(base, ignore_errors=True)
    simulate = [sys.executable, "-m", "hcs_cli", "simulate", str(base / "images"), "--image-px",
                "128", "--images-per-clone", "4"]  # fmt: skip
    subprocess.run(simulate, check=True)
    started = time.time()
    whole = write_study(base, "whole")
    subprocess.run(command(whole), check=False, stdout=subprocess.DEVNULL)
    longest = time.time() - started
    moments = run_and_kill(write_study(base, "killed"), random.Random(options.seed), options.kills,
                           longest)  # fmt: skip
    counts = compare(base / "whole", base / "killed")
    rows = [
        {"kill": number, "after s": round(moment, 1), "of an undisturbed run": moment / longest}
        for number, moment in enumerate(moments, start=1)
    ]
    notes = [f"all outputs equal those of the undisturbed run ({longest:.0f} s): {counts}"]
    report("check_resume", rows, notes)
    shutil.rmtree(base, ignore_errors=True)


if __name__ == "__main__":
    main()
