"""Reads the planes of one field, and says of each whether it is there, missing or not acquired."""

from __future__ import annotations

import errno
import itertools
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hcs.domain import columns as col
from hcs.domain.planes import PlaneState, list_planes
from hcs.domain.plate import Plane
from hcs.domain.results import Problem
from hcs.errors import ImageReadError
from hcs.io.images.sources import OME_ZARR, Source
from hcs.ops import intensity, projection
from hcs.stages.work.ingest.reading import FieldJob, WellJob, axes_of, make_problem

Place = tuple[int, int, int]
"""Time point, channel and z of a plane."""


_PASSING: Final = frozenset(
    {
        errno.EACCES, errno.EAGAIN, errno.EBUSY, errno.ECONNRESET, errno.EIO, errno.EMFILE,
        errno.ENFILE, errno.EPERM, errno.ESTALE, errno.ETIMEDOUT,
    }
)  # fmt: skip
"""What may be mended with the file unchanged: rights, a network, a disk that did not answer."""


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


class FieldReading:
    """What is learned of a field while its planes are read.

    Attributes
    ----------
    job, field
        What is read.
    state
        ``(t, c, z)`` of :class:`PlaneState` as it is to be written; one z where stacks are
        projected.
    focus
        Index of the sharpest plane by column name, where that is asked for.
    faults
        What is wrong.
    may_pass
        Whether a file could not be read for a reason that lies not in the file.
    """

    def __init__(self, job: WellJob, field: FieldJob, source: Source) -> None:
        self.job, self.field = job, field
        self._source = source
        self.focus: dict[str, int] = {}
        self.faults: list[Problem] = []
        self.may_pass = False
        self._missing = frozenset(field.missing)
        self._remarks: list[str] = []
        n_planes = 1 if self.is_projected else job.n_planes
        size = (job.n_times, len(job.channels), n_planes)
        self.state = np.full(size, PlaneState.NOT_ACQUIRED, "u1")
        for t, c, z in self._missing:
            self.state[t, c, 0 if self.is_projected else z] = PlaneState.MISSING

    @property
    def is_projected(self) -> bool:
        """Whether stacks become one plane."""
        return self.job.projection is not None and self.job.n_planes > 1

    @property
    def is_kept(self) -> bool:
        """Whether the field has any plane."""
        return bool((self.state == PlaneState.PRESENT).any())

    @property
    def is_whole(self) -> bool:
        """Whether every plane is there."""
        return bool((self.state == PlaneState.PRESENT).all())

    def planes(self) -> Iterator[tuple[Place, NDArray[Any]]]:
        """Read the planes that can be read, as they are to be written, with their ``(t, c, z)``.

        One after the other by channel, time and z. At the end all faults are known.
        """
        order = {channel.name: index for index, channel in enumerate(self.job.channels)}
        items: dict[tuple[int, int], list[Plane]] = {}
        for item in sorted(
            self.field.planes, key=lambda p: (order[p.channel], p.t_index, p.z_index)
        ):
            items.setdefault((order[item.channel], item.t_index), []).append(item)
        for (channel, time), stack in items.items():
            if self.is_projected:
                yield from self._project(stack, time, channel)
                continue
            for item in stack:
                place = (time, channel, item.z_index)
                picture = self._read(item, channel)
                self.state[place] = PlaneState.MISSING if picture is None else PlaneState.PRESENT
                if picture is not None:
                    yield place, self._fit(picture, channel)
        self._end()

    def _read(self, item: Plane, channel: int) -> NDArray[Any] | None:
        """Read one plane as its camera took it; None, and a fault, when that cannot be."""
        job, own = self.job, self.job.own_pixels[channel]
        try:
            picture = intensity.finite(self._source.read(item, own.shape, own.dtype, self._remarks))
        except ImageReadError as error:
            if job.strict:
                raise
            self.may_pass |= getattr(error.__cause__, "errno", None) in _PASSING
            reason = col.Reason(error.reason)
            self.faults.append(make_problem(job, self.field, item.path, reason, str(error)))
            return None
        return picture.astype(job.dtype, copy=False)

    def _fit(self, picture: NDArray[Any], channel: int) -> NDArray[Any]:
        """Repeat the pixels of a binned channel."""
        k = self.job.own_pixels[channel].binning
        return picture if k == 1 else picture.repeat(k, axis=0).repeat(k, axis=1)

    def _project(
        self, stack: Sequence[Plane], time: int, channel: int
    ) -> Iterator[tuple[Place, NDArray[Any]]]:
        """Project the planes that a channel has at one time point.

        A stack of which a plane is missing is not projected: its maximum would be another image's.
        """
        lost = {z for t, c, z in self._missing if (t, c) == (time, channel)}
        there: list[int] = []

        def pictures() -> Iterator[NDArray[Any]]:
            for item in stack:
                picture = self._read(item, channel)
                if picture is None:
                    lost.add(item.z_index)
                else:
                    there.append(item.z_index)
                    yield picture

        found = pictures()
        first = next(found, None)
        if first is not None:
            how = self.job.projection or "max"
            flat, sharpest = projection.project(itertools.chain([first], found), how)
        place = (time, channel, 0)
        self.state[place] = PlaneState.MISSING if lost else PlaneState.PRESENT
        if lost and there:
            self.faults.append(_name_incomplete_stack(self.job, self.field, lost, place))
        if lost or first is None:
            return
        if sharpest is not None and time == 0:
            name = self.job.channels[channel].name
            self.focus[f"Image_BestFocusPlane_{name}"] = there[sharpest]
        yield place, self._fit(flat, channel)

    def _end(self) -> None:
        """Name what is not there, and say of every fault whether the field is kept."""
        job, field = self.job, self.field
        found = [
            make_problem(job, field, field.path, col.Reason.UNREAD_PAGES, text)
            for text in self._remarks
        ]
        found += _name_missing(job, field) + _name_absent_channels(job, field, self.state)
        faults = [*self.faults, *found]
        self.faults = [fault.model_copy(update={"kept": self.is_kept}) for fault in faults]
        if faults and job.strict:
            raise ImageReadError(faults[0].message, faults[0].reason)


def read_field(reading: FieldReading, faults: list[Problem]) -> FieldPixels | None:
    """Read all planes of a field, as they are to be written.

    A field is kept when any plane of it can be read: planes and whole channels that are missing,
    cannot be read or were not acquired are recorded as such, and named.

    Parameters
    ----------
    reading
        What to read.
    faults
        Grows by what is wrong.

    Returns
    -------
    FieldPixels or None
        None when the field is left out.
    """
    job = reading.job
    size = reading.state.shape
    stack: NDArray[Any] | None = None
    for place, picture in reading.planes():
        if reading.state.size == 1:
            stack = picture[None, None, None]  # no copy of the one plane there is
            continue
        if stack is None:
            stack = np.empty((*size, *job.shape), np.dtype(job.dtype))
        stack[place] = picture
    faults += reading.faults
    if stack is None:
        return None
    if not reading.is_whole:
        stack[reading.state != PlaneState.PRESENT] = 0
    axes = axes_of(job)
    drop = tuple(index for index, axis in ((0, "t"), (2, "z")) if axis not in axes)
    pixels = stack.squeeze(axis=drop) if drop else stack
    return FieldPixels(pixels, reading.state, reading.focus)


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


def _name_incomplete_stack(
    job: WellJob, field: FieldJob, lost: Collection[int], place: Place
) -> Problem:
    time, channel, _ = place
    message = (
        f"the z-stack of channel {job.channels[channel].name} lacks "
        f"{list_planes([(time, z) for z in sorted(lost)], job.numbers)}, so it is not projected"
    )
    return make_problem(job, field, field.path, col.Reason.MISSING_FILE, message)
