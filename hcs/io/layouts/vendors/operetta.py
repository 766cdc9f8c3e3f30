"""Revvity Opera Phenix and Operetta: Harmony's names and index files, and Columbus' index."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any, Final
from xml.etree import ElementTree as ET

from hcs.domain.columns import Reason
from hcs.domain.plate import Channel, FlatField
from hcs.domain.wells import Well
from hcs.errors import InputError
from hcs.io.files.paths import is_local
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

# r03c03f01p01-ch1sk1fk1fl1.tiff: row, column, field, plane, channel, slow and fast kinetics, FLIM
_HARMONY: Final = re.compile(
    r"r(?P<row>\d{2})c(?P<column>\d{2})f(?P<site>\d{2,4})p(?P<z>\d{2,3})"
    r"-ch(?P<channel>\d{1,2})sk(?P<slow>\d+)fk(?P<fast>\d+)fl(?P<flim>\d+)"
    rf"{IMAGE_ENDING}",
    re.IGNORECASE,
)

_INDEX_NAMES: Final = (
    "index.idx.xml",
    "index.xml",
    "index.ref.xml",
    "imageindex.columbusidx.xml",
)
"""Harmony renamed its index over the years; the first of these that a folder has is read."""

# {Background: {…}, Channel: 1, …, Foreground: {…, Profile: {Coefficients: [[1.1], [0.1, 0.2]],
# Dims: [1080, 1080], Origin: [539.5, 539.5], Scale: [0.0009, 0.0009], Type: Polynomial}}, …}
_PROFILE: Final = {
    "coefficients": re.compile(r"Coefficients: *(\[(?:\[[^\[\]]*\][, ]*)*\])"),
    "origin_px": re.compile(r"Origin: *(\[[^\[\]]*\])"),
    "scale": re.compile(r"Scale: *(\[[^\[\]]*\])"),
}

_UM_PER: Final = {"m": 1e6, "mm": 1e3, "um": 1.0, "µm": 1.0}


@dataclass(frozen=True)
class _Harmony(NamePatterns):
    """Names that Harmony writes; an index tells the rest, and all of a Columbus export."""

    def parse(self, path: str) -> NameFields | None:
        """Read one relative path; None when Harmony does not write such names."""
        match = _HARMONY.fullmatch(file_name(path))
        if match is None:
            return None
        groups = match.groupdict()
        slow, fast, flim = (int(groups.pop(key)) for key in ("slow", "fast", "flim"))
        if flim != 1 or (slow > 1 and fast > 1):
            return None  # a lifetime image, or two time axes at once: no plane of ours
        number = str(int(groups["channel"] or 0))
        time = str(max(slow, fast))
        return fields_from({**groups, "channel": number, "order": number, "t": time})

    def sidecar(self, listing: Listing) -> Sidecar | None:
        """Read the index when there is exactly one of the preferred name."""
        for name in _INDEX_NAMES:
            files = [path for path in listing.others if file_name(path).lower() == name]
            if len(files) > 1:
                note = f"{len(files)} index files, such as {files[0]!r}: none is used"
                return Sidecar(source=files[0], notes=(note,))
            if files:
                with (listing.root / files[0]).open("rb") as stream:
                    return _forget_unnamed(read_index(stream, files[0]), self, listing)
        return _index_above(listing)


LAYOUT: Final = _Harmony(
    kind="operetta",
    title="Opera Phenix / Operetta",
    example="r03c03f01p01-ch1sk1fk1fl1.tiff",
    patterns=(_HARMONY,),
    marks=_INDEX_NAMES,
)


def read_index(stream: IO[bytes], name: str) -> Sidecar:
    """Read an index of Harmony or Columbus.

    Parameters
    ----------
    stream
        The file, opened for bytes.
    name
        Its path relative to the source folder.

    Returns
    -------
    Sidecar
        Also of entries for files that are absent. A damaged index gives a sidecar that holds one
        problem and nothing else.
    """
    found: dict[str, Any] = {"channels": {}, "listed": [], "problems": [], "sizes": {}}
    found |= {"positions": {}, "profiles": {}, "places": Places()}
    try:
        for tag, element in _elements(stream):
            if tag == "Plate":
                _read_plate(element, found)
            elif tag == "Entry":
                texts = _texts(element)
                _read_channel(element.get("ChannelID", ""), texts, found)
                _read_profile(element.get("ChannelID", ""), texts, found)
                _read_pixel_sizes(element.get("ChannelID", ""), element, found)
            elif tag == "Image":
                _read_image(element, found, name)
    except (ET.ParseError, InputError, ValueError, LookupError) as error:
        message = f"the index is not used, it cannot be read: {error}"
        return Sidecar(source=name, problems=(problem(Reason.UNREADABLE, name, message),))
    channels = found["channels"]
    names = {number: channel.name for number, channel in channels.items()}
    used = {fields.channel for _, fields in found["listed"]}
    pixel_size_um, note = choose_pixel_size_um(
        {names.get(number, number): s for number, s in found["sizes"].items() if number in used}
    )
    return Sidecar(
        source=name,
        plate_name=found.get("plate_name"),
        plate_format=found.get("plate_format"),
        pixel_size_um=pixel_size_um,
        steps=found["places"].steps(),
        channels=tuple(channels[number] for number in sorted(channels, key=int)),
        channel_names=names,
        listed=tuple(found["listed"]),
        positions=tuple(found["positions"].values()),
        flat_fields=tuple(
            profile.model_copy(update={"channel": names.get(number, number)})
            for number, profile in sorted(found["profiles"].items())
        ),
        notes=(note,) if note else (),
        problems=tuple(found["problems"]),
    )


def _elements(stream: IO[bytes]) -> Iterator[tuple[str, ET.Element]]:
    """Yield finished elements by name without namespace, forgetting images that were read.

    Elements ``<Image id=…>`` within wells only repeat names; those that describe have children.
    """
    for _, element in ET.iterparse(stream):
        tag = strip_namespace(element.tag)
        if tag != "Image" or len(element):
            yield tag, element
        if tag == "Image":
            element.clear()


def _texts(element: ET.Element) -> dict[str, str]:
    """Text of every child by name without namespace."""
    return {strip_namespace(child.tag): (child.text or "").strip() for child in element}


def _read_plate(element: ET.Element, found: dict[str, Any]) -> None:
    texts = _texts(element)
    found["plate_format"] = plate_format_of(texts.get("PlateRows"), texts.get("PlateColumns"))
    found["plate_name"] = texts.get("Name") or texts.get("PlateID") or None


def _read_channel(number: str, texts: dict[str, str], found: dict[str, Any]) -> None:
    """Note a channel; newer versions describe it once, older ones in every image."""
    if not (number.isascii() and number.isdigit() and texts.get("ChannelName")):
        return
    nanometers = [
        float(texts.get(f"Main{side}Wavelength") or 0) or None
        for side in ("Excitation", "Emission")
    ]
    found["channels"].setdefault(
        str(int(number)),
        Channel(name=texts["ChannelName"], excitation_nm=nanometers[0], emission_nm=nanometers[1]),
    )


def _read_image(element: ET.Element, found: dict[str, Any], index: str) -> None:
    texts = _texts(element)
    file = texts.get("URL", "")
    path = beside(index, file) if file else ""
    if path is None:
        message = f"the index names {file!r}, which lies outside the source folder"
        found["problems"].append(problem(Reason.OUTSIDE_SOURCE, file, message))
        return
    _read_channel(texts["ChannelID"], texts, found)
    url = next((child for child in element if child.tag.endswith("URL")), element)
    number = int(texts["ChannelID"])
    fields = NameFields(
        well_at(texts["Row"], texts["Col"]),
        site=int(texts["FieldID"]),
        channel=str(number),
        z=int(texts.get("PlaneID", "1")),
        t=int(texts.get("TimepointID", "0")) + 1,
        order=number,
        page=int(url.get("BufferNo", "0")),
    )
    found["listed"].append((path, fields))
    _read_pixel_sizes(str(number), element, found)
    x, y, height = (_position_um(element, axis) for axis in "XYZ")
    stack = (fields.well, fields.site, number)
    time_s = float(texts.get("MeasurementTimeOffset") or 0)
    found["places"].note(stack, fields.z or 0, fields.t or 0, z_um=height, t_s=time_s)
    if (place := stage_position(fields.well, fields.site, x, y)) is not None:
        found["positions"].setdefault((fields.well, fields.site), place)


def _position_um(element: ET.Element, axis: str) -> float | None:
    """Position of a plane from the well's center or the autofocus; the element names the unit."""
    for child in element:
        if strip_namespace(child.tag) == f"Position{axis}" and child.text:
            factor = _UM_PER.get(child.get("Unit", "m"))
            return None if factor is None else round(float(child.text) * factor, 6)
    return None


def _read_profile(number: str, texts: dict[str, str], found: dict[str, Any]) -> None:
    """Note the illumination profile of a channel, the foreground's; a flat one says nothing."""
    _, _, foreground = texts.get("FlatfieldProfile", "").partition("Foreground:")
    pieces = {name: pattern.search(foreground) for name, pattern in _PROFILE.items()}
    if not (number.isascii() and number.isdigit() and all(pieces.values())):
        return
    values = {name: json.loads(match[1]) for name, match in pieces.items() if match}
    if values["coefficients"]:
        found["profiles"][str(int(number))] = FlatField(channel=number, **values)


def _read_pixel_sizes(number: str, element: ET.Element, found: dict[str, Any]) -> None:
    """Note a channel's pixel: up to version 5 every image states it, from 6 on the channel does.

    Observed in versions 4 and 5; of 6 and 7 it is what readers of such files say.
    """
    if not (number.isascii() and number.isdigit()):
        return
    for child in element:
        if strip_namespace(child.tag) in {"ImageResolutionX", "ImageResolutionY"}:
            factor = _UM_PER.get(child.get("Unit", "m"))
            if factor is not None and child.text and float(child.text) > 0:
                sizes = found["sizes"].setdefault(str(int(number)), set())
                sizes.add(round(float(child.text) * factor, 9))


def _index_above(listing: Listing) -> Sidecar | None:
    """Tell of an index in the folder above, which the user did not name and which is not read."""
    if not is_local(listing.root):
        return None
    above = listing.root.absolute().parent
    for name in _INDEX_NAMES:
        if (above / name).exists():
            note = f"{name} lies in the folder above and is not read: name {above} to use it"
            return Sidecar(source=str(above / name), notes=(note,))
    return None


def _forget_unnamed(sidecar: Sidecar, layout: NamePatterns, listing: Listing) -> Sidecar:
    """Turn entries with an empty ``<URL>`` into problems, where no file has their name.

    Harmony writes such an entry for an image that it planned and did not store.
    """
    unnamed = [fields for path, fields in sidecar.listed if not path]
    if not unnamed:
        return sidecar
    named = {
        (f.well, f.site, f.channel, f.z, f.t)
        for path in listing.images
        if (f := layout.parse(path)) is not None
    }
    absent: dict[tuple[Well, int | None], list[str]] = {}
    for f in unnamed:
        if (f.well, f.site, f.channel, f.z, f.t) not in named:
            what = f"channel {f.channel} plane {f.z} time {f.t}"
            absent.setdefault((f.well, f.site), []).append(what)
    rows = tuple(
        problem(
            Reason.MISSING_FILE,
            sidecar.source,
            f"{sidecar.source} names no file for {len(what)} images of well {well.name}, field "
            f"{site}, such as {what[0]}: the microscope did not store them",
            fields=NameFields(well, site),
        )
        for (well, site), what in absent.items()
    )
    listed = tuple((path, fields) for path, fields in sidecar.listed if path)
    return dataclasses.replace(sidecar, listed=listed, problems=sidecar.problems + rows)
