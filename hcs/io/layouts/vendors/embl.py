"""Names of EMBL's screening microscopes, ``P1--A1--A1--W0001--P001--T00001--Z001--C01.tif``.

Observed, quoted by programs that read them: ``…--A1--A1--W0001--P001--T00001--Z001--C01.ome.jpeg``
with the well in the name, and ``plate--compound--3uM--W0001--P001--T0000--C00.tif`` without it,
where the well is numbered. Inferred: wells are numbered row by row.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from hcs.domain.wells import PlateFormat, Well, numbered_well
from hcs.io.layouts.base import IMAGE_ENDING, NameFields, NamePatterns, fields_from, file_name
from hcs.io.layouts.vendors import scanr

_NAME: Final = re.compile(
    r"(?:(?P<before>[^/]+)--)?W(?P<number>\d{1,5})--P(?P<site>\d{1,5})"
    r"(?:--T(?P<t>\d{1,5}))?(?:--Z(?P<z>\d{1,5}))?(?:--C(?P<channel>\d{1,3}))?"
    rf"{IMAGE_ENDING}",
    re.IGNORECASE,
)
_WELL: Final = re.compile(r"[A-P]0*[1-9]\d?")


@dataclass(frozen=True)
class _Embl(NamePatterns):
    """A well that a part of the name states counts; a number needs the plate."""

    def parse(self, path: str) -> NameFields | None:
        """Read one relative path; None where the well is only numbered and the plate unknown."""
        if scanr.LAYOUT.patterns[0].fullmatch(file_name(path)):
            return None
        match = _NAME.fullmatch(file_name(path))
        if match is None:
            return None
        groups = match.groupdict()
        before, number = (groups.pop("before") or "").split("--"), int(groups.pop("number"))
        well = _find_well(before, number, self)
        if well is None:
            return None
        if groups["channel"] is not None:
            groups["channel"] = groups["order"] = str(int(groups["channel"]))
        # What stands first may be the plate or the compound of each well, so it names no plate.
        return fields_from({**groups, "well": well.name})


def _find_well(before: list[str], number: int, layout: NamePatterns) -> Well | None:
    """Well that the last parts of the name state, where the number agrees, else the numbered one.

    A lone part such as B12 may be a compound: it counts only where it is written twice, as the
    microscope does, or is the well that the number means on some plate.
    """
    formats = [layout.plate_format] if layout.plate_format else list(PlateFormat)
    if _WELL.fullmatch(before[-1]):
        stated = Well.parse(before[-1])
        numbers = {stated.row * each.n_columns + stated.column + 1 for each in formats}
        if before[-1] in before[:-1] or number in numbers:
            return stated
    return None if layout.plate_format is None else numbered_well(number, layout.plate_format)


LAYOUT: Final = _Embl(
    kind="embl",
    title="EMBL screening names",
    example="plate1--A1--A1--W0001--P001--T00001--Z001--C01.tif",
    patterns=(_NAME,),
)
