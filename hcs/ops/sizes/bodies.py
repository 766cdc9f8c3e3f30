"""Diameter of bodies in a stain: the assumed size at which what is found has that size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hcs.domain.config.stages import NeuriteLevel, NoiseLevel
from hcs.ops.filters import FloatPlane, estimate_background
from hcs.ops.neurites.ridges import find_centers, find_ridges
from hcs.ops.resizing import shrink
from hcs.ops.scales import Scales
from hcs.ops.somas.cells import touches_border
from hcs.ops.somas.segment import segment_somas

_STEP: Final = 2**0.25
"""Ratio of one diameter that is tried to the next."""

_LEAST_PX: Final = 5.0
_MOST_SIDES: Final = 0.45
"""Largest diameter that is tried, in shorter sides of the image."""

_WORKING_PX: Final = 10.5
"""Planes are shrunk until the diameter that is tried has this many pixels."""

_NEURITE_DIAMETERS: Final = 1 / 7
_SELF_CONSISTENT: Final = 0.95
"""Median diameter of what is found, over the assumed one, at the true size: 0.84 to 1.05."""

_MOST_SUDDEN: Final = 1.25
"""Where too few bodies showed at the diameter above, those that appear are at most this many times
as wide as assumed: two that are three times as wide are pieces of something else. Between two
diameters the ratio of one kind of bodies changes by 1.19."""

_RIVAL_LIGHT: Final = 0.2
"""The bodies of a size hold at least this share of the light of those at any other that was tried:
an artifact agrees with its own size too."""

_LEAST_OBJECTS: Final = 2
_LEAST_A_PLANE: Final = 0.75
"""Fewer bodies, in all and a plane, are those of an artifact."""
_SPLIT_STEPS: Final = 5
"""Whether a body falls into several is looked at this many steps below: at 0.42 of its diameter."""

_MOST_PARTS: Final = 3.5
"""Mean number of smaller bodies in one from which on it is a clump, or an area that is cut into
bodies of whatever size. Of bodies that are one, textured ones too, it is 1 to 2; of 7 cells 7."""

_LEAST_CONTRAST: Final = 1e-3
"""Weaker structure, in shares of the largest value, is what rounding leaves of an even plane."""


@dataclass(frozen=True, slots=True)
class Bodies:
    """What was found in one plane at one assumed diameter.

    Attributes
    ----------
    diameters_px
        Shape (n,): diameters of the disks of equal area, of bodies that the border does not cut.
    light
        Sum of the counts above background over all bodies.
    centers_px
        Shape (n, 2): their centers of mass.
    """

    diameters_px: NDArray[np.float64]
    light: float
    centers_px: NDArray[np.float64]

    def count_inside(self, smaller: Bodies) -> int:
        """Smaller bodies whose center lies in a disk of one of these, each counted once a disk."""
        away = self.centers_px[:, None, :] - smaller.centers_px[None, :, :]
        inside = np.hypot(away[..., 0], away[..., 1]) <= self.diameters_px[:, None] / 2
        return int(np.count_nonzero(inside))


@dataclass(frozen=True, slots=True)
class SizeCurve:
    """Bodies of several planes at each assumed diameter, from the largest to the smallest."""

    assumed_px: tuple[float, ...]
    found: tuple[tuple[Bodies, ...], ...]
    n_inside: tuple[tuple[int, ...], ...] = ()
    """Of each plane, at all diameters but the last few: bodies of 0.42 of it that lie in others."""

    def add(self, assumed_px: float, found: tuple[Bodies, ...]) -> SizeCurve:
        """Return the curve with what was found at the next smaller diameter."""
        all_found = (*self.found, found)
        n_inside = self.n_inside
        if len(all_found) > _SPLIT_STEPS:
            larger = all_found[-1 - _SPLIT_STEPS]
            pairs = zip(larger, found, strict=True)
            n_inside = (*n_inside, tuple(one.count_inside(other) for one, other in pairs))
        return SizeCurve((*self.assumed_px, assumed_px), all_found, n_inside)

    def solve(self, chosen: Sequence[int] | None = None) -> tuple[float, ...]:
        """Diameters at which what is found has the assumed size, the largest first.

        Parameters
        ----------
        chosen
            Indices of the planes that count, with repetitions; None for each once.
        """
        planes = range(len(self.found[0]) if self.found else 0) if chosen is None else chosen
        ratios, lights = [1.0], []  # what is as large as the largest may be larger still
        for assumed, found in zip(self.assumed_px, self.found, strict=True):
            sizes = np.concatenate([np.zeros(0), *(found[index].diameters_px for index in planes)])
            # A size that few planes show is that of an artifact.
            enough = sizes.size >= max(_LEAST_OBJECTS, _LEAST_A_PLANE * len(planes))
            ratios.append(float(np.median(sizes)) / assumed if enough else 0.0)
            lights.append(sum(found[index].light for index in planes))
        crossings = []
        for index, (before, after) in enumerate(pairwise(ratios)):
            is_sudden = before == 0 and after > _MOST_SUDDEN
            agrees = before < _SELF_CONSISTENT <= after and not is_sudden
            if agrees and not self._falls_apart(index, planes):
                # Between two diameters that are tried the ratio changes about linearly.
                share = (after - _SELF_CONSISTENT) / (after - before) if before > 0 else 0.0
                crossings.append((self.assumed_px[index] * _STEP**share, lights[index]))
        most = max(lights, default=0.0)
        return tuple(size for size, light in crossings if light >= _RIVAL_LIGHT * most)

    def _falls_apart(self, index: int, planes: Sequence[int]) -> bool:
        """Whether bodies of one diameter consist of several smaller ones, as far as is known."""
        if index >= len(self.n_inside):
            return False
        parts = sum(self.n_inside[index][plane] for plane in planes)
        whole = sum(self.found[index][plane].diameters_px.size for plane in planes)
        return parts > _MOST_PARTS * max(whole, 1)

    def count(self, diameter_px: float) -> int:
        """Bodies that were found at the assumed diameter nearest to one."""
        if not self.assumed_px:
            return 0
        nearest = int(np.argmin(np.abs(np.log(np.array(self.assumed_px) / diameter_px))))
        return sum(found.diameters_px.size for found in self.found[nearest])


def find_bodies(plane: FloatPlane, diameter_px: float) -> Bodies:
    """Find bodies of an assumed diameter.

    Parameters
    ----------
    plane
        Shape (Y, X), float32, in counts.
    diameter_px
        Assumed diameter, in pixels.
    """
    factor = max(1.0, diameter_px / _WORKING_PX)
    coarse, diameter = shrink(plane, factor), diameter_px / factor
    width = max(1.5, _NEURITE_DIAMETERS * diameter)
    scales = Scales(diameter, width, 0.0)
    signal = coarse - estimate_background(coarse, diameter)
    if float(signal.max()) <= _LEAST_CONTRAST * float(np.abs(coarse).max()):
        return Bodies(np.zeros(0), 0.0, np.zeros((0, 2)))
    centers = find_centers(find_ridges(signal, scales.ridge_sigma_px), NoiseLevel())
    somas = segment_somas(signal, centers.brightness, scales, NeuriteLevel())
    places = np.nonzero(somas.labels)
    of = somas.labels[places]
    area = np.bincount(of, minlength=somas.count + 1)[1:]
    middles = [np.bincount(of, along, somas.count + 1)[1:] / area for along in places]
    whole = ~touches_border(somas)
    return Bodies(
        np.sqrt(4 / np.pi * area[whole]) * factor,
        max(float(signal[places].sum()) * factor**2, 0.0),
        np.stack(middles, axis=1)[whole] * factor,
    )


def trace_sizes(
    planes: Sequence[NDArray[Any]], least_px: float = _LEAST_PX, most_px: float | None = None
) -> SizeCurve:
    """Find bodies at diameters that fall from the largest until one agrees with what is found.

    Parameters
    ----------
    planes
        Shape (Y, X) each, in counts.
    least_px, most_px
        Smallest and largest diameter that is tried; 0.45 of the shorter side is the most.
    """
    if not planes:
        return SizeCurve((), ())
    largest = min(min(plane.shape) for plane in planes) * _MOST_SIDES
    largest = largest if most_px is None else min(largest, most_px)
    if largest < least_px:
        return SizeCurve((), ())
    n = int(np.log(largest / least_px) / np.log(_STEP)) + 1
    values = [plane.astype(np.float32) for plane in planes]
    curve = SizeCurve((), ())
    for k in range(n - 1, -1, -1):
        assumed = float(least_px * _STEP**k)
        curve = curve.add(assumed, tuple(find_bodies(plane, assumed) for plane in values))
        solved = curve.solve()
        if solved and assumed < solved[0] / _STEP**_SPLIT_STEPS:
            break
    return curve
