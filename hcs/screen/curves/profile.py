"""Profile the sum of squares of a log-logistic curve: how far each parameter can move.

Given EC50 and slope, the best asymptotes follow from linear least squares in closed form, also
within limits. What is left to search is a plane, and a plane can be searched on grids, many points
at once: no starting guess, no local minimum, and an interval costs milliseconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from hcs.screen.groups import Flags, Floats, group_sum

N_PARAMETERS: Final = 4
AT_ZERO, AT_INFINITY, LOG10_EC50, LOG10_HILL = range(N_PARAMETERS)

_GRID: Final = {LOG10_EC50: 41, LOG10_HILL: 17}
"""Points of the first grid: a step of about 0.15 decades of EC50 over six decades."""

_PASSES: Final = 10
"""Pattern-search passes; each that stays put halves the step, so 10 reach step / 1,000."""

_REACHES: Final = np.array([0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 6.0, 10.0, 20.0, 50.0])
"""Distances from the best value, in standard errors, where a profile is first looked at."""

_TINY: Final = 1e-300
"""Keeps a division by a sum that may be 0 from failing."""


def share_of_effect(x: Floats, log10_ec50: Floats | float, log10_hill: Floats | float) -> Floats:
    """Share of the way from at_zero to at_infinity, 0..1, at log10 concentration `x`."""
    exponent = np.log(10.0) * np.power(10.0, log10_hill) * (x - log10_ec50)
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * exponent)), np.float64)


@dataclass(frozen=True, slots=True)
class SquaresOfCurve:
    """Sums of squares of one curve's data.

    Attributes
    ----------
    x
        log10 of the *distinct* concentrations, minus infinity at 0, shape ``(c,)``.
    count, total
        Number and sum of the responses at each, shape ``(c,)``: all that a fit can see of them.
    square
        Sum of the squared responses.
    low, high
        Limits of (at_zero, at_infinity, log10_ec50, log10_hill), shape ``(4,)``.
    """

    x: Floats
    count: Floats
    total: Floats
    square: float
    low: Floats
    high: Floats

    @classmethod
    def of(cls, x: Floats, response: Floats, low: Floats, high: Floats) -> SquaresOfCurve:
        """Condense the responses `response` at log10 concentrations `x`, shape ``(n,)`` each."""
        distinct, code = np.unique(x, return_inverse=True)
        count = np.bincount(code).astype(np.float64)
        total = group_sum(response, code.astype(np.intp), distinct.size)
        return cls(distinct, count, total, float(response @ response), low, high)

    def at(
        self, ec50: Floats, hill: Floats, low: Floats | None = None, high: Floats | None = None
    ) -> tuple[Floats, Floats, Floats]:
        """Sum of squares with the best asymptotes within their limits.

        Parameters
        ----------
        ec50, hill
            log10 of both, any shape ``S``.
        low, high
            Limits of the asymptotes in place of the curve's own, shape ``(2, *S)`` or broadcast
            to it; equal ones hold an asymptote fixed.

        Returns
        -------
        squares, at_zero, at_infinity
            Shape ``S`` each.
        """
        low = self.low[:2].reshape(2, *[1] * ec50.ndim) if low is None else low
        high = self.high[:2].reshape(2, *[1] * ec50.ndim) if high is None else high
        up = share_of_effect(self.x, ec50[..., None], hill[..., None])
        down = 1.0 - up
        sums = _Sums(
            (down * down) @ self.count,
            (down * up) @ self.count,
            (up * up) @ self.count,
            down @ self.total,
            up @ self.total,
            self.square,
        )
        return sums.minimum(low, high)

    def best(self) -> Floats:
        """Best parameters over the whole plane, shape ``(4,)``, good to the last grid step."""
        ec50, hill = self._grid()
        squares, _, _ = self.at(ec50, hill)
        first = int(np.argmin(squares))
        _, point = self._descend(ec50[[first]], hill[[first]], free=(True, True))
        return point[:, 0]

    def profile(self, k: int, values: Floats) -> Floats:
        """Least sum of squares with parameter `k` held at each of the values, shape ``(m,)``."""
        ec50, hill = self._grid()
        if k == LOG10_EC50:
            hills = np.unique(hill)
            squares, _, _ = self.at(values[:, None], hills[None, :])
            start = hills[squares.argmin(axis=1)]
            return self._descend(values, start, free=(False, True))[0]
        if k == LOG10_HILL:
            ec50s = np.unique(ec50)
            squares, _, _ = self.at(ec50s[None, :], values[:, None])
            start = ec50s[squares.argmin(axis=1)]
            return self._descend(start, values, free=(True, False))[0]
        low = np.repeat(self.low[:2, None], values.size, axis=1)
        high = np.repeat(self.high[:2, None], values.size, axis=1)
        low[k] = high[k] = values
        squares, _, _ = self.at(ec50[None, :], hill[None, :], low[..., None], high[..., None])
        first = squares.argmin(axis=1)
        return self._descend(ec50[first], hill[first], (True, True), low, high)[0]

    def interval(self, best: Floats, k: int, error: float, allowed: float) -> tuple[float, float]:
        """Range of parameter `k` whose profile stays within `allowed`.

        Parameters
        ----------
        best
            Best parameters.
        k
            Which parameter.
        error
            Its standard error: the scale on which to look first.
        allowed
            Sum of squares at the ends of the interval.

        Returns
        -------
        low, high
            Infinite where the limit of the search is reached: the data do not bound that side.
            Both the value itself where it is held fixed.
        """
        if self.low[k] == self.high[k]:
            return float(best[k]), float(best[k])
        sides = [
            _Side.of(float(best[k]), float(limit), sign, error)
            for sign, limit in ((-1.0, self.low[k]), (1.0, self.high[k]))
        ]
        # Both sides in one call: the cost is in the calls, not in the points.
        for _ in range(2):
            points = [side.points() for side in sides]
            squares = self.profile(k, np.concatenate(points))
            for side, part in zip(sides, np.split(squares, [points[0].size]), strict=True):
                side.narrow(part, allowed)
        return sides[0].end(), sides[1].end()

    def _grid(self) -> tuple[Floats, Floats]:
        axes = [np.linspace(self.low[k], self.high[k], n) for k, n in _GRID.items()]
        ec50, hill = np.meshgrid(*axes)
        return ec50.ravel(), hill.ravel()

    def _descend(
        self,
        ec50: Floats,
        hill: Floats,
        free: tuple[bool, bool],
        low: Floats | None = None,
        high: Floats | None = None,
    ) -> tuple[Floats, Floats]:
        """Pattern search from each of ``m`` points at once; sums ``(m,)`` and points ``(4, m)``."""
        offsets = np.array([(0, 0), *_around(free)], np.float64).T
        steps = [(self.high[k] - self.low[k]) / (n - 1) for k, n in _GRID.items()]
        step = np.ones((ec50.size, 1))
        low = None if low is None else low[..., None]
        high = None if high is None else high[..., None]
        rows = np.arange(ec50.size)
        for _ in range(_PASSES):
            near_ec50 = self._within(LOG10_EC50, ec50[:, None] + step * steps[0] * offsets[0])
            near_hill = self._within(LOG10_HILL, hill[:, None] + step * steps[1] * offsets[1])
            squares, at_zero, at_infinity = self.at(near_ec50, near_hill, low, high)
            best = squares.argmin(axis=1)
            ec50, hill = near_ec50[rows, best], near_hill[rows, best]
            step = np.where(best[:, None] == 0, step / 2, step)
        point = np.stack([at_zero[rows, best], at_infinity[rows, best], ec50, hill])
        return squares[rows, best], point

    def _within(self, k: int, values: Floats) -> Floats:
        return np.clip(values, self.low[k], self.high[k])


@dataclass(frozen=True, slots=True)
class _Sums:
    """What the sum of squares of a₀ down + a₁ up − y needs; shape ``S`` each but `yy`."""

    dd: Floats
    du: Floats
    uu: Floats
    dy: Floats
    uy: Floats
    yy: float

    def minimum(self, low: Floats, high: Floats) -> tuple[Floats, Floats, Floats]:
        """Least squares over a box of (a₀, a₁): the free optimum, or the best of four edges."""
        determinant = self.dd * self.uu - self.du**2
        posed = determinant > 1e-12 * np.maximum(self.dd * self.uu, _TINY)
        safe = np.where(posed, determinant, 1.0)
        free0 = (self.dy * self.uu - self.uy * self.du) / safe
        free1 = (self.uy * self.dd - self.dy * self.du) / safe
        inside = posed & (free0 >= low[0]) & (free0 <= high[0])
        inside &= (free1 >= low[1]) & (free1 <= high[1])
        free0, free1 = (np.broadcast_to(part, inside.shape).copy() for part in (free0, free1))
        if not inside.all():
            free0[~inside], free1[~inside] = self._on_edges(~inside, low, high)
        return self.of(free0, free1), free0, free1

    def _on_edges(self, outside: Flags, low: Floats, high: Floats) -> tuple[Floats, Floats]:
        """Best point of the four edges of the box, where the free optimum lies outside it."""
        (low0, low1), (high0, high1) = (
            np.broadcast_to(limit, (2, *outside.shape))[:, outside] for limit in (low, high)
        )
        dd, du, uu, dy, uy = (
            np.broadcast_to(s, outside.shape)[outside]
            for s in (self.dd, self.du, self.uu, self.dy, self.uy)
        )
        part = _Sums(dd, du, uu, dy, uy, self.yy)
        least = np.full(low0.shape, np.inf)
        best0, best1 = low0.copy(), low1.copy()
        for edge in (low0, high0):
            other = np.clip((part.uy - edge * part.du) / np.maximum(part.uu, _TINY), low1, high1)
            least = _keep_better(least, part.of(edge, other), (best0, best1), (edge, other))
        for edge in (low1, high1):
            other = np.clip((part.dy - edge * part.du) / np.maximum(part.dd, _TINY), low0, high0)
            least = _keep_better(least, part.of(other, edge), (best0, best1), (other, edge))
        return best0, best1

    def of(self, a0: Floats, a1: Floats) -> Floats:
        linear = a0 * self.dy + a1 * self.uy
        square = a0 * a0 * self.dd + 2 * a0 * a1 * self.du + a1 * a1 * self.uu
        return np.maximum(self.yy - 2 * linear + square, 0.0)


def _keep_better(
    least: Floats, squares: Floats, best: tuple[Floats, Floats], point: tuple[Floats, Floats]
) -> Floats:
    """Put `point` into `best` wherever its sum is smaller; return the smaller sums."""
    better = squares < least
    for kept, new in zip(best, point, strict=True):
        np.copyto(kept, new, where=better)
    return np.where(better, squares, least)


def _around(free: tuple[bool, bool]) -> list[tuple[float, float]]:
    """Neighbors of a point in steps: eight in the plane, four on a line."""
    if free == (True, True):
        return [(i, j) for i in (-1.0, 0.0, 1.0) for j in (-1.0, 0.0, 1.0) if (i, j) != (0, 0)]
    line = (-1.0, -0.5, 0.5, 1.0)
    return [(i, 0.0) if free[0] else (0.0, i) for i in line]


@dataclass(slots=True)
class _Side:
    """Search for one end of an interval, at distances from the best value: coarse, then fine.

    `inner` and `outer` bracket the end, `found` lies between; both infinite when the limit of
    the search lies inside the interval.
    """

    best: float
    sign: float
    distances: Floats
    inner: float = 0.0
    outer: float = np.inf
    found: float = np.inf

    @classmethod
    def of(cls, best: float, limit: float, sign: float, error: float) -> _Side:
        reach = abs(limit - best)
        distances = _REACHES * (error if error < reach else reach / _REACHES[-1])
        return cls(best, sign, np.append(distances[distances < reach], reach))

    def points(self) -> Floats:
        return self.best + self.sign * self.distances

    def narrow(self, squares: Floats, allowed: float) -> None:
        """Bracket the first crossing; near it the squares run almost straight between points."""
        beyond = squares > allowed
        if not beyond.any():
            return
        first = int(np.argmax(beyond))
        if first > 0:
            self.inner = float(self.distances[first - 1])
        self.outer = float(self.distances[first])
        width = self.outer - self.inner
        share = 0.5
        if first > 0:
            share = (allowed - float(squares[first - 1])) / float(
                squares[first] - squares[first - 1]
            )
        self.found = self.inner + share * width
        self.distances = np.linspace(self.inner, self.outer, 9)[1:]

    def end(self) -> float:
        return self.best + self.sign * self.found
