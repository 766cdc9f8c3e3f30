"""Parquet tables: written at once, with provenance in the file itself."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

import pandas as pd
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from hcs.domain import columns as col
from hcs.errors import InputError, NotFoundError
from hcs.io.files.atomic import replacing
from hcs.io.files.paths import AnyPath, as_path, sidecar

_PROVENANCE_KEY: Final = b"hcs"


def write_table(
    path: AnyPath, frame: pd.DataFrame, provenance: Mapping[str, Any] | None = None
) -> None:
    """Write a table as parquet, the provenance inside the file's own metadata."""
    table = pa.Table.from_pandas(frame, preserve_index=False)
    if provenance is not None:
        metadata = dict(table.schema.metadata or {})
        metadata[_PROVENANCE_KEY] = json.dumps(dict(provenance)).encode()
        table = table.replace_schema_metadata(metadata)
    with replacing(path) as temporary:
        pq.write_table(table, temporary, compression="zstd")


def write_both(
    path: AnyPath, frame: pd.DataFrame, provenance: Mapping[str, Any] | None = None
) -> None:
    """Write a table as parquet and, for spreadsheets, as CSV of the same name."""
    write_table(path, frame, provenance)
    table = pa.Table.from_pandas(frame, preserve_index=False)
    with replacing(as_path(path).with_suffix(".csv")) as temporary:
        pa_csv.write_csv(table, temporary, pa_csv.WriteOptions(quoting_style="needed"))


def join_tables(parts: Sequence[AnyPath], out: AnyPath, provenance: Mapping[str, Any]) -> int:
    """Put tables one below the other into one file, one part in memory at a time.

    Parameters
    ----------
    parts
        Parquet files, in order. A column that a part lacks, or has only nulls in, is null there.
    out, provenance
        As of :func:`write_table`.

    Returns
    -------
    int
        Number of rows. Parts without rows leave nothing behind, not even the types that their
        columns happen to have.
    """
    schema = _common_schema(parts)
    metadata = {_PROVENANCE_KEY: json.dumps(dict(provenance)).encode()}
    n_rows = 0
    with (
        replacing(out) as temporary,
        pq.ParquetWriter(temporary, schema.with_metadata(metadata), compression="zstd") as writer,
    ):
        for part in parts:
            with as_path(part).open("rb") as stream:
                table = pq.read_table(stream)
            if table.num_rows:
                writer.write_table(_with_schema(table, schema))
                n_rows += table.num_rows
    return n_rows


def _common_schema(parts: Sequence[AnyPath]) -> pa.Schema:
    """Columns of all parts that have rows, each of a type that holds all of its values."""
    filled: list[pa.Schema] = []
    empty: list[pa.Schema] = []
    for part in parts:
        with as_path(part).open("rb") as stream:
            file = pq.ParquetFile(stream)
            (filled if file.metadata.num_rows else empty).append(
                file.schema_arrow.remove_metadata()
            )
    return pa.unify_schemas(filled or empty[:1], promote_options="permissive")


def _with_schema(table: pa.Table, schema: pa.Schema) -> pa.Table:
    columns = [
        table[field.name].cast(field.type)
        if field.name in table.column_names
        else pa.nulls(table.num_rows, field.type)
        for field in schema
    ]
    return pa.Table.from_arrays(columns, schema=schema)


def row_groups(
    path: AnyPath, *, columns: Sequence[str] = (), what: str = "table"
) -> Iterator[pd.DataFrame]:
    """Read a parquet table piece by piece, as it was written.

    Parameters and errors as of :func:`read_table`.
    """
    file = as_path(path)
    if not file.exists():
        msg = f"{what} {file} does not exist"
        raise NotFoundError(msg)
    with file.open("rb") as stream:
        try:
            source = pq.ParquetFile(stream)
        except pa.ArrowInvalid as error:
            msg = f"{what} {file} is not a parquet file: {error}"
            raise InputError(msg) from error
        _require_columns(source.schema_arrow.names, columns, what, file)
        for index in range(source.num_row_groups):
            yield source.read_row_group(index).to_pandas()


def _require_columns(
    existing: Sequence[str], columns: Sequence[str], what: str, file: AnyPath
) -> None:
    if absent := [name for name in columns if name not in existing]:
        msg = f"{what} {file} lacks {absent}; it has {list(existing)}"
        raise InputError(msg)


def read_table(
    path: AnyPath,
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
    file = as_path(path)
    if not file.exists():
        msg = f"{what} {file} does not exist"
        raise NotFoundError(msg)
    try:
        with file.open("rb") as stream:
            frame: pd.DataFrame = pq.read_table(stream).to_pandas()
    except pa.ArrowInvalid as error:
        msg = f"{what} {file} is not a parquet file: {error}"
        raise InputError(msg) from error
    _require_columns(list(frame.columns), columns, what, file)
    return frame


def read_provenance(path: AnyPath) -> dict[str, Any]:
    """Provenance of a table that hcs wrote; empty when there is none."""
    with as_path(path).open("rb") as stream:
        metadata = pq.read_schema(stream).metadata or {}
    raw = metadata.get(_PROVENANCE_KEY)
    return dict(json.loads(raw)) if raw else {}


def problems_frame(rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    """Return problems as a table with all of its columns, also when there are none."""
    frame = pd.DataFrame(list(rows), columns=list(col.PROBLEM_COLUMNS))
    frame["kept"] = frame["kept"].fillna(value=False).astype(bool)
    frame[col.SITE] = pd.to_numeric(frame[col.SITE]).astype("Int64")
    text = [name for name in col.PROBLEM_COLUMNS if name not in {"kept", col.SITE}]
    frame[text] = frame[text].astype("string")
    return frame


def write_problems(out: AnyPath, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write the problems of one output to ``<out>.hcs/problems.parquet``."""
    write_table(sidecar(out) / "problems.parquet", problems_frame(rows))


def read_problems(out: AnyPath) -> pd.DataFrame:
    """Problems of one output; an empty table when it has none."""
    file = sidecar(out) / "problems.parquet"
    return read_table(file) if file.exists() else problems_frame([])
