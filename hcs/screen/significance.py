"""How surprising is a well among the negative controls: p values and their adjustment."""

from __future__ import annotations

import numpy as np
from scipy.stats import false_discovery_control, t

from hcs.domain.constants import MAD_TO_SD
from hcs.screen import groups
from hcs.screen.groups import RESOLUTION, Codes, Flags, Floats, GroupStats, divide, nan_median

_LEAVE_OUT_UP_TO = 64
"""Beyond so many controls, leaving one out moves median and MAD too little to matter."""


def prediction_p(value: Floats, reference: GroupStats, group: Codes, direction: Floats) -> Floats:
    """P value of each well as one more draw from its normally distributed reference wells.

    t = (value − mean) / (SD √(1 + 1/n)) with n − 1 degrees of freedom, the test behind a
    prediction interval: with few controls it stays honest where a z score against an estimated
    spread does not.

    Parameters
    ----------
    value
        Shape ``(N,)``.
    reference
        Statistics of ``G`` groups of reference wells.
    group
        Group of every well, shape ``(N,)``.
    direction
        +1 where a hit lies above, −1 where below (one-sided), 0 where either way (two-sided).

    Returns
    -------
    ndarray
        Shape ``(N,)``; NaN where the reference is missing or does not vary.

    References
    ----------
    Hahn & Meeker 1991, Statistical Intervals, doi 10.1002/9780470316771.
    """
    n = reference.count[group].astype(np.float64)
    spread = reference.sd[group] * np.sqrt(1 + divide(np.ones_like(n), n))
    statistic = orient(divide(value - reference.mean[group], spread), direction)
    p = np.asarray(t.sf(statistic, np.maximum(n - 1, 1)), dtype=np.float64)
    return np.where(direction == 0, 2 * p, p)


def orient(z: Floats, direction: Floats) -> Floats:
    """Turn z so that a hit is positive: sign × z, or its absolute value where direction is 0."""
    return np.where(direction == 0, np.abs(z), z * direction)


def leave_one_out_z(value: Floats, group: Codes, n_groups: int) -> Floats:
    """Robust z of each control against the *other* controls of its group.

    A control that helps to set median and MAD lies closer to them than a treated well does.
    Measured against the others only, controls and inactive wells are alike, and an empirical p
    is right.

    Parameters
    ----------
    value, group
        The controls, shape ``(N,)``.
    n_groups
        Number of groups.

    Returns
    -------
    ndarray
        Shape ``(N,)``; NaN where the others do not vary or there are fewer than two.
    """
    result = np.full(value.shape, np.nan)
    counts = groups.group_count(value, group, n_groups)
    many = counts > _LEAVE_OUT_UP_TO
    if many.any():
        center = groups.group_median(value, group, n_groups)[group]
        mad = groups.group_mad(value, group, n_groups)[group]
        result = np.where(many[group], divide(value - center, mad), np.nan)
    order = np.lexsort((value, group))
    starts = np.cumsum(counts) - counts
    for n in np.unique(counts[(counts >= 3) & ~many]):
        rows = order[starts[counts == n][:, None] + np.arange(n)]
        others = np.array([[j for j in range(n) if j != i] for i in range(n)])
        rest = value[rows][:, others]
        center = nan_median(rest, axis=2)
        mad = MAD_TO_SD * nan_median(np.abs(rest - center[:, :, None]), axis=2)
        mad = np.where(mad <= RESOLUTION * np.abs(rest).max(axis=2), 0.0, mad)
        result[rows] = divide(value[rows] - center, mad)
    return result


def empirical_p(score: Floats, null: Floats) -> Floats:
    """(1 + number of null scores at least as large) / (1 + number of null scores).

    Parameters
    ----------
    score
        Shape ``(N,)``, larger is more of a hit.
    null
        Scores of the negative controls; values that are not finite are left out.

    Returns
    -------
    ndarray
        Shape ``(N,)``, never 0 and never below 1 / (1 + n); NaN where the score or every null
        score is missing.

    References
    ----------
    Phipson & Smyth 2010, Stat Appl Genet Mol Biol 9:39, doi 10.2202/1544-6115.1585.
    """
    null = np.sort(null[np.isfinite(null)])
    finite = np.isfinite(score)
    beyond = null.size - np.searchsorted(null, np.where(finite, score, 0.0), side="left")
    p = (1.0 + beyond) / (1.0 + null.size)
    return np.where(finite & (null.size > 0), p, np.nan)


def center_empirical_p(p: Floats, n_null: Floats) -> Floats:
    """(b + ½) / (n + 1) in place of (b + 1) / (n + 1), for empirical p that are to be combined.

    The p that is tested must never be too small, so it is 1 for the weakest well and 1 / (n + 1)
    for the strongest: as normal scores −∞ and a modest number. Centered, both ends weigh alike.

    Parameters
    ----------
    p, n_null
        P values, and how many null scores each rests on, shape ``(N,)``.
    """
    return p - divide(np.full(p.shape, 0.5), n_null + 1.0)


def adjust(p: Floats, family: Codes, tested: Flags) -> Floats:
    """Benjamini-Hochberg adjusted p within each family of tests.

    Parameters
    ----------
    p
        Shape ``(N,)``; missing p are neither adjusted nor counted.
    family
        Code of each test's family, shape ``(N,)``.
    tested
        Which tests belong to the family at all; the others stay NaN.

    Returns
    -------
    ndarray
        Shape ``(N,)``.

    References
    ----------
    Benjamini & Hochberg 1995, J R Stat Soc B 57:289-300,
    doi 10.1111/j.2517-6161.1995.tb02031.x.
    """
    q = np.full(p.shape, np.nan)
    for code in range(int(family.max(initial=-1)) + 1):
        members = (family == code) & tested & np.isfinite(p)
        if members.any():
            q[members] = false_discovery_control(np.clip(p[members], 0.0, 1.0))
    return q
