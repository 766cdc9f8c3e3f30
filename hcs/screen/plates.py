"""A table of wells as arrays: which plate, batch and model, where on the plate, what it holds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import pandas as pd

from hcs.domain import columns as col
from hcs.domain.plate import PertType
from hcs.domain.wells import PlateFormat, Well
from hcs.errors import InputError, UnknownNameError
from hcs.screen.groups import Codes, Flags, Floats

NO_MODEL: Final = "score"
"""Name of the model where a table of wells has none."""


@dataclass(frozen=True, slots=True)
class PlateStack:
    """All plates of one format, and where their wells stand in the table.

    Attributes
    ----------
    plate_format
        The format that these plates share.
    index
        Row of the table for every position, shape ``(P, R, C)``; −1 where there is no well.
    """

    plate_format: PlateFormat
    index: Codes

    def gather(self, values: Floats) -> Floats:
        """Put table values onto the plates, shape ``(P, R, C)``; NaN where there is no well."""
        return np.where(self.index >= 0, values[self.index], np.nan)

    def gather_flags(self, flags: Flags) -> Flags:
        """Put table flags onto the plates, shape ``(P, R, C)``; false where there is no well."""
        return (self.index >= 0) & flags[self.index]

    def scatter(self, plates: Floats, out: Floats) -> None:
        """Write plate values back to the rows of the table that they came from."""
        present = self.index >= 0
        out[self.index[present]] = plates[present]


@dataclass(frozen=True, slots=True)
class Screen:
    """The wells of a screen as arrays of ``N`` wells.

    Attributes
    ----------
    value
        What is measured: the log-odds of the score where the table has them, else the score; NaN
        where missing.
    score
        The score as it came.
    plate, batch, model
        Codes; `plate` numbers the rows of `plates`. A plate or batch belongs to one model, so
        that two models on one plate never mix.
    row, column
        0-based position on the plate.
    is_negcon, is_poscon, is_sample
        What the well holds, usable or not. Wells without ``Metadata_pert_type`` are samples;
        ``empty`` wells are none of the three.
    usable
        Whether the well is free of flags and its value finite.
    cells
        Cell count; NaN where not counted.
    plates
        One row a plate: ``model``, ``Metadata_Plate``, and ``Metadata_Batch`` where known.
    """

    value: Floats
    score: Floats
    plate: Codes
    batch: Codes
    model: Codes
    row: Codes
    column: Codes
    is_negcon: Flags
    is_poscon: Flags
    is_sample: Flags
    usable: Flags
    cells: Floats
    plates: pd.DataFrame

    @property
    def n_plates(self) -> int:
        """Number of plates, counted once a model."""
        return len(self.plates)

    @property
    def n_batches(self) -> int:
        """Number of batches, counted once a model."""
        return int(self.batch.max(initial=-1)) + 1

    @property
    def n_models(self) -> int:
        """Number of models."""
        return int(self.model.max(initial=-1)) + 1

    def with_value(self, value: Floats) -> Screen:
        """Return the same wells with other values; what is missing now is no longer usable."""
        return replace(self, value=value, usable=self.usable & np.isfinite(value))

    def groups(self, over: str) -> tuple[Codes, int]:
        """Codes and number of plates or of batches."""
        if over == "batch":
            return self.batch, self.n_batches
        return self.plate, self.n_plates

    def stacks(self) -> Iterator[PlateStack]:
        """Plates grouped by the smallest standard format that holds their wells."""
        format_code, formats = self._formats()
        for code in np.unique(format_code):
            plate_format = formats[code]
            members = np.flatnonzero(format_code == code)
            slot = np.full(self.n_plates, -1, dtype=np.intp)
            slot[members] = np.arange(members.size)
            rows = np.flatnonzero(slot[self.plate] >= 0)
            shape = (members.size, plate_format.n_rows, plate_format.n_columns)
            index = np.full(shape, -1, dtype=np.intp)
            index[slot[self.plate[rows]], self.row[rows], self.column[rows]] = rows
            yield PlateStack(plate_format, index)

    def is_edge(self) -> Flags:
        """Whether each well lies in the outermost rows or columns of its plate's format."""
        format_code, formats = self._formats()
        sizes = np.array([plate_format.value for plate_format in formats])[format_code[self.plate]]
        n_rows, n_columns = sizes.reshape(-1, 2).T
        edge: Flags = (self.row == 0) | (self.row == n_rows - 1)
        edge |= (self.column == 0) | (self.column == n_columns - 1)
        return edge

    def _formats(self) -> tuple[Codes, list[PlateFormat]]:
        """Format code of every plate: the smallest format that holds all of its wells."""
        formats = list(PlateFormat)
        last = np.zeros((2, self.n_plates), dtype=np.intp)
        np.maximum.at(last[0], self.plate, self.row)
        np.maximum.at(last[1], self.plate, self.column)
        sizes = np.array([plate_format.value for plate_format in formats])
        fits = (last[0][:, None] < sizes[:, 0]) & (last[1][:, None] < sizes[:, 1])
        if not fits.any(axis=1).all():
            beyond = self.plates[col.PLATE].to_numpy()[~fits.any(axis=1)]
            msg = f"plates {sorted(map(str, beyond))} have wells outside every format up to 1536"
            raise InputError(msg)
        return fits.argmax(axis=1).astype(np.intp), formats


def read_wells(wells: pd.DataFrame) -> Screen:
    """Turn a table of wells (see :func:`hcs.screen.aggregate.well_scores`) into arrays.

    Parameters
    ----------
    wells
        One row a model × plate × well: ``Metadata_Plate``, ``Metadata_Well``, ``score``;
        optionally ``log_odds``, ``model``, ``Metadata_Batch``, ``Metadata_pert_type``,
        ``Image_Count_Cells``, ``usable``.

    Returns
    -------
    Screen
        Arrays in the order of the table; an empty table gives empty arrays.

    Raises
    ------
    UnknownNameError
        When a needed column is absent.
    InputError
        When a well stands twice on a plate, or a well name cannot be read.
    """
    for name in (col.SCORE, *col.WELL_KEY):
        if name not in wells:
            raise UnknownNameError("column", name, "the table of wells", list(wells.columns))
    model = _factorize(wells, col.MODEL)
    plate, first = _nest(model, _factorize(wells, col.PLATE))
    batch, _ = _nest(model, _factorize(wells, col.BATCH))
    row, column = _positions(wells[col.WELL])
    _refuse_twice(wells, plate, row, column)
    score = wells[col.SCORE].to_numpy(np.float64, na_value=np.nan)
    value = score
    if col.LOG_ODDS in wells:
        value = wells[col.LOG_ODDS].to_numpy(np.float64, na_value=np.nan)
    kind = read_kinds(wells)
    usable = np.isfinite(value)
    if col.USABLE in wells:
        usable &= wells[col.USABLE].to_numpy(bool)
    return Screen(
        value=value,
        score=score,
        plate=plate,
        batch=batch,
        model=model,
        row=row,
        column=column,
        is_negcon=kind == PertType.NEGCON.value,
        is_poscon=kind == PertType.POSCON.value,
        is_sample=kind == PertType.TREATMENT.value,
        usable=usable,
        cells=_cells(wells),
        plates=_plate_rows(wells, first),
    )


def _factorize(wells: pd.DataFrame, column: str) -> Codes:
    if column not in wells:
        return np.zeros(len(wells), dtype=np.intp)
    return pd.factorize(wells[column], use_na_sentinel=False)[0].astype(np.intp)


def _nest(outer: Codes, inner: Codes) -> tuple[Codes, Codes]:
    """Codes of the pairs in order of appearance, and the first row of each."""
    pair = outer * (int(inner.max(initial=0)) + 1) + inner
    _, first, codes = np.unique(pair, return_index=True, return_inverse=True)
    order = np.argsort(first)
    rank = np.empty_like(order)
    rank[order] = np.arange(order.size)
    return rank[codes].astype(np.intp), first[order].astype(np.intp)


def _positions(names: pd.Series) -> tuple[Codes, Codes]:
    codes, unique = pd.factorize(names.astype(str))
    parsed = [Well.parse(name) for name in unique]
    rows = np.array([well.row for well in parsed], dtype=np.intp)
    columns = np.array([well.column for well in parsed], dtype=np.intp)
    return rows[codes], columns[codes]


def _refuse_twice(wells: pd.DataFrame, plate: Codes, row: Codes, column: Codes) -> None:
    position = (plate * (int(row.max(initial=0)) + 1) + row) * (int(column.max(initial=0)) + 1)
    _, counts = np.unique(position + column, return_counts=True)
    if (counts > 1).any():
        keys = [k for k in (col.MODEL, *col.WELL_KEY) if k in wells]
        twice = wells[wells.duplicated(keys)][keys].head(5).astype(str).agg(" ".join, axis=1)
        msg = f"{int((counts - 1).sum())} wells stand more than once, such as {list(twice)}"
        raise InputError(msg)


def read_kinds(wells: pd.DataFrame) -> np.ndarray[tuple[int], np.dtype[np.object_]]:
    """Read the kind of every well, shape ``(N,)``; unknown and missing kinds are treatments."""
    if col.PERT_TYPE not in wells:
        return np.full(len(wells), PertType.TREATMENT.value, dtype=object)
    codes, unique = pd.factorize(wells[col.PERT_TYPE])
    known = {PertType.NEGCON.value, PertType.POSCON.value, PertType.EMPTY.value}
    texts = [str(name).strip().lower() for name in unique]
    kinds = [name if name in known else PertType.TREATMENT.value for name in texts]
    # The last entry serves code −1, which pandas gives to missing values.
    return np.array([*kinds, PertType.TREATMENT.value], dtype=object)[codes]


def _cells(wells: pd.DataFrame) -> Floats:
    if col.N_CELLS not in wells:
        return np.full(len(wells), np.nan)
    return wells[col.N_CELLS].to_numpy(np.float64, na_value=np.nan)


def _plate_rows(wells: pd.DataFrame, first: Codes) -> pd.DataFrame:
    columns = [c for c in (col.MODEL, col.PLATE, col.BATCH) if c in wells]
    rows = wells[columns].iloc[first].reset_index(drop=True)
    if col.MODEL not in rows:
        rows.insert(0, col.MODEL, NO_MODEL)
    return rows
