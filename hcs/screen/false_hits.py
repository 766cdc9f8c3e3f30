"""How many of the hits are false: measured on the screen's own wells, beside the stated rate."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import beta, norm, t

from hcs.domain import columns as col
from hcs.domain.config.screening import EmpiricalCall, HitsOptions, RobustZCall, SsmdCall
from hcs.screen.controls import ControlStats, FalseHits, MeasuredError, PlateFault
from hcs.screen.groups import Codes, Flags, Floats, GroupStats, divide
from hcs.screen.plates import Screen
from hcs.screen.significance import leave_one_out_z, orient

_LEAST_TREATED = 20
"""Treated wells that tell where the middle half of a plate's wells lies; fewer ask all plates."""

_LEAST_CONTROLS = 5
"""Controls of a plate, of which one is held out: fewer leave too few to measure it against."""

_SD_OF_QUARTILES = 1.349
"""Interquartile range of a normal distribution, in standard deviations."""

_OUTLYING = 3.0
"""In spreads of the treated wells: 0.3 % of inactive ones lie so far."""

_TOLERATED = 2.0
"""Times the stated rate; one screen's own estimate of so rare an event is no better."""


@dataclass(frozen=True, slots=True)
class Called:
    """How wells were called, shape ``(N,)`` each.

    Attributes
    ----------
    direction
        +1, −1 or 0 (both).
    robust_z, p_value
        Against the reference wells.
    tested, hit
        Wells that could be hits, and those that are.
    """

    direction: Floats
    robust_z: Floats
    p_value: Floats
    tested: Flags
    hit: Flags


@dataclass(frozen=True, slots=True)
class _Cuts:
    """Robust z beyond which a well of each plate is called, above and below, shape ``(P,)``."""

    above: Floats
    below: Floats


def measure_false_hits(
    screen: Screen, controls: ControlStats, called: Called, options: HitsOptions
) -> pd.DataFrame:
    """Estimate the false hits of every plate in two ways that share no assumption.

    *By the treated wells.* Most of them do nothing, so the middle half of a plate's treated wells
    shows where inactive wells lie and how far they spread (Efron's empirical null); wells beyond
    three such spreads are left out of it. The share of
    such a normal distribution beyond the limit of the call, times the wells tested, is the number
    of false hits to expect. It rises where controls do not stand for inactive wells: too few, at
    other places, or treated otherwise.

    *By the negative controls.* Each is held out in turn, measured against the others, and called
    as a treated well would be.

    Parameters
    ----------
    screen, controls
        Wells, corrected and normalized, and what they are measured against.
    called
        How they were called.
    options
        ``call``, ``robust_z_threshold``, ``fdr`` and ``reference``.

    Returns
    -------
    DataFrame
        One row a plate: ``n_tested``, ``n_false_expected`` (NaN where the middle half of the
        treated wells is not known), ``treated_shift`` and ``treated_spread`` (of the treated
        wells, in robust SD of the reference; the shift positive toward hits), ``n_held_out`` and
        ``n_held_out_called``.

    References
    ----------
    Efron 2004, J Am Stat Assoc 99:96-104, doi 10.1198/016214504000000089.
    """
    n = screen.n_plates
    tested = called.tested & np.isfinite(called.robust_z)
    direction = np.zeros(n)
    direction[screen.plate] = called.direction
    cuts = _find_cuts(screen, controls, called, direction, options)
    middle, spread = _middle_half(screen, called.robust_z, tested)
    # Active wells stretch the middle half: those far from the other treated wells are left out.
    distance = np.abs(called.robust_z - middle[screen.plate])
    inner = tested & ~(distance > _OUTLYING * spread[screen.plate])
    middle, spread = _middle_half(screen, called.robust_z, inner)
    above = _tail(cuts.above, middle, spread)
    below = _tail(-cuts.below, middle, spread, upper=False)
    n_tested = np.bincount(screen.plate[tested], minlength=n)
    sign = np.where(direction == 0, np.sign(middle), direction)
    held_out, beyond = _hold_out(screen, controls, called, options)
    return pd.DataFrame(
        {
            "n_tested": n_tested,
            "n_false_expected": n_tested * (above + below),
            "treated_shift": middle * sign,
            "treated_spread": spread,
            "n_held_out": np.bincount(screen.plate[held_out], minlength=n),
            "n_held_out_called": np.bincount(screen.plate[held_out & beyond], minlength=n),
        }
    )


def _middle_half(screen: Screen, z: Floats, tested: Flags) -> tuple[Floats, Floats]:
    """Median and spread of the tested wells of every plate, of all of a model where few."""
    middle, spread = np.full(screen.n_plates, np.nan), np.full(screen.n_plates, np.nan)
    model = np.zeros(screen.n_plates, dtype=np.intp)
    model[screen.plate] = screen.model
    frame = pd.DataFrame({"plate": screen.plate[tested], "z": z[tested]})
    frame["model"] = screen.model[tested]
    of_plate = _quartiles(frame, "plate", screen.n_plates)
    of_model = _quartiles(frame, "model", screen.n_models)
    few = np.bincount(frame["plate"], minlength=screen.n_plates) < _LEAST_TREATED
    low, middle, high = (
        np.where(few, whole[model], own) for own, whole in zip(of_plate, of_model, strict=True)
    )
    spread = (high - low) / _SD_OF_QUARTILES
    enough = np.bincount(frame["model"], minlength=screen.n_models)[model] >= _LEAST_TREATED
    return np.where(enough, middle, np.nan), np.where(enough, spread, np.nan)


def _quartiles(frame: pd.DataFrame, by: str, n: int) -> tuple[Floats, Floats, Floats]:
    """Lower quartile, median and upper quartile of z in each of `n` groups; NaN where empty."""
    order = np.lexsort((frame["z"].to_numpy(), frame[by].to_numpy()))
    z = frame["z"].to_numpy(np.float64)[order]
    counts = np.bincount(frame[by], minlength=n)
    starts = np.cumsum(counts) - counts
    found = []
    for share in (0.25, 0.5, 0.75):
        place = starts + share * np.maximum(counts - 1, 0)
        low = np.minimum(np.floor(place).astype(np.intp), max(z.size - 1, 0))
        high = np.minimum(low + 1, starts + np.maximum(counts - 1, 0))
        high = np.minimum(high, max(z.size - 1, 0))
        value = z[low] + (place - np.floor(place)) * (z[high] - z[low]) if z.size else np.zeros(n)
        found.append(np.where(counts > 0, value, np.nan))
    return found[0], found[1], found[2]


def _tail(limit: Floats, middle: Floats, spread: Floats, *, upper: bool = True) -> Floats:
    """Share of a normal distribution beyond a limit; all or nothing where it has no spread."""
    with np.errstate(invalid="ignore", divide="ignore"):
        distance = (limit - middle) / spread if upper else (middle - limit) / spread
    share = norm.sf(distance)
    no_limit = np.isinf(limit)
    return np.where(no_limit, 0.0, np.where(np.isfinite(middle), share, np.nan))


def _find_cuts(
    screen: Screen, controls: ControlStats, called: Called, direction: Floats, options: HitsOptions
) -> _Cuts:
    """Robust z beyond which a well of each plate is called; infinite where nothing can be."""
    group, model = (np.zeros(screen.n_plates, dtype=np.intp) for _ in range(2))
    group[screen.plate], model[screen.plate] = controls.group, screen.model
    match options.call:
        case SsmdCall():
            cut = np.full(screen.n_plates, options.call.min_ssmd * np.sqrt(2.0))
            above, below = cut, cut
        case EmpiricalCall():
            least = _extreme_of_hits(orient(called.robust_z, called.direction), called, screen)
            above = below = least[model]
        case RobustZCall():
            p = -_extreme_of_hits(-called.p_value, called, screen)[model]
            above, below = _cuts_of_p(controls.reference, group, p, direction)
            above, below = (np.maximum(cut, options.robust_z_threshold) for cut in (above, below))
    return _Cuts(np.where(direction < 0, np.inf, above), np.where(direction > 0, np.inf, below))


def _extreme_of_hits(values: Floats, called: Called, screen: Screen) -> Floats:
    """Least value among the hits of each model; infinite where there is none."""
    least = np.full(screen.n_models, np.inf)
    np.minimum.at(least, screen.model[called.hit], values[called.hit])
    return least


def _cuts_of_p(
    reference: GroupStats, group: Codes, p: Floats, direction: Floats
) -> tuple[Floats, Floats]:
    """Turn the largest p that was called into robust z of each plate, upward and downward."""
    n = reference.count[group].astype(np.float64)
    one_sided = np.where(direction == 0, p / 2, p)
    # No hit has a p of minus infinity; half is as good as any, as no cut comes of it.
    one_sided = np.where(np.isfinite(one_sided), np.clip(one_sided, 0.0, 1.0), 0.5)
    reach = t.isf(one_sided, np.maximum(n - 1, 1))
    reach = reach * reference.sd[group] * np.sqrt(1 + divide(np.ones_like(n), n))
    apart = reference.mean[group] - reference.median[group]
    cuts = (divide(reach + sign * apart, reference.mad[group]) for sign in (1.0, -1.0))
    above, below = (np.where(np.isfinite(p) & np.isfinite(cut), cut, np.inf) for cut in cuts)
    return above, below


def _hold_out(
    screen: Screen, controls: ControlStats, called: Called, options: HitsOptions
) -> tuple[Flags, Flags]:
    """Negative controls that can be held out, and those of them that would be called."""
    own = screen.is_negcon & screen.usable
    z, p = called.robust_z.copy(), called.p_value.copy()
    if options.reference == "controls":
        rows = np.flatnonzero(own)
        group = controls.group[rows]
        z[rows] = leave_one_out_z(screen.value[rows], group, controls.n_groups)
        p[rows] = _leave_one_out_p(
            screen.value[rows], controls.negcon, group, called.direction[rows]
        )
        own &= controls.negcon.count[controls.group] >= _LEAST_CONTROLS
    own &= np.isfinite(z)
    toward = orient(z, called.direction)
    match options.call:
        case SsmdCall():
            beyond = toward >= options.call.min_ssmd * np.sqrt(2.0)
        case EmpiricalCall():
            least = _extreme_of_hits(orient(called.robust_z, called.direction), called, screen)
            beyond = toward >= least[screen.model]
        case RobustZCall():
            most = -_extreme_of_hits(-called.p_value, called, screen)
            beyond = (toward >= options.robust_z_threshold) & (p <= most[screen.model])
    return own, np.asarray(beyond, bool)


def _leave_one_out_p(
    value: Floats, controls: GroupStats, group: Codes, direction: Floats
) -> Floats:
    """P value of each control as one more draw from the others of its group."""
    n = controls.count.astype(np.float64)
    without = (n * controls.mean)[group] - value
    mean = divide(without, (n - 1)[group])
    squares = ((n - 1) * controls.sd**2)[group]
    squares = squares - divide(n, n - 1)[group] * (value - controls.mean[group]) ** 2
    sd = np.sqrt(np.maximum(divide(squares, (n - 2)[group]), 0.0))
    spread = sd * np.sqrt(1 + divide(np.ones_like(n), n - 1))[group]
    statistic = orient(divide(value - mean, spread), direction)
    p = np.asarray(t.sf(statistic, np.maximum(n - 2, 1)[group]), np.float64)
    return np.where(direction == 0, 2 * p, p)


def find_false_hits(quality: pd.DataFrame, options: HitsOptions) -> list[PlateFault]:
    """Name the models whose hits are false more often than stated, by either measure.

    Parameters
    ----------
    quality
        One row a plate, with the columns of :func:`measure_false_hits` and ``n_hits``.
    options
        ``fdr`` and ``call``.

    Returns
    -------
    list of PlateFault
        One a model of which at least one false hit is expected, and more than twice the stated
        rate: by the treated wells, or by the lower limit (97.5 %) of the share of the negative
        controls that were called when held out.
    """
    faults = []
    for model, plates in quality.groupby(col.MODEL, sort=False):
        found = count_false_hits(plates)
        allowed = _TOLERATED * options.fdr * found.n_hits
        expected = max(float(np.nan_to_num(found.by_treated)), found.by_controls_least)
        if not found.n_hits or expected < 1.0 or expected <= allowed:
            continue
        worst = plates.sort_values("n_false_expected", ascending=False, kind="stable").head(3)
        worst = worst[worst["n_false_expected"] >= 1]
        cause = FalseHits(
            found,
            options.fdr if not isinstance(options.call, SsmdCall) else None,
            _median(plates["treated_shift"]),
            _median(plates["treated_spread"]),
            tuple(worst[col.PLATE].astype(str)),
        )
        faults.append(PlateFault(str(model), None, cause))
    return faults


def _median(values: pd.Series) -> float:
    known = values.dropna().to_numpy(np.float64)
    return float(np.median(known)) if known.size else np.nan


def count_false_hits(plates: pd.DataFrame) -> MeasuredError:
    """Add up the measures of the plates of one model.

    References
    ----------
    Clopper & Pearson 1934, Biometrika 26:404-413, doi 10.1093/biomet/26.4.404.
    """
    n_hits, n_tested = int(plates["n_hits"].sum()), int(plates["n_tested"].sum())
    n, k = int(plates["n_held_out"].sum()), int(plates["n_held_out_called"].sum())
    least = float(beta.ppf(0.025, k, n - k + 1)) if k else 0.0
    most = float(beta.ppf(0.975, k + 1, n - k)) if k < n else 1.0
    by_treated = plates["n_false_expected"].sum(min_count=1)
    return MeasuredError(
        n_hits, n_tested, float(by_treated), n, k, least * n_tested, most * n_tested
    )
