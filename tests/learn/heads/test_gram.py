"""Heads trained on inner products are the heads trained on features."""

from __future__ import annotations

import numpy as np
import pytest

from hcs.domain.config.stages import Head
from hcs.learn.heads import cpu as cpuheads
from hcs.learn.heads.batches import HeadJob
from hcs.learn.heads.cpu import CpuTrainer
from hcs.learn.heads.gram import halves_the_work, shares_of_start
from hcs.learn.heads.weights import HeadRecipe, predict_heads

N, WIDE, BUDGET = 40, 3000, 2**28
HEAD = Head(hidden_units=8, dropout=0.3, l2=1e-2)


def recipe(head=HEAD, epochs=8):
    return HeadRecipe(head, 2, epochs, 8, 3)


def cohort(n_views=3, n_features=WIDE):
    rng = np.random.default_rng(0)
    labels = np.arange(N) % 2
    features = rng.gamma(1.0, size=(N, n_views, n_features))  # none negative, as after ReLU
    features[..., :200] += 0.4 * labels[:, None, None]
    return features.astype(np.float16), labels


def job(split=0, trial=0, rate=0.05):
    rows = np.random.default_rng(split).permutation(N)
    return HeadJob(split, trial, rows[:25], rows[25:33], rate, 0.9)


def trained(features, labels, jobs, way, monkeypatch, head=HEAD):
    if way is not None:
        monkeypatch.setattr(cpuheads, "halves_the_work", lambda *_: way)
    trainer = CpuTrainer(features, labels, recipe(head))
    return [one for window in trainer.windows(jobs) for one in trainer.train(window)]


@pytest.mark.parametrize(
    "changes",
    [{}, {"keep": "best"}, {"batch_normalization": True}, {"standardize": False, "l2": 0.1}],
)
def test_heads_are_the_same_either_way(changes, monkeypatch):
    features, labels = cohort()
    head = HEAD.model_copy(update=changes)
    rate = 0.05 if head.standardize else 0.001
    jobs = [job(0, rate=rate), job(0, 1, rate), job(1, rate=rate)]
    one = trained(features, labels, jobs, True, monkeypatch, head)
    other = trained(features, labels, jobs, False, monkeypatch, head)
    for mine, plain in zip(one, other, strict=True):
        assert mine.kept_epoch == plain.kept_epoch
        np.testing.assert_allclose(mine.history.loss, plain.history.loss, atol=1e-5)
        np.testing.assert_allclose(
            mine.history.validation_loss, plain.history.validation_loss, atol=1e-5
        )
        np.testing.assert_allclose(mine.weights.w1, plain.weights.w1, atol=1e-5)
        everything = features[:, 0].astype(np.float32)
        np.testing.assert_allclose(
            predict_heads(everything, mine.weights),
            predict_heads(everything, plain.weights),
            atol=1e-4,
        )


def test_the_cheaper_way_is_taken(monkeypatch):
    features, labels = cohort()
    made = []
    work_out = cpuheads.gram_of
    monkeypatch.setattr(cpuheads, "gram_of", lambda *given: made.append(1) or work_out(*given))
    jobs = [job(split, trial) for split in range(3) for trial in range(8)]
    found = trained(features, labels, jobs, None, monkeypatch)
    assert [(one.job.split, one.job.trial) for one in found] == [
        (one.split, one.trial) for one in jobs
    ]
    assert len(made) == 3, "trials of a split share its inner products"
    made.clear()
    trained(features[..., :30], labels, jobs, None, monkeypatch)
    assert not made, "25 images in 2 views against 30 features"


def test_inner_products_of_few_splits_are_held_at_once(monkeypatch):
    features, labels = cohort()
    monkeypatch.setattr(cpuheads, "plan_threads", lambda *_: 2)
    monkeypatch.setattr(cpuheads, "halves_the_work", lambda *_: True)
    trainer = CpuTrainer(features, labels, recipe())
    for trials, sizes in [(1, [2, 2, 1]), (3, [6, 6, 3]), (20, None)]:
        jobs = [job(split, trial) for split in range(5) for trial in range(trials)]
        windows = list(trainer.windows(jobs))
        assert [one for window in windows for run in window for one in run] == jobs
        assert all(len(window) <= 2 for window in windows)
        assert all(sum(map(len, window)) <= 16 for window in windows)
        assert all(len({one.split for one in run}) == 1 for window in windows for run in window)
        if sizes:
            assert [sum(map(len, window)) for window in windows] == sizes


def test_inner_products_must_pay_and_fit():
    wide, _ = cohort(n_views=1)
    assert halves_the_work(wide, job(), recipe(epochs=64), 1, BUDGET)
    assert not halves_the_work(wide, job(), recipe(epochs=64), 1, 4 * 25 * 32)  # 33 vectors
    assert not halves_the_work(wide, job(), recipe(epochs=1), 1, BUDGET), "nothing to share"
    narrow = wide[..., :20]
    assert not halves_the_work(narrow, job(), recipe(epochs=64), 1, BUDGET)


def test_the_share_of_the_start_fades_as_momentum_and_l2_say():
    shares = shares_of_start(np.array([0.1, 0.0, 0.5], np.float32), 3)
    np.testing.assert_allclose(shares, 0.9 ** np.arange(4), rtol=1e-6)
    shares = shares_of_start(np.array([0.1, 0.9, 0.5], np.float32), 2)
    np.testing.assert_allclose(shares, [1, 0.9, 0.9 - 0.09 - 0.09], rtol=1e-6)
    assert (shares_of_start(np.array([0.1, 0.9, 0.0], np.float32), 5) == 1).all()
