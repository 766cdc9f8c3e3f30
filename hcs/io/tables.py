"""Parquet tables: written at once, with provenance in the file itself."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from hcs.domain import tables
from hcs.errors import InputError, NotFoundError
from hcs.io import runs

_PROVENANCE_KEY: Final = b"hcs"


def write_table(
    path: runs.AnyPath, frame: pd.DataFrame, provenance: Mapping[str, Any] | None = None
) -> None:
    """Write a table as parquet, the provenance inside the file's own metadata."""
    table = pa.Table.from_pandas(frame, preserve_index=False)
    if provenance is not None:
        metadata = dict(table.schema.metadata or {})
        metadata[_PROVENANCE_KEY] = json.dumps(dict(provenance)).encode()
        table = table.replace_schema_metadata(metadata)
    with runs.replacing(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")


def read_table(
    path: runs.AnyPath,
    *,
    columns: Sequence[str] = (),
    what: str = "table",
) -> pd.DataFrame:
    """Read a parquet table.

    Parameters
    ----------
    path
        The file.
    columns
        Columns that must be there; all columns are read.
    what
        What the table is, for the error message.

    Raises
    ------
    NotFoundError
        When there is no such file.
    InputError
        When it is not parquet or lacks a column; the message lists those it has.
    """
    file = runs.as_path(path)
    if not file.exists():
        msg = f"{what} {file} does not exist"
        raise NotFoundError(msg)
    try:
        with file.open("rb") as stream:
            frame: pd.DataFrame = pq.read_table(stream).to_pandas()
    except pa.ArrowInvalid as error:
        msg = f"{what} {file} is not a parquet file: {error}"
        raise InputError(msg) from error
    if absent := [name for name in columns if name not in frame.columns]:
        msg = f"{what} {file} lacks {absent}; it has {list(frame.columns)}"
        raise InputError(msg)
    return frame


def read_provenance(path: runs.AnyPath) -> dict[str, Any]:
    """Provenance of a table that hcs wrote; empty when there is none."""
    with runs.as_path(path).open("rb") as stream:
        metadata = pq.read_schema(stream).metadata or {}
    raw = metadata.get(_PROVENANCE_KEY)
    return dict(json.loads(raw)) if raw else {}


def problems_frame(rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Return problems as a table with all of its columns, also when there are none."""
    frame = pd.DataFrame(list(rows), columns=list(tables.PROBLEM_COLUMNS))
    frame["kept"] = frame["kept"].fillna(value=False).astype(bool)
    frame[tables.SITE] = pd.to_numeric(frame[tables.SITE]).astype("Int64")
    text = [name for name in tables.PROBLEM_COLUMNS if name not in {"kept", tables.SITE}]
    frame[text] = frame[text].astype("string")
    return frame


def write_problems(out: runs.AnyPath, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write the problems of one output to ``<out>.hcs/problems.parquet``."""
    write_table(runs.sidecar(out) / "problems.parquet", problems_frame(rows))


def read_problems(out: runs.AnyPath) -> pd.DataFrame:
    """Problems of one output; an empty table when it has none."""
    file = runs.sidecar(out) / "problems.parquet"
    return read_table(file) if file.exists() else problems_frame([])
