"""How fast and how right the statistics of a screen are.

    python -m benchmarks.bench_screen [--plates 2604] [--curves 300] [--screens 20]

0 plates, curves or screens leave that part out.

Speed: image scores to wells, then correction, normalization, tests, hit calling, plate quality
and replicates combined for so many plates of 384 wells, each choice in a fresh process whose peak
memory is the operating system's. The limit of 20 s is of the clock on the wall: run it on an idle
machine. Right: a simulated screen with planted hits, gradients and dead wells (average precision,
false-discovery rate, position effects before and after), and concentration-response curves with a
known answer (bias, coverage of the 95 % intervals).
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import resource
import time
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import average_precision_score

from benchmarks._table import report
from hcs.domain import columns as col
from hcs.domain.config.screening import (
    BScore,
    EmpiricalCall,
    HitsOptions,
    Loess,
    MedianFilter,
    SsmdCall,
)
from hcs.domain.wells import PlateFormat
from hcs.screen.aggregate import well_scores
from hcs.screen.curves.logistic import fit_curve, log_logistic
from hcs.screen.hits import call_hits
from hcs.screen.replicates import call_compounds

WELLS = PlateFormat.WELLS_384.wells()
LIMIT_S, LIMIT_GIB = 20.0, 4.0
CHOICES = {
    "robust z (default)": HitsOptions(),
    "b-score": HitsOptions(normalization=BScore(), reference="samples"),
    "median filter, SSMD": HitsOptions(spatial=MedianFilter(), call=SsmdCall()),
    "loess, empirical p": HitsOptions(spatial=Loess(), call=EmpiricalCall()),
}


def simulated_screen(
    seed: int, n_plates: int, rescue: float = 1.0, gradient: float = 1.0, hit_share: float = 0.05
) -> pd.DataFrame:
    """Plates with controls in the four outer columns, planted hits, gradients and dead wells.

    Diseased wells score 0.8, healthy ones 0.3, with an SD of 0.06: the effect of a hit is
    `rescue` × 0.5, which is `rescue` × 8.3 SD. Dead wells score as healthy ones, with 2 cells.
    """
    rng = np.random.default_rng(seed)
    n = n_plates * len(WELLS)
    row = np.tile([well.row for well in WELLS], n_plates)
    column = np.tile([well.column for well in WELLS], n_plates)
    control = np.isin(column, (0, 1, 22, 23))
    kind = np.where(control, np.where((row + column) % 2 == 0, "negcon", "poscon"), "trt")
    is_hit = (kind == "trt") & (rng.random(n) < hit_share)
    dead = (kind == "trt") & ~is_hit & (rng.random(n) < 0.01)
    score = rng.normal(0.8, 0.06, n) - 0.5 * ((kind == "poscon") | dead) - 0.5 * rescue * is_hit
    score += gradient * (0.12 * row / 15 - 0.08 * column / 23)
    score += np.repeat(rng.normal(0, 0.05, n_plates), len(WELLS))
    plates = np.array([f"P{i:04d}" for i in range(n_plates)], dtype=object)
    names = np.array([well.name for well in WELLS], dtype=object)
    compounds = np.array([f"C{i}" for i in range(len(WELLS) * max(n_plates // 3, 1))], dtype=object)
    return pd.DataFrame(
        {
            col.MODEL: "cnn",
            col.PLATE: np.repeat(plates, len(WELLS)),
            col.WELL: np.tile(names, n_plates),
            col.BATCH: np.repeat(np.arange(n_plates) // 20, len(WELLS)),
            col.PERT_TYPE: kind.astype(object),
            col.COMPOUND: np.where(kind == "trt", compounds[np.arange(n) % compounds.size], None),
            col.SCORE: score,
            col.N_CELLS: np.where(dead, 2.0, rng.poisson(40, n)),
            "planted": is_hit,
        }
    )


def speed(choice: str, n_plates: int, queue: multiprocessing.Queue[Any]) -> None:
    images = simulated_screen(0, n_plates).drop(columns="planted")
    images[col.SCORE] = images[col.SCORE].clip(0.001, 0.999)  # probabilities, for the log-odds
    start, start_cpu = time.perf_counter(), time.process_time()
    wells = well_scores(images, CHOICES[choice])
    scored = time.perf_counter()
    hits, quality, _ = call_hits(wells, CHOICES[choice])
    called = time.perf_counter()
    compounds = call_compounds(hits, CHOICES[choice])
    combined = time.perf_counter()
    queue.put(
        {
            "statistics": choice,
            "plates": len(quality),
            "wells": len(hits),
            "to wells s": scored - start,
            "to hits s": called - scored,
            "to compounds s": combined - called,
            "compounds": len(compounds),
            "total s": combined - start,
            "CPU s": time.process_time() - start_cpu,
            "peak GiB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20,
        }
    )


def in_fresh_process(choice: str, n_plates: int) -> dict[str, Any]:
    context = multiprocessing.get_context("spawn")
    queue: multiprocessing.Queue[Any] = context.Queue()
    process = context.Process(target=speed, args=(choice, n_plates, queue))
    process.start()
    row: dict[str, Any] = queue.get()
    process.join()
    within = row["total s"] <= LIMIT_S and row["peak GiB"] <= LIMIT_GIB
    return row | {"within 20 s, 4 GiB": "yes" if within else "NO"}


def rightness(
    name: str, options: HitsOptions, rescue: float, n_screens: int, n_plates: int = 10
) -> dict[str, Any]:
    precision, power, false, before, after = [], [], [], [], []
    for seed in range(n_screens):
        table = simulated_screen(seed, n_plates, rescue)
        hits, quality, _ = call_hits(table, options)
        treated = hits[hits[col.PERT_TYPE] == "trt"]
        living = treated[~treated[col.TOXIC]]
        precision.append(average_precision_score(living["planted"], -living[col.ROBUST_Z]))
        power.append(treated.loc[treated["planted"], col.HIT].mean())
        called = treated[treated[col.HIT]]
        false.append((~called["planted"]).mean() if len(called) else 0.0)
        before.append((quality[["row_p", "column_p"]] > 0.05).mean().min())
        after.append((quality[["corrected_row_p", "corrected_column_p"]] > 0.05).mean().min())
    return {
        "statistics": name,
        "plates": n_plates,
        "effect (SD)": rescue * 0.5 / 0.06,
        "average precision": float(np.mean(precision)),
        "found": float(np.mean(power)),
        "false discoveries": float(np.mean(false)),
        "plates p > 0.05 before": float(np.mean(before)),
        "after": float(np.mean(after)),
    }


def replicates(n_screens: int) -> dict[str, Any]:
    """Three plates a compound, effect too small for single wells, replicates by Stouffer."""
    options = HitsOptions(replicates="stouffer", normalization=BScore(), reference="samples")
    wells, compounds, false = [], [], []
    for seed in range(n_screens):
        table = simulated_screen(seed, 9, rescue=0.0)
        planted = table[col.COMPOUND].isin([f"C{i}" for i in range(0, 384 * 3, 20)])
        table.loc[planted, col.SCORE] -= 0.2
        hits, _, _ = call_hits(table, options)
        called = call_compounds(hits, options)
        names = set(table.loc[planted, col.COMPOUND])
        is_planted = called[col.COMPOUND].isin(names)
        wells.append(hits.loc[planted, col.HIT].mean())
        compounds.append(called.loc[is_planted, col.HIT].mean())
        false.append((~is_planted[called[col.HIT]]).mean() if called[col.HIT].any() else 0.0)
    return {
        "statistics": "b-score, 3 replicates by Stouffer",
        "plates": 9,
        "effect (SD)": 0.2 / 0.06,
        "found": float(np.mean(compounds)),
        "false discoveries": float(np.mean(false)),
        "found as single wells": float(np.mean(wells)),
    }


def curves(noise: float, log10_ec50: float, hill: float, n_curves: int) -> dict[str, Any]:
    rng = np.random.default_rng(1)
    dose = np.repeat(np.logspace(-2, 1.5, 8), 3)
    clean = log_logistic(dose, 0.0, 1.0, log10_ec50, hill)
    true = np.array([0.0, 1.0, log10_ec50, np.log10(hill)])
    start = time.process_time()
    fits = [fit_curve(dose, clean + rng.normal(0, noise, dose.size)) for _ in range(n_curves)]
    seconds = time.process_time() - start
    fitted = [fit for fit in fits if fit.status == "fitted"]
    ends = np.array([fit.intervals for fit in fitted])
    covered = ((ends[:, :, 0] <= true) & (true <= ends[:, :, 1])).mean(axis=0)
    estimates = np.array([fit.log10_ec50 for fit in fitted])
    return {
        "noise (SD/range)": noise,
        "log10 EC50": log10_ec50,
        "hill": hill,
        "fitted": len(fitted),
        "bias log10 EC50": float(estimates.mean() - log10_ec50),
        "SD log10 EC50": float(estimates.std(ddof=1)),
        "covers EC50": float(covered[2]),
        "hill ": float(covered[3]),
        "at_zero": float(covered[0]),
        "at_infinity": float(covered[1]),
        "ms a curve": 1e3 * seconds / n_curves,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--plates", type=int, default=2604)
    parser.add_argument("--curves", type=int, default=300)
    parser.add_argument("--screens", type=int, default=20)
    options = parser.parse_args()
    if options.plates:
        fast(options)
    if options.screens:
        right(options)
    if options.curves:
        fitted(options)


def fast(options: argparse.Namespace) -> None:
    load = os.getloadavg()[0]
    rows = [in_fresh_process(choice, options.plates) for choice in CHOICES]
    report(
        "bench_screen",
        rows,
        [f"load of the machine before the start: {load:.1f} on {os.cpu_count()} cores"],
    )


def right(options: argparse.Namespace) -> None:
    print()
    rows = [
        rightness(name, choice, rescue, options.screens)
        for rescue in (1.0, 0.6)
        for name, choice in {
            "robust z (default)": HitsOptions(),
            "b-score": HitsOptions(normalization=BScore(), reference="samples"),
            "loess": HitsOptions(spatial=Loess()),
        }.items()
    ]
    # An empirical p cannot be smaller than 1 / (controls + 1): 40 plates give 1,280 controls.
    empirical = HitsOptions(spatial=Loess(), call=EmpiricalCall())
    rows.append(rightness("loess, empirical p", empirical, 0.6, max(options.screens // 4, 1), 40))
    rows.append(replicates(options.screens))
    notes = [f"means of {options.screens} screens (a quarter with 40 plates); nominal rate 0.05"]
    report("bench_screen_hits", rows, notes)


def fitted(options: argparse.Namespace) -> None:
    print()
    rows = [
        curves(noise, log10_ec50, hill, options.curves)
        for noise in (0.02, 0.05, 0.1)
        for log10_ec50, hill in ((-0.2, 1.0), (-1.0, 2.0), (0.5, 1.0))
    ]
    notes = [f"{options.curves} curves a row, 8 concentrations × 3; coverage of 95 % intervals"]
    report("bench_screen_curves", rows, notes)


if __name__ == "__main__":
    main()
