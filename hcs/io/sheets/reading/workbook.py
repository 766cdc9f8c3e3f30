"""Reads the sheets of a workbook: values, merged ranges, and what a saved file lacks."""

from __future__ import annotations

import datetime as dt
import io
import re
import warnings
import zipfile
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from hcs.domain.limits import MERGED_CELLS, SHEET_BYTES, SHEET_CELLS
from hcs.errors import Fault, InputError
from hcs.io.files.edge import refuse_damage
from hcs.io.sheets.reading.notes import list_some
from hcs.io.sheets.reading.typed import Dated, Stored

if TYPE_CHECKING:
    from openpyxl.cell.cell import Cell
    from openpyxl.workbook.workbook import Workbook
    from openpyxl.worksheet.worksheet import Worksheet

_MERGED: Final = re.compile(
    rb'<(?:\w+:)?mergeCell\s[^>]*?ref="([A-Z]{1,3})(\d+):([A-Z]{1,3})(\d+)"'
)
_RECALCULATE: Final = re.compile(rb'<(?:\w+:)?calcPr\b[^>]*fullCalcOnLoad="(?:1|true)"')
_PADDED: Final = re.compile(r"0{2,}")
_UNIT: Final = re.compile(r'^[#0.,]+\s*"([^"]*)"$')
_SAVE_IT: Final = "open it in a spreadsheet program and save it there, or export it as CSV"


@dataclass
class Page:
    """One sheet of a file: rows of cells, from the first row on.

    Attributes
    ----------
    name
        Name of the sheet; empty for a file that has none.
    records
        Cells, row by row.
    notes
        What was done to read it, in words.
    faults
        What keeps it from being read as it looks.
    delimiter
        Sign that parts the columns of a text file.
    """

    name: str
    records: list[list[str]]
    notes: list[str] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    delimiter: str = ""

    @property
    def is_empty(self) -> bool:
        """Whether no cell holds anything."""
        return not any(any(record) for record in self.records)


def read_workbook(data: bytes, name: str) -> list[Page]:
    """Read all sheets of a workbook.

    Parameters
    ----------
    data
        The XLSX file.
    name
        Its name, for messages.

    Returns
    -------
    list of Page
        Merged ranges are filled with their value. A formula whose result the file does not hold
        is among the faults of its sheet.

    Raises
    ------
    InputError
        When it is no workbook, or spans more cells than any plate has.
    """
    import openpyxl

    with refuse_damage(name, "workbook", _SAVE_IT):
        _refuse_bombs(data, name)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of drop-down lists and styles, which do not matter
            book = openpyxl.load_workbook(io.BytesIO(data), data_only=True)
            formulas = _find_formulas(data)
            stale = _asks_to_calculate(data)
        return [
            _read_page(sheet, name, formulas.get(sheet.title, {}), stale=stale)
            for sheet in _list_sheets(book, name)
        ]


def _list_sheets(book: Workbook, name: str) -> list[Worksheet]:
    if not book.worksheets:
        raise InputError(f"workbook {name} has no sheet of cells: {_SAVE_IT}")
    return list(book.worksheets)


def _refuse_bombs(data: bytes, name: str) -> None:
    """Refuse a workbook that is small and would fill the memory."""
    from openpyxl.utils import column_index_from_string as index_of

    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        unpacked_bytes = sum(entry.file_size for entry in archive.infolist())
        SHEET_BYTES.refuse_more(unpacked_bytes, f"{name}, unpacked,")
        for entry in archive.namelist():
            if not entry.startswith("xl/worksheets/") or not entry.endswith(".xml"):
                continue
            n_cells = 0
            for match in _MERGED.finditer(archive.read(entry)):
                left, top, right, bottom = (part.decode() for part in match.groups())
                n_cells += (index_of(right) - index_of(left) + 1) * (int(bottom) - int(top) + 1)
                MERGED_CELLS.refuse_more(n_cells, f"{name}, up to {left}{top}:{right}{bottom},")


def _asks_to_calculate(data: bytes) -> bool:
    """Whether the file asks the program that opens it to calculate; openpyxl always says so."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        if "xl/workbook.xml" not in archive.namelist():
            return False
        return _RECALCULATE.search(archive.read("xl/workbook.xml")) is not None


def _find_formulas(data: bytes) -> dict[str, dict[tuple[int, int], str]]:
    """Find the formulas of every sheet by row and column, from 1."""
    import openpyxl

    book = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=False)
    found: dict[str, dict[tuple[int, int], str]] = {}
    for sheet in book.worksheets:
        of = found.setdefault(sheet.title, {})
        # Else rows are padded to the last corner before _read_page can refuse how far they span.
        sheet.reset_dimensions()
        for row in sheet.iter_rows():
            for cell in row:
                if cell.data_type == "f":
                    text = getattr(cell.value, "text", cell.value)
                    of[(int(cell.row or 0), int(cell.column or 0))] = str(text)
    return found


def _read_page(
    sheet: Worksheet, file: str, formulas: dict[tuple[int, int], str], *, stale: bool
) -> Page:
    spans = f"{sheet.max_row} rows × {sheet.max_column} columns"
    where = f"sheet {sheet.title!r} of {file}, which spans {spans},"
    SHEET_CELLS.refuse_more(sheet.max_row * sheet.max_column, where)
    records: list[list[str]] = []
    page = Page(sheet.title, records)
    for row in sheet.iter_rows():
        records.append([_read_cell(cell) for cell in row])
        for cell in row:
            formula = formulas.get((int(cell.row or 0), int(cell.column or 0)))
            if formula and _lacks_result(cell, stale=stale):
                message = f"the workbook holds no result of this formula: {_SAVE_IT}"
                page.faults.append(
                    Fault(file, message, cell.row, cell.coordinate, formula, "a saved result")
                )
    _fill_merged(sheet, page)
    _note_hidden(sheet, page)
    return page


def _lacks_result(cell: Cell | Any, *, stale: bool) -> bool:  # noqa: ANN401  (MergedCell too)
    """Whether a formula has no result in the file.

    Libraries that write workbooks do not calculate: openpyxl leaves the result out, XlsxWriter
    puts 0 there; both ask the program that opens the file to calculate, which takes that away.
    """
    if cell.value is None:
        return bool(cell.data_type != "str")  # a result that is an empty text
    return stale and cell.value == 0 and not isinstance(cell.value, bool)


def _fill_merged(sheet: Worksheet, page: Page) -> None:
    filled = []
    for merged in sheet.merged_cells.ranges:
        value = page.records[merged.min_row - 1][merged.min_col - 1]
        if not value:
            continue
        for row in page.records[merged.min_row - 1 : merged.max_row]:
            width = merged.max_col - merged.min_col + 1
            row[merged.min_col - 1 : merged.max_col] = [value] * width
        filled.append((merged.min_row, merged.min_col, merged.coord))
    if filled:
        names = list_some([name for _, _, name in sorted(filled)])
        page.notes.append(f"merged cells are filled with their value: {names}")


def _note_hidden(sheet: Worksheet, page: Page) -> None:
    rows = [
        number
        for number, record in enumerate(page.records, start=1)
        if any(record) and number in sheet.row_dimensions and sheet.row_dimensions[number].hidden
    ]
    width = max((len(record) for record in page.records), default=0)
    columns = [
        letters
        for letters, dimension in sheet.column_dimensions.items()
        if dimension.hidden and (dimension.min or 0) <= width
    ]
    if rows:
        page.notes.append(f"hidden rows are read like the others: {list_some(rows)}")
    if columns:
        page.notes.append(f"hidden columns are read like the others: {list_some(columns)}")
    if sheet.sheet_state != "visible":
        page.notes.append(f"sheet {sheet.title!r} is hidden")


def _show_number(value: float, shown_as: str) -> str:
    """Text of a number: the zeros before it and the unit behind it that its format shows."""
    whole = isinstance(value, float) and value.is_integer() and abs(value) < 2**53
    text = str(int(value)) if whole else str(value)
    if _PADDED.fullmatch(shown_as) and text.isdigit():
        return text.zfill(len(shown_as))
    unit = _UNIT.search(shown_as)
    return f"{text} {unit[1].strip()}" if unit and unit[1].strip() else text


def _read_cell(cell: Cell | Any) -> str:  # noqa: ANN401  (MergedCell too)
    """Text of a cell; a workbook stores the clone ``12`` as ``12.0``."""
    value = cell.value
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value)
    if isinstance(value, int | float):
        if "%" in re.sub(r'"[^"]*"', "", str(cell.number_format)):
            percent = Decimal(repr(value)) * 100
            return Stored(f"{percent.normalize():f}%", float(percent))
        return Stored(_show_number(value, str(cell.number_format)), float(value))
    if isinstance(value, dt.date | dt.time | dt.timedelta):
        return Dated(str(value).removesuffix(" 00:00:00"))
    return str(value)
