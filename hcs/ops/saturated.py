"""Saturated areas larger than any cell: nothing in them is seen, and their rims are no objects."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from hcs.domain.tuning.planes import SaturatedTuning
from hcs.domain.tuning.sets import DEFAULTS
from hcs.ops.filters import FloatPlane, distance_inside
from hcs.ops.intensity import PlaneStatistics


def find_saturated(
    image: NDArray[Any],
    statistics: PlaneStatistics,
    soma_diameter_px: float,
    tuning: SaturatedTuning = DEFAULTS.saturated,
) -> NDArray[np.bool_] | None:
    """Find areas at the camera's limit into which a disk larger than a soma fits.

    Somas that are saturated themselves stay: they are seen.

    Parameters
    ----------
    image, statistics
        Shape (Y, X), and its summary, which knows the limit.
    soma_diameter_px
        Typical diameter of a soma.
    tuning
        Constants of the kernel.

    Returns
    -------
    ndarray or None
        Shape (Y, X); None where there are none, which is usual.
    """
    least_px = tuning.min_somas * soma_diameter_px
    if statistics.saturated_fraction * image.size < np.pi / 4 * least_px**2:
        return None
    full = image >= statistics.maximum
    core = distance_inside(full) > least_px / 2
    if not core.any():
        return None
    reach = least_px / 2 + tuning.rim_px
    area: NDArray[np.bool_] = ndimage.distance_transform_edt(~core) <= reach
    return area


def blank_out(signal: FloatPlane, area: NDArray[np.bool_] | None) -> FloatPlane:
    """Set the signal of an area to 0."""
    return signal if area is None else np.where(area, np.float32(0), signal)
