"""Effect sizes and separation of two groups: Z', SSMD, signal window, variation."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from hcs.screen.groups import Floats, GroupStats, divide

SSMD_CLASSES: Final = (
    (5.0, "extremely strong"),
    (3.0, "very strong"),
    (2.0, "strong"),
    (1.645, "fairly strong"),
    (1.28, "moderate"),
    (1.0, "fairly moderate"),
    (0.75, "fairly weak"),
    (0.5, "weak"),
    (0.25, "very weak"),
    (0.0, "extremely weak"),
)
"""Least absolute SSMD of each class; Zhang 2009, see :func:`ssmd_class`."""


def z_prime(negative: GroupStats, positive: GroupStats) -> Floats:
    """Z' factor: 1 − 3 (SD⁺ + SD⁻) / abs(mean⁺ − mean⁻).

    Parameters
    ----------
    negative, positive
        Controls of ``G`` plates.

    Returns
    -------
    ndarray
        Shape ``(G,)``; at most 1; NaN where a control is missing or the means are equal.

    References
    ----------
    Zhang, Chung & Oldenburg 1999, J Biomol Screen 4:67-73, doi 10.1177/108705719900400206.
    """
    separation = np.abs(positive.mean - negative.mean)
    return 1.0 - 3.0 * divide(positive.sd + negative.sd, separation)


def robust_z_prime(negative: GroupStats, positive: GroupStats) -> Floats:
    """Z' factor with medians and 1.4826 × MAD for means and standard deviations.

    Same shapes and missing values as :func:`z_prime`.

    References
    ----------
    Birmingham et al. 2009, Nat Methods 6:569-575, doi 10.1038/nmeth.1351.
    """
    separation = np.abs(positive.median - negative.median)
    return 1.0 - 3.0 * divide(positive.mad + negative.mad, separation)


def ssmd(first: GroupStats, second: GroupStats) -> Floats:
    """Strictly standardized mean difference of two independent groups, first minus second.

    The method-of-moments estimate (mean₁ − mean₂) / √(SD₁² + SD₂²), without assuming equal
    variances.

    Returns
    -------
    ndarray
        Shape ``(G,)``; NaN where a group is missing or neither varies.

    References
    ----------
    Zhang 2007, Genomics 89:552-561, doi 10.1016/j.ygeno.2006.12.014.
    """
    return divide(first.mean - second.mean, np.hypot(first.sd, second.sd))


def ssmd_equal_variance(first: GroupStats, second: GroupStats) -> Floats:
    """SSMD under equal variances, the approximately unbiased estimate.

    (mean₁ − mean₂) / √((2/K) ((n₁ − 1) SD₁² + (n₂ − 1) SD₂²)), K = n₁ + n₂ − 3.48.

    References
    ----------
    Zhang 2007, Genomics 89:552-561, doi 10.1016/j.ygeno.2006.12.014.
    """
    n_first, n_second = first.count.astype(np.float64), second.count.astype(np.float64)
    squares = (n_first - 1) * first.sd**2 + (n_second - 1) * second.sd**2
    k = n_first + n_second - 3.48
    return divide(first.mean - second.mean, np.sqrt(divide(2.0 * squares, np.where(k > 0, k, 0))))


def robust_ssmd(first: GroupStats, second: GroupStats) -> Floats:
    """SSMD with medians and 1.4826 × MAD for means and standard deviations.

    References
    ----------
    Zhang 2011, J Biomol Screen 16:775-785, doi 10.1177/1087057111405851 (SSMD*).
    """
    return divide(first.median - second.median, np.hypot(first.mad, second.mad))


def robust_ssmd_of_single(value: Floats, median: Floats, mad: Floats) -> Floats:
    """SSMD* of single wells without replicates against their controls.

    (value − median) / (√2 · 1.4826 MAD): the well is taken to vary as the controls do.

    Parameters
    ----------
    value
        Shape ``(N,)``.
    median, mad
        Of each well's controls, shape ``(N,)``, `mad` already times 1.4826.

    Returns
    -------
    ndarray
        Shape ``(N,)``; NaN where controls are missing or do not vary.

    References
    ----------
    Zhang 2011, J Biomol Screen 16:775-785, doi 10.1177/1087057111405851.
    """
    return divide(value - median, np.sqrt(2.0) * mad)


def ssmd_of_replicates(mean: Floats, sd: Floats, n_replicates: Floats) -> Floats:
    """SSMD of a compound from its replicates' differences to their own plates' controls.

    The uniformly minimum-variance unbiased estimate
    Γ((n − 1)/2) / Γ((n − 2)/2) · √(2 / (n − 1)) · mean / SD for n ≥ 3. For n = 2 it does not
    exist, and the method-of-moments estimate mean / SD stands in.

    Parameters
    ----------
    mean, sd
        Of the replicates' differences, shape ``(N,)``.
    n_replicates
        Shape ``(N,)``.

    Returns
    -------
    ndarray
        Shape ``(N,)``; NaN below two replicates or where they do not differ.

    References
    ----------
    Zhang 2011, J Biomol Screen 16:775-785, doi 10.1177/1087057111405851.
    """
    n = np.where(n_replicates >= 3, n_replicates, 3.0)
    unbiased = np.exp(gammaln((n - 1) / 2) - gammaln((n - 2) / 2)) * np.sqrt(2 / (n - 1))
    factor = np.where(n_replicates >= 3, unbiased, 1.0)
    return divide(np.where(n_replicates >= 2, factor * mean, np.nan), sd)


def ssmd_class(values: Floats) -> NDArray[np.object_]:
    """Name the strength of each SSMD, whatever its sign.

    Returns
    -------
    ndarray of str
        ``extremely strong`` … ``extremely weak``, ``none`` for exactly 0; None where missing.

    References
    ----------
    Zhang 2009, "A method for effectively comparing gene effects in multiple conditions in RNAi
    and expression-profiling research", Pharmacogenomics 10(3):345-358.
    """
    limits = np.array([limit for limit, _ in SSMD_CLASSES][::-1])
    names = np.array([name for _, name in SSMD_CLASSES][::-1], dtype=object)
    size = np.abs(values)
    finite = np.isfinite(size)
    rank = np.searchsorted(limits, np.where(finite, size, 0.0), side="right") - 1
    result: NDArray[np.object_] = names[rank]
    result[size == 0] = "none"
    result[~finite] = None
    return result


def signal_window(negative: GroupStats, positive: GroupStats) -> Floats:
    """Signal window: (separation of the means − 3 (SD⁺ + SD⁻)) / SD of the higher signal.

    Returns
    -------
    ndarray
        Shape ``(G,)``; NaN where a control is missing or the higher one does not vary.

    References
    ----------
    Sittampalam et al. 1997, "Design of signal windows in high throughput screening assays for
    drug discovery", J Biomol Screen 2(3):159-169; compared with Z' by Iversen et al. 2006, J
    Biomol Screen 11(3):247-252.
    """
    separation = np.abs(positive.mean - negative.mean)
    sd_of_higher = np.where(positive.mean >= negative.mean, positive.sd, negative.sd)
    return divide(separation - 3.0 * (positive.sd + negative.sd), sd_of_higher)


def coefficient_of_variation(stats: GroupStats) -> Floats:
    """Divide the standard deviation by the absolute mean; a fraction, NaN where the mean is 0."""
    return divide(stats.sd, np.abs(stats.mean))
