"""Reads tables of numbers that are not image scores: plate-reader values, any feature column."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from hcs.domain import columns as col
from hcs.domain.plate import PertType, PlateMap
from hcs.errors import Fault, FaultsError, InputError, UnknownNameError
from hcs.io.files import parquet
from hcs.io.files.paths import AnyPath, as_path
from hcs.io.sheets import platemap
from hcs.io.sheets.body import keep_wells, read_well
from hcs.io.sheets.cellhts import screen as cellhts
from hcs.io.sheets.platemap_columns import Columns, normal
from hcs.io.sheets.platenames import select_plate
from hcs.io.sheets.profiles import name_columns
from hcs.io.sheets.reading.cells import Dialect, Sheet, read_sheet
from hcs.io.sheets.reading.framing import Records, is_map_header
from hcs.io.sheets.reading.notes import list_some
from hcs.io.sheets.reading.numbers import MISSING, SIGN_OF, NoNumber, Numbers, read_numbers
from hcs.io.sheets.reading.typed import Stored
from hcs.io.sheets.times import read_times
from hcs.io.sheets.wellnames import parse_well

_FLAG_NAMES: Final = ("flags", "flag")


@dataclass(frozen=True, slots=True)
class Values:
    """A table of values, ready for :func:`hcs.screen.aggregate.well_values`.

    Attributes
    ----------
    table
        ``Metadata_…``, the value columns, and ``Image_Count_Cells`` and ``flags`` where known.
    columns
        Names of the value columns.
    unmapped
        Wells (plate and name) of which the plate map says nothing.
    without_number
        Cells that say why they hold no number (``OVRFLW``); their wells have no value.
    notes
        What was done to read the files, in words.
    """

    table: pd.DataFrame
    columns: tuple[str, ...]
    unmapped: tuple[tuple[str, str], ...] = ()
    without_number: tuple[NoNumber, ...] = ()
    notes: tuple[str, ...] = ()


def list_files(path: AnyPath) -> list[str]:
    """List every file that a table of values consists of: a plate list names others beside it."""
    file = as_path(path)
    if file.suffix.lower() not in {".csv", ".tsv", ".txt", ".tab"} or not file.is_file():
        return [str(file)]
    with file.open("rb") as stream:
        may_be_list = b"filename" in stream.read(65536).replace(b"\0", b"").lower()
    if not may_be_list:
        return [str(file)]
    sheet = read_sheet(path, _is_header, grids="values", what="values")
    return [str(file), *(cellhts.list_files(path, sheet) if cellhts.is_plate_list(sheet) else ())]


def read_values(
    path: AnyPath,
    columns: Sequence[str] = (),
    *,
    cells: str | None = None,
    numeric: Iterable[str] = (),
    plate_map: AnyPath | None = None,
    kinds: Mapping[str, PertType] | None = None,
    dialect: Dialect | None = None,
    map_dialect: Dialect | None = None,
) -> Values:
    """Read a table of values.

    Parameters
    ----------
    path
        Parquet with ``Metadata_Plate`` and ``Metadata_Well``, one row a well or an image; CSV,
        TSV or XLSX with one row a well (and time), under the column names that plate maps use, or
        with grids of wells (a frame of A, B, … and 1, 2, …); or the plate list of a cellHTS2 screen
        (columns Filename, Plate, Replicate).
    columns
        Value columns; without any, the only numeric column there is.
    cells
        Column of cell counts; by default ``Image_Count_Cells`` where there is one.
    numeric
        Further columns that must be numbers where they exist.
    plate_map
        What the wells hold, in place of what the table says.
    kinds
        What words in the plate configuration of a cellHTS2 screen mean, beside its own.
    dialect, map_dialect
        Sheet and decimal sign of the table and of the plate map, where the user says so.

    Raises
    ------
    NotFoundError, FaultsError
        When the file is absent or its rows cannot be read: every cell of a value column that is
        not understood is among the faults.
    UnknownNameError, InputError
        When a column does not exist, or it is not clear which one is meant.
    """
    wanted = [*columns, *([cells] if cells else [])]
    file = as_path(path)
    if file.suffix.lower() == ".parquet":
        _refuse_kinds(path, kinds)
        stated = SIGN_OF.get((dialect.decimal if dialect else None) or "")
        has_map = plate_map is not None
        found = _read_parquet(path, wanted, numeric, stated, has_map=has_map)
    else:
        found = _read_table(path, wanted, numeric, dialect, kinds)
    table = found.table
    if cells is not None:
        _require(table, cells, path)
        table[col.N_CELLS] = table[cells]
    chosen = tuple(columns) or _only_value(table, path)
    for name in chosen:
        _require(table, name, path)
    found = Values(table, chosen, (), found.without_number, found.notes)
    return found if plate_map is None else _apply_plate_map(found, plate_map, map_dialect)


def _is_header(header: Sequence[str], below: Records) -> bool:
    return is_map_header(header, below) or cellhts.is_plate_header(header)


def _read_table(
    path: AnyPath,
    wanted: Sequence[str],
    numeric: Iterable[str],
    dialect: Dialect | None,
    kinds: Mapping[str, PertType] | None,
) -> Values:
    sheet = read_sheet(path, _is_header, dialect=dialect, grids="values", what="values")
    if cellhts.is_plate_list(sheet):
        return _read_screen(path, wanted, kinds)
    _refuse_kinds(path, kinds)
    columns, faults = platemap.assign_columns(sheet)
    sheet, units = keep_wells(sheet, columns)
    times, columns = read_times(sheet, columns, units, faults)
    numbers = _read_value_columns(sheet, columns, wanted, numeric, faults)
    values = {name: of.values for name, of in numbers.items()}
    when = None if times is None else times.index
    mapped = platemap.read_wells(sheet, columns, faults, values, units, "values", when)
    table = platemap.to_frame(mapped)
    for name in values:
        table[f"Metadata_{name}"] = table[f"Metadata_{name}"].astype("float64")
    if table[col.PLATE].isna().any():
        if table[col.PLATE].notna().any():
            msg = f"{path} names the plate of some wells only; fill the column for all, or leave it"
            raise InputError(msg)
        table[col.PLATE] = as_path(path).stem
    notes = (*mapped.notes, *_say_values(sheet, columns, numbers, wanted))
    absent = _list_absent(sheet, columns, numbers, as_path(path).stem)
    table = _restore_own_names(table)
    if times is not None:
        table, notes = times.add_to(table), (*notes, times.note)
    return Values(table, (), without_number=absent, notes=notes)


def _refuse_kinds(path: AnyPath, kinds: Mapping[str, PertType] | None) -> None:
    if kinds:
        msg = (
            f"{path} is no cellHTS2 plate list, so nothing says {list_some(sorted(kinds))}: what "
            "wells hold stands in a column pert_type of the table or of its plate map"
        )
        raise InputError(msg)


def _read_screen(
    plate_list: AnyPath, wanted: Sequence[str], kinds: Mapping[str, PertType] | None
) -> Values:
    screen = cellhts.read_screen(plate_list, kinds)
    chosen = wanted or screen.columns
    absent = tuple(item for item in screen.absent if item.column in chosen)
    return Values(screen.table, (), without_number=absent, notes=screen.notes)


def _read_value_columns(
    sheet: Sheet,
    columns: Columns,
    wanted: Sequence[str],
    numeric: Iterable[str],
    faults: list[Fault],
) -> dict[str, Numbers]:
    """Read the columns that must be numbers; each of their cells that is none is a fault."""
    names = [name for name in wanted if name in columns.extra]
    names += [name for name in numeric if name in columns.extra and name not in names]
    if not wanted:
        likely = [name for name in columns.extra if _is_likely_value(sheet, columns.extra[name])]
        if len(likely) > 1:
            raise InputError(_ask_which(sheet.file, likely))
        names += [name for name in likely if name not in names]
    found = {}
    for name in names:
        position = columns.extra[name]
        cells = sheet.list_column(position)
        found[name] = sheet.read_numbers(cells)
        for item in found[name].unread:
            number, column = sheet.rows[item.place][0], sheet.header[position]
            place = sheet.find_row(number, column)
            cell = str(cells[item.place])
            faults.append(Fault(sheet.file, item.message, place, column, cell, item.expected))
    return found


def _is_likely_value(sheet: Sheet, position: int) -> bool:
    """Whether a column is numbers, but for cells that an instrument could not fill."""
    name = normal(sheet.header[position])
    cells = sheet.list_column(position)
    filled = [cell for cell in cells if cell.casefold() not in MISSING]
    numbers = sheet.read_numbers(cells)
    codes = any(not isinstance(c, Stored) and c[:1] == "0" and c[1:2].isdigit() for c in filled)
    is_value = name not in {*_FLAG_NAMES, normal(col.N_CELLS), normal(col.CELLS_AT_ZERO)}
    fitting = numbers.n_numbers + len(numbers.beyond)
    return is_value and not codes and numbers.n_numbers > 0 and fitting * 2 > len(filled)


def _list_absent(
    sheet: Sheet, columns: Columns, numbers: dict[str, Numbers], stem: str
) -> tuple[NoNumber, ...]:
    """List the cells that say why they are no number; a blank one is not among them."""
    found = []
    for name, of in numbers.items():
        position = columns.extra[name]
        for index, (number, cells) in enumerate(sheet.rows):
            text = cells[position]
            if not text or of.values[index] is not None:
                continue
            well = read_well(cells, columns)
            if well is None:
                continue
            plate = cells[columns.of["plate"]] if "plate" in columns.of else stem
            row = sheet.find_row(number, sheet.header[position])
            found.append(NoNumber(str(plate), well.name, name, row, str(text)))
    return tuple(found)


def _say_values(
    sheet: Sheet, columns: Columns, numbers: dict[str, Numbers], wanted: Sequence[str]
) -> list[str]:
    """Say which rows have no value in a value column, and which column is in percent."""
    notes = []
    for name, of in numbers.items():
        cells = sheet.list_column(columns.extra[name])
        if any(cell.endswith("%") for cell in cells):
            notes.append(f"column {name!r} is in percent")
        rows = [
            str(sheet.rows[index][0])
            for index, value in enumerate(of.values)
            if value is None and index not in of.beyond
        ]
        if rows and (name in wanted or not wanted) and not sheet.places:
            notes.append(f"column {name!r} has no value in rows {list_some(rows)}")
    return notes


def _read_parquet(
    path: AnyPath,
    wanted: Sequence[str],
    numeric: Iterable[str],
    stated: str | None,
    *,
    has_map: bool,
) -> Values:
    table = parquet.read_table(as_path(path), columns=col.WELL_KEY, what="values")
    table = name_columns(table, str(path), has_map=has_map)
    faults: list[Fault] = []
    absent: list[NoNumber] = []
    for name in dict.fromkeys([*wanted, *numeric]):
        if name not in table:
            continue
        texts = _list_texts(table[name])
        if not pd.api.types.is_numeric_dtype(table[name]):
            numbers = read_numbers(texts, stated=stated)
            for item in numbers.unread:
                cell = texts[item.place]
                faults.append(
                    Fault(str(path), item.message, item.place + 1, name, cell, item.expected)
                )
            table[name] = pd.array(numbers.values, dtype="Float64").to_numpy(
                dtype="float64", na_value=np.nan
            )
        values = table[name].to_numpy("float64", na_value=np.nan)
        for index in np.flatnonzero(~np.isfinite(values)):
            if texts[index]:
                place = (str(table[col.PLATE].iloc[index]), str(table[col.WELL].iloc[index]))
                absent.append(NoNumber(*place, name, int(index) + 1, texts[index]))
    if faults:
        raise FaultsError(f"values {path}", faults)
    empty = {name: int(table[name].isna().sum()) for name in wanted if name in table}
    notes = [f"column {name!r} has no value in {n} rows" for name, n in empty.items() if n]
    return Values(table, (), without_number=tuple(absent), notes=tuple(notes))


def _list_texts(column: pd.Series) -> list[str]:
    """Cells as text; nothing where there is none."""
    texts = []
    for value in column.astype(object):
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        text = "" if pd.isna(value) else str(value)
        texts.append(Stored(text, float(value)) if text and is_number else text)
    return texts


def _restore_own_names(table: pd.DataFrame) -> pd.DataFrame:
    """Undo the prefix that a plate map's further columns get, for numbers and flags."""
    names = {}
    for column in table.columns.difference([*col.WELL_KEY, *col.WELL_METADATA]):
        own = str(column).removeprefix("Metadata_")
        if own.casefold() in _FLAG_NAMES:
            names[column] = col.FLAGS
        elif pd.api.types.is_numeric_dtype(table[column]) and column != col.CELLS_AT_ZERO:
            names[column] = own
    return table.rename(columns=names)


def _list_numeric(table: pd.DataFrame) -> list[str]:
    own = [str(c) for c in table if not str(c).startswith("Metadata_") and c != col.N_CELLS]
    return [
        name
        for name in own
        if pd.api.types.is_numeric_dtype(table[name])
        and not pd.api.types.is_bool_dtype(table[name])
    ]


def _only_value(table: pd.DataFrame, path: AnyPath) -> tuple[str, ...]:
    found = _list_numeric(table)
    if len(found) == 1:
        return (found[0],)
    raise InputError(_ask_which(path, found))


def _ask_which(path: AnyPath, found: Sequence[str]) -> str:
    listed = ", ".join(repr(name) for name in found[:40]) or "none"
    return f"which column of {path} holds the values? Name it with --column; numeric are: {listed}"


def _require(table: pd.DataFrame, name: str, path: AnyPath) -> None:
    if name not in table:
        raise UnknownNameError("column", name, str(path), _list_numeric(table)[:40])


def _apply_plate_map(found: Values, plate_map: AnyPath, dialect: Dialect | None) -> Values:
    """Put the plate map's columns in place of the table's own."""
    table = found.table
    mapped = platemap.read_platemap(plate_map, dialect=dialect)
    names = {str(name): parse_well(str(name)) for name in table[col.WELL].unique()}
    if wrong := [name for name, well in names.items() if well is None]:
        msg = f"no well: {wrong[:20]}; expected names such as A1 or A01"
        raise InputError(msg)
    plates = [str(name) for name in table[col.PLATE].unique()]
    maps = {name: select_plate(mapped, name, plates) for name in plates}
    described = pd.concat(
        [platemap.to_frame(of).assign(**{col.PLATE: name}) for name, of in maps.items()],
        ignore_index=True,
    )
    table = table.assign(
        **{col.WELL: [names[str(w)].name for w in table[col.WELL]]}  # type: ignore[union-attr]
    )
    replaced = [c for c in described if c in table and c not in col.WELL_KEY]
    joined = table.drop(columns=replaced).merge(
        described, on=list(col.WELL_KEY), how="left", validate="m:1", indicator=True
    )
    lone = (joined.pop("_merge") == "left_only").to_numpy(bool)
    # A well of unknown content must neither pass for a treated one nor for a control.
    joined.loc[lone, col.PERT_TYPE] = PertType.EMPTY.value
    keys = joined.loc[lone, list(col.WELL_KEY)].drop_duplicates()
    unmapped = tuple((str(plate), str(well)) for plate, well in keys.itertuples(index=False))
    notes = (*found.notes, *_say_maps(maps.values()))
    return Values(joined, found.columns, unmapped, found.without_number, notes)


def _say_maps(maps: Iterable[PlateMap]) -> list[str]:
    return list(dict.fromkeys(f"plate map: {note}" for of in maps for note in of.notes))
