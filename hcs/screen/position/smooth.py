"""Smooth surfaces over plates: a running median, and a robust local quadratic fit."""

from __future__ import annotations

import numpy as np
from threadpoolctl import threadpool_limits

from hcs.domain.constants import MAD_TO_SD
from hcs.screen.groups import Flags, Floats, nan_median

_PLATES_AT_ONCE = 256
"""Plates whose windows lie in memory together: 256 × 384 wells × 25 neighbors × 8 B = 79 MB."""

_TERMS = ((1, 0), (0, 1), (2, 0), (1, 1), (0, 2), (0, 0))
"""Powers of row and column distance in the local quadratic; the constant, wanted alone, is last."""

_STEPS = 3
"""Times that the step at the edge is found: cutting off residuals falls short of a large one."""

_LEAST_DETERMINANT = 1e-9
"""Of the normal matrix with unit diagonal; below it the neighbors do not carry a quadratic."""


def local_median(plates: Floats, window_rows: int, window_columns: int) -> Floats:
    """Median of the window around every well; windows are cut off at the edge of the plate.

    Parameters
    ----------
    plates
        Shape ``(P, R, C)``; NaN where there is no value.
    window_rows, window_columns
        Size of the window; an even size counts one more before than after the well.

    Returns
    -------
    ndarray
        Shape ``(P, R, C)``; NaN where the window holds no value.

    References
    ----------
    Bushway et al. 2011, J Biomol Screen 16:1068-1080, doi 10.1177/1087057111419028.
    """
    result = np.full(plates.shape, np.nan)
    before = (window_rows // 2, window_columns // 2)
    after = ((window_rows - 1) // 2, (window_columns - 1) // 2)
    margins = ((0, 0), (before[0], after[0]), (before[1], after[1]))
    for start in range(0, plates.shape[0], _PLATES_AT_ONCE):
        block = plates[start : start + _PLATES_AT_ONCE]
        padded = np.pad(block, margins, constant_values=np.nan)
        windows = np.lib.stride_tricks.sliding_window_view(
            padded, (window_rows, window_columns), axis=(1, 2)
        )
        flat = windows.reshape(*block.shape, window_rows * window_columns)
        result[start : start + _PLATES_AT_ONCE] = nan_median(flat, axis=-1)
    return result


def loess_surface(plates: Floats, span: float = 0.6, robust_iterations: int = 3) -> Floats:
    """Fit a local quadratic surface in row and column to every plate.

    At each well a quadratic is fitted to the nearest ``span`` of all positions with tricube
    weights of the distance; then, as often as asked, again with bisquare weights of the
    residuals, so that hits do not bend the surface. Neighborhoods are those of the full grid:
    all plates then share one set of weights, and a thousand plates cost a few matrix products.

    Parameters
    ----------
    plates
        Shape ``(P, R, C)``; NaN where there is no value.
    span
        Fraction of the positions in a neighborhood.
    robust_iterations
        0 is a plain fit; R's ``family = "symmetric"`` uses 3 beyond the first.

    Returns
    -------
    ndarray
        The surface at every position, shape ``(P, R, C)``; NaN where too few neighbors have
        values for a quadratic.

    References
    ----------
    Cleveland & Devlin 1988, J Am Stat Assoc 83:596-610, doi 10.1080/01621459.1988.10478639; in
    screens: Boutros, Brás & Huber 2006, Genome Biol 7:R66, doi 10.1186/gb-2006-7-7-r66.
    """
    n_plates, n_rows, n_columns = plates.shape
    n_wells = n_rows * n_columns
    powers = _weigh_powers(n_rows, n_columns, span)
    surface = np.full((n_plates, n_wells), np.nan)
    # Many small products: on a machine that does other work too, threads of BLAS wait for each
    # other longer than they help.
    with threadpool_limits(1, "blas"):
        for start in range(0, n_plates, _PLATES_AT_ONCE):
            values = plates[start : start + _PLATES_AT_ONCE].reshape(-1, n_wells)
            surface[start : start + _PLATES_AT_ONCE] = _robust_fit(
                values, powers, robust_iterations
            )
    return surface.reshape(plates.shape)


def edge_step(plates: Floats, span: float = 0.6, robust_iterations: int = 3) -> Floats:
    """Step between the outermost wells of every plate and the others, over a local surface.

    Evaporation and temperature touch the outermost wells alone: a step, which a smooth surface
    spreads over its neighbors. The step is the least-squares slope of what the surface leaves of
    the values on what it leaves of the step itself (Frisch and Waugh), with residuals cut off at
    three robust SD, found three times.

    Parameters
    ----------
    plates
        Shape ``(P, R, C)``; NaN where there is no value.
    span, robust_iterations
        Of :func:`loess_surface`.

    Returns
    -------
    ndarray
        Shape ``(P,)``; 0 where no outermost or no inner well has a value.

    References
    ----------
    Edge effects: Lundholt et al. 2003, J Biomol Screen 8:566-570, doi 10.1177/1087057103256465.
    Partialling out: Frisch & Waugh 1933, Econometrica 1:387-401, doi 10.2307/1907330.
    """
    edge = np.zeros(plates.shape[1:])
    edge[[0, -1], :] = edge[:, [0, -1]] = 1.0
    present = np.isfinite(plates)
    own = np.where(present, edge, np.nan)
    left_of_edge = np.nan_to_num(own - loess_surface(own, span, 0))
    size = (left_of_edge**2).sum(axis=(1, 2))
    step = np.zeros(plates.shape[0])
    for _ in range(_STEPS):
        moved = plates - step[:, None, None] * edge
        left = moved - loess_surface(moved, span, robust_iterations)
        flat = left.reshape(left.shape[0], -1)
        limit = 3 * MAD_TO_SD * nan_median(np.abs(flat), axis=1)[:, None, None]
        left = np.nan_to_num(np.clip(left, -limit, limit))
        step += np.where(size > 1e-9, (left * left_of_edge).sum(axis=(1, 2)), 0.0) / np.where(
            size > 1e-9, size, 1.0
        )
    return step


def _robust_fit(
    values: Floats, powers: dict[tuple[int, int], Floats], robust_iterations: int
) -> Floats:
    """Surface of some plates, ``(P, W)``, refitted with weights of the residuals."""
    present = np.isfinite(values)
    values = np.where(present, values, 0.0)
    fitted = _local_fit(values, present.astype(np.float64), powers)
    for _ in range(robust_iterations):
        weights = _bisquare(values - fitted, present)
        fitted = _local_fit(values, weights, powers)
    return fitted


def _weigh_powers(n_rows: int, n_columns: int, span: float) -> dict[tuple[int, int], Floats]:
    """Tricube weight × row distanceᵖ × column distanceᑫ of all pairs, for every p + q ≤ 4.

    Distances are in units of each neighborhood's reach. Shape ``(W, W)`` each, the neighbor
    first, so that ``values @ matrix`` sums over the neighbors of every position.
    """
    rows, columns = np.divmod(np.arange(n_rows * n_columns), n_columns)
    y = np.subtract.outer(rows, rows).astype(np.float64)
    x = np.subtract.outer(columns, columns).astype(np.float64)
    distance = np.hypot(y, x)
    n_near = max(int(np.ceil(span * rows.size)), 1)
    reach = np.maximum(np.partition(distance, n_near - 1, axis=0)[n_near - 1], 1.0)
    y, x = y / reach, x / reach
    powers = {(0, 0): (1 - np.minimum(distance / reach, 1.0) ** 3) ** 3}
    for p in range(5):
        for q in range(5 - p):
            if q > 0:
                powers[p, q] = powers[p, q - 1] * x
            elif p > 0:
                powers[p, 0] = powers[p - 1, 0] * y
    return powers


def _local_fit(values: Floats, weights: Floats, powers: dict[tuple[int, int], Floats]) -> Floats:
    """Weighted quadratic at every position of every plate, evaluated there, ``(P, W)``."""
    moments = {power: weights @ matrix for power, matrix in powers.items()}
    weighted = weights * values
    right = [weighted @ powers[term] for term in _TERMS]
    # Scaled to a unit diagonal, so that one threshold tells well from badly posed fits.
    tiny = np.finfo(float).tiny
    scale = [np.sqrt(np.maximum(moments[2 * y, 2 * x], tiny)) for y, x in _TERMS]
    right = [r / s for r, s in zip(right, scale, strict=True)]
    normal = {
        (i, j): moments[_TERMS[i][0] + _TERMS[j][0], _TERMS[i][1] + _TERMS[j][1]]
        / (scale[i] * scale[j])
        for i in range(len(_TERMS))
        for j in range(i, len(_TERMS))
    }
    constant, determinant = _last_unknown(normal, right)
    # Distances are taken from the position itself, so the constant term is the surface there.
    return np.where(determinant > _LEAST_DETERMINANT, constant / scale[-1], np.nan)


def _last_unknown(
    normal: dict[tuple[int, int], Floats], right: list[Floats]
) -> tuple[Floats, Floats]:
    """Last unknown of many small symmetric systems, and their determinants.

    Gaussian elimination over whole arrays at once. `numpy.linalg.solve` calls LAPACK for every
    position of every plate, and finds five unknowns more than are wanted: ten times slower.

    Parameters
    ----------
    normal
        Upper triangles, an array for each ``(i, j)`` with ``i ≤ j``; used up.
    right
        Right-hand sides; used up.
    """
    n = len(right)
    determinant = np.ones_like(right[0])
    for k in range(n - 1):
        determinant = determinant * normal[k, k]
        pivot = np.where(normal[k, k] > _LEAST_DETERMINANT, normal[k, k], 1.0)
        for i in range(k + 1, n):
            factor = normal[k, i] / pivot
            for j in range(i, n):
                normal[i, j] = normal[i, j] - factor * normal[k, j]
            right[i] = right[i] - factor * right[k]
    last = normal[n - 1, n - 1]
    determinant = determinant * last
    return right[-1] / np.where(last > _LEAST_DETERMINANT, last, 1.0), determinant


def _bisquare(residual: Floats, present: Flags) -> Floats:
    """Robustness weights from the residuals of each plate; 1 where all residuals are 0."""
    size = np.where(present, np.abs(residual), np.nan)
    scale = 6.0 * nan_median(size, axis=-1)[:, None]
    ratio = np.where(scale > 0, size / np.where(scale > 0, scale, 1.0), 0.0)
    weights = np.where(ratio < 1, (1 - ratio**2) ** 2, 0.0)
    return np.where(present, np.nan_to_num(weights, nan=0.0), 0.0)
