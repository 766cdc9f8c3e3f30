"""Which way a hit lies: decided once for every model, from the controls of all of its plates."""

from __future__ import annotations

import numpy as np
from scipy.stats import mannwhitneyu, t, ttest_ind

from hcs.domain import columns as col
from hcs.domain.config.screening import HitsOptions
from hcs.screen.controls import (
    ControlStats,
    OppositeControls,
    PlateFault,
    UnclearDirection,
    control_stats,
)
from hcs.screen.groups import Flags, Floats, GroupStats, divide
from hcs.screen.plates import Screen

_CLEAR_P = 0.05
_OPPOSITE_P = 0.01
_STATED = {"increase": 1.0, "decrease": -1.0, "both": 0.0}


def find_direction(
    screen: Screen, options: HitsOptions, *, is_inhibition: bool = False
) -> tuple[Floats, list[PlateFault]]:
    """Find which way a hit lies, +1, −1 or 0 (both), for every well.

    With weak positive controls the medians of one plate part by chance alone, so the plates of a
    model are asked together: every control is measured from the median of its plate's negative
    controls, and both kinds are compared by Welch's t and by Mann-Whitney's U test.

    Parameters
    ----------
    screen
        Wells with comparable values.
    options
        ``direction`` (all but ``auto`` is taken as stated), ``min_controls``, ``score_over``.
    is_inhibition
        Whether hits are looked for in percent inhibition, on which the positive controls of every
        plate lie at 100 by definition, be they ever so weak or swapped. `screen` must then hold
        values that know nothing of the positive controls; where these can be told from the
        negative ones, hits lie up.

    Returns
    -------
    direction
        Shape ``(N,)``. Without positive controls, and where they cannot be told from the negative
        ones, hits lie down for classifier scores (probability of disease) and both ways for others.
    faults
        Models whose positive controls do not tell the direction, and plates on which they lie the
        other way than on all plates together.
    """
    if options.direction != "auto":
        return np.full(screen.value.shape, _STATED[options.direction]), []
    controls = control_stats(screen, options, options.score_over)
    distance = screen.value - controls.negcon.median[controls.group]
    known = screen.usable & np.isfinite(distance)
    direction = np.zeros(screen.value.shape)
    faults: list[PlateFault] = []
    for model in range(screen.n_models):
        wells = screen.model == model
        row = screen.plates.iloc[int(screen.plate[wells][0])]
        name = str(row[col.MODEL])
        usual = -1.0 if name in col.CLASSIFIERS and not is_inhibition else 0.0
        positive = distance[wells & known & screen.is_poscon]
        negative = distance[wells & known & screen.is_negcon]
        found, p = _compare_controls(positive, negative, options.min_controls)
        if found and p > _CLEAR_P:
            faults.append(PlateFault(name, None, UnclearDirection(p, usual)))
        clear = bool(found) and p <= _CLEAR_P
        lies = 1.0 if is_inhibition else found
        direction[wells] = lies if clear else usual
        if clear:
            faults += _find_opposite_plates(screen, controls, wells, found)
    return direction, faults


def _compare_controls(positive: Floats, negative: Floats, at_least: int) -> tuple[float, float]:
    """Direction of the positive controls and its p; direction 0 where there are too few."""
    if min(positive.size, negative.size) < at_least:
        return 0.0, 1.0
    found = mannwhitneyu(positive, negative, alternative="two-sided")
    superiority = float(found.statistic) / (positive.size * negative.size)
    difference = float(np.median(positive) - np.median(negative))
    sign = float(np.sign(superiority - 0.5)) or float(np.sign(difference))
    if min(np.ptp(positive), np.ptp(negative)) == 0.0:
        return sign, float(found.pvalue)
    welch = float(ttest_ind(positive, negative, equal_var=False).pvalue)
    return sign, min(1.0, 2 * min(welch, float(found.pvalue)))  # two tests, one question


def _find_opposite_plates(
    screen: Screen, controls: ControlStats, wells: Flags, direction: float
) -> list[PlateFault]:
    """Name the plates whose own controls clearly lie the other way: swapped, or another assay."""
    negative, positive = controls.negcon, controls.poscon
    statistic, p = _test_difference(positive, negative)
    groups = np.unique(controls.group[wells])
    bad = {
        int(group)
        for group in groups
        if np.sign(statistic[group]) == -direction and p[group] <= _OPPOSITE_P / groups.size
    }
    plates = np.unique(screen.plate[wells & np.isin(controls.group, list(bad))]) if bad else ()
    group_of = dict(zip(screen.plate.tolist(), controls.group.tolist(), strict=True))
    return [
        PlateFault.of(
            screen.plates.iloc[plate], OppositeControls(float(p[group_of[int(plate)]]), direction)
        )
        for plate in plates
    ]


def _test_difference(first: GroupStats, second: GroupStats) -> tuple[Floats, Floats]:
    """Welch's t of the means of each group, and its two-sided p, shape ``(G,)`` each."""
    n_first, n_second = first.count.astype(np.float64), second.count.astype(np.float64)
    square_first, square_second = divide(first.sd**2, n_first), divide(second.sd**2, n_second)
    both = square_first + square_second
    statistic = divide(first.mean - second.mean, np.sqrt(both))
    rest = divide(square_first**2, n_first - 1) + divide(square_second**2, n_second - 1)
    freedom = np.maximum(np.nan_to_num(divide(both**2, rest), nan=1.0), 1.0)
    p: Floats = np.asarray(2 * t.sf(np.abs(statistic), freedom), dtype=np.float64)
    return statistic, p
