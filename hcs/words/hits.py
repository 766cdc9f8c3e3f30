"""Why a well or compound is called a hit, what speaks against it, and what is wrong with plates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import pandas as pd

from hcs.domain import columns as col
from hcs.domain.config.screening import HitsOptions, RobustZCall, SsmdCall
from hcs.domain.plate import PertType
from hcs.domain.results import Problem
from hcs.screen.calling import is_evident
from hcs.screen.controls import (
    BrokenLimits,
    FalseHits,
    MeasuredError,
    NoSpread,
    OppositeControls,
    PlateFault,
    PositionEffect,
    TooCoarse,
    TooFew,
    UnclearDirection,
)
from hcs.screen.false_hits import count_false_hits
from hcs.screen.plates import read_kinds
from hcs.screen.significance import orient
from hcs.words.english import join_words, list_some

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
    doubted = _spread_over_wells(hits, quality, "failed_limits")
    placed = _spread_over_wells(hits, quality, "position_effect")
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
        if placed[well] and not row[col.TOXIC]:
            words[well] += f"; doubtful, treated wells of its plate {_FOLLOW[placed[well]]}"
    explained = hits.copy()
    explained.insert(list(explained.columns).index(col.HIT) + 1, col.REASONS, words)
    return explained


def _spread_over_wells(hits: pd.DataFrame, quality: pd.DataFrame, column: str) -> list[str]:
    """Give every well what a column says of its plate."""
    keys = [key for key in (col.MODEL, col.PLATE) if key in hits]
    said = quality.set_index(keys)[column].to_dict()
    names = hits[keys].itertuples(index=False, name=None)
    return [said[name if len(keys) > 1 else name[0]] for name in names]


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
    """Add to every compound of :func:`hcs.screen.replicates.call_compounds` why it is a hit.

    And which of its replicates do not count because nothing could be measured on their plates.
    """
    reasons = []
    for row in compounds.to_dict(orient="records"):
        parts = []
        if row[col.HIT]:
            parts.append(
                f"{_count(row[col.N_REPLICATES], 'replicate')} on "
                f"{_count(row['n_plates'], 'plate')}: robust z {row[col.ROBUST_Z]:+.1f}, SSMD "
                f"{row[col.SSMD]:+.2f} ({row[col.SSMD_CLASS]}), adjusted p {row[col.Q_VALUE]:.2g}"
            )
        if row["n_unmeasured"]:
            parts.append(
                f"{_count(row['n_unmeasured'], 'replicate')} not measured, nothing to compare with "
                f"on {row['unmeasured_plates']}"
            )
        reasons.append("; ".join(parts))
    return compounds.assign(**{col.REASONS: np.array(reasons, dtype=object)})


_SHOWN_WELLS: Final = 3


def describe_controls(hits: pd.DataFrame) -> dict[str, str | int]:
    """Say how many wells of each kind there are, and how many say nothing of their kind."""
    wells = hits.drop_duplicates([col.PLATE, col.WELL])
    kinds = pd.Series(read_kinds(wells)).value_counts()
    counted = [f"{kinds[kind.value]} {kind.value}" for kind in PertType if kind.value in kinds]
    said: dict[str, str | int] = {"kinds of wells": ", ".join(counted)}
    if col.PERT_TYPE in wells and (blank := int(wells[col.PERT_TYPE].isna().sum())):
        said["wells without pert_type"] = f"{blank}, taken for treated wells (trt)"
    return said


def describe_direction(hits: pd.DataFrame) -> str:
    """Say which way hits were looked for, model by model where that differs."""
    way = {1: "above", -1: "below", 0: "both ways"}
    found = hits.groupby(col.MODEL)[col.DIRECTION].first() if col.MODEL in hits else None
    if found is None or found.nunique() <= 1:
        values = hits[col.DIRECTION]
        return way[int(values.iloc[0])] if len(values) else "nowhere"
    return ", ".join(f"{way[int(value)]} for {name}" for name, value in found.items())


def count_hits(hits: pd.DataFrame) -> str | int:
    """Count the hits; where there are several models, those of each."""
    total = int(hits[col.HIT].sum())
    if col.MODEL not in hits or hits[col.MODEL].nunique() <= 1:
        return total
    each = hits.groupby(col.MODEL)[col.HIT].sum()
    return ", ".join(f"{int(number)} of {name}" for name, number in each.items())


def name_strongest(hits: pd.DataFrame) -> str:
    """Name the treated wells that come nearest to a hit, by their robust z."""
    known = hits[hits[col.USABLE] & hits[col.ROBUST_Z].notna()]
    known = known[read_kinds(known) == PertType.TREATMENT.value]
    toward = orient(
        known[col.ROBUST_Z].to_numpy(np.float64), known[col.DIRECTION].to_numpy(np.float64)
    )
    first = known.iloc[np.argsort(-toward, kind="stable")[:_SHOWN_WELLS]]
    named = [
        f"{row[col.PLATE]} {row[col.WELL]} (robust z {row[col.ROBUST_Z]:+.1f}, adjusted p "
        f"{row[col.Q_VALUE]:.2g})"
        for row in first.to_dict(orient="records")
    ]
    return ", ".join(named) or "none: no well could be measured against a reference"


def describe_errors(quality: pd.DataFrame) -> str:
    """Say what is measured of the false hits of each model; empty where there are no hits."""
    said = {}
    for model, plates in quality.groupby(col.MODEL, sort=False):
        found = count_false_hits(plates)
        if found.n_hits and (words := describe_error(found)):
            said[str(model)] = words
    named = [f"{model}: {words}" if len(said) > 1 else words for model, words in said.items()]
    return "; ".join(named)


def describe_power(power: pd.DataFrame) -> str:
    """Say which effects are found with one replicate and more, model by model."""
    said = []
    for model, rows in power.groupby(col.MODEL, sort=False):
        rows = rows.head(3)  # noqa: PLW2901
        sizes = join_words(f"{value:.1f}" for value in rows["effect_sd"])
        counts = join_words(str(number) for number in rows["n_replicates"])
        text = f"effects of {sizes} robust SD with {counts} replicates"
        if rows["effect_rescue"].notna().all():
            shares = join_words(f"{value:.0%}" for value in rows["effect_rescue"])
            text += f" ({shares} of the way to the positive controls)"
        said.append((str(model), text))
    return "; ".join(f"{model}: {text}" if len(said) > 1 else text for model, text in said)


def describe_positions(quality: pd.DataFrame) -> str:
    """Count the plates whose treated wells follow their place; empty where none do."""
    along = quality["position_effect"]
    counts = along[along != ""].value_counts()
    return ", ".join(f"{name} on {number} of {len(quality)}" for name, number in counts.items())


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def say_faults(
    faults: Sequence[PlateFault], stage: str, advice: Mapping[str, str] | None = None
) -> tuple[Problem, ...]:
    """Put into words what is wrong with plates, as rows of the problems of a stage.

    Parameters
    ----------
    faults, stage
        What was found, and by which stage.
    advice
        What to do about position effects, by model (:func:`advise_correction`).
    """
    advice = advice or {}
    return tuple(
        Problem(
            stage=stage,
            file="",
            reason=fault.cause.reason,
            message=f"model {fault.model}: {_say_cause(fault, advice)}",
            plate=fault.plate,
            kept=True,
        )
        for fault in faults
    )


_FOLLOW: Final = {
    "row": "follow the row",
    "column": "follow the column",
    "edge": "lie apart at the edge",
    "corner": "lie apart in the corners",
    "surface": "follow a slope or bowl over the plate",
}


def advise_correction(tried: pd.DataFrame, options: HitsOptions) -> dict[str, str]:
    """Say for every model which correction its plates need, and what the others leave.

    Parameters
    ----------
    tried
        From :func:`hcs.screen.position.advice.try_corrections`.
    options
        Those that hits were called with.
    """
    return {
        str(model): _advise(rows, options) for model, rows in tried.groupby(col.MODEL, sort=False)
    }


def _advise(rows: pd.DataFrame, options: HitsOptions) -> str:
    if follows := str(rows["doses_follow"].iloc[0]):
        return (
            f"no correction is advised: concentrations follow the {follows}, so that an effect of "
            "the place cannot be told from that of the dose, and a correction would take out both"
        )
    left = dict(zip(rows["correction"], rows["n_left"], strict=True))
    of = f"of {_count(int(rows['n_plates'].iloc[0]), 'plate')}"
    advised = rows[rows["advised"]]
    if advised.empty:
        return f"no correction leaves it on fewer {of}: does the layout follow it?"
    name = str(advised["correction"].iloc[0])
    others = ", ".join(
        f"{other} {number}" for other, number in left.items() if other not in {name, "none"}
    )
    if name == options.spatial.kind:
        return f"--correct {name} leaves it on {left[name]} {of}, the others on more ({others})"
    samples = ""
    if not advised["controls_compare"].iloc[0] and options.reference == "controls":
        samples = " with --reference samples (its controls stand where it cannot see)"
    return (
        f"compare with --correct {name}{samples}, which leaves it on {left[name]} {of} ({others})"
    )


def _say_position(cause: PositionEffect, advice: str | None) -> str:
    still = " also after the correction" if cause.is_corrected else ""
    advice = advice or f"compare with {'another --correct' if still else '--correct loess'}"
    together = f" of all {cause.n_plates} plates together" if cause.n_plates > 1 else ""
    called = f"its {_count(cause.n_hits, 'hit')}" if cause.n_hits else "a hit there"
    return (
        f"treated wells{together} {_FOLLOW[cause.along]}{still} ({cause.share:.0%} of the "
        f"variance, p {cause.p:.2g}): {called} may be no more than its place. Unless treatments "
        f"were laid out so, {advice}"
    )


def _say_false_hits(cause: FalseHits) -> str:
    found = cause.measured
    stated = "the call states no rate" if cause.stated is None else f"stated {cause.stated:.0%}"
    shift = abs(cause.shift)
    toward = "toward hits" if cause.shift > 0 else "away from hits"
    plates = f", most on {list_some(list(cause.plates), 3)}" if cause.plates else ""
    return (
        f"{describe_error(found)}; {stated}{plates}. Treated wells lie {shift:.1f} robust SD "
        f"{toward} and spread {cause.spread:.1f} times as far as the negative controls: either "
        "these do not stand for inactive wells (too few, at other places, treated otherwise), or "
        "many compounds are active. Compare with --reference samples or another --correct"
    )


def describe_error(found: MeasuredError) -> str:
    """Say how many of the hits are expected to be false, by treated wells and by controls."""
    parts = []
    if 2 * found.n_hits > found.n_tested:
        parts.append(
            f"{found.n_hits} of {found.n_tested} treated wells are hits, too many for them to show "
            "where inactive wells lie"
        )
    elif np.isfinite(found.by_treated):
        expected = min(found.by_treated, found.n_hits)
        parts.append(
            f"about {expected:.1f} of {_count(found.n_hits, 'hit')} false by the spread of the "
            f"treated wells ({expected / max(found.n_hits, 1):.0%})"
        )
    if found.n_held_out:
        most = min(found.by_controls_most, found.n_hits)
        parts.append(
            f"{found.n_called} of {_count(found.n_held_out, 'negative control')} called when held "
            f"out (which allows {found.by_controls_least:.0f} to {most:.0f} false hits)"
        )
    return "; ".join(parts)


def _say_cause(fault: PlateFault, advice: Mapping[str, str]) -> str:
    match fault.cause:
        case TooFew() as cause:
            text = _say_too_few(cause)
        case NoSpread() as cause:
            text = (
                f"the MAD of {cause.n_usable} {_WELLS[cause.wells]} is 0 (or no more than "
                "rounding): robust z is undefined"
            )
        case BrokenLimits() as cause:
            text = cause.broken
        case UnclearDirection() as cause:
            taken = "below" if cause.taken < 0 else "both ways"
            text = (
                f"positive and negative controls cannot be told apart (p {cause.p:.2g}), so hits "
                f"are looked for {taken}; state --direction increase or decrease where it is known"
            )
        case OppositeControls() as cause:
            way = "below" if cause.direction > 0 else "above"
            text = (
                f"its positive controls lie {way} the negative ones (p {cause.p:.2g}), the other "
                "way than on all plates together: are they swapped in the plate map?"
            )
        case PositionEffect() as cause:
            text = _say_position(cause, advice.get(fault.model))
        case FalseHits() as cause:
            text = _say_false_hits(cause)
        case TooCoarse() as cause:
            text = (
                f"with {cause.n_controls} negative controls no empirical p is below "
                f"{cause.least_p:.3g}; adjusted over {cause.n_tests} wells none reaches "
                f"{cause.fdr:g}: call by robust z instead"
            )
    return text


def _say_too_few(cause: TooFew) -> str:
    count = f"{cause.n_usable} usable {_WELLS[cause.wells]}, {cause.n_needed} needed"
    if cause.wells == "poscon" and not cause.n_unseen:
        return f"{count}: no Z', no rescue"
    missing = "no rescue" if cause.wells == "poscon" else "no z, no p, no hits"
    way_out = ""
    if cause.n_unseen:
        way_out = (
            f" ({cause.n_unseen} more stand in rows or columns without treated wells, whose "
            "position effect this correction cannot see: --correct loess can, and --reference "
            "samples needs no controls)"
        )
    elif cause.wells == "negcon":
        way_out = (
            " (--reference samples would measure against the treated wells instead; --score-over "
            "batch against the controls of all plates of a batch, where these are comparable)"
        )
    return f"{count}: {missing}{way_out}"
