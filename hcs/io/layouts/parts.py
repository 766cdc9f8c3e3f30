"""Tells planes apart that differ only in a part of the acquisition: a timeline, an action."""

from __future__ import annotations

import dataclasses
from collections import defaultdict

from hcs.io.layouts.base import NameFields, Sidecar
from hcs.io.layouts.planes import Source


def separate_parts(named: dict[Source, NameFields], sidecar: Sidecar) -> tuple[list[str], Sidecar]:
    """Keep the parts that planes need so that no two are one; forget the others.

    A CellVoyager that takes a well in two timelines counts time points and channels anew in each:
    without the timeline, the second lot would be duplicates of the first. Where wells are shared
    out between timelines, the timeline says nothing and names no channel.

    Parameters
    ----------
    named
        Fields of every recognized plane by relative path and page; ``parts`` are changed.
    sidecar
        The vendor's metadata, which name the channels: two numbers may have one name.

    Returns
    -------
    list of str
        Parts that now name channels, such as ``"timeline 2"``.
    Sidecar
        The metadata, with the same parts in what they list.
    """
    if not any(f.parts for f in named.values()):
        return [], sidecar
    needed: set[tuple[object, int]] = set()
    groups: defaultdict[tuple[object, ...], set[tuple[str, ...]]] = defaultdict(set)
    for f in named.values():
        name = sidecar.name_of(f)
        groups[name, f.well, f.site, f.z, f.t, f.plate, f.derived].add(f.parts)
    for (channel, *_), parts in groups.items():
        if len(parts) > 1:
            for level in range(max(map(len, parts))):
                if len({each[level : level + 1] for each in parts}) > 1:
                    needed.add((channel, level))

    def cut(f: NameFields) -> NameFields:
        name = sidecar.name_of(f)
        parts = tuple(p for level, p in enumerate(f.parts) if (name, level) in needed)
        return f if parts == f.parts else dataclasses.replace(f, parts=parts)

    for source, f in named.items():
        named[source] = cut(f)
    told = {part for f in named.values() for part in f.parts}
    listed = tuple((path, cut(f)) for path, f in sidecar.listed)
    return sorted(told), dataclasses.replace(sidecar, listed=listed)
