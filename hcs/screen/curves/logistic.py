"""Fit one four-parameter log-logistic curve, with intervals, or say why it cannot be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import OptimizeResult, least_squares
from scipy.stats import f as f_distribution
from scipy.stats import t as t_distribution

from hcs.screen.curves.profile import N_PARAMETERS, SquaresOfCurve, share_of_effect
from hcs.screen.groups import Floats

Status = Literal[
    "fitted", "too few values", "too few concentrations", "flat", "outside range", "not converged"
]

_LEAST_CONCENTRATIONS: Final = 4
_LEAST_VALUES: Final = 6
"""Two more than parameters: with fewer degrees of freedom an interval says nothing."""

SLOPES: Final = (0.1, 10.0)
"""Slopes that are searched; steeper ones cannot be told apart at usual dilutions."""

_LOG10_HILL_BOUNDS: Final = tuple(float(np.log10(slope)) for slope in SLOPES)

_EC50_MARGIN_DECADES: Final = 1.0
"""How far beyond the tested concentrations EC50 may be searched for."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Limits of the asymptotes, on the scale of the response; None is no limit.

    Equal limits hold an asymptote fixed: the curve then has a parameter less.
    """

    at_zero: tuple[float | None, float | None] = (None, None)
    at_infinity: tuple[float | None, float | None] = (None, None)

    @property
    def n_free(self) -> int:
        """Number of parameters left to fit."""
        fixed = sum(a is not None and a == b for a, b in (self.at_zero, self.at_infinity))
        return N_PARAMETERS - fixed


@dataclass(frozen=True, slots=True)
class Curve:
    """A fitted curve, or the reason why there is none.

    Attributes
    ----------
    status, message
        ``fitted``, or why not, as a code and in words.
    at_zero, at_infinity
        Response without the compound and at saturation.
    log10_ec50, hill
        Logarithm of the concentration half-way between, and the slope there, always positive.
    intervals
        95 % intervals of (at_zero, at_infinity, log10_ec50, log10_hill), shape ``(4, 2)``; an end
        beyond the searched range is infinite.
    residual_sd
        Standard deviation of the residuals; n − 4 degrees of freedom, one more for each fixed
        asymptote.
    """

    status: Status
    message: str = ""
    at_zero: float = np.nan
    at_infinity: float = np.nan
    log10_ec50: float = np.nan
    hill: float = np.nan
    intervals: NDArray[np.float64] | None = None
    residual_sd: float = np.nan


def log_logistic(
    concentration: Floats, at_zero: float, at_infinity: float, log10_ec50: float, hill: float
) -> Floats:
    """Four-parameter log-logistic response.

    at_zero + (at_infinity − at_zero) / (1 + (EC50 / concentration)^hill); at concentration 0 it
    is at_zero.

    References
    ----------
    Ritz et al. 2015, PLoS ONE 10:e0146021, doi 10.1371/journal.pone.0146021.
    """
    share = share_of_effect(_log10(concentration), log10_ec50, np.log10(hill))
    return at_zero + (at_infinity - at_zero) * share


def fit_curve(
    concentration: Floats,
    response: Floats,
    bounds: Bounds | None = None,
    confidence: float = 0.95,
) -> Curve:
    """Fit a four-parameter log-logistic curve by least squares.

    The start is the best of a grid over EC50 and slope (asymptotes are linear and solved
    exactly), so that the fit does not hang on a guess. Intervals are profile intervals: the
    values whose best fit is not significantly worse (F test).

    Parameters
    ----------
    concentration
        Shape ``(n,)``, any unit, ≥ 0. Repeats are replicates; 0 is the response without compound.
    response
        Shape ``(n,)``; pairs with a missing value are left out.
    bounds
        Limits of the asymptotes, for example 0 to 1.
    confidence
        Of the intervals.

    Returns
    -------
    Curve
        ``fitted``; or not fitted because there are fewer than 6 values or 4 concentrations, the
        response is flat (a constant fits as well, F test at 5 %), EC50 lies outside the tested
        concentrations, or the search did not converge. What is not fitted has no parameters.

    References
    ----------
    Ritz et al. 2015, doi 10.1371/journal.pone.0146021; profile intervals: Bates & Watts 1988,
    Nonlinear Regression Analysis, doi 10.1002/9780470316757.
    """
    concentration, response = _finite_pairs(concentration, response)
    refusal = _too_little(concentration, response)
    if refusal is not None:
        return refusal
    if np.ptp(response) <= 1e-12 * np.max(np.abs(response)):
        return Curve("flat", "all responses are equal")
    bounds = bounds or Bounds()
    x = _log10(concentration)
    low, high = _limits(x, response, bounds)
    data = SquaresOfCurve.of(x, response, low, high)
    solved, best = _polish(x, response, data)
    if not solved.success:
        return Curve("not converged", f"least squares stopped: {solved.message}")
    squares = float(2.0 * solved.cost)
    refusal = _flat(response, squares, bounds.n_free) or _outside(concentration, best)
    if refusal is not None:
        return refusal
    freedom = response.size - bounds.n_free
    quantile = float(t_distribution.ppf(0.5 + confidence / 2, freedom))
    allowed = squares * (1.0 + quantile**2 / freedom)
    errors = _standard_errors(x, best, squares / freedom)
    intervals = np.array(
        [data.interval(best, k, float(errors[k]), allowed) for k in range(N_PARAMETERS)]
    )
    at_zero, at_infinity, log10_ec50, log10_hill = (float(value) for value in best)
    return Curve(
        "fitted",
        at_zero=at_zero,
        at_infinity=at_infinity,
        log10_ec50=log10_ec50,
        hill=float(10.0**log10_hill),
        intervals=intervals,
        residual_sd=float(np.sqrt(squares / freedom)),
    )


def squares_of_logistic(concentration: Floats, response: Floats, bounds: Bounds) -> float:
    """Least residual sum of squares of a log-logistic curve, also where it is no fit to report."""
    x = _log10(concentration)
    low, high = _limits(x, response, bounds)
    data = SquaresOfCurve.of(x, response, low, high)
    solved, _ = _polish(x, response, data)
    return float(2.0 * solved.cost)


def _finite_pairs(concentration: Floats, response: Floats) -> tuple[Floats, Floats]:
    concentration = np.asarray(concentration, np.float64)
    response = np.asarray(response, np.float64)
    kept = np.isfinite(concentration) & np.isfinite(response) & (concentration >= 0)
    return concentration[kept], response[kept]


def _too_little(concentration: Floats, response: Floats) -> Curve | None:
    n_concentrations = np.unique(concentration[concentration > 0]).size
    if n_concentrations < _LEAST_CONCENTRATIONS:
        text = f"{n_concentrations} concentrations above 0, {_LEAST_CONCENTRATIONS} needed"
        return Curve("too few concentrations", text)
    if response.size < _LEAST_VALUES:
        return Curve("too few values", f"{response.size} values, {_LEAST_VALUES} needed")
    return None


def _flat(response: Floats, squares: float, n_free: int) -> Curve | None:
    """Refuse when a constant fits as well: F test with p − 1 and n − p degrees of freedom."""
    total = float(np.sum((response - response.mean()) ** 2))
    freedom = response.size - n_free
    if squares <= 0:
        return None
    statistic = (total - squares) / (n_free - 1) / (squares / freedom)
    p = float(f_distribution.sf(statistic, n_free - 1, freedom))
    if p > 0.05:
        return Curve("flat", f"a constant fits as well as a curve (F test, p = {p:.2g})")
    return None


def _outside(concentration: Floats, best: Floats) -> Curve | None:
    log10_tested = _log10(concentration[concentration > 0])
    if best[2] > log10_tested.max():
        return Curve("outside range", f"EC50 above {concentration.max():.3g}, the highest tested")
    if best[2] < log10_tested.min():
        lowest = concentration[concentration > 0].min()
        return Curve("outside range", f"EC50 below {lowest:.3g}, the lowest tested")
    return None


def _limits(x: Floats, response: Floats, bounds: Bounds) -> tuple[Floats, Floats]:
    """Least and greatest value of each parameter, shape ``(4,)`` each."""
    tested = x[np.isfinite(x)]
    reach = float(np.ptp(response))
    least, most = float(response.min()) - 2 * reach, float(response.max()) + 2 * reach
    asymptotes = [
        (least if low is None else low, most if high is None else high)
        for low, high in (bounds.at_zero, bounds.at_infinity)
    ]
    search = (
        float(tested.min()) - _EC50_MARGIN_DECADES,
        float(tested.max()) + _EC50_MARGIN_DECADES,
    )
    low, high = np.array([*asymptotes, search, _LOG10_HILL_BOUNDS], np.float64).T
    return low, high


def _polish(x: Floats, response: Floats, data: SquaresOfCurve) -> tuple[OptimizeResult, Floats]:
    """Least squares from the best point of the grid, with exact derivatives."""

    def residual(parameters: Floats) -> Floats:
        at_zero, at_infinity, log10_ec50, log10_hill = parameters
        share = share_of_effect(x, log10_ec50, log10_hill)
        return np.asarray(at_zero + (at_infinity - at_zero) * share - response, np.float64)

    def jacobian(parameters: Floats) -> Floats:
        return _gradient(x, parameters)

    # scipy wants room between bounds: a fixed asymptote gets a billionth of the response's range.
    width = data.high - data.low
    room = np.where(width > 0, 0.0, 1e-9 * max(float(np.ptp(response)), 1e-300))
    low, high = data.low - room, data.high + room
    inside = 1e-9 * (high - low)
    first = np.clip(data.best(), low + inside, high - inside)
    result: OptimizeResult = least_squares(
        residual, first, jacobian, bounds=(low, high), x_scale="jac", xtol=1e-12
    )
    return result, np.clip(result.x, data.low, data.high)


def _standard_errors(x: Floats, best: Floats, variance: float) -> Floats:
    """Asymptotic standard errors, infinite where the data do not determine a parameter."""
    gradient = _gradient(x, best)
    inverse = np.diag(np.linalg.pinv(gradient.T @ gradient))
    return np.sqrt(np.where(inverse > 0, inverse, np.inf) * variance)


def _log10(concentration: Floats) -> Floats:
    """Logarithm; minus infinity at 0, without a warning."""
    result = np.full(np.shape(concentration), -np.inf)
    np.log10(concentration, out=result, where=np.asarray(concentration) > 0)
    return result


def _gradient(x: Floats, parameters: Floats) -> Floats:
    """Differentiate the response by each parameter, shape ``(n, 4)``."""
    at_zero, at_infinity, log10_ec50, log10_hill = parameters
    share = share_of_effect(x, log10_ec50, log10_hill)
    steep = share * (1.0 - share) * (at_infinity - at_zero) * np.log(10.0) * 10.0**log10_hill
    distance = np.where(np.isfinite(x), x - log10_ec50, 0.0)
    return np.stack([1.0 - share, share, -steep, steep * distance * np.log(10.0)], axis=1)
