"""False hits and power of every correction, for the layouts and gradients that screens have.

    python -m benchmarks.bench_layouts [--wells 96 384 1536] [--screens 40] [--gradient 4]

Simulated plates of unit noise (three a screen). Controls stand scattered, in columns 1 and 2, on
both sides, or in one row; values follow nothing, the row, the column, the edge or a bowl, over
`--gradient` SD. 5 % of the treated wells are active by 5 SD. False discoveries are the share of
false hits among all hits, a screen without hits counting 0; power is the share of active wells that
are called; refused, that of plates which the command says cannot be judged so; told, that of plates
whose position effect it names.
"""

from __future__ import annotations

import argparse
import itertools
from typing import Any

import numpy as np
import pandas as pd

from benchmarks._table import report
from hcs.domain import columns as col
from hcs.domain.config.screening import BScore, HitsOptions, Loess, MedianFilter, MedianPolish
from hcs.domain.wells import PlateFormat
from hcs.screen.controls import PositionEffect, TooFew
from hcs.screen.hits import call_hits

PLATES, ACTIVE, EFFECT = 3, 0.05, 5.0
LAYOUTS = ("scattered", "columns 1-2", "both sides", "one row")
GRADIENTS = ("none", "row", "column", "edge", "bowl")
CORRECTIONS: dict[str, dict[str, Any]] = {
    "none (default)": {},
    "median polish": {"spatial": MedianPolish()},
    "median filter": {"spatial": MedianFilter()},
    "loess": {"spatial": Loess()},
    "b-score, samples": {"normalization": BScore(), "reference": "samples"},
    "loess, samples": {"spatial": Loess(), "reference": "samples"},
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
        false, power, refused, told = [], [], 0, 0
        for wells in screens:
            hits, _, faults = call_hits(wells, options)
            called = hits[hits[col.HIT]]
            false.append(float((~called["active"]).mean()) if len(called) else 0.0)
            power.append(float(hits.loc[hits["active"], col.HIT].mean()))
            refused += sum(isinstance(fault.cause, TooFew) for fault in faults)
            told += sum(isinstance(fault.cause, PositionEffect) for fault in faults)
        rows.append(
            {
                "wells": plate_format.n_wells,
                "controls": layout,
                "gradient": gradient,
                "correction": name,
                "false discoveries %": 100 * float(np.mean(false)),
                "power %": 100 * float(np.mean(power)),
                "refused %": 100 * refused / (n_screens * PLATES),
                "told %": 100 * told / (n_screens * PLATES),
            }
        )
    return rows


def main() -> None:
    """Measure every combination."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--wells", type=int, nargs="+", default=[96, 384, 1536])
    parser.add_argument("--screens", type=int, default=40)
    parser.add_argument("--gradient", type=float, default=4.0, help="Height in SD of the noise.")
    options = parser.parse_args()
    formats = [PlateFormat.of_size(number) for number in options.wells]
    rows = [
        row
        for plate_format, layout, gradient in itertools.product(formats, LAYOUTS, GRADIENTS)
        for row in measure(layout, gradient, plate_format, options.gradient, options.screens)
    ]
    silent = [
        row
        for row in rows
        if row["false discoveries %"] > 10 and row["refused %"] < 90 and row["told %"] < 90
    ]
    report(
        "bench_layouts",
        rows,
        [f"{len(silent)} of {len(rows)} rows have over 10 % false discoveries without a word"],
    )


if __name__ == "__main__":
    main()
