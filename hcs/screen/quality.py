"""How good each plate is: separation of controls, variation, position effects, limits kept."""

from __future__ import annotations

import numpy as np
import pandas as pd

from hcs.domain import columns as col
from hcs.domain.config.screening import HitsOptions, QualityLimits
from hcs.screen import effects, groups
from hcs.screen.controls import BrokenLimits, PlateFault, usable_stats
from hcs.screen.groups import Floats
from hcs.screen.plates import Screen, read_wells
from hcs.screen.position.testing import position_tests


def plate_quality(screen: Screen, corrected: Screen, options: HitsOptions) -> pd.DataFrame:
    """Measure every plate.

    Parameters
    ----------
    screen
        Wells with their scores as they came.
    corrected
        The same wells after spatial correction.
    options
        ``min_controls`` and ``limits``.

    Returns
    -------
    DataFrame
        One row a model × plate: counts (``n_wells``, ``n_usable``, ``n_negcon``, ``n_poscon``,
        ``n_sample``), ``negcon_mean``, ``negcon_sd``, ``poscon_mean``, ``poscon_sd``,
        ``z_prime``, ``robust_z_prime``, ``ssmd_controls``, ``signal_window``, ``cv_negcon``,
        ``cv_poscon``, ``row_p``, ``column_p``, ``edge_p`` before and ``corrected_row_p`` … after
        correction, ``replicate_correlation``, ``passed`` and ``failed_limits`` (in words).
        Control statistics are those of the corrected values; coefficients of variation of scores
        whose log-odds are measured are of the scores.
    """
    negcon = usable_stats(corrected, corrected.is_negcon, options.min_controls)
    poscon = usable_stats(corrected, corrected.is_poscon, options.min_controls)
    quality = screen.plates.copy()
    counts = {
        "n_wells": np.ones_like(screen.usable),
        "n_usable": screen.usable,
        "n_negcon": screen.is_negcon & screen.usable,
        "n_poscon": screen.is_poscon & screen.usable,
        "n_sample": screen.is_sample & screen.usable,
    }
    for name, members in counts.items():
        quality[name] = np.bincount(screen.plate[members], minlength=screen.n_plates)
    quality["negcon_mean"], quality["negcon_sd"] = negcon.mean, negcon.sd
    quality["poscon_mean"], quality["poscon_sd"] = poscon.mean, poscon.sd
    for name, values in _separation(negcon, poscon).items():
        quality[name] = values
    for name, members in (("cv_negcon", screen.is_negcon), ("cv_poscon", screen.is_poscon)):
        # A ratio: log-odds have no true zero, so that of the scores as they came is meant there.
        of = corrected if screen.value is screen.score else screen.with_value(screen.score)
        stats = usable_stats(of, members, options.min_controls)
        quality[name] = effects.coefficient_of_variation(stats)
    before = position_tests(screen)
    after = before if corrected is screen else position_tests(corrected)
    for name, p in before.items():
        quality[name] = p
    for name, p in after.items():
        quality[f"corrected_{name}"] = p
    return quality


def batch_quality(hits: pd.DataFrame, options: HitsOptions) -> pd.DataFrame:
    """Measure every batch by its pooled controls, on the normalized scale.

    Parameters
    ----------
    hits
        The table of :func:`hcs.screen.hits.call_hits`.
    options
        ``min_controls``.

    Returns
    -------
    DataFrame
        One row a model × batch: ``n_plates``, ``n_negcon``, ``n_poscon``, ``z_prime``,
        ``robust_z_prime``, ``ssmd_controls``, ``signal_window``. Wells without a batch form one
        of their own.
    """
    normalized = hits.drop(columns=col.LOG_ODDS, errors="ignore")
    screen = read_wells(normalized.assign(**{col.SCORE: hits[col.NORMALIZED]}))
    least = options.min_controls
    negcon = usable_stats(screen, screen.is_negcon, least, "batch")
    poscon = usable_stats(screen, screen.is_poscon, least, "batch")
    first = np.unique(screen.batch, return_index=True)[1]
    columns = [c for c in (col.MODEL, col.BATCH) if c in screen.plates]
    quality = screen.plates[columns].iloc[screen.plate[first]].reset_index(drop=True)
    quality["n_plates"] = groups.count_distinct(screen.batch, screen.plate, screen.n_batches)
    quality["n_negcon"], quality["n_poscon"] = negcon.count, poscon.count
    for name, values in _separation(negcon, poscon).items():
        quality[name] = values
    return quality


def _separation(negcon: groups.GroupStats, poscon: groups.GroupStats) -> dict[str, Floats]:
    return {
        "z_prime": effects.z_prime(negcon, poscon),
        "robust_z_prime": effects.robust_z_prime(negcon, poscon),
        "ssmd_controls": effects.ssmd(poscon, negcon),
        "signal_window": effects.signal_window(negcon, poscon),
    }


def compound_codes(wells: pd.DataFrame) -> groups.Codes:
    """Give a number to each compound × concentration; −1 where a well has no compound."""
    if col.COMPOUND not in wells:
        return np.full(len(wells), -1, dtype=np.intp)
    compound = pd.factorize(wells[col.COMPOUND])[0].astype(np.intp)
    if col.CONCENTRATION_UM not in wells:
        return compound
    dose = pd.factorize(wells[col.CONCENTRATION_UM], use_na_sentinel=False)[0].astype(np.intp)
    pair = compound * (int(dose.max(initial=0)) + 1) + dose
    codes = pd.factorize(pair)[0].astype(np.intp)
    return np.where(compound >= 0, codes, -1)


def replicate_correlation(screen: Screen, compound: groups.Codes) -> Floats:
    """Correlate every plate with its replicate plates.

    Two plates are replicates when they share treated compounds (compound and concentration). The
    Spearman correlation of a plate is that between its compounds' values and the mean of the same
    compounds on all other plates of the model.

    Parameters
    ----------
    screen
        The wells, corrected and normalized so that plates are comparable.
    compound
        Code of each well's compound and concentration, shape ``(N,)``; −1 where it has none.

    Returns
    -------
    ndarray
        Shape ``(n_plates,)``; NaN where fewer than three compounds stand on other plates too.
    """
    kept = screen.usable & screen.is_sample & (compound >= 0)
    value, plate = screen.value[kept], screen.plate[kept]
    n_compounds = int(compound.max(initial=-1)) + 1
    key = screen.model[kept] * max(n_compounds, 1) + compound[kept]
    here = np.unique(plate * (int(key.max(initial=0)) + 1) + key, return_inverse=True)
    cell, n_cells = here[1].astype(np.intp), here[0].size
    cell_mean = groups.group_mean(value, cell, n_cells)
    first = np.unique(cell, return_index=True)[1]
    cell_key, cell_plate = key[first], plate[first]
    n_keys = int(key.max(initial=-1)) + 1
    total = groups.group_sum(cell_mean, cell_key, n_keys)
    n_plates_of = np.bincount(cell_key, minlength=n_keys)
    others = groups.divide(
        total[cell_key] - cell_mean, np.maximum(n_plates_of[cell_key] - 1.0, 0.0)
    )
    return _spearman(cell_mean, others, cell_plate, screen.n_plates)


def apply_limits(
    quality: pd.DataFrame, limits: QualityLimits
) -> tuple[pd.DataFrame, list[PlateFault]]:
    """Mark the plates that break a stated limit.

    A limit on a number that is missing (for example Z' without positive controls) is broken: what
    cannot be shown is not passed.

    Returns
    -------
    DataFrame
        With ``passed`` and ``failed_limits``.
    list of PlateFault
        One a failing plate.
    """
    failures: list[list[str]] = [[] for _ in range(len(quality))]
    for column, limit, is_least in _limits(limits):
        size = quality[column].abs() if column == "ssmd_controls" else quality[column]
        kept = size >= limit if is_least else size <= limit
        for plate in np.flatnonzero(~kept.to_numpy(bool)):
            sign = "<" if is_least else ">"
            failures[plate].append(f"{column} {quality[column].iloc[plate]:.3g} {sign} {limit:g}")
    words = ["; ".join(found) for found in failures]
    marked = quality.assign(passed=[not found for found in failures], failed_limits=words)
    faults = [
        PlateFault.of(quality.iloc[plate], BrokenLimits(text))
        for plate, text in enumerate(words)
        if text
    ]
    return marked, faults


def _limits(limits: QualityLimits) -> list[tuple[str, float, bool]]:
    """Column, limit, and whether it is the least (else the most) that a plate may have."""
    stated = [
        ("z_prime", limits.min_z_prime, True),
        ("robust_z_prime", limits.min_robust_z_prime, True),
        ("ssmd_controls", limits.min_ssmd, True),
        ("cv_negcon", limits.max_cv_negcon, False),
        ("corrected_row_p", limits.min_position_p, True),
        ("corrected_column_p", limits.min_position_p, True),
        ("corrected_edge_p", limits.min_position_p, True),
        ("replicate_correlation", limits.min_replicate_correlation, True),
    ]
    return [(column, limit, least) for column, limit, least in stated if limit is not None]


def _spearman(first: Floats, second: Floats, plate: groups.Codes, n_plates: int) -> Floats:
    """Spearman correlation of pairs within each plate (ranks, then Pearson)."""
    both = np.isfinite(first) & np.isfinite(second)
    ranks = pd.DataFrame({"plate": plate[both], "a": first[both], "b": second[both]})
    ranked = ranks.groupby("plate")[["a", "b"]].rank()
    codes = plate[both]
    a = _center(ranked["a"].to_numpy(np.float64), codes, n_plates)
    b = _center(ranked["b"].to_numpy(np.float64), codes, n_plates)
    products, aa, bb = (groups.group_sum(x, codes, n_plates) for x in (a * b, a * a, b * b))
    enough = np.bincount(codes, minlength=n_plates) >= 3
    return np.where(enough, groups.divide(products, np.sqrt(aa * bb)), np.nan)


def _center(values: Floats, codes: groups.Codes, n_groups: int) -> Floats:
    return values - groups.group_mean(values, codes, n_groups)[codes]
