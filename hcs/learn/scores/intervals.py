"""Intervals and tests for data whose images and splits are not independent of each other.

Images of one clone resemble each other, and the training sets of two splits share clones. Whoever
counts either as independent gets intervals that are far too narrow. Here donors (clones) and wells
are resampled, never images, and tests over splits are corrected for the overlap.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from hcs.learn.counters import uniforms
from hcs.learn.scores.scored import FloatArray, IntArray, Scored

LEVEL = 0.95


def expand_percentiles(draws: FloatArray, n: int) -> tuple[float, float]:
    """Find the ends of a bootstrap interval, widened for few independent things.

    Plain percentiles are too narrow by about ``sqrt((n - 1) / n)`` and take the normal instead of
    the t quantile; the expanded ones make up for both (Hesterberg 2015,
    doi 10.1080/00031305.2015.1089789).

    Parameters
    ----------
    draws
        ``(B,)`` bootstrap values, B ≥ 1.
    n
        Number of independent things that were resampled; 1 or fewer count as 2.
    """
    n = max(n, 2)
    quantile = np.sqrt(n / (n - 1)) * stats.t.ppf((1 - LEVEL) / 2, n - 1)
    tail = 100 * float(stats.norm.cdf(quantile))
    low, high = np.percentile(draws, [tail, 100 - tail])
    return float(low), float(high)


def resample_counts(n: int, n_bootstrap: int, *key: str | int) -> FloatArray:
    """How often each of ``n`` things is drawn when ``n`` are drawn with replacement.

    Returns
    -------
    FloatArray
        ``(n_bootstrap, n)``; rows sum to ``n``.
    """
    drawn = (uniforms(n_bootstrap * n, *key) * n).astype(int).reshape(n_bootstrap, n)
    flat = drawn + n * np.arange(n_bootstrap)[:, None]
    return (
        np.bincount(flat.ravel(), minlength=n_bootstrap * n).reshape(n_bootstrap, n).astype(float)
    )


def mean_interval_over_wells_and_splits(
    values: FloatArray, well: IntArray, split: IntArray, n_bootstrap: int, *key: str | int
) -> tuple[float, float]:
    """Bootstrap interval of a group's mean score; wells and splits are resampled independently.

    Images stay with their well and with their split. The bootstrap of two crossed factors is that
    of Owen 2007 (doi 10.1214/07-AOAS122), a little too wide rather than too narrow.

    Parameters
    ----------
    values, well, split
        ``(N,)`` scores and the codes of their well and split, N ≥ 1. With a single well only the
        splits vary, so the interval lacks the variation between wells.
    n_bootstrap
        Number of draws.
    *key
        Names the random numbers.

    Returns
    -------
    tuple of float
        Lower and upper end.
    """
    wells, w = np.unique(well, return_inverse=True)
    splits, s = np.unique(split, return_inverse=True)
    shape = (len(wells), len(splits))
    cell = w * shape[1] + s
    sums = np.bincount(cell, values, shape[0] * shape[1]).reshape(shape)
    sizes = np.bincount(cell, minlength=shape[0] * shape[1]).reshape(shape)
    of_wells = resample_counts(shape[0], n_bootstrap, *key, "wells")
    of_splits = resample_counts(shape[1], n_bootstrap, *key, "splits")
    totals = ((of_wells @ sums) * of_splits).sum(axis=1)
    weights = ((of_wells @ sizes) * of_splits).sum(axis=1)
    draws = totals[weights > 0] / weights[weights > 0]
    return expand_percentiles(draws, shape[0] if shape[0] > 1 else shape[1])


def donor_weights(
    owners: Sequence[str], truth: IntArray, n_bootstrap: int, *key: str | int
) -> FloatArray:
    """How often each group is drawn when donors are resampled with all of their groups.

    Parameters
    ----------
    owners, truth
        Donor and class code of each group, ``(G,)``. Classes are resampled apart, so that both
        stay present, unless a donor has groups of both.
    n_bootstrap
        Number of draws.
    *key
        Names the random numbers.

    Returns
    -------
    FloatArray
        ``(n_bootstrap, G)``.
    """
    donors, donor_of = np.unique(np.asarray(owners, dtype=str), return_inverse=True)
    classes = [sorted(set(truth[donor_of == d].tolist())) for d in range(len(donors))]
    mixed = any(len(entry) > 1 for entry in classes)
    strata = [0 if mixed else entry[0] for entry in classes]
    weights = np.zeros((n_bootstrap, len(donors)))
    for stratum in sorted(set(strata)):
        members = np.flatnonzero(np.asarray(strata) == stratum)
        weights[:, members] = resample_counts(len(members), n_bootstrap, *key, stratum)
    return weights[:, donor_of]


@dataclass(frozen=True, slots=True)
class PairAuc:
    """ROC AUC between pairs of groups.

    Attributes
    ----------
    total, n_splits
        ``(G, G)``: sum over splits of the AUC of a positive group's images (row) against a negative
        group's (column), and the number of splits in which both were tested.
    """

    total: FloatArray
    n_splits: FloatArray

    def mean(self) -> float | None:
        """Mean over all pairs and splits; None without any pair."""
        count = self.n_splits.sum()
        return float(self.total.sum() / count) if count else None

    def draw(self, weights: FloatArray) -> FloatArray:
        """Mean under ``(B, G)`` weights of the groups, ``(B,)``; NaN without any pair."""
        total = np.einsum("bi,ij,bj->b", weights, self.total, weights, optimize=True)
        count = np.einsum("bi,ij,bj->b", weights, self.n_splits, weights, optimize=True)
        draws = np.full(len(total), np.nan)
        np.divide(total, count, out=draws, where=count > 0)
        return draws


def mean_pair_auc(pairs: Sequence[PairAuc]) -> float | None:
    """Mean over classes, each against the rest; None where one has no pair."""
    values = [entry.mean() for entry in pairs]
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known and len(known) == len(values) else None


def pair_auc_interval(
    pairs: Sequence[PairAuc], weights: FloatArray, n: int
) -> tuple[float, float] | None:
    """Interval of :func:`mean_pair_auc` under ``(B, G)`` weights of the groups.

    Parameters
    ----------
    pairs
        Of each class against the rest; of two classes one is enough.
    weights
        How often each group is drawn.
    n
        Donors in the smallest class.

    Returns
    -------
    tuple of float or None
        None without any draw in which all classes have pairs.
    """
    draws = np.mean([entry.draw(weights) for entry in pairs], axis=0)
    known = draws[np.isfinite(draws)]
    return expand_percentiles(known, n) if len(known) else None


def pair_auc(scored: Scored, positive: int, n_groups: int) -> PairAuc:
    """ROC AUC between every positive and every negative group that are tested in one split.

    Where all groups have the same number of images, the mean over pairs is the mean ROC AUC over
    splits. Kept by pairs, it can be computed anew for resampled groups without touching an image.
    Ties count one half.
    """
    total = np.zeros((n_groups, n_groups))
    n_splits = np.zeros((n_groups, n_groups))
    for _, _, part in scored.by_split():
        score = part.probability[:, positive]
        by_group = {g: np.sort(score[part.group == g]) for g in np.unique(part.group)}
        is_positive = {g: part.truth[part.group == g][0] == positive for g in by_group}
        for i in (g for g in by_group if is_positive[g]):
            for j in (g for g in by_group if not is_positive[g]):
                below = np.searchsorted(by_group[j], by_group[i], "left")
                not_above = np.searchsorted(by_group[j], by_group[i], "right")
                total[i, j] += (below + not_above).mean() / 2 / len(by_group[j])
                n_splits[i, j] += 1
    return PairAuc(total, n_splits)


@dataclass(frozen=True, slots=True)
class PairedTest:
    """Result of :func:`compare_over_splits`; None where it is not defined."""

    n: int
    mean: float | None = None
    sd: float | None = None
    low: float | None = None
    high: float | None = None
    t: float | None = None
    p_value: float | None = None


def compare_over_splits(differences: FloatArray, test_train_ratio: float) -> PairedTest:
    """Paired t-test over splits, corrected for training sets that overlap.

    The variance of the mean of J differences is taken as ``(1/J + n_test/n_train) × s²`` instead of
    ``s²/J`` (Nadeau and Bengio 2003, Machine Learning 52:239, doi 10.1023/A:1024068626366).

    Parameters
    ----------
    differences
        ``(J,)`` differences of a metric between two models, one a split.
    test_train_ratio
        Size of the test set over that of the training set.

    Returns
    -------
    PairedTest
        Without interval and test for fewer than 2 splits. Equal differences have no ``t`` and no
        p (1 when they are all 0): without spread nothing says how far they may move.
    """
    n = len(differences)
    if n < 2:
        return PairedTest(n=n, mean=float(differences.mean()) if n else None)
    mean, sd = float(differences.mean()), float(differences.std(ddof=1))
    error = np.sqrt(1 / n + test_train_ratio) * sd
    if sd <= 1e-12 * max(1.0, abs(mean)):
        p_value = 1.0 if abs(mean) < 1e-12 else None
        return PairedTest(n=n, mean=mean, sd=sd, low=mean, high=mean, p_value=p_value)
    half = float(stats.t.ppf((1 + LEVEL) / 2, n - 1)) * error
    t = mean / error
    return PairedTest(
        n=n,
        mean=mean,
        sd=sd,
        low=mean - half,
        high=mean + half,
        t=float(t),
        p_value=float(2 * stats.t.sf(abs(t), n - 1)),
    )
