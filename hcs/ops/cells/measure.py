"""One field of cells or nuclei: found, measured in every channel, counted; no neurites."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hcs.domain.columns import N_CELLS, with_unit
from hcs.domain.config.stages import Marker, MorphologyConfig
from hcs.errors import InputError
from hcs.ops import quality
from hcs.ops.blank import fill_blank
from hcs.ops.cells.compartments import Columns, Compartment, shape_columns
from hcs.ops.cells.light import light_columns, texture_columns
from hcs.ops.cells.objects import CELLS, CYTOPLASM, NUCLEI, FoundCells, find_cells
from hcs.ops.given import NOTHING, Given
from hcs.ops.intensity import plane_statistics
from hcs.ops.markers import marker_columns, marker_features
from hcs.ops.morphology import FieldMorphology

_PARTS: Final = {"nucleus": NUCLEI, "cell": CELLS, "cytoplasm": CYTOPLASM}

_NO_MEAN: Final = ("ObjectNumber", "Center_X", "Center_Y")
"""Ends of columns whose mean over an image says nothing."""


@dataclass(frozen=True, slots=True)
class Channel:
    """One channel to measure.

    Attributes
    ----------
    plane
        Shape (Y, X), in counts.
    full_scale
        Greatest value of its type: 65535 for 16 bits; NaN where it is not known.
    with_texture
        Whether textures are wanted too.
    """

    plane: NDArray[Any]
    full_scale: float = 65535.0
    with_texture: bool = False


@dataclass(frozen=True)
class FieldCells:
    """What was measured on one field.

    Attributes
    ----------
    features
        One number an image, by column name.
    cells
        One row a cell: column name → array of as many values as there are cells.
    labels
        Label images by name: ``cells`` and ``nuclei``, as far as there are such.
    """

    features: dict[str, float]
    cells: Columns
    labels: dict[str, NDArray[Any]]


def measure_cells(
    body: NDArray[Any] | None,
    nuclei: NDArray[Any] | None,
    *,
    pixel_size_um: float | None,
    settings: MorphologyConfig,
    channels: Mapping[str, Channel],
    markers: Mapping[str, NDArray[Any]] | None = None,
    given: Given = NOTHING,
) -> FieldCells:
    """Measure one field of the assay ``cells`` or ``nuclei``.

    Parameters
    ----------
    body
        Shape (Y, X): stain of the cytoplasm; None to draw rings around the nuclei.
    nuclei
        Shape (Y, X): nuclear channel; None to find bodies alone.
    pixel_size_um
        Edge of a pixel; None where the source has none.
    settings
        The assay, sizes, markers and constants.
    channels
        Channels to measure, by name as columns carry it (:func:`channel_key`).
    markers
        Planes of the markers of ``settings.markers``, by the marker's name.
    given
        Objects that others have segmented: they keep their numbers.

    Returns
    -------
    FieldCells
        Every nucleus is a cell. An image without cells has count 0 and means of NaN.

    Raises
    ------
    ImageReadError
        When a plane is not one of numbers.
    InputError
        When there is neither a body nor a nuclear channel, or a marker is asked for on a part that
        the assay does not have.
    """
    full = settings.assay.feature_set == "full"
    main, blank = nuclei if body is None else body, None
    fill = functools.partial(fill_blank, tuning=settings.tuning.blank)
    if nuclei is not None:
        nuclei, blank = fill(nuclei)
    if body is not None:
        body, blank = fill(body)
    found = find_cells(body, nuclei, settings, pixel_size_um, given)
    cells = _measure_parts(found, channels, full=full)
    features = _count(found, pixel_size_um) | _take_means(cells)
    for marker in settings.markers:
        part = _find_part(found, marker)
        plane = fill((markers or {})[marker.name])[0]
        columns = marker_columns(
            plane, part.labels, part.count, marker, found.diameter_px, settings.tuning, part.name
        )
        cells |= columns
        features |= marker_features(columns, marker, found.count, part.name)
    filled = nuclei if body is None else body
    if main is not None and filled is not None:
        features |= _describe_plane(main, filled, blank)
    return FieldCells(features, cells, found.labels())


def measure_channels(found: FieldMorphology, channels: Mapping[str, Channel]) -> FieldMorphology:
    """Add what further channels show on the somas of a field of neurons.

    Parameters
    ----------
    found
        What was measured on the field.
    channels
        Channels to measure, by name as columns carry it.

    Returns
    -------
    FieldMorphology
        With brightness and, where wanted, texture of every soma and their means.
    """
    if not channels:
        return found
    count = len(next(iter(found.cells.values())))
    # Given numbers may have gaps.
    labels = np.searchsorted(np.append(0, found.cells["Cells_ObjectNumber"]), found.soma)
    part = Compartment(CELLS, labels.astype(found.soma.dtype), count)
    cells: Columns = {}
    for name, channel in channels.items():
        cells |= _measure_light(part, name, channel, full=True)
    return replace(found, cells=found.cells | cells, features=found.features | _take_means(cells))


def channel_key(name: str) -> str:
    """Return a channel's name as columns carry it: letters, digits and underscores alone."""
    return re.sub(r"\W+", "", name) or "Channel"


def _measure_parts(found: FoundCells, channels: Mapping[str, Channel], *, full: bool) -> Columns:
    """All columns of single cells but those of markers."""
    first = found.parts[0]
    numbers = np.arange(1, found.count + 1) if found.given is None else found.given.numbers
    cells: Columns = {
        f"{first.name}_ObjectNumber": numbers.astype(np.int64),
        f"{first.name}_TouchesBorder": first.touches_border,
    }
    if found.stained is not None:
        cells[f"{first.name}_Stained"] = found.stained
    for part in found.parts:
        cells |= shape_columns(part, full=full)
    for name, channel in channels.items():
        for part in found.parts:
            cells |= _measure_light(part, name, channel, full=full)
    return cells


def _measure_light(part: Compartment, name: str, channel: Channel, *, full: bool) -> Columns:
    plane = np.ascontiguousarray(channel.plane, np.float32)
    light = light_columns(part, name, plane, full=full)
    if not (channel.with_texture and full):
        return light
    return light | texture_columns(part, name, plane, channel.full_scale)


def _count(found: FoundCells, pixel_size_um: float | None) -> dict[str, float]:
    """Count cells and nuclei; mean areas in the unit of the plate, and shares of the image."""
    first = found.parts[0]
    counted = {
        N_CELLS: float(found.count),
        "Image_Count_BorderCells": float(first.touches_border.sum()),
    }
    if found.n_nuclei is not None:
        counted["Image_Count_Nuclei"] = float(found.n_nuclei)
        counted["Image_Count_SkippedNuclei"] = float(found.n_skipped)
    if found.stained is not None:
        counted["Image_Count_UnstainedCells"] = float((~found.stained).sum())
    size = 1.0 if pixel_size_um is None else pixel_size_um
    for part in found.parts:
        area = _mean(part.area_px) * size**2
        counted[with_unit(f"Image_{part.name}_MeanArea", 2, pixel_size_um)] = area
        counted[f"Image_{part.name}_AreaFraction"] = float((part.labels > 0).mean())
    return counted


def _take_means(cells: Columns) -> dict[str, float]:
    """Means over the cells of an image, named as CellProfiler names them, ``Image_`` before."""
    return {
        f"Image_Mean_{name}": _mean(values)
        for name, values in cells.items()
        if not name.endswith(_NO_MEAN) and values.dtype != np.bool_
    }


def _describe_plane(
    plane: NDArray[Any], filled: NDArray[Any], blank: NDArray[np.bool_] | None
) -> dict[str, float]:
    """Light and quality of the plane that cells were found in, without what is blank."""
    statistics = plane_statistics(plane if blank is None else plane[~blank][None])
    return {
        "Image_Intensity_Mean": statistics.mean,
        "Image_Intensity_Median": statistics.median,
        "Image_Intensity_Maximum": statistics.maximum,
        **quality.image_quality(filled, statistics),
        quality.BLANK: 0.0 if blank is None else float(blank.mean()),
    }


def _find_part(found: FoundCells, marker: Marker) -> Compartment:
    name = found.parts[0].name if marker.compartment is None else _PARTS[marker.compartment]
    part = found.part(name)
    if part is None:
        has = ", ".join(key for key, value in _PARTS.items() if found.part(value) is not None)
        msg = f"marker {marker.name!r} is asked for on the {marker.compartment}; there is: {has}"
        raise InputError(msg)
    return part


def _mean(values: NDArray[Any]) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else np.nan
