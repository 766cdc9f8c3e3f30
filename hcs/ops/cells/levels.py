"""Where the stain of a cell begins: ground, level of least cross-entropy, and noise."""

from __future__ import annotations

from typing import Final

import numpy as np
from skimage.filters import threshold_li

from hcs.domain.tuning.cells import CellTuning
from hcs.ops.filters import FloatPlane

_SAMPLED_PX: Final = 2**16
_TOLERANCE: Final = 1e-4
"""End of the search for the level, in ranges of the image: without one it may never end."""


def find_levels(coarse: FloatPlane, noise: float, tuning: CellTuning) -> tuple[float, float, float]:
    """Find the ground of a plane, the level above which it is stained, and the least level of all.

    Parameters
    ----------
    coarse
        Shape (Y, X): the blurred plane or its block means, in counts.
    noise
        Standard deviation of its noise, in counts.
    tuning
        Constants of the kernel.

    Returns
    -------
    tuple of float
        Ground, level and floor, in counts; the level is not below the floor, and above the
        brightest pixel where there is nothing but noise.
    """
    ground = float(np.percentile(coarse, tuning.ground_percentile))
    top = float(coarse.max())
    margin = max(tuning.noise_multiple * noise, 1e-6 * max(abs(top), 1.0))
    if top - ground <= margin:
        return ground, np.inf, np.inf
    step = max(1, int(np.sqrt(coarse.size / _SAMPLED_PX)))
    sample = coarse[::step, ::step]
    spread = max(float(np.ptp(sample)), 1e-9)
    cut = float(threshold_li(sample, tolerance=_TOLERANCE * spread))
    height = tuning.level_share * (cut - ground)
    floor = ground + max(margin, tuning.floor_share * height)
    return ground, max(ground + height, floor), floor
