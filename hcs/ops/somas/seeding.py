"""Somas seeded by nuclei: a body without a nucleus is no cell, one with two nuclei is two."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.segmentation import watershed

from hcs.domain.tuning.bodies import SeedingTuning
from hcs.domain.tuning.sets import DEFAULTS
from hcs.ops.filters import FloatPlane, smooth
from hcs.ops.quality import estimate_noise
from hcs.ops.scales import Scales
from hcs.ops.somas.segment import MAX_LABEL, LabelPlane, Somas

NO_STAIN: Final = "NoStain"
FAINT_STAIN: Final = "FaintStain"
NO_ROOM: Final = "NoRoom"
TOO_MANY: Final = "TooMany"
SKIPPED: Final = (NO_STAIN, FAINT_STAIN, NO_ROOM, TOO_MANY)
"""Why a nucleus is no cell: the stain does not surround it; it does, but fainter than in cells;
other cells take all that is around it; more cells than a label image can number."""


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
    stain that spares the nucleus still shows its cell. Stain counts from a share of the height of
    neurites on; where hardly any nucleus has that, though most have some, any stain counts. Every
    nucleus is a cell or is counted as skipped.

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
        One a nucleus that lies in a stained cell; none without nuclei. ``skipped`` counts the
        other nuclei by :data:`SKIPPED`.
    """
    n_nuclei = int(nuclei.max(initial=0))
    if n_nuclei == 0:
        nothing = np.zeros_like(somas.labels)
        skipped = dict.fromkeys(SKIPPED, 0)
        return Somas(nothing, 0, somas.debris | (somas.labels > 0), skipped)
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
    skipped = _add_shells(parted, nuclei, lone, _Stain(signal, neurite_counts, scales, tuning))
    present = np.unique(parted)
    present = present[present > 0]
    skipped[TOO_MANY] = max(present.size - MAX_LABEL, 0)
    present = present[:MAX_LABEL]
    numbers = np.zeros(n_nuclei + 1, np.uint16)
    numbers[present] = np.arange(1, present.size + 1)
    labels = numbers[parted]
    debris = somas.debris | (bodies & (labels == 0))
    return Somas(labels, present.size, debris, skipped)


@dataclass(frozen=True, slots=True)
class _Stain:
    """The stain that shows cells around nuclei."""

    signal: FloatPlane
    neurite_counts: float
    scales: Scales
    tuning: SeedingTuning

    def is_clear(self) -> NDArray[np.bool_]:
        """Where it is about as high as neurites are."""
        if self.neurite_counts <= 0:
            return np.zeros(self.signal.shape, bool)
        clear: NDArray[np.bool_] = self.signal > self.tuning.stain_fraction * self.neurite_counts
        return clear

    def is_there(self) -> NDArray[np.bool_]:
        """Where it is above the noise at all."""
        blur = max(self.tuning.faint_blur_diameters * self.scales.soma_diameter_px, 1.0)
        least = self.tuning.faint_noise_sds * estimate_noise(self.signal)
        there: NDArray[np.bool_] = smooth(self.signal, blur) > max(least, 1e-6)
        return there


def _add_shells(
    parted: NDArray[np.int32], nuclei: LabelPlane, lone: NDArray[np.bool_], stain: _Stain
) -> dict[str, int]:
    """Add the cells of nuclei that lie in no body, in place; count the others by the reason."""
    if not lone.any():
        return dict.fromkeys(SKIPPED, 0)
    tuning = stain.tuning
    reach = tuning.shell_diameters * stain.scales.soma_diameter_px
    away, nearest = ndimage.distance_transform_edt(nuclei == 0, return_indices=True)
    around = np.where(away <= reach, nuclei[tuple(nearest)], 0)
    zone = np.where((parted > 0) | ~lone[around], 0, around)
    shell = np.where(nuclei > 0, 0, zone)
    counts = np.bincount(shell.ravel(), minlength=lone.size)
    room = lone & (counts > 0)

    def surrounds(bright: NDArray[np.bool_]) -> NDArray[np.bool_]:
        share = np.bincount(shell.ravel(), bright.ravel(), lone.size) / np.maximum(counts, 1)
        enough: NDArray[np.bool_] = room & (share >= tuning.min_stained)
        return enough

    bright, there = stain.is_clear(), stain.is_there()
    clear, faint = surrounds(bright), surrounds(there)
    sums = np.bincount(around.ravel(), stain.signal.ravel(), lone.size).astype(np.float64)
    heights = sums / np.maximum(np.bincount(around.ravel(), minlength=lone.size), 1)
    if _is_misled(clear, faint | clear, lone, heights, tuning):
        bright, clear = there, faint
    kept = clear[zone] & ((nuclei > 0) | bright)
    parted[kept] = zone[kept]
    return {
        NO_STAIN: int((room & ~clear & ~faint).sum()),
        FAINT_STAIN: int((room & ~clear & faint).sum()),
        NO_ROOM: int((lone & ~room).sum()),
        TOO_MANY: 0,
    }


def _is_misled(
    clear: NDArray[np.bool_],
    seen: NDArray[np.bool_],
    lone: NDArray[np.bool_],
    heights: NDArray[np.float64],
    tuning: SeedingTuning,
) -> bool:
    """Whether the height of neurites says nothing of bodies: hardly any has it, all are alike."""
    inside = ~lone
    inside[0] = False
    cells = inside | clear
    n_cells, n_faint = int(cells.sum()), int((seen & ~clear).sum())
    if n_faint == 0 or n_cells >= tuning.usual_stained * (n_cells + n_faint):
        return False
    if n_cells == 0:
        return True
    usual = float(np.median(heights[cells]))
    return float(np.median(heights[seen & ~clear])) >= tuning.comparable * usual
