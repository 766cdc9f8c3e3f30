"""Makes one plane of a z-stack: its maximum, its mean, or its sharpest plane."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Projection = Literal["max", "mean", "focus"]


def project(planes: Iterable[NDArray[Any]], how: Projection) -> tuple[NDArray[Any], int | None]:
    """Project a z-stack of one channel.

    Parameters
    ----------
    planes
        At least one plane ``(Y, X)``, unsigned integers or floats; a stack ``(Z, Y, X)`` will do.
        They are taken one after the other, so that a deep stack need not be in memory.
    how
        ``max`` or ``mean`` of every pixel (integers are rounded, ties to even), or the plane in
        ``focus`` as it is: the one whose variance over its mean is largest, which of eighteen
        measures of focus did best (Sun et al. 2004, doi 10.1002/jemt.20118). Of equal planes the
        first.

    Returns
    -------
    ndarray
        ``(Y, X)`` of the same type.
    int or None
        Place of the plane that was chosen; None for the maximum and the mean.

    Raises
    ------
    ValueError
        Without planes.
    """
    if how == "focus":
        return _find_sharpest(planes)
    total: NDArray[Any] | None = None
    kind, count = np.dtype(np.float64), 0
    for count, plane in enumerate(planes, start=1):  # noqa: B007 (the count is wanted)
        if total is None:
            kind = plane.dtype
            total = plane.astype(kind if how == "max" else np.float64)
        elif how == "max":
            np.maximum(total, plane, out=total)
        else:
            total += plane
    if total is None:
        raise ValueError(_NOTHING)
    if how == "max":
        return total, None
    total /= count
    return (np.rint(total) if kind.kind in "iu" else total).astype(kind), None


_NOTHING = "a projection needs at least one plane"


def _find_sharpest(planes: Iterable[NDArray[Any]]) -> tuple[NDArray[Any], int]:
    found: tuple[float, NDArray[Any], int] | None = None
    for index, plane in enumerate(planes):
        value = normalized_variance(plane)
        if found is None or value > found[0]:
            found = (value, plane, index)
    if found is None:
        raise ValueError(_NOTHING)
    return found[1], found[2]


def normalized_variance(plane: NDArray[Any]) -> float:
    """Variance of a plane over its mean, in counts; 0 when the mean is not positive."""
    mean = float(plane.mean(dtype=np.float64))
    return float(plane.var(dtype=np.float64)) / mean if mean > 0 else 0.0
