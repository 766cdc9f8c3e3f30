"""Parts of a field that were never taken: black, as stitching and rotation leave them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from hcs.domain.tuning.planes import BlankTuning
from hcs.domain.tuning.sets import DEFAULTS
from hcs.ops.filters import FloatPlane
from hcs.ops.quality import estimate_noise

Mask = NDArray[np.bool_]


def find_blank(image: NDArray[Any], tuning: BlankTuning = DEFAULTS.blank) -> Mask | None:
    """Find the parts of a field that hold no image.

    They are areas of exactly 0 that begin with a step, as at the edge of an acquired tile. Where
    values fade into 0, as after a subtraction of the background, 0 is a measured value.

    Parameters
    ----------
    image
        Shape (Y, X).
    tuning
        Constants of the kernel.

    Returns
    -------
    ndarray or None
        Shape (Y, X), true where there is no image; None where there is image everywhere or nowhere.
    """
    black = image == 0
    least = max(tuning.min_area_px, int(tuning.min_share * black.size))
    if np.count_nonzero(black) < least or black.all():
        return None
    solid = ndimage.binary_opening(black, np.ones((3, 3), bool))
    labels, _ = ndimage.label(solid)
    large = np.bincount(labels.ravel()) >= least
    large[0] = False
    blank = large[labels]
    if not blank.any():
        return None
    blank = ndimage.binary_dilation(blank, np.ones((3, 3), bool), iterations=tuning.rim_px)
    beside = (
        ndimage.binary_dilation(blank, np.ones((3, 3), bool), iterations=tuning.rim_px) & ~blank
    )
    values = image[beside]
    if values.size == 0 or np.percentile(values, 5) < tuning.min_step * np.median(values):
        return None
    return blank


def fill_blank(
    image: NDArray[Any], tuning: BlankTuning = DEFAULTS.blank
) -> tuple[NDArray[Any], Mask | None]:
    """Fill what holds no image with background and noise of what lies beside it.

    Thresholds, scales and levels that are taken from a whole field then do not follow how much of
    it is black, and no line is seen at its edge.

    Parameters
    ----------
    image
        Shape (Y, X).
    tuning
        Constants of the kernel.

    Returns
    -------
    filled
        Shape (Y, X), the image itself where nothing is blank; else float32.
    blank
        As :func:`find_blank` gives it.
    """
    blank = find_blank(image, tuning=tuning)
    if blank is None:
        return image, None
    values = image.astype(np.float32)
    values[blank] = np.nan
    level = _find_levels(values, tuning)
    noise = np.random.Generator(np.random.Philox(0)).standard_normal(blank.shape, dtype=np.float32)
    carried = _carry_on(values, blank, level, tuning)
    filled: NDArray[Any] = np.where(blank, carried + estimate_noise(values) * noise, values)
    return filled, blank


def _carry_on(
    values: FloatPlane, blank: Mask, level: FloatPlane, tuning: BlankTuning
) -> FloatPlane:
    """Let what the edge cuts go on beyond it and fade, as filters let it at the edge of a plane.

    Else half a soma would be a narrow body with a straight side.
    """
    away, nearest = ndimage.distance_transform_edt(blank, return_indices=True)
    weight = np.clip(1 - away / tuning.fade_px, 0, 1).astype(np.float32)
    at_edge: FloatPlane = values[tuple(nearest)]
    return level + weight * (at_edge - level)


def _find_levels(values: FloatPlane, tuning: BlankTuning) -> FloatPlane:
    """Background near every pixel: medians of blocks, carried on smoothly into the black."""
    height, width = values.shape
    rows, columns = -(-height // tuning.block_px), -(-width // tuning.block_px)
    padded = np.full((rows * tuning.block_px, columns * tuning.block_px), np.nan, np.float32)
    padded[:height, :width] = values
    parted = padded.reshape(rows, tuning.block_px, columns, tuning.block_px).swapaxes(1, 2)
    blocks = parted.reshape(rows, columns, -1)
    known = np.isfinite(blocks).mean(axis=2) >= tuning.min_known_share
    overall = float(np.nanmedian(values))
    medians = np.full((rows, columns), overall, np.float32)
    if known.any():
        medians[known] = np.nanmedian(blocks[known], axis=1)
    # Smooth, because a step between two blocks would be a line; far away the overall level.
    weight = ndimage.gaussian_filter(known.astype(np.float32), tuning.smooth_blocks)
    total = ndimage.gaussian_filter(np.where(known, medians, 0.0), tuning.smooth_blocks)
    smooth = (total + tuning.overall_weight * overall) / (weight + tuning.overall_weight)
    y, x = ((np.arange(n) + 0.5) / tuning.block_px - 0.5 for n in (height, width))
    grid = np.meshgrid(y, x, indexing="ij")
    level: FloatPlane = ndimage.map_coordinates(smooth, grid, order=1, mode="nearest")
    return level
