"""Somas: bright bodies wider than a neurite and evenly filled, outlined at half of their height."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.segmentation import watershed

from hcs.domain.config.stages import FixedLevel, NoiseLevel, SomaThreshold
from hcs.domain.tuning.bodies import SomaTuning
from hcs.domain.tuning.sets import DEFAULTS
from hcs.ops.filters import FloatPlane, smooth
from hcs.ops.quality import estimate_noise
from hcs.ops.resizing import shrink
from hcs.ops.scales import Scales

LabelPlane = NDArray[np.unsignedinteger[Any]]
Labels = NDArray[np.int32]
_Plane = TypeVar("_Plane", NDArray[np.float32], NDArray[np.int32])

MAX_LABEL: Final = 65534
"""Largest object number; 65535 is kept for neurites of no soma."""


def label_type(count: int) -> type[np.unsignedinteger[Any]]:
    """Return the type of a label image of so many objects: uint16, or uint32 where they are more.

    A whole stitched well holds more nuclei than 16 bits number.
    """
    return np.uint16 if count <= MAX_LABEL else np.uint32


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
        Shape (Y, X), bool: evenly filled bright bodies that are too small for a soma.
    skipped
        Nuclei that are no cell, by the reason; empty where no nuclei were asked.
    """

    labels: LabelPlane
    count: int
    debris: NDArray[np.bool_]
    skipped: dict[str, int] = field(default_factory=dict)


def segment_somas(
    signal: FloatPlane,
    neurite_counts: float,
    scales: Scales,
    threshold: SomaThreshold,
    tuning: SomaTuning = DEFAULTS.somas,
) -> Somas:
    """Find somas and separate those that touch.

    Neurites are erased by an opening with a disk wider than they are. What remains above the
    threshold and was not much brighter before is cut along the watershed of its distance
    transform (one seed a soma). Each part is outlined half-way between its own height and its
    surroundings, which is where the edge of a blurred body lies whatever its brightness.

    Parameters
    ----------
    signal
        Shape (Y, X), counts above background.
    neurite_counts
        Usual height of neurites: somas are not darker than they are.
    scales
        Expected sizes.
    threshold
        How the level of somas is chosen.
    tuning
        Constants of the kernel.

    Returns
    -------
    Somas
        None found in an empty, constant or tiny image.
    """
    factor = max(1.0, scales.soma_diameter_px / tuning.working_diameter_px)
    diameter = scales.soma_diameter_px / factor
    coarse = smooth(shrink(signal, factor), diameter * tuning.blur_diameters)
    opened = _open(coarse, np.pi / 4 * (diameter * tuning.opening_diameters) ** 2)
    noise = estimate_noise(coarse)
    level = _level(threshold, max(tuning.noise_multiple * noise, neurite_counts), tuning)
    reach = round(tuning.summit_diameters * diameter)
    summit = ndimage.maximum_filter(opened, reach, mode="nearest")
    body = opened > np.maximum(level, summit * tuning.summit_fraction)
    restored = opened + tuning.noise_margin_sds * noise
    body &= restored > tuning.min_pixel_fill * coarse
    seeds = _split_bodies(body, coarse, diameter, tuning)
    if not seeds.any():
        return Somas(np.zeros(signal.shape, np.uint16), 0, np.zeros(signal.shape, bool))
    fill = np.bincount(seeds.ravel(), restored.ravel()) / np.maximum(
        np.bincount(seeds.ravel(), coarse.ravel()), 1e-12
    )
    zones = _expand_labels(seeds, round(diameter * tuning.zone_diameters))
    rims = np.where(seeds > 0, 0, zones)
    heights = _percentiles(opened, seeds, tuning.height_percentile, fill.size)
    bases = _percentiles(opened, rims, tuning.base_percentile, fill.size)
    levels = bases + tuning.outline_fraction * (heights - bases)
    glare = _means(coarse, rims, fill.size) / np.maximum(heights, 1e-12)
    filled = (fill >= tuning.min_fill) & ((glare < tuning.max_glare) | (fill > tuning.full))
    filled[0] = False
    objects = _enlarge_labels(np.where(filled[zones], zones, 0), signal.shape)
    _outline(objects, signal, levels, scales.soma_diameter_px, tuning)
    return _number_somas(objects, scales.soma_diameter_px, tuning)


def cut_somas(
    somas: Somas, blank: NDArray[np.bool_], scales: Scales, tuning: SomaTuning = DEFAULTS.somas
) -> Somas:
    """Cut somas where there is no image; what then is too small is debris.

    Parameters
    ----------
    somas
        Somas of a field whose blank part was filled.
    blank
        Shape (Y, X): that part.
    scales
        Expected sizes.
    tuning
        Constants of the kernel.
    """
    seen = np.where(blank, 0, somas.labels).astype(np.int32)
    cut = _number_somas(seen, scales.soma_diameter_px, tuning)
    return Somas(cut.labels, cut.count, (somas.debris & ~blank) | cut.debris, somas.skipped)


def _open(plane: FloatPlane, area: float) -> FloatPlane:
    """Open with a disk of any area: the mean of two openings, weighted by the areas of their disks.

    What is found then changes smoothly with the size that is assumed. With the nearest disk alone,
    8 of 100 cells were lost where it turned from 21 pixels into a square of 25.
    """
    larger = next((index for index, (n, _) in enumerate(_DISKS) if n >= area), len(_DISKS) - 1)
    n_more, more = _DISKS[larger]
    n_less, less = _DISKS[max(larger - 1, 0)]
    share = 1.0 if n_more == n_less else (area - n_less) / (n_more - n_less)
    share = float(np.clip(share, 0, 1))
    opened = np.zeros_like(plane)
    for weight, disk in ((1 - share, less), (share, more)):
        if weight > _LEAST_WEIGHT:
            eroded = _shift_plane(plane, disk, np.minimum)
            opened += np.float32(weight) * _shift_plane(eroded, disk, np.maximum)
    return opened / np.float32(sum(w for w in (1 - share, share) if w > _LEAST_WEIGHT))


def _draw_disk(squared_radius: int) -> NDArray[np.bool_]:
    reach = int(np.sqrt(squared_radius))
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    disk: NDArray[np.bool_] = y**2 + x**2 <= squared_radius
    return disk


_DISKS: Final = tuple(
    (int(disk.sum()), disk) for disk in map(_draw_disk, (0, 1, 4, 5, 10, 13, 17, 25, 34, 52, 80))
)
"""Digital disks and their numbers of pixels, without the squares among them (2, 8, 18)."""

_LEAST_WEIGHT: Final = 0.01


def _enlarge_labels(labels: Labels, shape: tuple[int, ...]) -> Labels:
    """Labels of a coarse plane on the full one, each pixel from the one that it lies in."""
    y, x = (
        ((np.arange(n) + 0.5) * coarse / n).astype(np.intp)
        for n, coarse in zip(shape, labels.shape, strict=True)
    )
    return labels[np.ix_(y, x)]


def _level(threshold: SomaThreshold, floor: float, tuning: SomaTuning) -> float:
    """Lowest opened value of a soma, in counts."""
    if isinstance(threshold, FixedLevel):
        return threshold.level_counts
    if isinstance(threshold, NoiseLevel):
        return threshold.multiple / tuning.noise_multiple * floor
    return floor


def _split_bodies(
    mask: NDArray[np.bool_], coarse: FloatPlane, diameter: float, tuning: SomaTuning
) -> Labels:
    """Label a mask, one label for every body in it.

    Bodies are local maxima of the distance to the mask's border times the response to blobs of
    the soma's size (Lindeberg 1998, doi 10.1023/A:1008045108935). Distance alone misses the
    smaller of two somas where blur fills the neck between them; brightness alone would cut one
    soma along its nucleus.
    """
    exact = ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
    distance = smooth(exact.astype(np.float32), 1.0)
    blob = -ndimage.gaussian_laplace(coarse, tuning.blob_diameters * diameter, mode="nearest")
    body = np.where(mask, np.maximum(blob, 0) * distance**tuning.distance_power, 0)
    window = 2 * max(1, round(diameter * tuning.seed_diameters)) + 1
    summit = (ndimage.maximum_filter(body, window, mode="constant") == body) & (body > 0)
    markers = ndimage.label(summit, np.ones((3, 3)))[0].astype(np.int32)
    labels: Labels = watershed(-blob, markers, mask=mask)
    return labels


def _expand_labels(labels: Labels, steps: int) -> Labels:
    """Let labels grow into the background by some pixels, by turns in four and eight directions."""
    for step in range(steps):
        footprint = ndimage.generate_binary_structure(2, 1 + step % 2)
        labels = np.where(labels > 0, labels, _shift_plane(labels, footprint, np.maximum))
    return labels


def _shift_plane(plane: _Plane, footprint: NDArray[np.bool_], extreme: np.ufunc) -> _Plane:
    """Minimum or maximum under a small symmetric footprint, edges repeated.

    One pass of a vectorized ufunc for every pixel of the footprint; scipy's filter with a
    footprint that is not a rectangle takes ten times as long.
    """
    reach = footprint.shape[0] // 2
    padded = np.pad(plane, reach, mode="edge")
    result = plane.copy()
    for dy, dx in np.argwhere(footprint):
        part = padded[dy : dy + plane.shape[0], dx : dx + plane.shape[1]]
        extreme(result, part, out=result)
    return result


def _outline(
    objects: Labels, signal: FloatPlane, levels: FloatPlane, diameter: float, tuning: SomaTuning
) -> None:
    """Outline each object within its zone and cut off stumps of neurites, in place.

    An opening with an exact Euclidean disk, in the object's own window: distance transforms of
    the whole plane would take longer than everything else.
    """
    radius, sigma = diameter * tuning.trim_diameters / 2, max(diameter * tuning.blur_diameters, 0.5)
    reach = int(np.ceil(radius)) + 1
    for index, window in enumerate(ndimage.find_objects(objects), start=1):
        if not window:  # a number whose object was no soma
            continue
        # The plane's edge is no edge of a soma: repeated pixels let the outline go on beyond it.
        around = [np.arange(w.start - reach, w.stop + reach) for w in window]
        places = [np.clip(i, 0, n - 1) for i, n in zip(around, objects.shape, strict=True)]
        patch = np.ix_(*places)
        zone = objects[patch] == index
        mask = zone & (smooth(signal[patch], sigma) > levels[index])
        if not mask.all():
            away = ndimage.distance_transform_edt(mask) <= radius
            mask &= ndimage.distance_transform_edt(away) <= radius
        inner = (slice(reach, -reach), slice(reach, -reach))
        objects[window][(zone & ~mask)[inner]] = 0


def _number_somas(objects: Labels, diameter: float, tuning: SomaTuning) -> Somas:
    """Give objects that are large enough numbers without gaps; the others are debris."""
    is_soma = np.bincount(objects.ravel()) >= tuning.min_area_fraction * np.pi / 4 * diameter**2
    is_soma[0] = False
    count = min(int(is_soma.sum()), MAX_LABEL)
    numbers = np.zeros(is_soma.size, np.uint16)
    numbers[np.flatnonzero(is_soma)[:count]] = np.arange(1, count + 1)
    return Somas(numbers[objects], count, (objects > 0) & ~is_soma[objects])


def _means(values: FloatPlane, labels: Labels, size: int) -> NDArray[np.float64]:
    """Mean of the values under each label, by index; 0 for absent labels."""
    counts = np.bincount(labels.ravel(), minlength=size)
    sums = np.bincount(labels.ravel(), values.ravel(), size)
    return np.asarray(sums / np.maximum(counts, 1), np.float64)


def _percentiles(values: FloatPlane, labels: Labels, percentile: float, size: int) -> FloatPlane:
    """Percentile of the values under each label, by index; 0 for label 0 and absent labels."""
    places = np.flatnonzero(labels)
    found, of = values.ravel()[places], labels.ravel()[places]
    order = np.lexsort((found, of))
    counts = np.bincount(of, minlength=size)
    picks = np.cumsum(counts) - counts + (counts * percentile / 100).astype(np.intp)
    result = np.zeros(size, np.float32)
    present = counts > 0
    result[present] = found[order][picks[present]]
    return result
