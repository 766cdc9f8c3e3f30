"""Reads tables of numbers that are not image scores: plate-reader values, any feature column."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import pandas as pd

from hcs.domain import columns as col
from hcs.domain.plate import PertType
from hcs.errors import InputError, UnknownNameError
from hcs.io.files import parquet
from hcs.io.files.paths import AnyPath, as_path
from hcs.io.sheets import cellhts, platemap
from hcs.io.sheets.cells import read_sheet

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
    """

    table: pd.DataFrame
    columns: tuple[str, ...]
    unmapped: tuple[tuple[str, str], ...] = ()


def list_files(path: AnyPath) -> list[str]:
    """List every file that a table of values consists of: a plate list names others beside it."""
    file = as_path(path)
    if file.suffix.lower() == ".parquet":
        return [str(file)]
    sheet = read_sheet(path)
    return [str(file), *(cellhts.list_files(path, sheet) if cellhts.is_plate_list(sheet) else ())]


def read_values(
    path: AnyPath,
    columns: Sequence[str] = (),
    *,
    cells: str | None = None,
    plate_map: AnyPath | None = None,
) -> Values:
    """Read a table of values.

    Parameters
    ----------
    path
        Parquet with ``Metadata_Plate`` and ``Metadata_Well``, one row a well or an image; CSV,
        TSV or XLSX with one row a well, under the column names that plate maps use; or the plate
        list of a cellHTS2 screen (columns Filename, Plate, Replicate).
    columns
        Value columns; without any, the only numeric column there is.
    cells
        Column of cell counts; by default ``Image_Count_Cells`` where there is one.
    plate_map
        What the wells hold, in place of what the table says.

    Raises
    ------
    NotFoundError, FaultsError
        When the file is absent or its rows cannot be read.
    UnknownNameError, InputError
        When a column does not exist, or it is not clear which one is meant.
    """
    table = _read(as_path(path))
    if cells is not None:
        _require(table, cells, path)
        table[col.N_CELLS] = table[cells]
    chosen = tuple(columns) or _only_value(table, path)
    for name in chosen:
        _require(table, name, path)
    if plate_map is None:
        return Values(table, chosen)
    return _apply_plate_map(table, chosen, plate_map)


def _read(file: AnyPath) -> pd.DataFrame:
    path = as_path(file)
    if path.suffix == ".parquet":
        return parquet.read_table(path, columns=col.WELL_KEY, what="values")
    sheet = read_sheet(path)
    if cellhts.is_plate_list(sheet):
        return cellhts.read_screen(path)
    table = platemap.to_frame(platemap.read_platemap(path))
    if table[col.PLATE].isna().any():
        if table[col.PLATE].notna().any():
            msg = f"{path} names the plate of some wells only; fill the column for all, or leave it"
            raise InputError(msg)
        table[col.PLATE] = path.stem
    return _restore_own_names(table)


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
    listed = ", ".join(repr(name) for name in found[:40]) or "none"
    msg = f"which column of {path} holds the values? Name it with --column; numeric are: {listed}"
    raise InputError(msg)


def _require(table: pd.DataFrame, name: str, path: AnyPath) -> None:
    if name not in table:
        raise UnknownNameError("column", name, str(path), _list_numeric(table)[:40])


def _apply_plate_map(table: pd.DataFrame, columns: tuple[str, ...], plate_map: AnyPath) -> Values:
    """Put the plate map's columns in place of the table's own."""
    mapped = platemap.read_platemap(plate_map)
    described = pd.concat(
        [
            platemap.to_frame(mapped.of_plate(str(name))).assign(**{col.PLATE: name})
            for name in table[col.PLATE].unique()
        ],
        ignore_index=True,
    )
    names = {str(name): platemap.parse_well(str(name)) for name in table[col.WELL].unique()}
    if wrong := [name for name, well in names.items() if well is None]:
        msg = f"no well: {wrong[:20]}; expected names such as A1 or A01"
        raise InputError(msg)
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
    return Values(joined, columns, unmapped)
