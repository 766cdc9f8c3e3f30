"""Any naming at all, as a regular expression with named groups that the user gives."""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass
from typing import Final

from hcs.domain.config.layouts import MINUTES
from hcs.domain.wells import PlateFormat, Well, numbered_well, read_column_first
from hcs.errors import InputError
from hcs.io.files.patterns import UserPattern
from hcs.io.layouts.base import NUMBER, Listing, NameFields, Sidecar, fields_from, file_name

_NUMBERED: Final = re.compile(r"[Ww]?\d+")
"""What is rather the number of a well than its name."""


def _is_well(text: str) -> bool:
    if read_column_first(text) is not None:
        return True
    try:
        Well.parse(text)
    except InputError:
        return False
    return True


@dataclass(frozen=True)
class NamedGroups:
    """Files whose whole relative path, or whole name without folders, matches one expression.

    ``well`` is the well of all files, where names do not tell it; a group ``well_number`` counts
    wells from 1, row by row, on a plate of ``plate_format``.
    """

    pattern: UserPattern
    well: Well | None = None
    plate_format: PlateFormat | None = None
    kind: str = "regex"
    title: str = "regular expression"
    example: str = ""
    multipage: bool = True
    marks: tuple[str, ...] = ()

    @property
    def t_is_minutes(self) -> bool:
        """Whether names state times rather than number them."""
        return bool(self.pattern.groups & MINUTES.keys())

    @property
    def z_is_um(self) -> bool:
        """Whether names state heights rather than number planes."""
        return "z_um" in self.pattern.groups

    def parse(self, path: str) -> NameFields | None:
        """Read one relative path; None when it does not match, or a group is no well or number."""
        match = self._match(path)
        if match is None:
            return None
        groups = self._without_units(match)
        number = groups.pop("well_number", None)
        if self.well is not None:
            groups["well"] = self.well.name
        elif number is not None:
            well = self._numbered(number)
            if well is None:
                return None
            groups["well"] = well.name
        elif (text := groups.get("well")) and (well := read_column_first(text)) is not None:
            groups["well"] = well.name
        return fields_from(groups)

    def _without_units(self, groups: dict[str, str | None]) -> dict[str, str | None]:
        """Turn heights and times into numbers of planes and times, in µm and minutes."""
        if "z_um" in groups:
            groups["z"] = groups.pop("z_um")
        for name, factor in MINUTES.items():
            if name in groups:
                text = groups.pop(name)
                known = text is not None and NUMBER.fullmatch(text)
                groups["t"] = f"{round(float(text or 0) * factor, 4):f}" if known else text
        return groups

    def _match(self, path: str) -> dict[str, str | None] | None:
        found = self.pattern.match_whole(path)
        return self.pattern.match_whole(file_name(path)) if found is None else found

    def _numbered(self, text: str) -> Well | None:
        if self.plate_format is None or not (text.isascii() and text.isdigit()):
            return None
        return numbered_well(int(text), self.plate_format)

    def explain(self, listing: Listing) -> None:
        """Refuse groups that cannot be what they are called, before a well is read wrongly.

        Raises
        ------
        InputError
            Where ``well`` matches a number such as ``W001`` or ``001``, which would be read as
            row W or not at all, and where wells are numbered and the plate is not known.
        """
        groups = self.pattern.groups
        if "well_number" in groups and self.plate_format is None:
            msg = (
                "the pattern numbers its wells (well_number), and which well a number is depends "
                "on the plate: say how many wells it has with --plate-wells"
            )
            raise InputError(msg)
        if "well" not in groups:
            return
        found: dict[str, str] = {}
        for path in listing.images:
            well = (self._match(path) or {}).get("well")
            if well is not None:
                found.setdefault(well, path)
        wide = self.plate_format is PlateFormat.WELLS_1536  # which has a row W
        wells = [text for text in found if _is_well(text)]
        if not found or (wells and (wide or not all(map(_NUMBERED.fullmatch, found)))):
            return
        first = next(iter(found))
        if _NUMBERED.fullmatch(first):
            remedy = (
                "this is the number of a well: capture it alone, as in W(?P<well_number>\\d+), and "
                "say the plate's size with --plate-wells; wells are counted row by row"
            )
        else:
            remedy = (
                "a well is a row of one or two letters and a column, such as A1, A - 1 or 01A: "
                "capture nothing else, or row and column in groups of their own"
            )
        msg = f"the pattern captures {first!r} as the well of {found[first]!r}: {remedy}"
        raise InputError(msg)

    def ignores(self, path: str) -> bool:  # noqa: ARG002  (nothing is known of these files)
        """No file is known to be something else."""
        return False

    def on_plate(self, plate_format: PlateFormat) -> NamedGroups:
        """Return the layout for a plate of stated format."""
        return dataclasses.replace(self, plate_format=plate_format)

    def sidecar(self, listing: Listing) -> Sidecar | None:  # noqa: ARG002
        """No metadata file is known."""
        return None
