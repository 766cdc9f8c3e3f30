"""Tuning: each split on its own, deterministic, by validation accuracy alone."""

from __future__ import annotations

import logging
import math

import numpy as np
import pytest

from hcs.domain.config.stages import TunedOptimizer
from hcs.errors import InputError
from hcs.learn.heads.tuning import tune

TPE = TunedOptimizer(trials=20, trials_at_once=5)
RANDOM = TunedOptimizer(trials=20, trials_at_once=5, sampler="random")
SAMPLERS = [pytest.param(TPE, id="tpe"), pytest.param(RANDOM, id="random")]


def peak(trials):
    """Accuracy that is highest at a learning rate of 1e-3 and a momentum of 0.9."""
    return [
        1 - abs(math.log10(trial.learning_rate) + 3) / 4 - abs(trial.momentum - 0.9)
        for trial in trials
    ]


@pytest.mark.parametrize("optimizer", SAMPLERS)
def test_the_same_seed_asks_the_same(optimizer):
    assert tune([0, 1], optimizer, peak, seed=3) == tune([0, 1], optimizer, peak, seed=3)
    assert tune([0, 1], optimizer, peak, seed=3) != tune([0, 1], optimizer, peak, seed=4)


@pytest.mark.parametrize("optimizer", SAMPLERS)
def test_a_split_is_tuned_alike_alone_or_among_others(optimizer):
    together = tune([0, 1, 2], optimizer, peak)
    alone = tune([2], optimizer, peak)
    assert together.best[2] == alone.best[2]
    assert [entry for entry in together.trials if entry[0].split == 2] == alone.trials
    first = [trial for trial, _ in together.trials if trial.split == 0]
    assert first[0].learning_rate != alone.trials[0][0].learning_rate


@pytest.mark.parametrize("optimizer", SAMPLERS)
def test_trials_lie_within_the_ranges_and_are_all_kept(optimizer):
    result = tune([4, 5], optimizer, peak)
    assert [(t.split, t.trial) for t, _ in result.trials] == [
        (split, trial) for split in (4, 5) for trial in range(20)
    ]
    rates = np.array([trial.learning_rate for trial, _ in result.trials])
    momenta = np.array([trial.momentum for trial, _ in result.trials])
    assert rates.min() >= 1e-4
    assert rates.max() <= 1e-2
    assert momenta.min() >= 0.7
    assert momenta.max() <= 1.0
    assert 0.3 < (rates < 1e-3).mean() < 0.9  # log-uniform, or drawn to the peak in the middle
    for split, best in result.best.items():
        own = {trial: value for trial, value in result.trials if trial.split == split}
        assert own[best] == max(own.values())


def test_tpe_comes_closer_than_its_first_trials():
    splits = list(range(12))
    result = tune(splits, TPE.model_copy(update={"trials": 40}), peak)
    early = np.mean([value for trial, value in result.trials if trial.trial < 10])
    late = np.mean([value for trial, value in result.trials if trial.trial >= 30])
    assert late > early + 0.05


def test_trials_of_all_splits_are_asked_together():
    sizes = []

    def evaluate(trials):
        sizes.append(len(trials))
        return peak(trials)

    tune([0, 1, 2], TunedOptimizer(trials=12, trials_at_once=5), evaluate)
    assert sizes == [15, 15, 6]


def test_a_diverged_trial_is_never_best():
    def evaluate(trials):
        return [math.nan if trial.trial % 2 else 0.1 for trial in trials]

    result = tune([0], TPE, evaluate)
    assert result.best[0].trial == 0  # the earliest among equals
    assert {value for trial, value in result.trials if trial.trial % 2} == {0.0}


def test_a_range_of_one_point():
    optimizer = TunedOptimizer(
        trials=3, learning_rate_min=1e-3, learning_rate_max=1e-3, momentum_min=1, momentum_max=1
    )
    result = tune([0], optimizer, peak)
    assert {(t.learning_rate, t.momentum) for t, _ in result.trials} == {(1e-3, 1.0)}


def test_dropout_l2_and_hidden_units_are_tuned_where_ranges_are_given():
    optimizer = TunedOptimizer(
        trials=20, dropout_min=0.2, dropout_max=0.6, l2_min=1e-6, l2_max=1e-2, hidden_units=(8, 32)
    )
    trials = [trial for trial, _ in tune([0], optimizer, peak).trials]
    assert {trial.hidden_units for trial in trials} == {8, 32}
    assert all(0.2 <= trial.dropout <= 0.6 and 1e-6 <= trial.l2 <= 1e-2 for trial in trials)
    assert min(trial.l2 for trial in trials) < 1e-4 < max(trial.l2 for trial in trials)
    (plain,) = tune([0], TunedOptimizer(trials=1), peak).best.values()
    assert (plain.dropout, plain.l2, plain.hidden_units) == (None, None, None)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        pytest.param({"dropout_min": 0.5}, "dropout_min and dropout_max go together", id="one"),
        pytest.param({"l2_min": 1e-2, "l2_max": 1e-3}, "l2_min is above l2_max", id="downwards"),
        pytest.param({"hidden_units": (8, 8)}, "not all different", id="twice"),
    ],
)
def test_ranges_that_make_no_sense_are_refused(wrong, message):
    with pytest.raises(ValueError, match=message):
        TunedOptimizer(**wrong)


def test_no_splits():
    assert tune([], TPE, peak) == tune([], RANDOM, peak)
    assert tune([], TPE, peak).best == {}


def test_optuna_is_silent(caplog, capfd):
    with caplog.at_level(logging.INFO):
        tune([0], TPE, peak)
    assert not caplog.records
    assert capfd.readouterr() == ("", "")


def test_wrong_use_is_refused():
    with pytest.raises(InputError, match="not all different"):
        tune([0, 0], TPE, peak)
    with pytest.raises(InputError, match="5 trials were asked for, 0"):
        tune([0], TPE, lambda trials: [])
