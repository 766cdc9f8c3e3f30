"""Joins what names and metadata say of a plate, and leaves out what repeats other planes."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from hcs.domain.columns import Reason
from hcs.errors import Fault, FaultsError, InputError, UnknownNameError
from hcs.io.layouts.base import Listing, NameFields, Sidecar, problem
from hcs.io.layouts.derived import without_derived, without_previews
from hcs.io.layouts.parts import separate_parts
from hcs.io.layouts.planes import Source, without_projections

_MANY: Final = 4
"""Repeated planes from which on folders, not single files, are taken to repeat each other."""


@dataclass
class Draft:
    """What is known of a source folder so far."""

    named: dict[Source, NameFields]
    problems: list[dict[str, Any]]
    notes: list[str] = field(default_factory=list)


def merge_sidecar(draft: Draft, sidecar: Sidecar, listing: Listing, plate: str | None) -> None:
    """Let metadata identify files that their names do not, and tell of absent ones."""
    draft.problems += [dict(row) for row in sidecar.problems]
    draft.notes += sidecar.notes
    present = {path.casefold(): path for path in listing.images}
    faults: list[Fault] = []
    for path, stated in sidecar.listed:
        found = present.get(path.casefold())
        if found is None and None not in {plate, stated.plate} and plate != stated.plate:
            continue  # of another plate than the one that was asked for
        if found is None:
            message = f"{path} is listed in {sidecar.source} and is not there"
            draft.problems.append(problem(Reason.MISSING_FILE, path, message, fields=stated))
        elif (found, stated.page) in draft.named:
            faults += _disagreements(found, draft.named[found, stated.page], stated, sidecar.source)
            named = draft.named[found, stated.page]
            draft.named[found, stated.page] = stated if sidecar.is_anchor else _join(named, stated)
        else:
            draft.named[found, stated.page] = stated
    if faults and sidecar.is_anchor:
        _follow_anchor(draft, sidecar, faults, present)
    elif faults:
        what = f"file names and {sidecar.source} disagree; remove it, or choose --layout regex"
        raise FaultsError(what, faults)


def _join(named: NameFields, stated: NameFields) -> NameFields:
    """Add to a name what only the metadata know: what was derived, and in which part."""
    z = stated.z if stated.derived else named.z
    parts = stated.parts or named.parts
    return dataclasses.replace(named, z=z, derived=stated.derived or named.derived, parts=parts)


def _follow_anchor(
    draft: Draft, sidecar: Sidecar, faults: list[Fault], present: Mapping[str, str]
) -> None:
    """Leave out files that the metadata do not list, since names are wrong here, and say so."""
    files = {fault.file for fault in faults}
    first = faults[0]
    what = "well" if "well" in first.message else "field"
    draft.notes.append(
        f"{len(files)} file names say otherwise than {sidecar.source}, which is followed: "
        f"{first.file!r} is {what} {first.expected} there"
    )
    listed = {present.get(path.casefold()) for path, _ in sidecar.listed}
    for source in [source for source in draft.named if source[0] not in listed]:
        message = (
            f"{source[0]} is not listed in {sidecar.source}, and other names disagree with it; "
            "it is not read"
        )
        row = problem(Reason.UNMATCHED_FILE, source[0], message, fields=draft.named.pop(source))
        draft.problems.append(row)


def _disagreements(
    path: str, named: NameFields, stated: NameFields, source: str
) -> Iterator[Fault]:
    if named.well != stated.well:
        message = f"the well differs from that in {source}"
        yield Fault(path, message, value=named.well.name, expected=stated.well.name)
    if None not in {named.site, stated.site} and named.site != stated.site:
        message = f"the field number differs from that in {source}"
        yield Fault(path, message, value=str(named.site), expected=str(stated.site))


def leave_out_what_repeats(draft: Draft, sidecar: Sidecar) -> Sidecar:
    """Leave out what was made of planes that are read themselves, and say so."""
    previews = without_previews(draft.named)
    derived = without_derived(draft.named, sidecar, draft.problems)
    n_projections = without_projections(draft.named)
    if previews:
        draft.notes.append(
            f"{len(previews)} PNG or JPEG images of planes that are TIFFs as well are left out, "
            f"such as {previews[0]!r}"
        )
    if derived:
        draft.notes.append(
            f"{len(derived)} images that the microscope's program made of others are left out, "
            f"such as {derived[0]!r}"
        )
    if n_projections:
        draft.notes.append(f"{n_projections} projections beside their own stacks are left out")
    parts, sidecar = separate_parts(draft.named, sidecar)
    if parts:
        draft.notes.append(f"channels are told apart by {', '.join(parts)}")
    _refuse_equal_folders(draft.named, sidecar)
    return sidecar


def _refuse_equal_folders(named: Mapping[Source, NameFields], sidecar: Sidecar) -> None:
    """Refuse folders that hold the same planes: two plates, or images and their masks.

    Single files that claim one plane are problems; where most do, keeping the first of each would
    be a choice between whole folders that nobody made.
    """
    seen: dict[tuple[object, ...], str] = {}
    repeated: Counter[tuple[str, str]] = Counter()
    for (path, _), f in sorted(named.items()):
        key = (f.well, f.site, sidecar.name_of(f), f.order, f.z, f.t, f.parts)
        folder = path.rpartition("/")[0]
        first = seen.setdefault(key, folder)
        if first != folder:
            repeated[first, folder] += 1
    n_repeated = repeated.total()
    if n_repeated >= _MANY and 3 * n_repeated >= len(named):
        (first, folder), count = repeated.most_common(1)[0]
        msg = (
            f"the folders {first or '.'!r} and {folder!r} hold {count} planes of the same well, "
            "field, channel, z and time: name one of them as the source, or describe what the "
            "folders are with --layout regex, whose pattern may match the whole relative path, as "
            r"in day(?P<t>\d+)/…"
        )
        raise InputError(msg)


def forget_left_out(sidecar: Sidecar, left_out: set[Source], plate: str) -> Sidecar:
    """Take from what is listed what was left out on purpose: it is not missing."""
    listed = tuple(
        (path, f)
        for path, f in sidecar.listed
        if (path, f.page) not in left_out and not f.derived and f.plate in {None, plate}
    )
    absent = tuple((path, f) for path, f in sidecar.absent if f.plate in {None, plate})
    return dataclasses.replace(sidecar, listed=listed, absent=absent)


def choose_acquisition(draft: Draft, sidecar: Sidecar, asked: int | None, root: str) -> Sidecar:
    """Keep one acquisition of a plate that was taken several times, or find that they fit.

    Parameters
    ----------
    draft
        What is known of the source; planes of other acquisitions are taken out.
    sidecar
        The vendor's metadata.
    asked
        Number of the acquisition to read, None for all as channels of the same fields.
    root
        The source, for messages.

    Returns
    -------
    Sidecar
        The metadata, with the pixel size of what is read.

    Raises
    ------
    UnknownNameError
        When there is no such acquisition.
    InputError
        When acquisitions have pixels of different sizes and none was chosen.
    """
    found = sorted({f.acquisition for f in draft.named.values() if f.acquisition is not None})
    sizes = {number: sidecar.run_pixels_um.get(number) for number in found}
    if asked is None:
        if len({size for size in sizes.values() if size is not None}) > 1:
            told = ", ".join(f"{number} ({size} µm)" for number, size in sizes.items())
            msg = (
                f"the acquisitions of {root} have pixels of different sizes: {told}; "
                "choose one with --acquisition"
            )
            raise InputError(msg)
        return sidecar
    if asked not in found:
        raise UnknownNameError("acquisition", asked, root, found)
    others = [source for source, f in draft.named.items() if f.acquisition not in {asked, None}]
    for source in others:
        del draft.named[source]
    draft.notes.append(f"{len(others)} planes of other acquisitions than {asked} are left out")
    listed = tuple((p, f) for p, f in sidecar.listed if f.acquisition in {asked, None})
    size_um = sizes[asked] or sidecar.pixel_size_um
    return dataclasses.replace(sidecar, listed=listed, pixel_size_um=size_um)
