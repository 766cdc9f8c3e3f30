"""What one vendor's layout provides; everything else about a source folder is shared."""

from __future__ import annotations

import dataclasses
import functools
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, Final, Protocol

from upath import UPath

from hcs.domain import columns as col
from hcs.domain.columns import Reason
from hcs.domain.plate import Channel, FieldPosition, FlatField
from hcs.domain.wells import PlateFormat, Well, numbered_well, row_index
from hcs.errors import InputError
from hcs.io.images.steps import NOTHING_STATED, Steps

CONTAINERS: Final = {
    ".czi": "Zeiss CZI",
    ".nd2": "Nikon ND2",
    ".lif": "Leica LIF",
    ".xlef": "Leica XLEF",
    ".lof": "Leica LOF",
    ".flex": "Opera FLEX",
    ".dib": "Cellomics DIB",
    ".mea": "Opera MEA",
    ".oib": "Olympus OIB",
    ".oif": "Olympus OIF",
    ".oir": "Olympus OIR",
    ".vsi": "Olympus VSI",
    ".ims": "Imaris IMS",
    ".dv": "DeltaVision",
}
"""Containers of microscope makers by their ending; some are read with the extra ``formats``."""

IMAGE_SUFFIXES: Final = frozenset(
    {".tif", ".tiff", ".png", ".jpg", ".jpeg", ".bmp", ".stk", ".c01", *CONTAINERS}
)
"""Endings of files that may hold a plane; one that no layout recognises is reported."""

IMAGE_ENDING: Final = r"(?:\.ome)?\.(?:tiff?|png|jpe?g)"
"""End of a name that a vendor's program, or an export from it, gives to a plane."""

NUMBER: Final = re.compile(r"[+-]?[0-9]+(?:\.[0-9]+)?", re.ASCII)
"""Number of a plane or time, in whatever counting: 3, -2, 0.5."""

NO_CHANNEL: Final = "0"
"""Channel of files whose names tell none."""

_MAX_NUMBER: Final = 10**9


@dataclass(frozen=True, slots=True)
class NameFields:
    """What one file name (or one entry of a sidecar) says about a plane.

    Attributes
    ----------
    well
        The well.
    site, t
        Numbers as the microscope counts them, None where the name is silent.
    z
        Number of the z plane, None for a projection and where the name is silent.
    channel
        Channel as the name has it, None where the name is silent.
    order
        The microscope's own number of the channel.
    plate
        Plate name, None where the name is silent.
    page
        Page of a multi-page file; only a sidecar knows it.
    derived
        What the microscope's program made of the planes it took, outermost first: ``("Tsf",
        "Stitched")``. Empty for a plane as taken.
    parts
        Parts of the acquisition beyond channel and time, such as ``"timeline 2"``: they name the
        channel only where two planes would be one without them.
    acquisition
        Number of the run in which it was taken, where metadata tell several.
    """

    well: Well
    site: int | None = None
    channel: str | None = None
    z: float | None = None
    t: float | None = None
    order: int | None = None
    plate: str | None = None
    page: int = 0
    derived: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()
    acquisition: int | None = None


@dataclass(frozen=True, slots=True)
class Sidecar:
    """What the vendor's own metadata files add to the names.

    Attributes
    ----------
    source
        Relative path of the metadata file.
    plate_name, plate_format, pixel_size_um
        What the vendor states of the whole plate, else None.
    steps
        What the vendor states of distances between planes and between times.
    channels
        Channels in the microscope's order.
    channel_names
        From the channel that a file name carries to the channel's real name.
    listed
        Relative path and fields of every plane that the vendor lists; files may be absent.
    absent
        Relative path and fields of planes that a file promises and does not hold.
    positions
        Where the stage stood for each field.
    excluded
        Wells that the microscope was told to skip.
    flat_fields
        The vendor's illumination profiles.
    notes
        Sentences for the user.
    problems
        Rows of the problems table.
    is_anchor
        Whether what is listed is right where a file name says otherwise.
    run_pixels_um
        Pixel size of every acquisition, where metadata tell several.
    """

    source: str
    plate_name: str | None = None
    plate_format: PlateFormat | None = None
    pixel_size_um: float | None = None
    steps: Steps = NOTHING_STATED
    channels: tuple[Channel, ...] = ()
    channel_names: Mapping[str, str] = field(default_factory=dict)
    listed: tuple[tuple[str, NameFields], ...] = ()
    absent: tuple[tuple[str, NameFields], ...] = ()
    positions: tuple[FieldPosition, ...] = ()
    excluded: tuple[Well, ...] = ()
    flat_fields: tuple[FlatField, ...] = ()
    notes: tuple[str, ...] = ()
    problems: tuple[dict[str, Any], ...] = ()
    is_anchor: bool = False
    run_pixels_um: Mapping[int, float] = field(default_factory=dict)

    def name_of(self, fields: NameFields) -> str | None:
        """Name of a plane's channel without its parts; Yokogawa has several numbers of one name."""
        written = fields.channel
        return None if written is None else self.channel_names.get(written, written)


@dataclass(frozen=True, slots=True)
class Listing:
    """All files under a source folder.

    Attributes
    ----------
    root
        The source folder.
    images
        Relative paths, forward slashes, of files that may be images; sorted.
    others
        Relative paths of all other files; sorted.
    dead
        Links that lead to nothing or in a circle.
    linked
        Links out of the folder that were followed: what a user puts there is what the user names.
    """

    root: UPath
    images: tuple[str, ...]
    others: tuple[str, ...] = ()
    dead: tuple[str, ...] = ()
    linked: tuple[str, ...] = ()

    def ending(self, *suffixes: str) -> tuple[str, ...]:
        """Return the files that are no images and end so, letter case ignored."""
        return tuple(path for path in self.others if path.lower().endswith(suffixes))


class VendorLayout(Protocol):
    """One way in which a microscope names files; see the modules of this package."""

    @property
    def kind(self) -> str:
        """Name in configurations and in the ``--layout`` option."""

    @property
    def title(self) -> str:
        """What users call it."""

    @property
    def example(self) -> str:
        """A file name as this microscope writes it."""

    @property
    def multipage(self) -> bool:
        """Whether one file may hold several planes, so that its header must be read."""

    @property
    def marks(self) -> tuple[str, ...]:
        """Endings, in lower case, of the file that every run has; the first found counts."""

    @property
    def t_is_minutes(self) -> bool:
        """Whether the number of a time point is its time in minutes."""

    def parse(self, path: str) -> NameFields | None:
        """Read one relative path; None when this microscope does not write such names."""

    def ignores(self, path: str) -> bool:
        """Whether the file is known and no plane: a thumbnail, a calibration image."""

    def sidecar(self, listing: Listing) -> Sidecar | None:
        """Read the vendor's metadata files; None when there are none."""

    def on_plate(self, plate_format: PlateFormat) -> VendorLayout:
        """Return the layout for a plate of stated format: names may only number the wells."""


@dataclass(frozen=True)
class NamePatterns:
    """A layout that regular expressions describe, matched on the file name without its folder.

    Groups are ``well`` or ``row`` and ``column``, and any of ``site``, ``channel``, ``z``, ``t``,
    ``order``, ``plate``. The first pattern that matches the whole name counts. ``numbered`` has a
    group ``number`` in place of the well, from 1, row by row: it counts once the plate is known.
    """

    kind: str
    title: str
    example: str
    patterns: tuple[re.Pattern[str], ...]
    ignored: re.Pattern[str] | None = None
    multipage: bool = False
    t_is_minutes: bool = False
    marks: tuple[str, ...] = ()
    numbered: re.Pattern[str] | None = None
    plate_format: PlateFormat | None = None

    def parse(self, path: str) -> NameFields | None:
        """Read one relative path; None when no pattern matches or the well is impossible."""
        name = file_name(path)
        for pattern in self.patterns:
            if match := pattern.fullmatch(name):
                return fields_from(match.groupdict())
        return self.on_numbered_well(path)

    def ignores(self, path: str) -> bool:
        """Whether the file is known and no plane."""
        return self.ignored is not None and self.ignored.search(path) is not None

    def sidecar(self, listing: Listing) -> Sidecar | None:  # noqa: ARG002  (a vendor may have none)
        """Nothing is added to the names."""
        return None

    def on_plate(self, plate_format: PlateFormat) -> NamePatterns:
        """Return the layout for a plate of stated format."""
        return dataclasses.replace(self, plate_format=plate_format)

    def on_numbered_well(self, path: str) -> NameFields | None:
        """Read a name that only numbers its well; None when the plate is not known."""
        if self.numbered is None or self.plate_format is None:
            return None
        match = self.numbered.fullmatch(file_name(path))
        if match is None:
            return None
        groups = match.groupdict()
        well = numbered_well(int(groups.pop("number") or 0), self.plate_format)
        return None if well is None else fields_from({**groups, "well": well.name})


def fields_from(groups: Mapping[str, str | None], parts: tuple[str, ...] = ()) -> NameFields | None:
    """Turn matched text into fields; None when the well or a number is impossible."""
    well = _well_from(groups)
    if well is None:
        return None
    for name in ("site", "order"):
        text = groups.get(name)
        if text is not None and not (text.isascii() and text.isdigit() and len(text) < 10):
            return None
    for name in ("z", "t"):
        text = groups.get(name)
        if text is not None and not (NUMBER.fullmatch(text) and len(text) < 15):
            return None
    site, order = (_number(groups.get(name)) for name in ("site", "order"))
    z, t = (_place(groups.get(name)) for name in ("z", "t"))
    channel, plate = ((groups.get(name) or "").strip() or None for name in ("channel", "plate"))
    return NameFields(well, site, channel, z, t, order, plate, parts=parts)


def _number(text: str | None) -> int | None:
    return None if text is None else int(text)


def _place(text: str | None) -> float | None:
    """Read the number of a plane or time; whole ones stay so."""
    if text is None:
        return None
    number = float(text)
    return int(number) if number.is_integer() else number


def _well_from(groups: Mapping[str, str | None]) -> Well | None:
    try:
        if (text := groups.get("well")) is not None:
            return _parse_well(text)
        return well_at(groups.get("row") or "", groups.get("column") or "")
    except InputError:
        return None


@functools.lru_cache(maxsize=4096)  # 50,000 files lie in 1,536 wells
def _parse_well(text: str) -> Well:
    return Well.parse(text)


@functools.lru_cache(maxsize=4096)
def well_at(row: str, column: str) -> Well:
    """Return the well at a row (letters, or a number from 1) and a column (a number from 1)."""
    column_number = int(column) if column.isascii() and column.isdigit() else 0
    row_number = int(row) if row.isascii() and row.isdigit() else row_index(row) + 1
    if not (1 <= row_number < _MAX_NUMBER and 1 <= column_number < _MAX_NUMBER):
        msg = f"row {row!r} and column {column!r} are no well"
        raise InputError(msg)
    return Well(row_number - 1, column_number - 1)


def plate_format_of(rows: str | None, columns: str | None) -> PlateFormat | None:
    """Return the standard format with these numbers of rows and columns, None when none has."""
    numbers = tuple(int(text) if text and text.isdecimal() else 0 for text in (rows, columns))
    return next((each for each in PlateFormat if each.value == numbers), None)


def file_name(path: str) -> str:
    """Return the last part of a relative path."""
    return path.rpartition("/")[2]


def beside(path: str, name: str) -> str | None:
    """Relative path of a file that a sidecar names; None when that leads out of the source.

    Examples
    --------
    >>> beside("run1/Index.xml", "r01c01.tiff")
    'run1/r01c01.tiff'
    >>> beside("Index.xml", "../other/r01c01.tiff") is None
    True
    """
    parts: list[str] = list(PurePosixPath(path).parent.parts)
    text = name.replace("\\", "/")
    if text.startswith("/") or re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", text):
        return None
    for part in PurePosixPath(text).parts:
        if part != "..":
            parts.append(part)
        elif parts:
            parts.pop()
        else:
            return None
    return "/".join(parts)


def stage_position(well: Well, site: int | None, x: object, y: object) -> FieldPosition | None:
    """Position of a field from two texts or numbers in µm; None when one is no number."""
    try:
        place = (float(str(x)), float(str(y)))
    except ValueError:
        return None
    if site is None or not all(math.isfinite(value) for value in place):
        return None
    return FieldPosition(well=well, site=site, x_um=place[0], y_um=place[1])


def problem(
    reason: Reason,
    file: str,
    message: str,
    *,
    fields: NameFields | None = None,
    kept: bool = False,
) -> dict[str, Any]:
    """One row of the problems table; the plate is filled in when it is known."""
    row: dict[str, Any] = dict.fromkeys(col.PROBLEM_COLUMNS)
    row |= {"stage": "ingest", "file": file, "reason": str(reason), "message": message}
    row["kept"] = kept
    if fields is not None:
        row |= {col.WELL: fields.well.name, col.SITE: fields.site}
    return row
