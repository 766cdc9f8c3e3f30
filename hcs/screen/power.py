"""How large an effect does a screen find, with so many replicates: from its own spread."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import pandas as pd
from scipy.stats import norm

from hcs.domain import columns as col
from hcs.domain.config.screening import HitsOptions, SsmdCall
from hcs.screen.groups import Floats

REPLICATES: Final = (1, 2, 3, 4, 6)

_VARIANCE_OF_MEDIAN: Final = {1: 1.0, 2: 0.5, 3: 0.4487, 4: 0.2982, 5: 0.2868, 6: 0.2147}
"""Of so many standard normal values; beyond, π / (2 n)."""


def detectable_effects(
    hits: pd.DataFrame,
    quality: pd.DataFrame,
    options: HitsOptions,
    replicates: Sequence[int] = REPLICATES,
    power: float = 0.8,
) -> pd.DataFrame:
    """Estimate the smallest effect that is found with a given power, by number of replicates.

    An effect of δ robust SD of the controls gives a combined z around δ with a standard deviation
    of s √v: s is the spread of the treated wells (most of them inactive), v the variance of the
    mean or median of the replicates of a standard normal. It is found when z exceeds the limit of
    the call, and Stouffer's combined p the largest p that was called: δ = max(limit + s √v q,
    (z(p) + s q) / √replicates), with q the normal quantile of the power.

    Parameters
    ----------
    hits, quality
        Wells and plates, from :func:`hcs.screen.hits.call_hits`.
    options
        ``call``, ``robust_z_threshold``, ``fdr`` and ``replicates``.
    replicates
        Numbers of replicates, each on a plate of its own.
    power
        Share of such compounds that is to be found.

    Returns
    -------
    DataFrame
        One row a model × number of replicates: ``n_replicates``, ``power``, ``effect_sd`` (robust
        SD of the controls) and ``effect_rescue`` (as a share of the way from the negative to the
        positive controls; null without these). No rows where the spread is not known.

    References
    ----------
    Of the variance of a median: David & Nagaraja 2003, Order Statistics,
    doi 10.1002/0471722162.
    """
    rows: list[dict[str, object]] = []
    for model, plates in quality.groupby(col.MODEL, sort=False):
        own = hits[hits[col.MODEL] == model] if col.MODEL in hits else hits
        spread = plates["treated_spread"].dropna().to_numpy(np.float64)
        if not spread.size:
            continue
        counts = np.asarray(replicates, np.float64)
        effect = _smallest(own, plates, options, counts, float(np.median(spread)), power)
        window = _window(own)
        rows += [
            {
                col.MODEL: str(model), "n_replicates": int(n), "power": power,
                "effect_sd": float(delta), "effect_rescue": float(delta / window),
            }
            for n, delta in zip(replicates, effect, strict=True)
        ]  # fmt: skip
    names = [col.MODEL, "n_replicates", "power", "effect_sd", "effect_rescue"]
    return pd.DataFrame(rows, columns=names)


def _smallest(
    hits: pd.DataFrame,
    plates: pd.DataFrame,
    options: HitsOptions,
    counts: Floats,
    spread: float,
    power: float,
) -> Floats:
    quantile = float(norm.ppf(power))
    takes_median = options.replicates == "median"
    variance = np.array(
        [_VARIANCE_OF_MEDIAN.get(int(n), np.pi / 2 / n) if takes_median else 1 / n for n in counts]
    )
    if isinstance(options.call, SsmdCall):
        limit = options.call.min_ssmd * np.sqrt(2.0)
        return np.asarray(limit + spread * np.sqrt(variance) * quantile, np.float64)
    n_tested = max(int(plates["n_tested"].sum()), 1)
    called = hits.loc[hits[col.HIT], col.P_VALUE]
    least = float(called.max()) if len(called) else options.fdr / n_tested
    both = 2.0 if (hits[col.DIRECTION] == 0).any() else 1.0
    by_z = options.robust_z_threshold + spread * np.sqrt(variance) * quantile
    by_p = (float(norm.isf(max(least / both, 1e-300))) + spread * quantile) / np.sqrt(counts)
    return np.asarray(np.maximum(by_z, by_p), np.float64)


def _window(hits: pd.DataFrame) -> float:
    """Distance of the positive controls in robust z, median over their wells; NaN without any."""
    if col.PERT_TYPE not in hits:
        return np.nan
    z = hits.loc[hits[col.PERT_TYPE] == "poscon", col.ROBUST_Z].to_numpy(np.float64)
    z = np.abs(z[np.isfinite(z)])
    return float(np.median(z)) if z.size and np.median(z) > 0 else np.nan
