"""Reads the planes of one field, and says of each whether it is there, missing or not acquired."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hcs.domain import columns as col
from hcs.domain import ngff
from hcs.domain.display import Window
from hcs.domain.planes import PlaneState, list_planes
from hcs.domain.plate import Channel, Plane, PlaneNumbers
from hcs.domain.results import Problem
from hcs.domain.wells import Well
from hcs.errors import ImageReadError
from hcs.io.images.sources import OME_ZARR, Source, open_source
from hcs.ops import intensity, projection
from hcs.ops.projection import Projection

STAGE: Final = "ingest"

_COPIES: Final = 4
"""Peak memory in copies of one field: decoded planes, the stack, its overview, encoder."""


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


@dataclass(frozen=True)
class FieldPixels:
    """A field as it is to be written.

    Attributes
    ----------
    pixels
        ``(t, c, z, Y, X)`` less the axes that the plate does not have; 0 where a plane is not
        there.
    state
        ``(t, c, z)`` of :class:`PlaneState`; one z where stacks are projected.
    focus
        Index of the sharpest plane by column name, where that is asked for.
    """

    pixels: NDArray[Any]
    state: NDArray[np.uint8]
    focus: dict[str, int] = field(default_factory=dict)

    @property
    def is_whole(self) -> bool:
        """Whether every plane is there."""
        return bool((self.state == PlaneState.PRESENT).all())

    def planes_of(self, channel: int) -> NDArray[Any]:
        """Return the planes of a channel that are there, ``(plane, Y, X)``."""
        n_times, n_channels, n_planes = self.state.shape
        stack = self.pixels.reshape(n_times, n_channels, n_planes, *self.pixels.shape[-2:])
        there = self.state[:, channel] == PlaneState.PRESENT
        whole = stack[:, channel]
        return whole.reshape(-1, *whole.shape[-2:]) if there.all() else whole[there]


def axes_of(job: WellJob) -> tuple[str, ...]:
    """Axes of the fields as they are written."""
    return ngff.axis_names(job.n_times, job.n_planes if job.projection is None else 1)


def count_bytes(job: WellJob) -> int:
    """Count the bytes that reading and writing one field takes, copies as well.

    Of what is kept, planes that a channel does not have take as much as those it has. What is
    projected is read one time point after the other.
    """
    flat = job.n_times * len(job.channels)
    planes = _COPIES * flat * job.n_planes
    if job.projection is not None and job.n_planes > 1:
        planes = len(job.channels) * job.n_planes + _COPIES * (flat + 1)
    return planes * int(np.prod(job.shape)) * np.dtype(job.dtype).itemsize


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


def read_field(job: WellJob, field: FieldJob, faults: list[Problem]) -> FieldPixels | None:
    """Read all planes of a field, as they are to be written.

    A field is kept when any plane of it can be read: planes and whole channels that are missing,
    cannot be read or were not acquired are recorded as such, and named.

    Parameters
    ----------
    job, field
        What to read.
    faults
        Grows by what is wrong.

    Returns
    -------
    FieldPixels or None
        None when the field is left out.
    """
    found: list[Problem] = []
    state = np.full((job.n_times, len(job.channels), job.n_planes), PlaneState.NOT_ACQUIRED, "u1")
    for place in field.missing:
        state[place] = PlaneState.MISSING
    read = _read_planes if job.projection is None or job.n_planes == 1 else _read_projected
    with closing(open_source(job.source, job.layout)) as source:
        result = read(job, field, source, state, found)
    found += _name_missing(job, field)
    found += _name_absent_channels(job, field, result.state)
    kept = bool((result.state == PlaneState.PRESENT).any())
    faults += [fault.model_copy(update={"kept": kept}) for fault in found]
    if found and job.strict:
        raise ImageReadError(found[0].message, found[0].reason)
    if not kept:
        return None
    axes = axes_of(job)
    drop = tuple(index for index, axis in ((0, "t"), (2, "z")) if axis not in axes)
    pixels = result.pixels.squeeze(axis=drop) if drop else result.pixels
    return FieldPixels(pixels, result.state, result.focus)


def _read_projected(
    job: WellJob,
    field: FieldJob,
    source: Source,
    state: NDArray[np.uint8],
    faults: list[Problem],
) -> FieldPixels:
    """Read and project one time point after the other: all stacks at once would fill the memory."""
    parts = []
    for time in range(job.n_times):
        read = _read_planes(job, field, source, state[time : time + 1], faults, first_time=time)
        parts.append(_project(job, field, read, faults, time))
    if len(parts) == 1:
        return parts[0]
    flat = np.concatenate([part.pixels for part in parts])
    return FieldPixels(flat, np.concatenate([part.state for part in parts]), parts[0].focus)


def _read_planes(
    job: WellJob,
    field: FieldJob,
    source: Source,
    state: NDArray[np.uint8],
    faults: list[Problem],
    first_time: int = 0,
) -> FieldPixels:
    """Read the planes that were found into ``(t, c, z, Y, X)``, and note them in the state.

    ``state`` has the time points that are to be read, from the first.
    """
    order = {channel.name: index for index, channel in enumerate(job.channels)}
    planes = [p for p in field.planes if 0 <= p.t_index - first_time < len(state)]
    whole = len(planes) == state.size
    allocate = np.empty if whole else np.zeros
    stack = None if state.size == 1 else allocate((*state.shape, *job.shape), np.dtype(job.dtype))
    remarks: list[str] = []
    for item in planes:
        place = (item.t_index - first_time, order[item.channel], item.z_index)
        own = job.own_pixels[place[1]]
        try:
            picture = intensity.finite(source.read(item, own.shape, own.dtype, remarks))
        except ImageReadError as error:
            if job.strict:
                raise
            faults.append(make_problem(job, field, item.path, col.Reason(error.reason), str(error)))
            state[place] = PlaneState.MISSING
            if whole and stack is not None:
                stack[place] = 0
            continue
        state[place] = PlaneState.PRESENT
        if own.binning > 1:
            picture = picture.repeat(own.binning, axis=0).repeat(own.binning, axis=1)
        if stack is None:
            stack = picture[None, None, None]  # no copy of the one plane there is
        else:
            stack[place] = picture
    faults += [
        make_problem(job, field, field.path, col.Reason.UNREAD_PAGES, text) for text in remarks
    ]
    if stack is None:
        stack = np.zeros((1, 1, 1, *job.shape), np.dtype(job.dtype))
    return FieldPixels(stack, state)


def _name_missing(job: WellJob, field: FieldJob) -> list[Problem]:
    """Name the planes of each channel that are not there and should be."""
    rows = []
    who = "a sidecar names or most other fields have"
    if job.layout == OME_ZARR:
        who = "the plate notes as missing"
    found = {plane.channel for plane in field.planes}
    for index, channel in enumerate(job.channels):
        planes = [(t, z) for t, c, z in field.missing if c == index]
        if not planes:
            continue
        if channel.name in found:
            lost, reason = f"lacks {list_planes(planes, job.numbers)}", col.Reason.MISSING_FILE
        else:
            lost, reason = "has no image in this field", col.Reason.MISSING_CHANNEL
        message = f"channel {channel.name} {lost}, which {who}; it is recorded as missing"
        rows.append(make_problem(job, field, field.path, reason, message))
    return rows


def _name_absent_channels(job: WellJob, field: FieldJob, state: NDArray[np.uint8]) -> list[Problem]:
    """Name the channels of which the field has not one file."""
    empty = (state == PlaneState.NOT_ACQUIRED).all(axis=(0, 2))
    absent = [channel.name for channel, none in zip(job.channels, empty, strict=True) if none]
    if not absent:
        return []
    message = f"the field has no image of channel {absent}; it is recorded as not acquired"
    return [make_problem(job, field, field.path, col.Reason.MISSING_CHANNEL, message)]


def _project(
    job: WellJob, field: FieldJob, read: FieldPixels, faults: list[Problem], at: int
) -> FieldPixels:
    """One plane for every channel at time point ``at``, of the planes that the channel has.

    A stack of which a plane is missing is not projected: its maximum would be another image's.
    """
    _, n_channels, _ = read.state.shape
    flat = np.zeros((1, n_channels, 1, *read.pixels.shape[3:]), read.pixels.dtype)
    state = np.full((1, n_channels, 1), PlaneState.NOT_ACQUIRED, "u1")
    focus: dict[str, int] = {}
    for channel in range(n_channels):
        planes = read.state[0, channel]
        there = np.flatnonzero(planes == PlaneState.PRESENT)
        if (planes == PlaneState.MISSING).any():
            state[0, channel] = PlaneState.MISSING
            if there.size:
                faults.append(_name_incomplete_stack(job, field, planes, (at, channel)))
            continue
        if not there.size:
            continue
        k = job.own_pixels[channel].binning
        own = _take(read.pixels[0, channel], there)[:, ::k, ::k]
        plane, sharpest = projection.project(own, job.projection or "max")
        flat[0, channel, 0] = plane if k == 1 else plane.repeat(k, axis=0).repeat(k, axis=1)
        state[0, channel] = PlaneState.PRESENT
        if sharpest is not None and at == 0:
            focus[f"Image_BestFocusPlane_{job.channels[channel].name}"] = int(there[sharpest])
    return FieldPixels(flat, state, focus)


def _take(stack: NDArray[Any], there: NDArray[np.intp]) -> NDArray[Any]:
    """Take some planes of a stack, without a copy when they are all of them."""
    return stack if there.size == len(stack) else stack[there]


def _name_incomplete_stack(
    job: WellJob, field: FieldJob, planes: NDArray[np.uint8], place: Sequence[int]
) -> Problem:
    time, channel = place
    lacking = [(time, int(z)) for z in np.flatnonzero(planes == PlaneState.MISSING)]
    message = (
        f"the z-stack of channel {job.channels[channel].name} lacks "
        f"{list_planes(lacking, job.numbers)}, so it is not projected"
    )
    return make_problem(job, field, field.path, col.Reason.MISSING_FILE, message)
