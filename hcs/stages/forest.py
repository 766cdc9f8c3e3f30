"""From morphology to the baseline: a random forest on the same splits as the network."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from hcs.compute.units import Unit, run_units
from hcs.domain import columns as col
from hcs.domain.columns import Role
from hcs.domain.config.stages import ForestConfig
from hcs.domain.results import StageResult
from hcs.domain.splits import Splits
from hcs.errors import InputError
from hcs.io import heads
from hcs.io.files import parquet
from hcs.io.files.atomic import write_bytes, write_json
from hcs.io.files.paths import as_path
from hcs.io.runs.fingerprints import fingerprint
from hcs.io.runs.ledger import Ledger
from hcs.io.runs.locks import locked
from hcs.io.runs.provenance import provenance
from hcs.learn import forest
from hcs.learn.scores import group_tests
from hcs.learn.scores.predictions import prediction_rows, roles_of
from hcs.stages.splits import read_splits, splits_fingerprint

if TYPE_CHECKING:
    from distributed import Client

STAGE: Final = "forest"
MODEL: Final = "forest"

_FORMAT: Final = 2

_LABEL: Final = "class"
_ALPHA: Final = 0.05
_MANY: Final = 6

IMPORTANCE: Final = "importance.parquet"
GROUPS: Final = "groups.parquet"


@dataclass(frozen=True)
class SplitJob:
    """The forest of one split; the unit of work."""

    config: ForestConfig
    split: int
    columns: tuple[str, ...]


def run(config: ForestConfig, client: Client | None = None) -> StageResult:
    """Train one forest a split and write ``config.out``.

    The folder then holds one skops file a split, ``predictions.parquet``, ``splits.json``,
    ``manifest.json``, the permutation importance of every feature on test images
    (``importance.parquet``) and the comparison of the classes on group means
    (``groups.parquet``).

    Raises
    ------
    NotFoundError, InputError
        When features or splits are missing or do not fit together.
    """
    started = time.time()
    with locked(config.out):
        return _run(config, client, started)


def _run(config: ForestConfig, client: Client | None, started: float) -> StageResult:
    splits = read_splits(config.splits)
    images = parquet.read_table(config.features, columns=col.IMAGE_KEY, what="features")
    study = study_images(images, splits, config.features)
    columns = forest.select_features(study, config.feature_set)
    mark = fingerprint(
        _FORMAT,
        splits_fingerprint(splits),
        fingerprint(pd.util.hash_pandas_object(study[list(columns)]).tolist()),
        config.model_dump(exclude={"features", "splits", "out"}),
    )
    ledger = Ledger.of(config.out)
    units = [
        Unit(f"split-{split.index:04d}", mark, SplitJob(config, split.index, tuple(columns)))
        for split in splits.splits
    ]
    if not as_path(config.out).exists():
        ledger.clear()
    outcome = run_units(_train_split, units, ledger=ledger, client=client, label="forest")
    out = as_path(config.out)
    parts = [parquet.read_table(ledger.part(unit.id, ".predictions.parquet")) for unit in units]
    made = provenance(STAGE, config, {"study": mark}, started)
    parquet.write_table(out / heads.PREDICTIONS, pd.concat(parts, ignore_index=True), made)
    write_bytes(out / heads.SPLITS, splits.to_json().encode())
    importance = _importance(outcome.results, columns)
    parquet.write_table(out / IMPORTANCE, importance, made)
    compared = compare(study, splits, columns)
    parquet.write_table(out / GROUPS, compared, made)
    manifest = {
        "features": list(columns),
        "importance": {
            str(name): None if np.isnan(fall) else float(fall)
            for name, fall in zip(importance["feature"], importance["importance_mean"], strict=True)
        },
        "classes": splits.classes,
        "positive": splits.positive,
        "provenance": made,
    }
    write_json(out / heads.MANIFEST, manifest)
    return StageResult(
        stage=STAGE,
        out=config.out,
        summary={
            "forests": len(units),
            "features": ", ".join(columns) if len(columns) < _MANY else len(columns),
            "images": len(study),
            "most important": _first(importance),
            "differ between classes": _different(compared),
        },
        n_run=outcome.n_run,
        n_skipped=outcome.n_skipped,
        seconds=time.time() - started,
    )


def compare(study: pd.DataFrame, splits: Splits, columns: Sequence[str]) -> pd.DataFrame:
    """Compare the classes feature by feature, the means of groups (clones) being the sample."""
    labels = study[splits.group_by].astype(str).map(splits.label_of())
    known = study.assign(**{_LABEL: labels})
    means = group_tests.group_means(known, columns, splits.group_by, _LABEL)
    return group_tests.compare_groups(means, columns, _LABEL, splits.positive)


def _importance(results: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> pd.DataFrame:
    """Mean and SD over splits of the fall of the ROC AUC, most important feature first."""
    falls = np.array([result["importance"] for result in results], dtype=float)
    known = np.isfinite(falls)
    n = known.sum(axis=0)
    mean = np.where(n > 0, np.where(known, falls, 0).sum(axis=0) / np.maximum(n, 1), np.nan)
    square = np.where(known, np.square(falls - mean), 0).sum(axis=0)
    table = pd.DataFrame(
        {
            "feature": list(columns),
            "importance_mean": mean,
            "importance_sd": np.where(n > 1, np.sqrt(square / np.maximum(n - 1, 1)), np.nan),
            "n_splits": n,
        }
    )
    return table.sort_values("importance_mean", ascending=False, ignore_index=True, kind="stable")


def _first(importance: pd.DataFrame) -> str:
    known = importance.dropna(subset=["importance_mean"])
    if known.empty:
        return "not known: no split has both classes among its test images"
    row = known.iloc[0]
    return f"{row['feature']} (AUC falls by {row['importance_mean']:.3f} without it)"


def _different(compared: pd.DataFrame) -> str:
    known = compared["welch_p_holm"].notna()
    clear = compared[known & (compared["welch_p_holm"] < _ALPHA)]
    tested = int(known.sum())
    return f"{len(clear)} of {tested} tests (Welch, Holm-corrected, p < {_ALPHA})"


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
    images = parquet.read_table(config.features, columns=col.IMAGE_KEY, what="features")
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
    ledger = Ledger.of(config.out)
    unit_id = f"split-{job.split:04d}"
    write_bytes(as_path(config.out) / f"{unit_id}.skops", forest.dump_forest(trained))
    parquet.write_table(ledger.part(unit_id, ".predictions.parquet"), rows)
    falls = np.full(len(job.columns), np.nan)
    if config.importance_repeats:
        found = forest.forest_importance(
            trained,
            features,
            labels,
            np.flatnonzero(roles == Role.TEST.value),
            n_repeats=config.importance_repeats,
            seed=config.seed,
        ).set_index("feature")["importance_mean"]
        falls = found.loc[list(job.columns)].to_numpy(dtype=float)
    return {"importance": [None if np.isnan(fall) else float(fall) for fall in falls]}
