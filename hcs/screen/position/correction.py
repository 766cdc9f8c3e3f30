"""Take row, column and smooth position effects out of plates; many plates at once.

Effects are estimated from the treated wells alone and applied to all: controls often fill whole
columns, and what makes them differ must not be taken for a column effect.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hcs.domain.config.screening import (
    BScore,
    HitsOptions,
    Loess,
    LoessWithEdge,
    MedianFilter,
    MedianPolish,
    NoCorrection,
    SpatialCorrection,
)
from hcs.screen.groups import Codes, Flags, Floats, nan_median
from hcs.screen.plates import Screen
from hcs.screen.position.smooth import edge_step, local_median, loess_surface


@dataclass(frozen=True, slots=True)
class Polish:
    """A two-way fit of ``P`` plates: value = overall + row + column + residual."""

    overall: Floats
    row: Floats
    column: Floats
    residual: Floats


def median_polish(plates: Floats, tolerance: float = 0.01, max_iterations: int = 10) -> Polish:
    """Tukey's two-way median polish, exactly as R's ``medpolish(x, na.rm = TRUE)``.

    Rows are swept first. A plate is done when the sum of absolute residuals is 0 or changes by
    less than `tolerance` times itself, or after `max_iterations`. Written here because no
    maintained Python package polishes many plates at once, or with missing wells.

    Parameters
    ----------
    plates
        Shape ``(P, R, C)``; NaN where there is no value.
    tolerance
        R's ``eps``.
    max_iterations
        R's ``maxiter``.

    Returns
    -------
    Polish
        ``overall`` ``(P,)``, ``row`` ``(P, R)``, ``column`` ``(P, C)``, ``residual``
        ``(P, R, C)``. The effect of a row or column without values is NaN.

    References
    ----------
    Tukey 1977, Exploratory Data Analysis, Addison-Wesley; in screens: Brideau et al. 2003,
    J Biomol Screen 8:634-647, doi 10.1177/1087057103258285.

    Examples
    --------
    >>> fit = median_polish(np.array([[[1.0, 2.0], [3.0, 4.0]]]))
    >>> fit.overall, fit.row, fit.column
    (array([2.5]), array([[-1.,  1.]]), array([[-0.5,  0.5]]))
    """
    residual = plates.astype(np.float64, copy=True)
    overall = np.zeros(plates.shape[0])
    row, column = np.zeros(plates.shape[:2]), np.zeros((plates.shape[0], plates.shape[2]))
    before = np.zeros(plates.shape[0])
    active = np.arange(plates.shape[0])
    for _ in range(max_iterations):
        if active.size == 0:
            break
        left = residual[active]
        step = nan_median(left, axis=2)
        left -= step[:, :, None]
        row[active] += step
        overall[active] += _center(column, active)
        step = nan_median(left, axis=1)
        left -= step[:, None, :]
        column[active] += step
        overall[active] += _center(row, active)
        residual[active] = left
        after = np.nansum(np.abs(left), axis=(1, 2))
        going = (after != 0) & ~(np.abs(after - before[active]) < tolerance * after)
        before[active] = after
        active = active[going]
    return Polish(overall, row, column, residual)


def _center(effects: Floats, active: Codes) -> Floats:
    """Move the median of the effects into the overall level; return how much was moved."""
    moved = nan_median(effects[active], axis=1)
    effects[active] -= moved[:, None]
    return np.nan_to_num(moved, nan=0.0)


def correction_of(options: HitsOptions) -> SpatialCorrection:
    """Return the spatial correction in force: the B-score brings its own median polish."""
    if isinstance(options.normalization, BScore):
        return MedianPolish(
            tolerance=options.normalization.tolerance,
            max_iterations=options.normalization.max_iterations,
        )
    return options.spatial


def correct(screen: Screen, how: SpatialCorrection) -> tuple[Floats, Floats, Flags]:
    """Subtract position effects from all plates.

    Parameters
    ----------
    screen
        The wells. Effects are estimated from usable samples, and subtracted from every well. A
        well without any sample in its row, column or neighborhood keeps its value.
    how
        The kind of correction.

    Returns
    -------
    corrected
        Values on the scale that they came in, shape ``(N,)``.
    level
        The plate's level around which they lie (overall effect or median), shape ``(N,)``; NaN
        on plates without usable samples, whose values stay as they are.
    seen
        Whether the effect of each well's place is known, shape ``(N,)``. What stayed as it was
        beside corrected wells must not be compared with them.
    """
    corrected = screen.value.copy()
    level = np.full(screen.value.shape, np.nan)
    seen = np.ones(screen.value.shape)
    fitted = screen.usable & screen.is_sample
    for stack in screen.stacks():
        plates = stack.gather(screen.value)
        fit = np.where(stack.gather_flags(fitted), plates, np.nan)
        effect, plate_level = _effects(fit, how)
        stack.scatter(plates - np.nan_to_num(effect, nan=0.0), corrected)
        stack.scatter(np.isfinite(effect).astype(np.float64), seen)
        stack.scatter(np.broadcast_to(plate_level[:, None, None], plates.shape), level)
    return corrected, level, seen > 0


def _effects(fit: Floats, how: SpatialCorrection) -> tuple[Floats, Floats]:
    """Position effect of every well (NaN where unknown) and level of every plate."""
    level = nan_median(fit.reshape(fit.shape[0], -1), axis=1)
    match how:
        case NoCorrection():
            return np.zeros_like(fit), level
        case MedianPolish():
            polish = median_polish(fit, how.tolerance, how.max_iterations)
            effect = polish.row[:, :, None] + polish.column[:, None, :]
            return effect, np.where(np.isfinite(level), polish.overall, np.nan)
        case MedianFilter():
            surface = local_median(fit, how.window_rows, how.window_columns)
        case Loess():
            surface = loess_surface(fit, how.span, how.robust_iterations)
        case LoessWithEdge():
            edge = np.zeros(fit.shape[1:])
            edge[[0, -1], :] = edge[:, [0, -1]] = 1.0
            step = edge_step(fit, how.span, how.robust_iterations)[:, None, None] * edge
            surface = step + loess_surface(fit - step, how.span, how.robust_iterations)
    return surface - level[:, None, None], level
