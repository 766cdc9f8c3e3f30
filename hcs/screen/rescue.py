"""How far a compound moves diseased wells toward healthy ones, with an interval."""

from __future__ import annotations

import numpy as np
from scipy.stats import t

from hcs.screen.groups import Codes, Floats, GroupStats, divide


def rescue_score(value: Floats, negcon: GroupStats, poscon: GroupStats, group: Codes) -> Floats:
    """Place each well between the controls: 0 at the negative, 1 at the positive control's mean.

    (value − mean⁻) / (mean⁺ − mean⁻).

    Parameters
    ----------
    value, group
        Wells and their group, shape ``(N,)``.
    negcon, poscon
        Diseased and healthy controls of ``G`` groups.

    Returns
    -------
    ndarray
        Shape ``(N,)``; below 0 and above 1 are possible; NaN where a control is missing or the
        means are equal.
    """
    start, end = negcon.mean[group], poscon.mean[group]
    return divide(value - start, end - start)


def rescue_interval(
    value: Floats,
    negcon: GroupStats,
    poscon: GroupStats,
    group: Codes,
    n_replicates: Floats | float = 1.0,
    confidence: float = 0.95,
) -> tuple[Floats, Floats]:
    """Fieller's interval of the rescue score.

    The well (the mean of `n_replicates`) is taken to vary as the controls do: their pooled
    variance, n⁻ + n⁺ − 2 degrees of freedom. The interval holds all ρ for which
    value − (1 − ρ) mean⁻ − ρ mean⁺ is not significantly different from 0.

    Returns
    -------
    low, high
        Shape ``(N,)`` each; NaN where a control is missing, and where the controls do not differ
        significantly, as the interval then has no end.

    References
    ----------
    Fieller 1954, J R Stat Soc B 16:175-185, doi 10.1111/j.2517-6161.1954.tb00159.x.
    """
    n_neg, n_pos = negcon.count.astype(np.float64), poscon.count.astype(np.float64)
    freedom = n_neg + n_pos - 2
    squares = (n_neg - 1) * negcon.sd**2 + (n_pos - 1) * poscon.sd**2
    quantile = t.ppf(0.5 + confidence / 2, np.maximum(freedom, 1))
    margin = (quantile**2 * divide(squares, np.where(freedom > 0, freedom, 0)))[group]
    of_neg = divide(np.ones_like(n_neg), n_neg)[group]
    of_pos = divide(np.ones_like(n_pos), n_pos)[group]
    shift = value - negcon.mean[group]
    window = (poscon.mean - negcon.mean)[group]
    # (shift − ρ window)² ≤ margin (1/m + (1 − ρ)²/n⁻ + ρ²/n⁺), a quadratic in ρ.
    square = window**2 - margin * (of_neg + of_pos)
    half = shift * window - margin * of_neg
    constant = shift**2 - margin * (1.0 / np.asarray(n_replicates) + of_neg)
    bounded = square > 0
    root = np.sqrt(np.where(bounded, np.maximum(half**2 - square * constant, 0.0), np.nan))
    square = np.where(bounded, square, np.nan)
    return divide(half - root, square), divide(half + root, square)
