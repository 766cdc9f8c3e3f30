"""From the feature bank and the splits to trained heads: all of them together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from hcs.compute import budget
from hcs.compute.client import network_resources
from hcs.compute.units import Past, Unit, find_done
from hcs.domain import columns as col
from hcs.domain.columns import Role
from hcs.domain.config.network import TunedOptimizer
from hcs.domain.config.stages import TrainConfig
from hcs.domain.results import StageResult
from hcs.domain.splits import Splits
from hcs.io import bank
from hcs.io import heads as io_heads
from hcs.io.files import parquet
from hcs.io.files.atomic import remove
from hcs.io.files.paths import as_path, as_text, local_path
from hcs.io.files.together import replace_together
from hcs.io.imageset import ImageSet
from hcs.io.runs.ledger import Ledger
from hcs.io.unpacked import UnpackedFeatures, unpack
from hcs.learn.heads.batches import DEFAULT_BUDGET_BYTES
from hcs.learn.heads.cpu import n_threads
from hcs.learn.heads.weights import HeadWeights, predict_heads
from hcs.learn.scores.predictions import prediction_rows, roles_of
from hcs.stages.frame import Frame, MadeFrom, open_frame
from hcs.stages.work.study import find_study_images, fingerprint_splits, read_splits
from hcs.stages.work.tables import hash_rows
from hcs.stages.work.training import Trainer, list_arrays, list_history

if TYPE_CHECKING:
    from distributed import Client

STAGE: Final = "train"
MODEL: Final = "cnn"

_FORMAT: Final = 2
_HEADS_IN_STEP: Final = 64
_HEADS_ON_CPU: Final = 10
_SCORED_TOGETHER: Final = 8
_UNPACKED: Final = ("features", "")
"""Part of the ledger that holds features which do not fit in memory."""

_WEIGHTS, _HISTORY, _SCORES = ".npz", ".history.parquet", ".scores.npz"


@dataclass(frozen=True, slots=True)
class HeadJob:
    """The head of one split; the unit of work, and of scoring."""

    config: TrainConfig
    split: int
    splits_mark: str
    unpacked: UnpackedFeatures | None = None


def run(config: TrainConfig, client: Client | None = None) -> StageResult:
    """Train one head a split on the bank and write ``config.out``.

    The folder then holds ``heads.zarr``, ``history.parquet``, ``predictions.parquet`` (every
    image of the study scored by every head, with its role), ``splits.json``, ``manifest.json``,
    and ``trials.parquet`` when the optimizer was tuned. A head is trained again when one of its own
    training or validation images, their classes, or a setting changed.

    Raises
    ------
    NotFoundError, InputError
        When bank or splits are missing or do not fit together, or there is no room on the disk.
    MemoryBudgetError
        When not even one view of the images fits in memory.
    """
    apart = ("bank", "splits", "out", "heads_per_group")
    reads = (config.bank, config.splits)
    with open_frame(STAGE, config, client, out=config.out, reads=reads, apart=apart) as frame:
        return _run(config, frame)


def _run(config: TrainConfig, frame: Frame) -> StageResult:
    splits = read_splits(config.splits)
    mark = fingerprint_splits(splits)
    opened = bank.open_bank(config.bank)
    rows = find_study_images(opened.frame, splits, config.bank)
    study = opened.frame.iloc[rows].reset_index(drop=True)
    common = MadeFrom(_FORMAT, frame.settings, values=splits.classes).fingerprint
    heads = [
        Unit(_name(split.index), _fingerprint_head(common, study, splits, split.index), job)
        for split in splits.splits
        for job in [HeadJob(config, split.index, mark)]
    ]
    if len(find_done(heads, frame.ledger)) < len(heads):
        unpacked = _unpack(opened, rows, frame)
        heads = [
            Unit(unit.id, unit.fingerprint, HeadJob(config, unit.payload.split, mark, unpacked))
            for unit in heads
        ]
    resources = network_resources(frame.client)
    trained = frame.do(
        _train_heads, heads, resources=resources, together=_count_together(config, resources)
    )
    remove(frame.ledger.part(*_UNPACKED))
    pixels = study[[*col.IMAGE_KEY, col.FINGERPRINT]].to_numpy().tolist()
    known = MadeFrom(_FORMAT, pixels=pixels).fingerprint
    scores = [
        Unit(
            f"scores-{unit.payload.split:04d}",
            MadeFrom(_FORMAT, pixels=known, weights=result["weights"]).fingerprint,
            HeadJob(config, unit.payload.split, mark),
        )
        for unit, result in zip(heads, trained, strict=True)
    ]
    counts = frame.n_run, frame.n_skipped
    frame.do(_score_heads, scores, label="score the study", together=len(scores))
    frame.n_run, frame.n_skipped = counts  # a head and its scores are one to whoever reads
    frame.inputs |= {"bank": opened.fingerprint, "splits": fingerprint_splits(splits)}
    made_from = MadeFrom(
        _FORMAT,
        (frame.settings, opened.settings),
        metadata=hash_rows(_describe(study)),
        values=[fingerprint_splits(splits), *(unit.fingerprint for unit in (*heads, *scores))],
    )
    joined = _Joined(config, splits, opened, study, frame.ledger, trained)
    frame.join("models", made_from, joined.write)
    return frame.result(_summarize(trained, splits, len(rows), opened.item_shape[1]))


def _name(split: int) -> str:
    return f"head-{split:04d}"


def _count_together(config: TrainConfig, resources: Mapping[str, float]) -> int:
    """Count the heads of a task.

    A GPU is quickest with many heads in step; a CPU trains them one by one, and small tasks keep
    all workers busy to the end. A head is the same whatever trains beside it.
    """
    optimizer = config.optimizer
    at_once = optimizer.trials_at_once if isinstance(optimizer, TunedOptimizer) else 1
    usual = _HEADS_IN_STEP if resources else _HEADS_ON_CPU
    return max(1, (config.heads_per_group or usual) // at_once)


def _fingerprint_head(common: str, study: pd.DataFrame, splits: Splits, split: int) -> str:
    """Say what one head is made from: its own images, and the class of each."""
    roles = roles_of(study, splits, split)
    own = np.isin(roles, [Role.TRAIN.value, Role.VALIDATION.value])
    labels = study[splits.group_by].astype(str).map(splits.label_of())
    images = zip(roles[own], study.loc[own, col.FINGERPRINT], labels[own], strict=True)
    return MadeFrom(_FORMAT, common, pixels=[list(row) for row in images], values=split).fingerprint


def _describe(study: pd.DataFrame) -> pd.DataFrame:
    return study[[name for name in study.columns if name.startswith("Metadata_")]]


def _unpack(opened: ImageSet, rows: NDArray[np.intp], frame: Frame) -> UnpackedFeatures | None:
    """Lay the features out on disk where they do not fit in memory; None where they do.

    Groups of heads are cut to fit a budget of their own.

    Raises
    ------
    MemoryBudgetError
        When not even one view of the images fits.
    """
    n_views, n_features = opened.item_shape
    view = len(rows) * n_features * 2
    heads_alone = budget.NETWORK_FLOOR_BYTES + DEFAULT_BUDGET_BYTES
    # Read whole, and once more for the rows of the study.
    in_memory = heads_alone + 3 * view * n_views
    folder = local_path(as_text(frame.ledger.part(*_UNPACKED)))
    remedy = "take fewer views, or avg pooling"
    if folder is None or in_memory <= budget.worker_memory_bytes(frame.client):
        budget.check_budget(STAGE, in_memory, frame.client, remedy)
        return None
    # An epoch's views, the validation images and those to standardize by, for each thread.
    needed = heads_alone + 2 * view * n_threads()
    remedy = "take avg pooling, or give workers more memory"
    budget.check_budget(STAGE, needed, frame.client, remedy)
    name = MadeFrom(_FORMAT, pixels=opened.fingerprint, values=rows.tolist()).fingerprint
    return unpack(opened, rows, Path(folder) / name)


def _summarize(
    trained: Sequence[Mapping[str, Any]], splits: Splits, n_images: int, n_features: int
) -> dict[str, str | int | float]:
    rows = [result["chosen"] for result in trained]
    diverged = [row[col.SPLIT] for row in rows if row["diverged"]]
    shown: dict[str, str | int | float] = {
        "heads": len(splits.splits),
        "images": n_images,
        "features": n_features,
    }
    if diverged:
        shown["diverged"] = f"splits {diverged}: loss or weights were not finite"
    return shown


def _train_heads(tasks: Sequence[tuple[HeadJob, Past]]) -> Iterator[Mapping[str, Any]]:
    """Tune and train the heads of some splits; runs on a worker that may hold a GPU."""
    job = tasks[0][0]
    config = job.config
    splits = read_splits(config.splits, job.splits_mark)
    opened = bank.open_bank(config.bank)
    rows = find_study_images(opened.frame, splits, config.bank)
    study = opened.frame.iloc[rows].reset_index(drop=True)
    features = opened.take(rows) if job.unpacked is None else job.unpacked
    trainer = Trainer(config, splits, study, features)
    ledger = Ledger.of(config.out)
    for head in trainer.train_splits([job.split for job, _ in tasks]):
        unit_id = _name(head.job.split)
        arrays = list_arrays(head.weights)
        io_heads.write_part(ledger.part(unit_id, _WEIGHTS), arrays)
        parquet.write_table(ledger.part(unit_id, _HISTORY), list_history(head))
        yield {**trainer.describe(head), "weights": io_heads.fingerprint_heads(arrays)}


def _score_heads(tasks: Sequence[tuple[HeadJob, Past]]) -> Iterator[Mapping[str, Any]]:
    """Score every image of the study with some heads; runs on a worker."""
    config = tasks[0][0].config
    splits = read_splits(config.splits, tasks[0][0].splits_mark)
    opened = bank.open_bank(config.bank)
    rows = find_study_images(opened.frame, splits, config.bank)
    features = opened.take(rows, view=0)
    ledger = Ledger.of(config.out)
    for start in range(0, len(tasks), _SCORED_TOGETHER):
        jobs = [job for job, _ in tasks[start : start + _SCORED_TOGETHER]]
        found = [io_heads.read_part(ledger.part(_name(job.split), _WEIGHTS)) for job in jobs]
        weights = HeadWeights.concatenate([HeadWeights(**arrays) for arrays in found])
        for job, scores in zip(jobs, predict_heads(features, weights), strict=True):
            path = ledger.part(f"scores-{job.split:04d}", _SCORES)
            io_heads.write_part(path, {"probabilities": scores})
            yield {}


@dataclass(frozen=True)
class _Joined:
    """Puts heads, histories and scores of all splits into one folder, a split at a time."""

    config: TrainConfig
    splits: Splits
    opened: ImageSet
    study: pd.DataFrame
    ledger: Ledger
    trained: Sequence[Mapping[str, Any]]

    def write(self, made: Mapping[str, Any]) -> None:
        """Write all files of the folder; they change together."""
        out = as_path(self.config.out)
        numbers = [split.index for split in self.splits.splits]
        with replace_together(self.config.out) as place:
            parts = [
                HeadWeights(**io_heads.read_part(self.ledger.part(_name(number), _WEIGHTS)))
                for number in numbers
            ]
            mark = io_heads.write_heads(
                place(out / io_heads.HEADS), list_arrays(HeadWeights.concatenate(parts))
            )
            schema = pa.Schema.from_pandas(self._rows(numbers[0]), preserve_index=False)
            rows = (self._rows(number) for number in numbers)
            parquet.write_stream(str(place(out / io_heads.PREDICTIONS)), [schema], rows, made)
            histories = [
                parquet.read_table(self.ledger.part(_name(number), _HISTORY)) for number in numbers
            ]
            history = pd.concat(histories, ignore_index=True)
            parquet.write_table(str(place(out / io_heads.HISTORY)), history, made)
            trials = [row for result in self.trained for row in result["trials"]]
            if isinstance(self.config.optimizer, TunedOptimizer):
                parquet.write_table(str(place(out / io_heads.TRIALS)), pd.DataFrame(trials), made)
            else:
                place.drop(out / io_heads.TRIALS)
            place(out / io_heads.SPLITS).write_text(self.splits.to_json(), encoding="utf-8")
            io_heads.write_manifest(place(out / io_heads.MANIFEST), self._describe(mark, made))

    def _rows(self, number: int) -> pd.DataFrame:
        found = io_heads.read_part(self.ledger.part(f"scores-{number:04d}", _SCORES))
        return prediction_rows(self.study, found["probabilities"], self.splits, number, MODEL)

    def _describe(self, mark: str, made: Mapping[str, Any]) -> dict[str, Any]:
        settings = self.opened.settings
        return {
            "images": settings["stack"],
            "backbone": settings["backbone"],
            "weights": settings["weights"],
            "weights_fingerprint": settings["weights_fingerprint"],
            "heads_fingerprint": mark,
            "head": self.config.head,
            "classes": self.splits.classes,
            "positive": self.splits.positive,
            "group_by": self.splits.group_by,
            "label": self.splits.label,
            "hyperparameters": [result["chosen"] for result in self.trained],
            "provenance": made,
        }
