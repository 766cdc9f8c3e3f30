"""Revvity Opera Phenix and Operetta: Harmony's names and index files, and Columbus' index."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any, Final
from xml.etree import ElementTree as ET

from hcs.domain.columns import Reason
from hcs.domain.plate import Channel, FlatField
from hcs.errors import InputError
from hcs.io.layouts.base import (
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
    strip_namespace,
    well_at,
)

# r03c03f01p01-ch1sk1fk1fl1.tiff: row, column, field, plane, channel, slow and fast kinetics, FLIM
_HARMONY: Final = re.compile(
    r"r(?P<row>\d{2})c(?P<column>\d{2})f(?P<site>\d{2,4})p(?P<z>\d{2,3})"
    r"-ch(?P<channel>\d{1,2})sk(?P<slow>\d+)fk(?P<fast>\d+)fl(?P<flim>\d+)\.tiff?",
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
                    return read_index(stream, files[0])
        return None


LAYOUT: Final = _Harmony(
    kind="operetta",
    title="Opera Phenix / Operetta",
    example="r03c03f01p01-ch1sk1fk1fl1.tiff",
    patterns=(_HARMONY,),
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
    found: dict[str, Any] = {"channels": {}, "listed": [], "problems": [], "sizes": set()}
    found |= {"positions": {}, "profiles": {}}
    try:
        for tag, element in _elements(stream):
            if tag == "Plate":
                _read_plate(element, found)
            elif tag == "Entry":
                texts = _texts(element)
                _read_channel(element.get("ChannelID", ""), texts, found)
                _read_profile(element.get("ChannelID", ""), texts, found)
            elif tag == "Image":
                _read_image(element, found, name)
    except (ET.ParseError, InputError, ValueError, LookupError) as error:
        message = f"the index is not used, it cannot be read: {error}"
        return Sidecar(source=name, problems=(problem(Reason.UNREADABLE, name, message),))
    channels = found["channels"]
    names = {number: channel.name for number, channel in channels.items()}
    return Sidecar(
        source=name,
        plate_name=found.get("plate_name"),
        plate_format=found.get("plate_format"),
        pixel_size_um=found["sizes"].pop() if len(found["sizes"]) == 1 else None,
        channels=tuple(channels[number] for number in sorted(channels, key=int)),
        channel_names=names,
        listed=tuple(found["listed"]),
        positions=tuple(found["positions"].values()),
        flat_fields=tuple(
            profile.model_copy(update={"channel": names.get(number, number)})
            for number, profile in sorted(found["profiles"].items())
        ),
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
    path = beside(index, file)
    if path is None:
        message = f"the index names {file!r}, which lies outside the source folder"
        found["problems"].append(problem(Reason.OUTSIDE_SOURCE, file, message))
        return
    _read_channel(texts["ChannelID"], texts, found)
    url = next(child for child in element if child.tag.endswith("URL"))
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
    found["sizes"] |= _pixel_sizes_um(element)
    x, y = (_position_um(element, axis) for axis in "XY")
    if (place := stage_position(fields.well, fields.site, x, y)) is not None:
        found["positions"].setdefault((fields.well, fields.site), place)


def _position_um(element: ET.Element, axis: str) -> float | None:
    """Position of the field from the well's center, whose unit the element names (meters)."""
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


def _pixel_sizes_um(element: ET.Element) -> set[float]:
    """Edge lengths of a pixel in µm; one value when pixels are square."""
    sizes = set()
    for child in element:
        if strip_namespace(child.tag) in {"ImageResolutionX", "ImageResolutionY"}:
            factor = _UM_PER.get(child.get("Unit", "m"))
            if factor is not None and child.text and float(child.text) > 0:
                sizes.add(round(float(child.text) * factor, 9))
    return sizes
