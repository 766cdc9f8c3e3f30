"""Makes one plane of a z-stack: its maximum, its mean, or its sharpest plane."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Projection = Literal["max", "mean", "best"]


def project(stack: NDArray[Any], how: Projection) -> tuple[NDArray[Any], int | None]:
    """Project a z-stack of one channel.

    Parameters
    ----------
    stack
        ``(Z, Y, X)``, unsigned integers or floats.
    how
        ``max`` or ``mean`` of every pixel (integers are rounded, ties to even), or the ``best``
        plane as it is: the one whose variance over its mean is largest, which of eighteen measures
        of focus did best (Sun et al. 2004, doi 10.1002/jemt.20118). Of equal planes the first.

    Returns
    -------
    ndarray
        ``(Y, X)`` of the same type.
    int or None
        Index of the plane that was chosen; None for the maximum and the mean.
    """
    if how == "max":
        return stack.max(axis=0), None
    if how == "mean":
        mean = stack.mean(axis=0, dtype=np.float64)
        return (np.rint(mean) if stack.dtype.kind == "u" else mean).astype(stack.dtype), None
    sharpest = int(np.argmax([normalized_variance(plane) for plane in stack]))
    return stack[sharpest], sharpest


def normalized_variance(plane: NDArray[Any]) -> float:
    """Variance of a plane over its mean, in counts; 0 when the mean is not positive."""
    mean = float(plane.mean(dtype=np.float64))
    return float(plane.var(dtype=np.float64)) / mean if mean > 0 else 0.0
