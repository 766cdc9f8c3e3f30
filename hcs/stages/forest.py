"""From morphology to the baseline: a random forest on the same splits as the network."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from hcs.compute.units import Unit, run_units
from hcs.domain import tables
from hcs.domain.config import ForestConfig
from hcs.domain.results import StageResult
from hcs.domain.splits import Splits
from hcs.domain.tables import Role
from hcs.errors import InputError
from hcs.io import heads, runs
from hcs.io import tables as io_tables
from hcs.learn import forest
from hcs.learn.predictions import prediction_rows, roles_of
from hcs.stages.splits import read_splits, splits_fingerprint

if TYPE_CHECKING:
    from distributed import Client

STAGE: Final = "forest"
MODEL: Final = "forest"

_FORMAT: Final = 1


@dataclass(frozen=True)
class SplitJob:
    """The forest of one split; the unit of work."""

    config: ForestConfig
    split: int
    columns: tuple[str, ...]


def run(config: ForestConfig, client: Client | None = None) -> StageResult:
    """Train one forest a split and write ``config.out``.

    The folder then holds one skops file a split, ``predictions.parquet``, ``splits.json`` and
    ``manifest.json``.

    Raises
    ------
    NotFoundError, InputError
        When features or splits are missing or do not fit together.
    """
    started = time.time()
    with runs.locked(config.out):
        return _run(config, client, started)


def _run(config: ForestConfig, client: Client | None, started: float) -> StageResult:
    splits = read_splits(config.splits)
    images = io_tables.read_table(config.features, columns=tables.IMAGE_KEY, what="features")
    study = study_images(images, splits, config.features)
    columns = forest.select_features(study, config.feature_set)
    mark = runs.fingerprint(
        _FORMAT,
        splits_fingerprint(splits),
        runs.fingerprint(pd.util.hash_pandas_object(study[list(columns)]).tolist()),
        config.model_dump(exclude={"features", "splits", "out"}),
    )
    ledger = runs.Ledger.of(config.out)
    units = [
        Unit(f"split-{split.index:04d}", mark, SplitJob(config, split.index, tuple(columns)))
        for split in splits.splits
    ]
    if not runs.as_path(config.out).exists():
        ledger.clear()
    outcome = run_units(_train_split, units, ledger=ledger, client=client, label="forest")
    out = runs.as_path(config.out)
    parts = [io_tables.read_table(ledger.part(unit.id, ".predictions.parquet")) for unit in units]
    made = runs.provenance(STAGE, config, {"study": mark}, started)
    io_tables.write_table(out / heads.PREDICTIONS, pd.concat(parts, ignore_index=True), made)
    runs.write_bytes(out / heads.SPLITS, splits.to_json().encode())
    importance = np.mean([result["importance"] for result in outcome.results], axis=0)
    manifest = {
        "features": list(columns),
        "importance": dict(zip(columns, importance.tolist(), strict=True)),
        "classes": splits.classes,
        "positive": splits.positive,
        "provenance": made,
    }
    runs.write_json(out / heads.MANIFEST, manifest)
    return StageResult(
        stage=STAGE,
        out=config.out,
        summary={"forests": len(units), "features": ", ".join(columns), "images": len(study)},
        n_run=outcome.n_run,
        n_skipped=outcome.n_skipped,
        seconds=time.time() - started,
    )


def study_images(images: pd.DataFrame, splits: Splits, where: str) -> pd.DataFrame:
    """Keep the images whose group takes part in the study.

    Raises
    ------
    InputError
        When the table lacks the group column, or a group of the splits has no image in it.
    """
    if splits.group_by not in images:
        msg = f"{where} lacks the column {splits.group_by!r} that the splits are made by"
        raise InputError(msg)
    known = {group.name for group in splits.groups}
    kept = images[images[splits.group_by].astype(str).isin(known)].reset_index(drop=True)
    absent = sorted(known - set(kept[splits.group_by].astype(str)))
    if absent:
        msg = f"{where} has no image of the groups {absent} that the splits name"
        raise InputError(msg)
    return kept


def _train_split(job: SplitJob) -> Mapping[str, Any]:
    """Train the forest of one split and score all images of the study; runs on a worker."""
    config = job.config
    splits = read_splits(config.splits)
    images = io_tables.read_table(config.features, columns=tables.IMAGE_KEY, what="features")
    study = study_images(images, splits, config.features)
    features = study[list(job.columns)].astype(np.float64)
    labels = study[splits.group_by].astype(str).map(splits.label_of()).to_numpy()
    roles = roles_of(study, splits, job.split)
    trained = forest.train_forest(
        features,
        labels,
        np.flatnonzero(roles == Role.TRAIN.value),
        n_trees=config.n_trees,
        min_samples_leaf=config.min_samples_leaf,
        seed=config.seed,
        split=job.split,
    )
    order = [trained.classes_.tolist().index(name) for name in splits.classes]
    probabilities = trained.predict_proba(features)[:, order].astype(np.float32)
    rows = prediction_rows(study, probabilities, splits, job.split, MODEL)
    ledger = runs.Ledger.of(config.out)
    unit_id = f"split-{job.split:04d}"
    runs.write_bytes(runs.as_path(config.out) / f"{unit_id}.skops", forest.dump_forest(trained))
    io_tables.write_table(ledger.part(unit_id, ".predictions.parquet"), rows)
    return {"importance": [float(value) for value in trained.feature_importances_]}
