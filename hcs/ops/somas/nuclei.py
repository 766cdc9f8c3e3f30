"""Nuclei: bright blobs on a dark ground, split where they touch."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.filters import threshold_li
from skimage.segmentation import watershed

from hcs.ops.filters import FloatPlane, enlarge, smooth
from hcs.ops.intensity import downsample_mean
from hcs.ops.quality import estimate_noise
from hcs.ops.somas.nuclei_pieces import (
    Labels,
    Mask,
    at_rim,
    elliptic_diameter,
    fill_holes,
    join_pieces,
    largest_parts,
)

_MAX_LABEL: Final = 65534
_USUAL_DIAMETER_PX: Final = 16.0
_BLUR_DIAMETERS: Final = 1 / 24
_MIN_BLUR_PX: Final = 0.7
_MAX_BLUR_PX: Final = 2.0
"""More would move the outlines of large nuclei outward."""

_ESTIMATE_BLUR_PX: Final = 1.0
_ESTIMATE_OPENINGS: Final = 2
"""Turns of the opening that frees nuclei of specks and threads before their size is estimated."""

_GROUND_BLOCKS: Final = 6
"""Blocks along a nucleus' diameter in the coarse image that the ground is read from."""

_GROUND_WINDOW_DIAMETERS: Final = 1.5
"""Window of the opening that finds the ground: a wider one counts the glow of a crowd as signal."""

_EDGE_DIAMETERS: Final = 0.1
"""Scale of the Laplacian whose sign changes at the edge of a nucleus, in its diameters."""

_FLOOR: Final = 0.7
"""No nucleus is fainter than this share of the level of least cross-entropy."""

_NOISE_MULTIPLE: Final = 6.5
"""No nucleus is fainter than this many standard deviations of the blurred noise above ground."""

_SAMPLED_PX: Final = 2**16
_SEED_BLUR_DIAMETERS: Final = 0.12
_SEED_DIAMETERS: Final = 0.3
"""Two summits of the distance to the edge lie at least about this many diameters apart."""

_REACH_DIAMETERS: Final = 0.1
"""An outline lies at most this far outside of the sign change of the Laplacian."""

_HEIGHT_PERCENTILE: Final = 75
_OUTLINE_FRACTION: Final = 0.5
_OWN_WEIGHT: Final = 0.55
"""An outline lies between the level of the whole image (0) and half of the nucleus' own height (1),
in logarithms. Masks that were drawn by hand follow the own height, CellProfiler and thresholds the
level of the image; no weight agrees with both as well as one between."""

_MIN_AREA_FRACTION: Final = 0.12
"""Smaller objects, in areas of a disk of the usual diameter, are debris."""

_MIN_RIM_AREA_FRACTION: Final = 0.03
"""The same of objects that the border of the image cuts."""


def segment_nuclei(image: NDArray[Any], diameter_px: float | None = None) -> NDArray[np.uint16]:
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

    Returns
    -------
    ndarray
        Shape (Y, X), uint16: number of the nucleus, 0 outside; no numbers in an image without
        structure.
    """
    nothing = np.zeros(image.shape, np.uint16)
    if min(image.shape) < 3:
        return nothing
    values = image.astype(np.float32)
    diameter = diameter_px or estimate_nuclear_diameter(values) or _USUAL_DIAMETER_PX
    sigma = min(max(diameter * _BLUR_DIAMETERS, _MIN_BLUR_PX), _MAX_BLUR_PX)
    blurred = smooth(values, sigma)
    signal = blurred - _ground(blurred, diameter)
    # A Gaussian blur leaves 1 / (2 sqrt(pi) sigma) of white noise.
    noise = _NOISE_MULTIPLE * estimate_noise(values) / (2 * np.sqrt(np.pi) * sigma)
    if float(signal.max()) <= max(noise, 1e-6):
        return nothing
    level = _level(signal)
    floor = max(_FLOOR * level, noise)
    root = np.sqrt(np.maximum(signal, 0))
    inside = ndimage.gaussian_laplace(root, diameter * _EDGE_DIAMETERS, mode="nearest") < 0
    core = ndimage.binary_fill_holes(ndimage.binary_opening(inside & (signal > floor)))
    if not core.any():
        return nothing
    labels = _grow_nuclei(_split_nuclei(core, signal, diameter), diameter * _REACH_DIAMETERS)
    labels[~(core | ndimage.binary_fill_holes(signal > floor))] = 0
    own = _OUTLINE_FRACTION * np.maximum(_heights(signal, labels), 1e-6)
    labels[signal <= (level ** (1 - _OWN_WEIGHT) * own**_OWN_WEIGHT)[labels]] = 0
    return _number_nuclei(largest_parts(fill_holes(labels)), diameter)


def estimate_nuclear_diameter(image: NDArray[Any]) -> float | None:
    """Estimate the usual diameter of nuclei from those that touch no other.

    Parameters
    ----------
    image
        Shape (Y, X), the nuclear channel, in counts.

    Returns
    -------
    float or None
        Median diameter, in px, of the disks of equal area of all elliptic objects above the level
        of least cross-entropy; None where there are none.
    """
    blurred = smooth(image.astype(np.float32), _ESTIMATE_BLUR_PX)
    low, high = float(blurred.min()), float(blurred.max())
    if high - low <= 1e-6 * max(abs(high), 1.0):
        return None
    mask = ndimage.binary_fill_holes(blurred > _level(blurred))
    return elliptic_diameter(ndimage.binary_opening(mask, iterations=_ESTIMATE_OPENINGS))


def _ground(blurred: FloatPlane, diameter: float) -> FloatPlane:
    """Ground under and between nuclei: block means, opened, blurred and interpolated."""
    factor = max(1, int(diameter / _GROUND_BLOCKS))
    window = 2 * round(_GROUND_WINDOW_DIAMETERS * diameter / factor / 2) + 1
    coarse = downsample_mean(blurred, factor)
    opened = ndimage.grey_opening(coarse, size=(window, window), mode="nearest")
    return enlarge(smooth(opened, window / 4), factor, blurred.shape)


def _level(signal: FloatPlane) -> float:
    """Level of least cross-entropy, from a grid of pixels that suffices for it."""
    step = max(1, int(np.sqrt(signal.size / _SAMPLED_PX)))
    return float(threshold_li(signal[::step, ::step]))


def _split_nuclei(core: Mask, signal: FloatPlane, diameter: float) -> Labels:
    """Label the mask: one label for every part of it that necks set off."""
    # What the border cuts goes on beyond it.
    exact = ndimage.distance_transform_edt(np.pad(core, 1, mode="edge"))[1:-1, 1:-1]
    depth = exact.astype(np.float32)
    relief = smooth(depth, diameter * _SEED_BLUR_DIAMETERS)
    window = 2 * max(1, round(diameter * _SEED_DIAMETERS / 2)) + 1
    summit = (ndimage.maximum_filter(relief, window, mode="constant") == relief) & core
    markers = ndimage.label(summit, np.ones((3, 3)))[0].astype(np.int32)
    pieces: Labels = watershed(-relief, markers, mask=core)
    return join_pieces(pieces, signal, depth)


def _grow_nuclei(labels: Labels, reach: float) -> Labels:
    """Let labels grow into the background, each pixel to the nearest within reach."""
    away, nearest = ndimage.distance_transform_edt(labels == 0, return_indices=True)
    grown: Labels = np.where(away <= reach, labels[tuple(nearest)], 0)
    return grown


def _heights(signal: FloatPlane, labels: Labels) -> NDArray[np.float64]:
    """Height of every nucleus, by its number."""
    places = np.flatnonzero(labels)
    of, values = labels.ravel()[places], signal.ravel()[places]
    order = np.lexsort((values, of))
    counts = np.bincount(of, minlength=int(labels.max()) + 1)
    picks = np.cumsum(counts) - counts + (counts * _HEIGHT_PERCENTILE / 100).astype(np.intp)
    heights = np.zeros(counts.size)
    heights[counts > 0] = values[order][picks[counts > 0]]
    return heights


def _number_nuclei(labels: Labels, diameter: float) -> NDArray[np.uint16]:
    """Give objects that are large enough numbers without gaps."""
    disk = np.pi / 4 * diameter**2
    area = np.bincount(labels.ravel())
    least = np.full(area.size, _MIN_AREA_FRACTION * disk)
    least[at_rim(labels)] = _MIN_RIM_AREA_FRACTION * disk
    large = area >= np.maximum(least, 1)
    large[0] = False
    count = min(int(large.sum()), _MAX_LABEL)
    numbers = np.zeros(area.size, np.uint16)
    numbers[np.flatnonzero(large)[:count]] = np.arange(1, count + 1)
    return numbers[labels]
