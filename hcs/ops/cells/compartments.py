"""Nucleus, cell and cytoplasm of every cell of a field, and their sizes and shapes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hcs.ops.cells import kernels
from hcs.ops.somas.segment import LabelPlane

Columns = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Compartment:
    """One part of every cell.

    Attributes
    ----------
    name
        ``Nuclei``, ``Cells`` or ``Cytoplasm``, as CellProfiler's pipelines call them.
    labels
        Shape (Y, X), uint16 or, of more than 65,534 given objects, uint32: number of the cell, 0
        outside.
    count
        Number of cells; a part may be empty, as a cytoplasm is where the nucleus fills its cell.
    """

    name: str
    labels: LabelPlane
    count: int

    @cached_property
    def edges(self) -> NDArray[np.bool_]:
        """Pixels at the edge of an object."""
        return kernels.find_edges(self.labels)

    @cached_property
    def _shapes(self) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        return kernels.sum_shapes(self.labels, self.count)

    @property
    def sums(self) -> NDArray[np.float64]:
        """Sums over every object, see :func:`hcs.ops.cells.kernels.sum_shapes`."""
        return self._shapes[0]

    @property
    def boxes(self) -> NDArray[np.int64]:
        """Box of every object: low y, low x, high y, high x."""
        return self._shapes[1]

    @cached_property
    def area_px(self) -> NDArray[np.float64]:
        """Pixels of every object, NaN where it has none; index 0 is number 1."""
        area = self.sums[1:, kernels.AREA]
        return np.where(area > 0, area, np.nan)

    @cached_property
    def perimeter_px(self) -> NDArray[np.float64]:
        """Perimeter of every object in pixels, NaN where it has none."""
        length = kernels.sum_perimeters(self.labels, self.edges, self.count)[1:]
        return np.where(np.isnan(self.area_px), np.nan, length)

    @property
    def touches_border(self) -> NDArray[np.bool_]:
        """Whether the edge of the image cuts the object."""
        cut: NDArray[np.bool_] = self.sums[1:, kernels.RIM] > 0
        return cut

    @cached_property
    def center(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Middle of every object, y and x."""
        sums = self.sums[1:]
        return sums[:, kernels.SUM_Y] / self.area_px, sums[:, kernels.SUM_X] / self.area_px


def shape_columns(part: Compartment, *, full: bool) -> Columns:
    """Measure sizes and shapes, in pixels, under CellProfiler's names and by its definitions.

    Parameters
    ----------
    part
        One compartment.
    full
        Perimeter, axes and ratios too.

    Returns
    -------
    dict
        Column name → array with as many values as there are cells, NaN where the part is empty.
    """
    area, sums = part.area_px, part.sums[1:]
    y, x = part.center
    found: Columns = {"Area": area, "Center_X": x, "Center_Y": y}
    if full:
        perimeter = part.perimeter_px
        yy = sums[:, kernels.SUM_YY] / area - y**2
        xx = sums[:, kernels.SUM_XX] / area - x**2
        yx = sums[:, kernels.SUM_YX] / area - y * x
        middle, spread = np.maximum(yy + xx, 0) / 2, np.hypot((yy - xx) / 2, yx)
        long, short = 4 * np.sqrt(middle + spread), 4 * np.sqrt(np.maximum(middle - spread, 0))
        box = (part.boxes[1:, 2:] - part.boxes[1:, :2]).prod(axis=1)
        with np.errstate(divide="ignore"):
            form = 4 * np.pi * area / perimeter**2
        form = np.where(perimeter > 0, form, np.nan)  # a single pixel has no perimeter
        found |= {
            "BoundingBoxArea": np.where(area > 0, box, np.nan),
            "Compactness": perimeter**2 / (4 * np.pi * area),
            # Of one pixel 0, as scikit-image and CellProfiler have it.
            "Eccentricity": np.where(
                long == 0, 0, np.sqrt(1 - (short / np.where(long > 0, long, 1)) ** 2)
            ),
            "EquivalentDiameter": np.sqrt(4 * area / np.pi),
            "Extent": area / np.maximum(box, 1),
            "FormFactor": form,
            "MajorAxisLength": long,
            "MinorAxisLength": short,
            "Perimeter": perimeter,
        }
    return {f"{part.name}_AreaShape_{name}": values for name, values in found.items()}
