"""Yokogawa CellVoyager, CQ1 and CQ3000: names and the files ``.mlf``, ``.mrf``, ``.mes``.

Observed in a CV8000 run: records with ``TimelineIndex`` and ``ActionIndex``, and names that repeat
both as ``L01A01``. From converters that read such plates: a projection has ``ZImageProcessing``
(Maximum, Minimum, Sum) and channel numbers of its own, under the same name in the ``.mes``; CQ1
writes ``Z000`` into a folder ``Projection``; records say .tif where the files are .png; wells of
1536 are named by their place on a plate of 96 and within it, ``A01.a1``. Inferred: rows and columns
in the records of such a plate count all 32 × 48.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final
from xml.etree import ElementTree as ET

from hcs.domain.columns import Reason
from hcs.domain.plate import Channel, FieldPosition
from hcs.domain.wells import PlateFormat, Well, numbered_well, row_index
from hcs.errors import InputError
from hcs.io.images.steps import Places
from hcs.io.layouts.base import (
    IMAGE_ENDING,
    Listing,
    NameFields,
    NamePatterns,
    Sidecar,
    beside,
    fields_from,
    file_name,
    plate_format_of,
    problem,
    stage_position,
    well_at,
)
from hcs.io.layouts.pixels import choose_pixel_size_um
from hcs.io.layouts.vendors.xmlnames import strip_namespace

_CELLVOYAGER: Final = re.compile(
    r"(?:(?P<plate>.+)_)?(?P<well>[A-Z]{1,2}\d{2})(?:\.(?P<inner>[a-d][1-4]))?"
    r"_T(?P<t>\d{4})F(?P<site>\d{3,4})L(?P<timeline>\d{2})A(?P<action>\d{2})"
    rf"Z(?P<z>\d{{2,3}})C(?P<channel>\d{{2}}){IMAGE_ENDING}",
    re.IGNORECASE,
)
# CQ1 numbers wells row by row; which well that is depends on the plate, so a sidecar must tell.
_CQ1: Final = re.compile(
    r"W(?P<number>\d{4})F(?P<site>\d{4})T(?P<t>\d{4})Z(?P<z>\d{3})C(?P<channel>\d{1,2})"
    rf"{IMAGE_ENDING}",
    re.IGNORECASE,
)
_PROJECTION: Final = re.compile(r"(^|/)projection/", re.IGNORECASE)
_INNER: Final = 4
"""Wells of a 1536 plate in a row, and in a column, of a well's place on a plate of 96."""
_CORRECTION: Final = re.compile(r"(^|/)(DC_|SC_)[^/]*\.tiff?$")
_MEASUREMENT: Final = (".mrf", ".mlf", ".mes", ".wpi", ".wpp")
_FILTER: Final = re.compile(r"BP(\d+)/\d+")


@dataclass(frozen=True)
class _CellVoyager(NamePatterns):
    """Names of CV6000 to CV8000; those of a CQ1 through its measurement files."""

    def parse(self, path: str) -> NameFields | None:
        """Read one relative path; None when a CellVoyager does not write such names."""
        match = _CELLVOYAGER.fullmatch(file_name(path))
        if match is not None:
            return _read_numbers(match.groupdict(), path)
        return None if self.plate_format is None else _cq1_name(path, self.plate_format)

    def sidecar(self, listing: Listing) -> Sidecar | None:
        """Read the measurement files of one run."""
        files = {suffix: listing.ending(suffix) for suffix in _MEASUREMENT}
        if not any(files.values()):
            return None
        found = _Found()
        for paths in files.values():
            if len(paths) == 1:
                _read(listing, paths[0], found)
        if found.plate_format is not None:
            found.listed += _cq1_names(listing, found.plate_format)
        return found.sidecar(next(path for paths in files.values() for path in paths))


LAYOUT: Final = _CellVoyager(
    kind="cellvoyager",
    title="Yokogawa CellVoyager / CQ1",
    example="AssayPlate_D08_T0001F001L01A01Z01C01.tif",
    patterns=(_CELLVOYAGER,),
    ignored=_CORRECTION,
    marks=(".mlf",),
)


def _read_numbers(groups: dict[str, str | None], path: str) -> NameFields | None:
    """Fields of a name; plane 0, and what lies in a folder of projections, is a projection."""
    number = str(int(groups["channel"] or 0))
    is_plane = int(groups["z"] or 0) > 0 and not _PROJECTION.search(path)
    inner = groups.pop("inner", None)
    parts = _parts(groups.pop("timeline", None), groups.pop("action", None))
    named = {**groups, "channel": number, "order": number, "z": groups["z"] if is_plane else None}
    fields = fields_from(named, parts)
    if fields is None or inner is None:
        return fields
    return dataclasses.replace(fields, well=_inner_well(fields.well, inner))


@functools.cache
def _parts(timeline: str | None, action: str | None) -> tuple[str, ...]:
    """Name what else tells a record apart: a well may be in several timelines and actions."""
    told = (("timeline", timeline), ("action", action))
    return tuple(f"{what} {int(number)}" for what, number in told if number)


def _inner_well(outer: Well, inner: str) -> Well:
    """Well of a 1536 plate: ``a1`` to ``d4`` within its place on a plate of 96."""
    row, column = row_index(inner[0]), int(inner[1]) - 1
    return Well(outer.row * _INNER + row, outer.column * _INNER + column)


@dataclass
class _Found:
    """What the measurement files of one run say."""

    plate_name: str | None = None
    plate_format: PlateFormat | None = None
    sizes_um: dict[str, set[float]] = field(default_factory=dict)
    channels: dict[str, Channel] = field(default_factory=dict)
    listed: list[tuple[str, NameFields]] = field(default_factory=list)
    positions: dict[tuple[Well, int | None], FieldPosition] = field(default_factory=dict)
    problems: list[dict[str, Any]] = field(default_factory=list)
    places: Places = field(default_factory=Places)

    def sidecar(self, source: str) -> Sidecar:
        """All of it as a sidecar."""
        names = {number: channel.name for number, channel in self.channels.items()}
        used = {fields.channel for _, fields in self.listed}
        pixel_size_um, note = choose_pixel_size_um(
            {
                names.get(number, number): sizes
                for number, sizes in self.sizes_um.items()
                if not used or number in used
            }
        )
        return Sidecar(
            source=source,
            plate_name=self.plate_name,
            plate_format=self.plate_format,
            pixel_size_um=pixel_size_um,
            steps=self.places.steps(),
            channels=tuple(self.channels[number] for number in sorted(self.channels, key=int)),
            channel_names=names,
            listed=tuple(self.listed),
            positions=tuple(self.positions.values()),
            notes=(note,) if note else (),
            problems=tuple(self.problems),
        )


def _read(listing: Listing, path: str, found: _Found) -> None:
    """Read one measurement file; a damaged one is a problem and nothing else."""
    try:
        with (listing.root / path).open("rb") as stream:
            for _, element in ET.iterparse(stream):
                tag = strip_namespace(element.tag)
                if reader := _READERS.get(tag):
                    reader(_attributes(element), element, found, path)
                if tag == "MeasurementRecord":
                    element.clear()  # there is one for every image
    except (ET.ParseError, InputError, ValueError, LookupError) as error:
        message = f"{path} is not used, it cannot be read: {error}"
        found.problems.append(problem(Reason.UNREADABLE, path, message))


def _attributes(element: ET.Element) -> dict[str, str]:
    return {strip_namespace(name): value for name, value in element.attrib.items()}


def _read_record(values: dict[str, str], element: ET.Element, found: _Found, path: str) -> None:
    """Note one image of the ``.mlf``, or the error that stands in its place."""
    file = (element.text or "").strip()
    kind = values.get("Type", "")
    if kind == "ERR":
        message = f"the microscope noted an error: {file or 'no message'}"
        fields = NameFields(well_at(values["Row"], values["Column"]), int(values["FieldIndex"]))
        found.problems.append(problem(Reason.MISSING_FILE, path, message, fields=fields))
    if kind != "IMG" or not file:
        return
    relative = beside(path, file)
    if relative is None:
        message = f"{path} names {file!r}, which lies outside the source folder"
        found.problems.append(problem(Reason.OUTSIDE_SOURCE, file, message))
        return
    number, z = int(values["Ch"]), int(values["ZIndex"])
    made_by = values.get("ZImageProcessing")
    is_plane = z > 0 and not made_by and not _PROJECTION.search(relative)
    fields = NameFields(
        well_at(values["Row"], values["Column"]),
        site=int(values["FieldIndex"]),
        channel=str(number),
        z=z if is_plane else None,
        t=int(values["TimePoint"]),
        order=number,
        derived=(made_by,) if made_by else (),
        parts=_parts(values.get("TimelineIndex"), values.get("ActionIndex")),
    )
    found.listed.append((relative, fields))
    height = _read_height_um(values) if z > 0 else None
    stack = (fields.well, fields.site, number)
    found.places.note(stack, z, int(fields.t or 0), z_um=height, t_s=_read_time_s(values))
    place = stage_position(fields.well, fields.site, values.get("X"), values.get("Y"))
    if place is not None:
        found.positions.setdefault((fields.well, fields.site), place)


def _read_height_um(values: dict[str, str]) -> float | None:
    try:
        return float(values.get("Z", ""))
    except ValueError:
        return None


def _read_time_s(values: dict[str, str]) -> float | None:
    try:
        return dt.datetime.fromisoformat(values.get("Time", "")).timestamp()
    except ValueError:
        return None


def _read_plate(values: dict[str, str], _: ET.Element, found: _Found, __: str) -> None:
    names = ("RowCount", "ColumnCount") if "RowCount" in values else ("Rows", "Columns")
    stated = plate_format_of(*(values.get(name) for name in names))
    found.plate_format = stated or found.plate_format


def _read_plate_name(values: dict[str, str], _: ET.Element, found: _Found, __: str) -> None:
    found.plate_name = values.get("Name") or found.plate_name


def _read_camera(values: dict[str, str], _: ET.Element, found: _Found, __: str) -> None:
    for edge in ("Horizontal", "Vertical"):
        if (size_um := float(values.get(f"{edge}PixelDimension", "0"))) > 0:
            found.sizes_um.setdefault(str(int(values["Ch"])), set()).add(size_um)


def _read_channel(values: dict[str, str], element: ET.Element, found: _Found, _: str) -> None:
    """Note a channel of the ``.mes``: the dye where it is told, else light and filter."""
    light, band = values.get("Target", ""), values.get("Acquisition", "")
    name = values.get("Fluorophore") or " ".join(part for part in (light, band) if part)
    sources = [child.text or "" for child in element if child.tag.endswith("LightSourceName")]
    excitation = re.fullmatch(r"(\d+)\s*nm", sources[0]) if len(sources) == 1 else None
    emission = _FILTER.fullmatch(band)
    number = str(int(values["Ch"]))
    found.channels[number] = Channel(
        name=name or number,
        excitation_nm=float(excitation[1]) if excitation else None,
        emission_nm=float(emission[1]) if emission else None,
    )


def _cq1_names(listing: Listing, plate_format: PlateFormat) -> Iterator[tuple[str, NameFields]]:
    """Find the wells of numbered names, now that the plate is known."""
    for path in listing.images:
        if (fields := _cq1_name(path, plate_format)) is not None:
            yield path, fields


def _cq1_name(path: str, plate_format: PlateFormat) -> NameFields | None:
    match = _CQ1.fullmatch(file_name(path))
    if match is None:
        return None
    groups = match.groupdict()
    well = numbered_well(int(groups.pop("number") or 0), plate_format)
    return None if well is None else _read_numbers({**groups, "well": well.name}, path)


_READERS: Final = {
    "MeasurementRecord": _read_record,
    "MeasurementDetail": _read_plate,
    "MeasurementSetting": _read_plate,
    "WellPlate": _read_plate,
    "WellPlateProduct": _read_plate,
    "MeasurementSamplePlate": _read_plate_name,
    "MeasurementChannel": _read_camera,
    "Channel": _read_channel,
}
