"""Says what the planes of a plate are: to users in a summary, to readers in a note of the plate."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Any, Final

from hcs.domain.config.planes import PlaneHeight, PlaneIndex, read_plane_choice
from hcs.domain.config.stages import IngestConfig
from hcs.domain.planes import list_planes
from hcs.domain.plate import Plane, SourcePlate
from hcs.errors import InputError
from hcs.stages.work.ingest.reading import WellJob

_SHOWN: Final = 8
_SAME_UM: Final = 1e-3


def name_place(plane: Plane, source: SourcePlate) -> str:
    """Name the z and time of a plane as the source numbers them; empty where there is but one."""
    text = ""
    for word, index, numbers in (
        ("z", plane.z_index, source.numbers.z),
        ("time", plane.t_index, source.numbers.t),
    ):
        if index or len(numbers) > 1:
            text += f" {word} {numbers[index] if index < len(numbers) else index:g}"
    return text + (f" (page {plane.page + 1})" if plane.file_pages > 1 else "")


def describe_planes(source: SourcePlate, job: WellJob) -> dict[str, str]:
    """Say how many planes there are, and what differs between channels: planes, binning, type."""
    sizes = {"z planes": job.n_planes, "time points": job.n_times}
    said = {name: str(n) for name, n in sizes.items() if n > 1}
    have: dict[str, set[tuple[int, int]]] = {channel.name: set() for channel in job.channels}
    for plane in source.planes:
        have[plane.channel].add((plane.t_index, plane.z_index))
    for channel, own in zip(job.channels, job.own_pixels, strict=True):
        parts = []
        if len(have[channel.name]) < job.n_planes * job.n_times:
            told = list_planes(have[channel.name], job.numbers)
            parts.append(f"has {told} alone{_name_index(have[channel.name], job)}")
        if own.binning > 1:
            parts.append(f"binned {own.binning} × {own.binning}, its pixels are repeated")
        if own.dtype != job.dtype:
            parts.append(f"acquired as {own.dtype}")
        if parts:
            said[f"channel {channel.name}"] = "; ".join(parts)
    return said


def _name_index(places: Collection[tuple[int, int]], job: WellJob) -> str:
    """Say what ``--plane`` calls the one plane of a channel, where the source counts otherwise."""
    planes = sorted({z for _, z in places})
    if len(planes) != 1 or job.projection is not None or job.n_planes == 1:
        return ""
    (index,) = planes
    number = job.numbers.z[index]
    return "" if number == index else f" (--plane z:{index})"


def choose_plane(config: IngestConfig, source: SourcePlate) -> SourcePlate:
    """Keep the one plane of every stack that ``z:INDEX`` or ``z:HEIGHTum`` names; else all.

    Raises
    ------
    InputError
        When a channel has no such plane, or heights are not known; the message says what there is.
    """
    if not config.projection.startswith("z:"):
        return source
    index = _find_plane(config.projection, source)
    planes = tuple(plane for plane in source.planes if plane.z_index == index)
    lacking = [c.name for c in source.channels if c.name not in {p.channel for p in planes}]
    if lacking:
        has = {p.z_index for p in source.planes if p.channel == lacking[0]}
        there = ", ".join(f"z:{z}" for z in sorted(has)[:_SHOWN])
        msg = (
            f"--project-z {config.projection} is plane {index} of a stack, which channel "
            f"{lacking[0]} of {config.source} does not have at all: it has {there}"
        )
        raise InputError(msg)
    numbers = source.numbers
    kept = {name: getattr(numbers, name)[: index + 1] for name in ("z", "z_um")}
    missing = tuple(plane for plane in source.missing if plane.z_index == index)
    update = {"planes": planes, "missing": missing, "numbers": numbers.model_copy(update=kept)}
    return source.model_copy(update=update)


def _find_plane(said: str, source: SourcePlate) -> int:
    choice = read_plane_choice(said)
    if isinstance(choice, PlaneIndex):
        return choice.index
    heights = source.numbers.z_um
    wanted = choice.height_um if isinstance(choice, PlaneHeight) else math.nan
    for index, height in enumerate(heights):
        if math.isclose(height, wanted, rel_tol=0, abs_tol=_SAME_UM):
            return index
    there = f"has {', '.join(f'{z:g}' for z in heights[:_SHOWN])} µm" if heights else "states none"
    msg = f"--project-z {said} is a height, and the source {there}: give an index, as z:2"
    raise InputError(msg)


def note_planes(job: WellJob, *, padded: bool) -> dict[str, Any]:
    """Note for readers what the planes of the plate are, and whether any of them is not there."""
    channels = [
        {"name": channel.name, "binning": channel.binning, "dtype": own.dtype}
        for channel, own in zip(job.channels, job.own_pixels, strict=True)
    ]
    numbers = job.numbers.model_dump(mode="json")
    if job.projection is not None:
        numbers |= {"z": [], "z_um": []}
    return {"padded": padded, "channels": channels, **numbers}
