"""Plate maps: what each well holds, read under the names in use, with every fault at once."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import pandas as pd

from hcs.domain import columns as col
from hcs.domain.plate import PertType, PlateMap, PlateMapRow
from hcs.domain.wells import Well
from hcs.errors import Fault, FaultsError
from hcs.io.files.paths import AnyPath
from hcs.io.sheets.barcodes import on_plates, read_barcodes
from hcs.io.sheets.body import keep_wells, read_well
from hcs.io.sheets.platemap_columns import Columns, assign, normal
from hcs.io.sheets.reading.cells import Dialect, Sheet, read_sheet
from hcs.io.sheets.reading.notes import list_some
from hcs.io.sheets.reading.numbers import MISSING, is_number
from hcs.io.sheets.rows import RowReader
from hcs.io.sheets.wellnames import parse_row_and_column

_PERT_TYPES: Final = {
    PertType.NEGCON: ("negcon", "neg", "negative", "negative control", "vehicle", "control neg"),
    PertType.POSCON: ("poscon", "pos", "positive", "positive control", "poscon diverse",
                      "poscon cp", "poscon orf", "control pos"),
    PertType.TREATMENT: ("trt", "treatment", "treated", "test", "sample", "compound"),
    PertType.EMPTY: ("empty", "blank", "no cells"),
}  # fmt: skip
_PERT_TYPE_OF: Final = {text: kind for kind, texts in _PERT_TYPES.items() for text in texts}
_CONTROL: Final = "control"
_EXPECTED_PERT: Final = ", ".join(PertType)


def read_platemap(
    path: AnyPath,
    barcodes: AnyPath | None = None,
    dialect: Dialect | None = None,
    barcodes_sheet: str | None = None,
) -> PlateMap:
    """Read a plate map.

    Parameters
    ----------
    path
        CSV, TSV, XLSX or parquet, one row a well, or Harmony's assay layout as XML. Columns are
        found by the names that JUMP, pycytominer, CellProfiler, Fractal, OMERO and
        operetta-compose use, letter case ignored; any other column is kept under its own name.
        Several compounds of a well stand in ``compound_1``, ``concentration_1_um``,
        ``compound_2`` and so on. Or grids of wells, each in a frame of rows A, B, … and columns
        1, 2, …, under a title that says what it holds.
    barcodes
        Table of plates (barcodes) and the plate map that each carries, where one map serves many
        plates; see :func:`hcs.io.sheets.barcodes.read_barcodes`.
    dialect
        Which sheet of a workbook, and which decimal sign, where the user says so.
    barcodes_sheet
        Which sheet of the barcode table's workbook.

    Returns
    -------
    PlateMap
        Rows in file order. Concentrations are in µM; one in a unit that is not molar, such as %,
        stays beside under its own name. Its notes say what was done to read the file.

    Raises
    ------
    FaultsError
        With every fault of the file at once, each with its row as a spreadsheet shows it.
    NotFoundError, InputError
        When the file is absent or of another kind.
    """
    sheet = read_sheet(path, dialect=dialect, grids="columns")
    columns, faults = assign_columns(sheet)
    columns = _group_by_map(columns, sheet, faults, barcodes)
    sheet, units = keep_wells(sheet, columns)
    mapped = read_wells(sheet, columns, faults, units=units)
    mapped = mapped.model_copy(update={"notes": (*mapped.notes, *_say_columns(columns, mapped))})
    if barcodes is None:
        return mapped
    return on_plates(mapped, read_barcodes(barcodes, Dialect(barcodes_sheet)))


def _say_columns(columns: Columns, mapped: PlateMap) -> list[str]:
    """Say which columns have no meaning of their own, and which wells no type where others do."""
    notes = []
    if columns.extra:
        notes.append(f"columns kept under their own names: {list_some(list(columns.extra), 6)}")
    untyped = [row.well.name for row in mapped.rows if row.pert_type is None]
    if untyped and len(untyped) < len(mapped.rows):
        notes.append(f"{len(untyped)} wells without pert_type: {list_some(untyped, 6)}")
    return notes


def assign_columns(sheet: Sheet) -> tuple[Columns, list[Fault]]:
    """Say what the columns of a sheet mean; see :func:`platemap_columns.assign`."""
    return assign(sheet.file, sheet.header, row=sheet.header_row, cells_of=sheet.list_column)


def read_wells(
    sheet: Sheet,
    columns: Columns,
    faults: list[Fault],
    values: Mapping[str, Sequence[float | None]] | None = None,
    units: Mapping[int, str] | None = None,
    what: str = "plate map",
    times: Sequence[int] | None = None,
) -> PlateMap:
    """Read the rows of a sheet as wells.

    Parameters
    ----------
    sheet, columns, faults
        The table, what its columns mean, and what is wrong with it so far.
    values
        Columns that are read already, by their own name: a value for every row.
    units
        Units that a row below the header states, by position of the column.
    what
        What the table is, for messages.
    times
        Time point of every row, where a well has a row for each.

    Raises
    ------
    FaultsError
        With every fault at once.
    """
    reader = _Reader(sheet, columns, faults, units or {})
    reader.times = times
    rows = reader.rows(values or {}) if "well" in columns.of or "column" in columns.of else []
    if not sheet.rows:
        faults.append(Fault(sheet.file, "there are no wells below the header"))
    if faults:
        ordered = sorted(faults, key=lambda fault: fault.row or 0)
        raise FaultsError(f"{what} {sheet.file}", ordered)
    return PlateMap(rows=tuple(rows), source=sheet.file, notes=(*sheet.notes, *reader.notes))


def _group_by_map(
    columns: Columns, sheet: Sheet, faults: list[Fault], barcodes: AnyPath | None
) -> Columns:
    """Tell rows apart by their map's name with a barcode table; else that is a plain column."""
    of = dict(columns.of)
    place = of.pop("plate_map", None)
    if barcodes is None:
        more = {} if place is None else {sheet.header[place]: place}
        return dataclasses.replace(columns, of=of, extra={**columns.extra, **more})
    if "plate" in of:
        message = "the map names plates itself, and a barcode table is given"
        faults.append(Fault(sheet.file, message, 1, sheet.header[of["plate"]], expected="one"))
    if place is not None:
        of["plate"] = place
    return dataclasses.replace(columns, of=of)


def to_frame(platemap: PlateMap) -> pd.DataFrame:
    """Plate map as a table, one row a well.

    Parameters
    ----------
    platemap
        The plate map; may be empty.

    Returns
    -------
    pandas.DataFrame
        Columns ``Metadata_Plate``, ``Metadata_Well`` (as ``A01``), all of
        :data:`hcs.domain.columns.WELL_METADATA`, and ``Metadata_<name>`` for each further one.
    """
    records = [_record(row) for row in platemap.rows]
    standard = [*col.WELL_KEY, *col.WELL_METADATA]
    extras = list(dict.fromkeys(name for record in records for name in record))
    columns = standard + [name for name in extras if name not in standard]
    frame = pd.DataFrame(records, columns=columns)
    frame[col.CONCENTRATION_UM] = frame[col.CONCENTRATION_UM].astype("float64")
    text = [name for name in standard if name != col.CONCENTRATION_UM]
    frame[text] = frame[text].astype("string")
    for name in columns[len(standard) :]:
        frame[name] = frame[name].convert_dtypes(convert_floating=False)
    return frame


def _record(row: PlateMapRow) -> dict[str, Any]:
    record: dict[str, Any] = {
        col.PLATE: row.plate,
        col.WELL: row.well.name,
        col.CLONE: row.clone,
        col.DONOR: row.donor,
        col.DIAGNOSIS: row.diagnosis,
        col.BATCH: row.batch,
        col.PERT_TYPE: None if row.pert_type is None else str(row.pert_type),
        col.COMPOUND: row.compound,
        col.CONCENTRATION_UM: row.concentration_um,
    }
    return record | {f"Metadata_{name}": value for name, value in row.extra.items()}


class _Reader(RowReader):
    """Turns the rows of one sheet into wells, and collects what is wrong."""

    notes: tuple[str, ...] = ()
    times: Sequence[int] | None = None

    def rows(self, values: Mapping[str, Sequence[float | None]]) -> list[PlateMapRow]:
        """All rows that are right; the others are among the faults."""
        extras = {
            name: values.get(name) or self._convert_column(name, position)
            for name, position in self.columns.extra.items()
        }
        self.refuse_broken_cells([self.columns.extra[name] for name in values])
        rows: list[PlateMapRow] = []
        seen: dict[tuple[Well, int | None], dict[str | None, int]] = {}
        for index, (number, cells) in enumerate(self.sheet.rows):
            before = len(self.faults)
            well = self._well(number, cells)
            plate = self.read_text(cells, "plate")
            if well is not None:
                key = (well, None if self.times is None else self.times[index])
                self._refuse_second_row(number, plate, well, seen.setdefault(key, {}))
            read = self._values(number, cells)
            extra = {name: cells_of[index] for name, cells_of in extras.items()}
            extra |= read.pop("beside")
            if well is not None and len(self.faults) == before:
                rows.append(PlateMapRow(well=well, plate=plate, extra=extra, **read))
        return rows

    def _refuse_second_row(
        self, number: int, plate: str | None, well: Well, rows: dict[str | None, int]
    ) -> None:
        """Refuse a second row of a well; a row without plate is one of every plate."""
        clashing = rows.values() if plate is None else (rows[p] for p in (plate, None) if p in rows)
        if (first := min(clashing, default=None)) is not None:
            message = f"the well stands in row {first} already"
            self.add_fault(number, self._well_column(), message, well.name, "each well once")
        rows.setdefault(plate, number)

    def _values(self, number: int, cells: Sequence[str]) -> dict[str, Any]:
        names = ("clone", "donor", "diagnosis", "batch", "compound")
        values: dict[str, Any] = {name: self.read_text(cells, name) for name in names}
        values["pert_type"] = self._pert_type(number, cells)
        values["concentration_um"], values["beside"] = self.read_concentration(number, cells)
        if self.columns.numbered:
            values |= self._combination(number, cells)
        return values

    def _well_column(self) -> str:
        return self.header("well" if "well" in self.columns.of else "column")

    def _well(self, number: int, cells: Sequence[str]) -> Well | None:
        """Well of a row, from one column or from two; None, and a fault, when it is none."""
        of = self.columns.of
        both = {"row", "column"} <= of.keys()
        from_two = f"{cells[of['row']]} {cells[of['column']]}" if both else None
        well = read_well(tuple(cells), self.columns)
        if well is None:
            text = cells[of["well"]] if "well" in of else from_two or ""
            expected = "a well such as 'A1', 'A01', 'A - 1' or '01A', up to AF48"
            self.add_fault(number, self._well_column(), "no well", text, expected)
        elif "well" in of and from_two is not None and parse_row_and_column(from_two) != well:
            message = "row and column name another well"
            self.add_fault(number, self.header("row"), message, from_two, f"those of {well.name}")
        return well

    def _pert_type(self, number: int, cells: Sequence[str]) -> PertType | None:
        """Read what the well is for; JUMP says ``control`` in one column and which in another."""
        kind = self.read_text(cells, "pert_type")
        control = self.read_text(cells, "control_type")
        found, wrong = read_pert_type(kind, control)
        for meaning in wrong:
            text = str(kind if meaning == "pert_type" else control)
            self.add_fault(number, self.header(meaning), "unknown type", text, _EXPECTED_PERT)
        if len(found) > 1:
            message = f"{self.header('pert_type')} says {kind!r}"
            self.add_fault(number, self.header("control_type"), message, str(control), "the same")
        return found[0] if found else None

    def _combination(self, number: int, cells: Sequence[str]) -> dict[str, Any]:
        """Several compounds in a well, each in columns of its own number.

        The well's compound is all their names, each but the first with its concentration: wells
        that differ in the first one's concentration alone are one dose series.
        """
        values: dict[str, Any] = {"compound": None, "concentration_um": None, "beside": {}}
        names: list[str] = []
        for which, of in self.columns.numbered.items():
            name = cells[of["compound"]]
            name = "" if name.casefold() in MISSING else name
            um: float | None = None
            if "concentration" in of:
                unit = of.get("unit", self.columns.of.get("unit"))
                place = (of["concentration"], unit, self.columns.numbered_units.get(which))
                um, beside = self.read_um(number, cells, place)
                values["beside"] |= {f"{key}_{which}": value for key, value in beside.items()}
                if um and not name:
                    column = self.sheet.header[of["concentration"]]
                    self.add_fault(number, column, "a concentration of no compound", f"{um:g} µM")
            if not name:
                continue
            values["beside"] |= {f"Compound_{which}": name, f"concentration_um_{which}": um}
            if not names:
                values["concentration_um"] = um
            names.append(f"{name} ({um:g} µM)" if names and um is not None else name)
        values["compound"] = " + ".join(names) or None
        return values

    def _convert_column(self, name: str, position: int) -> list[Any]:
        """Read a column that keeps its own name as the narrowest type that all of its cells have.

        Where whether a column's points part decimals or thousands is open, it stays text.
        """
        cells = self.sheet.list_column(position)
        if normal(name) == normal(col.CELLS_AT_ZERO):
            return self._read_counts(position)
        filled = [cell for cell in cells if cell.casefold() not in MISSING]
        if filled and all(cell.casefold() in {"true", "false"} for cell in filled):
            return [_convert_truth(cell) for cell in cells]
        if filled and all(is_number(cell) and not _is_code(cell) for cell in filled):
            numbers = self.sheet.read_numbers(cells)
            if not numbers.unread:
                whole = all(re.fullmatch(r"0|-?[1-9]\d{0,14}", cell) for cell in filled)
                return [int(v) if whole and v is not None else v for v in numbers.values]
            first = cells[numbers.unread[0].place]
            note = (
                f"column {name!r} stays text: {first!r} is not clear ({numbers.unread[0].message})"
            )
            self.notes = (*self.notes, note)
        return [str(cell) if cell.casefold() not in _NO_TEXT else None for cell in cells]

    def _read_counts(self, position: int) -> list[float | None]:
        """Read a column that statistics need as numbers."""
        cells = self.sheet.list_column(position)
        numbers = self.sheet.read_numbers(cells)
        wrong = {item.place: (item.message, item.expected) for item in numbers.unread}
        wrong |= dict.fromkeys(numbers.beyond, ("no number", "a number"))
        for place, (message, expected) in sorted(wrong.items()):
            row = self.sheet.rows[place][0]
            self.add_fault(row, self.sheet.header[position], message, cells[place], expected)
        return list(numbers.values)


_NO_TEXT: Final = frozenset({"", "na", "n/a", "nan", "null", "<na>"})
"""What stands for no text: a dash may be a value, beside a plus."""


def _is_code(cell: str) -> bool:
    """Whether a cell is a code rather than a number: ``007``."""
    return re.match(r"[-+]?0\d", cell) is not None


def _convert_truth(cell: str) -> bool | None:
    return None if cell.casefold() in MISSING else cell.casefold() == "true"


def read_pert_type(
    kind: str | None, control: str | None
) -> tuple[tuple[PertType, ...], tuple[str, ...]]:
    """Read what a well is for, from one column or two.

    Parameters
    ----------
    kind, control
        Cells of ``pert_type`` and of JUMP's ``control_type``, which says which control a
        ``control`` is.

    Returns
    -------
    tuple of PertType
        The type; two where the columns contradict each other, none where they say nothing.
    tuple of str
        Meaning of each column whose cell is not understood.
    """
    found: list[PertType] = []
    wrong: list[str] = []
    for meaning, text in (("pert_type", kind), ("control_type", control)):
        if text is None or (meaning == "pert_type" and text.casefold() == _CONTROL and control):
            continue
        named = _PERT_TYPE_OF.get(re.sub(r"[\s_-]+", " ", text.casefold()))
        if named is None:
            wrong.append(meaning)
        elif named not in found:
            found.append(named)
    return tuple(found), tuple(wrong)
