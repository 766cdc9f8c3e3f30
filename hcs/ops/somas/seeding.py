"""Somas seeded by nuclei: a body without a nucleus is no cell, one with two nuclei is two."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.segmentation import watershed

from hcs.domain.tuning.bodies import SeedingTuning
from hcs.domain.tuning.sets import DEFAULTS
from hcs.ops.filters import FloatPlane
from hcs.ops.scales import Scales
from hcs.ops.somas.segment import MAX_LABEL, LabelPlane, Somas


def seed_somas(
    somas: Somas,
    nuclei: LabelPlane,
    signal: FloatPlane,
    neurite_counts: float,
    scales: Scales,
    tuning: SeedingTuning = DEFAULTS.seeding,
) -> Somas:
    """Let nuclei decide what is a cell.

    Bodies without a nucleus become debris; bodies with several are parted along the watershed
    between the nuclei; nuclei outside of bodies get one when the stain surrounds them, so that a
    stain that spares the nucleus still shows its cell.

    Parameters
    ----------
    somas
        Bodies found in the stain of the neurites.
    nuclei
        Shape (Y, X): labels of nuclei.
    signal
        Shape (Y, X), counts above background of that stain.
    neurite_counts
        Usual height of neurites.
    scales
        Expected sizes.
    tuning
        Constants of the kernel.

    Returns
    -------
    Somas
        One a nucleus that lies in a stained cell; none without nuclei.
    """
    n_nuclei = int(nuclei.max(initial=0))
    if n_nuclei == 0:
        return Somas(np.zeros_like(somas.labels), 0, somas.debris | (somas.labels > 0))
    area = np.bincount(nuclei.ravel(), minlength=n_nuclei + 1)
    inside = np.bincount(nuclei.ravel(), somas.labels.ravel() > 0, n_nuclei + 1)
    held = inside >= tuning.min_overlap * np.maximum(area, 1)
    held[0] = False
    seeds = np.where(held[nuclei], nuclei, 0).astype(np.int32)
    bodies = somas.labels > 0
    parted: NDArray[np.int32] = watershed(
        -ndimage.distance_transform_edt(seeds > 0), seeds, mask=bodies | (seeds > 0)
    )
    lone = (area > 0) & ~held
    lone[0] = False
    _add_shells(parted, np.where(lone[nuclei], nuclei, 0), signal, neurite_counts, scales, tuning)
    present = np.unique(parted)
    present = present[present > 0][:MAX_LABEL]
    numbers = np.zeros(n_nuclei + 1, np.uint16)
    numbers[present] = np.arange(1, present.size + 1)
    labels = numbers[parted]
    return Somas(labels, present.size, somas.debris | (bodies & (labels == 0)))


def _add_shells(
    parted: NDArray[np.int32],
    nuclei: NDArray[np.uint16],
    signal: FloatPlane,
    neurite_counts: float,
    scales: Scales,
    tuning: SeedingTuning,
) -> None:
    """Add the cells of nuclei that lie in no body, in place."""
    if not nuclei.any():
        return
    reach = tuning.shell_diameters * scales.soma_diameter_px
    away, nearest = ndimage.distance_transform_edt(nuclei == 0, return_indices=True)
    zone = np.where(away <= reach, nuclei[tuple(nearest)], 0)
    zone[parted > 0] = 0
    shell = np.where(nuclei > 0, 0, zone)
    size = int(nuclei.max()) + 1
    bright = signal > max(tuning.stain_fraction * neurite_counts, 0)
    counts = np.bincount(shell.ravel(), minlength=size)
    share = np.bincount(shell.ravel(), bright.ravel(), size) / np.maximum(counts, 1)
    stained = (neurite_counts > 0) & (counts > 0) & (share >= tuning.min_stained)
    stained[0] = False
    kept = stained[zone] & ((nuclei > 0) | bright)
    parted[kept] = zone[kept]
