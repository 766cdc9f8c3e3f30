"""Clone tables, one row a clone with donor and diagnosis: read with every fault at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from hcs.domain.blinding import CloneEntry
from hcs.domain.plate import PertType
from hcs.errors import Fault, FaultsError
from hcs.io.files.paths import AnyPath
from hcs.io.sheets.platemap_columns import NAMES, assign, normal
from hcs.io.sheets.reading.cells import Dialect, read_sheet
from hcs.io.sheets.reading.framing import Records
from hcs.io.sheets.reading.numbers import MISSING
from hcs.io.sheets.rows import RowReader

_N_WELLS: Final = frozenset({"wells", "n_wells", "replicates", "n_replicates"})
_MOST_WELLS: Final = 1536


def read_clonetable(path: AnyPath, dialect: Dialect | None = None) -> tuple[CloneEntry, ...]:
    """Read a clone table.

    Parameters
    ----------
    path
        CSV, TSV or XLSX with a column for the clone, and any of donor, diagnosis, batch,
        pert_type (of controls), compound, concentration, and ``wells``, the number of wells on
        each plate; other columns are kept under their own names. Names as in plate maps.
    dialect
        Which sheet of a workbook, and which decimal sign, where the user says so.

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
    sheet = read_sheet(path, _is_header, dialect=dialect, what="clone table")
    # A clone has no well yet: the name is added so that the reader of plate maps is content.
    columns, faults = assign(sheet.file, [*sheet.header, "well"])
    if columns.of.get("well", len(sheet.header)) < len(sheet.header):
        faults = [Fault(sheet.file, "a clone table has no wells: this is a plate map", 1)]
    elif "clone" not in columns.of:
        expected = "a column 'clone'"
        faults.append(Fault(sheet.file, "no column for the clone", 1, expected=expected))
    else:
        reader = _Reader(sheet, columns, faults)
        reader.refuse_broken_cells()
        entries = reader.entries()
        if not faults and not entries:
            faults.append(Fault(sheet.file, "there are no clones below the header"))
    if faults:
        raise FaultsError(f"clone table {sheet.file}", faults)
    return tuple(entries)


def _is_header(header: Sequence[str], _below: Records) -> bool:
    return any(normal(name) in NAMES["clone"] for name in header)


class _Reader(RowReader):
    """Turns rows into clones and collects what is wrong."""

    def entries(self) -> list[CloneEntry]:
        """All rows that are right."""
        seen: dict[str, int] = {}
        entries = []
        for number, cells in self.sheet.rows:
            before = len(self.faults)
            values = {
                name: self.read_text(cells, name)
                for name in ("clone", "donor", "diagnosis", "batch", "compound")
            }
            if values["clone"] is None:
                self.add_fault(number, self.header("clone"), "a row without clone", "")
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
                self.add_fault(number, self.header("clone"), message, made.clone)
            entries.append(made)
        return entries

    def _pert_type(self, number: int, cells: Sequence[str]) -> PertType | None:
        text = self.read_text(cells, "pert_type")
        if text is None or text.casefold() in set(PertType):
            return None if text is None else PertType(text.casefold())
        self.add_fault(number, self.header("pert_type"), "unknown type", text, ", ".join(PertType))
        return None

    def _concentration_um(self, number: int, cells: Sequence[str]) -> float | None:
        um, beside = self.read_concentration(number, cells)
        if beside:
            column, unit = self.header("concentration"), str(beside["concentration_unit"])
            self.add_fault(number, column, "a unit that is not molar", unit, "nM, uM, µM, mM or M")
        return um

    def _others(self, number: int, cells: Sequence[str]) -> dict[str, Any]:
        """Read the number of wells, and the columns that keep their own names."""
        n_wells = None
        extra: dict[str, str | None] = {}
        for name, position in self.columns.extra.items():
            text = cells[position]
            if normal(name) not in _N_WELLS:
                extra[name] = None if text.casefold() in MISSING else text
            elif text.isascii() and text.isdigit() and 1 <= int(text) <= _MOST_WELLS:
                n_wells = int(text)
            elif text:
                message = "no number of wells"
                expected = f"1 to {_MOST_WELLS}"
                self.faults.append(Fault(self.sheet.file, message, number, name, text, expected))
        return {"n_wells": n_wells, "extra": extra}
