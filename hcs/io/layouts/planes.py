"""Makes planes of what names say: channels in order, z and time from 0, pages, no duplicates."""

from __future__ import annotations

import dataclasses
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from upath import UPath

from hcs.domain.columns import Reason
from hcs.domain.config.layouts import PageAxis
from hcs.domain.plate import Channel, Plane, PlaneNumbers
from hcs.io.layouts.base import NO_CHANNEL, NameFields, Sidecar, problem
from hcs.io.layouts.pages import Headers, expand_pages, sample_headers

Source = tuple[str, int]
"""Relative path and page."""

FIRST_SITE: Final = 1
"""Field number where a name has none: microscopes that take one field leave its number out."""


@dataclass(frozen=True, slots=True)
class Assembled:
    """What all names of a plate make together.

    ``missing`` are planes that the sidecar lists and whose files are not there; ``headers`` are
    those that were read.
    """

    channels: tuple[Channel, ...]
    planes: tuple[Plane, ...]
    missing: tuple[Plane, ...]
    numbers: PlaneNumbers
    headers: Headers


def assemble(
    named: Mapping[Source, NameFields],
    sidecar: Sidecar,
    root: UPath,
    page_axis: PageAxis | None,
    problems: list[dict[str, Any]],
    *,
    multipage: bool,
) -> Assembled:
    """Make planes and channels of all recognized files.

    Parameters
    ----------
    named
        Fields of every recognized plane by relative path and page.
    sidecar
        The vendor's metadata.
    root
        The source folder.
    page_axis
        What pages are where a file does not say it.
    problems
        Grows by a row for every duplicate and every file with pages of unknown meaning.
    multipage
        Whether the headers of all files are to be read.

    Returns
    -------
    Assembled
        Planes sorted by well, site, channel, time and z. A missing field leaves its number free.
        Numbers of z and time, in whatever counting, become indices in their order.
    """
    labels, ranks = _channel_labels(named, sidecar)
    z = sorted({f.z for f in named.values() if f.z is not None})
    t = sorted({f.t for f in named.values() if f.t is not None})
    rank_z, rank_t = ({number: at for at, number in enumerate(found)} for found in (z, t))

    def plane_of(source: Source, f: NameFields, label: str) -> Plane:
        return Plane(
            path=source[0],
            page=source[1],
            well=f.well,
            site=FIRST_SITE if f.site is None else f.site,
            channel=label,
            z_index=0 if f.z is None else rank_z[f.z],
            t_index=0 if f.t is None else rank_t[f.t],
            plate=f.plate,
        )

    planes = [plane_of(source, f, labels[source]) for source, f in sorted(named.items())]
    absent = [
        plane_of((path, f.page), f, _base_label(f, sidecar))
        for path, f in (*sidecar.listed, *sidecar.absent)
        if (path, f.page) not in named and _is_ranked(f.z, rank_z) and _is_ranked(f.t, rank_t)
    ]
    headers = sample_headers(root, planes)
    planes = expand_pages(root, planes, page_axis, problems, sampled=headers, every=multipage)
    planes = _without_duplicates(planes, problems)
    known = {channel.name: channel for channel in sidecar.channels}
    order = {name: index for index, name in enumerate(known)}
    names = sorted(
        {plane.channel for plane in planes},
        key=lambda name: (order.get(name, len(order)), ranks.get(name, 0), _natural(name)),
    )
    place = {name: index for index, name in enumerate(names)}
    planes.sort(  # by numbers, as wells compare themselves ten times as slowly
        key=lambda p: (
            p.well.row, p.well.column, p.site, place[p.channel], p.t_index, p.z_index,
        )
    )  # fmt: skip
    return Assembled(
        channels=tuple(known.get(name, Channel(name=name)) for name in names),
        planes=tuple(planes),
        missing=tuple(plane for plane in absent if plane.channel in place),
        numbers=PlaneNumbers(z=tuple(z), t=tuple(t)),
        headers=headers,
    )


def _is_ranked(number: float | None, ranks: Mapping[float, int]) -> bool:
    return number is None or number in ranks


def without_projections(named: dict[Source, NameFields]) -> int:
    """Leave out projections that lie beside the planes of their own stack; returns how many.

    Vendors write both (MetaXpress into ``ZStep_0``, CQ1 as ``Z000``); a stack is never mixed with
    its own projection, and a channel that was only stored as a projection is kept.
    """
    stacks = {_without_z(f) for f in named.values() if f.z is not None}
    if not stacks:
        return 0
    beside = [source for source, f in named.items() if f.z is None and _without_z(f) in stacks]
    for source in beside:
        del named[source]
    return len(beside)


def _without_z(fields: NameFields) -> NameFields:
    return dataclasses.replace(fields, z=None, page=0)


def _natural(text: str) -> tuple[tuple[int, str], ...]:
    """Sort key that puts ``w2`` before ``w10``."""
    parts = re.split(r"(\d+)", text.casefold())
    return tuple((int(part), "") if part.isdecimal() else (-1, part) for part in parts)


def _channel_labels(
    named: Mapping[Source, NameFields], sidecar: Sidecar
) -> tuple[dict[Source, str], dict[str, int]]:
    """Name of every file's channel, and each channel's number on the microscope.

    Two waves of one name (an IN Cell may take the same filters twice) get their number appended.
    """
    base = {source: _base_label(f, sidecar) for source, f in named.items()}
    orders: defaultdict[str, set[int]] = defaultdict(set)
    for source, f in named.items():
        if f.order is not None:
            orders[base[source]].add(f.order)
    labels = {}
    ranks: dict[str, int] = {}
    for source, f in named.items():
        label = base[source]
        if len(orders[label]) > 1 and f.order is not None:
            label = f"{label} {f.order}"
        labels[source] = label
        if f.order is not None:
            ranks[label] = f.order
    return labels, ranks


def _base_label(fields: NameFields, sidecar: Sidecar) -> str:
    written = fields.channel
    if written is None and fields.order is not None:
        written = str(fields.order)
    if written is None:
        name = sidecar.channels[0].name if len(sidecar.channels) == 1 else NO_CHANNEL
    else:
        name = sidecar.channel_names.get(written, written)
    return " ".join((name, *fields.parts))


def _without_duplicates(planes: Iterable[Plane], problems: list[dict[str, Any]]) -> list[Plane]:
    """Keep the first file, in sorted order, of those that claim to be one plane."""
    kept: dict[tuple[object, ...], Plane] = {}
    for plane in planes:
        first = kept.setdefault(plane.key, plane)
        if first is not plane:
            message = (
                f"{plane.path} and {first.path} are both well {plane.well.name}, "
                f"field {plane.site}, channel {plane.channel!r}, z {plane.z_index}, "
                f"time {plane.t_index}; the latter is used"
            )
            fields = NameFields(plane.well, plane.site)
            problems.append(problem(Reason.DUPLICATE, plane.path, message, fields=fields))
    return list(kept.values())
