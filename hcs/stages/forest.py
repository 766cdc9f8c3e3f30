"""From morphology to the baseline: a random forest on the same splits as the network."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa

from hcs.compute.units import Unit
from hcs.domain import columns as col
from hcs.domain.columns import Role
from hcs.domain.config.planes import OneTime
from hcs.domain.config.stages import ForestConfig
from hcs.domain.results import StageResult
from hcs.domain.splits import Splits
from hcs.io import heads
from hcs.io.files import parquet
from hcs.io.files.atomic import write_bytes
from hcs.io.files.paths import as_path
from hcs.io.files.together import replace_together
from hcs.io.runs.ledger import Ledger
from hcs.learn import forest
from hcs.learn.scores import group_tests
from hcs.learn.scores.predictions import prediction_rows, roles_of
from hcs.planes.definitions import KEY, read_definitions
from hcs.planes.times import image_key, keep_time, measured_plane
from hcs.stages.frame import Frame, MadeFrom, open_frame
from hcs.stages.work.study import find_study_images, fingerprint_splits, read_splits
from hcs.stages.work.tables import hash_rows

if TYPE_CHECKING:
    from distributed import Client

STAGE: Final = "forest"
MODEL: Final = "forest"

_FORMAT: Final = 5

_LABEL: Final = "class"
_ALPHA: Final = 0.05
_MANY: Final = 6

IMPORTANCE: Final = "importance.parquet"
GROUPS: Final = "groups.parquet"

_FOREST, _SCORES = ".skops", ".scores.npz"


@dataclass(frozen=True, slots=True)
class SplitJob:
    """The forest of one split; the unit of work."""

    config: ForestConfig
    split: int
    columns: tuple[str, ...]
    splits_mark: str


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
    apart = ("features", "splits", "out")
    reads = (config.features, config.splits)
    with open_frame(STAGE, config, client, out=config.out, reads=reads, apart=apart) as frame:
        return _run(config, frame)


def name_forest(split: int) -> str:
    """File of the forest of a split."""
    return f"split-{split:04d}{_FOREST}"


def read_study(features: str, splits: Splits, time: OneTime | None = None) -> pd.DataFrame:
    """Read the rows of a features table whose group takes part in the study, at one time point.

    Raises
    ------
    NotFoundError, InputError
        When there is no such table, it does not fit the splits, or it holds several time points and
        none was chosen.
    """
    images = parquet.read_table(features, columns=col.IMAGE_KEY, what="features")
    images = keep_time(images, time, features)
    images = images.sort_values(list(col.IMAGE_KEY), ignore_index=True, kind="stable")
    chosen = find_study_images(images, splits, features)
    return images.iloc[chosen].reset_index(drop=True)


def _run(config: ForestConfig, frame: Frame) -> StageResult:
    splits = read_splits(config.splits)
    mark = fingerprint_splits(splits)
    study = read_study(config.features, splits, config.time)
    columns = forest.select_features(study, config.feature_set)
    values = study[[*image_key(study), *columns]]
    hashes = pd.util.hash_pandas_object(values, index=False).to_numpy()
    common = MadeFrom(_FORMAT, frame.settings, values=(splits.classes, columns)).fingerprint
    units = [
        Unit(
            f"split-{split.index:04d}",
            _fingerprint_forest(common, study, hashes, splits, split.index),
            SplitJob(config, split.index, tuple(columns), mark),
        )
        for split in splits.splits
    ]
    results = frame.do(_train_split, units)
    frame.inputs |= {"features": hash_rows(values), "splits": fingerprint_splits(splits)}
    importance = _summarize_importance(results, columns)
    compared = compare_classes(study, splits, columns)
    about = study[[name for name in study.columns if name.startswith("Metadata_")]]
    made_from = MadeFrom(
        _FORMAT,
        frame.settings,
        metadata=hash_rows(about),
        values=[fingerprint_splits(splits), *(unit.fingerprint for unit in units)],
    )
    tables = {IMPORTANCE: importance, GROUPS: compared}
    joined = _Joined(config, splits, about, frame.ledger, tables, columns)
    frame.join("models", made_from, joined.write)
    return frame.result(
        {
            "forests": len(units),
            "features": ", ".join(columns) if len(columns) < _MANY else len(columns),
            "images": len(study),
            "most important": _name_first(importance),
            "differ between classes": _count_different(compared),
        }
    )


def _fingerprint_forest(
    common: str, study: pd.DataFrame, hashes: np.ndarray[Any, Any], splits: Splits, split: int
) -> str:
    """Say what one forest and its scores are made from: every row, its class and its role."""
    labels = study[splits.group_by].astype(str).map(splits.label_of())
    rows = zip(hashes.tolist(), roles_of(study, splits, split), labels, strict=True)
    return MadeFrom(_FORMAT, common, values=[list(row) for row in rows], metadata=split).fingerprint


@dataclass(frozen=True)
class _Joined:
    """Puts forests and scores of all splits into one folder, a split in memory at a time."""

    config: ForestConfig
    splits: Splits
    about: pd.DataFrame
    ledger: Ledger
    tables: Mapping[str, pd.DataFrame]
    columns: Sequence[str]

    def write(self, made: Mapping[str, Any]) -> None:
        """Write all files of the folder; they change together."""
        out = as_path(self.config.out)
        numbers = [split.index for split in self.splits.splits]
        marks = {}
        with replace_together(self.config.out) as place:
            for number in numbers:
                data = self.ledger.part(f"split-{number:04d}", _FOREST).read_bytes()
                marks[name_forest(number)] = f"sha256:{hashlib.sha256(data).hexdigest()}"
                place(out / name_forest(number)).write_bytes(data)
            for old in out.glob(f"split-*{_FOREST}") if out.exists() else ():
                if old.name not in marks:
                    place.drop(old)
            schema = pa.Schema.from_pandas(self._rows(numbers[0]), preserve_index=False)
            rows = (self._rows(number) for number in numbers)
            parquet.write_stream(str(place(out / heads.PREDICTIONS)), [schema], rows, made)
            for name, table in self.tables.items():
                parquet.write_table(str(place(out / name)), table, made)
            place(out / heads.SPLITS).write_text(self.splits.to_json(), encoding="utf-8")
            heads.write_manifest(place(out / heads.MANIFEST), self._describe(marks, made))

    def _rows(self, number: int) -> pd.DataFrame:
        found = heads.read_part(self.ledger.part(f"split-{number:04d}", _SCORES))
        return prediction_rows(self.about, found["probabilities"], self.splits, number, MODEL)

    def _describe(self, marks: Mapping[str, str], made: Mapping[str, Any]) -> dict[str, Any]:
        falls = self.tables[IMPORTANCE]
        return {
            "features": list(self.columns),
            "plane": measured_plane(self.config.features),
            KEY: read_definitions(self.config.features),
            "forests": marks,
            "importance": {
                str(name): None if np.isnan(fall) else float(fall)
                for name, fall in zip(falls["feature"], falls["importance_mean"], strict=True)
            },
            "classes": self.splits.classes,
            "positive": self.splits.positive,
            "provenance": made,
        }


def compare_classes(study: pd.DataFrame, splits: Splits, columns: Sequence[str]) -> pd.DataFrame:
    """Compare the classes feature by feature, the means of groups (clones) being the sample."""
    labels = study[splits.group_by].astype(str).map(splits.label_of())
    known = study.assign(**{_LABEL: labels})
    means = group_tests.group_means(known, columns, splits.group_by, _LABEL)
    return group_tests.compare_groups(means, columns, _LABEL, splits.positive)


def _summarize_importance(
    results: Sequence[Mapping[str, Any]], columns: Sequence[str]
) -> pd.DataFrame:
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


def _name_first(importance: pd.DataFrame) -> str:
    known = importance.dropna(subset=["importance_mean"])
    if known.empty:
        return "not known: no split has both classes among its test images"
    row = known.iloc[0]
    return f"{row['feature']} (AUC falls by {row['importance_mean']:.3f} without it)"


def _count_different(compared: pd.DataFrame) -> str:
    known = compared["welch_p_holm"].notna()
    clear = compared[known & (compared["welch_p_holm"] < _ALPHA)]
    tested = int(known.sum())
    return f"{len(clear)} of {tested} tests (Welch, Holm-corrected, p < {_ALPHA})"


def _train_split(job: SplitJob) -> Mapping[str, Any]:
    """Train the forest of one split and score all images of the study; runs on a worker."""
    config = job.config
    splits = read_splits(config.splits, job.splits_mark)
    study = read_study(config.features, splits, config.time)
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
    ledger = Ledger.of(config.out)
    unit_id = f"split-{job.split:04d}"
    write_bytes(ledger.part(unit_id, _FOREST), forest.dump_forest(trained))
    heads.write_part(ledger.part(unit_id, _SCORES), {"probabilities": probabilities})
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
