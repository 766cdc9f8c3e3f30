"""Somas: bright bodies wider than a neurite, outlined at half of their own height."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.feature import peak_local_max
from skimage.filters import threshold_otsu
from skimage.segmentation import watershed

from hcs.domain.config import FixedLevel, NoiseLevel, Threshold
from hcs.ops.filters import FloatPlane, enlarge, smooth
from hcs.ops.intensity import downsample_mean
from hcs.ops.quality import estimate_noise
from hcs.ops.scales import Scales

LabelPlane = NDArray[np.uint16]

MAX_LABEL: Final = 65534
"""Largest object number; 65535 is kept for neurites of no soma."""

_WORKING_DIAMETER_PX: Final = 11.0
"""Somas are found on an image coarse enough for them to have about this diameter."""

_OPENING_FRACTION: Final = 0.3
"""Diameter of the disk that erases neurites, in soma diameters."""

_MIN_AREA_FRACTION: Final = 0.25
"""Smaller bodies, in areas of a disk of the soma's diameter, are debris."""

_SEED_DISTANCE_FRACTION: Final = 0.45
"""Centers of two somas lie at least this many diameters apart."""

_NOISE_MULTIPLE: Final = 5.0
"""No soma is fainter than this many standard deviations of the noise."""


@dataclass(frozen=True, slots=True)
class Somas:
    """Somas of one field.

    Attributes
    ----------
    labels
        Shape (Y, X), uint16: 0 background, else the object number 1, 2, … without gaps.
    count
        Number of somas.
    debris
        Shape (Y, X), bool: bright bodies that are too small for a soma.
    """

    labels: LabelPlane
    count: int
    debris: NDArray[np.bool_]


def segment_somas(signal: FloatPlane, scales: Scales, threshold: Threshold) -> Somas:
    """Find somas and separate those that touch.

    Neurites are erased by an opening with a disk wider than they are; what remains above the
    threshold is cut along the watershed of its distance transform (one seed a soma), and each
    part is outlined where it falls to half of its own height, which is where the edge of a
    blurred disk lies whatever its brightness.

    Parameters
    ----------
    signal
        Shape (Y, X), counts above background.
    scales
        Expected sizes.
    threshold
        How the level that separates somas from the rest is chosen.

    Returns
    -------
    Somas
        None found in an empty, constant or tiny image.
    """
    nothing = np.zeros(signal.shape, bool)
    factor = max(1, int(scales.soma_diameter_px / _WORKING_DIAMETER_PX))
    diameter = scales.soma_diameter_px / factor
    coarse = smooth(downsample_mean(signal, factor), diameter / 12)
    opened = ndimage.grey_opening(
        coarse, footprint=_disk(diameter * _OPENING_FRACTION / 2), mode="nearest"
    )
    level = _level(opened, coarse, threshold)
    if level <= 0:
        return Somas(np.zeros(signal.shape, np.uint16), 0, nothing)
    seeds = _split(opened > level, diameter)
    heights = _heights(opened, seeds)
    areas = np.bincount(seeds.ravel(), minlength=heights.size)
    big = areas >= _MIN_AREA_FRACTION * np.pi / 4 * diameter**2
    big[0] = False
    basins = np.repeat(np.repeat(_grow(seeds, opened, heights), factor, 0), factor, 1)
    basins = basins[: signal.shape[0], : signal.shape[1]]
    inside = enlarge(opened, factor, signal.shape) > heights[basins] / 2
    debris = inside & ~big[basins] & (basins > 0)
    numbers = np.zeros(big.size, np.uint16)
    count = min(int(big.sum()), MAX_LABEL)
    numbers[np.flatnonzero(big)[:count]] = np.arange(1, count + 1)
    labels = np.where(inside, numbers[basins], np.uint16(0))
    return Somas(labels, count, debris)


def _disk(radius: float) -> NDArray[np.bool_]:
    reach = max(int(radius), 1)
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    disk: NDArray[np.bool_] = y**2 + x**2 <= max(radius, 1) ** 2 + 0.5
    return disk


def _level(opened: FloatPlane, coarse: FloatPlane, threshold: Threshold) -> float:
    """Lowest opened value of a soma, in counts; 0 when there can be none."""
    floor = _NOISE_MULTIPLE * estimate_noise(coarse)
    if isinstance(threshold, FixedLevel):
        return threshold.level_counts
    if isinstance(threshold, NoiseLevel):
        return threshold.multiple * estimate_noise(coarse)
    candidates = opened[opened > floor]
    if candidates.size == 0 or candidates.min() == candidates.max():
        return 0.0
    return max(floor, float(threshold_otsu(candidates)))


def _split(mask: NDArray[np.bool_], diameter: float) -> NDArray[np.int32]:
    """Label a mask, one label for every local maximum of its distance transform."""
    exact = ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
    distance = smooth(exact.astype(np.float32), 1.0)
    peaks = peak_local_max(
        distance,
        min_distance=max(1, round(diameter * _SEED_DISTANCE_FRACTION)),
        labels=ndimage.label(mask)[0],
        exclude_border=False,
    )
    markers = np.zeros(mask.shape, np.int32)
    markers[tuple(peaks.T)] = np.arange(1, len(peaks) + 1)
    labels: NDArray[np.int32] = watershed(-distance, markers, mask=mask)
    return labels


def _heights(opened: FloatPlane, labels: NDArray[np.int32]) -> FloatPlane:
    """Plateau of every object (its 75th percentile), indexed by label; infinite for 0."""
    order = np.argsort(opened, axis=None)
    sorted_labels = labels.ravel()[order]
    by_label = np.argsort(sorted_labels, kind="stable")
    counts = np.bincount(labels.ravel())
    ends = np.cumsum(counts)
    picks = ends - 1 - counts // 4
    heights: FloatPlane = opened.ravel()[order[by_label[np.minimum(picks, labels.size - 1)]]]
    heights[0] = np.inf
    return heights


def _grow(labels: NDArray[np.int32], opened: FloatPlane, heights: FloatPlane) -> NDArray[np.int32]:
    """Extend objects outward over what still exceeds half of the faintest one's height."""
    if heights.size == 1:
        return labels
    grown: NDArray[np.int32] = watershed(-opened, labels, mask=opened > heights[1:].min() / 2)
    return grown
