"""Keeps the rows of a table that are wells; units, totals and remarks around them are told."""

from __future__ import annotations

import dataclasses
from typing import Final

from hcs.domain.wells import Well
from hcs.io.sheets.platemap_columns import Columns
from hcs.io.sheets.reading.cells import Sheet
from hcs.io.sheets.reading.framing import is_footer, is_summary, is_unit_row
from hcs.io.sheets.reading.numbers import MISSING
from hcs.io.sheets.wellnames import parse_row_and_column, parse_well

_REMARK_CELLS: Final = 2
"""Cells of a remark: ``Assay ID:`` and 200."""


def read_well(cells: tuple[str, ...], columns: Columns) -> Well | None:
    """Read the well of a row, from one column or from two."""
    of = columns.of
    if "well" in of:
        return parse_well(cells[of["well"]])
    if {"row", "column"} <= of.keys():
        return parse_row_and_column(f"{cells[of['row']]} {cells[of['column']]}")
    return None


def keep_wells(sheet: Sheet, columns: Columns) -> tuple[Sheet, dict[int, str]]:
    """Part the rows of wells from what spreadsheets have around them.

    Parameters
    ----------
    sheet, columns
        The table and what its columns mean.

    Returns
    -------
    Sheet
        Without a row of units below the header, rows that sum up (Total, Mean …) and remarks
        below the last well; its notes say which those were. Any other row stays, well or not.
    dict
        Units by position of the column.
    """
    wells = [read_well(cells, columns) for _, cells in sheet.rows]
    known = [index for index, well in enumerate(wells) if well is not None]
    if not known or sheet.places:
        return sheet, {}
    units: dict[int, str] = {}
    kept, notes = [], list(sheet.notes)
    after_gap = footed = False
    for index, (number, cells) in enumerate(sheet.rows):
        after_gap = index > known[-1] and (after_gap or number > sheet.rows[index - 1][0] + 1)
        if wells[index] is None and index == 0 and is_unit_row(cells):
            units = {
                position: cell.strip("[](){} ")
                for position, cell in enumerate(cells)
                if cell.casefold() not in MISSING
            }
            notes.append(f"row {number} holds units: {', '.join(units.values())}")
        elif index > known[-1] and _sums_up(cells, columns):
            said = " ".join(cell for cell in cells if cell)
            notes.append(f"row {number} ({said[:40]!r}) sums up those above and is left out")
        elif index > known[-1] and (
            is_footer(cells, after_gap=after_gap) or (footed and _goes_on(cells, columns))
        ):
            footed = True
            first = next(cell for cell in cells if cell)
            notes.append(f"row {number} below the table is passed over: {first[:60]!r}")
        else:
            kept.append((number, cells))
    return dataclasses.replace(sheet, rows=tuple(kept), notes=tuple(notes)), units


def _goes_on(cells: tuple[str, ...], columns: Columns) -> bool:
    """Whether a row may go on with the remarks below a table: a name and a value, and no well."""
    place = columns.of.get("well", columns.of.get("row", 0))
    return not cells[place] and sum(map(bool, cells)) <= _REMARK_CELLS < len(cells)


def _sums_up(cells: tuple[str, ...], columns: Columns) -> bool:
    place = columns.of.get("well", columns.of.get("row", 0))
    return is_summary(cells) or is_summary([cells[place]])
