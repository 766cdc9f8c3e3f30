"""From scores of images to scored wells, judged plates and called hits."""

from __future__ import annotations

import time
from typing import Final

import pandas as pd

from hcs.domain import tables
from hcs.domain.config import HitsConfig
from hcs.domain.results import Problem, StageResult
from hcs.io import runs
from hcs.io import tables as io_tables
from hcs.screen import aggregate
from hcs.screen import hits as screen_hits

STAGE: Final = "hits"


def run(config: HitsConfig) -> StageResult:
    """Score the wells of ``config.predictions`` against on-plate controls.

    Writes ``<out>`` (one row a well and model), the same as CSV beside it, and
    ``plate_quality.parquet`` (one row a plate).

    Raises
    ------
    NotFoundError, InputError
        When there are no predictions, or columns are missing.
    """
    started = time.time()
    needed = (*tables.IMAGE_KEY, tables.MODEL, tables.SPLIT, tables.SCORE)
    predictions = io_tables.read_table(config.predictions, columns=needed, what="predictions")
    inputs = {"predictions": runs.file_stamp(runs.as_path(config.predictions))}
    if config.features:
        predictions = _with_cell_counts(predictions, config.features)
        inputs["features"] = runs.file_stamp(runs.as_path(config.features))
    wells = aggregate.well_scores(predictions, config)
    called, quality, rows = screen_hits.call_hits(wells, config)
    problems = [Problem.from_row(row) for row in rows]
    made = runs.provenance(STAGE, config, inputs, started)
    out = runs.as_path(config.out)
    io_tables.write_table(out, called, made)
    runs.write_bytes(out.with_suffix(".csv"), called.to_csv(index=False).encode())
    io_tables.write_table(out.parent / "plate_quality.parquet", quality, made)
    io_tables.write_problems(config.out, [problem.row() for problem in problems])
    return StageResult(
        stage=STAGE,
        out=config.out,
        summary=_summary(called, quality),
        n_run=1,
        problems=tuple(problems),
        seconds=time.time() - started,
    )


def _with_cell_counts(predictions: pd.DataFrame, features: str) -> pd.DataFrame:
    key = list(tables.IMAGE_KEY)
    counts = io_tables.read_table(features, columns=(*key, tables.N_CELLS), what="features")
    return predictions.merge(counts[[*key, tables.N_CELLS]], on=key, how="left")


def _summary(called: pd.DataFrame, quality: pd.DataFrame) -> dict[str, str | int | float]:
    shown: dict[str, str | int | float] = {
        "plates": int(called[tables.PLATE].nunique()),
        "wells": len(called),
        "hits": int(called[tables.HIT].sum()),
    }
    values = quality["z_prime"].dropna()
    if len(values):
        shown["Z'"] = ", ".join(f"{value:.2f}" for value in values[:10])
    if tables.COMPOUND in called:
        compounds = called.loc[called[tables.HIT], tables.COMPOUND].dropna().unique()
        shown["compounds with hits"] = ", ".join(map(str, compounds[:20])) or "none"
    return shown
