"""Cell bodies: outlined in a stain of the cytoplasm from their nuclei, or rings around these."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from hcs.domain.tuning.cells import CellTuning
from hcs.domain.tuning.sets import DEFAULTS
from hcs.ops.cells.blocks import enlarge_labels, pick_labels
from hcs.ops.cells.levels import find_levels
from hcs.ops.cells.spreading import spread_labels
from hcs.ops.filters import FloatPlane, smooth
from hcs.ops.quality import estimate_noise
from hcs.ops.resizing import downsample_mean
from hcs.ops.somas.nuclei_pieces import Labels, fill_holes
from hcs.ops.somas.segment import LabelPlane


@dataclass(frozen=True, slots=True)
class Bodies:
    """Bodies of cells.

    Attributes
    ----------
    labels
        Shape (Y, X), of the nuclei's type: number of the cell, that of its nucleus; 0 outside.
    stained
        Shape (count,), bool: whether the stain of the body stands out around the nucleus. Where it
        does not, the nucleus alone is the cell.
    """

    labels: LabelPlane
    stained: NDArray[np.bool_]


def outline_bodies(
    image: NDArray[Any],
    nuclei: LabelPlane,
    diameter_px: float,
    tuning: CellTuning = DEFAULTS.cells,
) -> Bodies:
    """Outline the body of every nucleus in a stain of the cytoplasm.

    The stain counts where it exceeds the level of least cross-entropy (Li and Lee 1993, doi
    10.1016/0031-3203(93)90115-D); near a nucleus whose surroundings are dimmer than that, where it
    exceeds half of them, so that dim cells beside bright ones keep their bodies. Touching cells
    are parted by the way that light takes from their nuclei
    (:func:`hcs.ops.cells.spreading.spread_labels`). No nucleus is lost.

    Parameters
    ----------
    image
        Shape (Y, X), the stain of the cytoplasm, in counts.
    nuclei
        Shape (Y, X): labels of nuclei, numbered without gaps.
    diameter_px
        Usual diameter of a nucleus.
    tuning
        Constants of the kernel.

    Returns
    -------
    Bodies
        One body a nucleus.
    """
    count = int(nuclei.max(initial=0))
    if count == 0:
        return Bodies(np.zeros_like(nuclei), np.zeros(0, bool))
    values = image.astype(np.float32)
    sigma = max(diameter_px * tuning.blur_diameters, tuning.min_blur_px)
    blurred = smooth(values, sigma)
    noise = estimate_noise(values) / (2 * np.sqrt(np.pi) * sigma)  # what the blur leaves of it
    factor = max(1, int(diameter_px / tuning.working_px))
    coarse = downsample_mean(blurred, factor)
    seeds = pick_labels(nuclei, factor, coarse.shape)
    levels = find_levels(coarse, noise, tuning)
    spread, limits, stained = _spread(coarse, seeds, count, levels, diameter_px / factor, tuning)
    labels = enlarge_labels(spread, factor, nuclei.shape)
    labels[blurred <= limits[labels]] = 0
    filled = np.where(nuclei > 0, nuclei, fill_holes(labels))
    return Bodies(filled.astype(nuclei.dtype), stained)


def _spread(
    coarse: FloatPlane,
    seeds: Labels,
    count: int,
    levels: tuple[float, float, float],
    diameter: float,
    tuning: CellTuning,
) -> tuple[Labels, FloatPlane, NDArray[np.bool_]]:
    """Bodies on the coarse image, the least light of each (by number), and which are stained."""
    ground, level, floor = levels
    away, nearest = ndimage.distance_transform_edt(seeds == 0, return_indices=True)
    zone = seeds[tuple(nearest)]
    shell = (away > 0) & (away <= max(tuning.shell_diameters * diameter, 1.5))
    own = _means(coarse, np.where(shell, zone, 0), count + 1)
    dim = np.maximum(ground + tuning.own_share * (own - ground), floor)
    limits = np.where(own < level, dim, level).astype(np.float32)
    near = away <= tuning.dim_reach_diameters * diameter
    mask = (coarse > np.where(near, limits[zone], level)) | (seeds > 0)
    height = max(float(np.median(coarse[mask])) - ground, 1e-6)
    light = coarse / np.float32(height)
    return spread_labels(seeds, mask, light, tuning.evenness), limits, own[1:] > floor


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
        Shape (Y, X), of the nuclei's type: nucleus and ring together, with the number of the
        nucleus.
    """
    if not nuclei.any():
        return nuclei.copy()
    away, nearest = ndimage.distance_transform_edt(nuclei == 0, return_indices=True)
    rings: LabelPlane = np.where(away <= width_px, nuclei[tuple(nearest)], 0).astype(nuclei.dtype)
    return rings


def _means(values: FloatPlane, labels: Labels, size: int) -> FloatPlane:
    counts = np.bincount(labels.ravel(), minlength=size)
    sums = np.bincount(labels.ravel(), values.ravel(), size)
    return (sums / np.maximum(counts, 1)).astype(np.float32)
