"""Intervals and tests for data whose images and splits are not independent of each other.

Images of one clone resemble each other, and the training sets of two splits share clones. Whoever
counts either as independent gets intervals that are far too narrow. Here wells are resampled,
never images, and tests over splits are corrected for the overlap. Intervals of the ROC AUC over
donors: :mod:`hcs.learn.scores.pair_auc`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from hcs.learn.counters import uniforms
from hcs.learn.scores.scored import FloatArray, IntArray

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
