"""Opera FLEX: TIFFs of one well each, whose pages an XML in the first directory describes.

Quoted from descriptions of two generations of files (FLEX 1.8 of an Opera, one of Columbus): tag
65200 holds ``Arrays/Array``, a page each, and ``Well/Images/Image``, whose ``BufferNo`` is the
page, ``Stack`` the plane and ``Sublayout`` the field; lengths are meters. Inferred: names
``RRRCCCFFF.flex`` are row, column and a number; a page whose ``Factor`` is not 1 is scaled.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Final
from xml.etree import ElementTree as ET

import tifffile
from upath import UPath

from hcs.domain.columns import Reason
from hcs.domain.plate import Channel, FieldPosition
from hcs.domain.wells import PlateFormat, Well
from hcs.io.images.steps import Places
from hcs.io.layouts.base import (
    Listing,
    NameFields,
    NamePatterns,
    Sidecar,
    file_name,
    plate_format_of,
    problem,
    stage_position,
    well_at,
)
from hcs.io.layouts.pixels import choose_pixel_size_um

_XML_TAG: Final = 65200
_NAME: Final = re.compile(r"(?P<row>\d{3})(?P<column>\d{3})\d{3}\.flex", re.IGNORECASE)
_ENDING: Final = ".flex"
_AT_ONCE: Final = 8
_UM_PER_M: Final = 1e6
_DAMAGED: Final = (OSError, ValueError, LookupError, struct.error, TypeError, RuntimeError)


@dataclass(frozen=True)
class _Flex(NamePatterns):
    """Names tell nothing that the XML does not: they are held against it."""

    def sidecar(self, listing: Listing) -> Sidecar | None:
        """Read the XML of every file; None when none has any."""
        paths = [path for path in listing.images if path.lower().endswith(_ENDING)]
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            texts = list(pool.map(lambda path: _read_xml(listing.root / path), paths))
        if not any(texts):
            return None
        found = _Found()
        for path, text in zip(paths, texts, strict=True):
            found.read(path, text)
        return found.sidecar()


LAYOUT: Final = _Flex(
    kind="flex",
    title="Opera FLEX",
    example="",
    patterns=(),
    ignored=re.compile(r"\.(?:mea|res)$", re.IGNORECASE),
)


def _read_xml(path: UPath) -> str | bytes | None:
    """Text of the tag; None where a file has none, or is no TIFF, which its reader will say."""
    try:
        with path.open("rb") as stream, tifffile.TiffFile(stream, name=path.name) as tif:
            tag = tif.pages[0].aspage().tags.get(_XML_TAG)
            return None if tag is None else tag.value
    except _DAMAGED:
        return None


@dataclass(slots=True)
class _Found:
    """What the XML of all files says of a plate."""

    listed: list[tuple[str, NameFields]] = field(default_factory=list)
    problems: list[dict[str, Any]] = field(default_factory=list)
    channels: dict[str, Channel] = field(default_factory=dict)
    positions: list[FieldPosition] = field(default_factory=list)
    sizes: dict[str, set[float]] = field(default_factory=dict)
    places: Places = field(default_factory=Places)
    plates: set[str] = field(default_factory=set)
    formats: set[PlateFormat | None] = field(default_factory=set)

    def sidecar(self) -> Sidecar:
        """All of it."""
        size_um, note = choose_pixel_size_um(self.sizes)
        return Sidecar(
            source=self.listed[0][0] if self.listed else "the XML of the files",
            plate_name=next(iter(self.plates)) if len(self.plates) == 1 else None,
            plate_format=next(iter(self.formats)) if len(self.formats) == 1 else None,
            pixel_size_um=size_um,
            steps=self.places.steps(),
            channels=tuple(self.channels.values()),
            listed=tuple(self.listed),
            positions=tuple(self.positions),
            notes=() if note is None else (note,),
            problems=tuple(self.problems),
            is_anchor=True,
        )

    def read(self, path: str, text: str | bytes | None) -> None:
        """Read the XML of one file."""
        if text is None:
            self._refuse(path, "it has no XML that tells its well and the meaning of its pages")
            return
        try:
            root = ET.fromstring(text)
            self._read_plate(path, root)
        except (ET.ParseError, ValueError, LookupError) as error:
            self._refuse(path, f"its XML cannot be read: {error}")

    def _refuse(self, path: str, why: str, reason: Reason = Reason.UNREADABLE) -> None:
        self.problems.append(problem(reason, path, f"{path} is not read: {why}"))

    def _read_plate(self, path: str, root: ET.Element) -> None:
        arrays = root.findall(".//Arrays/Array")
        coordinate = root.find(".//Well/WellCoordinate")
        if coordinate is None:
            msg = "it names no well"
            raise ValueError(msg)
        well = well_at(coordinate.get("Row") or "", coordinate.get("Col") or "")
        named = _NAME.fullmatch(file_name(path))
        if named and well_at(named["row"].lstrip("0"), named["column"].lstrip("0")) != well:
            why = f"its name says another well than {well.name}, which its XML says"
            self._refuse(path, why, Reason.CONTRADICTORY)
            return
        plate = root.findtext(".//Plate/PlateName") or root.findtext(".//Plate/Barcode")
        self.plates |= {plate.strip()} if plate and plate.strip() else set()
        sides = [root.findtext(f".//Plate/{axis}Size") for axis in "XY"]
        self.formats.add(plate_format_of(*sides) or plate_format_of(*reversed(sides)))
        for image in root.findall(".//Well/Images/Image"):
            self._read_image(path, well, image, arrays)

    def _read_image(
        self, path: str, well: Well, image: ET.Element, arrays: list[ET.Element]
    ) -> None:
        page = int(image.get("BufferNo") or "")
        array: Mapping[str, str] = arrays[page].attrib
        channel = (array.get("Name") or image.findtext("ExposureNo") or str(page)).strip()
        fields = NameFields(
            well,
            site=_whole(image, "Sublayout"),
            z=_whole(image, "Stack"),
            channel=channel,
            page=page,
        )
        if float(array.get("Factor") or 1) != 1:
            message = (
                f"{path} page {page} holds values that were divided by {array['Factor']}, which "
                "hcs does not undo: convert it with bioformats2raw"
            )
            self.problems.append(problem(Reason.WRONG_TYPE, path, message, fields=fields))
            return
        self.channels.setdefault(channel, Channel(name=channel))
        self.listed.append((path, fields))
        x, y, z = (_um(image, f"Position{axis}") for axis in "XYZ")
        if (place := stage_position(well, fields.site, x, y)) is not None:
            self.positions.append(place)
        edges = {_um(image, f"ImageResolution{axis}") for axis in "XY"} - {None}
        self.sizes.setdefault(channel, set()).update(round(e, 9) for e in edges if e)
        if fields.z is not None:
            stack = (well, fields.site, channel)
            self.places.note(stack, int(fields.z), 0, z_um=z, t_s=None)


def _whole(image: ET.Element, name: str) -> int | None:
    text = image.findtext(name)
    return int(text) if text and text.strip() else None


def _um(image: ET.Element, name: str) -> float | None:
    text = image.findtext(name)
    return float(text) * _UM_PER_M if text and text.strip() else None
