"""Width of neurites at the pixels of their middle lines, whatever the background."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from hcs.domain.constants import FWHM_IN_SDS
from hcs.domain.tuning.lines import NeuriteTuning
from hcs.domain.tuning.sets import DEFAULTS
from hcs.ops.filters import FloatPlane, smooth
from hcs.ops.neurites.graph import PixelGraph
from hcs.ops.scales import Scales

_DIFFERENCE_VARIANCE: Final = 1 / 6


def widths_at(
    signal: FloatPlane, graph: PixelGraph, scales: Scales, tuning: NeuriteTuning = DEFAULTS.neurites
) -> NDArray[np.float64]:
    """Estimate the width at every pixel of a skeleton.

    From the curvature across the line under two blurs, as
    :func:`hcs.ops.estimate.estimate_neurite_width` does for a whole image.

    Parameters
    ----------
    signal
        Shape (Y, X), in counts.
    graph
        The skeleton.
    scales
        Expected sizes.
    tuning
        Constants of the kernel.

    Returns
    -------
    ndarray
        Shape (N,), full width at half maximum in pixels; NaN where the two blurs do not fit a
        line, as at junctions.
    """
    narrow, wide = scales.ridge_sigma_px, tuning.arbors.blur_ratio * scales.ridge_sigma_px
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = _curvature(signal, graph, wide) / _curvature(signal, graph, narrow)
        share = np.where((ratio > 0) & (ratio < 1), ratio, np.nan) ** (2 / 3)
        variance = (share * wide**2 - narrow**2) / (1 - share) - _DIFFERENCE_VARIANCE
        width = FWHM_IN_SDS * np.sqrt(variance)
    fits = width <= tuning.arbors.max_widths * scales.neurite_width_px
    return np.where(fits, width, np.nan)


def _curvature(signal: FloatPlane, graph: PixelGraph, sigma_px: float) -> NDArray[np.float64]:
    """Most negative second derivative of the blurred plane at each pixel of the skeleton."""
    plane = np.pad(smooth(signal, sigma_px), 1, mode="edge").astype(np.float64)
    y, x = graph.y + 1, graph.x + 1
    middle = plane[y, x]
    yy = plane[y + 1, x] + plane[y - 1, x] - 2 * middle
    xx = plane[y, x + 1] + plane[y, x - 1] - 2 * middle
    xy = (plane[y + 1, x + 1] + plane[y - 1, x - 1] - plane[y + 1, x - 1] - plane[y - 1, x + 1]) / 4
    result: NDArray[np.float64] = (yy + xx) / 2 - np.hypot((yy - xx) / 2, xy)
    return result
