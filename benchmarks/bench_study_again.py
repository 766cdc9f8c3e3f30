"""What a study costs when there is nothing, one plate, or one name of a compound to do.

    python -m benchmarks.bench_study_again [--plates 20] [--hcs COMMAND ...]

Simulated noise: plates of 96 wells with one field of 64 × 64 pixels. The study runs once; then
unchanged, with a compound renamed in the plate map, and with one more plate. Each run is a
process of its own on an inline cluster. ``--hcs`` takes several commands, such as that of another
version, which then run one after the other on plates of their own.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import tifffile
import yaml

from benchmarks._table import WORK, report

SIDE = 64
WELLS = [f"{row}{column}" for row in "ABCDEFGH" for column in range(1, 13)]
STAGE = re.compile(r"^(\w+): (\d+) done(?:, (\d+) were done before)?, ([\d.]+) s", re.MULTILINE)


def write_plate(folder: Path, name: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    (folder / name).mkdir(parents=True)
    for well in WELLS:
        image = rng.normal(300, 10, (SIDE, SIDE))
        for y, x in rng.integers(8, SIDE - 8, (3, 2)):
            image[y - 4 : y + 4, x - 4 : x + 4] += 2000
        path = folder / name / f"{well[0]} - {int(well[1:]):02d}(fld 001 wv Blue - FITC).tif"
        tifffile.imwrite(path, np.clip(image, 1, 65535).astype(np.uint16))


def write_study(folder: Path, names: list[str], *, renamed: str | None = None) -> Path:
    rows = []
    for name in names:
        screen = name.startswith("S")
        for number, well in enumerate(WELLS):
            sick = number % 2 == 0
            kind = ("negcon" if sick else "poscon") if number < 24 else "trt"
            compound = f"X{number}" if screen and kind == "trt" else ""
            if renamed and name == names[-1] and well == WELLS[-1]:
                compound = renamed
            rows.append(
                {
                    "plate": name,
                    "well": well,
                    "clone": "" if screen else f"C{number % 10}",
                    "diagnosis": "ALS" if sick else "control",
                    "pert_type": kind if screen else "",
                    "compound": compound,
                }
            )
    pd.DataFrame(rows).to_csv(folder / "map.csv", index=False)
    study: dict[str, Any] = {
        "name": "again",
        "out": "study",
        "plates": [
            {
                "name": name,
                "source": name,
                "role": "screen" if name.startswith("S") else "cohort",
                "platemap": "map.csv",
                "plate_wells": 96,
            }
            for name in names
        ],
        "morphology": {
            "sizes": {"soma_diameter_px": 8, "neurite_width_px": 2},
            "illumination": "none",
        },
        "splits": {"n_splits": 8, "train": 3, "validation": 1, "test": 1},
        "stack": {"image_px": 32},
        "embed": {"views": 1, "backbone": {"weights": "random"}},
        "train": {"epochs": 2, "head": {"hidden_units": 8}},
        "forest": {"n_trees": 10, "importance_repeats": 0},
        "hits": {"min_cell_fraction": 0},
    }
    file = folder / "study.yaml"
    file.write_text(yaml.safe_dump(study))
    return file


def run(command: list[str], study: Path) -> dict[str, Any]:
    started = time.perf_counter()
    done = subprocess.run(
        [*command, "run", str(study), "--cluster", "inline"],
        capture_output=True,
        text=True,
        check=False,
    )
    seconds = time.perf_counter() - started
    if done.returncode not in {0, 3}:
        raise SystemExit(done.stderr[-3000:])
    units: dict[str, int] = {}
    for stage, count, _, _ in STAGE.findall(done.stderr + done.stdout):
        units[stage] = units.get(stage, 0) + int(count)
    return {"seconds": seconds, **units}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--plates", type=int, default=20)
    parser.add_argument("--hcs", nargs="+", default=["hcs"])
    arguments = parser.parse_args()
    half = arguments.plates // 2
    names = [f"P{n:02d}" for n in range(half)]
    names += [f"S{n:02d}" for n in range(arguments.plates - half)]
    rows = []
    for number, command in enumerate(arguments.hcs):
        folder = WORK / f"again{number}"
        shutil.rmtree(folder, ignore_errors=True)
        for seed, name in enumerate([*names, "P99"]):
            write_plate(folder, name, seed)
        study = write_study(folder, names)
        rows += [
            {"version": number, "run": what, **run([command], study)}
            for what in ("first run", "nothing changed", "nothing changed, again")
        ]
        study = write_study(folder, names, renamed="renamed")
        rows.append({"version": number, "run": "a compound renamed", **run([command], study)})
        study = write_study(folder, [*names[:half], "P99", *names[half:]], renamed="renamed")
        rows.append({"version": number, "run": "one plate added", **run([command], study)})
        shutil.rmtree(folder)
    report("bench_study_again", rows, [f"{arguments.plates} plates of 96 wells, one field each"])


if __name__ == "__main__":
    main()
