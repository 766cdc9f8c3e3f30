"""Reads the cells of one row by their meaning: text, concentrations, faults."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from hcs.errors import Fault
from hcs.io.sheets.cells import Sheet
from hcs.io.sheets.platemap_columns import NOT_MOLAR_UNITS, UM_PER_UNIT, Columns

MISSING: Final = frozenset({"", "na", "n/a", "nan", "null", "<na>"})
"""What people write where there is no value, in folded letter case."""

NUMBER: Final = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")
_NUMBER_UNIT: Final = re.compile(rf"(?P<number>{NUMBER.pattern})\s*(?P<unit>[^\s\d.,].*)?")
_DECIMAL_COMMA: Final = re.compile(r"([-+]?\d+),(\d+)(?=\D|$)")


@dataclass
class RowReader:
    """Knows the columns of a sheet, and collects what is wrong in its rows."""

    sheet: Sheet
    columns: Columns
    faults: list[Fault]

    def read_text(self, cells: Sequence[str], meaning: str) -> str | None:
        """Cell of a meaning; None where there is no such column or no value."""
        position = self.columns.of.get(meaning)
        if position is None or cells[position].casefold() in MISSING:
            return None
        return cells[position]

    def add_fault(
        self, row: int, column: str, message: str, value: str, expected: str | None = None
    ) -> None:
        """Note what is wrong in a row, under the column's own name."""
        self.faults.append(Fault(self.sheet.file, message, row, column, value, expected))

    def header(self, meaning: str) -> str:
        """Say what the file calls the column of a meaning."""
        return self.sheet.header[self.columns.of[meaning]]

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
        if text.casefold() in MISSING:
            return None, {}
        column = self.sheet.header[position]
        plain = _DECIMAL_COMMA.sub(r"\1.\2", text) if self.sheet.decimal_comma else text
        match = _NUMBER_UNIT.fullmatch(plain)
        value = float(match["number"]) if match else math.nan
        if match is None or not math.isfinite(value) or value < 0:
            self.add_fault(number, column, "no concentration", text, "a number from 0")
            return None, {}
        written = "" if unit_position is None else cells[unit_position]
        written = "" if written.casefold() in MISSING else written
        unit = match["unit"] or written or named_unit
        if unit is None:
            expected = "a unit in the column's name (concentration_um) or a column 'unit'"
            self.add_fault(number, column, "a concentration without unit", text, expected)
            return None, {}
        folded = unit.casefold().replace("µ", "μ")
        if folded in NOT_MOLAR_UNITS:
            return None, {"concentration": value, "concentration_unit": unit}
        if folded not in UM_PER_UNIT:
            own = unit_position is not None and written == unit
            where = self.sheet.header[unit_position or 0] if own else column
            self.add_fault(number, where, "unknown unit", unit, "nM, uM, µM, mM, M, % or mg/ml")
            return None, {}
        return value * UM_PER_UNIT[folded], {}
