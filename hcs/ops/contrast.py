"""How objects stand out from their ground: bright, dark, or both as without a stain."""

from __future__ import annotations

from typing import Literal

import numpy as np
from scipy import ndimage

from hcs.domain.tuning.planes import ContrastTuning
from hcs.domain.tuning.sets import DEFAULTS
from hcs.ops.filters import FloatPlane, enlarge, smooth
from hcs.ops.resizing import downsample_mean

Contrast = Literal["bright", "dark", "mixed"]


def brighten(
    values: FloatPlane,
    contrast: Contrast,
    object_px: float,
    reach_px: float,
    tuning: ContrastTuning = DEFAULTS.contrast,
) -> FloatPlane:
    """Turn a plane into one in which objects are bright, whatever they were.

    ``dark`` objects are turned over. Of ``mixed`` ones, which have dark bodies with bright rims or
    a lit and a shaded side, the deviation from the ground counts: the root of the local mean of its
    square, as the local contrast that tells cells from ground in phase contrast (Chalfoun et al.
    2015, doi 10.1002/cyto.a.22628, takes the gradient).

    Parameters
    ----------
    values
        Shape (Y, X), in counts.
    contrast
        Which.
    object_px
        Diameter of the largest objects: the ground is the median over several of them.
    reach_px
        Standard deviation of the neighborhood over which the deviation is averaged.
    tuning
        Constants of the kernel.

    Returns
    -------
    ndarray
        Shape (Y, X), float32; ``bright`` planes as they are.
    """
    if contrast == "bright":
        return values
    if contrast == "dark":
        turned: FloatPlane = np.float32(values.max()) - values
        return turned
    deviation = values - median_ground(values, object_px, tuning)
    return average_deviation(deviation, reach_px, tuning)


def average_deviation(
    deviation: FloatPlane, reach_px: float, tuning: ContrastTuning = DEFAULTS.contrast
) -> FloatPlane:
    """Average the deviation from the ground, dark and bright alike; parameters of brighten."""
    local = smooth(np.square(deviation), max(reach_px, tuning.min_reach_px))
    contrasted: FloatPlane = np.sqrt(np.maximum(local - _ground_level(local, tuning), 0))
    return contrasted


def _ground_level(local: FloatPlane, tuning: ContrastTuning) -> float:
    """Local mean square that the ground hardly exceeds: its usual value and spread below that.

    Read from the map itself, since noise of interpolated or reconstructed images is no white one.
    """
    sample = local[::2, ::2]
    low, middle = (float(v) for v in np.percentile(sample, (tuning.quiet_percentile, 50)))
    return middle + tuning.ground_spreads * (middle - low)


def median_ground(values: FloatPlane, object_px: float, tuning: ContrastTuning) -> FloatPlane:
    """Find the ground: the median over windows that hold some beside every object.

    Bright and dark objects count alike. Parameters as of :func:`brighten`.
    """
    factor = max(1, int(object_px / tuning.blocks_per_object))
    coarse = downsample_mean(values, factor)
    window = 2 * round(tuning.window_objects * object_px / factor / 2) + 1
    middle = ndimage.median_filter(coarse, size=(window, window), mode="reflect")
    return enlarge(smooth(middle, window / 4), factor, values.shape)
