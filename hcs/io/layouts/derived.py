"""Keeps planes as taken apart from what programs made of them: mosaics, projections, previews."""

from __future__ import annotations

import dataclasses
import posixpath
from collections import defaultdict
from collections.abc import Iterable
from typing import Any, Final

from hcs.domain.columns import Reason
from hcs.io.layouts.base import NameFields, Sidecar, problem
from hcs.io.layouts.planes import Source

_PREVIEWS: Final = frozenset({".png", ".jpg", ".jpeg"})
"""Endings of exports that lie beside the TIFFs they were made of."""

_MOSAICS: Final = frozenset({"stitched", "montage"})
"""What is larger than a field, in lower case, as Gen5 names it."""


def without_previews(named: dict[Source, NameFields]) -> list[str]:
    """Leave out PNG and JPEG images that say they are what a TIFF of the folder is.

    Parameters
    ----------
    named
        Fields of every recognized plane by relative path and page; previews are taken out.

    Returns
    -------
    list of str
        Paths that were taken out.
    """
    exports = [source for source in named if _suffix(source) in _PREVIEWS]
    if not exports or len(exports) == len(named):
        return []
    originals = {f for source, f in named.items() if _suffix(source) not in _PREVIEWS}
    previews = [source for source in exports if named[source] in originals]
    for source in previews:
        del named[source]
    return [path for path, _ in previews]


def _suffix(source: Source) -> str:
    return posixpath.splitext(source[0])[1].lower()  # a path object costs 20 µs


def without_derived(
    named: dict[Source, NameFields], sidecar: Sidecar, problems: list[dict[str, Any]]
) -> list[str]:
    """Leave out what was made of planes that are there themselves.

    A channel that lies there as taken is read so. Of one that was only kept as something derived
    (a plate of projections, of stitched wells), what has gone through the fewest steps is read,
    each kind as a channel of its own when there are several.

    Parameters
    ----------
    named
        Fields of every recognized plane by relative path and page; what is left out is taken out.
    sidecar
        The vendor's metadata, which name the channels.
    problems
        Grows by a row for every derived image whose planes are absent: it is not read, and
        nothing else of its well, channel and time is.

    Returns
    -------
    list of str
        Paths that were left out because their planes are read.
    """
    by_channel: defaultdict[str | None, list[Source]] = defaultdict(list)
    for source, f in named.items():
        by_channel[sidecar.name_of(f)].append(source)
    some_as_taken = any(not f.derived for f in named.values())
    left_out = []
    for sources in by_channel.values():
        steps = min(len(named[source].derived) for source in sources)
        kinds = {named[source].derived for source in sources if len(named[source].derived) == steps}
        mosaic = some_as_taken and steps > 0 and all(_is_mosaic(kind) for kind in kinds)
        kept = [s for s in sources if len(named[s].derived) == steps and not mosaic]
        there = {(named[s].well, named[s].t) for s in kept}
        for source in set(sources) - set(kept):
            f = named.pop(source)
            if (f.well, f.t) in there:
                left_out.append(source[0])
            else:
                problems.append(_row_of(source[0], f))
        if steps > 0:
            _name_kinds(named, kept, several=len(kinds) > 1)
    return sorted(left_out)


def _is_mosaic(kind: tuple[str, ...]) -> bool:
    return any(step.casefold() in _MOSAICS for step in kind)


def _row_of(path: str, fields: NameFields) -> dict[str, Any]:
    made_by = " of ".join(fields.derived)
    message = (
        f"{path} is derived ({made_by}), and the planes that it was made of are not there; "
        "it is not read, because other images of this plate are single fields"
    )
    return problem(Reason.UNMATCHED_FILE, path, message, fields=fields)


def _name_kinds(named: dict[Source, NameFields], kept: Iterable[Source], *, several: bool) -> None:
    """Tell several kinds of derived images apart by their channels' names."""
    for source in kept:
        f = named[source]
        kind = (" ".join(f.derived).casefold(),) if several else ()
        named[source] = dataclasses.replace(f, derived=(), parts=kind + f.parts)
