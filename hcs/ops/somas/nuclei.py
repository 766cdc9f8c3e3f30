"""Nuclei: bright blobs on a dark ground, split where they touch."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.filters import threshold_li
from skimage.segmentation import watershed

from hcs.domain.tuning.bodies import NucleiTuning
from hcs.domain.tuning.sets import DEFAULTS
from hcs.ops.cells.kernels import group_values
from hcs.ops.filters import FloatPlane, distance_inside, enlarge, smooth
from hcs.ops.intensity import grid_step
from hcs.ops.quality import estimate_noise
from hcs.ops.resizing import downsample_mean
from hcs.ops.somas.nuclei_pieces import (
    Labels,
    Mask,
    elliptic_diameter,
    fill_holes,
    join_pieces,
    largest_parts,
    number_large,
)
from hcs.ops.somas.passes import bound_labels, grow_labels, open_mask
from hcs.ops.somas.segment import LabelPlane

_SHORT_REACH_PX: Final = 4.0
"""Below, looking around every pixel is faster than a transform of distances."""

_LEVEL_TOLERANCE: Final = 1e-5
"""Share of the range of values to which the level of least cross-entropy is sought."""


def segment_nuclei(
    image: NDArray[Any], diameter_px: float | None = None, tuning: NucleiTuning = DEFAULTS.nuclei
) -> LabelPlane:
    """Find nuclei and separate those that touch.

    The ground is what an opening with a window of one and a half nuclei leaves. Above it, the
    level of least cross-entropy (Li and Lee 1993, doi 10.1016/0031-3203(93)90115-D) says where
    nuclei are at all. They are parted by the sign of the Laplacian of the square root of the
    signal (Marr and Hildreth 1980, doi 10.1098/rspb.1980.0020), which changes at edges whatever
    their brightness, and along the watershed of the distance to that edge; pieces between which
    there is no neck are joined again. Outlines follow a level between that of the image and half
    of the nucleus' own height.

    Parameters
    ----------
    image
        Shape (Y, X), the nuclear channel, in counts.
    diameter_px
        Usual diameter of a nucleus; None to estimate it from the image.
    tuning
        Constants of the kernel.

    Returns
    -------
    ndarray
        Shape (Y, X), uint16, uint32 where they are more than 65,534: number of the nucleus, 0
        outside; no numbers in an image without structure.
    """
    nothing = np.zeros(image.shape, np.uint16)
    if min(image.shape) < 3:
        return nothing
    values = image.astype(np.float32)
    diameter = (
        diameter_px or estimate_nuclear_diameter(values, tuning=tuning) or tuning.usual_diameter_px
    )
    sigma = min(max(diameter * tuning.blur_diameters, tuning.min_blur_px), tuning.max_blur_px)
    blurred = smooth(values, sigma)
    signal = blurred - _ground(blurred, diameter, tuning)
    # A Gaussian blur leaves 1 / (2 sqrt(pi) sigma) of white noise.
    noise = tuning.noise_multiple * estimate_noise(values) / (2 * np.sqrt(np.pi) * sigma)
    if float(signal.max()) <= max(noise, 1e-6):
        return nothing
    level = _level(signal)
    floor = max(tuning.floor * level, noise)
    root = np.sqrt(np.maximum(signal, 0))
    inside = ndimage.gaussian_laplace(root, diameter * tuning.edge_diameters, mode="nearest") < 0
    core = ndimage.binary_fill_holes(open_mask(inside & (signal > floor)))
    if not core.any():
        return nothing
    labels = _grow_nuclei(
        _split_nuclei(core, signal, diameter, tuning), diameter * tuning.reach_diameters
    )
    labels[~(core | ndimage.binary_fill_holes(signal > floor))] = 0
    own = tuning.outline_fraction * np.maximum(_heights(signal, labels, tuning), 1e-6)
    labels[signal <= (level ** (1 - tuning.own_weight) * own**tuning.own_weight)[labels]] = 0
    return number_large(largest_parts(fill_holes(labels)), diameter, tuning)


def estimate_nuclear_diameter(
    image: NDArray[Any], tuning: NucleiTuning = DEFAULTS.nuclei
) -> float | None:
    """Estimate the usual diameter of nuclei from those that touch no other.

    Parameters
    ----------
    image
        Shape (Y, X), the nuclear channel, in counts.
    tuning
        Constants of the kernel.

    Returns
    -------
    float or None
        Median diameter, in px, of the disks of equal area of all elliptic objects above the level
        of least cross-entropy; None where there are none.
    """
    blurred = smooth(image.astype(np.float32), tuning.estimate_blur_px)
    low, high = float(blurred.min()), float(blurred.max())
    if high - low <= 1e-6 * max(abs(high), 1.0):
        return None
    mask = ndimage.binary_fill_holes(blurred > _level(blurred))
    return elliptic_diameter(open_mask(mask, tuning.estimate_openings), tuning=tuning)


def _ground(blurred: FloatPlane, diameter: float, tuning: NucleiTuning) -> FloatPlane:
    """Ground under and between nuclei: block means, opened, blurred and interpolated."""
    factor = max(1, int(diameter / tuning.ground_blocks))
    window = 2 * round(tuning.ground_window_diameters * diameter / factor / 2) + 1
    coarse = downsample_mean(blurred, factor)
    opened = ndimage.grey_opening(coarse, size=(window, window), mode="nearest")
    return enlarge(smooth(opened, window / 4), factor, blurred.shape)


def _level(signal: FloatPlane) -> float:
    """Level of least cross-entropy, from a grid of pixels that suffices for it."""
    step = grid_step(signal.size)
    sample = signal[::step, ::step]
    # Without a tolerance the iteration is to end at a step below half of the least difference of
    # two values, which floats may be unable to reach: it then never ends.
    return float(
        threshold_li(sample, tolerance=_LEVEL_TOLERANCE * max(float(np.ptp(sample)), 1e-9))
    )


def _split_nuclei(core: Mask, signal: FloatPlane, diameter: float, tuning: NucleiTuning) -> Labels:
    """Label the mask: one label for every part of it that necks set off."""
    depth = distance_inside(core).astype(np.float32)
    relief = smooth(depth, diameter * tuning.seed_blur_diameters)
    window = 2 * max(1, round(diameter * tuning.seed_diameters / 2)) + 1
    summit = (ndimage.maximum_filter(relief, window, mode="constant") == relief) & core
    markers = ndimage.label(summit, np.ones((3, 3)))[0].astype(np.int32)
    pieces = _flood(-relief, markers, core)
    return join_pieces(pieces, signal, depth, tuning=tuning)


def _flood(relief: FloatPlane, markers: Labels, core: Mask) -> Labels:
    """Watershed within a mask; parts of it with one marker are that marker's without a flood."""
    parts, n_parts = ndimage.label(core)
    first, last = bound_labels(np.asarray(parts, np.int32), markers, n_parts)
    single = first == last
    single[0] = False
    flooded: Labels = watershed(relief, markers, mask=core & ~single[parts])
    return np.where(single[parts], last[parts], flooded)


def _grow_nuclei(labels: Labels, reach: float) -> Labels:
    """Let labels grow into the background, each pixel to the nearest within reach."""
    if reach < _SHORT_REACH_PX:
        return grow_labels(labels, reach)
    away, nearest = ndimage.distance_transform_edt(labels == 0, return_indices=True)
    grown: Labels = np.where(away <= reach, labels[tuple(nearest)], 0)
    return grown


def _heights(signal: FloatPlane, labels: Labels, tuning: NucleiTuning) -> NDArray[np.float64]:
    """Height of every nucleus, by its number."""
    count = int(labels.max())
    values, start = group_values(labels, signal, count)
    counts = np.diff(start)
    picks = start[:-1] + (counts * tuning.height_percentile / 100).astype(np.intp)
    heights = np.zeros(count + 1)
    heights[counts > 0] = values[picks[counts > 0]]
    return heights
