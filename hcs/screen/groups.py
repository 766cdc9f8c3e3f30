"""Statistics of many groups of values at once, missing values left out, no warnings.

``numpy.nanmedian`` warns on empty slices and loops in Python over ragged groups; a screen has
thousands of plates with a few controls each, so the groups are sorted once instead.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hcs.domain.constants import MAD_TO_SD

RESOLUTION: Final = 1e-6
"""Least spread that counts, as a share of the largest value of a group.

Values of single precision are known to 6e-8 of themselves: what differs by less than a millionth
is one number that was rounded in several ways, and a z score against it would be of any size.
"""

Floats = NDArray[np.float64]
Codes = NDArray[np.intp]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class GroupStats:
    """Statistics of ``G`` groups; entries of empty groups are NaN (count 0).

    Attributes
    ----------
    count
        Number of finite values, shape ``(G,)``.
    mean, sd
        Mean and standard deviation (n − 1); ``sd`` is NaN for fewer than two values.
    median, mad
        Median, and median absolute deviation times 1.4826. Both spreads are 0 where the values
        differ by no more than they are known (:data:`RESOLUTION`).
    """

    count: NDArray[np.int64]
    mean: Floats
    sd: Floats
    median: Floats
    mad: Floats

    def at_least(self, n: int) -> GroupStats:
        """Return the same statistics with those of groups of fewer than `n` values as NaN."""
        enough = self.count >= n
        mean, sd, median, mad = (
            np.where(enough, part, np.nan) for part in (self.mean, self.sd, self.median, self.mad)
        )
        return GroupStats(self.count, mean, sd, median, mad)

    def without_spread(self, flat: Flags) -> GroupStats:
        """Return the same statistics with the spreads of some groups as 0, `flat` ``(G,)``."""
        sd, mad = (np.where(flat, 0.0, part) for part in (self.sd, self.mad))
        return replace(self, sd=sd, mad=mad)


def divide(numerator: Floats, denominator: Floats | float) -> Floats:
    """Divide; where the denominator is 0 or missing the result is NaN, without a warning."""
    numerator, denominator = np.broadcast_arrays(
        np.asarray(numerator, np.float64), np.asarray(denominator, np.float64)
    )
    result = np.full(numerator.shape, np.nan)
    usable = np.isfinite(denominator) & (denominator != 0) & np.isfinite(numerator)
    np.divide(numerator, denominator, out=result, where=usable)
    return result


def nan_median(values: Floats, axis: int) -> Floats:
    """Median along an axis without missing values; NaN where all are missing, no warning."""
    ordered = np.sort(values, axis=axis)  # NaN sorts last
    count = np.isfinite(values).sum(axis=axis, keepdims=True)
    low = np.take_along_axis(ordered, np.maximum(count - 1, 0) // 2, axis=axis)
    high = np.take_along_axis(ordered, np.minimum(count // 2, values.shape[axis] - 1), axis=axis)
    median: Floats = np.squeeze(low + (high - low) / 2, axis=axis)
    return median


def group_median(values: Floats, groups: Codes, n_groups: int) -> Floats:
    """Median of each group.

    Parameters
    ----------
    values
        Shape ``(N,)``; values that are not finite are left out.
    groups
        Shape ``(N,)``, codes ``0 … n_groups − 1``; −1 belongs to no group.
    n_groups
        Number of groups, ``G``.

    Returns
    -------
    ndarray
        Shape ``(G,)``; NaN for an empty group.
    """
    ordered, starts, counts = _sort_segments(values, groups, n_groups)
    return _segment_median(ordered, starts, counts)


def group_mad(
    values: Floats, groups: Codes, n_groups: int, measured: Floats | None = None
) -> Floats:
    """Median absolute deviation from the group's median, times 1.4826; NaN for empty groups.

    It is 0 where it is no more than the values are known; `measured` are the values as they were
    before something was subtracted from them, which says how well they are known.
    """
    center = group_median(values, groups, n_groups)
    mad = MAD_TO_SD * group_median(np.abs(values - _of(center, groups)), groups, n_groups)
    return _drop_rounding(mad, values if measured is None else measured, groups)


def _drop_rounding(spread: Floats, values: Floats, groups: Codes) -> Floats:
    """Set spreads ``(G,)`` to 0 that are no more than the rounding of the values."""
    largest = np.zeros(spread.shape)
    kept = _is_known(values, groups)
    np.maximum.at(largest, groups[kept], np.abs(values[kept]))
    return np.where(spread <= RESOLUTION * largest, 0.0, spread)


def count_distinct(outer: Codes, inner: Codes, n_outer: int) -> Codes:
    """Count the distinct `inner` codes in each `outer` group; −1 belongs to no group.

    By sorting: ``numpy.unique`` without further outputs hashes, ten times slower on a million.
    """
    kept = outer >= 0
    n_inner = int(inner.max(initial=0)) + 1
    pairs = np.sort(outer[kept] * n_inner + inner[kept])
    is_first = np.ones(pairs.size, dtype=bool)
    is_first[1:] = pairs[1:] != pairs[:-1]
    return np.bincount(pairs[is_first] // n_inner, minlength=n_outer)


def group_sum(values: Floats, groups: Codes, n_groups: int) -> Floats:
    """Sum of each group, shape ``(G,)``; 0 for an empty group. All codes must be ≥ 0."""
    sums: Floats = np.bincount(groups, values, n_groups).astype(np.float64)
    return sums


def group_mean(values: Floats, groups: Codes, n_groups: int) -> Floats:
    """Arithmetic mean of each group, shape ``(G,)``; NaN for an empty group."""
    kept = _is_known(values, groups)
    sums = group_sum(values[kept], groups[kept], n_groups)
    return divide(sums, group_count(values, groups, n_groups).astype(np.float64))


def group_sd(values: Floats, groups: Codes, n_groups: int) -> Floats:
    """Return the standard deviation (n − 1) of each group; NaN below two values, 0 if all equal."""
    # Centred on the median first: equal values then leave residuals of exactly zero.
    centered = values - _of(group_median(values, groups, n_groups), groups)
    return _drop_rounding(_sd_of_centered(centered, groups, n_groups), values, groups)


def group_count(values: Floats, groups: Codes, n_groups: int) -> NDArray[np.int64]:
    """Return the number of finite values of each group, shape ``(G,)``."""
    return np.bincount(groups[_is_known(values, groups)], minlength=n_groups).astype(np.int64)


def group_trimmed_mean(values: Floats, groups: Codes, n_groups: int, cut_fraction: float) -> Floats:
    """Mean of each group without the lowest and highest ``int(cut_fraction · n)`` values.

    The same definition as :func:`scipy.stats.trim_mean`.
    """
    ordered, starts, counts = _sort_segments(values, groups, n_groups)
    cut = (cut_fraction * counts).astype(np.int64)
    rank = np.arange(ordered.size) - np.repeat(starts, counts)
    inside = (rank >= np.repeat(cut, counts)) & (rank < np.repeat(counts - cut, counts))
    codes = np.repeat(np.arange(n_groups), counts)[inside]
    return group_mean(ordered[inside], codes, n_groups)


def summarize(values: Floats, groups: Codes, n_groups: int) -> GroupStats:
    """All of :class:`GroupStats` at once.

    Examples
    --------
    >>> summarize(np.array([1.0, 2.0, 6.0]), np.zeros(3, dtype=np.intp), 1).median
    array([2.])
    """
    kept = _is_known(values, groups)
    values, groups = values[kept], groups[kept]
    ordered, starts, counts = _sort_segments(values, groups, n_groups)
    median = _segment_median(ordered, starts, counts)
    centered = values - _of(median, groups)
    return GroupStats(
        count=counts,
        mean=median + group_mean(centered, groups, n_groups),
        sd=_drop_rounding(_sd_of_centered(centered, groups, n_groups), values, groups),
        median=median,
        mad=_drop_rounding(
            MAD_TO_SD * group_median(np.abs(centered), groups, n_groups), values, groups
        ),
    )


def _is_known(values: Floats, groups: Codes) -> Flags:
    return np.isfinite(values) & (groups >= 0)


def _of(per_group: Floats, groups: Codes) -> Floats:
    """Spread group values over the members; NaN for members of no group."""
    if per_group.size == 0:
        return np.full(groups.shape, np.nan)
    return np.where(groups >= 0, per_group[groups], np.nan)


def _sd_of_centered(centered: Floats, groups: Codes, n_groups: int) -> Floats:
    residual = centered - _of(group_mean(centered, groups, n_groups), groups)
    kept = _is_known(residual, groups)
    squares = group_sum(residual[kept] ** 2, groups[kept], n_groups)
    counts = np.bincount(groups[kept], minlength=n_groups)
    return np.sqrt(divide(squares, np.where(counts > 1, counts - 1.0, np.nan)))


def _sort_segments(
    values: Floats, groups: Codes, n_groups: int
) -> tuple[Floats, NDArray[np.int64], NDArray[np.int64]]:
    """Sort by group, then by value; return values, start and count of every group."""
    kept = _is_known(values, groups)
    values, groups = values[kept], groups[kept]
    order = np.lexsort((values, groups))
    counts = np.bincount(groups, minlength=n_groups).astype(np.int64)
    starts = np.cumsum(counts) - counts
    return values[order], starts, counts


def _segment_median(
    ordered: Floats, starts: NDArray[np.int64], counts: NDArray[np.int64]
) -> Floats:
    filled = counts > 0
    median = np.full(counts.shape, np.nan)
    low = ordered[(starts + (counts - 1) // 2)[filled]]
    high = ordered[(starts + counts // 2)[filled]]
    # Half the difference added, so that the median of two equal values is exactly that value.
    median[filled] = low + (high - low) / 2
    return median
