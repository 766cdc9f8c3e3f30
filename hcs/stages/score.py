"""From the forests of a study and new features to scores, block by block over Dask."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from hcs.domain import columns as col
from hcs.domain.config.stages import ScoreConfig
from hcs.domain.results import StageResult
from hcs.errors import NotFoundError
from hcs.io import heads
from hcs.io.files import parquet
from hcs.io.files.paths import as_path
from hcs.io.runs.fingerprints import file_stamp
from hcs.io.runs.locks import locked
from hcs.io.runs.provenance import provenance
from hcs.learn import forest
from hcs.learn.scores.predictions import prediction_rows
from hcs.stages.forest import MODEL
from hcs.stages.splits import read_splits

if TYPE_CHECKING:
    from distributed import Client

STAGE: Final = "predict"


def run(config: ScoreConfig, client: Client | None = None) -> StageResult:
    """Score every row of a features table with the forest of every split.

    Each forest is sent to the workers once and applied to blocks of the table by dask-ml's
    ``ParallelPostFit``.

    Raises
    ------
    NotFoundError
        When forests or features are missing.
    StaleError
        When the table lacks a feature that the forests were trained on.
    InputError
        When a file is no forest saved by skops.
    """
    started = time.time()
    with locked(config.out):
        folder = as_path(config.models)
        splits = read_splits(str(folder / heads.SPLITS))
        images = parquet.read_table(config.features, columns=col.IMAGE_KEY, what="features")
        parts = []
        for split in splits.splits:
            file = folder / f"split-{split.index:04d}.skops"
            if not file.exists():
                msg = f"{file} does not exist: train the forests again with hcs forest"
                raise NotFoundError(msg)
            trained = forest.load_forest(file.read_bytes(), str(file))
            columns = [str(name) for name in trained.feature_names_in_]
            present = [name for name in columns if name in images]
            numbers = images[present].astype(np.float64)
            order = [trained.classes_.tolist().index(name) for name in splits.classes]
            scores = forest.predict_table(trained, numbers)[:, order].astype(np.float32)
            parts.append(prediction_rows(images, scores, splits, split.index, MODEL))
        inputs = {"features": file_stamp(as_path(config.features))}
        made = provenance(STAGE, config, inputs, started)
        parquet.write_table(config.out, pd.concat(parts, ignore_index=True), made)
    return StageResult(
        stage=STAGE,
        out=config.out,
        summary={
            "images": len(images),
            "forests": len(parts),
            "where": "Dask workers" if client is not None else "this process",
        },
        n_run=len(parts),
        seconds=time.time() - started,
    )
