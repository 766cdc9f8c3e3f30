"""What a worker does of ingest: read one well's files, write its fields, name what is wrong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hcs.domain import ngff, tables
from hcs.domain.plate import Channel, Plane
from hcs.domain.results import Problem
from hcs.domain.wells import Well
from hcs.errors import ImageReadError
from hcs.io import plate, runs, tiff
from hcs.ops import intensity

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
    """One well to write; the unit of work."""

    source: str
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
    strict: bool


def write_well(job: WellJob) -> Mapping[str, Any]:
    """Write the fields of one well that are missing or changed; runs on a worker."""
    before = runs.Ledger.of(job.out).read(job.well.name)
    past = before["result"] if before else {"images": [], "problems": []}
    known = {row[tables.FIELD_PATH]: row for row in past["images"]}
    images: list[dict[str, Any]] = []
    problems: list[dict[str, Any]] = []
    for field in job.fields:
        row = known.get(field.path)
        if row is not None and row[tables.FINGERPRINT] == field.fingerprint:
            images.append(row)
            problems.extend(item for item in past["problems"] if item["site"] == field.site)
            continue
        written, faults = _write_field(job, field)
        problems.extend(faults)
        if written is not None:
            images.append(written)
    if images:
        paths = [row[tables.FIELD_PATH].rsplit("/", 1)[1] for row in images]
        plate.write_well(job.out, job.well, paths)
    return {"images": images, "problems": problems}


def _write_field(
    job: WellJob, field: FieldJob
) -> tuple[dict[str, Any] | None, list[dict[str, Any]]]:
    """Write one field, or say why not: a field is whole or absent, never filled with zeros."""
    faults: list[Problem] = []
    pixels = _read_field(job, field, faults)
    if pixels is None:
        return None, [fault.model_dump(mode="json") for fault in faults]
    axes = ngff.axis_names(job.n_times, job.n_planes)
    levels = ngff.pyramid(pixels.shape, pixels.dtype.itemsize)
    name = f"{job.plate} {job.well.name} site {field.site}"
    low, high = int(pixels.min()), int(pixels.max())
    attributes = ngff.image_attributes(
        name,
        axes,
        levels,
        job.channels,
        pixel_size_um=job.pixel_size_um,
        window=(low, max(high, low + 1)),
    )
    pictures = [(level, _reduced(pixels, level)) for level in levels]
    plate.write_image(job.out, field.path, attributes, pictures, axes)
    row: dict[str, Any] = {
        tables.PLATE: job.plate,
        tables.WELL: job.well.name,
        tables.SITE: field.site,
        tables.FIELD_PATH: field.path,
        tables.FINGERPRINT: field.fingerprint,
        tables.SOURCES: "|".join(item.path for item in field.planes),
    }
    by_channel = np.moveaxis(pixels, axes.index("c"), 0)
    for channel, plane in zip(job.channels, by_channel, strict=True):
        found = intensity.plane_statistics(plane.reshape(-1, plane.shape[-1]))
        row[f"Image_Intensity_MinIntensity_{channel.name}"] = float(found.minimum)
        row[f"Image_Intensity_MedianIntensity_{channel.name}"] = float(found.median)
        row[f"Image_Intensity_MaxIntensity_{channel.name}"] = float(found.maximum)
        if found.minimum == found.maximum:
            message = f"every pixel of channel {channel.name} is {found.minimum:g}"
            fault = _problem(job, field, field.path, tables.Reason.CONSTANT, message)
            faults.append(fault.model_copy(update={"kept": True}))
    return row, [fault.model_dump(mode="json") for fault in faults]


def _reduced(pixels: NDArray[Any], level: ngff.Level) -> NDArray[Any]:
    if level.factor == 1:
        return pixels
    planes = pixels.reshape(-1, *pixels.shape[-2:])
    small = [intensity.downsample_mean(plane, level.factor) for plane in planes]
    return np.stack(small).reshape(level.shape)


def _problem(
    job: WellJob, field: FieldJob, file: str, reason: tables.Reason, message: str
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


def _read_field(job: WellJob, field: FieldJob, faults: list[Problem]) -> NDArray[Any] | None:
    """Read all planes of a field into ``(t, c, z, Y, X)`` less the absent axes."""
    order = {channel.name: index for index, channel in enumerate(job.channels)}
    stack = np.zeros((job.n_times, len(order), job.n_planes, *job.shape), dtype=np.dtype(job.dtype))
    present = np.zeros(stack.shape[:3], dtype=bool)
    root = runs.as_path(job.source)
    for item in field.planes:
        try:
            picture = tiff.read_plane(
                root / item.path, item.page, expected=(job.shape, np.dtype(job.dtype))
            )
        except ImageReadError as error:
            if job.strict:
                raise
            reason = tables.Reason(error.reason)
            faults.append(_problem(job, field, item.path, reason, str(error)))
            continue
        place = (item.t_index, order[item.channel], item.z_index)
        stack[place] = picture
        present[place] = True
    if faults:
        return None
    if not present.all():
        absent = sorted({list(order)[c] for _, c, _ in np.argwhere(~present)})
        message = f"planes of {absent} are absent, so the field is left out"
        fault = _problem(job, field, field.path, tables.Reason.MISSING_CHANNEL, message)
        if job.strict:
            raise ImageReadError(f"{job.well.name} site {field.site}: {message}", fault.reason)
        faults.append(fault)
        return None
    axes = ngff.axis_names(job.n_times, job.n_planes)
    drop = tuple(index for index, axis in ((0, "t"), (2, "z")) if axis not in axes)
    return stack.squeeze(axis=drop) if drop else stack
