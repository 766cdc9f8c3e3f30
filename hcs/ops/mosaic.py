"""All fields of a well in one small picture, in rows in the order of their numbers."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


def place_fields(count: int, edge: int) -> Iterator[tuple[slice, slice]]:
    """Say where in a square of this edge each of so many fields lies, in pixels."""
    grid = math.ceil(math.sqrt(count))
    side = field_edge(count, edge)
    for number in range(count):
        top, left = number // grid * side, number % grid * side
        yield slice(top, top + side), slice(left, left + side)


def field_edge(count: int, edge: int) -> int:
    """Edge of each of so many fields in a square of this edge, in pixels; at least 1."""
    return max(1, edge // max(1, math.ceil(math.sqrt(count))))


def lay_out(pictures: Sequence[NDArray[Any]], edge: int) -> NDArray[Any]:
    """Put the fields of a well beside each other.

    Parameters
    ----------
    pictures
        At least one field, shape (…, Y, X) each.
    edge
        Of the square to fill, in pixels.

    Returns
    -------
    ndarray
        Shape (…, edge, edge), of the pictures' type; 0 where there is no field.
    """
    first = pictures[0]
    square = np.zeros((*first.shape[:-2], edge, edge), first.dtype)
    side = field_edge(len(pictures), edge)
    for picture, (rows, columns) in zip(pictures, place_fields(len(pictures), edge), strict=True):
        square[..., rows, columns] = shrink(picture, side)
    return square


def shrink(picture: NDArray[Any], side: int) -> NDArray[Any]:
    """Shrink to a square: each pixel the mean of four of its block, which is quick and enough.

    Thousands of fields are shrunk; the mean of whole blocks takes ten times as long.

    Parameters
    ----------
    picture
        Shape (…, Y, X). Its longer edge fills the square; the last row or column of the shorter
        one is repeated.
    side
        Edge of the square, in pixels.

    Returns
    -------
    ndarray
        Shape (…, side, side), of the picture's type.
    """
    factor = max(1, max(picture.shape[-2:]) // side)
    half = factor // 2
    height, width = (max(1, length // factor) * factor for length in picture.shape[-2:])
    means = np.zeros((*picture.shape[:-2], height // factor, width // factor), np.float32)
    for row, column in ((0, 0), (0, half), (half, 0), (half, half)):
        means += picture[..., row:height:factor, column:width:factor]
    longest = max(means.shape[-2:])
    rows, columns = (
        np.minimum((np.arange(side) * longest) // side, length - 1) for length in means.shape[-2:]
    )
    small = means[..., rows[:, None], columns] * np.float32(0.25)
    if picture.dtype.kind != "f":
        small = np.rint(small)
    shrunk: NDArray[Any] = small.astype(picture.dtype)
    return shrunk
