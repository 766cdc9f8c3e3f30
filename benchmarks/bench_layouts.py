"""False hits and power of every correction, for the layouts and gradients that screens have.

    python -m benchmarks.bench_layouts [--wells 96 384 1536] [--screens 40] [--gradient 4]

Simulated plates of unit noise (three a screen). Controls stand scattered, in columns 1 and 2, on
both sides, or in one row; values follow nothing, the row, the column, the edge or a bowl, over
`--gradient` SD. 5 % of the treated wells are active by 5 SD. False discoveries are the share of
false hits among all hits, a screen without hits counting 0; power is the share of active wells that
are called; refused, the share of plates which the command says cannot be judged so; placed and
doubted, that of screens of which it names a position effect, or more false hits than stated; untold
are the false discoveries of the screens that it says nothing of. Rows that are done are kept in
`--done` and not made again.
"""

from __future__ import annotations

import argparse
import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks._table import report
from hcs.domain import columns as col
from hcs.domain.config.screening import (
    BScore,
    HitsOptions,
    Loess,
    LoessWithEdge,
    MedianFilter,
    MedianPolish,
)
from hcs.domain.wells import PlateFormat
from hcs.screen.controls import FalseHits, PositionEffect, TooFew
from hcs.screen.hits import call_hits

PLATES, ACTIVE, EFFECT = 3, 0.05, 5.0
LAYOUTS = ("scattered", "columns 1-2", "both sides", "one row")
GRADIENTS = ("none", "row", "column", "edge", "bowl")
CORRECTIONS: dict[str, dict[str, Any]] = {
    "none (default)": {},
    "median polish": {"spatial": MedianPolish()},
    "median filter": {"spatial": MedianFilter()},
    "loess": {"spatial": Loess()},
    "loess-edge": {"spatial": LoessWithEdge()},
    "b-score, samples": {"normalization": BScore(), "reference": "samples"},
    "loess, samples": {"spatial": Loess(), "reference": "samples"},
    "loess-edge, samples": {"spatial": LoessWithEdge(), "reference": "samples"},
}


def place_controls(layout: str, plate_format: PlateFormat, rng: np.random.Generator) -> np.ndarray:
    """Say of every position whether it holds a negative control; about a twelfth of them do."""
    n_rows, n_columns = plate_format.value
    row, column = np.divmod(np.arange(n_rows * n_columns), n_columns)
    width = max(n_columns // 12, 1)
    if layout == "columns 1-2":
        return column < width
    if layout == "both sides":
        return (column < (width + 1) // 2) | (column >= n_columns - (width + 1) // 2)
    if layout == "one row":
        return row < max(n_rows // 12, 1)
    chosen = np.zeros(row.size, dtype=bool)
    chosen[rng.choice(row.size, row.size // 12, replace=False)] = True
    return chosen


def draw_gradient(kind: str, plate_format: PlateFormat) -> np.ndarray:
    """Value of every position from 0 to 1."""
    n_rows, n_columns = plate_format.value
    row, column = np.divmod(np.arange(n_rows * n_columns), n_columns)
    x, y = column / (n_columns - 1), row / (n_rows - 1)
    if kind == "bowl":
        return ((2 * x - 1) ** 2 + (2 * y - 1) ** 2) / 2
    if kind == "edge":
        return np.isin(row, (0, n_rows - 1)) | np.isin(column, (0, n_columns - 1))
    return {"none": 0 * x, "row": y, "column": x}[kind]


def draw_screen(
    layout: str, gradient: str, plate_format: PlateFormat, height: float, seed: int
) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    names = [well.name for well in plate_format.wells()]
    plates = []
    for number in range(PLATES):
        control = place_controls(layout, plate_format, rng)
        active = ~control & (rng.random(control.size) < ACTIVE)
        value = rng.normal(size=control.size) + height * draw_gradient(gradient, plate_format)
        plates.append(
            pd.DataFrame(
                {
                    col.MODEL: "reader",
                    col.PLATE: f"P{number}",
                    col.WELL: names,
                    col.PERT_TYPE: np.where(control, "negcon", "trt"),
                    col.SCORE: value - EFFECT * active,
                    "active": active,
                }
            )
        )
    return pd.concat(plates, ignore_index=True)


def measure(
    layout: str, gradient: str, plate_format: PlateFormat, height: float, n_screens: int
) -> list[dict[str, Any]]:
    """Judge the same screens with every correction."""
    screens = [draw_screen(layout, gradient, plate_format, height, n) for n in range(n_screens)]
    rows = []
    for name, choice in CORRECTIONS.items():
        options = HitsOptions(direction="decrease", **choice)
        false, power, refused, placed, doubted, untold = [], [], 0, 0, 0, []
        for wells in screens:
            hits, _, faults = call_hits(wells, options)
            called = hits[hits[col.HIT]]
            false.append(float((~called["active"]).mean()) if len(called) else 0.0)
            power.append(float(hits.loc[hits["active"], col.HIT].mean()))
            kinds = {type(fault.cause) for fault in faults}
            refused += sum(isinstance(fault.cause, TooFew) for fault in faults)
            placed += PositionEffect in kinds
            doubted += FalseHits in kinds
            if not kinds & {PositionEffect, FalseHits, TooFew}:
                untold.append(false[-1])
        rows.append(
            {
                "wells": plate_format.n_wells,
                "controls": layout,
                "gradient": gradient,
                "correction": name,
                "false discoveries %": 100 * float(np.mean(false)),
                "power %": 100 * float(np.mean(power)),
                "refused %": 100 * refused / (n_screens * PLATES),
                "placed %": 100 * placed / n_screens,
                "doubted %": 100 * doubted / n_screens,
                "screens untold": len(untold),
                "untold %": 100 * float(np.mean(untold)) if untold else None,
            }
        )
    return rows


def main() -> None:
    """Measure every combination."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--wells", type=int, nargs="+", default=[96, 384, 1536])
    parser.add_argument("--screens", type=int, default=40)
    parser.add_argument("--gradient", type=float, default=4.0, help="Height in SD of the noise.")
    parser.add_argument("--done", type=Path, default=None, help="File that keeps finished rows.")
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []
    if options.done is not None and options.done.is_file():
        rows = json.loads(options.done.read_text())
    have = {(row["wells"], row["controls"], row["gradient"]) for row in rows}
    formats = [PlateFormat.of_size(number) for number in options.wells]
    for plate_format, layout, gradient in itertools.product(formats, LAYOUTS, GRADIENTS):
        if (plate_format.n_wells, layout, gradient) in have:
            continue
        rows += measure(layout, gradient, plate_format, options.gradient, options.screens)
        if options.done is not None:
            options.done.write_text(json.dumps(rows))
    silent = [row for row in rows if row["screens untold"] >= 2 and row["untold %"] > 7]
    note = f"{len(silent)} of {len(rows)} rows have over 7 % false discoveries in untold screens"
    report("bench_layouts", rows, [note])


if __name__ == "__main__":
    main()
