"""Diameter of nuclei: that of the nuclei which are found with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hcs.domain.tuning.bodies import NucleiTuning
from hcs.domain.tuning.sets import DEFAULTS
from hcs.ops.somas.nuclei import estimate_nuclear_diameter, segment_nuclei
from hcs.ops.somas.nuclei_pieces import at_rim

_TURNS: Final = 3
_SAME: Final = 0.2
"""A search ends when the diameter of the nuclei found with one differs from it by less than this
share; theirs is taken. Outlines follow the edge of each nucleus, the level of the whole plane lies
outside of it: of disks of 12 px, blurred, that gave 15 px and the outlines 13."""


_LEAST_SHARE: Final = 0.5
"""Smaller objects, in shares of the assumed diameter, are fragments and count for no size."""


@dataclass(frozen=True, slots=True)
class NuclearSizes:
    """Diameter of the nuclei of several planes.

    Attributes
    ----------
    guesses_px
        Of each plane alone, from what its histogram parts; None where there is nothing.
    diameter_px
        Of all planes together: the one that nuclei found with it have.
    n_nuclei
        How many were found with it.
    """

    guesses_px: tuple[float | None, ...]
    diameter_px: float
    n_nuclei: int

    def solve(self, chosen: Sequence[int]) -> float | None:
        """Return the diameter that some planes alone would give, in px; None without nuclei."""
        known = [guess for guess in self.guesses_px if guess is not None]
        some = [guess for index in chosen if (guess := self.guesses_px[index]) is not None]
        return self.diameter_px * median(some) / median(known) if some else None


def find_nuclear_sizes(
    planes: Sequence[NDArray[Any]], tuning: NucleiTuning = DEFAULTS.nuclei
) -> NuclearSizes | None:
    """Find the diameter of nuclei; where nuclei found with it have another, that one is tried.

    Parameters
    ----------
    planes
        Shape (Y, X) each, the nuclear channel, in counts.
    tuning
        Constants of the kernel.

    Returns
    -------
    NuclearSizes or None
        None where no plane shows a nucleus.
    """
    guesses = tuple(estimate_nuclear_diameter(plane, tuning) for plane in planes)
    known = [guess for guess in guesses if guess is not None]
    if not known:
        return None
    assumed = float(median(known))
    for _ in range(_TURNS):
        sizes = np.concatenate([_measure(plane, assumed, tuning) for plane in planes])
        if sizes.size == 0:
            return None
        found = float(np.median(sizes))
        is_same = abs(found / assumed - 1) < _SAME
        assumed = found
        if is_same:
            break
    return NuclearSizes(guesses, assumed, sizes.size)


def _measure(plane: NDArray[Any], diameter_px: float, tuning: NucleiTuning) -> NDArray[np.float64]:
    labels = segment_nuclei(plane, diameter_px, tuning)
    area = np.bincount(labels.ravel())
    area[at_rim(labels)] = 0
    area[0] = 0
    sizes = np.asarray(np.sqrt(4 / np.pi * area[area > 0]), np.float64)
    return sizes[sizes >= _LEAST_SHARE * diameter_px]
