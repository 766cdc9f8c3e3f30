"""Reads the cells of one row by their meaning: text, concentrations, faults."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from hcs.errors import Fault
from hcs.io.sheets.platemap_columns import NOT_MOLAR_UNITS, UM_PER_UNIT, Columns
from hcs.io.sheets.reading.cells import Sheet
from hcs.io.sheets.reading.numbers import MISSING, NUMBER, Numbers, is_error
from hcs.io.sheets.reading.typed import Dated, Stored

_MONTH: Final = r"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
_DATE_OF_NAME: Final = re.compile(rf"\d{{1,2}}-{_MONTH}|{_MONTH}-\d{{2}}")
"""What spreadsheet programs show in the place of ``MARCH1``, ``SEPT2`` or ``1-2``."""

_NUMBER_UNIT: Final = re.compile(rf"(?P<number>{NUMBER.pattern})\s*(?P<unit>[^\s\d.,].*)?")


@dataclass
class RowReader:
    """Knows the columns of a sheet, and collects what is wrong in its rows.

    ``units`` are those that a row below the header states, by position.
    """

    sheet: Sheet
    columns: Columns
    faults: list[Fault]
    units: Mapping[int, str] = field(default_factory=dict)
    _numbers: dict[int, Numbers] = field(default_factory=dict, init=False)
    _index_of: dict[int, int] = field(default_factory=dict, init=False)

    def read_text(self, cells: Sequence[str], meaning: str) -> str | None:
        """Cell of a meaning; None where there is no such column or no value."""
        position = self.columns.of.get(meaning)
        if position is None or cells[position].casefold() in MISSING:
            return None
        return str(cells[position])

    def add_fault(
        self, row: int, column: str, message: str, value: str, expected: str | None = None
    ) -> None:
        """Note what is wrong in a row, under the column's own name."""
        place = self.sheet.find_row(row, column)
        self.faults.append(Fault(self.sheet.file, message, place, column, str(value), expected))

    def header(self, meaning: str) -> str:
        """Say what the file calls the column of a meaning."""
        return self.sheet.header[self.columns.of[meaning]]

    def refuse_broken_cells(self, passed: Sequence[int] = ()) -> None:
        """Refuse errors of a spreadsheet, and dates that it made of text or numbers.

        Parameters
        ----------
        passed
            Positions of columns that are read otherwise.
        """
        meanings = {*self.columns.of.values()}
        named = {self.columns.of.get(meaning) for meaning in ("compound", "clone", "donor")}
        for position, column in enumerate(self.sheet.header):
            if position in passed:
                continue
            cells = self.sheet.list_column(position)
            filled = [cell for cell in cells if cell]
            is_dates = position not in meanings and all(isinstance(cell, Dated) for cell in filled)
            for (number, _), cell in zip(self.sheet.rows, cells, strict=True):
                if is_error(cell):
                    message = "an error of the spreadsheet stands in the place of a value"
                    self.add_fault(number, column, message, cell, "a value")
                elif (isinstance(cell, Dated) and not is_dates) or (
                    position in named and _DATE_OF_NAME.fullmatch(cell)
                ):
                    message = "a date, which spreadsheet programs make of text such as 1-2 or MAR1"
                    self.add_fault(number, column, message, cell, "text or a number")

    def read_concentration(
        self, number: int, cells: Sequence[str]
    ) -> tuple[float | None, dict[str, str | float]]:
        """Concentration in µM; one in a unit that is not molar is returned beside it."""
        of = self.columns.of
        if "concentration" not in of:
            return None, {}
        unit = self.columns.concentration_unit
        return self.read_um(number, cells, (of["concentration"], of.get("unit"), unit))

    def read_um(
        self, number: int, cells: Sequence[str], place: tuple[int, int | None, str | None]
    ) -> tuple[float | None, dict[str, str | float]]:
        """Read one concentration: its column, the column of its unit, the unit in its name."""
        position, unit_position, named_unit = place
        text = cells[position]
        if text.casefold() in MISSING or is_error(text) or isinstance(text, Dated):
            return None, {}
        column = self.sheet.header[position]
        value = self._read_amount(number, position, text)
        if value is None:
            return None, {}
        written = "" if unit_position is None else cells[unit_position]
        written = "" if written.casefold() in MISSING else written
        unit = _split_unit(text)[1] or written or named_unit or self.units.get(position)
        if unit is None:
            expected = "a unit in the column's name (concentration_um) or a column 'unit'"
            self.add_fault(number, column, "a concentration without unit", text, expected)
            return None, {}
        folded = unit.casefold()
        if folded in NOT_MOLAR_UNITS:
            return None, {"concentration": value, "concentration_unit": str(unit)}
        if folded not in UM_PER_UNIT:
            own = unit_position is not None and written == unit
            where = self.sheet.header[unit_position or 0] if own else column
            self.add_fault(number, where, "unknown unit", unit, "nM, uM, µM, mM, M, % or mg/ml")
            return None, {}
        return value * UM_PER_UNIT[folded], {}

    def _read_amount(self, number: int, position: int, text: str) -> float | None:
        """Read the number of a concentration as the whole column is written; None is a fault."""
        if position not in self._numbers:
            amounts = [_split_unit(cell)[0] for cell in self.sheet.list_column(position)]
            self._numbers[position] = self.sheet.read_numbers(amounts)
            self._index_of = {row: index for index, (row, _) in enumerate(self.sheet.rows)}
        numbers, index = self._numbers[position], self._index_of[number]
        column = self.sheet.header[position]
        value = numbers.values[index]
        unclear = next((item for item in numbers.unread if item.place == index), None)
        if unclear is not None and unclear.message != "no number":
            self.add_fault(number, column, unclear.message, text, unclear.expected)
            return None
        if value is None or value < 0:
            self.add_fault(number, column, "no concentration", text, "a number from 0")
            return None
        return value


def _split_unit(cell: str) -> tuple[str, str | None]:
    """Part a number from the unit behind it."""
    if isinstance(cell, Stored):
        match = _NUMBER_UNIT.fullmatch(cell)
        return cell, "%" if cell.endswith("%") else (match["unit"] if match else None)
    match = _NUMBER_UNIT.fullmatch(cell)
    return (match["number"].strip(), match["unit"]) if match else (cell, None)
