"""Diameter of nuclei: that of the nuclei which are found with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hcs.domain.tuning.bodies import NucleiTuning
from hcs.domain.tuning.sets import DEFAULTS
from hcs.ops.somas.nuclei import estimate_nuclear_diameter, segment_nuclei
from hcs.ops.somas.nuclei_pieces import at_rim

_TURNS: Final = 3
_SAME: Final = 0.03
"""A diameter is stable when the next turn changes it by less than this share."""


_LEAST_SHARE: Final = 0.5
"""Smaller objects, in shares of the assumed diameter, are fragments and count for no size."""


@dataclass(frozen=True, slots=True)
class NuclearSizes:
    """Diameters of whole nuclei, one array a plane, and the diameter that they were found with."""

    diameters_px: tuple[NDArray[np.float64], ...]
    assumed_px: float

    def solve(self, chosen: Sequence[int] | None = None) -> float | None:
        """Return the median diameter over planes, in px; None where there are no nuclei."""
        planes = range(len(self.diameters_px)) if chosen is None else chosen
        sizes = np.concatenate([np.zeros(0), *(self.diameters_px[index] for index in planes)])
        return float(np.median(sizes)) if sizes.size else None


def find_nuclear_sizes(
    planes: Sequence[NDArray[Any]], tuning: NucleiTuning = DEFAULTS.nuclei
) -> NuclearSizes | None:
    """Find nuclei of all planes with one diameter, and measure it again until it is stable.

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
    guesses = [estimate_nuclear_diameter(plane, tuning) for plane in planes]
    known = [guess for guess in guesses if guess is not None]
    if not known:
        return None
    assumed = float(np.median(known))
    for _ in range(_TURNS):
        sizes = NuclearSizes(tuple(_measure(p, assumed, tuning) for p in planes), assumed)
        found = sizes.solve()
        if found is None:
            return None
        if abs(found / assumed - 1) < _SAME:
            break
        assumed = found
    return sizes


def _measure(plane: NDArray[Any], diameter_px: float, tuning: NucleiTuning) -> NDArray[np.float64]:
    labels = segment_nuclei(plane, diameter_px, tuning)
    area = np.bincount(labels.ravel())
    area[at_rim(labels)] = 0
    area[0] = 0
    sizes = np.asarray(np.sqrt(4 / np.pi * area[area > 0]), np.float64)
    return sizes[sizes >= _LEAST_SHARE * diameter_px]
