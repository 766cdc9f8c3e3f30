"""Reads a text file into rows of cells: its encoding and the sign that parts its columns."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Sequence
from typing import Final

from hcs.errors import InputError
from hcs.io.sheets.reading.workbook import Page

_DELIMITERS: Final = (",", ";", "\t")
_BYTE_ORDER_MARKS: Final = ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
_STATED: Final = re.compile(r'"?sep=(.)"?,*', re.IGNORECASE)


def read_text(data: bytes, name: str, fits: Callable[[Sequence[Sequence[str]]], int]) -> Page:
    """Read the rows of a text file.

    Parameters
    ----------
    data
        The file, in UTF-8 with or without byte order mark, UTF-16, or Windows code page 1252.
    name
        Its name, for messages.
    fits
        Says how well rows of cells make a table: the delimiter that fits best is taken, unless
        the first line states one (``sep=;``).

    Raises
    ------
    InputError
        When the cells cannot be parted.
    """
    text = decode(data)
    if "\0" in text:
        msg = f"{name} is not a text table: it holds zero bytes"
        raise InputError(msg)
    first, _, rest = text.partition("\n")
    if stated := _STATED.fullmatch(first.strip()):
        records = _part(rest, stated[1], name)
        _refuse_open_quotes(rest, stated[1], records, name)
        return Page("", [[], *records], delimiter=stated[1])
    parted = {sign: _part(text, sign, name) for sign in _DELIMITERS}
    best = max(_DELIMITERS, key=lambda sign: fits(parted[sign]))
    _refuse_open_quotes(text, best, parted[best], name)
    return Page("", parted[best], delimiter=best)


def _part(text: str, delimiter: str, name: str) -> list[list[str]]:
    try:
        return list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))
    except csv.Error as error:
        msg = f"{name} is not a readable text table: {error}"
        raise InputError(msg) from error


def _refuse_open_quotes(
    text: str, delimiter: str, records: Sequence[Sequence[str]], name: str
) -> None:
    """Refuse a quotation mark that swallows the rows after it."""
    swallowing = next((row for row, record in enumerate(records, 1) if _has_break(record)), None)
    if swallowing is None:
        return
    try:
        for _ in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True):
            pass
    except csv.Error as error:
        msg = (
            f"a quotation mark in row {swallowing} of {name} is not closed, so that it holds the "
            f"rows after it ({error}): close or remove it"
        )
        raise InputError(msg) from error


def _has_break(record: Sequence[str]) -> bool:
    return any("\n" in cell or "\r" in cell for cell in record)


def decode(data: bytes) -> str:
    """Decode text as spreadsheet programs and instruments write it."""
    for mark, encoding in _BYTE_ORDER_MARKS:
        if data.startswith(mark):
            return data.decode(encoding, errors="replace")
    zeros = data[:512].count(0) * 3 > len(data[:512])
    if zeros:
        return data.decode("utf-16-le" if data[1:2] == b"\0" else "utf-16-be", errors="replace")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", errors="replace")
