"""Cell bodies: outlined in a stain of the cytoplasm from their nuclei, or rings around these."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.filters import threshold_li
from skimage.segmentation import watershed

from hcs.ops.cells.spreading import spread_labels
from hcs.ops.filters import FloatPlane, smooth
from hcs.ops.intensity import downsample_mean
from hcs.ops.quality import estimate_noise
from hcs.ops.somas.nuclei_pieces import Labels, Mask, at_rim, fill_holes, join_pieces
from hcs.ops.somas.segment import MAX_LABEL, LabelPlane

_WORKING_PX: Final = 9.0
"""Bodies are found on an image coarse enough for nuclei to have at least this diameter."""

_BLUR_DIAMETERS: Final = 1 / 16
_MIN_BLUR_PX: Final = 0.7
_SAMPLED_PX: Final = 2**16
_GROUND_PERCENTILE: Final = 5

_LEVEL_SHARE: Final = 0.8
"""Bodies reach down to this share of the level of least cross-entropy: its rim is dimmer than the
cell. CellProfiler's example pipelines take the same share."""

_OWN_SHARE: Final = 0.5
"""A dim cell reaches down to half of what its stain has around its own nucleus."""

_SHELL_DIAMETERS: Final = 0.3
"""Width of the shell around a nucleus in which the stain of its own cell is read."""

_DIM_REACH_DIAMETERS: Final = 1.5
"""A cell that is outlined by its own height alone reaches at most so far from its nucleus."""

_EVENNESS: Final = 0.3
"""Change of light, in heights of a usual cell, that costs as much as a step of one pixel."""

_FLOOR_SHARE: Final = 0.25
"""No stain is dimmer than this share of the level: background is never quite even."""

_NOISE_MULTIPLE: Final = 5.0
_SEED_BLUR_DIAMETERS: Final = 0.08
_SEED_DIAMETERS: Final = 0.3
_MIN_AREA_FRACTION: Final = 0.12
_ESTIMATE_PX: Final = 512
_USUAL_DIAMETER_PX: Final = 40.0


@dataclass(frozen=True, slots=True)
class Bodies:
    """Bodies of cells.

    Attributes
    ----------
    labels
        Shape (Y, X), uint16: number of the cell, that of its nucleus; 0 outside.
    stained
        Shape (count,), bool: whether the stain of the body stands out around the nucleus. Where it
        does not, the nucleus alone is the cell.
    """

    labels: LabelPlane
    stained: NDArray[np.bool_]


def outline_bodies(image: NDArray[Any], nuclei: LabelPlane, diameter_px: float) -> Bodies:
    """Outline the body of every nucleus in a stain of the cytoplasm.

    The stain counts where it exceeds the level of least cross-entropy (Li and Lee 1993, doi
    10.1016/0031-3203(93)90115-D), or near a nucleus half of what surrounds that nucleus, so that
    dim cells beside bright ones keep their bodies. Touching cells are parted by the way that light
    takes from their nuclei (:func:`hcs.ops.cells.spreading.spread_labels`). No nucleus is lost.

    Parameters
    ----------
    image
        Shape (Y, X), the stain of the cytoplasm, in counts.
    nuclei
        Shape (Y, X): labels of nuclei, numbered without gaps.
    diameter_px
        Usual diameter of a nucleus.

    Returns
    -------
    Bodies
        One body a nucleus.
    """
    count = int(nuclei.max(initial=0))
    if count == 0:
        return Bodies(np.zeros(nuclei.shape, np.uint16), np.zeros(0, bool))
    factor = max(1, int(diameter_px / _WORKING_PX))
    values = image.astype(np.float32)
    sigma = max(diameter_px * _BLUR_DIAMETERS, _MIN_BLUR_PX)
    blurred = smooth(values, sigma)
    noise = estimate_noise(values) / (2 * np.sqrt(np.pi) * sigma)  # what the blur leaves
    coarse = downsample_mean(blurred, factor)
    seeds = _pick_blocks(nuclei, factor, coarse.shape)
    ground = float(np.percentile(coarse, _GROUND_PERCENTILE))
    level = max(ground + _LEVEL_SHARE * (_level(coarse) - ground), ground)
    floor = ground + max(_NOISE_MULTIPLE * noise, _FLOOR_SHARE * (level - ground))
    away, nearest = ndimage.distance_transform_edt(seeds == 0, return_indices=True)
    zone = seeds[tuple(nearest)]
    shell = (away > 0) & (away <= max(_SHELL_DIAMETERS * diameter_px / factor, 1.5))
    own = _means(coarse, np.where(shell, zone, 0), count + 1)
    level = max(level, floor)
    limits = np.where(own < level, np.maximum(ground + _OWN_SHARE * (own - ground), floor), level)
    near = away <= _DIM_REACH_DIAMETERS * diameter_px / factor
    mask = (coarse > np.where(near, limits[zone], level)) | (seeds > 0)
    height = max(float(np.median(coarse[mask])) - ground, 1e-6)
    spread = spread_labels(seeds, mask, coarse / np.float32(height), _EVENNESS)
    labels = np.repeat(np.repeat(spread, factor, 0), factor, 1)[: image.shape[0], : image.shape[1]]
    labels = _pad_to(labels, image.shape)
    labels[blurred <= limits[labels]] = 0
    labels = np.where(nuclei > 0, nuclei, fill_holes(labels)).astype(np.uint16)
    return Bodies(labels, own[1:] > floor)


def draw_rings(nuclei: LabelPlane, width_px: float) -> LabelPlane:
    """Let every nucleus grow by a ring that stands for its cell; rings meet half-way.

    Parameters
    ----------
    nuclei
        Shape (Y, X): labels of nuclei.
    width_px
        Width of the ring.

    Returns
    -------
    ndarray
        Shape (Y, X), uint16: nucleus and ring together, with the number of the nucleus.
    """
    if not nuclei.any():
        return nuclei.copy()
    away, nearest = ndimage.distance_transform_edt(nuclei == 0, return_indices=True)
    rings: LabelPlane = np.where(away <= width_px, nuclei[tuple(nearest)], 0).astype(np.uint16)
    return rings


def segment_bodies(image: NDArray[Any], diameter_px: float | None = None) -> LabelPlane:
    """Find cell bodies without knowing their nuclei, and separate those that touch.

    Parameters
    ----------
    image
        Shape (Y, X), a stain that fills the cells, in counts.
    diameter_px
        Usual diameter of a cell; None to estimate it from the image.

    Returns
    -------
    ndarray
        Shape (Y, X), uint16: number of the cell, 0 outside.
    """
    values = image.astype(np.float32)
    diameter = diameter_px or estimate_body_diameter(values) or _USUAL_DIAMETER_PX
    factor = max(1, int(diameter / 2 / _WORKING_PX))
    blurred = smooth(values, max(diameter * _BLUR_DIAMETERS / 2, _MIN_BLUR_PX))
    coarse = downsample_mean(blurred, factor)
    mask, level = _find_mask(coarse, 5 * estimate_noise(blurred))
    if not mask.any():
        return np.zeros(image.shape, np.uint16)
    exact = ndimage.distance_transform_edt(np.pad(mask, 1, mode="edge"))[1:-1, 1:-1]
    depth = exact.astype(np.float32)
    size = diameter / factor
    relief = smooth(depth, size * _SEED_BLUR_DIAMETERS)
    window = 2 * max(1, round(size * _SEED_DIAMETERS / 2)) + 1
    summit = (ndimage.maximum_filter(relief, window, mode="constant") == relief) & mask
    markers = ndimage.label(summit, np.ones((3, 3)))[0].astype(np.int32)
    pieces = join_pieces(watershed(-relief, markers, mask=mask), coarse, depth)
    labels = np.repeat(np.repeat(pieces, factor, 0), factor, 1)[: image.shape[0], : image.shape[1]]
    labels = fill_holes(_pad_to(labels, image.shape))
    return _number(labels, _MIN_AREA_FRACTION * np.pi / 4 * diameter**2)


def estimate_body_diameter(image: FloatPlane) -> float | None:
    """Estimate the usual diameter of cells in a stain that fills them; None where there are none."""
    factor = max(1, round(max(image.shape) / _ESTIMATE_PX))
    coarse = smooth(downsample_mean(image, factor), 1.0)
    mask, _ = _find_mask(coarse, 5 * estimate_noise(image))
    depth = ndimage.distance_transform_edt(np.pad(mask, 1, mode="edge"))[1:-1, 1:-1]
    top = (ndimage.maximum_filter(smooth(depth.astype(np.float32), 1.0), 7) == smooth(depth.astype(np.float32), 1.0)) & mask
    radius = np.sort(depth[top])
    if radius.size == 0:
        return None
    weight = np.cumsum(radius**2)
    return 2 * float(radius[np.searchsorted(weight, weight[-1] / 2)]) * factor*1.2
 

def _find_mask(coarse: FloatPlane, noise: float) -> tuple[Mask, float]:
    ground = float(np.percentile(coarse, _GROUND_PERCENTILE))
    if float(coarse.max()) - ground <= max(noise, 1e-6):
        return np.zeros(coarse.shape, bool), ground
    level = max(ground + _LEVEL_SHARE * (_level(coarse) - ground), ground + noise)
    mask: Mask = ndimage.binary_opening(ndimage.binary_fill_holes(coarse > level), iterations=2)
    return mask, level


def _level(coarse: FloatPlane) -> float:
    step = max(1, int(np.sqrt(coarse.size / _SAMPLED_PX)))
    sample = coarse[::step, ::step]
    return float(threshold_li(sample)) if float(np.ptp(sample)) > 0 else float(sample.max())


def _pick_blocks(labels: LabelPlane, factor: int, shape: tuple[int, ...]) -> Labels:
    """Label of every block: the largest number in it, so that no small nucleus is lost."""
    if factor == 1:
        return labels.astype(np.int32)
    padded = np.pad(labels, [(0, max(0, s * factor - n)) for s, n in zip(shape, labels.shape, strict=True)])
    y, x = shape
    blocks = padded[: y * factor, : x * factor].reshape(y, factor, x, factor)
    picked: Labels = blocks.max(axis=(1, 3)).astype(np.int32)
    return picked


def _pad_to(labels: Labels, shape: tuple[int, ...]) -> Labels:
    pads = [(0, n - m) for n, m in zip(shape, labels.shape, strict=True)]
    return np.pad(labels, pads, mode="edge") if any(p[1] for p in pads) else labels.copy()


def _means(values: FloatPlane, labels: Labels, size: int) -> FloatPlane:
    counts = np.bincount(labels.ravel(), minlength=size)
    sums = np.bincount(labels.ravel(), values.ravel(), size)
    return (sums / np.maximum(counts, 1)).astype(np.float32)


def _number(labels: Labels, least: float) -> LabelPlane:
    area = np.bincount(labels.ravel())
    minimum = np.full(area.size, least)
    minimum[at_rim(labels)] = least / 4
    kept = area >= np.maximum(minimum, 1)
    kept[0] = False
    count = min(int(kept.sum()), MAX_LABEL)
    numbers = np.zeros(area.size, np.uint16)
    numbers[np.flatnonzero(kept)[:count]] = np.arange(1, count + 1)
    return numbers[labels]
