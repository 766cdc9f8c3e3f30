"""Writes one field with its pyramid: small ones whole, those of many planes plane by plane."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hcs.domain import columns as col
from hcs.domain import ngff
from hcs.domain.planes import PlaneState, describe_states
from hcs.domain.results import Problem
from hcs.io.plates import overview, plate
from hcs.ops import intensity, mosaic, resizing
from hcs.stages.work.ingest.fields import FieldPixels, FieldReading, read_field
from hcs.stages.work.ingest.ranges import RunningRange
from hcs.stages.work.ingest.reading import (
    FieldJob,
    WellJob,
    axes_of,
    is_streamed,
    levels_of,
    make_problem,
)


@dataclass(frozen=True)
class Written:
    """A field that was written.

    Attributes
    ----------
    row
        Of the table of images.
    is_whole
        Whether every plane is there.
    picture
        ``(c, side, side)`` for the overview; None of a field that stays where it lies.
    """

    row: dict[str, Any]
    is_whole: bool
    picture: NDArray[Any] | None


class _NothingReadError(Exception):
    """No plane of a field could be read, so that none is written."""


def write_field(reading: FieldReading, faults: list[Problem]) -> Written | None:
    """Read one field and write it; None when it is left out.

    ``faults`` grows by what is wrong, channels without any structure as well.
    """
    return (_write_streamed if is_streamed(reading.job) else _write_whole)(reading, faults)


def _write_whole(reading: FieldReading, faults: list[Problem]) -> Written | None:
    """Write a field all of whose planes are in memory."""
    job, field = reading.job, reading.field
    read = read_field(reading, faults)
    if read is None:
        return None
    planes = [read.planes_of(channel) for channel in range(len(job.channels))]
    ranges = [
        intensity.value_range(each.reshape(-1, each.shape[-1])) if each.size else None
        for each in planes
    ]
    picture = None
    if not job.in_place:
        levels = levels_of(job)
        high = int(max(found.maximum for found in ranges if found is not None))
        pictures = [(level, _reduce(read.pixels, level, high)) for level in levels]
        attributes = _make_attributes(job, field, read.state)
        plate.write_image(job.out, field.path, attributes, pictures, axes_of(job))
        picture = _shrink_first(job, read, pictures[-1][1])
    row = _make_row(job, field, ranges, faults) | read.focus
    return Written(row, read.is_whole, picture)


def _write_streamed(reading: FieldReading, faults: list[Problem]) -> Written | None:
    """Write a field of many planes, of which a few are in memory at a time."""
    job, field = reading.job, reading.field
    n_of = [
        sum(plane.channel == channel.name for plane in field.planes) for channel in job.channels
    ]
    ranges = [RunningRange(max(1, n) * int(np.prod(job.shape))) for n in n_of]
    first: dict[int, NDArray[Any]] = {}
    levels, axes = levels_of(job), axes_of(job)

    def planes() -> Iterator[tuple[tuple[int, ...], Sequence[NDArray[Any]]]]:
        for (t, c, z), picture in reading.planes():
            ranges[c].add(picture)
            high = float(picture.max())
            pictures = [_reduce_plane(picture, level, high) for level in levels]
            first.setdefault(c, pictures[-1])
            sizes = {"t": t, "c": c, "z": z}
            yield tuple(sizes[axis] for axis in axes[:-2]), pictures

    def describe() -> dict[str, Any]:
        if not reading.is_kept:
            raise _NothingReadError
        return _make_attributes(job, field, reading.state)

    try:
        if job.in_place:
            for _ in planes():
                pass
            describe()
        else:
            plate.write_planes(job.out, field.path, levels, job.dtype, axes, planes(), describe)
    except _NothingReadError:
        faults += reading.faults
        return None
    faults += reading.faults
    row = _make_row(job, field, [each.find() for each in ranges], faults) | reading.focus
    blank = np.zeros(levels[-1].shape[-2:], job.dtype)  # of a channel that the field lacks
    small = [first.get(channel, blank) for channel in range(len(job.channels))]
    return Written(row, reading.is_whole, None if job.in_place else shrink(job, np.stack(small)))


def shrink(job: WellJob, pictures: NDArray[Any]) -> NDArray[Any]:
    """Shrink one plane a channel, ``(c, Y, X)``, to what the overview of a well may need of it."""
    return mosaic.shrink(pictures, mosaic.field_edge(len(job.fields), overview.WELL_PX))


def _shrink_first(job: WellJob, read: FieldPixels, pixels: NDArray[Any]) -> NDArray[Any]:
    """Shrink the first plane that every channel has."""
    stack = pixels.reshape(*read.state.shape, *pixels.shape[-2:])
    first = []
    for channel in range(len(job.channels)):
        there = np.argwhere(read.state[:, channel] == PlaneState.PRESENT)
        time, z = there[0] if there.size else (0, 0)  # a channel that the field lacks is 0
        first.append(stack[time, channel, z])
    return shrink(job, np.stack(first))


def _make_attributes(job: WellJob, field: FieldJob, state: NDArray[np.uint8]) -> dict[str, Any]:
    attributes = ngff.image_attributes(
        f"{job.plate} {job.well.name} site {field.site}",
        axes_of(job),
        levels_of(job),
        job.channels,
        spacing=ngff.Spacing.of(job.pixel_size_um, job.numbers),
        windows=job.windows,
    )
    if (state != PlaneState.PRESENT).any():
        attributes[plate.NOTES] = {plate.PLANES: describe_states(state)}
    return attributes


def _make_row(
    job: WellJob,
    field: FieldJob,
    ranges: Sequence[intensity.Range | None],
    faults: list[Problem],
) -> dict[str, Any]:
    """Say in a row of the table of images where a field comes from and what its values are."""
    row: dict[str, Any] = {
        col.PLATE: job.plate,
        col.WELL: job.well.name,
        col.SITE: field.site,
        col.FIELD_PATH: field.path,
        col.FINGERPRINT: field.fingerprint,
        col.SOURCES: "|".join(item.path for item in field.planes),
    }
    for channel, found in zip(job.channels, ranges, strict=True):
        if found is None:
            continue
        row[f"Image_Intensity_MinIntensity_{channel.name}"] = float(found.minimum)
        row[f"Image_Intensity_MedianIntensity_{channel.name}"] = float(found.median)
        row[f"Image_Intensity_MaxIntensity_{channel.name}"] = float(found.maximum)
        if found.minimum == found.maximum:
            message = f"every pixel of channel {channel.name} is {found.minimum:g}"
            fault = make_problem(job, field, field.path, col.Reason.CONSTANT, message)
            faults.append(fault.model_copy(update={"kept": True}))
    return row


def _reduce(pixels: NDArray[Any], level: ngff.Level, maximum: float) -> NDArray[Any]:
    if level.factor == 1:
        return pixels
    planes = pixels.reshape(-1, *pixels.shape[-2:])
    small = [resizing.downsample_mean(plane, level.factor, maximum=maximum) for plane in planes]
    return np.stack(small).reshape(level.shape)


def _reduce_plane(plane: NDArray[Any], level: ngff.Level, maximum: float) -> NDArray[Any]:
    if level.factor == 1:
        return plane
    return resizing.downsample_mean(plane, level.factor, maximum=maximum)
