"""Loops over pixels compiled to machine code, where NumPy would make many passes over a plane.

What numba compiles is kept on disk, so that only the first use on a machine waits for it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar, cast

import numba
import numpy as np
from numpy.typing import NDArray

_P = ParamSpec("_P")
_R = TypeVar("_R")


def compiled(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Compile a function of arrays and numbers at its first call; it releases the GIL."""
    return cast("Callable[_P, _R]", numba.njit(cache=True, nogil=True)(function))


@compiled
def ridge_strength(
    padded: NDArray[np.float32], alpha: float, scale: float
) -> NDArray[np.float32]:  # pragma: no cover - runs compiled
    """Strength of ridges at every inner pixel; see :func:`hcs.ops.neurites.ridges.find_ridges`.

    Parameters
    ----------
    padded
        Shape (Y + 2, X + 2): the blurred plane with its edges repeated once.
    alpha
        Weight of the curvature along the line.
    scale
        Factor of the result.

    Returns
    -------
    ndarray
        Shape (Y, X), float32, not negative.
    """
    n_rows, n_columns = padded.shape[0] - 2, padded.shape[1] - 2
    result = np.zeros((n_rows, n_columns), np.float32)
    for r in range(n_rows):
        for c in range(n_columns):
            middle = padded[r + 1, c + 1]
            yy = padded[r + 2, c + 1] + padded[r, c + 1] - 2 * middle
            xx = padded[r + 1, c + 2] + padded[r + 1, c] - 2 * middle
            xy = (
                padded[r + 2, c + 2] + padded[r, c] - padded[r + 2, c] - padded[r, c + 2]
            ) * np.float32(0.25)
            half_trace = (yy + xx) / 2
            half_gap = (yy - xx) / 2
            spread = np.sqrt(half_gap * half_gap + xy * xy)
            value = (1 + alpha) * spread - (1 - alpha) * half_trace
            if value > 0:
                result[r, c] = value * scale
    return result


@compiled
def ridge_centers(
    padded: NDArray[np.float32],
    strength: NDArray[np.float32],
    low: float,
    reach: float,
    max_slope: float,
) -> NDArray[np.intp]:  # pragma: no cover - runs compiled
    """Pixels above a level in which the top of the ridge lies; see ``hcs.ops.neurites.ridges``.

    Parameters
    ----------
    padded
        Shape (Y + 2, X + 2): the blurred plane with its edges repeated once.
    strength
        Shape (Y, X).
    low
        Least strength.
    reach
        How near along both axes the top lies, in pixels.
    max_slope
        Slope along the line over the curvature across that is not exceeded, in pixels.

    Returns
    -------
    ndarray
        Shape (N,): places in the flattened plane, in rising order.
    """
    n_rows, n_columns = strength.shape
    found = np.empty(strength.size, np.intp)
    count = 0
    for r in range(n_rows):
        for c in range(n_columns):
            if strength[r, c] <= low:
                continue
            middle = padded[r + 1, c + 1]
            up, down = padded[r, c + 1], padded[r + 2, c + 1]
            left, right = padded[r + 1, c], padded[r + 1, c + 2]
            yy, xx = down + up - 2 * middle, right + left - 2 * middle
            xy = (padded[r + 2, c + 2] + padded[r, c] - padded[r + 2, c] - padded[r, c + 2]) / 4
            half_gap = (yy - xx) / 2
            spread = np.sqrt(half_gap * half_gap + xy * xy)
            across = (yy + xx) / 2 - spread
            if across >= 0:
                continue
            # Sine and cosine of half the angle whose cosine is half_gap / spread.
            cosine = half_gap / spread if spread > 0 else 1.0
            normal_y = -np.sqrt(max(1 - cosine, 0) / 2) * (1 if xy >= 0 else -1)
            normal_x = np.sqrt(max(1 + cosine, 0) / 2)
            slope_y, slope_x = (down - up) / 2, (right - left) / 2
            offset = -(slope_y * normal_y + slope_x * normal_x) / min(across, -1e-12)
            if abs(offset) * max(abs(normal_y), abs(normal_x)) > reach:
                continue
            # Around a bright spot every ray is a ridge, but one that falls off steeply.
            if abs(slope_x * normal_y - slope_y * normal_x) < -max_slope * across:
                found[count] = r * n_columns + c
                count += 1
    return found[:count].copy()


@compiled
def blur(
    image: NDArray[np.float32], weights: NDArray[np.float32]
) -> NDArray[np.float32]:  # pragma: no cover - runs compiled
    """Convolve both axes with a symmetric kernel, edges repeated.

    Parameters
    ----------
    image
        Shape (Y, X).
    weights
        The kernel from its middle outward.

    Returns
    -------
    ndarray
        Shape (Y, X), float32.
    """
    n_rows, n_columns = image.shape
    reach = weights.size - 1
    down = np.empty((n_rows, n_columns), np.float32)
    result = np.empty((n_rows, n_columns), np.float32)
    row = np.empty(n_columns + 2 * reach, np.float32)
    base = image[0, 0]  # so that an even plane stays even to the last bit
    for r in range(n_rows):
        for c in range(n_columns):
            down[r, c] = weights[0] * (image[r, c] - base)
        for k in range(1, reach + 1):
            above, below = max(r - k, 0), min(r + k, n_rows - 1)
            weight = weights[k]
            for c in range(n_columns):
                down[r, c] += weight * ((image[above, c] - base) + (image[below, c] - base))
        for c in range(row.size):
            row[c] = down[r, min(max(c - reach, 0), n_columns - 1)]
        for c in range(n_columns):
            result[r, c] = weights[0] * row[c + reach]
        for k in range(1, reach + 1):
            weight = weights[k]
            for c in range(n_columns):
                result[r, c] += weight * (row[c + reach - k] + row[c + reach + k])
        for c in range(n_columns):
            result[r, c] += base
    return result
