"""Compare two classes feature by feature on clone means, since images of a clone are no sample."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special, stats

from hcs.errors import UnknownNameError

FloatArray = NDArray[np.float64]

LEVEL = 0.95
TESTS = ("student", "welch", "mann_whitney")


@dataclass(frozen=True, slots=True)
class EffectSize:
    """Standardized difference of two means with its interval; NaN where it is not defined."""

    cohen_d: float = np.nan
    hedges_g: float = np.nan
    g_ci_low: float = np.nan
    g_ci_high: float = np.nan


def group_means(
    images: pd.DataFrame, features: Sequence[str], group_by: str, label: str
) -> pd.DataFrame:
    """Average the images of each group (clone).

    Parameters
    ----------
    images
        One row an image. Rows without group or label take no part.
    features
        Columns to average; NaN are left out.
    group_by, label
        Columns of the group and its class.

    Returns
    -------
    pandas.DataFrame
        One row a group with the columns ``group_by``, ``label`` and the features.
    """
    known = images.dropna(subset=[group_by, label])
    means = known.groupby([group_by, label], observed=True)[list(features)].mean()
    return means.reset_index()


def compare_groups(
    means: pd.DataFrame, features: Sequence[str], label: str, positive: str
) -> pd.DataFrame:
    """Test every feature for a difference between the positive class and each other class.

    Student's t (1908, doi 10.1093/biomet/6.1.1), Welch's t (1947, doi 10.1093/biomet/34.1-2.28) and
    the Mann-Whitney test (1947, doi 10.1214/aoms/1177730491), each corrected over all rows of the
    answer by Holm's method (1979).

    Parameters
    ----------
    means
        One row a group (clone), from :func:`group_means`: groups are the sample, never images.
    features
        Columns to test.
    label, positive
        Column of the class, and the class that differences are taken of.

    Returns
    -------
    pandas.DataFrame
        One row a feature and other class: ``feature``, ``positive``, ``other``, ``n_positive``,
        ``n_other``, ``mean_positive``, ``sd_positive``, ``mean_other``, ``sd_other``,
        ``difference``, ``cohen_d``, ``hedges_g`` with ``g_ci_low`` and ``g_ci_high`` (95 %), and
        for each test ``<test>_p`` and ``<test>_p_holm``. NaN with fewer than 2 groups in a class;
        tests of values that are all equal are NaN too.

    Raises
    ------
    UnknownNameError
        When no group is of the positive class.
    """
    classes = sorted(str(name) for name in means[label].dropna().unique())
    if positive not in classes:
        raise UnknownNameError("class", positive, f"column {label!r}", classes)
    rows = [
        _compare(means, feature, label, positive, other)
        for feature in features
        for other in classes
        if other != positive
    ]
    table = pd.DataFrame(rows)
    for test in TESTS:
        column = table.get(f"{test}_p", pd.Series(dtype=float)).to_numpy(dtype=float)
        table[f"{test}_p_holm"] = holm(column)
    return table


def _compare(
    means: pd.DataFrame, feature: str, label: str, positive: str, other: str
) -> dict[str, float | str]:
    classes = means[label].astype(str)
    a, b = (
        means.loc[classes == name, feature].dropna().to_numpy(dtype=float)
        for name in (positive, other)
    )
    row: dict[str, float | str] = {"feature": feature, "positive": positive, "other": other}
    for side, values in (("positive", a), ("other", b)):
        row[f"n_{side}"] = len(values)
        row[f"mean_{side}"] = float(values.mean()) if len(values) else np.nan
        row[f"sd_{side}"] = float(values.std(ddof=1)) if len(values) > 1 else np.nan
    row["difference"] = float(row["mean_positive"]) - float(row["mean_other"])
    row.update(asdict(effect_size(a, b)))
    p_values = dict.fromkeys(TESTS, np.nan)
    if _vary(a, b):
        p_values["student"] = float(stats.ttest_ind(a, b).pvalue)
        p_values["mann_whitney"] = float(stats.mannwhitneyu(a, b).pvalue)
        p_values["welch"] = float(stats.ttest_ind(a, b, equal_var=False).pvalue)
    row.update({f"{test}_p": p_value for test, p_value in p_values.items()})
    return row


def _vary(a: FloatArray, b: FloatArray) -> bool:
    """Whether there are two values a side and any spread beyond rounding."""
    if min(len(a), len(b)) < 2:
        return False
    scale = max(float(np.abs(a).max()), float(np.abs(b).max()), np.finfo(float).tiny)
    return max(float(np.ptp(a)), float(np.ptp(b))) > 1e-10 * scale


def effect_size(a: FloatArray, b: FloatArray) -> EffectSize:
    """Cohen's d and Hedges' g of two samples, with the interval of g.

    Hedges 1981, doi 10.3102/10769986006002107, with the exact correction; the interval inverts the
    noncentral t distribution (Cumming and Finch 2001, doi 10.1177/0013164401614002).

    Parameters
    ----------
    a, b
        ``(n,)`` and ``(m,)`` values; positive when ``a`` is the larger on average.

    Returns
    -------
    EffectSize
        All NaN with fewer than 2 values a side or without any spread.
    """
    if not _vary(a, b):
        return EffectSize()
    n, m = len(a), len(b)
    freedom = n + m - 2
    pooled = np.sqrt(((n - 1) * a.var(ddof=1) + (m - 1) * b.var(ddof=1)) / freedom)
    d = float((a.mean() - b.mean()) / pooled)
    log_gammas = special.gammaln(freedom / 2) - special.gammaln((freedom - 1) / 2)
    small_sample = float(np.exp(log_gammas) / np.sqrt(freedom / 2))
    scale = float(np.sqrt(1 / n + 1 / m))
    tail = (1 - LEVEL) / 2
    low, high = (float(special.nctdtrinc(freedom, q, d / scale)) for q in (1 - tail, tail))
    return EffectSize(
        cohen_d=d,
        hedges_g=small_sample * d,
        g_ci_low=small_sample * low * scale,
        g_ci_high=small_sample * high * scale,
    )


def holm(p_values: FloatArray) -> FloatArray:
    """Adjust p-values for their number by Holm's step-down method.

    Holm 1979, Scandinavian Journal of Statistics 6:65, https://www.jstor.org/stable/4615733.
    SciPy has only the methods that control the false-discovery rate.

    Parameters
    ----------
    p_values
        ``(T,)``; NaN stay NaN and do not count.

    Returns
    -------
    FloatArray
        ``(T,)``, at most 1.
    """
    adjusted = np.full(len(p_values), np.nan)
    order = np.argsort(p_values, kind="stable")[: int(np.isfinite(p_values).sum())]
    factors = len(order) - np.arange(len(order))
    adjusted[order] = np.minimum(1, np.maximum.accumulate(p_values[order] * factors))
    return adjusted
