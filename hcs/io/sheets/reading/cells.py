"""Reads the table of a file, whatever program saved it: which sheet, its header, its cells."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Final, Literal
from xml.etree import ElementTree as ET

from hcs.domain.limits import SHEET_BYTES, SHEET_CELLS
from hcs.errors import Fault, FaultsError, InputError, NotFoundError, UnknownNameError
from hcs.io.files.edge import read_file, refuse_damage, refuse_special
from hcs.io.files.paths import AnyPath, as_path
from hcs.io.sheets.reading.framing import (
    IsHeader,
    Records,
    count_columns,
    find_header,
    is_map_header,
)
from hcs.io.sheets.reading.grids import find_blocks
from hcs.io.sheets.reading.layers import read_layers
from hcs.io.sheets.reading.notes import list_some
from hcs.io.sheets.reading.numbers import SIGN_OF, Numbers, find_decimal, read_numbers
from hcs.io.sheets.reading.text import read_text
from hcs.io.sheets.reading.typed import Dated, Stored
from hcs.io.sheets.reading.workbook import Page, read_workbook

if TYPE_CHECKING:
    from upath import UPath

_TEXT_SUFFIXES: Final = frozenset({".csv", ".tsv", ".txt", ".tab"})
_SUFFIXES: Final = ".csv, .tsv, .xlsx, .parquet or .xml"
_BARE: Final = "\"'“”‘’ \t\u00a0"
_AS_TEXT: Final = re.compile(r'^="(.*)"$')
"""What programs write so that a spreadsheet leaves text as it is: ``="00012"``."""

Grids = Literal["columns", "values"]
"""What grids of wells are: columns of a plate map, or values of an instrument."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """What the user says of a table: which sheet of a workbook, which decimal sign."""

    sheet: str | None = None
    decimal: Literal["point", "comma"] | None = None


@dataclass(frozen=True)
class Sheet:
    """A table as a spreadsheet program shows it.

    Attributes
    ----------
    file
        Name for messages.
    header
        Column names, spaces around them removed.
    rows
        Row number as the spreadsheet shows it (the header is usually 1) and the cells, as many as
        the header has; rows without any content are left out.
    header_row
        Number of the header's row.
    delimiter
        Sign that parts the columns of a text file; empty for others.
    decimal
        Decimal sign that the user states.
    notes
        What was done to read it, in words.
    places
        Of grids: row of the file by row number and column.
    """

    file: str
    header: tuple[str, ...]
    rows: tuple[tuple[int, tuple[str, ...]], ...]
    header_row: int = 1
    delimiter: str = ""
    decimal: str | None = None
    notes: tuple[str, ...] = ()
    places: Mapping[tuple[int, str], int] = field(default_factory=dict)

    def list_column(self, position: int) -> list[str]:
        """List the cells of a column."""
        return [cells[position] for _, cells in self.rows]

    def find_row(self, number: int, column: str) -> int:
        """Find the row of the file where a cell stands."""
        return self.places.get((number, column), number)

    @cached_property
    def _hint(self) -> str | None:
        return find_decimal(self.list_column(position) for position in range(len(self.header)))

    def read_numbers(self, cells: Sequence[str]) -> Numbers:
        """Read cells of one column as numbers, in the way of writing that the table proves."""
        found = read_numbers(cells, stated=self.decimal)
        if not found.unread:
            return found  # no other column needs to be looked at
        point = self.delimiter == ","
        return read_numbers(cells, stated=self.decimal, hint=self._hint, point=point)


def read_sheet(
    path: AnyPath,
    is_header: IsHeader = is_map_header,
    *,
    dialect: Dialect | None = None,
    grids: Grids | None = None,
    what: str = "plate map",
) -> Sheet:
    """Read a CSV, TSV, XLSX or parquet file, or the assay layout that Harmony saves as XML.

    Parameters
    ----------
    path
        The file. Text may be separated by comma, semicolon or tab, in UTF-8 with or without byte
        order mark, UTF-16, or the Windows code page 1252. Of a workbook the only sheet with
        content is read, or the only one that holds such a table.
    is_header
        Knows the header: titles and comments above it are passed over. Where no row is one, the
        first row with content is the header.
    dialect
        Which sheet to read, and the decimal sign, where the user says so.
    grids
        Whether grids of wells (a frame of A, B, … and 1, 2, …) are read, and as what.
    what
        What the file is, for messages.

    Raises
    ------
    NotFoundError
        When there is no such file.
    InputError
        When it is of another kind, or has several sheets that could be meant.
    FaultsError
        When it is empty, rows have more cells than the header, or formulas have no saved result.
    """
    dialect = dialect or Dialect()
    file = as_path(path)
    if not file.is_file():
        if not file.is_dir():
            refuse_special(file, what)
        there = "is a folder; a file was expected" if file.is_dir() else "does not exist"
        msg = f"{what} {path} {there}"
        raise NotFoundError(msg)
    pages = _read_pages(file, str(path), is_header)
    page = _choose_page(pages, str(path), dialect.sheet, is_header, grids)
    if page.faults:
        raise FaultsError(f"{what} {path}", page.faults)
    return _frame(page, str(path), is_header, grids, SIGN_OF.get(dialect.decimal or ""), what)


def _read_pages(file: UPath, name: str, is_header: IsHeader) -> list[Page]:
    suffix = file.suffix.lower()
    data = read_file(file, "table", SHEET_BYTES)
    if suffix in _TEXT_SUFFIXES:
        pages = [read_text(data, name, lambda records: _measure_fit(records, is_header))]
    elif suffix == ".xml":
        pages = [Page("", _assay_layout_records(data, name))]
    elif suffix in {".xlsx", ".xlsm"}:
        pages = read_workbook(data, name)
    elif suffix == ".parquet":
        pages = [Page("", _parquet_records(data, name))]
    else:
        msg = f"{name} is {suffix or 'without suffix'}, expected {_SUFFIXES}"
        raise InputError(msg)
    for page in pages:
        page.records = [_clean_cells(record) for record in page.records]
    return pages


def _measure_fit(records: Records, is_header: IsHeader) -> int:
    """Measure how well rows of cells make a table; more is better."""
    cleaned = [_clean_cells(record) for record in records]
    header = find_header(cleaned, is_header)
    if header is not None:
        return 10_000 + len(cleaned[header])
    blocks, _ = find_blocks(cleaned, "")
    if blocks:
        return 5_000 + len(blocks[0].columns)
    first = next((record for record in cleaned if any(record)), [])
    return max(len(first), count_columns(cleaned))


def _choose_page(
    pages: Sequence[Page], file: str, asked: str | None, is_header: IsHeader, grids: Grids | None
) -> Page:
    """Choose the sheet that is meant."""
    names = [page.name for page in pages]
    if asked is not None:
        if names == [""]:
            msg = f"{file} has no sheets, so none called {asked!r}: leave out --sheet"
            raise InputError(msg)
        chosen = [
            page for page in pages if page.name.strip().casefold() == asked.strip().casefold()
        ]
        if not chosen:
            raise UnknownNameError("sheet", asked, file, names)
        return chosen[0]
    filled = [page for page in pages if not page.is_empty]
    if len(filled) <= 1:
        return (filled or pages)[0]
    fitting = [page for page in filled if _holds_table(page, is_header, grids)]
    if len(fitting) != 1:
        listed = ", ".join(repr(page.name) for page in (fitting or filled))
        msg = (
            f"which sheet of {file} is meant? Say --sheet NAME (or save the sheet as a file of its "
            f"own); there are {listed}"
        )
        raise InputError(msg)
    others = ", ".join(repr(page.name) for page in filled if page is not fitting[0])
    fitting[0].notes.insert(0, f"sheet {fitting[0].name!r} is read, and not {others}")
    return fitting[0]


def _holds_table(page: Page, is_header: IsHeader, grids: Grids | None) -> bool:
    if find_header(page.records, is_header) is not None:
        return True
    return grids is not None and bool(find_blocks(page.records, "")[0])


def _frame(
    page: Page,
    file: str,
    is_header: IsHeader,
    grids: Grids | None,
    decimal: str | None,
    kind: str,
) -> Sheet:
    """Find the table in a sheet."""
    what = f"{kind} {file}"
    if page.is_empty:
        raise FaultsError(what, [Fault(file, "the file is empty", expected="a header and wells")])
    start = find_header(page.records, is_header)
    above = page.records if start is None else page.records[:start]
    blocks, faults = find_blocks(above, file) if grids is not None else ([], [])
    if not blocks:
        first = next(i for i, record in enumerate(page.records) if any(record))
        widest = max(map(len, page.records))
        if start is None and grids is not None and len(page.records[first]) < widest:
            expected = "a header with a column 'well', or grids framed by A, B … and 1, 2 …"
            fault = Fault(file, "no table of wells is found", first + 1, expected=expected)
            raise FaultsError(what, [fault])
        return _read_list(page, file, first if start is None else start, decimal, what)
    if start is not None:
        message = f"there is a grid of wells too (row {blocks[0].top + 1}): which one is meant?"
        faults = [Fault(file, message, start + 1, expected="a table or grids, not both")]
    table = None
    if not faults:
        table, faults = read_layers(page, blocks, file, of_values=grids == "values")
    if table is None:
        raise FaultsError(what, faults)
    notes = (*page.notes, *table.notes)
    return Sheet(
        file, table.header, table.rows, blocks[0].top + 1, page.delimiter, decimal, notes,
        table.places,
    )  # fmt: skip


def _read_list(page: Page, file: str, start: int, decimal: str | None, what: str) -> Sheet:
    header = list(page.records[start])
    while header and not header[-1]:
        header.pop()
    body = [
        (number, record)
        for number, record in enumerate(page.records[start + 1 :], start=start + 2)
        if any(record)
    ]
    faults = [
        Fault(file, f"{len(header)} columns in the header, more cells here", number, value=extra)
        for number, record in body
        for extra in record[len(header) :]
        if extra
    ]
    if faults:
        raise FaultsError(what, faults)
    above = [i for i, record in enumerate(page.records[:start], start=1) if any(record)]
    notes = list(page.notes)
    if above:
        notes.append(f"rows above the header are passed over: {list_some(above)}")
    short = [number for number, record in body if len(record) < len(header)]
    if short and page.delimiter:
        notes.append(f"rows shorter than the header, filled with empty cells: {list_some(short)}")
    rows = tuple((number, _pad_record(record, len(header))) for number, record in body)
    return Sheet(file, tuple(header), rows, start + 1, page.delimiter, decimal, tuple(notes))


def _parquet_records(data: bytes, name: str) -> list[list[str]]:
    """Cells of a parquet file; numbers stay what they are."""
    import pyarrow.parquet as pq

    with refuse_damage(name, "parquet file"):
        source = pq.ParquetFile(io.BytesIO(data), page_checksum_verification=True)
        n_cells = source.metadata.num_rows * source.metadata.num_columns
        SHEET_CELLS.refuse_more(n_cells, name)
        table = source.read()
        names, columns = table.column_names, [column.to_pylist() for column in table.columns]
    texts = [[_read_value(value) for value in column] for column in columns]
    return [list(names), *map(list, zip(*texts, strict=True))]


def _read_value(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return Stored(str(int(value)), value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return Stored(str(value), float(value)) if value == value else ""  # noqa: PLR0124  (NaN)
    return str(value)


def _assay_layout_records(data: bytes, name: str) -> list[list[str]]:
    """Cells of a Harmony assay layout: one column a layer, one row a well that has any value."""
    try:
        root = ET.fromstring(data)
        layers = root.findall("{*}Layer")
        if not layers:
            msg = f"{name} is XML without layers, expected a Harmony assay layout"
            raise InputError(msg)
        values: dict[tuple[int, int], dict[str, str]] = {}
        for layer in layers:
            title = layer.findtext("{*}Name", "").strip()
            for well in layer.findall("{*}Well"):
                place = int(well.findtext("{*}Row", "")), int(well.findtext("{*}Col", ""))
                if text := well.findtext("{*}Value", "").strip():
                    values.setdefault(place, {})[title] = text
    except (ET.ParseError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        msg = f"{name} is not a readable assay layout: {error}"
        raise InputError(msg) from error
    titles = list(dict.fromkeys(title for cells in values.values() for title in cells))
    body = [
        [str(row), str(column), *(cells.get(title, "") for title in titles)]
        for (row, column), cells in sorted(values.items())
    ]
    return [["row", "column", *titles], *body]


def _clean_cells(record: Iterable[str]) -> list[str]:
    """Cells without the spaces and quotes that some exports leave around them."""
    return [cell if isinstance(cell, Stored | Dated) else _clean_text(cell) for cell in record]


def _clean_text(cell: str) -> str:
    return _AS_TEXT.sub(r"\1", cell.strip()).strip(_BARE)


def _pad_record(record: Sequence[str], length: int) -> tuple[str, ...]:
    return (*record[:length], *[""] * (length - len(record)))
