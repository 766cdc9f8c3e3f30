"""Clone tables, one row a clone with donor and diagnosis: read with every fault at once."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from hcs.domain.blinding import CloneEntry
from hcs.domain.plate import PertType
from hcs.errors import Fault, FaultsError
from hcs.io.files.paths import AnyPath
from hcs.io.sheets.cells import Sheet, read_sheet
from hcs.io.sheets.platemap_columns import UM_PER_UNIT, Columns, assign, normal

_N_WELLS: Final = frozenset({"wells", "n_wells", "replicates", "n_replicates"})
_AMOUNT: Final = re.compile(r"(?P<number>\d+\.?\d*|\.\d+)\s*(?P<unit>[^\s\d.]\S*)?")
_MOST_WELLS: Final = 1536


def read_clonetable(path: AnyPath) -> tuple[CloneEntry, ...]:
    """Read a clone table.

    Parameters
    ----------
    path
        CSV, TSV or XLSX with a column for the clone, and any of donor, diagnosis, batch,
        pert_type (of controls), compound, concentration, and ``wells``, the number of wells on
        each plate; other columns are kept under their own names. Names as in plate maps.

    Returns
    -------
    tuple of CloneEntry
        In file order.

    Raises
    ------
    FaultsError
        With every fault of the file at once.
    NotFoundError, InputError
        When the file is absent or of another kind.
    """
    sheet = read_sheet(path)
    # A clone has no well yet: the name is added so that the reader of plate maps is content.
    columns, faults = assign(sheet.file, [*sheet.header, "well"])
    if columns.of.get("well", len(sheet.header)) < len(sheet.header):
        faults = [Fault(sheet.file, "a clone table has no wells: this is a plate map", 1)]
    elif "clone" not in columns.of:
        expected = "a column 'clone'"
        faults.append(Fault(sheet.file, "no column for the clone", 1, expected=expected))
    else:
        reader = _Reader(sheet, columns, faults)
        entries = reader.entries()
        if not faults and not entries:
            faults.append(Fault(sheet.file, "there are no clones below the header"))
    if faults:
        raise FaultsError(f"clone table {sheet.file}", faults)
    return tuple(entries)


@dataclass
class _Reader:
    """Turns rows into clones and collects what is wrong."""

    sheet: Sheet
    columns: Columns
    faults: list[Fault]

    def entries(self) -> list[CloneEntry]:
        """All rows that are right."""
        seen: dict[str, int] = {}
        entries = []
        for number, cells in self.sheet.rows:
            before = len(self.faults)
            values = {
                name: self._text(cells, name)
                for name in ("clone", "donor", "diagnosis", "batch", "compound")
            }
            if values["clone"] is None:
                self._fault(number, "clone", "a row without clone", "")
            entry = {
                **values,
                "pert_type": self._pert_type(number, cells),
                "concentration_um": self._concentration_um(number, cells),
                **self._others(number, cells),
            }
            if len(self.faults) > before:
                continue
            made = CloneEntry.model_validate(entry)
            if (first := seen.setdefault(made.identity, number)) != number:
                message = f"the clone stands in row {first} already, under the same treatment"
                self._fault(number, "clone", message, made.clone)
            entries.append(made)
        return entries

    def _text(self, cells: Sequence[str], meaning: str) -> str | None:
        position = self.columns.of.get(meaning)
        return (cells[position] or None) if position is not None else None

    def _fault(
        self, row: int, meaning: str, message: str, value: str, expected: str | None = None
    ) -> None:
        column = self.sheet.header[self.columns.of[meaning]]
        self.faults.append(Fault(self.sheet.file, message, row, column, value, expected))

    def _pert_type(self, number: int, cells: Sequence[str]) -> PertType | None:
        text = self._text(cells, "pert_type")
        if text is None or text.casefold() in set(PertType):
            return None if text is None else PertType(text.casefold())
        self._fault(number, "pert_type", "unknown type", text, ", ".join(PertType))
        return None

    def _concentration_um(self, number: int, cells: Sequence[str]) -> float | None:
        text = self._text(cells, "concentration")
        if text is None:
            return None
        match = _AMOUNT.fullmatch(text)
        unit = match and (
            match["unit"] or self._text(cells, "unit") or self.columns.concentration_unit
        )
        factor = UM_PER_UNIT.get((unit or "").casefold().replace("µ", "μ"))
        if match is None or factor is None:
            expected = "a number from 0 with a molar unit, or a column concentration_um"
            self._fault(number, "concentration", "no concentration", text, expected)
            return None
        return float(match["number"]) * factor

    def _others(self, number: int, cells: Sequence[str]) -> dict[str, Any]:
        """Read the number of wells, and the columns that keep their own names."""
        n_wells = None
        extra: dict[str, str | None] = {}
        for name, position in self.columns.extra.items():
            text = cells[position]
            if normal(name) not in _N_WELLS:
                extra[name] = text or None
            elif text.isascii() and text.isdigit() and 1 <= int(text) <= _MOST_WELLS:
                n_wells = int(text)
            elif text:
                message = "no number of wells"
                expected = f"1 to {_MOST_WELLS}"
                self.faults.append(Fault(self.sheet.file, message, number, name, text, expected))
        return {"n_wells": n_wells, "extra": extra}
