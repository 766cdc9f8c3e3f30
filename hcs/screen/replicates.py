"""From wells to compounds: replicates combined, tested together, and called."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd
from scipy.stats import norm, t

from hcs.domain import columns as col
from hcs.domain.config.screening import HitsOptions
from hcs.errors import UnknownNameError
from hcs.screen import effects, groups
from hcs.screen.calling import is_beyond
from hcs.screen.groups import Codes, Flags, Floats
from hcs.screen.plates import NO_MODEL
from hcs.screen.quality import compound_codes
from hcs.screen.significance import adjust, center_empirical_p

Combination = Literal["mean", "median", "min", "max", "stouffer"]


def combine(values: Floats, compound: Codes, n_compounds: int, how: Combination) -> Floats:
    """Combine the replicates of each compound into one number.

    Parameters
    ----------
    values
        One number a well, shape ``(N,)``; missing ones are left out.
    compound
        Compound of each well, shape ``(N,)``; −1 belongs to none.
    n_compounds
        Number of compounds, ``K``.
    how
        ``mean``, ``median``, ``min``, ``max`` (signed), or ``stouffer``: Σz / √n, which is
        standard normal when the replicates' z are.

    Returns
    -------
    ndarray
        Shape ``(K,)``; NaN where every replicate is missing.

    References
    ----------
    Stouffer's method: Whitlock 2005, J Evol Biol 18:1368-1373,
    doi 10.1111/j.1420-9101.2005.00917.x.
    """
    if how == "median":
        return groups.group_median(values, compound, n_compounds)
    if how in ("min", "max"):
        return _extreme(values, compound, n_compounds, largest=how == "max")
    mean = groups.group_mean(values, compound, n_compounds)
    if how == "mean":
        return mean
    return mean * np.sqrt(groups.group_count(values, compound, n_compounds))


def combine_p(p: Floats, compound: Codes, n_compounds: int) -> Floats:
    """Combine one-sided p values of independent replicates by Stouffer's method.

    Returns
    -------
    ndarray
        Shape ``(K,)``; NaN where every replicate is missing. Replicates on one plate share its
        controls and are not quite independent: spread replicates over plates. Empirical p are
        centered first, see :func:`hcs.screen.significance.center_empirical_p`.

    References
    ----------
    Whitlock 2005, J Evol Biol 18:1368-1373, doi 10.1111/j.1420-9101.2005.00917.x.
    """
    z = norm.isf(np.clip(p, 1e-300, 1 - 1e-16))
    combined: Floats = np.asarray(norm.sf(combine(z, compound, n_compounds, "stouffer")))
    return combined


def call_compounds(hits: pd.DataFrame, options: HitsOptions | None = None) -> pd.DataFrame:
    """Call compounds from the replicates of each compound and concentration.

    Parameters
    ----------
    hits
        The table of :func:`hcs.screen.hits.call_hits`, with ``Metadata_Compound``.
    options
        ``replicates``, ``call`` and the limits.

    Returns
    -------
    DataFrame
        One row a model × compound × concentration over its usable treated wells:
        ``n_replicates`` and ``n_plates`` (without toxic wells, which count in ``n_toxic`` alone,
        and without wells of plates on which nothing could be measured: ``n_unmeasured``,
        ``unmeasured_plates``),
        ``score`` (median), ``robust_z`` (combined as chosen), ``ssmd`` (of the replicates; of the
        well where there is one) and ``ssmd_class``, ``p_value`` and ``q_value`` (Stouffer),
        ``p_empirical`` and ``q_empirical``, ``rescue`` (mean) with ``rescue_low`` and
        ``rescue_high`` (95 %: Student's over replicates, Fieller's of a single well),
        ``cell_fraction`` (median of all wells), ``toxic`` (at least half of the wells),
        ``hit_direction``, ``hit``.

    Raises
    ------
    UnknownNameError
        When the table has no ``Metadata_Compound``.
    """
    options = options or HitsOptions()
    if col.COMPOUND not in hits:
        raise UnknownNameError("column", col.COMPOUND, "the table of hits", list(hits.columns))
    treated = hits[_is_replicate(hits)].reset_index(drop=True)
    if col.MODEL not in treated:
        treated.insert(0, col.MODEL, NO_MODEL)
    model = pd.factorize(treated[col.MODEL])[0].astype(np.intp)
    codes = compound_codes(treated)
    pairs, compound = np.unique(
        model * (int(codes.max(initial=0)) + 1) + codes, return_inverse=True
    )
    compound, n_compounds = compound.astype(np.intp), pairs.size
    first = np.full(n_compounds, len(treated), dtype=np.intp)
    np.minimum.at(first, compound, np.arange(len(treated)))
    keys = (col.MODEL, col.COMPOUND, col.CONCENTRATION_UM)
    kept = [column for column in keys if column in treated]
    result = treated[kept].iloc[first].reset_index(drop=True)
    # A dead well lies far from its controls: counted with the others, it would make a hit.
    toxic = treated[col.TOXIC].to_numpy(bool)
    # Nor is a well a replicate whose plate has nothing to measure it against.
    measured = np.isfinite(treated[col.ROBUST_Z].to_numpy(np.float64))
    _add_statistics(result, treated, np.where(toxic | ~measured, -1, compound), options)
    result["n_unmeasured"] = np.bincount(compound[~measured & ~toxic], minlength=n_compounds)
    result["unmeasured_plates"] = _name_plates(treated, compound, ~measured & ~toxic, n_compounds)
    n_wells = np.bincount(compound, minlength=n_compounds)
    result["n_toxic"] = np.bincount(compound[toxic], minlength=n_compounds)
    result[col.CELL_FRACTION] = groups.group_median(
        treated[col.CELL_FRACTION].to_numpy(np.float64), compound, n_compounds
    )
    result[col.TOXIC] = 2 * result["n_toxic"] >= np.maximum(n_wells, 1)
    family = model[first]
    tested = ~result[col.TOXIC].to_numpy(bool)
    for p, q in ((col.P_VALUE, col.Q_VALUE), (col.P_EMPIRICAL, col.Q_EMPIRICAL)):
        result[q] = adjust(result[p].to_numpy(np.float64), family, tested)
    result[col.HIT] = is_beyond(result, options) & tested
    return result


def _name_plates(treated: pd.DataFrame, compound: Codes, chosen: Flags, n: int) -> list[str]:
    """Names of the plates of the chosen wells of each compound, joined with commas."""
    names: list[list[str]] = [[] for _ in range(n)]
    wells = treated.loc[chosen, col.PLATE].astype(str)
    for code, plate in zip(compound[chosen], wells, strict=True):
        if plate not in names[code]:
            names[code].append(plate)
    return [", ".join(found) for found in names]


def _is_replicate(hits: pd.DataFrame) -> Flags:
    kept = hits[col.COMPOUND].notna().to_numpy(bool, copy=True)
    if col.USABLE in hits:
        kept &= hits[col.USABLE].to_numpy(bool)
    if col.PERT_TYPE in hits:
        kept &= ~hits[col.PERT_TYPE].isin(["negcon", "poscon", "empty"]).to_numpy(bool)
    return kept


def _add_statistics(
    result: pd.DataFrame, treated: pd.DataFrame, compound: Codes, options: HitsOptions
) -> None:
    n = len(result)

    def column(name: str) -> Floats:
        return treated[name].to_numpy(np.float64)

    living = compound >= 0
    z = groups.summarize(column(col.ROBUST_Z), compound, n)
    single = groups.group_median(column(col.SSMD), compound, n)
    replicated = effects.ssmd_of_replicates(z.mean, z.sd, z.count.astype(np.float64))
    result[col.N_REPLICATES] = np.bincount(compound[living], minlength=n)
    plate = pd.factorize(treated[col.PLATE])[0].astype(np.intp)
    result["n_plates"] = groups.count_distinct(compound, plate, n)
    result[col.SCORE] = groups.group_median(column(col.SCORE), compound, n)
    result[col.ROBUST_Z] = combine(column(col.ROBUST_Z), compound, n, options.replicates)
    result[col.SSMD] = np.where(z.count >= 2, replicated, single)
    result[col.SSMD_CLASS] = effects.ssmd_class(result[col.SSMD].to_numpy(np.float64))
    direction = np.sign(groups.group_mean(column(col.DIRECTION), compound, n))
    centered = center_empirical_p(column(col.P_EMPIRICAL), column(col.N_NULL))
    for name, p in ((col.P_VALUE, column(col.P_VALUE)), (col.P_EMPIRICAL, centered)):
        result[name] = _combine_signed(p, column(col.ROBUST_Z), column(col.DIRECTION), compound, n)
    _add_rescue(result, treated, compound)
    result[col.DIRECTION] = np.nan_to_num(direction).astype(np.int8)


def _add_rescue(result: pd.DataFrame, treated: pd.DataFrame, compound: Codes) -> None:
    """Mean rescue with a 95 % interval: Student's over replicates, Fieller's of a single well."""
    n = len(result)
    low, middle, high = (
        treated[name].to_numpy(np.float64) for name in (col.RESCUE_LOW, col.RESCUE, col.RESCUE_HIGH)
    )
    stats = groups.summarize(middle, compound, n)
    count = stats.count.astype(np.float64)
    margin = t.ppf(0.975, np.maximum(count - 1, 1)) * stats.sd / np.sqrt(np.maximum(count, 1))
    alone = count < 2
    result[col.RESCUE] = stats.mean
    for name, sign, of_well in ((col.RESCUE_LOW, -1, low), (col.RESCUE_HIGH, 1, high)):
        single = groups.group_mean(of_well, compound, n)
        result[name] = np.where(alone, single, stats.mean + sign * margin)


def _combine_signed(p: Floats, z: Floats, direction: Floats, compound: Codes, n: int) -> Floats:
    """Combine p values; two-sided ones through their signed halves, so that signs must agree."""
    upward = np.where(z >= 0, p / 2, 1 - p / 2)
    one_sided = np.where(direction == 0, upward, p)
    combined = combine_p(one_sided, compound, n)
    two_sided = np.zeros(n, dtype=bool)
    two_sided[compound[(direction == 0) & (compound >= 0)]] = True
    return np.where(two_sided, 2 * np.minimum(combined, 1 - combined), combined)


def _extreme(values: Floats, compound: Codes, n_compounds: int, *, largest: bool) -> Floats:
    start = -np.inf if largest else np.inf
    result = np.full(n_compounds, start)
    kept = np.isfinite(values) & (compound >= 0)
    function = np.maximum if largest else np.minimum
    function.at(result, compound[kept], values[kept])
    return np.where(np.isfinite(result), result, np.nan)
