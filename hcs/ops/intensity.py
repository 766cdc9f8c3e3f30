"""Gray levels of one plane: the study's normalization, and summaries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hcs.domain.columns import Reason
from hcs.errors import ImageReadError, InputError

Plane = NDArray[Any]
"""A plane (Y, X) of unsigned integers or floats."""

_MAX_LEVEL: Final = 255
_CAMERA_BITS: Final = (8, 10, 12, 14, 16)
"""Depths of cameras in use; a maximum at exactly ``2**bits - 1`` is taken as saturation."""

_SAMPLED_PX: Final = 2**16
"""Pixels that suffice for the median of a plane: its standard error is 0.5 % of their spread."""

_TABLE_BITS: Final = 16
"""Unsigned integers up to this depth are handled by histogram and lookup table."""


@dataclass(frozen=True, slots=True)
class PlaneStatistics:
    """Summary of one plane, in counts of the acquired image.

    Attributes
    ----------
    minimum, median, maximum, mean
        Of all pixels.
    saturated_fraction
        Share of pixels (0..1) at the camera's upper limit: the plane's maximum when that is
        ``2**bits - 1`` for a depth in use (8, 10, 12, 14, 16); else 0. Always 0 for floats, whose
        limit is not known.
    """

    minimum: float
    median: float
    maximum: float
    mean: float
    saturated_fraction: float


def plane_statistics(image: Plane) -> PlaneStatistics:
    """Summarize the gray levels of one plane.

    Parameters
    ----------
    image
        Shape (Y, X), unsigned integer or float.

    Returns
    -------
    PlaneStatistics
        Exact for integers; in float64 for floats.

    Raises
    ------
    ImageReadError
        When the plane has no pixels, is not two-dimensional, is of another type, or has
        values that are not finite.
    """
    check_plane(image)
    if not has_table(image):
        values = image.astype(np.float64, copy=False)
        return PlaneStatistics(
            minimum=float(values.min()),
            median=float(np.median(values)),
            maximum=float(values.max()),
            mean=float(values.mean()),
            saturated_fraction=0.0,
        )
    counts = np.bincount(image.ravel())
    levels = np.arange(counts.size)
    maximum = counts.size - 1
    saturated = maximum in {2**bits - 1 for bits in _CAMERA_BITS}
    return PlaneStatistics(
        minimum=float(np.argmax(counts > 0)),
        median=median_of_counts(counts),
        maximum=float(maximum),
        mean=float(levels @ counts) / image.size,
        saturated_fraction=float(counts[-1]) / image.size if saturated else 0.0,
    )


@dataclass(frozen=True, slots=True)
class Range:
    """Smallest and largest value of a plane, and the median of a regular grid of its pixels."""

    minimum: float
    median: float
    maximum: float


def finite(image: Plane) -> Plane:
    """Return the plane itself when all of its values are numbers.

    Raises
    ------
    ImageReadError
        With reason ``wrong-type`` when a float plane has values that are not finite.
    """
    if image.dtype.kind == "f" and not np.isfinite(image).all():
        msg = "the image has pixels that are not finite numbers"
        raise ImageReadError(msg, Reason.WRONG_TYPE)
    return image


def value_range(image: Plane) -> Range:
    """Summarize a plane in passing: a fortieth of the time of :func:`plane_statistics`.

    Parameters
    ----------
    image
        Shape (Y, X), unsigned integer or float.

    Returns
    -------
    Range
        Minimum and maximum are exact. The median is that of every n-th pixel of every n-th row,
        with n such that at least 65,536 pixels count; of all pixels when there are fewer.
    """
    step = grid_step(image.size)
    sample = image[::step, ::step]
    if has_table(image):
        median = median_of_counts(np.bincount(sample.ravel()))
    else:
        median = float(np.median(sample))
    return Range(float(image.min()), median, float(image.max()))


def rescale_to_median(image: Plane, *, median_level: float = 63.0) -> NDArray[np.uint8]:
    """Scale a plane so that its median becomes a fixed level; the study's normalization.

    Every pixel is multiplied by ``median_level / median``, clipped at 255 and rounded to the
    nearest integer, ties to even (Imamura et al. 2021, doi 10.1002/ana.26047, gives the median
    of 63 and the clipping; it does not say how it rounds). Negative values become 0.

    Parameters
    ----------
    image
        Shape (Y, X), uint8, uint16 or float.
    median_level
        Level of the median in the result, between 0 and 255.

    Returns
    -------
    ndarray
        Shape (Y, X), uint8.

    Raises
    ------
    InputError
        When ``median_level`` does not lie between 0 and 255.
    ImageReadError
        With reason ``constant`` when all pixels are equal (all-zero planes too),
        ``zero-median`` when the median is not positive, and as :func:`plane_statistics`.
    """
    if not 0 < median_level < _MAX_LEVEL:
        msg = f"median_level is {median_level}; it must lie between 0 and {_MAX_LEVEL}"
        raise InputError(msg)
    statistics = plane_statistics(image)
    if statistics.minimum == statistics.maximum:
        msg = f"all {image.size} pixels have the value {statistics.minimum:g}"
        raise ImageReadError(msg, Reason.CONSTANT)
    if statistics.median <= 0:
        msg = (
            f"the median is {statistics.median:g}: more than half of the image is background"
            " that was subtracted or clipped, so the median cannot be scaled"
        )
        raise ImageReadError(msg, Reason.ZERO_MEDIAN)
    factor = median_level / statistics.median
    if has_table(image):
        levels = np.arange(int(statistics.maximum) + 1, dtype=np.float64)
        return _to_8_bit(levels, factor)[image]
    return _to_8_bit(image.astype(np.float64), factor)


def _to_8_bit(values: NDArray[np.float64], factor: float) -> NDArray[np.uint8]:
    return np.rint(np.clip(values * factor, 0, _MAX_LEVEL)).astype(np.uint8)


def median_of_counts(counts: NDArray[np.intp]) -> float:
    """Median of a histogram over 0, 1, 2, …; the mean of the two middle ones when even."""
    below = np.cumsum(counts)
    n = int(below[-1])
    low = np.searchsorted(below, (n - 1) // 2, side="right")
    high = np.searchsorted(below, n // 2, side="right")
    return (float(low) + float(high)) / 2


def grid_step(n_pixels: int) -> int:
    """Distance of the pixels of a grid that the median of so many pixels is taken from."""
    return max(1, int(np.sqrt(n_pixels / _SAMPLED_PX)))


def has_table(image: Plane) -> bool:
    """Whether the values of a plane can be counted, one by one, in a table."""
    return image.dtype.kind == "u" and image.dtype.itemsize * 8 <= _TABLE_BITS


def check_type(image: Plane) -> None:
    """Refuse, with an ImageReadError, what is no plane (Y, X) of unsigned integers or floats."""
    if image.ndim != 2:
        msg = f"an image of shape {image.shape} is not one plane (Y, X)"
        raise ImageReadError(msg, Reason.WRONG_SHAPE)
    if image.size == 0:
        msg = f"an image of shape {image.shape} has no pixels"
        raise ImageReadError(msg, Reason.WRONG_SHAPE)
    if image.dtype.kind not in "uf":
        msg = f"pixels of type {image.dtype} are neither unsigned integers nor floats"
        raise ImageReadError(msg, Reason.WRONG_TYPE)


def check_plane(image: Plane) -> None:
    """Refuse, with an ImageReadError, what is no such plane or holds values that are not finite."""
    check_type(image)
    finite(image)
