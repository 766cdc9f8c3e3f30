"""What a worker does of training: ask for trials, train them, keep the best of every split."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hcs.domain import columns as col
from hcs.domain.columns import Role
from hcs.domain.config.network import TunedOptimizer
from hcs.domain.config.stages import TrainConfig
from hcs.domain.splits import Splits
from hcs.learn import counters
from hcs.learn.heads import training
from hcs.learn.heads.batches import HeadJob
from hcs.learn.heads.history import TrainedHead
from hcs.learn.heads.inputs import FeatureArray
from hcs.learn.heads.tuning import Trial, tune
from hcs.learn.heads.weights import HeadRecipe, HeadWeights
from hcs.learn.scores.predictions import roles_of
from hcs.stages.work.images import name_image


class Trainer:
    """Trains the heads of a study, with the images of the study in memory or on disk."""

    def __init__(
        self, config: TrainConfig, splits: Splits, study: pd.DataFrame, features: FeatureArray
    ) -> None:
        self.config = config
        self.splits = splits
        self.study = study
        self.features = features
        positions = {name: index for index, name in enumerate(splits.classes)}
        names = study[splits.group_by].astype(str).map(splits.label_of())
        self.labels = names.map(positions).to_numpy(np.int64)
        keys = study[list(col.IMAGE_KEY)].itertuples(index=False, name=None)
        numbers = [counters.name_number(name_image(*key)) for key in keys]
        self.numbers = np.array(numbers, dtype=np.uint64)
        self.best: dict[int, TrainedHead] = {}
        self.trials: dict[int, list[dict[str, Any]]] = {}

    def train_splits(self, splits: Sequence[int]) -> Iterator[TrainedHead]:
        """Yield the head of every split, in their order."""
        optimizer = self.config.optimizer
        if isinstance(optimizer, TunedOptimizer):
            tune(splits, optimizer, self._train, seed=self.config.seed)
            yield from (self.best[split] for split in splits)
            return
        fixed = [Trial(split, 0, optimizer.learning_rate, optimizer.momentum) for split in splits]
        for head in self._stream(fixed, self.config.head.hidden_units):
            self._note(head, self.config.head.hidden_units)
            yield head

    def describe(self, head: TrainedHead) -> dict[str, Any]:
        """Return what is remembered of a split: the chosen trial, and all that were tried."""
        trials = self.trials[head.job.split]
        chosen = next(row for row in trials if row["trial"] == head.job.trial)
        return {"chosen": {**chosen, "epoch": head.kept_epoch}, "trials": trials}

    def _train(self, trials: Sequence[Trial]) -> list[float]:
        """Train one head a trial and return their validation accuracies."""
        usual = self.config.head.hidden_units
        units = [trial.hidden_units or usual for trial in trials]
        accuracies = np.empty(len(trials))
        for each in dict.fromkeys(units):  # heads that train together have one shape
            places = [place for place, count in enumerate(units) if count == each]
            trained = self._stream([trials[place] for place in places], each)
            for place, head in zip(places, trained, strict=True):
                accuracies[place] = head.validation_accuracy
                self._note(head, each)
        return [float(accuracy) for accuracy in accuracies]

    def _stream(self, trials: Sequence[Trial], hidden_units: int) -> Iterator[TrainedHead]:
        config = self.config
        return training.stream_heads(
            self.features,
            self.labels,
            [self._make_job(trial) for trial in trials],
            HeadRecipe(
                config.head.model_copy(update={"hidden_units": hidden_units}),
                len(self.splits.classes),
                config.epochs,
                config.batch_size,
                config.seed,
            ),
            self.numbers,
        )

    def _make_job(self, trial: Trial) -> HeadJob:
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
        self.trials.setdefault(job.split, []).append(
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


def list_arrays(weights: HeadWeights) -> dict[str, NDArray[np.float32]]:
    """Return the arrays that heads have, by name."""
    named = {item.name: getattr(weights, item.name) for item in fields(weights)}
    return {name: values for name, values in named.items() if values is not None}


def list_history(head: TrainedHead) -> pd.DataFrame:
    """Return loss and accuracy of every epoch."""
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
