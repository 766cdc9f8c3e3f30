"""Finds the table in a sheet: its header below titles and comments, and where its rows end."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Sequence
from typing import Final

from hcs.io.sheets.platemap_columns import NAMES, NOT_MOLAR_UNITS, UM_PER_UNIT, normal
from hcs.io.sheets.reading.numbers import MISSING, is_beyond, is_number
from hcs.io.sheets.wellnames import parse_row_and_column, parse_well

Records = Sequence[Sequence[str]]
IsHeader = Callable[[Sequence[str], Records], bool]
"""Whether a row is the header of the rows below it."""

_SEARCHED_ROWS: Final = 200
"""Rows that may stand above a header: the longest preambles of plate readers have some 60."""

_LONGEST_WELL: Final = 8
"""Letters of a well in the longest usual spelling: ``AF - 048``."""

_SUMMARIES: Final = frozenset(
    {"total", "totals", "sum", "mean", "average", "avg", "median", "sd", "std", "stdev", "st.dev",
     "std dev", "standard deviation", "cv", "%cv", "cv%", "cv (%)", "sem", "min", "minimum", "max",
     "maximum", "count", "n", "z'", "z-factor", "z factor", "grand total", "summe", "mittelwert",
     "moyenne", "somme"}
)  # fmt: skip
_UNIT_WORDS: Final = frozenset(
    {*UM_PER_UNIT, *NOT_MOLAR_UNITS, "rlu", "rfu", "au", "a.u.", "a.u", "od", "counts", "cps",
     "nm", "s", "min", "h", "unit", "units", "text", "name", "number", "string", "id"}
)  # fmt: skip


def is_map_header(header: Sequence[str], below: Records) -> bool:
    """Whether a row names a column of wells, and wells stand below it."""
    read = _find_well_reader(header)
    if read is None:
        return False
    filled = (record for record in below if any(record))
    return any(read(record) for record in itertools.islice(filled, _SEARCHED_ROWS))


def _find_well_reader(header: Sequence[str]) -> Callable[[Sequence[str]], bool] | None:
    folded = [normal(name) for name in header]
    place = {
        meaning: next((i for i, name in enumerate(folded) if name in NAMES[meaning]), None)
        for meaning in ("well", "row", "column")
    }
    well, row, column = place["well"], place["row"], place["column"]

    def read_one(record: Sequence[str]) -> bool:
        return well is not None and len(record) > well and parse_well(record[well]) is not None

    def read_two(record: Sequence[str]) -> bool:
        if row is None or column is None or len(record) <= max(row, column):
            return False
        return parse_row_and_column(f"{record[row]} {record[column]}") is not None

    if well is not None:
        return read_one
    return read_two if row is not None and column is not None else None


def find_header(records: Records, is_header: IsHeader) -> int | None:
    """Find the first row that is a header; None when no row is."""
    for index, record in enumerate(records[:_SEARCHED_ROWS]):
        if any(record) and is_header(record, records[index + 1 :]):
            return index
    return None


def count_columns(records: Records) -> int:
    """Count the columns that most filled rows have."""
    widths = [len(record) for record in records[:_SEARCHED_ROWS] if any(record)]
    return max(set(widths), key=lambda width: (widths.count(width), width), default=0)


def is_summary(cells: Sequence[str]) -> bool:
    """Whether a row without a well sums up those above: totals, means, deviations."""
    first = next((cell for cell in cells if cell), "")
    return first.casefold().rstrip(":").strip() in _SUMMARIES


def is_unit_row(cells: Sequence[str]) -> bool:
    """Whether a row below the header says the units of its columns."""
    filled = [cell for cell in cells if cell.casefold() not in MISSING]
    words = [re.sub(r"[\[\](){}]", "", cell).strip() for cell in filled]
    folded = [word.casefold() for word in words]
    return (
        any(word in _UNIT_WORDS for word in folded)
        and not any(is_number(word) or is_beyond(word) for word in words)
        and all(
            word in _UNIT_WORDS or cell != plain
            for word, cell, plain in zip(folded, filled, words, strict=True)
        )
    )


def is_footer(cells: Sequence[str], *, after_gap: bool) -> bool:
    """Whether a row far below a table is a remark: one or two cells of words, in a table of more.

    A short first cell may be a well that is misspelled, which is no remark.
    """
    filled = [cell for cell in cells if cell]
    has_words = len(filled[0]) > _LONGEST_WELL and not is_number(filled[-1])
    return after_gap and len(filled) <= 2 and len(cells) > 2 and has_words
