"""Kill a whole study at random moments, run it again, and compare with an undisturbed run.

    python -m benchmarks.checks.resume [--kills 3] [--seed 0]

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


def finished_units(out: Path) -> int:
    """Count the records of finished units of all stages."""
    return sum(1 for _ in out.rglob("*.hcs/units/*.json"))


def run_and_kill(study: Path, out: Path, moments: list[int], rng: random.Random) -> list[int]:
    """Start the study, kill it at the given moments, and let the last start finish.

    A moment is a number of finished units; up to a second more passes before the kill, so that it
    falls anywhere in a unit, or between two.
    """
    killed_at: list[int] = []
    for moment in [*moments, None]:
        process = subprocess.Popen(
            command(study), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True,
        )  # fmt: skip
        if moment is None:
            if process.wait() not in {0, 3}:
                msg = f"the study failed with exit code {process.returncode}"
                raise SystemExit(msg)
            break
        while finished_units(out) < moment:
            if process.poll() is not None:
                msg = f"the study ended before unit {moment}"
                raise SystemExit(msg)
            time.sleep(0.02)
        time.sleep(rng.uniform(0, 1))
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        killed_at.append(finished_units(out))
    return killed_at


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
    seconds = time.time() - started
    total = finished_units(base / "whole")
    rng = random.Random(options.seed)
    moments = sorted(rng.sample(range(1, total), options.kills))
    killed_at = run_and_kill(write_study(base, "killed"), base / "killed", moments, rng)
    counts = compare(base / "whole", base / "killed")
    rows = [
        {"kill": number, "finished units then": moment, "of all": moment / total}
        for number, moment in enumerate(killed_at, start=1)
    ]
    notes = [f"all outputs equal those of the undisturbed run ({seconds:.0f} s): {counts}"]
    report("check_resume", rows, notes)
    shutil.rmtree(base, ignore_errors=True)


if __name__ == "__main__":
    main()
