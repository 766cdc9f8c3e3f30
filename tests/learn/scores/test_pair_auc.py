"""The AUC between pairs of clones, and an interval over donors that covers what it says."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as oracle

from hcs.domain.columns import Role
from hcs.domain.splits import RoleCounts
from hcs.learn.scores.pair_auc import (
    PairAuc,
    mean_pair_auc,
    pair_auc,
    pair_auc_interval,
    recognize_design,
)
from hcs.learn.scores.scored import Scored
from hcs.learn.splits.designs import even_design


def scored(truth, score, *, split=0, group=None):
    """Test predictions of two classes, class 1 positive."""
    truth, score = np.asarray(truth), np.asarray(score, dtype=float)
    zeros = np.zeros(len(truth), dtype=int)
    return Scored(
        model="cnn",
        split=zeros + split,
        role=zeros + 1,
        group=np.arange(len(truth)) if group is None else np.asarray(group),
        well=zeros,
        image=np.arange(len(truth)),
        truth=truth,
        probability=np.stack([1 - score, score], axis=1),
    )


def test_pair_auc_is_the_auc_of_each_split():
    rng = np.random.default_rng(2)
    truth = np.tile(np.repeat([0, 1], 10), 2)
    group = np.tile(np.repeat([0, 1, 2, 3], 5), 2)
    split = np.repeat([0, 1], 20)
    score = np.round(rng.random(40), 1)
    pairs = pair_auc(scored(truth, score, split=split, group=group), 1, 4)
    by_split = [oracle.roc_auc_score(truth[split == s], score[split == s]) for s in (0, 1)]
    assert pairs.mean() == pytest.approx(np.mean(by_split))
    lone = pair_auc(scored([1, 1], [0.1, 0.2]), 1, 2)
    assert lone.mean() is None
    assert pair_auc_interval([lone], np.arange(2), 2) is None
    assert pair_auc_interval([pairs], np.arange(4), 1) is None


def test_the_interval_of_three_classes_is_of_the_mean_that_the_summary_gives():
    """The summary was a mean over classes (0.82), the interval positive against rest (1.00)."""
    rng = np.random.default_rng(3)
    truth = np.repeat([0, 1, 2], 40)
    group = np.repeat(np.arange(12), 10)
    probability = rng.dirichlet(np.ones(3), 120)
    probability[truth == 0] = [0.9, 0.05, 0.05]  # the positive class is told apart, others are not
    part = Scored("m", truth * 0, truth * 0 + 1, group, group, np.arange(120), truth, probability)
    pairs = [pair_auc(part, k, 12) for k in range(3)]
    expected = oracle.roc_auc_score(truth, probability, multi_class="ovr")
    assert mean_pair_auc(pairs) == pytest.approx(expected)
    low, high = pair_auc_interval(pairs, np.arange(12), 4)
    assert low < expected < high < 1.0


def test_an_interval_worked_by_hand():
    """Four donors a class, every pair tested once; donors 0 and 1 rank wrong against donor 7."""
    total = np.zeros((8, 8))
    total[:4, 4:] = 1
    total[:2, 7] = 0
    times = np.zeros((8, 8))
    times[:4, 4:] = 1
    mean, residual = 14 / 16, (total - 14 / 16 * times)[:4, 4:] / 16
    donors = (residual.sum(axis=1) ** 2).sum() + (residual.sum(axis=0) ** 2).sum()
    variance = donors * 4 / 3 - (residual**2).sum()
    spread, wrong, prior = variance / (mean * (1 - mean)), 4 * (1 - mean), 0.2 / 4 + 0.75 / 16
    spread = max(spread, (wrong * spread + 0.1 * prior) / (wrong + 0.1))
    k = stats.t.ppf(0.975, 3) ** 2 * 3.0 * spread
    half = np.sqrt(k * mean * (1 - mean) + k**2 / 4) / (1 + k)
    expected = ((mean + k / 2) / (1 + k) - half, (mean + k / 2) / (1 + k) + half)
    assert pair_auc_interval([PairAuc(total, times, 16)], np.arange(8), 4) == pytest.approx(
        expected
    )


def test_clones_of_one_donor_count_once():
    """Ten copies of every clone are no more donors: the interval stays what it was."""
    rng = np.random.default_rng(0)
    total, times = np.zeros((12, 12)), np.zeros((12, 12))
    total[:6, 6:], times[:6, 6:] = rng.random((6, 6)), 1
    alone = pair_auc_interval([PairAuc(total, times, 16)], np.arange(12), 6)
    many = PairAuc(np.kron(total, np.ones((10, 10))), np.kron(times, np.ones((10, 10))), 20)
    owner = np.repeat(np.arange(12), 10)
    assert pair_auc_interval([many], owner, 6) == pytest.approx(alone)
    low, high = pair_auc_interval([many], np.arange(120), 60)
    assert high - low < 0.6 * (alone[1] - alone[0])


def test_a_donor_with_clones_of_both_classes_counts_once():
    """Isogenic pairs: clone k and k + 20 are of one donor, whichever of them is positive."""
    rng = np.random.default_rng(1)
    total, times = np.zeros((40, 40)), np.zeros((40, 40))
    strength = rng.normal(0, 1, 20)
    total[:20, 20:] = stats.norm.cdf(strength[:, None] + strength)
    times[:20, 20:] = 1
    apart = pair_auc_interval([PairAuc(total, times, 16)], np.arange(40), 20)
    together = pair_auc_interval([PairAuc(total, times, 16)], np.tile(np.arange(20), 2), 20)
    assert together[1] - together[0] > 1.2 * (apart[1] - apart[0])


def null_study(rng, roles, n):
    """AUC by pairs of nearest-mean heads on clones that differ, of classes that do not."""
    clones = rng.normal(0, 1, (2 * n, 8))
    images = clones[:, None] + rng.normal(0, 1, (2 * n, 4, 8))
    total, times = np.zeros((2 * n, 2 * n)), np.zeros((2 * n, 2 * n))
    for train, test in zip(*roles, strict=True):
        side = np.repeat([True, False], n)
        of_clone = images.mean(axis=1)
        direction = of_clone[train & side].mean(axis=0) - of_clone[train & ~side].mean(axis=0)
        score = images @ direction
        for i in np.flatnonzero(test & side):
            for j in np.flatnonzero(test & ~side):
                total[i, j] += (score[i][:, None] > score[j]).mean()
                times[i, j] += 1
    return PairAuc(total, times, 16)


def test_the_interval_covers_one_half_where_heads_are_trained_anew():
    """With the trained models held fixed, 95 % intervals held 0.5 in 75 to 90 % of studies."""
    n, n_studies = 10, 150
    sides = [
        even_design(n, 20, RoleCounts(train=6, validation=1, test=2), ("t", k)) for k in (0, 1)
    ]
    roles = [np.concatenate([s[role] for s in sides], axis=1) for role in (Role.TRAIN, Role.TEST)]
    rng, covered = np.random.default_rng(5), 0
    for _ in range(n_studies):
        low, high = pair_auc_interval([null_study(rng, roles, n)], np.arange(2 * n), n)
        covered += low <= 0.5 <= high
    assert 0.92 <= covered / n_studies <= 0.985


def test_more_is_added_the_more_training_and_testing_share():
    """The same scores mean least where every split trains on nearly all donors."""
    total, times = np.zeros((12, 12)), np.zeros((12, 12))
    total[:6, 6:], times[:6, 6:] = np.random.default_rng(4).random((6, 6)), 1
    one, pairs = (
        pair_auc_interval([PairAuc(total, times, parts)], np.arange(12), 6) for parts in (1, 36)
    )
    twice = pair_auc_interval([PairAuc(2 * total, 2 * times, 72)], np.arange(12), 6)
    widths = [high - low for low, high in (one, twice, pairs)]
    assert widths[0] < widths[1] < widths[2]


@pytest.mark.parametrize(
    ("times", "n_parts", "expected"),
    [
        pytest.param(np.ones((3, 3)), 9, "leave-pairs-out", id="pairs"),
        pytest.param(np.ones((3, 3)), 1, "one test set", id="one-split"),
        pytest.param(np.eye(4), 4, "k-fold", id="folds-of-one"),
        pytest.param(np.kron(np.eye(2), np.ones((2, 2))), 2, "k-fold", id="folds-of-two"),
        pytest.param(np.eye(4) + np.eye(4, k=1), 7, "random splits", id="chain"),
        pytest.param(2 * np.ones((3, 3)), 18, "random splits", id="twice"),
    ],
)
def test_designs_are_recognized_by_what_was_tested(times, n_parts, expected):
    n = len(times)
    whole = np.zeros((2 * n, 2 * n))
    whole[:n, n:] = times
    assert recognize_design([PairAuc(whole, whole, n_parts)]) == expected
