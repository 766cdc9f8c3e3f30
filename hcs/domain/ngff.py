"""OME-Zarr 0.5 metadata of plates, wells, images and labels, checked by ome-zarr-models."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from ome_zarr_models.v05.image import ImageAttrs
from ome_zarr_models.v05.plate import Plate
from ome_zarr_models.v05.well_types import WellMeta

from hcs.domain.display import Window, describe_channels
from hcs.domain.plate import Channel, PlaneNumbers
from hcs.domain.wells import PlateFormat, Well

VERSION: Final = "0.5"

OVERVIEW_PX: Final = 256
"""The smallest pyramid level is one tile of at most this many pixels a side."""

MAX_STEP: Final = 16
"""Largest factor between two pyramid levels. One step usually leads from the acquired image to its
overview: a field is then five files (two levels of one shard), where halving would need eleven."""

_CHUNK_PX: Final = 512
_WHOLE_FIELD_BYTES: Final = 8 * 1024**2


@dataclass(frozen=True, slots=True)
class Level:
    """One pyramid level of a field.

    Attributes
    ----------
    factor
        How many pixels of the acquired image make one pixel, along y and x.
    shape, chunks, shards
        In pixels over all axes of the array; a shard holds whole chunks.
    """

    factor: int
    shape: tuple[int, ...]
    chunks: tuple[int, ...]
    shards: tuple[int, ...]

    @property
    def is_by_plane(self) -> bool:
        """Whether every plane is a shard of its own."""
        return all(edge == 1 for edge in self.shards[:-2])

    @property
    def picked(self) -> int:
        """Which of a block's pixels stands for it in a label: the one nearest to its middle."""
        return (self.factor - 1) // 2


Sampling = Literal["mean", "nearest"]
"""How a pyramid level is made of the acquired pixels: the mean of a block, or one pixel of it."""


@dataclass(frozen=True, slots=True)
class Spacing:
    """Distance between neighbors along the axes; None where the source does not state it.

    Attributes
    ----------
    pixel_um
        Edge of a pixel, in µm.
    z_um
        Between planes of a stack, in µm.
    t_s
        Between time points, in seconds.
    """

    pixel_um: float | None = None
    z_um: float | None = None
    t_s: float | None = None

    @classmethod
    def of(cls, pixel_um: float | None, numbers: PlaneNumbers) -> Spacing:
        """Return the spacing of a plate: uneven planes and times have none."""
        t_min = even_step(numbers.t_min)
        return cls(pixel_um, even_step(numbers.z_um), None if t_min is None else t_min * 60)

    def along(self, axis: str) -> float | None:
        """Distance along an axis; None where it is not known, or has none."""
        return {"y": self.pixel_um, "x": self.pixel_um, "z": self.z_um, "t": self.t_s}.get(axis)


_EVEN: Final = 0.1
"""Share of a step by which distances may differ and still be one step: clocks and stages jitter."""


def even_step(places: Sequence[float]) -> float | None:
    """Distance between neighbors of growing places; None when it is not one and the same.

    Examples
    --------
    >>> even_step((0.0, 10.0, 20.1))
    10.05
    >>> even_step((0.0, 10.0, 30.0)) is None
    True
    """
    if len(places) < 2:
        return None
    step = (places[-1] - places[0]) / (len(places) - 1)
    steps = [later - earlier for earlier, later in itertools.pairwise(places)]
    even = step > 0 and all(abs(each - step) <= _EVEN * step for each in steps)
    return float(f"{step:.9g}") if even else None


def axis_names(n_times: int, n_planes: int) -> tuple[str, ...]:
    """Axes of a field: ``c, y, x``, with ``t`` and ``z`` only where the source has them."""
    return (
        *(("t",) if n_times > 1 else ()),
        "c",
        *(("z",) if n_planes > 1 else ()),
        "y",
        "x",
    )


def _even_chunk(length: int) -> int:
    """Chunk edge of at most 512 px that cuts a length into equal pieces with little waste."""
    pieces = math.ceil(length / _CHUNK_PX)
    return math.ceil(length / pieces)


@functools.lru_cache(maxsize=64)
def pyramid(shape: tuple[int, ...], itemsize: int) -> tuple[Level, ...]:
    """Levels of a field from the acquired image down to one small tile.

    Parameters
    ----------
    shape
        ``(…, c, …, Y, X)`` in pixels.
    itemsize
        Bytes a pixel; decides whether a whole field is one shard or each channel plane is.

    Returns
    -------
    tuple of Level
        Level 0 is the acquired image.
    """
    edge = max(shape[-2:])
    factors = [1]
    while math.ceil(edge / factors[-1]) > OVERVIEW_PX:
        step = 2
        while math.ceil(edge / (factors[-1] * step)) > OVERVIEW_PX and step < MAX_STEP:
            step *= 2
        factors.append(factors[-1] * step)
    return tuple(_level(shape, itemsize, factor) for factor in factors)


def _level(shape: tuple[int, ...], itemsize: int, factor: int) -> Level:
    height, width = (math.ceil(length / factor) for length in shape[-2:])
    leading = shape[:-2]
    chunk = (_even_chunk(height), _even_chunk(width))
    plane = tuple(
        math.ceil(length / edge) * edge for length, edge in zip((height, width), chunk, strict=True)
    )
    whole = math.prod(leading) * math.prod(plane) * itemsize <= _WHOLE_FIELD_BYTES
    ones = (1,) * len(leading)
    return Level(
        factor=factor,
        shape=(*leading, height, width),
        chunks=(*ones, *chunk),
        shards=(*(leading if whole else ones), *plane),
    )


def plate_attributes(
    name: str, plate_format: PlateFormat, wells: Sequence[Well], field_count: int
) -> dict[str, Any]:
    """Attributes of the plate group: every row and column of the format, the wells with images."""
    plate = {
        "name": name,
        "version": VERSION,
        "rows": [{"name": row} for row in plate_format.row_names],
        "columns": [{"name": column} for column in plate_format.column_names],
        "wells": [
            {"path": well.path, "rowIndex": well.row, "columnIndex": well.column}
            for well in sorted(wells)
        ],
        "field_count": field_count,
    }
    Plate.model_validate(plate)
    return {"ome": {"version": VERSION, "plate": plate}}


def well_attributes(fields: Sequence[str]) -> dict[str, Any]:
    """Attributes of a well group: the paths of its fields."""
    well = {"version": VERSION, "images": [{"path": path} for path in fields]}
    WellMeta.model_validate(well)
    return {"ome": {"version": VERSION, "well": well}}


def _axes(names: Sequence[str], spacing: Spacing) -> list[dict[str, str]]:
    axes = []
    for name in names:
        kind = {"t": "time", "c": "channel"}.get(name, "space")
        axis = {"name": name, "type": kind}
        if spacing.along(name) is not None:
            axis["unit"] = "second" if kind == "time" else "micrometer"
        axes.append(axis)
    return axes


def multiscales(
    name: str,
    axes: Sequence[str],
    levels: Sequence[Level],
    spacing: Spacing,
    sampling: Sampling = "mean",
) -> dict[str, Any]:
    """Return the ``multiscales`` entry.

    Along an axis whose spacing is not known the scale counts pixels, planes or time points, and
    has no unit. A mean lies in the middle of its block, between pixels where their number is even;
    the pixel that stands for a block in a label lies where it was acquired.
    """
    datasets = []
    for index, level in enumerate(levels):
        lateral = {"y", "x"}
        steps = [spacing.along(axis) or 1.0 for axis in axes]
        factors = [level.factor if axis in lateral else 1 for axis in axes]
        scale = [step * factor for step, factor in zip(steps, factors, strict=True)]
        transforms: list[dict[str, Any]] = [{"type": "scale", "scale": scale}]
        shift = level.picked if sampling == "nearest" else (level.factor - 1) / 2
        if shift:
            shifts = [
                step * shift if axis in lateral else 0.0
                for axis, step in zip(axes, steps, strict=True)
            ]
            transforms.append({"type": "translation", "translation": shifts})
        datasets.append({"path": str(index), "coordinateTransformations": transforms})
    return {"name": name, "axes": _axes(axes, spacing), "datasets": datasets, "type": sampling}


def image_attributes(
    name: str,
    axes: Sequence[str],
    levels: Sequence[Level],
    channels: Sequence[Channel],
    *,
    spacing: Spacing,
    windows: Sequence[Window],
) -> dict[str, Any]:
    """Attributes of a field's image group.

    Parameters
    ----------
    name
        Shown by viewers, for example ``P1 A01 site 1``.
    axes, levels
        From :func:`axis_names` and :func:`pyramid`.
    channels
        In array order.
    spacing
        As the source states it: it is never invented.
    windows
        Between which values each channel is shown.
    """
    _check_image(tuple(axes), tuple(levels), tuple(channels), spacing)
    return {"ome": _image_ome(multiscales(name, axes, levels, spacing), channels, windows)}


def _image_ome(
    multiscale: Mapping[str, Any], channels: Sequence[Channel], windows: Sequence[Window]
) -> dict[str, Any]:
    shown = describe_channels(channels, windows)
    return {"version": VERSION, "multiscales": [multiscale], "omero": {"channels": shown}}


@functools.lru_cache(maxsize=64)
def _check_image(
    axes: tuple[str, ...],
    levels: tuple[Level, ...],
    channels: tuple[Channel, ...],
    spacing: Spacing,
) -> None:
    """Check the metadata once for all fields of a shape; it would cost each of them 4 ms."""
    multiscale = multiscales("image", axes, levels, spacing)
    ImageAttrs.model_validate(
        _image_ome(multiscale, channels, [Window(0, 1, 0, 1)] * len(channels))
    )


def label_attributes(
    name: str,
    levels: Sequence[Level],
    pixel_size_um: float | None,
    axes: Sequence[str] = ("y", "x"),
) -> dict[str, Any]:
    """Attributes of a label image group, pointing at its image."""
    multiscale = multiscales(name, axes, levels, Spacing(pixel_size_um), "nearest")
    ome = {
        "version": VERSION,
        "multiscales": [multiscale],
        "image-label": {"version": VERSION, "source": {"image": "../../"}},
    }
    return {"ome": ome}
