"""How much every pixel looks like the middle of a bright line, and what noise alone would give."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.filters import threshold_otsu

from hcs.domain.config import FixedLevel, Otsu, Threshold
from hcs.ops.filters import FloatPlane, smooth

_ALPHA: Final = 1 / 3
"""Weight of the curvature along the line (Meijering et al. 2004)."""

_LOW_FRACTION: Final = 0.4
"""Lower hysteresis level over the upper one: beaded neurites are followed through dim parts."""

_MAD_TO_SIGMA: Final = 1.4826


def ridge_strength(image: FloatPlane, sigma_px: float) -> FloatPlane:
    """Negative curvature across bright lines, normalized for scale.

    Modified Hessian of Meijering et al. 2004 (doi 10.1002/cyto.a.20022): the larger of
    ``-(l1 - l2 / 3)`` over both orders of the eigenvalues, negative values set to 0. It is
    raised where a line dims between two beads and lowered on round spots.

    Parameters
    ----------
    image
        Shape (Y, X), in counts.
    sigma_px
        Standard deviation of the Gaussian; about half of the line's width.

    Returns
    -------
    ndarray
        Shape (Y, X), float32, in counts: multiplied with ``sigma_px`` squared.
    """
    padded = np.pad(smooth(image, sigma_px), 1, mode="edge")
    middle = padded[1:-1, 1:-1]
    yy = padded[2:, 1:-1] + padded[:-2, 1:-1] - 2 * middle
    xx = padded[1:-1, 2:] + padded[1:-1, :-2] - 2 * middle
    xy = (padded[2:, 2:] + padded[:-2, :-2] - padded[2:, :-2] - padded[:-2, 2:]) / 4
    half_trace = (yy + xx) / 2
    spread = np.sqrt(np.square((yy - xx) / 2) + np.square(xy))
    # The eigenvalues are half_trace ± spread; the strength is -(low - high / 3).
    strength = (1 + _ALPHA) * spread - (1 - _ALPHA) * half_trace
    clipped: FloatPlane = np.maximum(strength, 0) * np.float32(sigma_px**2)
    return clipped


def ridge_mask(strength: FloatPlane, threshold: Threshold) -> NDArray[np.bool_]:
    """Pixels above the low level that are connected with one above the high level.

    Parameters
    ----------
    strength
        Shape (Y, X), see :func:`ridge_strength`.
    threshold
        ``noise``: the high level is a multiple of the response's own spread; ``otsu``: Otsu's
        level of the positive responses; ``fixed``: given in counts of the response.

    Returns
    -------
    ndarray
        Shape (Y, X), bool; all False for an image without structure.
    """
    high = _high_level(strength, threshold)
    if high <= 0:
        return np.zeros(strength.shape, bool)
    labels, count = ndimage.label(strength > high * _LOW_FRACTION, np.ones((3, 3)))
    kept = np.zeros(count + 1, bool)
    kept[labels[strength > high]] = True
    kept[0] = False
    return kept[labels]


def _high_level(strength: FloatPlane, threshold: Threshold) -> float:
    if isinstance(threshold, FixedLevel):
        return threshold.level_counts
    positive = strength[strength > 0]
    if positive.size == 0:
        return 0.0
    if isinstance(threshold, Otsu):
        return float(threshold_otsu(positive))
    return threshold.multiple * _MAD_TO_SIGMA * float(np.median(positive[::4]))
