"""From a listing and one vendor's layout to a plate, with a reason for every file left out."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from hcs.domain import columns as col
from hcs.domain.columns import Reason
from hcs.domain.config.layouts import PageAxis
from hcs.domain.plate import PlaneNumbers, SourcePlate
from hcs.domain.wells import PlateFormat, Well
from hcs.errors import Fault, FaultsError, InputError
from hcs.io.images.steps import NOTHING_STATED, agree, place_planes
from hcs.io.layouts.base import (
    Listing,
    NameFields,
    Sidecar,
    VendorLayout,
    file_name,
    problem,
)
from hcs.io.layouts.merging import (
    Draft,
    choose_acquisition,
    forget_left_out,
    leave_out_what_repeats,
    merge_sidecar,
)
from hcs.io.layouts.pages import Headers, find_pixel_size
from hcs.io.layouts.planes import Assembled, assemble
from hcs.io.layouts.suggest import explain_containers, suggest_pattern

_DEAD: Final = (
    "its name is no UTF-8, or it is a pipe, a device, an empty folder, or a link that leads to "
    "nothing"
)

_EXCERPT: Final = 8
"""Names shown when none is recognized: enough to see the pattern, few enough to read."""


Names = Mapping[str, NameFields]
"""What a layout makes of the relative paths that it knows."""


@dataclass(frozen=True, slots=True)
class ScanResult:
    """A plate as found, every fault, and why the layout was chosen.

    Attributes
    ----------
    plate
        The plate; no pixel was read.
    problems
        Rows with the columns of :data:`hcs.domain.columns.PROBLEM_COLUMNS`.
    why
        For the user: which layout and why, the plate format, the pixel size and whence.
    """

    plate: SourcePlate
    problems: tuple[dict[str, Any], ...]
    why: str


@dataclass(frozen=True, slots=True)
class Stated:
    """What the user says of the plate; it wins over names, metadata and headers.

    ``page_axis`` tells what the pages of a file are when the file does not. ``acquisition`` is the
    one of an OME-Zarr plate that is read.
    """

    plate_name: str | None = None
    plate_format: PlateFormat | None = None
    pixel_size_um: float | None = None
    page_axis: PageAxis | None = None
    acquisition: int | None = None


def build(
    listing: Listing,
    layout: VendorLayout,
    sidecar: Sidecar | None,
    stated: Stated,
    why: str,
    names: Names | None = None,
) -> ScanResult:
    """Read all names of a listing as one vendor's and put the plate together.

    Parameters
    ----------
    listing
        The files.
    layout
        The vendor.
    sidecar
        The vendor's metadata, None when there are none.
    stated
        What the user says of the plate.
    why
        Why this layout; the first sentence of the result's.
    names
        What the layout makes of every path, where they have been read.

    Returns
    -------
    ScanResult
        Planes sorted by well, site, channel, time and z.

    Raises
    ------
    FaultsError
        For wells outside the plate, and for files whose name and metadata disagree.
    InputError
        When no file is recognized, or several plates are mixed and none is named.
    """
    parse = layout.parse if names is None else names.get
    named = {
        (path, 0): f
        for path in listing.images
        if not layout.ignores(path) and (f := parse(path)) is not None
    }
    draft = Draft(named, [], [why])
    sidecar = sidecar or Sidecar(source="")
    merge_sidecar(draft, sidecar, listing, stated.plate_name)
    known_sources = set(named)
    sidecar = choose_acquisition(draft, sidecar, stated.acquisition, str(listing.root))
    known = {path for path, _ in known_sources}
    unmatched = [p for p in listing.images if p not in known and not layout.ignores(p)]
    if not named:
        raise InputError(explain_no_layout(listing, layout))
    _report_left_out(draft, listing, unmatched)
    name = _plate_name(draft, stated.plate_name, sidecar, listing)
    plate_format = _plate_format(draft, stated.plate_format, sidecar)
    sidecar = leave_out_what_repeats(draft, sidecar)
    sidecar = forget_left_out(sidecar, known_sources - set(named), name)
    made = assemble(
        named, sidecar, listing.root, stated.page_axis, draft.problems, multipage=layout.multipage
    )
    if not made.planes:
        raise InputError(_explain_no_planes(listing, draft.problems))
    pixel_size_um = _pixel_size_um(draft, stated.pixel_size_um, sidecar, made.headers)
    numbers = _place_planes(made, sidecar)
    _tell_what_exports_changed(draft, made.headers)
    for row in draft.problems:
        row[col.PLATE] = name
    plate = SourcePlate(
        name=name,
        layout=layout.kind,
        plate_format=plate_format,
        channels=made.channels,
        planes=made.planes,
        missing=made.missing,
        numbers=_with_minutes(numbers) if layout.t_is_minutes else numbers,
        unmatched=tuple(unmatched),
        pixel_size_um=pixel_size_um,
        positions=tuple({(item.well, item.site): item for item in sidecar.positions}.values()),
        excluded=sidecar.excluded,
        flat_fields=sidecar.flat_fields,
    )
    return ScanResult(plate, tuple(draft.problems), "; ".join(draft.notes))


def _tell_what_exports_changed(draft: Draft, headers: Headers) -> None:
    """Say where intensities are no longer those of the camera."""
    lossy = [path for path, info in headers.items() if info is not None and info.is_lossy]
    if lossy:
        draft.notes.append(
            f"images are JPEG, such as {lossy[0]!r}: compression has changed their intensities, so "
            "that faint differences and textures are not to be trusted"
        )
    exported = [path for path in headers if path.lower().endswith((".png", ".jpg", ".jpeg"))]
    depths = {info.dtype.name for path in exported if (info := headers[path]) is not None}
    if depths == {"uint8"}:
        draft.notes.append(
            f"images of 8 bits, such as {exported[0]!r}: exports are often scaled for display, and "
            "then intensities compare within an image only"
        )


def _with_minutes(numbers: PlaneNumbers) -> PlaneNumbers:
    """State times from the first one, where their numbers are minutes."""
    return numbers.model_copy(update={"t_min": tuple(t - numbers.t[0] for t in numbers.t)})


def _explain_no_planes(listing: Listing, problems: list[dict[str, Any]]) -> str:
    """Say why nothing is left of files that the layout knows."""
    shown = "".join(f"\n  {row['message']}" for row in problems[:_EXCERPT])
    more = f"\n  … and {len(problems) - _EXCERPT} more" if len(problems) > _EXCERPT else ""
    return f"no image of {listing.root} can be read:{shown}{more}"


def explain_no_layout(listing: Listing, layout: VendorLayout | None) -> str:
    """Say which names were found and how to go on."""
    shown = "".join(f"\n  {path}" for path in listing.images[:_EXCERPT])
    more = len(listing.images) - _EXCERPT
    shown += f"\n  … and {more} more" if more > 0 else ""
    if not listing.images:
        dead = f"; {len(listing.dead)} links lead to nothing" if listing.dead else ""
        return f"no image files in {listing.root}; {len(listing.others)} other files{dead}"
    wanted = f"names such as {layout.example!r}" if layout and layout.example else "such names"
    which = "no layout fits" if layout is None else f"{layout.title} ({layout.kind}): no {wanted}"
    said = f"{which} in {listing.root}; found{shown}\n"
    if told := explain_containers(listing.images):
        return f"{said}{told}"
    pattern = suggest_pattern(map(file_name, listing.images))
    if pattern is None:
        example = r"(?P<row>[A-H])(?P<column>\d\d)_(?P<site>\d+)\.tif"
        tried = f"whose pattern must match a whole name, for example {example}"
    else:
        tried = f"for example --layout 'regex:{pattern}', and correct what its groups are called"
    return (
        f"{said}name the layout with --layout, or describe the names with --layout regex, {tried}; "
        "names that only number their wells (ScanR, CQ1, EMBL) need the plate: --plate-wells"
    )


def _report_left_out(draft: Draft, listing: Listing, unmatched: list[str]) -> None:
    for path in listing.dead:
        message = f"{path} cannot be read: {_DEAD}"
        draft.problems.append(problem(Reason.UNREADABLE, path, message))
    if listing.linked:
        where = os.path.realpath(str(listing.root / listing.linked[0]))
        draft.notes.append(
            f"{len(listing.linked)} links are followed, such as {listing.linked[0]!r} to {where!r}"
        )
    told = {row["file"] for row in draft.problems}
    for path in unmatched:
        if path in told:
            continue
        message = explain_containers([path]) or (
            f"{path} is an image file whose name the layout does not know"
        )
        draft.problems.append(problem(Reason.UNMATCHED_FILE, path, message))


def _plate_name(draft: Draft, asked: str | None, sidecar: Sidecar, listing: Listing) -> str:
    """Choose the plate's name; of several plates in one folder keep the one that was asked for."""
    plates = sorted({f.plate for f in draft.named.values() if f.plate is not None})
    if len(plates) <= 1:
        fallback = sidecar.plate_name or listing.root.resolve().name or "plate"
        return asked or (plates[0] if plates else fallback)
    if asked not in plates:
        listed = ", ".join(repr(plate) for plate in plates)
        asked_for = "none is named" if asked is None else f"none is {asked!r}"
        msg = f"{listing.root} holds images of plates {listed}, and {asked_for}: use --plate-name"
        raise InputError(msg)
    others = [source for source, f in draft.named.items() if f.plate not in {asked, None}]
    for source in others:
        del draft.named[source]
    draft.notes.append(f"{len(others)} files of {len(plates) - 1} other plates are left out")
    return asked


def _plate_format(draft: Draft, asked: PlateFormat | None, sidecar: Sidecar) -> PlateFormat:
    """Choose the plate format and refuse wells that it does not have."""
    wells: defaultdict[Well, list[str]] = defaultdict(list)
    for (path, _), fields in draft.named.items():
        wells[fields.well].append(path)
    plate_format = asked or sidecar.plate_format
    if plate_format is None:
        held = {well for well in wells if PlateFormat.WELLS_1536.holds(well)}
        plate_format = PlateFormat.smallest_for(held)
        draft.notes.append(
            f"plate of {plate_format.n_wells} wells, the smallest that has all wells found"
        )
    outside = sorted(well for well in wells if not plate_format.holds(well))
    if outside:
        last = f"{plate_format.row_names[-1]}{plate_format.n_columns}"
        expected = f"a well from A01 to {last}"
        faults = [
            Fault(
                wells[well][0],
                f"the plate of {plate_format.n_wells} wells has no such well "
                f"({len(wells[well])} files)",
                value=well.name,
                expected=expected,
            )
            for well in outside
        ]
        raise FaultsError("wells outside the plate", faults)
    return plate_format


def _place_planes(made: Assembled, sidecar: Sidecar) -> PlaneNumbers:
    """Places of planes and times as the vendor's metadata, else as the images' headers state."""
    n_planes = 1 + max((plane.z_index for plane in made.planes), default=0)
    n_times = 1 + max((plane.t_index for plane in made.planes), default=0)
    steps = sidecar.steps
    if (n_planes, n_times) != (1, 1) and steps == NOTHING_STATED:
        steps = agree([info.steps for info in made.headers.values() if info is not None])
    return place_planes(made.numbers, steps, n_planes, n_times)


def _pixel_size_um(
    draft: Draft, asked: float | None, sidecar: Sidecar, headers: Headers
) -> float | None:
    """Pixel size as stated, else as the vendor's metadata, else as the images' headers have it."""
    if asked is not None:
        return asked
    if sidecar.pixel_size_um is not None:
        draft.notes.append(f"pixel size {sidecar.pixel_size_um} µm from {sidecar.source}")
        return sidecar.pixel_size_um
    found = find_pixel_size(headers)
    if found is None:
        draft.notes.append("no pixel size is known")
        return None
    draft.notes.append(f"pixel size {found[0]} µm from the header of {found[1]}")
    return found[0]
