"""Reads the cells of a plate map as text, whatever program saved them."""

from __future__ import annotations

import csv
import io
import warnings
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final
from xml.etree import ElementTree as ET

from hcs.errors import Fault, FaultsError, InputError, NotFoundError
from hcs.io.files.paths import AnyPath, as_path

_TEXT_SUFFIXES: Final = frozenset({".csv", ".tsv", ".txt", ".tab"})
_DELIMITERS: Final = (",", ";", "\t")
_BYTE_ORDER_MARKS: Final = ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
_QUOTES: Final = "\"'“”‘’"
_MAX_UNPACKED_BYTES: Final = 2**28
"""A workbook that unpacks to more than 256 MiB is no plate map: 1,536 wells take 1 MiB."""


@dataclass(frozen=True, slots=True)
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
    decimal_comma
        Whether columns are separated by semicolons, as where the comma is the decimal sign.
    """

    file: str
    header: tuple[str, ...]
    rows: tuple[tuple[int, tuple[str, ...]], ...]
    decimal_comma: bool = False


def read_sheet(path: AnyPath) -> Sheet:
    """Read a CSV, TSV or XLSX file, or the assay layout that Harmony saves as XML.

    Parameters
    ----------
    path
        The file. Text may be separated by comma, semicolon or tab, in UTF-8 with or without byte
        order mark, UTF-16 with one, or the Windows code page 1252. Of a workbook the first sheet
        with content is read.

    Raises
    ------
    NotFoundError
        When there is no such file.
    InputError
        When it is of another kind.
    FaultsError
        When it is empty, or rows have more cells than the header.
    """
    file = as_path(path)
    if not file.is_file():
        msg = f"plate map {path} does not exist"
        raise NotFoundError(msg)
    suffix = file.suffix.lower()
    data = file.read_bytes()
    if suffix in _TEXT_SUFFIXES:
        records, delimiter = _text_records(data)
        return _sheet(str(path), records, decimal_comma=delimiter == ";")
    if suffix == ".xml":
        return _sheet(str(path), _assay_layout_records(data, str(path)))
    if suffix == ".xlsx":
        return _sheet(str(path), _workbook_records(data, str(path)))
    msg = f"plate map {path} is {suffix or 'without suffix'}, expected .csv, .tsv, .xlsx or .xml"
    raise InputError(msg)


def _text_records(data: bytes) -> tuple[list[list[str]], str]:
    """Cells of a text file and its delimiter: the one that gives the first line most columns."""
    text = _decode(data)
    first = next((line for line in text.splitlines() if line.strip()), "")
    delimiter = max(
        _DELIMITERS, key=lambda sign: len(next(csv.reader([first], delimiter=sign), []))
    )
    return list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)), delimiter


def _decode(data: bytes) -> str:
    for mark, encoding in _BYTE_ORDER_MARKS:
        if data.startswith(mark):
            return data.decode(encoding, errors="replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace")


def _workbook_records(data: bytes, name: str) -> list[list[str]]:
    """Cells of the first sheet of a workbook that has any content."""
    import openpyxl

    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            unpacked_bytes = sum(entry.file_size for entry in archive.infolist())
        if unpacked_bytes > _MAX_UNPACKED_BYTES:
            msg = f"plate map {name} unpacks to {unpacked_bytes} bytes; that is no plate map"
            raise InputError(msg)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of drop-down lists and styles, which do not matter
            book = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=True)
            for sheet in book.worksheets:
                records = [[_cell(v) for v in row] for row in sheet.iter_rows(values_only=True)]
                if any(any(record) for record in records):
                    return records
    except (zipfile.BadZipFile, KeyError, ValueError, OSError) as error:
        if isinstance(error, InputError):
            raise
        msg = f"plate map {name} is not a readable workbook: {error}"
        raise InputError(msg) from error
    return []


def _assay_layout_records(data: bytes, name: str) -> list[list[str]]:
    """Cells of a Harmony assay layout: one column a layer, one row a well that has any value."""
    try:
        root = ET.fromstring(data)
        layers = root.findall("{*}Layer")
        if not layers:
            msg = f"plate map {name} is XML without layers, expected a Harmony assay layout"
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
        msg = f"plate map {name} is not a readable assay layout: {error}"
        raise InputError(msg) from error
    titles = list(dict.fromkeys(title for cells in values.values() for title in cells))
    body = [
        [str(row), str(column), *(cells.get(title, "") for title in titles)]
        for (row, column), cells in sorted(values.items())
    ]
    return [["row", "column", *titles], *body]


def _cell(value: object) -> str:
    """Text of a cell; a workbook stores the clone ``12`` as ``12.0``."""
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    return str(value)


def _sheet(file: str, records: Sequence[Sequence[str]], *, decimal_comma: bool = False) -> Sheet:
    numbered = [(number, _clean_cells(record)) for number, record in enumerate(records, start=1)]
    filled = [(number, record) for number, record in numbered if any(record)]
    what = f"plate map {file}"
    if not filled:
        raise FaultsError(what, [Fault(file, "the file is empty", expected="a header and wells")])
    (_, header), body = filled[0], filled[1:]
    while header and not header[-1]:
        header.pop()
    faults = [
        Fault(file, f"{len(header)} columns in the header, more cells here", number, value=extra)
        for number, record in body
        for extra in record[len(header) :]
        if extra
    ]
    if faults:
        raise FaultsError(what, faults)
    rows = tuple((number, _pad_record(record, len(header))) for number, record in body)
    return Sheet(file, tuple(header), rows, decimal_comma)


def _clean_cells(record: Iterable[str]) -> list[str]:
    """Cells without the spaces and quotes that some exports leave around them."""
    return [cell.strip().strip(_QUOTES).strip() for cell in record]


def _pad_record(record: Sequence[str], length: int) -> tuple[str, ...]:
    return (*record[:length], *[""] * (length - len(record)))
