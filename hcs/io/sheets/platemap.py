"""Plate maps: what each well holds, read under the names in use, with every fault at once."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Sequence
from typing import Any, Final

import pandas as pd

from hcs.domain import columns as col
from hcs.domain.plate import PertType, PlateMap, PlateMapRow
from hcs.domain.wells import PlateFormat, Well, row_index
from hcs.errors import Fault, FaultsError, InputError
from hcs.io.files.paths import AnyPath
from hcs.io.sheets.barcodes import on_plates, read_barcodes
from hcs.io.sheets.cells import Sheet, read_sheet
from hcs.io.sheets.platemap_columns import Columns, assign
from hcs.io.sheets.rows import MISSING, NUMBER, RowReader

_COLUMN_THEN_ROW: Final = re.compile(r"0*([1-9][0-9]?)\s*([A-Za-z]{1,2})")
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


def read_platemap(path: AnyPath, barcodes: AnyPath | None = None) -> PlateMap:
    """Read a plate map.

    Parameters
    ----------
    path
        CSV, TSV or XLSX, one row a well, or Harmony's assay layout as XML. Columns are found by
        the names that JUMP, pycytominer, CellProfiler, Fractal, OMERO and operetta-compose use,
        letter case ignored; any other column is kept under its own name. Several compounds of a
        well stand in ``compound_1``, ``concentration_1_um``, ``compound_2`` and so on.
    barcodes
        Table of plates (barcodes) and the plate map that each carries, where one map serves many
        plates; see :func:`hcs.io.sheets.barcodes.read_barcodes`.

    Returns
    -------
    PlateMap
        Rows in file order. Concentrations are in µM; one in a unit that is not molar, such as %,
        stays beside under its own name.

    Raises
    ------
    FaultsError
        With every fault of the file at once, each with its row as a spreadsheet shows it.
    NotFoundError, InputError
        When the file is absent or of another kind.
    """
    sheet = read_sheet(path)
    columns, faults = assign(sheet.file, sheet.header)
    columns = _group_by_map(columns, sheet, faults, barcodes)
    reader = _Reader(sheet, columns, faults)
    rows = reader.rows() if "well" in columns.of or "column" in columns.of else []
    if not sheet.rows:
        faults.append(Fault(sheet.file, "there are no wells below the header"))
    if faults:
        ordered = sorted(faults, key=lambda fault: fault.row or 0)
        raise FaultsError(f"plate map {sheet.file}", ordered)
    mapped = PlateMap(rows=tuple(rows), source=sheet.file)
    return mapped if barcodes is None else on_plates(mapped, read_barcodes(barcodes))


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

    def rows(self) -> list[PlateMapRow]:
        """All rows that are right; the others are among the faults."""
        kinds = {name: self._kind(position) for name, position in self.columns.extra.items()}
        rows: list[PlateMapRow] = []
        seen: dict[Well, dict[str | None, int]] = {}
        for number, cells in self.sheet.rows:
            before = len(self.faults)
            well = self._well(number, cells)
            plate = self.read_text(cells, "plate")
            if well is not None:
                self._refuse_second_row(number, plate, well, seen.setdefault(well, {}))
            values = self._values(number, cells)
            extra = {
                name: _convert_cell(cells[position], kinds[name])
                for name, position in self.columns.extra.items()
            }
            extra |= values.pop("beside")
            if well is not None and len(self.faults) == before:
                rows.append(PlateMapRow(well=well, plate=plate, extra=extra, **values))
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
        from_two = cells[of["row"]] + " " + cells[of["column"]] if both else None
        text = cells[of["well"]] if "well" in of else from_two or ""
        well = parse_well(text) if "well" in of else _from_row_and_column(from_two or "")
        if well is None:
            expected = "a well such as 'A1', 'A01', 'A - 1' or '01A', up to AF48"
            self.add_fault(number, self._well_column(), "no well", text, expected)
        elif "well" in of and from_two is not None and _from_row_and_column(from_two) != well:
            message = "row and column name another well"
            self.add_fault(number, self.header("row"), message, from_two, f"those of {well.name}")
        return well

    def _pert_type(self, number: int, cells: Sequence[str]) -> PertType | None:
        """Read what the well is for; JUMP says ``control`` in one column and which in another."""
        kind = self.read_text(cells, "pert_type")
        control = self.read_text(cells, "control_type")
        kinds = []
        for meaning, text in (("pert_type", kind), ("control_type", control)):
            if text is None or (meaning == "pert_type" and text.casefold() == _CONTROL and control):
                continue
            found = _PERT_TYPE_OF.get(re.sub(r"[\s_-]+", " ", text.casefold()))
            if found is None:
                self.add_fault(number, self.header(meaning), "unknown type", text, _EXPECTED_PERT)
            else:
                kinds.append(found)
        if len(set(kinds)) > 1:
            message = f"{self.header('pert_type')} says {kind!r}"
            self.add_fault(number, self.header("control_type"), message, str(control), "the same")
        return kinds[0] if kinds else None

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

    def _kind(self, position: int) -> Callable[[str], Any]:
        """Type of a column that keeps its own name: the narrowest that all of its cells have."""
        cells = [cells[position] for _, cells in self.sheet.rows]
        filled = [cell for cell in cells if cell.casefold() not in MISSING]
        for fits, kind in _KINDS:
            if filled and all(fits(cell) for cell in filled):
                return kind
        return str


def _is_whole(cell: str) -> bool:
    return re.fullmatch(r"0|-?[1-9]\d{0,14}", cell) is not None  # 007 is a code, not a number


def _is_number(cell: str) -> bool:
    return NUMBER.fullmatch(cell) is not None and re.match(r"[-+]?0\d", cell) is None


_KINDS: Final[tuple[tuple[Callable[[str], bool], Callable[[str], Any]], ...]] = (
    (_is_whole, int),
    (_is_number, float),
    (lambda cell: cell.casefold() in {"true", "false"}, lambda cell: cell.casefold() == "true"),
)


def _convert_cell(cell: str, kind: Callable[[str], Any]) -> Any:  # noqa: ANN401  (what the column holds)
    return None if cell.casefold() in MISSING else kind(cell)


def parse_well(text: str) -> Well | None:
    """Read a well as plate maps write it: ``A1``, ``a01``, ``A - 1``, or column first, ``01A``.

    None when it is no well of a plate of up to 1,536 wells.
    """
    match = _COLUMN_THEN_ROW.fullmatch(text.strip())
    try:
        well = Well(row_index(match[2]), int(match[1]) - 1) if match else Well.parse(text)
    except InputError:
        return None
    return well if PlateFormat.WELLS_1536.holds(well) else None


def _from_row_and_column(text: str) -> Well | None:
    """Read a row (letters, or a number from 1) and a column, parted by a space."""
    row, _, column = text.partition(" ")
    if row.isascii() and row.isdigit() and column.isascii() and column.isdigit():
        well = Well(int(row) - 1, int(column) - 1)
        inside = min(well.row, well.column) >= 0 and PlateFormat.WELLS_1536.holds(well)
        return well if inside else None
    return parse_well(f"{row}{column}")
