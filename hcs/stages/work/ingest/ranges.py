"""Smallest, middle and largest value of planes that are never in memory together."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hcs.ops.intensity import Range, grid_step, has_table, median_of_counts


class RunningRange:
    """The :func:`~hcs.ops.intensity.value_range` of planes that lie below each other.

    Parameters
    ----------
    n_pixels
        Of all planes that are expected; decides how fine the grid is that the median is of.
    """

    def __init__(self, n_pixels: int) -> None:
        self._step = grid_step(n_pixels)
        self._rows = 0
        self._counts: NDArray[np.intp] | None = None
        self._samples: list[NDArray[Any]] = []
        self._low, self._high = np.inf, -np.inf

    def add(self, plane: NDArray[Any]) -> None:
        """Take a plane ``(Y, X)``, unsigned integers or floats, the next one below the others."""
        sample = plane[-self._rows % self._step :: self._step, :: self._step].ravel()
        self._rows += len(plane)
        self._low = min(self._low, float(plane.min()))
        self._high = max(self._high, float(plane.max()))
        if not has_table(plane):
            self._samples.append(sample)
            return
        counts = np.bincount(sample, minlength=int(np.iinfo(plane.dtype).max) + 1)
        self._counts = counts if self._counts is None else self._counts + counts

    def find(self) -> Range | None:
        """Return the range of all planes so far; None without any."""
        if not self._rows:
            return None
        if self._counts is not None:
            median = median_of_counts(self._counts) if self._counts.any() else self._low
        else:
            median = float(np.median(np.concatenate(self._samples)))
        return Range(self._low, median, self._high)
