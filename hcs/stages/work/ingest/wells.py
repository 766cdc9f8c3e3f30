"""What a worker does of ingest: read one well's files, write its fields, name what is wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hcs.compute.units import Past
from hcs.domain import columns as col
from hcs.domain import ngff
from hcs.domain.planes import PlaneState, describe_states
from hcs.domain.results import Problem
from hcs.io.plates import overview, plate
from hcs.ops import intensity, mosaic
from hcs.stages.work.ingest import vanished
from hcs.stages.work.ingest.reading import (
    FieldJob,
    FieldPixels,
    WellJob,
    axes_of,
    make_problem,
    read_field,
)


def write_well(job: WellJob, past: Past) -> Mapping[str, Any]:
    """Write the fields of one well that are missing or changed; runs on a worker."""
    known = {row[col.FIELD_PATH]: row for row in past.result.get("images", ())}
    images: list[dict[str, Any]] = []
    problems: list[dict[str, Any]] = []
    padded: list[str] = []
    small: dict[str, NDArray[Any]] = {}
    for field in job.fields:
        if field.path in past.items:
            images += [known[field.path]] if field.path in known else []
            problems += [p for p in past.result.get("problems", ()) if p["site"] == field.site]
            padded += [path for path in past.result.get("padded", ()) if path == field.path]
            past.keep_files(f"/{field.path}/")
            if not job.in_place and field.path in known:
                plate.set_windows(job.out, field.path, job.windows)
            continue
        faults = vanished.name_fewer(job, field, past.result)
        read = read_field(job, field, faults)
        if read is not None:
            images.append(_write_field(job, field, read, faults, small))
            padded += [] if read.is_whole else [field.path]
        problems += [fault.model_dump(mode="json") for fault in faults]
    if images and not job.in_place:
        paths = [row[col.FIELD_PATH].rsplit("/", 1)[1] for row in images]
        plate.write_well(job.out, job.well, paths)
        _write_overview(job, [row[col.FIELD_PATH] for row in images], small)
    found = {"images": images, "problems": problems, "padded": padded, "chosen": job.chosen}
    gone = [] if job.in_place else vanished.list_gone(job, past.result)
    return found | ({vanished.GONE: gone} if gone else {})


def _write_overview(job: WellJob, paths: Sequence[str], small: Mapping[str, NDArray[Any]]) -> None:
    """Write the well in small: its fields of this run, and those that an earlier one wrote."""
    shape = (job.n_times, len(job.channels), 1 if job.projection else job.n_planes)
    pictures = [
        small[path] if path in small else _shrink(job, *plate.read_smallest(job.out, path, shape))
        for path in paths
    ]
    overview.write_well_overview(job.out, job.well, mosaic.lay_out(pictures, overview.WELL_PX))


def _shrink(job: WellJob, pixels: NDArray[Any], state: NDArray[np.uint8]) -> NDArray[Any]:
    """Shrink the first plane that every channel has to what the overview may need of it."""
    n_times, n_channels, n_planes = state.shape
    stack = pixels.reshape(n_times, n_channels, n_planes, *pixels.shape[-2:])
    first = []
    for channel in range(n_channels):
        there = np.argwhere(state[:, channel] == PlaneState.PRESENT)
        time, z = there[0] if there.size else (0, 0)  # a channel that the field lacks is 0
        first.append(stack[time, channel, z])
    edge = mosaic.field_edge(len(job.fields), overview.WELL_PX)
    return mosaic.shrink(np.stack(first), edge)


def _write_field(
    job: WellJob,
    field: FieldJob,
    read: FieldPixels,
    faults: list[Problem],
    small: dict[str, NDArray[Any]],
) -> dict[str, Any]:
    """Write one field that was read, and return its row of the table of images.

    ``small`` grows by its picture for the overview, ``faults`` by channels without any structure.
    """
    row = _describe_field(job, field) | read.focus
    planes = [read.planes_of(channel) for channel in range(len(job.channels))]
    ranges = [
        intensity.value_range(each.reshape(-1, each.shape[-1])) if each.size else None
        for each in planes
    ]
    if not job.in_place:
        small[field.path] = _shrink(job, _put(job, field, read, ranges), read.state)
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


def _put(
    job: WellJob,
    field: FieldJob,
    read: FieldPixels,
    ranges: Sequence[intensity.Range | None],
) -> NDArray[Any]:
    """Write the pixels of a field with their pyramid, and return its smallest level."""
    axes, pixels = axes_of(job), read.pixels
    levels = ngff.pyramid(pixels.shape, pixels.dtype.itemsize)
    name = f"{job.plate} {job.well.name} site {field.site}"
    high = int(max(found.maximum for found in ranges if found is not None))
    attributes = ngff.image_attributes(
        name,
        axes,
        levels,
        job.channels,
        spacing=ngff.Spacing.of(job.pixel_size_um, job.numbers),
        windows=job.windows,
    )
    if not read.is_whole:
        attributes[plate.NOTES] = {plate.PLANES: describe_states(read.state)}
    pictures = [(level, _reduce(pixels, level, high)) for level in levels]
    plate.write_image(job.out, field.path, attributes, pictures, axes)
    return pictures[-1][1]


def _describe_field(job: WellJob, field: FieldJob) -> dict[str, Any]:
    """Say in a row of the table of images where a field comes from."""
    return {
        col.PLATE: job.plate,
        col.WELL: job.well.name,
        col.SITE: field.site,
        col.FIELD_PATH: field.path,
        col.FINGERPRINT: field.fingerprint,
        col.SOURCES: "|".join(item.path for item in field.planes),
    }


def _reduce(pixels: NDArray[Any], level: ngff.Level, maximum: float) -> NDArray[Any]:
    if level.factor == 1:
        return pixels
    planes = pixels.reshape(-1, *pixels.shape[-2:])
    small = [intensity.downsample_mean(plane, level.factor, maximum=maximum) for plane in planes]
    return np.stack(small).reshape(level.shape)
