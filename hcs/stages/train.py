"""From the feature bank and the splits to trained heads: all of them together."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hcs.compute import budget
from hcs.compute.client import network_resources
from hcs.compute.units import Outcome, Unit, known_results, run_units
from hcs.domain import columns as col
from hcs.domain.columns import Role
from hcs.domain.config.stages import TrainConfig, TunedOptimizer
from hcs.domain.results import StageResult
from hcs.domain.splits import Splits
from hcs.errors import InputError
from hcs.io import bank, imageset
from hcs.io import heads as io_heads
from hcs.io.files import parquet
from hcs.io.files.atomic import remove, write_bytes, write_json
from hcs.io.files.paths import as_path, as_text, local_path
from hcs.io.runs.fingerprints import fingerprint
from hcs.io.runs.ledger import Ledger
from hcs.io.runs.locks import locked
from hcs.io.runs.provenance import provenance
from hcs.io.unpacked import UnpackedFeatures, unpack
from hcs.learn.heads import training as heads
from hcs.learn.heads.batches import DEFAULT_BUDGET_BYTES, HeadJob
from hcs.learn.heads.cpu import n_threads
from hcs.learn.heads.history import TrainedHead
from hcs.learn.heads.inputs import FeatureArray
from hcs.learn.heads.tuning import Trial, tune
from hcs.learn.heads.weights import HeadWeights, predict_heads
from hcs.learn.scores.predictions import prediction_rows, roles_of
from hcs.stages.splits import read_splits, splits_fingerprint

if TYPE_CHECKING:
    from distributed import Client

STAGE: Final = "train"
MODEL: Final = "cnn"

_FORMAT: Final = 1
_HEADS_IN_STEP: Final = 64
_HEADS_ON_CPU: Final = 10
_UNPACKED: Final = ("features", "")
"""Part of the ledger that holds features which do not fit in memory."""


@dataclass(frozen=True)
class GroupJob:
    """The heads of some splits, trained together; the unit of work."""

    config: TrainConfig
    unit_id: str
    splits: tuple[int, ...]
    unpacked: UnpackedFeatures | None = None


def run(config: TrainConfig, client: Client | None = None) -> StageResult:
    """Train one head a split on the bank and write ``config.out``.

    The folder then holds ``heads.zarr``, ``history.parquet``, ``predictions.parquet`` (every
    image of the study scored by every head, with its role), ``splits.json``, ``manifest.json``,
    and ``trials.parquet`` when the optimizer was tuned.

    Raises
    ------
    NotFoundError, InputError
        When bank or splits are missing or do not fit together, or there is no room on the disk.
    MemoryBudgetError
        When not even one view of the images fits in memory.
    """
    started = time.time()
    with locked(config.out):
        return _run(config, client, started)


def _run(config: TrainConfig, client: Client | None, started: float) -> StageResult:
    splits = read_splits(config.splits)
    opened = bank.open_bank(config.bank)
    frame = opened.frame
    rows = study_rows(frame, splits, config.bank)
    optimizer = config.optimizer
    at_once = optimizer.trials_at_once if isinstance(optimizer, TunedOptimizer) else 1
    # A GPU is quickest with many heads in step; a CPU trains them one by one, and small units lose
    # less to a kill and keep all workers busy to the end.
    usual = _HEADS_IN_STEP if network_resources(client) else _HEADS_ON_CPU
    splits_per_group = max(1, (config.heads_per_group or usual) // at_once)
    mark = fingerprint(
        _FORMAT,
        splits_fingerprint(splits),
        opened.fingerprint,
        config.model_dump(exclude={"bank", "splits", "out"}),
    )
    ledger = Ledger.of(config.out)
    if not as_path(config.out).exists():
        ledger.clear()
    numbers = [split.index for split in splits.splits]
    parts = [
        tuple(numbers[start : start + splits_per_group])
        for start in range(0, len(numbers), splits_per_group)
    ]
    marks = {_unit_id(part): fingerprint(mark, part) for part in parts}
    owed = len(known_results(marks, ledger)) < len(marks)
    unpacked = _unpacked(opened, rows, client, ledger) if owed else None
    units = [
        Unit(name := _unit_id(part), marks[name], GroupJob(config, name, part, unpacked))
        for part in parts
    ]
    outcome = run_units(
        _train_group,
        units,
        ledger=ledger,
        client=client,
        label="train",
        resources=network_resources(client),
    )
    made = provenance(STAGE, config, {"bank": opened.fingerprint, "study": mark}, started)
    _collect(config, splits, opened, ledger, units, made)
    remove(ledger.part(*_UNPACKED))
    return StageResult(
        stage=STAGE,
        out=config.out,
        summary=_summary(outcome, splits, len(rows), opened.array.shape[2]),
        n_run=outcome.n_run,
        n_skipped=outcome.n_skipped,
        seconds=time.time() - started,
    )


def _unit_id(part: tuple[int, ...]) -> str:
    """Name of the unit of some splits; groups of one run are equally long."""
    return f"heads-{part[0]:04d}"


def _unpacked(
    opened: imageset.ImageSet,
    rows: NDArray[np.intp],
    client: Client | None,
    ledger: Ledger,
) -> UnpackedFeatures | None:
    """Lay the features out on disk where they do not fit in memory; None where they do.

    Groups of heads are cut to fit a budget of their own.

    Raises
    ------
    MemoryBudgetError
        When not even one view of the images fits.
    """
    view = len(rows) * opened.array.shape[2] * 2
    heads_alone = budget.NETWORK_FLOOR_BYTES + DEFAULT_BUDGET_BYTES
    # Read whole, and once more for the rows of the study.
    in_memory = heads_alone + 3 * view * opened.array.shape[1]
    folder = local_path(as_text(ledger.part(*_UNPACKED)))
    remedy = "take fewer views, or avg pooling"
    if folder is None or in_memory <= budget.worker_memory_bytes(client):
        budget.check_budget(STAGE, in_memory, client, remedy)
        return None
    # An epoch's views, the validation images and those to standardize by, for each thread.
    needed = heads_alone + 2 * view * n_threads()
    budget.check_budget(STAGE, needed, client, "take avg pooling, or give workers more memory")
    name = fingerprint(opened.fingerprint, rows.tolist())
    return unpack(opened, rows, Path(folder) / name)


def _summary(
    outcome: Outcome, splits: Splits, n_images: int, n_features: int
) -> dict[str, str | int | float]:
    rows = [row for result in outcome.results for row in result["chosen"]]
    diverged = [row[col.SPLIT] for row in rows if row["diverged"]]
    shown: dict[str, str | int | float] = {
        "heads": len(splits.splits),
        "images": n_images,
        "features": n_features,
    }
    if diverged:
        shown["diverged"] = f"splits {diverged}: loss or weights were not finite"
    return shown


def study_rows(frame: pd.DataFrame, splits: Splits, where: str) -> NDArray[np.intp]:
    """Rows of the bank whose image is usable and whose group takes part in the study.

    Raises
    ------
    InputError
        When the group column is missing, or a group of the splits has no image.
    """
    if splits.group_by not in frame:
        msg = f"{where} lacks the column {splits.group_by!r} that the splits are made by"
        raise InputError(msg)
    known = {group.name for group in splits.groups}
    names = frame[splits.group_by].astype(str)
    kept = names.isin(known) & frame[imageset.VALID].astype(bool)
    absent = sorted(known - set(names[kept]))
    if absent:
        msg = f"{where} has no usable image of the groups {absent} that the splits name"
        raise InputError(msg)
    return np.flatnonzero(kept)


class _Trainer:
    """Trains the heads that tuning asks for, and keeps the best one of every split."""

    def __init__(self, job: GroupJob, opened: imageset.ImageSet, splits: Splits) -> None:
        config = job.config
        rows = study_rows(opened.frame, splits, config.bank)
        self.config = config
        self.splits = splits
        self.study = opened.frame.iloc[rows].reset_index(drop=True)
        self.features: FeatureArray = (
            opened.array[...][rows] if job.unpacked is None else job.unpacked
        )
        positions = {name: index for index, name in enumerate(splits.classes)}
        names = self.study[splits.group_by].astype(str).map(splits.label_of())
        self.labels = names.map(positions).to_numpy(np.int64)
        self.best: dict[int, TrainedHead] = {}
        self.trials: list[dict[str, Any]] = []

    def train(self, trials: Sequence[Trial]) -> list[float]:
        """Train one head a trial and return their validation accuracies."""
        usual = self.config.head.hidden_units
        units = [trial.hidden_units or usual for trial in trials]
        accuracies = np.empty(len(trials))
        for each in dict.fromkeys(units):  # heads that train together have one shape
            places = [place for place, count in enumerate(units) if count == each]
            trained = self._together([trials[place] for place in places], each)
            for place, head in zip(places, trained, strict=True):
                accuracies[place] = head.validation_accuracy
                self._note(head, each)
        return [float(accuracy) for accuracy in accuracies]

    def _together(self, trials: Sequence[Trial], hidden_units: int) -> Iterator[TrainedHead]:
        config = self.config
        return heads.stream_heads(
            self.features,
            self.labels,
            [self._job(trial) for trial in trials],
            config.head.model_copy(update={"hidden_units": hidden_units}),
            len(self.splits.classes),
            config.epochs,
            config.batch_size,
            config.seed,
        )

    def _job(self, trial: Trial) -> HeadJob:
        roles = roles_of(self.study, self.splits, trial.split)
        return HeadJob(
            split=trial.split,
            trial=trial.trial,
            train_rows=np.flatnonzero(roles == Role.TRAIN.value),
            validation_rows=np.flatnonzero(roles == Role.VALIDATION.value),
            learning_rate=trial.learning_rate,
            momentum=trial.momentum,
            dropout=trial.dropout,
            l2=trial.l2,
        )

    def _note(self, head: TrainedHead, hidden_units: int) -> None:
        accuracy = head.validation_accuracy
        job, usual = head.job, self.config.head
        self.trials.append(
            {
                col.SPLIT: job.split,
                "trial": job.trial,
                "learning_rate": job.learning_rate,
                "momentum": job.momentum,
                "dropout": usual.dropout if job.dropout is None else job.dropout,
                "l2": usual.l2 if job.l2 is None else job.l2,
                "hidden_units": hidden_units,
                "validation_accuracy": accuracy,
                "diverged": head.diverged_epoch is not None,
            }
        )
        # The first of equally good trials stays, so the order of asking decides, not chance.
        known = self.best.get(job.split)
        if known is None or (accuracy, -job.trial) > (known.validation_accuracy, -known.job.trial):
            self.best[job.split] = head


def _train_group(job: GroupJob) -> Mapping[str, Any]:
    """Tune and train the heads of some splits; runs on a worker that may hold a GPU."""
    config = job.config
    splits = read_splits(config.splits)
    trainer = _Trainer(job, bank.open_bank(config.bank), splits)
    if isinstance(config.optimizer, TunedOptimizer):
        tune(job.splits, config.optimizer, trainer.train, seed=config.seed)
    else:
        fixed = config.optimizer
        trainer.train(
            [Trial(split, 0, fixed.learning_rate, fixed.momentum) for split in job.splits]
        )
    chosen = [trainer.best[split] for split in job.splits]
    weights = HeadWeights.concatenate([head.weights for head in chosen])
    probabilities = predict_heads(trainer.features[np.arange(len(trainer.study)), 0], weights)
    rows = [
        prediction_rows(trainer.study, probabilities[index], splits, split, MODEL)
        for index, split in enumerate(job.splits)
    ]
    ledger = Ledger.of(config.out)
    io_heads.write_part(ledger.part(job.unit_id, ".npz"), _arrays(weights))
    parquet.write_table(
        ledger.part(job.unit_id, ".predictions.parquet"), pd.concat(rows, ignore_index=True)
    )
    history = pd.concat([_history(head) for head in chosen], ignore_index=True)
    parquet.write_table(ledger.part(job.unit_id, ".history.parquet"), history)
    asked = {(row[col.SPLIT], row["trial"]): row for row in trainer.trials}
    return {
        "chosen": [
            {**asked[head.job.split, head.job.trial], "epoch": head.kept_epoch} for head in chosen
        ],
        "trials": trainer.trials,
    }


def _arrays(weights: HeadWeights) -> dict[str, NDArray[np.float32]]:
    return {name: values for name, values in asdict(weights).items() if values is not None}


def _history(head: TrainedHead) -> pd.DataFrame:
    found = head.history
    return pd.DataFrame(
        {
            col.SPLIT: np.int32(head.job.split),
            "epoch": np.arange(len(found.loss), dtype=np.int32),
            "loss": found.loss,
            "accuracy": found.accuracy,
            "val_loss": found.validation_loss,
            "val_accuracy": found.validation_accuracy,
        }
    )


def _collect(
    config: TrainConfig,
    splits: Splits,
    opened: imageset.ImageSet,
    ledger: Ledger,
    units: Sequence[Unit[GroupJob]],
    made: Mapping[str, Any],
) -> None:
    out = as_path(config.out)
    parts = [HeadWeights(**io_heads.read_part(ledger.part(unit.id, ".npz"))) for unit in units]
    io_heads.write_heads(out, _arrays(HeadWeights.concatenate(parts)))
    for suffix, name in (
        (".predictions.parquet", io_heads.PREDICTIONS),
        (".history.parquet", io_heads.HISTORY),
    ):
        frames = [parquet.read_table(ledger.part(unit.id, suffix)) for unit in units]
        parquet.write_table(out / name, pd.concat(frames, ignore_index=True), made)
    records = [(ledger.read(unit.id) or {})["result"] for unit in units]
    trials = [row for record in records for row in record["trials"]]
    if isinstance(config.optimizer, TunedOptimizer):
        parquet.write_table(out / io_heads.TRIALS, pd.DataFrame(trials), made)
    write_bytes(out / io_heads.SPLITS, splits.to_json().encode())
    settings = opened.settings
    manifest = {
        "images": settings["stack"],
        "backbone": opened.provenance["config"]["backbone"],
        "weights": settings["weights"],
        "weights_fingerprint": settings["weights_fingerprint"],
        "head": config.head,
        "classes": splits.classes,
        "positive": splits.positive,
        "group_by": splits.group_by,
        "label": splits.label,
        "hyperparameters": [row for record in records for row in record["chosen"]],
        "provenance": made,
    }
    write_json(out / io_heads.MANIFEST, manifest)
