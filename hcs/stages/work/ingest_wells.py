"""What a worker does of ingest: read one well's files, write its fields, name what is wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hcs.compute.units import Past
from hcs.domain import columns as col
from hcs.domain import ngff
from hcs.domain.display import Window
from hcs.domain.plate import Channel, Plane
from hcs.domain.results import Problem
from hcs.domain.wells import Well
from hcs.errors import ImageReadError
from hcs.io.files.written import note_write
from hcs.io.images.sources import open_source
from hcs.io.plates import overview, plate
from hcs.ops import intensity, mosaic, projection
from hcs.ops.projection import Projection

STAGE: Final = "ingest"


@dataclass(frozen=True)
class FieldJob:
    """One field to write: its path in the plate, and the planes that make it."""

    path: str
    site: int
    planes: tuple[Plane, ...]
    fingerprint: str


@dataclass(frozen=True)
class WellJob:
    """One well to write; the unit of work. ``in_place``: the pixels are read and stay there."""

    source: str
    layout: str
    out: str
    plate: str
    well: Well
    fields: tuple[FieldJob, ...]
    channels: tuple[Channel, ...]
    n_planes: int
    n_times: int
    shape: tuple[int, int]
    dtype: str
    pixel_size_um: float | None
    projection: Projection | None
    in_place: bool
    strict: bool
    windows: tuple[Window, ...] = ()


def write_well(job: WellJob, past: Past) -> Mapping[str, Any]:
    """Write the fields of one well that are missing or changed; runs on a worker."""
    known = {row[col.FIELD_PATH]: row for row in past.result.get("images", ())}
    images: list[dict[str, Any]] = []
    problems: list[dict[str, Any]] = []
    small: dict[str, NDArray[Any]] = {}
    for field in job.fields:
        if field.path in past.items:
            images += [known[field.path]] if field.path in known else []
            problems += [p for p in past.result.get("problems", ()) if p["site"] == field.site]
            for path, n_bytes in past.files.items():
                if f"/{field.path}/" in path:
                    note_write(path, n_bytes)
            if not job.in_place and field.path in known:
                plate.set_windows(job.out, field.path, job.windows)
            continue
        written, faults = _write_field(job, field, small)
        problems.extend(faults)
        if written is not None:
            images.append(written)
    if images and not job.in_place:
        paths = [row[col.FIELD_PATH].rsplit("/", 1)[1] for row in images]
        plate.write_well(job.out, job.well, paths)
        _write_overview(job, [row[col.FIELD_PATH] for row in images], small)
    return {"images": images, "problems": problems}


def _write_overview(job: WellJob, paths: Sequence[str], small: Mapping[str, NDArray[Any]]) -> None:
    """Write the well in small: its fields of this run, and those that an earlier one wrote."""
    pictures = [
        small[path] if path in small else _shrink(job, plate.read_smallest(job.out, path))
        for path in paths
    ]
    overview.write_well_overview(job.out, job.well, mosaic.lay_out(pictures, overview.WELL_PX))


def _shrink(job: WellJob, pixels: NDArray[Any]) -> NDArray[Any]:
    """Shrink the first plane and time of every channel to what the overview may need of it."""
    axes = axes_of(job)
    first = tuple(0 if axis in "tz" else slice(None) for axis in axes)
    return mosaic.shrink(pixels[first], mosaic.field_edge(len(job.fields), overview.WELL_PX))


def _write_field(
    job: WellJob, field: FieldJob, small: dict[str, NDArray[Any]]
) -> tuple[dict[str, Any] | None, list[dict[str, Any]]]:
    """Write one field, or say why not: a field is whole or absent, never filled with zeros.

    ``small`` grows by its picture for the overview.
    """
    faults: list[Problem] = []
    chosen: dict[str, int] = {}
    pixels = read_field(job, field, faults, chosen)
    if pixels is None:
        return None, [fault.model_dump(mode="json") for fault in faults]
    row = _describe_field(job, field) | chosen
    by_channel = np.moveaxis(pixels, axes_of(job).index("c"), 0)
    ranges = [intensity.value_range(plane.reshape(-1, plane.shape[-1])) for plane in by_channel]
    if not job.in_place:
        small[field.path] = _shrink(job, _put(job, field, pixels, ranges))
    for channel, found in zip(job.channels, ranges, strict=True):
        row[f"Image_Intensity_MinIntensity_{channel.name}"] = float(found.minimum)
        row[f"Image_Intensity_MedianIntensity_{channel.name}"] = float(found.median)
        row[f"Image_Intensity_MaxIntensity_{channel.name}"] = float(found.maximum)
        if found.minimum == found.maximum:
            message = f"every pixel of channel {channel.name} is {found.minimum:g}"
            fault = _make_problem(job, field, field.path, col.Reason.CONSTANT, message)
            faults.append(fault.model_copy(update={"kept": True}))
    return row, [fault.model_dump(mode="json") for fault in faults]


def axes_of(job: WellJob) -> tuple[str, ...]:
    """Axes of the fields as they are written."""
    return ngff.axis_names(job.n_times, job.n_planes if job.projection is None else 1)


def _put(
    job: WellJob,
    field: FieldJob,
    pixels: NDArray[Any],
    ranges: Sequence[intensity.Range],
) -> NDArray[Any]:
    """Write the pixels of a field with their pyramid, and return its smallest level."""
    axes = axes_of(job)
    levels = ngff.pyramid(pixels.shape, pixels.dtype.itemsize)
    name = f"{job.plate} {job.well.name} site {field.site}"
    high = int(max(found.maximum for found in ranges))
    attributes = ngff.image_attributes(
        name,
        axes,
        levels,
        job.channels,
        spacing=ngff.Spacing(job.pixel_size_um),
        windows=job.windows,
    )
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


def _make_problem(
    job: WellJob, field: FieldJob, file: str, reason: col.Reason, message: str
) -> Problem:
    return Problem(
        stage=STAGE,
        file=file,
        reason=reason,
        message=message,
        plate=job.plate,
        well=job.well.name,
        site=field.site,
    )


def read_field(
    job: WellJob, field: FieldJob, faults: list[Problem], chosen: dict[str, int]
) -> NDArray[Any] | None:
    """Read all planes of a field, as they are to be written.

    Parameters
    ----------
    job, field
        What to read.
    faults
        Grows by what is wrong; the result is then None.
    chosen
        Grows by the index of the sharpest plane of each channel, where that is asked for.

    Returns
    -------
    ndarray or None
        ``(t, c, z, Y, X)`` less the axes that the plate does not have.
    """
    order = {channel.name: index for index, channel in enumerate(job.channels)}
    stack = np.empty((job.n_times, len(order), job.n_planes, *job.shape), dtype=np.dtype(job.dtype))
    present = np.zeros(stack.shape[:3], dtype=bool)
    source = open_source(job.source, job.layout)
    for item in field.planes:
        try:
            picture = intensity.finite(source.read(item, job.shape, job.dtype))
        except ImageReadError as error:
            if job.strict:
                raise
            reason = col.Reason(error.reason)
            faults.append(_make_problem(job, field, item.path, reason, str(error)))
            continue
        place = (item.t_index, order[item.channel], item.z_index)
        if stack.shape[:3] == (1, 1, 1):
            stack = picture[None, None, None]  # no copy of the one plane there is
        else:
            stack[place] = picture
        present[place] = True
    if faults:
        return None
    if not present.all():
        faults.append(_name_absent_planes(job, field, present))
        return None
    if job.projection is not None and job.n_planes > 1:
        stack = _project(job, stack, chosen)
    axes = axes_of(job)
    drop = tuple(index for index, axis in ((0, "t"), (2, "z")) if axis not in axes)
    return stack.squeeze(axis=drop) if drop else stack


def _name_absent_planes(job: WellJob, field: FieldJob, present: NDArray[np.bool_]) -> Problem:
    """Name the channels of which planes ``(t, c, z)`` are absent."""
    absent = sorted({job.channels[c].name for _, c, _ in np.argwhere(~present)})
    message = f"planes of {absent} are absent, so the field is left out"
    fault = _make_problem(job, field, field.path, col.Reason.MISSING_CHANNEL, message)
    if job.strict:
        raise ImageReadError(f"{job.well.name} site {field.site}: {message}", fault.reason)
    return fault


def _project(job: WellJob, stack: NDArray[Any], chosen: dict[str, int]) -> NDArray[Any]:
    """One plane for every time and channel of ``(t, c, z, Y, X)``, which keeps its axes."""
    flat = np.empty((*stack.shape[:2], 1, *stack.shape[3:]), stack.dtype)
    for time, channel in np.ndindex(*stack.shape[:2]):
        flat[time, channel, 0], plane = projection.project(
            stack[time, channel], job.projection or "max"
        )
        if plane is not None and time == 0:
            chosen[f"Image_BestFocusPlane_{job.channels[channel].name}"] = plane
    return flat
