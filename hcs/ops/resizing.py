"""Planes of other sizes: resized by area, shrunk, and as the means of blocks in a pyramid."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from hcs.errors import InputError
from hcs.ops.intensity import Plane, check_plane, check_type, has_table

_MAX_COUNTED_FACTOR: Final = 256
"""Largest block whose sum of 16-bit values fits into 32 bits."""


def resize_plane(image: Plane, shape: tuple[int, int]) -> Plane:
    """Resize by area averaging where the plane shrinks and linearly where it grows.

    Each axis is a sparse matrix of weights, so every output pixel is the mean of exactly the
    area it covers and the sum is taken in a fixed order: the same bytes on every machine.

    Parameters
    ----------
    image
        Shape (Y, X), unsigned integer or float.
    shape
        New (Y, X), both at least 1.

    Returns
    -------
    ndarray
        Of the new shape and the same type; integers are rounded, ties to even.

    Raises
    ------
    InputError
        When the new shape has an axis below 1.
    ImageReadError
        As :func:`hcs.ops.intensity.plane_statistics`.
    """
    check_plane(image)
    if len(shape) != 2 or min(shape) < 1:
        msg = f"cannot resize to {shape}; both axes must be at least 1"
        raise InputError(msg)
    if shape == image.shape:
        return image.copy()
    rows = _axis_weights(image.shape[0], shape[0])
    columns = _axis_weights(image.shape[1], shape[1])
    resized = (columns @ (rows @ image.astype(np.float64)).T).T
    return _as_type(resized, image.dtype)


def shrink(image: NDArray[np.float32], factor: float) -> NDArray[np.float32]:
    """Mean over areas of ``factor`` × ``factor`` pixels, which may be parts of pixels.

    Parameters
    ----------
    image
        Shape (Y, X), float32.
    factor
        Edge of an area in pixels, at least 1. It is stretched a little so that whole areas fill
        the image.

    Returns
    -------
    ndarray
        Shape (round(Y / factor), round(X / factor)), at least (1, 1), float32.
    """
    height, width = (max(1, round(n / factor)) for n in image.shape)
    if (height, width) == image.shape:
        return image
    rows = _axis_weights(image.shape[0], height).astype(np.float32)
    columns = _axis_weights(image.shape[1], width).astype(np.float32)
    means: NDArray[np.float32] = (columns @ np.ascontiguousarray((rows @ image).T)).T
    return np.ascontiguousarray(means)


def downsample_mean(image: Plane, factor: int, *, maximum: float | None = None) -> Plane:
    """Mean of blocks of ``factor`` × ``factor`` pixels, for pyramid levels.

    Parameters
    ----------
    image
        Shape (Y, X), unsigned integer or float.
    factor
        Edge of a block, at least 1.
    maximum
        Largest value of the plane where it is known. When ``factor`` of them fit into the pixel
        type, sums down the columns need no wider one: 2048² takes 0.5 ms instead of 1.2.

    Returns
    -------
    ndarray
        Shape (ceil(Y / factor), ceil(X / factor)), same type; blocks that hang over the edge
        are the mean of the pixels that exist; integers are rounded, ties to even.

    Raises
    ------
    InputError
        When the factor is below 1.
    ImageReadError
        When the plane has no pixels, is not two-dimensional or is of another type.
    """
    check_type(image)
    if factor < 1:
        msg = f"cannot downsample by {factor}; the factor must be at least 1"
        raise InputError(msg)
    if factor == 1:
        return image.copy()
    height, width = image.shape
    n_rows, n_columns = -(-height // factor), -(-width // factor)
    narrow = np.uint32 if has_table(image) and factor <= _MAX_COUNTED_FACTOR else np.float64
    fits = maximum is not None and narrow is np.uint32
    fits = fits and (maximum or 0) * factor <= int(np.iinfo(image.dtype).max)
    rows = _row_sums(image, factor, image.dtype.type if fits else narrow)
    sums = _column_sums(rows, factor, narrow)
    if narrow is np.uint32 and height % factor == width % factor == factor & (factor - 1) == 0:
        return _halve_plane(sums, 2 * (factor.bit_length() - 1)).astype(image.dtype)
    row_counts = np.minimum(height - np.arange(n_rows) * factor, factor)
    column_counts = np.minimum(width - np.arange(n_columns) * factor, factor)
    return _as_type(sums / np.outer(row_counts, column_counts), image.dtype)


def _row_sums(image: Plane, factor: int, narrow: type[Any]) -> NDArray[Any]:
    """Sum every ``factor`` rows; the last ones may be fewer."""
    height, width = image.shape
    if height % factor == 0 and image.dtype == narrow:
        blocks = image.reshape(-1, factor, width)
        summed: NDArray[Any] = np.add.reduce(blocks, axis=1, dtype=narrow)
        return summed
    rows = image[::factor].astype(narrow)
    for offset in range(1, min(factor, height)):
        part = image[offset::factor]
        above = rows[: len(part)]
        above += part  # `rows[:n] += part` would copy the rows onto themselves
    return rows


def _column_sums(rows: NDArray[Any], factor: int, narrow: type[Any]) -> NDArray[Any]:
    """Sum every ``factor`` columns; the last ones may be fewer.

    Two neighbors of 16 bits are first added as halves of one number of 32 bits, which lie in order:
    sums over 8 columns of 256 × 2048 take 0.2 ms instead of 0.4.
    """
    width = rows.shape[1]
    if rows.dtype == np.uint16 and factor % 2 == width % 2 == 0:
        pairs = np.ascontiguousarray(rows).view(np.uint32)
        return _column_sums(
            (pairs & np.uint32(0xFFFF)) + (pairs >> np.uint32(16)), factor // 2, narrow
        )
    sums = rows[:, ::factor].astype(narrow)
    for offset in range(1, min(factor, width)):
        strided = rows[:, offset::factor]
        left = sums[:, : strided.shape[1]]
        left += strided
    return sums


def _halve_plane(sums: NDArray[np.uint32], times: int) -> NDArray[np.uint32]:
    """Divide by 2 so many times, rounded to the nearest integer, ties to even; without floats."""
    below_half = np.uint32((1 << times >> 1) - 1)
    odd = (sums >> np.uint32(times)) & np.uint32(1)
    halved: NDArray[np.uint32] = (sums + below_half + odd) >> np.uint32(times)
    return halved


def _axis_weights(n_old: int, n_new: int) -> sparse.csr_array:
    """Weights (n_new, n_old) that resample one axis; rows sum to 1."""
    if n_new < n_old:
        edges = np.arange(n_new + 1) * (n_old / n_new)
        first = np.floor(edges[:-1]).astype(np.intp)
        span = int(np.ceil(n_old / n_new)) + 1
        columns = first[:, None] + np.arange(span)
        overlap = np.minimum(columns + 1, edges[1:, None]) - np.maximum(columns, edges[:-1, None])
        weights = np.clip(overlap, 0, None)
    else:
        centers = np.clip((np.arange(n_new) + 0.5) * (n_old / n_new) - 0.5, 0, n_old - 1)
        first = np.floor(centers).astype(np.intp)
        columns = first[:, None] + np.arange(2)
        above = centers - first
        weights = np.stack([1 - above, above], axis=1)
    weights = weights / weights.sum(axis=1, keepdims=True)
    rows = np.broadcast_to(np.arange(n_new)[:, None], columns.shape)
    kept = (weights > 0) & (columns < n_old)
    return sparse.csr_array((weights[kept], (rows[kept], columns[kept])), shape=(n_new, n_old))


def _as_type(values: NDArray[np.float64], dtype: np.dtype[Any]) -> Plane:
    return (np.rint(values) if dtype.kind == "u" else values).astype(dtype)
