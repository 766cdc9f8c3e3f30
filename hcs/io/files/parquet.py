"""Parquet tables: written at once, with provenance in the file itself."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, BinaryIO, Final

import pandas as pd
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from hcs.domain import columns as col
from hcs.errors import InputError
from hcs.io.files.atomic import replacing
from hcs.io.files.edge import FETCH_AGAIN, refuse_damage, refuse_special
from hcs.io.files.paths import AnyPath, as_path, sidecar
from hcs.io.files.spreadsheets import mark_text

_PROVENANCE_KEY: Final = b"hcs"

SUMMED: Final[dict[str, Any]] = {"write_page_checksum": True}
"""Tables are written with checksums, without which a flipped bit is another number."""

_WRITTEN: Final = {"compression": "zstd", **SUMMED}

CHECKED: Final[dict[str, Any]] = {"page_checksum_verification": True}

_GROUP_ROWS: Final = 64 * 1024
"""Rows that are written at once: readers are slow with many small row groups."""

_MERGED_PIECES: Final = 64
"""Pieces that wait as they are: of one row each, those of 9,216 wells took 108 MiB."""


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
        pq.write_table(table, temporary, **_WRITTEN)


def write_both(
    path: AnyPath,
    frame: pd.DataFrame,
    provenance: Mapping[str, Any] | None = None,
    *,
    csv: AnyPath | None = None,
) -> None:
    """Write a table as parquet and, for spreadsheets, as CSV (of the same name by default)."""
    write_table(path, frame, provenance)
    table = pa.Table.from_pandas(mark_text(frame), preserve_index=False)
    with replacing(csv or as_path(path).with_suffix(".csv")) as temporary:
        pa_csv.write_csv(table, temporary, pa_csv.WriteOptions(quoting_style="needed"))


def write_stream(
    path: AnyPath,
    schemas: Iterable[pa.Schema],
    tables: Iterable[pd.DataFrame | pa.Table],
    provenance: Mapping[str, Any] | None = None,
) -> int:
    """Write a table piece by piece; a piece at a time is in memory.

    Parameters
    ----------
    path
        The file, which takes its place when all is written.
    schemas
        Of all pieces. A column is of a type that holds all of its values; where a piece lacks it,
        it is null.
    tables
        The pieces, in order; those without rows leave nothing behind.
    provenance
        Kept in the file's own metadata.

    Returns
    -------
    int
        Number of rows.

    Raises
    ------
    InputError
        When a column holds text in one piece and numbers in another.
    """
    schema = _unify(schemas)
    said = {} if provenance is None else {_PROVENANCE_KEY: json.dumps(dict(provenance)).encode()}
    n_rows = 0
    with (
        replacing(path) as temporary,
        pq.ParquetWriter(temporary, schema.with_metadata(said), **_WRITTEN) as writer,
    ):
        for group in _gather_groups(_with_schema(piece, schema) for piece in tables if len(piece)):
            writer.write_table(group)
            n_rows += group.num_rows
    return n_rows


def _gather_groups(pieces: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """Gather pieces into groups of rows to write."""
    merged: list[pa.Table] = []
    small: list[pa.Table] = []
    for piece in pieces:
        small.append(piece)
        full = sum(table.num_rows for table in (*merged, *small)) >= _GROUP_ROWS
        if full or len(small) == _MERGED_PIECES:
            merged.append(pa.concat_tables(small).combine_chunks())
            small = []
        if full:
            yield pa.concat_tables(merged)
            merged = []
    if merged or small:
        yield pa.concat_tables([*merged, *small])


@contextmanager
def open_table(path: AnyPath, what: str = "table", remedy: str = FETCH_AGAIN) -> Iterator[BinaryIO]:
    """Open a parquet file; what Arrow raises on it within the block is one sentence.

    Raises
    ------
    NotFoundError
        When there is no such file.
    InputError
        When it is no ordinary file, or not (whole) parquet.
    """
    refuse_special(path, what)
    with refuse_damage(path, what, remedy), as_path(path).open("rb") as stream:
        yield stream


def count_rows(path: AnyPath) -> int:
    """Count the rows of a parquet file."""
    with open_table(path) as stream:
        return int(pq.ParquetFile(stream).metadata.num_rows)


def read_arrow(path: AnyPath) -> pa.Table:
    """Read a parquet file that hcs wrote as an Arrow table."""
    with open_table(path) as stream:
        return pq.read_table(stream, **CHECKED).replace_schema_metadata()


def read_schema(path: AnyPath) -> pa.Schema | None:
    """Read the columns of a parquet file; None when it has no rows."""
    with open_table(path) as stream:
        file = pq.ParquetFile(stream)
        return file.schema_arrow.remove_metadata() if file.metadata.num_rows else None


def _unify(schemas: Iterable[pa.Schema]) -> pa.Schema:
    found = list(dict.fromkeys(schema.remove_metadata() for schema in schemas))
    try:
        return pa.unify_schemas(found, promote_options="permissive")
    except (pa.ArrowTypeError, pa.ArrowInvalid) as error:
        msg = (
            f"a column holds text on some plates and numbers on others ({error}): write it the "
            "same way in every plate map"
        )
        raise InputError(msg) from error


def _with_schema(piece: pd.DataFrame | pa.Table, schema: pa.Schema) -> pa.Table:
    table = piece
    if isinstance(piece, pd.DataFrame):
        table = pa.Table.from_pandas(piece, preserve_index=False)
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
    with ExitStack() as stack:
        with open_table(path, what):
            stream = stack.enter_context(as_path(path).open("rb"))
            source = pq.ParquetFile(stream, **CHECKED)
            names, count = source.schema_arrow.names, source.num_row_groups
        _require_columns(names, columns, what, path)
        for index in range(count):
            with refuse_damage(path, what):
                frame = _to_pandas(source.read_row_group(index))
            yield frame


def _to_pandas(table: pa.Table) -> pd.DataFrame:
    """Turn a table into pandas' kind; whole numbers stay whole beside blanks: 1, never 1.0."""
    frame: pd.DataFrame = table.to_pandas()
    if list(frame.columns) != table.column_names:  # what pandas noted in the file is another's
        frame = table.to_pandas(ignore_metadata=True)
    for field in table.schema:
        if pa.types.is_integer(field.type) and table[field.name].null_count:
            frame[field.name] = table[field.name].to_pandas(types_mapper=lambda _: pd.Int64Dtype())
    return frame


_LISTED = 12
"""Columns that a message names."""


def _require_columns(
    existing: Sequence[str], columns: Sequence[str], what: str, file: AnyPath
) -> None:
    if absent := [name for name in columns if name not in existing]:
        more = f" and {len(existing) - _LISTED} more" if len(existing) > _LISTED else ""
        msg = f"{what} {file} lacks {absent}; it has {list(existing)[:_LISTED]}{more}"
        if what == "predictions":
            msg += ". Other values, such as features, are given to hcs hits with --values"
        raise InputError(msg)


def read_table(
    path: AnyPath,
    *,
    columns: Sequence[str] = (),
    what: str = "table",
    only: Mapping[str, str] | None = None,
    no_others: bool = False,
    optional: Sequence[str] = (),
) -> pd.DataFrame:
    """Read a parquet table.

    Parameters
    ----------
    path
        The file.
    columns
        Columns that must be there.
    what
        What the table is, for the error message.
    no_others
        Whether other columns are left unread; else all are read.
    optional
        Columns that are read as well where they are there.
    only
        Values that columns must have: other rows are not read.

    Raises
    ------
    NotFoundError
        When there is no such file.
    InputError
        When it is not parquet or lacks a column; the message lists those it has.
    """
    filters = [(name, "==", value) for name, value in (only or {}).items()] or None
    with open_table(path, what) as stream:
        names = pq.read_schema(stream).names
        _require_columns(names, columns, what, path)
        stream.seek(0)
        more = [name for name in optional if name in names]
        chosen = [*columns, *more] if no_others else None
        return _to_pandas(pq.read_table(stream, columns=chosen, filters=filters, **CHECKED))


def read_provenance(path: AnyPath) -> dict[str, Any]:
    """Provenance of a table that hcs wrote; empty when there is none."""
    with open_table(path) as stream:
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
