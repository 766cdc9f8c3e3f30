"""Reads the names that tables give to wells: one cell or two, in any usual spelling."""

from __future__ import annotations

from hcs.domain.wells import PlateFormat, Well, read_column_first
from hcs.errors import InputError


def parse_well(text: str) -> Well | None:
    """Read a well as plate maps write it: ``A1``, ``a01``, ``A - 1``, or column first, ``01A``.

    None when it is no well of a plate of up to 1,536 wells.
    """
    try:
        well = read_column_first(text) or Well.parse(text)
    except InputError:
        return None
    return well if PlateFormat.WELLS_1536.holds(well) else None


def parse_row_and_column(text: str) -> Well | None:
    """Read a row (letters, or a number from 1) and a column, parted by a space."""
    row, _, column = text.partition(" ")
    if row.isascii() and row.isdigit() and column.isascii() and column.isdigit():
        well = Well(int(row) - 1, int(column) - 1)
        inside = min(well.row, well.column) >= 0 and PlateFormat.WELLS_1536.holds(well)
        return well if inside else None
    return parse_well(f"{row}{column}")
