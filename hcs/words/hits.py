"""Why a well or compound is called a hit, what speaks against it, and what is wrong with plates."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from hcs.domain import columns as col
from hcs.domain.config.screening import HitsOptions, RobustZCall, SsmdCall
from hcs.domain.results import Problem
from hcs.screen.calling import is_evident
from hcs.screen.controls import BrokenLimits, NoSpread, PlateFault, TooFew

_WELLS = {
    "samples": "samples",
    "negcon": "negative controls (negcon)",
    "poscon": "positive controls (poscon)",
}


def add_reasons(
    hits: pd.DataFrame, quality: pd.DataFrame, options: HitsOptions | None = None
) -> pd.DataFrame:
    """Add to every well why it is a hit, or why it is none although it looks like one.

    Parameters
    ----------
    hits, quality
        Wells and plates, from :func:`hcs.screen.hits.call_hits`.
    options
        Those that hits were called with.

    Returns
    -------
    DataFrame
        `hits` with ``reasons`` after ``hit``; empty where there is nothing to explain.
    """
    options = options or HitsOptions()
    words = np.full(len(hits), "", dtype=object)
    shown = np.flatnonzero(is_evident(hits, options))
    doubted = _broken_limits(hits, quality)
    rows = hits.iloc[shown].to_dict(orient="records")
    for well, row in zip(shown, rows, strict=True):
        words[well] = _state_evidence(row, options)
        if row[col.TOXIC]:
            words[well] += (
                f"; not a hit: {row[col.CELL_FRACTION]:.0%} of the negative controls' cells "
                f"(limit {options.min_cell_fraction:.0%})"
            )
        elif doubted[well]:
            words[well] += f"; doubtful, its plate failed: {doubted[well]}"
    explained = hits.copy()
    explained.insert(list(explained.columns).index(col.HIT) + 1, col.REASONS, words)
    return explained


def _broken_limits(hits: pd.DataFrame, quality: pd.DataFrame) -> list[str]:
    """Limits that each well's plate breaks; empty where it breaks none."""
    keys = [key for key in (col.MODEL, col.PLATE) if key in hits]
    broken = quality.set_index(keys)["failed_limits"].to_dict()
    names = hits[keys].itertuples(index=False, name=None)
    return [broken[name if len(keys) > 1 else name[0]] for name in names]


def _state_evidence(row: dict[object, float], options: HitsOptions) -> str:
    match options.call:
        case RobustZCall():
            text = f"robust z {row[col.ROBUST_Z]:+.1f} (limit {options.robust_z_threshold:g})"
            if not row[col.TOXIC]:
                text += f", adjusted p {row[col.Q_VALUE]:.2g} (limit {options.fdr:g})"
            return text
        case SsmdCall():
            return f"SSMD {row[col.SSMD]:+.2f} (limit {options.call.min_ssmd:g})"
    name, p = ("adjusted empirical p", row[col.Q_EMPIRICAL])
    if row[col.TOXIC]:
        name, p = ("empirical p", row[col.P_EMPIRICAL])
    return f"{name} {p:.2g} (limit {options.fdr:g})"


def add_compound_reasons(compounds: pd.DataFrame) -> pd.DataFrame:
    """Add to every compound of :func:`hcs.screen.replicates.call_compounds` why it is a hit."""
    reasons = [
        (
            f"{row[col.N_REPLICATES]} replicates on {row['n_plates']} plates: robust z "
            f"{row[col.ROBUST_Z]:+.1f}, SSMD {row[col.SSMD]:+.2f} ({row[col.SSMD_CLASS]}), "
            f"adjusted p {row[col.Q_VALUE]:.2g}"
            if row[col.HIT]
            else ""
        )
        for row in compounds.to_dict(orient="records")
    ]
    return compounds.assign(**{col.REASONS: np.array(reasons, dtype=object)})


def say_faults(faults: Sequence[PlateFault], stage: str) -> tuple[Problem, ...]:
    """Put into words what is wrong with plates, as rows of the problems of a stage."""
    return tuple(
        Problem(
            stage=stage,
            file="",
            reason=fault.cause.reason,
            message=f"model {fault.model}: {_say_cause(fault)}",
            plate=fault.plate,
            kept=True,
        )
        for fault in faults
    )


def _say_cause(fault: PlateFault) -> str:
    cause = fault.cause
    if isinstance(cause, TooFew):
        count = f"{cause.n_usable} usable {_WELLS[cause.wells]}, {cause.n_needed} needed"
        if cause.wells == "poscon":
            return f"{count}: no Z', no rescue"
        way_out = " (reference: samples would measure against the treated wells instead)"
        return f"{count}: no z, no p, no hits{way_out if cause.wells == 'negcon' else ''}"
    if isinstance(cause, NoSpread):
        return f"the MAD of {cause.n_usable} {_WELLS[cause.wells]} is 0: robust z is undefined"
    if isinstance(cause, BrokenLimits):
        return cause.broken
    return (
        f"with {cause.n_controls} negative controls no empirical p is below {cause.least_p:.3g}; "
        f"adjusted over {cause.n_tests} wells none reaches {cause.fdr:g}: call by robust z instead"
    )
