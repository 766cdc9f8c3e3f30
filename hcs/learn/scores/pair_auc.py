"""ROC AUC between pairs of groups tested in one split, with an interval over donors.

Heads of all splits learn from the same few donors that they are tested on, so a cross-validated AUC
varies more from study to study than its test donors show: an interval that resamples donors with
the trained models fixed holds the truth in 75 to 90 % instead of 95 %. Nothing in one study shows
the missing part without doubt (Bengio and Grandvalet 2004, JMLR 5:1089),
so it is a factor here, found by simulation; ``benchmarks.checks.coverage`` measures what the
interval covers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy import stats

from hcs.domain.evaluation import TestDesign
from hcs.learn.scores.intervals import LEVEL
from hcs.learn.scores.scored import FloatArray, IntArray, Scored

TRAINING_FACTORS: Final[dict[TestDesign, float]] = {
    "random splits": 2.2,
    "k-fold": 2.2,
    "leave-pairs-out": 3.0,
    "one test set": 1.2,
}
"""Variance of an AUC over that of its test donors alone. Where no donor is both trained on and
tested only the luck of one training is added."""

_PRIOR_WEIGHT: Final = 0.1
"""Donors called wrong that the prior spread counts as: it decides only where hardly any is."""

_PRIOR_BY_DONORS: Final = 0.2
_PRIOR_BY_PAIRS: Final = 0.75
"""Prior variance over AUC (1 − AUC): the first over donors, plus the second over pairs tested."""


@dataclass(frozen=True, slots=True)
class PairAuc:
    """ROC AUC between pairs of groups.

    Attributes
    ----------
    total, n_splits
        ``(G, G)``: sum over splits of the AUC of a positive group's images (row) against a negative
        group's (column), and the number of splits in which both were tested.
    n_parts
        Splits in all.
    """

    total: FloatArray
    n_splits: FloatArray
    n_parts: int

    def mean(self) -> float | None:
        """Mean over all pairs and splits; None without any pair."""
        count = self.n_splits.sum()
        return float(self.total.sum() / count) if count else None

    def influence(self) -> FloatArray:
        """How far each pair moves the mean, ``(G, G)``; all 0 without any pair."""
        mean = self.mean()
        if mean is None:
            return np.zeros_like(self.total)
        return np.asarray((self.total - mean * self.n_splits) / self.n_splits.sum())


def pair_auc(scored: Scored, positive: int, n_groups: int) -> PairAuc:
    """ROC AUC between every positive and every negative group that are tested in one split.

    Scores of different splits come from different models and are never compared. Where all groups
    have the same number of images, the mean over pairs is the mean ROC AUC over splits. Ties count
    one half.
    """
    total = np.zeros((n_groups, n_groups))
    n_splits = np.zeros((n_groups, n_groups))
    n_parts = 0
    for _, _, part in scored.by_split():
        n_parts += 1
        score = part.probability[:, positive]
        by_group = {g: np.sort(score[part.group == g]) for g in np.unique(part.group)}
        is_positive = {g: part.truth[part.group == g][0] == positive for g in by_group}
        for i in (g for g in by_group if is_positive[g]):
            for j in (g for g in by_group if not is_positive[g]):
                below = np.searchsorted(by_group[j], by_group[i], "left")
                not_above = np.searchsorted(by_group[j], by_group[i], "right")
                total[i, j] += (below + not_above).mean() / 2 / len(by_group[j])
                n_splits[i, j] += 1
    return PairAuc(total, n_splits, n_parts)


def mean_pair_auc(pairs: Sequence[PairAuc]) -> float | None:
    """Mean over classes, each against the rest; None where one has no pair."""
    values = [entry.mean() for entry in pairs]
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known and len(known) == len(values) else None


def recognize_design(pairs: Sequence[PairAuc]) -> TestDesign:
    """Recognize a design by how often groups, and pairs of groups, are tested."""
    times, n_parts = pairs[0].n_splits, pairs[0].n_parts
    rows, columns = times.any(axis=1), times.any(axis=0)
    if n_parts == 1:
        return "one test set"
    if times.max(initial=0) != 1:
        return "random splits"
    if times[np.ix_(rows, columns)].all() and n_parts == times.sum():
        return "leave-pairs-out"
    # In folds, groups that share one partner share all: they are tested once, together.
    patterns = np.unique(times[rows], axis=0)
    return "k-fold" if (patterns.sum(axis=0)[columns] == 1).all() else "random splits"


def pair_auc_interval(
    pairs: Sequence[PairAuc], owner: IntArray, n_donors: int
) -> tuple[float, float] | None:
    """95 % interval of :func:`mean_pair_auc` over donors and over what heads learned from them.

    The variance over test donors is that of data in pairs, where pairs that share a donor depend on
    each other (Aronow, Samii and Assenova 2015, doi 10.1093/pan/mpv018); :data:`TRAINING_FACTORS`
    adds what training on other donors would change. The ends are those of a score interval (Wilson
    1927, doi 10.1080/01621459.1927.10502953) with the t quantile of ``n_donors - 1``, so they stay
    within 0 and 1 and have a width for perfect scores too.

    Parameters
    ----------
    pairs
        Of each class against the rest; of two classes one is enough.
    owner
        ``(G,)`` number of each group's donor.
    n_donors
        Tested donors in the smallest class.

    Returns
    -------
    tuple of float or None
        None with fewer than two donors, or where a class has no pair.
    """
    mean = mean_pair_auc(pairs)
    if mean is None or n_donors < 2:
        return None
    variance, n_pairs = _donor_variance(pairs, owner, n_donors)
    spread = _spread(mean, variance, n_donors, n_pairs)
    quantile = float(stats.t.ppf((1 + LEVEL) / 2, n_donors - 1))
    k = quantile**2 * TRAINING_FACTORS[recognize_design(pairs)] * spread
    middle = (mean + k / 2) / (1 + k)
    half = float(np.sqrt(k * mean * (1 - mean) + k**2 / 4)) / (1 + k)
    return max(0.0, middle - half), min(1.0, middle + half)


def _donor_variance(
    pairs: Sequence[PairAuc], owner: IntArray, n_donors: int
) -> tuple[float, float]:
    """Variance over test donors with the models fixed, and the pairs of donors tested."""
    donors, donor_of = np.unique(owner, return_inverse=True)
    member = np.eye(len(donors))[donor_of]
    influence = member.T @ np.mean([entry.influence() for entry in pairs], axis=0) @ member
    # A pair counts whichever of its donors is the positive one.
    both_ways = influence + influence.T - np.diag(np.diag(influence))
    by_donor = float((both_ways.sum(axis=1) ** 2).sum()) * n_donors / (n_donors - 1)
    by_pair = float((np.triu(both_ways) ** 2).sum())
    tested = [int(((member.T @ entry.n_splits @ member) > 0).sum()) for entry in pairs]
    return max(by_donor - by_pair, by_donor / 2), float(min(tested))


def _spread(mean: float, variance: float, n_donors: int, n_pairs: float) -> float:
    """Variance over ``mean * (1 - mean)``, held up by a prior where hardly a donor is wrong."""
    prior = _PRIOR_BY_DONORS / n_donors + _PRIOR_BY_PAIRS / n_pairs
    n_wrong = n_donors * min(mean, 1 - mean)
    scale = mean * (1 - mean)
    found = variance / scale if scale > 1e-12 else 0.0
    return max(found, (n_wrong * found + _PRIOR_WEIGHT * prior) / (n_wrong + _PRIOR_WEIGHT))
