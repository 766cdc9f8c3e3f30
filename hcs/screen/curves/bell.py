"""Curves that turn back: an effect that rises and falls again, tested against one that does not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from scipy.optimize import least_squares
from scipy.stats import f as f_distribution
from scipy.stats import t as t_distribution

from hcs.screen.curves.profile import share_of_effect
from hcs.screen.groups import Codes, Floats

CLEAR_P: Final = 0.01
"""Below it a curve is said to turn back: each of a hundred compounds is tested."""

LEAST_CONCENTRATIONS: Final = 6
_N_PARAMETERS: Final = 6
_EXTRA: Final = 2
"""Parameters more than those of a curve that does not turn back."""

_GRID: Final = (31, 31, 9)
"""Points of rise, fall and slope that are searched."""

_LEAST_TURN: Final = 0.2
"""Of the highest effect, that the highest concentration must have lost: else nothing turns."""

_MARGIN_DECADES: Final = 0.5
_APART_DECADES: Final = 0.3
"""Least distance of rise and fall: twice in concentration."""

_LOG10_SLOPES: Final = (-0.3, 1.0)


@dataclass(frozen=True, slots=True)
class Bell:
    """A curve of two sigmoids of one slope, of which the second takes back what the first gave.

    Attributes
    ----------
    p
        Of the test against a curve that does not turn back; NaN where there is too little data.
    at_zero, plateau
        Response without the compound, and what the rise alone would reach.
    at_infinity
        Response beyond the fall.
    log10_rise, log10_fall
        Concentrations half-way up and half-way down.
    rise_low, rise_high
        95 % interval of `log10_rise`; an end beyond the searched range is infinite.
    hill
        Slope of both.
    residual_sd
        With n − 6 degrees of freedom.
    """

    p: float
    at_zero: float = np.nan
    plateau: float = np.nan
    at_infinity: float = np.nan
    log10_rise: float = np.nan
    log10_fall: float = np.nan
    rise_low: float = np.nan
    rise_high: float = np.nan
    hill: float = np.nan
    residual_sd: float = np.nan

    @property
    def is_clear(self) -> bool:
        """Whether the curve turns back."""
        return self.p < CLEAR_P


def fit_bell(
    concentration: Floats, response: Floats, squares: float, confidence: float = 0.95
) -> Bell:
    """Fit a bell-shaped curve, and test it against one that only rises or only falls.

    at_zero + a · S(rise) − b · S(fall), with S the log-logistic sigmoid of a common slope and a, b
    of one sign: a product that stimulates and then inhibits, or rescues and then precipitates. With
    b = 0 it is the four-parameter log-logistic curve, so that an F test compares them. The place
    of the fall does not exist under that hypothesis, so the p value is approximate; simulated, it
    was below 0.01 in fewer than 1 % of curves that do not turn back, with 3 degrees of freedom.

    Parameters
    ----------
    concentration, response
        Shape ``(n,)`` each, finite, concentrations ≥ 0.
    squares
        Residual sum of squares of the best curve that does not turn back.
    confidence
        Of the interval.

    Returns
    -------
    Bell
        Without estimates where there are fewer than 6 concentrations or 8 values.

    References
    ----------
    Such shapes: Brain & Cousens 1989, Weed Res 29:93-96, doi 10.1111/j.1365-3180.1989.tb00845.x;
    Beckon et al. 2008, Environ Sci Technol 42:1308-1314, doi 10.1021/es071148m.
    """
    dosed = concentration > 0
    n = response.size
    freedom = n - _N_PARAMETERS
    if np.unique(concentration[dosed]).size < LEAST_CONCENTRATIONS or freedom < 2:
        return Bell(np.nan)
    x = np.full(n, -np.inf)
    x[dosed] = np.log10(concentration[dosed])
    points, sums = _search(x, response)
    best = _refine(x, response, points[int(np.argmin(sums))])
    least = min(float((_residual(best, x, response) ** 2).sum()), float(sums.min()))
    if not (np.isfinite(least) and squares > 0):
        return Bell(np.nan)
    at_zero, up, down = _weights(best, x, response)
    if _turn(best, up, down, x) < _LEAST_TURN:
        return Bell(1.0)
    gain = max(squares - least, 0.0) / _EXTRA
    p = float(f_distribution.sf(gain / max(least / freedom, 1e-300), _EXTRA, freedom))
    quantile = float(t_distribution.ppf(0.5 + confidence / 2, freedom))
    # The grid's own least: the profile is that of the grid, and lies above the refined one.
    low, high = _interval(points[:, 0], sums, float(sums.min()) * (1 + quantile**2 / freedom))
    rise, fall, slope = (float(value) for value in best)
    return Bell(
        p, at_zero, at_zero + up, at_zero + up - down, rise, fall, low, high,
        float(10.0**slope), float(np.sqrt(least / freedom)),
    )  # fmt: skip


def _search(x: Floats, response: Floats) -> tuple[Floats, Floats]:
    """Points (rise, fall, slope) of a grid, shape ``(m, 3)``, and their least sums of squares."""
    tested = x[np.isfinite(x)]
    low, high = tested.min() - _MARGIN_DECADES, tested.max() + _MARGIN_DECADES
    axes = (
        np.linspace(low, high, _GRID[0]),
        np.linspace(low, high, _GRID[1]),
        np.linspace(*_LOG10_SLOPES, _GRID[2]),
    )
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    points = grid[grid[:, 1] - grid[:, 0] >= _APART_DECADES]
    distinct, code = np.unique(x, return_inverse=True)
    return points, _squares(points, distinct, code.astype(np.intp), response)


def _squares(points: Floats, distinct: Floats, code: Codes, response: Floats) -> Floats:
    """Least sum of squares at each point, with weights of opposite effect; infinite where none."""
    count = np.bincount(code).astype(np.float64)
    total = np.bincount(code, weights=response)
    rise = share_of_effect(distinct, points[:, :1], points[:, 2:])
    fall = share_of_effect(distinct, points[:, 1:2], points[:, 2:])
    # Deviations from the weighted mean: the constant is then solved for.
    middle = total.sum() / count.sum()
    u, v = (part - (part @ count)[:, None] / count.sum() for part in (rise, fall))
    y = total / count - middle
    uu, uv, vv = (((a * b) @ count) for a, b in ((u, u), (u, v), (v, v)))
    uy, vy = ((a * y) @ count for a in (u, v))
    determinant = uu * vv - uv**2
    posed = determinant > 1e-9 * np.maximum(uu * vv, 1e-300)
    safe = np.where(posed, determinant, 1.0)
    up, down = (uy * vv - vy * uv) / safe, (vy * uu - uy * uv) / safe
    within = float(response @ response) - float(count @ (total / count) ** 2)
    left = within + float(count @ y**2) - (up * uy + down * vy)
    return np.where(posed & (up * down < 0), np.maximum(left, 0.0), np.inf)


def _weights(point: Floats, x: Floats, response: Floats) -> tuple[float, float, float]:
    """Constant, height of the rise and depth of the fall at a point."""
    rise, fall, slope = point
    columns = [np.ones_like(x), share_of_effect(x, rise, slope), -share_of_effect(x, fall, slope)]
    found = np.linalg.lstsq(np.column_stack(columns), response, rcond=None)[0]
    return float(found[0]), float(found[1]), float(found[2])


def _turn(point: Floats, up: float, down: float, x: Floats) -> float:
    """Share of the highest effect within the tested concentrations that the highest has lost."""
    rise, fall, slope = point
    places = np.unique(x[np.isfinite(x)])
    effect = up * share_of_effect(places, rise, slope) - down * share_of_effect(places, fall, slope)
    effect = effect * np.sign(up)
    peak = float(effect.max())
    return (peak - float(effect[-1])) / peak if peak > _LEAST_TURN * abs(up) else 0.0


def _residual(point: Floats, x: Floats, response: Floats) -> Floats:
    at_zero, up, down = _weights(point, x, response)
    rise, fall, slope = point
    fitted = at_zero + up * share_of_effect(x, rise, slope) - down * share_of_effect(x, fall, slope)
    return np.asarray(response - fitted, np.float64)


def _refine(x: Floats, response: Floats, start: Floats) -> Floats:
    """Follow the sum of squares downhill from the best point of the grid."""
    tested = x[np.isfinite(x)]
    low, high = tested.min() - _MARGIN_DECADES, tested.max() + _MARGIN_DECADES
    inside = 1e-6
    lows, highs = np.array([low, low, _LOG10_SLOPES[0]]), np.array([high, high, _LOG10_SLOPES[1]])
    first = np.clip(start, lows + inside, highs - inside)
    found = least_squares(_residual, first, bounds=(lows, highs), args=(x, response), max_nfev=30).x
    _, up, down = _weights(found, x, response)
    is_bell = found[1] - found[0] >= _APART_DECADES and up * down > 0
    return np.asarray(found if is_bell else start, np.float64)


def _interval(places: Floats, sums: Floats, allowed: float) -> tuple[float, float]:
    """Range of the rise whose least sum of squares stays within `allowed`, between grid points."""
    values = np.unique(places)
    profile = np.full(values.size, np.inf)
    np.minimum.at(profile, np.searchsorted(values, places), sums)
    inside = np.flatnonzero(profile <= allowed)
    if inside.size == 0:
        inside = np.array([int(np.argmin(profile))])
    ends = []
    for edge, step in ((int(inside[0]), -1), (int(inside[-1]), 1)):
        beyond = edge + step
        if not 0 <= beyond < values.size or not np.isfinite(profile[beyond]):
            ends.append(np.inf * step if not 0 <= beyond < values.size else float(values[edge]))
            continue
        rise = profile[beyond] - profile[edge]
        share = (allowed - profile[edge]) / rise if rise > 0 else 0.5
        ends.append(
            float(values[edge] + np.clip(share, 0.0, 1.0) * (values[beyond] - values[edge]))
        )
    return ends[0], ends[1]
