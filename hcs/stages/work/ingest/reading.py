"""What one field and one well to write are, and the memory that they take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from hcs.domain import columns as col
from hcs.domain import ngff
from hcs.domain.display import Window
from hcs.domain.plate import Channel, Plane, PlaneNumbers
from hcs.domain.results import Problem
from hcs.domain.wells import Well
from hcs.io.images.sources import KEPT_BYTES, OME_ZARR
from hcs.ops.projection import Projection

STAGE: Final = "ingest"

_COPIES: Final = 4
"""Peak memory in copies of one field: decoded planes, the stack, its overview, encoder."""

_STREAMED: Final = 7
"""Peak memory in copies of one plane where planes are streamed: the file's, decoded, brought to the
plate's binning and type, projected, encoded, and the one of zeros."""


@dataclass(frozen=True, slots=True)
class ChannelPixels:
    """What the images of one channel are.

    ``binning`` × ``binning`` pixels of the plate make one of the channel's own.
    """

    shape: tuple[int, int]
    dtype: str
    binning: int = 1


@dataclass(frozen=True)
class FieldJob:
    """One field to write: its path in the plate, and the planes that make it.

    ``missing`` are ``(t, c, z)`` of planes that are not there although they should be: a sidecar
    names their files, or most other fields have them.
    """

    path: str
    site: int
    planes: tuple[Plane, ...]
    fingerprint: str
    missing: tuple[tuple[int, int, int], ...] = ()


@dataclass(frozen=True)
class WellJob:
    """One well to write; the unit of work. ``in_place``: the pixels are read and stay there.

    ``chosen`` names the settings that decide what is read of the source.
    """

    source: str
    layout: str
    out: str
    plate: str
    well: Well
    fields: tuple[FieldJob, ...]
    channels: tuple[Channel, ...]
    own_pixels: tuple[ChannelPixels, ...]
    n_planes: int
    n_times: int
    numbers: PlaneNumbers
    shape: tuple[int, int]
    dtype: str
    pixel_size_um: float | None
    projection: Projection | None
    in_place: bool
    strict: bool
    chosen: str
    windows: tuple[Window, ...] = ()


def axes_of(job: WellJob) -> tuple[str, ...]:
    """Axes of the fields as they are written."""
    return ngff.axis_names(job.n_times, job.n_planes if job.projection is None else 1)


def is_streamed(job: WellJob) -> bool:
    """Whether the planes of a field are read and written one after the other.

    So are all fields of several planes but small ones, of which all planes lie in one file.
    """
    if job.n_times * job.n_planes == 1:
        return False
    return levels_of(job)[0].is_by_plane


def levels_of(job: WellJob) -> tuple[ngff.Level, ...]:
    """Pyramid of a field as it is written."""
    sizes = {"t": job.n_times, "c": len(job.channels), "z": job.n_planes}
    leading = tuple(sizes[axis] for axis in axes_of(job)[:-2])
    return ngff.pyramid((*leading, *job.shape), np.dtype(job.dtype).itemsize)


def count_bytes(job: WellJob) -> int:
    """Count the bytes that reading and writing one field takes, copies as well.

    Of what is streamed that are a few planes and the levels that are small enough to be one file;
    of what is kept otherwise, planes that a channel does not have take as much as those it has.
    """
    itemsize = np.dtype(job.dtype).itemsize
    plane = int(np.prod(job.shape)) * itemsize
    wide = 8 // itemsize if job.projection == "mean" else 0
    every = plane * job.n_times * len(job.channels) * job.n_planes
    kept = min(every, KEPT_BYTES) if job.layout == OME_ZARR and every > plane else 0
    if is_streamed(job):
        whole = sum(int(np.prod(level.shape)) for level in levels_of(job) if not level.is_by_plane)
        return (_STREAMED + wide) * plane + _COPIES * whole * itemsize + kept
    projected = job.projection is not None and job.n_planes > 1
    stored = job.n_times * len(job.channels) * (1 if projected else job.n_planes)
    return (_COPIES * stored + (_STREAMED + wide if projected else 0)) * plane + kept


def make_problem(
    job: WellJob, field: FieldJob, file: str, reason: col.Reason, message: str
) -> Problem:
    """Put a fault of a field into a row of the problems."""
    return Problem(
        stage=STAGE,
        file=file,
        reason=reason,
        message=message,
        plate=job.plate,
        well=job.well.name,
        site=field.site,
    )
