"""Reads a plate once more and holds every field's pixels against the source."""

from __future__ import annotations

import dataclasses
import uuid
import zlib
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from hcs.compute.units import Unit, run_units
from hcs.domain import columns as col
from hcs.domain.results import Problem
from hcs.errors import ImageReadError, InputError
from hcs.io.images.sources import Source, open_source
from hcs.io.plates.plate import read_field_states
from hcs.io.plates.reader import PlateReader
from hcs.io.runs.ledger import Ledger
from hcs.stages.work.ingest.fields import FieldReading, Place
from hcs.stages.work.ingest.reading import STAGE, FieldJob, WellJob, levels_of

if TYPE_CHECKING:
    from distributed import Client


@dataclass(frozen=True)
class _Check:
    """One well to read again, with the fields that were written."""

    job: WellJob


def compare(
    out: str, jobs: Sequence[WellJob], rows: Sequence[Mapping[str, Any]], client: Client | None
) -> list[Problem]:
    """Compare the checksums of all pixels of a plate with those of its source.

    The plate is read by zarr-python, which did not write it. A field that differs is forgotten, so
    that the next run writes it again.

    Parameters
    ----------
    out
        The plate.
    jobs
        What was to be written.
    rows
        Rows of the table of images: what was written.
    client
        Dask client; None works in this process.

    Returns
    -------
    list of Problem
        A row with reason ``checksum`` for every field that differs or cannot be read.
    """
    written = {str(row[col.FIELD_PATH]) for row in rows}
    now = uuid.uuid4().hex  # never taken from an earlier run: files may have changed since
    units = []
    for job in jobs:
        fields = tuple(field for field in job.fields if field.path in written)
        check = _Check(dataclasses.replace(job, fields=fields))
        units.append(Unit(f"verify-{job.well.name}", now, check))
    ledger = Ledger.of(out)
    outcome = run_units(check_well, units, ledger=ledger, client=client, label="verify")
    problems = [Problem(**item) for result in outcome.results for item in result["problems"]]
    for well in {problem.well for problem in problems if problem.well}:
        ledger.forget(well)
    return problems


def describe_outcome(problems: Sequence[Problem]) -> str:
    """Say what the comparison found, and whether the source holds more than was compared."""
    bad = sum(item.reason is col.Reason.CHECKSUM for item in problems)
    unread = sum(item.reason in _UNREAD for item in problems)
    found = f"{bad} fields differ" if bad else "all pixels as in the source"
    named = "what a problem names" if unread == 1 else f"what {unread} problems name"
    return f"{found}, but for {named}, which was not read" if unread else found


_UNREAD: Final = (
    col.Reason.UNREADABLE,
    col.Reason.TRUNCATED,
    col.Reason.WRONG_TYPE,
    col.Reason.WRONG_SHAPE,
    col.Reason.DUPLICATE,
    col.Reason.MISSING_CHANNEL,
    col.Reason.MISSING_FILE,
    col.Reason.UNMATCHED_FILE,
    col.Reason.UNREAD_PAGES,
)
"""Reasons of problems that name something of the source which is not in the plate."""


def check_well(check: _Check) -> dict[str, Any]:
    """Compare the fields of one well; runs on a worker."""
    job = check.job
    reader = PlateReader(job.out)
    problems = []
    with closing(open_source(job.source, job.layout)) as source:
        messages = [_difference(reader, job, field, source) for field in job.fields]
    for field, message in zip(job.fields, messages, strict=True):
        if message is not None:
            fault = Problem(
                stage=STAGE,
                file=field.path,
                reason=col.Reason.CHECKSUM,
                message=f"{message}; run ingest again to write it again",
                plate=job.plate,
                well=job.well.name,
                site=field.site,
                kept=True,
            )
            problems.append(fault.model_dump(mode="json"))
    return {"problems": problems}


def _difference(reader: PlateReader, job: WellJob, field: FieldJob, source: Source) -> str | None:
    """Say how a field differs from its source; None when it does not. Plane by plane."""
    reading = FieldReading(job, field, source)
    found = None
    for place, pixels in reading.planes():
        found = found or _differ_at(reader, job, field, place, pixels)
    if not reading.is_kept:
        return f"the source cannot be read again: {reading.faults[0].message}"
    if found is not None or job.in_place:
        return found
    try:
        array = reader.level(field.path, 0)
        states = read_field_states(job.out, field.path, reading.state.shape)
    except _DAMAGE as error:
        return f"the field cannot be read: {error}"
    if (shape := levels_of(job)[0].shape) != array.shape:
        return f"the field is {array.shape} pixels, {shape} were expected"
    if not np.array_equal(states, reading.state):
        return "the field notes other planes as not acquired or missing than the source lacks"
    return None


_DAMAGE: Final = (ImageReadError, InputError, OSError, ValueError, RuntimeError)


def _differ_at(
    reader: PlateReader, job: WellJob, field: FieldJob, place: Place, source: NDArray[Any]
) -> str | None:
    """Say how one plane differs from that of the source."""
    time, channel, z = place
    try:
        stored = reader.read_plane(field.path, channel, t_index=time, z_index=z)
    except _DAMAGE as error:
        return f"the field cannot be read: {error}"
    wanted, found = (_checksum(pixels) for pixels in (source, stored))
    if (source.shape, source.dtype, wanted) == (stored.shape, stored.dtype, found):
        return None
    name = job.channels[channel].name
    where = f" (time {time}, z {z})" if job.n_times * job.n_planes > 1 else ""
    return (
        f"channel {name}{where}: CRC-32 of the pixels is {found:08x}, of the source's {wanted:08x}"
    )


def _checksum(pixels: NDArray[Any]) -> int:
    return zlib.crc32(np.ascontiguousarray(pixels).view(np.uint8).data)
