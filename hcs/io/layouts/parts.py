"""Tells planes apart that differ only in a part of the acquisition: a timeline, an action."""

from __future__ import annotations

import dataclasses
from collections import defaultdict

from hcs.io.layouts.base import NameFields
from hcs.io.layouts.planes import Source


def separate_parts(named: dict[Source, NameFields]) -> list[str]:
    """Keep the parts that planes need so that no two are one; forget the others.

    A CellVoyager that takes a well in two timelines counts time points and channels anew in each:
    without the timeline, the second lot would be duplicates of the first. Where wells are shared
    out between timelines, the timeline says nothing and names no channel.

    Parameters
    ----------
    named
        Fields of every recognized plane by relative path and page; ``parts`` are changed.

    Returns
    -------
    list of str
        Parts that now name channels, such as ``"timeline 2"``.
    """
    if not any(f.parts for f in named.values()):
        return []
    needed: set[tuple[str | None, int]] = set()
    groups: defaultdict[NameFields, list[NameFields]] = defaultdict(list)
    for f in named.values():
        groups[dataclasses.replace(f, parts=(), page=0)].append(f)
    for same in groups.values():
        for level in range(max(len(f.parts) for f in same)):
            if len({f.parts[level : level + 1] for f in same}) > 1:
                needed.add((same[0].channel, level))
    told: set[str] = set()
    for source, f in named.items():
        parts = tuple(p for level, p in enumerate(f.parts) if (f.channel, level) in needed)
        told.update(parts)
        if parts != f.parts:
            named[source] = dataclasses.replace(f, parts=parts)
    return sorted(told)
