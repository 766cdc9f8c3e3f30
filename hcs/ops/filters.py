"""Separable float32 filters and the signal over the background that segmentation starts from."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from hcs.domain.tuning.planes import BackgroundTuning
from hcs.domain.tuning.sets import DEFAULTS
from hcs.ops.compiled import blur
from hcs.ops.resizing import downsample_mean

FloatPlane = NDArray[np.float32]


_TRUNCATE_SIGMAS: Final = 3.0


def smooth(image: FloatPlane, sigma_px: float) -> FloatPlane:
    """Blur with a Gaussian in float32, cut at three standard deviations, edges repeated."""
    reach = int(_TRUNCATE_SIGMAS * sigma_px + 0.5)
    weights = np.exp(-0.5 * np.square(np.arange(reach + 1) / sigma_px))
    weights /= 2 * weights.sum() - weights[0]
    plane = np.ascontiguousarray(image, np.float32)
    return blur(plane, weights.astype(np.float32))


def estimate_background(
    image: FloatPlane, soma_diameter_px: float, tuning: BackgroundTuning = DEFAULTS.background
) -> FloatPlane:
    """Estimate the slowly varying background under cells and neurites.

    The image is averaged to blocks of a third of a soma, opened (minimum, then maximum) with a
    window of three somas, blurred, and interpolated back.

    Parameters
    ----------
    image
        Shape (Y, X), in counts.
    soma_diameter_px
        Typical diameter of a soma.
    tuning
        Constants of the kernel.

    Returns
    -------
    ndarray
        Shape (Y, X), float32, in counts.
    """
    factor = max(1, int(soma_diameter_px / tuning.blocks_per_soma))
    coarse = downsample_mean(image, factor)
    window = 2 * round(tuning.window_somas * soma_diameter_px / factor / 2) + 1
    opened = ndimage.grey_opening(coarse, size=(window, window), mode="nearest")
    return enlarge(smooth(opened, window / 4), factor, image.shape)


def enlarge(coarse: FloatPlane, factor: int, shape: tuple[int, ...]) -> FloatPlane:
    """Interpolate block means linearly back to full resolution.

    Parameters
    ----------
    coarse
        Block means of a plane, see :func:`hcs.ops.resizing.downsample_mean`.
    factor
        Edge of a block.
    shape
        (Y, X) of the full plane.

    Returns
    -------
    ndarray
        Of the given shape, float32; beyond the outermost block centers the value is repeated.
    """
    if factor == 1:
        return coarse
    along_y = _interpolate_rows(coarse, factor, shape[0])
    return np.ascontiguousarray(_interpolate_rows(along_y.T, factor, shape[1]).T)


def _interpolate_rows(coarse: NDArray[Any], factor: int, n_rows: int) -> FloatPlane:
    position = (np.arange(n_rows, dtype=np.float32) + 0.5) / factor - 0.5
    position = np.clip(position, 0, coarse.shape[0] - 1)
    below = np.minimum(position.astype(np.intp), max(coarse.shape[0] - 2, 0))
    above = np.minimum(below + 1, coarse.shape[0] - 1)
    weight = (position - below).astype(np.float32)[:, None]
    low = coarse[below]
    rows: FloatPlane = low + weight * (coarse[above] - low)
    return rows


def distance_inside(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Distance of every pixel of a mask to its edge, in px; what the border cuts goes on beyond it.

    Parameters
    ----------
    mask
        Shape (Y, X).

    Returns
    -------
    ndarray
        Shape (Y, X), float64, 0 outside of the mask.
    """
    exact: NDArray[np.float64] = ndimage.distance_transform_edt(np.pad(mask, 1, mode="edge"))
    return exact[1:-1, 1:-1]
