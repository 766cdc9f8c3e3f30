"""Brightness and texture of every channel on every compartment, under CellProfiler's names."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hcs.domain.catalog_cells import TEXTURES
from hcs.ops.cells import kernels
from hcs.ops.cells.compartments import Columns, Compartment
from hcs.ops.cells.pairs import pair_textures

TEXTURE_PX: Final = 3
"""Distance of the two pixels of a pair, as in JUMP's finest scale."""

GRAY_LEVELS: Final = 256


def light_columns(
    part: Compartment, channel: str, plane: NDArray[np.float32], *, full: bool
) -> Columns:
    """Measure the brightness of a channel, in counts as they are, background and all.

    CellProfiler's values are these over the greatest value of the image's type.

    Parameters
    ----------
    part
        One compartment.
    channel
        Name of the channel in the columns.
    plane
        Shape (Y, X), in counts.
    full
        Quartiles, deviations, the edge and the displacement of mass too.

    Returns
    -------
    dict
        Column name → one value a cell, NaN where the part is empty.
    """
    sums = kernels.sum_light(part.labels, plane, part.count)[1:]
    found = _sum_up(sums, part.area_px)
    if full:
        total = found["IntegratedIntensity"]
        dark = np.where(total > 0, total, np.nan)
        y, x = part.center
        found["MassDisplacement"] = np.hypot(sums[:, 1] / dark - y, sums[:, 2] / dark - x)
        found |= _spread(part, plane) | _edge(part, plane)
    return {f"{part.name}_Intensity_{name}_{channel}": value for name, value in found.items()}


def texture_columns(
    part: Compartment, channel: str, plane: NDArray[np.float32], full_scale: float
) -> Columns:
    """Measure Haralick's 13 textures in four directions, as CellProfiler does.

    Gray levels are 256 of the full scale of the image's type, so that they mean the same in every
    image; pixels at level 0 are left out (mahotas, doi 10.5334/jors.ac).

    Parameters
    ----------
    part
        One compartment.
    channel
        Name of the channel in the columns.
    plane
        Shape (Y, X), in counts.
    full_scale
        Greatest value of the image's type; NaN where that is not known.

    Returns
    -------
    dict
        ``<Part>_Texture_<Name>_<Channel>_3_<direction>_256`` → one value a cell; NaN where no two
        pixels of the cell lie three pixels apart, or there is no full scale.
    """
    if np.isnan(full_scale):
        gray, boxes = np.zeros(plane.shape, np.uint8), np.zeros_like(part.boxes)
        return _name_textures(part, channel, pair_textures(part.labels, gray, boxes, TEXTURE_PX))
    scaled = np.clip(plane * np.float32((GRAY_LEVELS - 1) / full_scale), 0, GRAY_LEVELS - 1)
    gray = np.rint(scaled).astype(np.uint8)
    found = pair_textures(part.labels, gray, part.boxes, TEXTURE_PX)
    return _name_textures(part, channel, found)


def _name_textures(part: Compartment, channel: str, found: NDArray[np.float64]) -> Columns:
    return {
        f"{part.name}_Texture_{name}_{channel}_{TEXTURE_PX}_{turn:02d}_{GRAY_LEVELS}": found[
            1:, turn, k
        ]
        for k, name in enumerate(TEXTURES)
        for turn in range(4)
    }


def _sum_up(sums: NDArray[np.float64], area: NDArray[np.float64]) -> Columns:
    """Brightness of every object, from the sums of its pixels; NaN where its area is."""
    empty = np.isnan(area)
    return {
        "IntegratedIntensity": np.where(empty, np.nan, sums[:, 0]),
        "MeanIntensity": sums[:, 0] / area,
        "StdIntensity": np.sqrt(sums[:, 5] / area),
        "MinIntensity": np.where(empty, np.nan, sums[:, 3]),
        "MaxIntensity": np.where(empty, np.nan, sums[:, 4]),
    }


def _spread(part: Compartment, plane: NDArray[np.float32]) -> dict[str, NDArray[Any]]:
    """Quartiles, and the median of the distances from the median."""
    grouped, start = kernels.group_values(part.labels, plane, part.count)
    median = _fraction(grouped, start, 0.5)
    away = np.abs(plane - np.concatenate([[0], median]).astype(np.float32)[part.labels])
    distances, _ = kernels.group_values(part.labels, away.astype(np.float32), part.count)
    return {
        "LowerQuartileIntensity": _fraction(grouped, start, 0.25),
        "MedianIntensity": median,
        "UpperQuartileIntensity": _fraction(grouped, start, 0.75),
        "MADIntensity": _fraction(distances, start, 0.5),
    }


def _fraction(
    grouped: NDArray[np.float32], start: NDArray[np.int64], share: float
) -> NDArray[np.float64]:
    """Value below which a share of every object's pixels lies, between two as CellProfiler does."""
    first, last = start[1:-1], start[2:] - 1
    empty = last < first
    if grouped.size == 0:
        return np.full(first.size, np.nan)
    place = first + (last - first + 1) * share
    low = np.clip(place.astype(np.int64), 0, grouped.size - 1)
    high = np.minimum(low + 1, np.clip(last, 0, grouped.size - 1))
    weight = np.where(low < last, place - low, 0)
    low = np.minimum(low, np.maximum(last, 0))
    between = grouped[low] * (1 - weight) + grouped[high] * weight
    return np.where(empty, np.nan, between)


def _edge(part: Compartment, plane: NDArray[np.float32]) -> dict[str, NDArray[Any]]:
    labels = np.where(part.edges, part.labels, 0).astype(part.labels.dtype)
    sums = kernels.sum_light(labels, plane, part.count)[1:]
    area = np.bincount(labels.ravel(), minlength=part.count + 1)[1:].astype(float)
    area[area == 0] = np.nan
    return {f"{name}Edge": values for name, values in _sum_up(sums, area).items()}
