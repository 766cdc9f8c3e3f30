"""Which wells are hits, and how sure is that."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from hcs.domain import columns as col
from hcs.domain.config.screening import (
    EmpiricalCall,
    HitsOptions,
    NoCorrection,
    PercentInhibition,
    RobustZScore,
)
from hcs.screen import effects
from hcs.screen.calling import is_evident
from hcs.screen.controls import (
    ControlStats,
    PlateFault,
    TooCoarse,
    control_stats,
    find_control_faults,
    usable_stats,
)
from hcs.screen.curves.growth import growth_rate_inhibition
from hcs.screen.direction import find_direction
from hcs.screen.false_hits import Called, find_false_hits, measure_false_hits
from hcs.screen.groups import Flags, Floats, divide
from hcs.screen.normalize import normalize, z_score
from hcs.screen.plates import Screen, read_wells
from hcs.screen.position.correction import correct, correction_of
from hcs.screen.position.testing import find_position_effects, shared_position_tests
from hcs.screen.quality import apply_limits, compound_codes, plate_quality, replicate_correlation
from hcs.screen.rescue import rescue_interval, rescue_score
from hcs.screen.significance import adjust, empirical_p, leave_one_out_z, orient, prediction_p


@dataclass(frozen=True, slots=True)
class _Statistics:
    """What is known of every well before it is called, shape ``(N,)`` each."""

    direction: Floats
    robust_z: Floats
    ssmd: Floats
    p_value: Floats
    q_value: Floats
    p_empirical: Floats
    q_empirical: Floats
    n_null: Floats
    cell_fraction: Floats
    toxic: Flags
    tested: Flags


def call_hits(
    wells: pd.DataFrame, options: HitsOptions | None = None
) -> tuple[pd.DataFrame, pd.DataFrame, list[PlateFault]]:
    """Correct, normalize, test and call all wells of all plates.

    Parameters
    ----------
    wells
        One row a model × plate × well, as :func:`hcs.screen.aggregate.well_scores` gives them.
    options
        The choices; the defaults are robust z ≥ 3 toward the positive controls, and at most 5 %
        false discoveries.

    Returns
    -------
    hits
        The rows and columns of `wells` and ``corrected``, ``normalized``, ``robust_z``,
        ``ssmd``, ``ssmd_class``, ``p_value``, ``q_value``, ``p_empirical``, ``q_empirical``,
        ``n_null``, ``rescue``, ``rescue_low``, ``rescue_high``, ``cell_fraction``, ``toxic``,
        ``hit_direction``, ``hit`` and ``plate_passed``; ``gr`` where cells at time zero
        are known. Statistics that cannot be had are null. Only usable treated wells can be hits.
        An empty table gives an empty table.
    quality
        One row a plate, see :func:`hcs.screen.quality.plate_quality`.
    faults
        Plates without usable controls, without spread between controls, with an effect of the
        place, or beyond a stated limit; models whose hits are false more often than stated.

    Raises
    ------
    UnknownNameError, InputError
        See :func:`hcs.screen.plates.read_wells`.
    """
    options = options or HitsOptions()
    raw = read_wells(wells)
    how = correction_of(options)
    corrected_value, level, seen = correct(raw, how)
    is_corrected = not isinstance(how, NoCorrection)
    # The same wells where nothing is corrected: tests of place are then made once.
    shown = raw.with_value(corrected_value) if is_corrected else raw
    # A control that keeps its value beside corrected samples would make hits of a gradient.
    corrected = replace(shown, usable=shown.usable & seen)
    scaled = corrected.with_value(normalize(corrected, level, options))
    measured = control_stats(corrected, options, options.score_over).reference
    controls = control_stats(scaled, options, options.score_over).without_spread(measured.mad == 0)
    direction, unclear = _find_way(shown, corrected, level, scaled.value, options)
    found = _statistics(scaled, controls, direction, options)

    hits = _lay_out(wells, corrected, scaled, controls, found)
    hits[col.HIT] = is_evident(hits, options) & ~found.toxic
    if col.CELLS_AT_ZERO in wells:
        hits[col.GR] = _growth(raw, wells, options)

    quality = plate_quality(raw, shown, options)
    quality["replicate_correlation"] = replicate_correlation(scaled, compound_codes(wells))
    _count_hits(quality, scaled, controls, found, hits[col.HIT].to_numpy(bool), options)
    quality, failed = apply_limits(quality, options.limits)
    hits[col.PLATE_PASSED] = quality["passed"].to_numpy(bool)[raw.plate]
    faults = find_control_faults(corrected, options, shown.usable & ~seen) + unclear
    faults += _find_coarse_models(scaled, found, options)
    shared = shared_position_tests(shown)
    faults += find_position_effects(quality, shared, is_corrected=is_corrected)
    faults += find_false_hits(quality, options)
    return hits, quality, faults + failed


def _count_hits(
    quality: pd.DataFrame,
    scaled: Screen,
    controls: ControlStats,
    found: _Statistics,
    is_hit: Flags,
    options: HitsOptions,
) -> None:
    """Add to every plate how many hits it has, and how many of them are expected to be false."""
    quality["n_hits"] = np.bincount(scaled.plate[is_hit], minlength=scaled.n_plates)
    called = Called(found.direction, found.robust_z, found.p_value, found.tested, is_hit)
    errors = measure_false_hits(scaled, controls, called, options)
    for name in errors:
        quality[name] = errors[name].to_numpy()


def _find_way(
    shown: Screen, corrected: Screen, level: Floats, scaled: Floats, options: HitsOptions
) -> tuple[Floats, list[PlateFault]]:
    """Find which way a hit lies on the scale of the normalized values."""
    is_inhibition = isinstance(options.normalization, PercentInhibition)
    if is_inhibition and options.direction == "auto":
        alone = options.model_copy(update={"normalization": RobustZScore()})
        scaled = normalize(corrected, level, alone)
    # Both kinds of controls are alike in what a correction cannot see: they still show the way.
    placed = replace(shown.with_value(scaled), usable=shown.usable & np.isfinite(scaled))
    return find_direction(placed, options, is_inhibition=is_inhibition)


def _lay_out(
    wells: pd.DataFrame,
    corrected: Screen,
    scaled: Screen,
    controls: ControlStats,
    found: _Statistics,
) -> pd.DataFrame:
    """Put the statistics beside the wells, in the order in which a reader wants them."""
    hits = wells.reset_index(drop=True)
    hits[col.CORRECTED], hits[col.NORMALIZED] = corrected.value, scaled.value
    hits[col.ROBUST_Z], hits[col.SSMD] = found.robust_z, found.ssmd
    hits[col.SSMD_CLASS] = effects.ssmd_class(found.ssmd)
    hits[col.P_VALUE], hits[col.Q_VALUE] = found.p_value, found.q_value
    hits[col.P_EMPIRICAL], hits[col.Q_EMPIRICAL] = found.p_empirical, found.q_empirical
    hits[col.N_NULL] = found.n_null
    placed = (scaled.value, controls.negcon, controls.poscon, controls.group)
    hits[col.RESCUE] = rescue_score(*placed)
    hits[col.RESCUE_LOW], hits[col.RESCUE_HIGH] = rescue_interval(*placed)
    hits[col.CELL_FRACTION], hits[col.TOXIC] = found.cell_fraction, found.toxic
    hits[col.DIRECTION] = found.direction.astype(np.int8)
    return hits


def _growth(screen: Screen, wells: pd.DataFrame, options: HitsOptions) -> Floats:
    """Growth-rate inhibition of every well against the plate's negative controls."""
    counted = screen.with_value(screen.cells)
    controls = usable_stats(counted, screen.is_negcon, options.min_controls)
    at_zero = wells[col.CELLS_AT_ZERO].to_numpy(np.float64, na_value=np.nan)
    return growth_rate_inhibition(screen.cells, controls.median[screen.plate], at_zero)


def _statistics(
    screen: Screen, controls: ControlStats, direction: Floats, options: HitsOptions
) -> _Statistics:
    group, reference = controls.group, controls.reference
    robust_z = z_score(screen.value, reference.median[group], reference.mad[group])
    p_value = prediction_p(screen.value, reference, group, direction)
    p_empirical, n_null = _empirical(screen, controls, robust_z, direction)
    cell_fraction = _cell_fraction(screen, options)
    toxic = cell_fraction < options.min_cell_fraction
    # Toxic wells are never called: among the tests, their small p would buy others a place.
    tested = screen.is_sample & screen.usable & ~toxic
    return _Statistics(
        direction=direction,
        robust_z=robust_z,
        ssmd=effects.robust_ssmd_of_single(
            screen.value, reference.median[group], reference.mad[group]
        ),
        p_value=p_value,
        q_value=adjust(p_value, screen.model, tested),
        p_empirical=p_empirical,
        q_empirical=adjust(p_empirical, screen.model, tested),
        n_null=n_null,
        cell_fraction=cell_fraction,
        toxic=toxic,
        tested=tested,
    )


def _empirical(
    screen: Screen, controls: ControlStats, robust_z: Floats, direction: Floats
) -> tuple[Floats, Floats]:
    """Empirical p against the pooled, normalized negative controls of all of a model's plates.

    And how many controls each rests on.
    """
    p, n_null = np.full(robust_z.shape, np.nan), np.zeros(robust_z.shape)
    null_rows = np.flatnonzero(controls.is_reference & screen.usable)
    null = leave_one_out_z(screen.value[null_rows], controls.group[null_rows], controls.n_groups)
    null = orient(null, direction[null_rows])
    score = orient(robust_z, direction)
    for model in range(screen.n_models):
        wells = screen.model == model
        own = null[screen.model[null_rows] == model]
        p[wells] = empirical_p(score[wells], own)
        n_null[wells] = np.isfinite(own).sum()
    return p, n_null


def _cell_fraction(screen: Screen, options: HitsOptions) -> Floats:
    """Cell count over the median count of the plate's negative controls."""
    counted = screen.with_value(screen.cells)
    reference = screen.is_sample if options.reference == "samples" else screen.is_negcon
    stats = usable_stats(counted, reference, options.min_controls)
    return divide(screen.cells, stats.median[screen.plate])


def _find_coarse_models(
    screen: Screen, found: _Statistics, options: HitsOptions
) -> list[PlateFault]:
    """Find the models with too few controls for any empirical p to reach the rate."""
    faults: list[PlateFault] = []
    if not isinstance(options.call, EmpiricalCall):
        return faults
    for model in range(screen.n_models):
        wells = (screen.model == model) & found.tested
        p, q = found.p_empirical[wells], found.q_empirical[wells]
        n_null = int((screen.usable & screen.is_negcon & (screen.model == model)).sum())
        least = 1.0 / (1.0 + n_null)
        stuck = (p <= least * (1 + 1e-9)).any() and not (q <= options.fdr).any()
        if stuck:
            plate = screen.plates.iloc[int(screen.plate[screen.model == model][0])]
            cause = TooCoarse(n_null, least, p.size, options.fdr)
            faults.append(PlateFault(str(plate[col.MODEL]), None, cause))
    return faults
