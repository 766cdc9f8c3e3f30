"""GE IN Cell Analyzer 1000, 2000, 2200 and 6000: names in all their forms and the ``.xdce``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any, Final
from xml.etree import ElementTree as ET

from hcs.domain.columns import Reason
from hcs.domain.plate import Channel
from hcs.domain.wells import Well
from hcs.errors import InputError
from hcs.io.images.steps import Steps
from hcs.io.layouts.base import (
    IMAGE_ENDING,
    Listing,
    NameFields,
    NamePatterns,
    Sidecar,
    beside,
    fields_from,
    plate_format_of,
    problem,
    stage_position,
    well_at,
)

# A - 01(fld 001 wv Blue - FITC).tif, and all that stands in the brackets is optional:
# Plate1_HA41_B - 01(fld 1 wv UV - DAPI wix 5 z 3 time 2 - 2636ms).tif
_BRACKETS: Final = re.compile(
    r"(?:(?P<plate>.+?)(?: - |_| ))?"
    r"(?P<row>[A-Z]{1,2}) ?- ?(?P<column>\d{1,3})"
    r"\((?: ?fld (?P<site>\d+))?"
    r"(?: ?wv (?P<channel>.+?)(?: wix (?P<order>\d+))?)?"
    r"(?: ?z (?P<z>\d+))?"
    r"(?: ?time (?P<t>\d+)(?: - \d+ ?ms)?)?"
    rf" ?\){IMAGE_ENDING}",
    re.IGNORECASE,
)

# A_01_f2_c1_xUV_mDAPI_z3_t2.tif of software 7.2
_UNDERSCORES: Final = re.compile(
    r"(?:(?P<plate>.+)_)?"
    r"(?P<row>[A-Z]{1,2})_(?P<column>\d{1,3})_f(?P<site>\d+)"
    r"(?:_c(?P<order>\d+))?(?:_x(?P<excitation>[^_]+))?(?:_m(?P<emission>[^_]+))?"
    r"(?:_z(?P<z>\d+))?(?:_t(?P<t>\d+))?"
    rf"{IMAGE_ENDING}",
    re.IGNORECASE,
)

_THUMBNAIL: Final = re.compile(r"(^|/)thumb(nail)?s?/|_thumb\d*\.[a-z]+$", re.IGNORECASE)
_BINNING_NONE: Final = re.compile(r"\s*1\s*[xX]\s*1\s*")


@dataclass(frozen=True)
class _InCell(NamePatterns):
    """Names in brackets or, from software 7.2, with underscores."""

    def parse(self, path: str) -> NameFields | None:
        """Read one relative path; None when an IN Cell does not write such names."""
        name = path.rpartition("/")[2]
        match = _BRACKETS.fullmatch(name)
        if match is not None:
            return fields_from(match.groupdict())
        match = _UNDERSCORES.fullmatch(name)
        if match is None:
            return None
        groups = match.groupdict()
        filters = [groups.pop(key) for key in ("excitation", "emission")]
        return fields_from({**groups, "channel": " - ".join(name for name in filters if name)})

    def sidecar(self, listing: Listing) -> Sidecar | None:
        """Read the ``.xdce`` when there is exactly one."""
        files = listing.ending(".xdce")
        if not files:
            return None
        if len(files) > 1:
            note = f"{len(files)} .xdce files, such as {files[0]!r}: none is used"
            return Sidecar(source=files[0], notes=(note,))
        with (listing.root / files[0]).open("rb") as stream:
            return read_xdce(stream, files[0])


LAYOUT: Final = _InCell(
    kind="incell",
    title="GE IN Cell",
    example="A - 01(fld 001 wv Blue - FITC).tif",
    patterns=(_BRACKETS, _UNDERSCORES),
    ignored=_THUMBNAIL,
    marks=(".xdce",),
)


def read_xdce(stream: IO[bytes], name: str) -> Sidecar:
    """Read the metadata file of an IN Cell run.

    Parameters
    ----------
    stream
        The file, opened for bytes: it states its own encoding, ISO-8859-1.
    name
        Its path relative to the source folder.

    Returns
    -------
    Sidecar
        Identifiers in it count from 0 and become field numbers from 1, as in the file names. A
        damaged file gives a sidecar that holds one problem and nothing else. The pixel size is
        None when the camera binned: the file does not say whether the size takes that in.
    """
    found: dict[str, Any] = {"channels": {}, "listed": [], "problems": [], "notes": []}
    found |= {"positions": {}, "excluded": set(), "z_steps": set()}
    try:
        for element in _elements(stream):
            if reader := _READERS.get(element.tag):
                reader(element, found, name)
    except (ET.ParseError, InputError, ValueError, LookupError, AttributeError) as error:
        message = f"the .xdce is not used, it cannot be read: {error}"
        row = problem(Reason.UNREADABLE, name, message, kept=False)
        return Sidecar(source=name, problems=(row,))
    pixel_size_um = found.get("pixel_size_um")
    if pixel_size_um is not None and not _BINNING_NONE.fullmatch(found.get("binning", "1 X 1")):
        binning = found["binning"]
        found["notes"].append(f"no pixel size: the .xdce tells it for a camera binned {binning}")
        pixel_size_um = None
    steps = found["z_steps"]
    return Sidecar(
        source=name,
        plate_name=found.get("plate_name"),
        plate_format=found.get("plate_format"),
        pixel_size_um=pixel_size_um,
        steps=Steps(z_um=min(steps) if len(steps) == 1 and min(steps) > 0 else None),
        channels=tuple(found["channels"][index] for index in sorted(found["channels"])),
        listed=tuple(found["listed"]),
        positions=tuple(found["positions"].values()),
        excluded=tuple(sorted(found["excluded"])),
        notes=tuple(found["notes"]),
        problems=tuple(found["problems"]),
        is_anchor=True,  # names of exported fields are counted otherwise than in the run
    )


def _elements(stream: IO[bytes]) -> Iterator[ET.Element]:
    """Yield elements as they end, forgetting images that were read: these files grow large."""
    for event, element in ET.iterparse(stream, events=("start", "end")):
        if event == "end" or element.tag == "ImageStack":
            yield element
        if event == "end" and element.tag == "Image":
            element.clear()


def _read_stack(element: ET.Element, found: dict[str, Any], _: str) -> None:
    found["plate_name"] = (element.get("PlateID") or "").strip() or None


def _read_calibration(element: ET.Element, found: dict[str, Any], _: str) -> None:
    width, height = (float(element.get(f"pixel_{edge}", "0")) for edge in ("width", "height"))
    micrometers = element.get("unit", "").strip().lower() in {"µm", "μm", "um"}
    if micrometers and width > 0 and abs(width - height) <= 0.01 * width:
        found["pixel_size_um"] = width


def _read_binning(element: ET.Element, found: dict[str, Any], _: str) -> None:
    found["binning"] = element.get("value", "")


def _read_plate(element: ET.Element, found: dict[str, Any], _: str) -> None:
    found["plate_format"] = plate_format_of(element.get("rows"), element.get("columns"))


def _read_wavelength(element: ET.Element, found: dict[str, Any], _: str) -> None:
    filters = [element.find(f"{side}Filter") for side in ("Excitation", "Emission")]
    nanometers = [None if f is None else float(f.get("wavelength", "0")) or None for f in filters]
    if int(element.get("z_slice", "1")) > 1:
        found["z_steps"].add(float(element.get("z_step", "0")))
    found["channels"][int(element.get("index", "0"))] = Channel(
        name=_channel_name(element) or "0", excitation_nm=nanometers[0], emission_nm=nanometers[1]
    )


def _channel_name(element: ET.Element) -> str | None:
    """Name the channel as file names do: ``Blue - FITC``."""
    filters = [element.find(f"{side}Filter") for side in ("Excitation", "Emission")]
    return " - ".join(f.get("name", "") for f in filters if f is not None) or None


def _read_image(element: ET.Element, found: dict[str, Any], sidecar: str) -> None:
    file = element.get("filename", "")
    path = beside(sidecar, file)
    if path is None:
        message = f"the .xdce names {file!r}, which lies outside the source folder"
        found["problems"].append(problem(Reason.OUTSIDE_SOURCE, file, message))
        return
    label, identifier = element.find("Well"), element.find("Identifier")
    if label is None or identifier is None:
        message = f"an entry of {sidecar} without well or identifier"
        found["problems"].append(problem(Reason.UNREADABLE, path, message))
        return
    numbers = {
        key: int(identifier.get(f"{key}_index", "0")) for key in ("field", "z", "time", "wave")
    }
    fields = NameFields(
        Well.parse(label.get("label", "")),  # as the name; row numbers beside it may contradict
        site=numbers["field"] + 1,
        channel=_channel_name(element),
        z=numbers["z"] + 1,
        t=numbers["time"] + 1,
        order=numbers["wave"],
    )
    found["listed"].append((path, fields))
    offset = element.find("OffsetFromWellCenter")
    if offset is not None:
        place = stage_position(fields.well, fields.site, offset.get("x"), offset.get("y"))
        if place is not None:
            found["positions"].setdefault((fields.well, fields.site), place)


def _read_exclusion(element: ET.Element, found: dict[str, Any], _: str) -> None:
    found["excluded"].add(well_at(element.get("row", ""), element.get("col", "")))


_READERS: Final = {
    "ImageStack": _read_stack,
    "ObjectiveCalibration": _read_calibration,
    "Binning": _read_binning,
    "Plate": _read_plate,
    "Wavelength": _read_wavelength,
    "Image": _read_image,
    "Exclude": _read_exclusion,
}
