"""Makes planes of what names say: channels in order, z and time from 0, pages, no duplicates."""

from __future__ import annotations

import dataclasses
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final, Literal

from upath import UPath

from hcs.domain.columns import Reason
from hcs.domain.plate import Channel, Plane, PlaneNumbers
from hcs.errors import ImageReadError
from hcs.io.images import tiff
from hcs.io.images.tiff_header import PagePosition, PlaneInfo
from hcs.io.layouts.base import NameFields, Sidecar, problem

PageAxis = Literal["channel", "z", "t"]
Source = tuple[str, int]
"""Relative path and page."""

FIRST_SITE: Final = 1
"""Field number where a name has none: microscopes that take one field leave its number out."""

_NO_CHANNEL: Final = "0"
_HEADERS_AT_ONCE: Final = 8
"""Threads that read headers; reading one is all waiting."""


@dataclass(frozen=True, slots=True)
class Assembled:
    """What all names of a plate make together.

    ``missing`` are planes that the sidecar lists and whose files are not there.
    """

    channels: tuple[Channel, ...]
    planes: tuple[Plane, ...]
    missing: tuple[Plane, ...]
    numbers: PlaneNumbers


def assemble(
    named: Mapping[Source, NameFields],
    sidecar: Sidecar,
    root: UPath | None,
    page_axis: PageAxis | None,
    problems: list[dict[str, Any]],
) -> Assembled:
    """Make planes and channels of all recognized files.

    Parameters
    ----------
    named
        Fields of every recognized plane by relative path and page.
    sidecar
        The vendor's metadata.
    root
        The source folder when headers must be read for multi-page files, else None.
    page_axis
        What pages are where a file does not say it.
    problems
        Grows by a row for every duplicate and every file with pages of unknown meaning.

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
        for path, f in sidecar.listed
        if (path, f.page) not in named and _is_ranked(f.z, rank_z) and _is_ranked(f.t, rank_t)
    ]
    if root is not None:
        planes = _expand_pages(root, planes, page_axis, problems)
    planes = _without_duplicates(planes, problems)
    known = {channel.name: channel for channel in sidecar.channels}
    order = {name: index for index, name in enumerate(known)}
    names = sorted(
        {plane.channel for plane in planes},
        key=lambda name: (order.get(name, len(order)), ranks.get(name, 0), _natural(name)),
    )
    place = {name: index for index, name in enumerate(names)}
    planes.sort(key=lambda p: (p.well, p.site, place[p.channel], p.t_index, p.z_index))
    return Assembled(
        channels=tuple(known.get(name, Channel(name=name)) for name in names),
        planes=tuple(planes),
        missing=tuple(plane for plane in absent if plane.channel in place),
        numbers=PlaneNumbers(z=tuple(z), t=tuple(t)),
    )


def _is_ranked(number: int | None, ranks: Mapping[int, int]) -> bool:
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
        name = sidecar.channels[0].name if len(sidecar.channels) == 1 else _NO_CHANNEL
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


def _expand_pages(
    root: UPath,
    planes: Sequence[Plane],
    page_axis: PageAxis | None,
    problems: list[dict[str, Any]],
) -> list[Plane]:
    """Make one plane of every page of every file, by what the headers say the pages are."""

    def header(plane: Plane) -> PlaneInfo | None:
        try:
            return tiff.probe(root / plane.path)
        except ImageReadError:
            return None  # the stage that reads pixels reports it with its reason

    with ThreadPoolExecutor(_HEADERS_AT_ONCE) as pool:
        headers = list(pool.map(header, planes))
    expanded = []
    for plane, info in zip(planes, headers, strict=True):
        if info is None or info.n_pages == 1:
            expanded.append(plane)
            continue
        positions = info.positions or _along(page_axis, info.n_pages)
        if not positions:
            message = (
                f"{plane.path} has {info.n_pages} pages and does not say what they are; "
                "say that pages are channel, z or t"
            )
            fields = NameFields(plane.well, plane.site)
            problems.append(problem(Reason.WRONG_SHAPE, plane.path, message, fields=fields))
            continue
        expanded += _pages_of(plane, positions, info.channel_names)
    return expanded


def _along(page_axis: PageAxis | None, n_pages: int) -> tuple[PagePosition, ...]:
    if page_axis is None:
        return ()
    key = "channel" if page_axis == "channel" else f"{page_axis}_index"
    return tuple(PagePosition(**{key: page}) for page in range(n_pages))


def _pages_of(plane: Plane, positions: Sequence[PagePosition], names: Sequence[str]) -> list[Plane]:
    """One plane a page; an axis that the file does not have keeps what the name says."""
    many = {
        axis: any(getattr(position, axis) > 0 for position in positions)
        for axis in ("channel", "z_index", "t_index")
    }
    pages = []
    for page, position in enumerate(positions):
        update: dict[str, Any] = {"page": page}
        if many["channel"]:
            label = names[position.channel] if names else str(position.channel)
            named = plane.channel != _NO_CHANNEL
            update["channel"] = f"{plane.channel} {label}" if named else label
        update |= {axis: getattr(position, axis) for axis in ("z_index", "t_index") if many[axis]}
        pages.append(plane.model_copy(update=update))
    return pages
