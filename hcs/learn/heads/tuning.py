"""Tuning of optimizer and head, split by split, by validation accuracy alone."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution

from hcs.domain.config.stages import TunedOptimizer
from hcs.errors import InputError
from hcs.learn import counters


@dataclass(frozen=True, slots=True)
class Trial:
    """One set of hyperparameters that is asked for.

    Attributes
    ----------
    split
        Number of the split.
    trial
        0-based number within the split.
    learning_rate, momentum
        Of stochastic gradient descent.
    dropout, l2, hidden_units
        Of the head, or None where its own are not tuned.
    """

    split: int
    trial: int
    learning_rate: float
    momentum: float
    dropout: float | None = None
    l2: float | None = None
    hidden_units: int | None = None


@dataclass(frozen=True, slots=True)
class TuningResult:
    """What tuning found.

    Attributes
    ----------
    best
        Per split the trial with the highest validation accuracy, the earliest among equals.
    trials
        All trials with their validation accuracy, by split, then by number.
    """

    best: dict[int, Trial]
    trials: list[tuple[Trial, float]]


Evaluate = Callable[[list[Trial]], Sequence[float]]


def tune(
    splits: Sequence[int], optimizer: TunedOptimizer, evaluate: Evaluate, seed: int = 0
) -> TuningResult:
    """Search the hyperparameters of each split on its own; see :class:`TunedOptimizer`.

    Trials of all splits are asked for together, ``trials_at_once`` a split, so that they train
    together. Nothing but validation accuracy comes back, so test images cannot matter.

    Parameters
    ----------
    splits
        Numbers of the splits; each has a study and a random stream of its own, so that a split
        is tuned alike alone or among others.
    optimizer
        Ranges, number of trials, and the sampler: ``tpe`` (Bergstra et al. 2011, multivariate:
        Falkner et al. 2018, https://proceedings.mlr.press/v80/falkner18a.html) or ``random``.
    evaluate
        Trains the trials and returns one validation accuracy each; NaN counts as 0.
    seed
        Of the study.

    Returns
    -------
    TuningResult
        Empty for no splits.

    Raises
    ------
    InputError
        When a split is named twice or ``evaluate`` returns another number of values.
    """
    if len(set(splits)) != len(splits):
        msg = f"splits {list(splits)} are not all different"
        raise InputError(msg)
    _silence_optuna()
    studies = {split: _study(split, optimizer, seed) for split in splits}
    found: list[tuple[Trial, float]] = []
    for start in range(0, optimizer.trials, optimizer.trials_at_once):
        count = min(optimizer.trials_at_once, optimizer.trials - start)
        asked = [_ask(studies[split], split, optimizer) for split in splits for _ in range(count)]
        values = [float(value) for value in evaluate(asked)] if asked else []
        if len(values) != len(asked):
            msg = f"{len(asked)} trials were asked for, {len(values)} accuracies came back"
            raise InputError(msg)
        for trial, value in zip(asked, values, strict=True):
            accuracy = value if np.isfinite(value) else 0.0
            studies[trial.split].tell(trial.trial, accuracy)
            found.append((trial, accuracy))
    found.sort(key=lambda entry: (entry[0].split, entry[0].trial))
    return TuningResult(_choose_best(found), found)


def _silence_optuna() -> None:
    logging.getLogger("optuna").setLevel(logging.ERROR)
    optuna.logging.disable_propagation()


def _study(split: int, optimizer: TunedOptimizer, seed: int) -> optuna.Study:
    stream = int(counters.raw_words(1, "tuning", seed, split)[0] % 2**32)
    sampler: optuna.samplers.BaseSampler
    if optimizer.sampler == "random":
        sampler = optuna.samplers.RandomSampler(seed=stream)
    else:
        sampler = optuna.samplers.TPESampler(multivariate=True, constant_liar=True, seed=stream)
    return optuna.create_study(direction="maximize", sampler=sampler)


def _ask(study: optuna.Study, split: int, optimizer: TunedOptimizer) -> Trial:
    space: dict[str, BaseDistribution] = {
        "learning_rate": FloatDistribution(
            optimizer.learning_rate_min, optimizer.learning_rate_max, log=True
        ),
        "momentum": FloatDistribution(optimizer.momentum_min, optimizer.momentum_max),
    }
    if optimizer.dropout_min is not None and optimizer.dropout_max is not None:
        space["dropout"] = FloatDistribution(optimizer.dropout_min, optimizer.dropout_max)
    if optimizer.l2_min is not None and optimizer.l2_max is not None:
        space["l2"] = FloatDistribution(optimizer.l2_min, optimizer.l2_max, log=True)
    if optimizer.hidden_units:
        space["hidden_units"] = CategoricalDistribution(optimizer.hidden_units)
    asked = study.ask(space)
    return Trial(split, asked.number, **asked.params)


def _choose_best(found: Sequence[tuple[Trial, float]]) -> dict[int, Trial]:
    best: dict[int, tuple[Trial, float]] = {}
    for trial, accuracy in found:
        if trial.split not in best or accuracy > best[trial.split][1]:
            best[trial.split] = (trial, accuracy)
    return {split: trial for split, (trial, _) in best.items()}
