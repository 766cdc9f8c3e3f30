"""Cell bodies without their nuclei: found and parted in a stain that fills them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.segmentation import watershed

from hcs.domain.tuning.cells import CellTuning
from hcs.domain.tuning.sets import DEFAULTS
from hcs.ops.cells.blocks import enlarge_labels
from hcs.ops.cells.levels import find_levels
from hcs.ops.filters import distance_inside, smooth
from hcs.ops.quality import estimate_noise
from hcs.ops.resizing import downsample_mean
from hcs.ops.somas.nuclei_pieces import Mask, fill_holes, join_pieces, number_large
from hcs.ops.somas.segment import LabelPlane


def segment_bodies(
    image: NDArray[Any], diameter_px: float, tuning: CellTuning = DEFAULTS.cells
) -> LabelPlane:
    """Find cell bodies in a stain that fills them, and separate those that touch.

    What exceeds the level of least cross-entropy is parted along the watershed of the distance to
    its edge; pieces between which there is no neck are joined again.

    Parameters
    ----------
    image
        Shape (Y, X), in counts.
    diameter_px
        Usual diameter of a cell, see :func:`estimate_body_diameter`.
    tuning
        Constants of the kernel.

    Returns
    -------
    ndarray
        Shape (Y, X), uint16, uint32 where they are more than 65,534: number of the cell, 0
        outside; none in an image without structure.
    """
    values = image.astype(np.float32)
    sigma = max(diameter_px / 2 * tuning.blur_diameters, tuning.min_blur_px)
    blurred = smooth(values, sigma)
    noise = estimate_noise(values) / (2 * np.sqrt(np.pi) * sigma)
    factor = max(1, int(diameter_px / 2 / tuning.working_px))
    coarse = downsample_mean(blurred, factor)
    _, level, _ = find_levels(coarse, noise, tuning)
    mask = _open(coarse > level, tuning)
    if not mask.any():
        return np.zeros(image.shape, np.uint16)
    size, depth = diameter_px / factor, distance_inside(mask).astype(np.float32)
    relief = smooth(depth, size * tuning.seed_blur_diameters)
    window = 2 * max(1, round(size * tuning.seed_diameters / 2)) + 1
    summit = (ndimage.maximum_filter(relief, window, mode="constant") == relief) & mask
    markers = ndimage.label(summit, np.ones((3, 3)))[0].astype(np.int32)
    pieces = join_pieces(watershed(-relief, markers, mask=mask), coarse, depth)
    labels = enlarge_labels(pieces, factor, image.shape)
    labels[blurred <= level] = 0
    return number_large(fill_holes(labels), diameter_px, tuning)


def estimate_body_diameter(
    image: NDArray[Any], tuning: CellTuning = DEFAULTS.cells
) -> float | None:
    """Estimate the usual diameter of cells in a stain that fills them.

    Parameters
    ----------
    image
        Shape (Y, X), in counts.
    tuning
        Constants of the kernel.

    Returns
    -------
    float or None
        From the summits of the distance to the edge, their median weighted by area, in px; None
        where there is no cell.
    """
    values = image.astype(np.float32)
    factor = max(1, round(max(image.shape) / tuning.estimate_px))
    coarse = smooth(downsample_mean(values, factor), 1.0)
    noise = estimate_noise(values) / (2 * np.sqrt(np.pi) * factor)
    _, level, _ = find_levels(coarse, noise, tuning)
    mask = _open(coarse > level, tuning)
    depth = distance_inside(mask).astype(np.float32)
    relief = smooth(depth, 1.0)
    highest = ndimage.maximum_filter(relief, tuning.estimate_window_px)
    radius = np.sort(depth[(highest == relief) & mask])
    if radius.size == 0:
        return None
    weight = np.cumsum(radius**2)
    middle = float(radius[np.searchsorted(weight, weight[-1] / 2)])
    return float(2 * middle * factor * tuning.width_diameters)


def _open(mask: Mask, tuning: CellTuning) -> Mask:
    filled = ndimage.binary_fill_holes(mask)
    opened: Mask = ndimage.binary_opening(filled, iterations=tuning.estimate_openings)
    return opened
