"""Barcode tables: which plate carries which plate map, so that one map serves many plates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

from hcs.domain.plate import PlateMap
from hcs.errors import Fault, FaultsError
from hcs.io.files.paths import AnyPath
from hcs.io.sheets.platemap_columns import NAMES, normal
from hcs.io.sheets.reading.cells import Dialect, Sheet, read_sheet
from hcs.io.sheets.reading.framing import Records

_MAP_NAMES: Final = (*NAMES["plate_map"], "layout", "layout_name", "map", "map_name")


@dataclass(frozen=True, slots=True)
class Barcodes:
    """Name of the plate map of every plate, and the file that says so."""

    map_of: Mapping[str, str]
    rows: Mapping[str, int]
    file: str


def read_barcodes(path: AnyPath, dialect: Dialect | None = None) -> Barcodes:
    """Read a barcode table.

    Parameters
    ----------
    path
        CSV, TSV or XLSX with a column for the plate (``Assay_Plate_Barcode``, ``barcode``,
        ``plate`` …) and one for its map (``Plate_Map_Name``, ``layout`` …), as JUMP's
        ``barcode_platemap.csv`` has them. Other columns are passed over.
    dialect
        Which sheet of a workbook, where the user says so.

    Raises
    ------
    FaultsError
        For absent columns, empty cells and plates that stand twice with different maps.
    """
    sheet = read_sheet(path, _is_header, dialect=dialect, what="barcode table")
    folded = [normal(name) for name in sheet.header]
    plate = next((i for i, name in enumerate(folded) if name in NAMES["plate"]), None)
    layout = next((i for i, name in enumerate(folded) if name in _MAP_NAMES), None)
    if plate is None or layout is None:
        raise FaultsError(f"barcode table {sheet.file}", _absent_columns(sheet, plate, layout))
    faults: list[Fault] = []
    map_of: dict[str, str] = {}
    rows: dict[str, int] = {}
    for number, cells in sheet.rows:
        name, carried = cells[plate], cells[layout]
        if not (name and carried):
            position = layout if name else plate
            column = sheet.header[position]
            faults.append(Fault(sheet.file, "the cell is empty", number, column, expected="a name"))
        elif map_of.setdefault(name, carried) != carried:
            message = f"plate {name} carries {map_of[name]!r} in row {rows[name]}"
            faults.append(Fault(sheet.file, message, number, sheet.header[layout], carried))
        else:
            rows.setdefault(name, number)
    if faults:
        raise FaultsError(f"barcode table {sheet.file}", faults)
    return Barcodes(map_of, rows, sheet.file)


def _is_header(header: Sequence[str], _below: Records) -> bool:
    folded = {normal(name) for name in header}
    return bool(folded & {*NAMES["plate"]}) and bool(folded & {*_MAP_NAMES})


def _absent_columns(sheet: Sheet, plate: int | None, layout: int | None) -> list[Fault]:
    existing = ", ".join(repr(name) for name in sheet.header)
    return [
        Fault(sheet.file, f"no column for {what}; there are {existing}", 1, expected=expected)
        for found, what, expected in (
            (plate, "the plate", "a column 'Assay_Plate_Barcode', 'barcode' or 'plate'"),
            (layout, "the plate map", "a column 'Plate_Map_Name', 'platemap' or 'layout'"),
        )
        if found is None
    ]


def on_plates(mapped: PlateMap, barcodes: Barcodes) -> PlateMap:
    """Give every plate of a barcode table the rows of its map.

    Parameters
    ----------
    mapped
        Rows whose ``plate`` is the name of the map that they belong to; without one, all rows
        belong to the map that the file is named after.
    barcodes
        The table.

    Returns
    -------
    PlateMap
        Rows of all plates, in the table's order.

    Raises
    ------
    FaultsError
        For plates whose map is not in the file: all of them at once.
    """
    stem = PurePosixPath(mapped.source.replace("\\", "/")).stem
    rows_of: dict[str, list[int]] = {}
    for index, row in enumerate(mapped.rows):
        rows_of.setdefault((row.plate or stem).casefold(), []).append(index)
    known = ", ".join(sorted({row.plate or stem for row in mapped.rows}))
    faults = [
        Fault(
            barcodes.file,
            f"plate {plate} carries a map that {mapped.source} does not hold",
            barcodes.rows[plate],
            value=carried,
            expected=f"one of {known}",
        )
        for plate, carried in barcodes.map_of.items()
        if carried.casefold() not in rows_of
    ]
    if faults:
        raise FaultsError(f"barcode table {barcodes.file}", faults)
    rows = tuple(
        mapped.rows[index].model_copy(update={"plate": plate})
        for plate, carried in barcodes.map_of.items()
        for index in rows_of[carried.casefold()]
    )
    return PlateMap(rows=rows, source=mapped.source, notes=mapped.notes)
