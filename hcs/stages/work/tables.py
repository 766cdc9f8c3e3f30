"""Tables of a stage: fingerprints of their content, and parts of units joined with metadata."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from hcs.domain import columns as col
from hcs.io.files import parquet
from hcs.io.files.paths import AnyPath


def hash_rows(table: pd.DataFrame) -> str:
    """Fingerprint of a table's content: names, types and values; its index is left out.

    Two tables that differ in one cell, in the order of rows or in a column's name differ.
    """
    digest = hashlib.sha256(repr([str(name) for name in table.columns]).encode())
    values = pd.util.hash_pandas_object(table, index=False)
    digest.update(np.ascontiguousarray(values.to_numpy()).tobytes())
    return digest.hexdigest()[:20]


class Known:
    """What is known of the images of one plate, looked up by well and site.

    Parameters
    ----------
    images
        One row an image, with the columns of :data:`hcs.domain.columns.IMAGE_KEY` first.
    """

    def __init__(self, images: pd.DataFrame) -> None:
        self.table = pa.Table.from_pandas(images, preserve_index=False).replace_schema_metadata()
        keys = zip(images[col.WELL], images[col.SITE], strict=True)
        self._row_of = {(str(well), int(site)): row for row, (well, site) in enumerate(keys)}

    def find_rows(self, well: str, sites: NDArray[np.integer]) -> NDArray[np.int64]:
        """Rows of the images of one well ``(N,)``, −1 for those that are not known."""
        unique, inverse = np.unique(sites, return_inverse=True)
        rows = np.array([self._row_of.get((well, int(site)), -1) for site in unique], np.int64)
        return rows[inverse]


@dataclass(frozen=True, slots=True)
class Piece:
    """The part of one well, and what is known of its plate.

    Attributes
    ----------
    part
        Parquet file with the columns of :data:`hcs.domain.columns.IMAGE_KEY`.
    well
        Name of the well.
    known
        Of the plate.
    """

    part: AnyPath
    well: str
    known: Known


def join_pieces(
    pieces: Sequence[Piece],
    out: AnyPath,
    provenance: Mapping[str, Any],
    see: Callable[[pa.Table], object] = lambda _: None,
) -> int:
    """Put the parts of wells below one another, what is known of their images before the rest.

    Parameters
    ----------
    pieces
        In the order of the table; one is in memory at a time.
    out, provenance
        As of :func:`hcs.io.files.parquet.write_stream`.
    see
        Is shown every piece on its way.

    Returns
    -------
    int
        Number of rows.
    """

    def schemas() -> Iterator[pa.Schema]:
        found = 0
        for piece in pieces:
            own = parquet.read_schema(piece.part)
            if own is not None:
                found += 1
                yield _join_schemas(piece.known.table.schema, own)
        if not found and pieces:  # no rows at all: what is known of images, and no more
            yield pieces[0].known.table.schema

    def tables() -> Iterator[pa.Table]:
        for piece in pieces:
            joined = _join_piece(piece)
            if joined.num_rows:
                see(joined)
                yield joined

    return parquet.write_stream(out, schemas(), tables(), provenance)


def _join_schemas(about: pa.Schema, own: pa.Schema) -> pa.Schema:
    fields = [*about, *(field for field in own if field.name not in about.names)]
    by_name = {field.name: field for field in fields}
    return pa.schema([by_name[name] for name in keys_first(list(by_name))])


def keys_first(names: Sequence[str]) -> list[str]:
    """Put the time of a row beside the other keys, which stand first."""
    keys = [name for name in (*col.IMAGE_KEY, col.TIME, col.TIME_MIN) if name in names]
    return [*keys, *(name for name in names if name not in keys)]


def _join_piece(piece: Piece) -> pa.Table:
    """Join one part in Arrow: through pandas a well of 200 columns took 80 ms."""
    rows = parquet.read_arrow(piece.part)
    if not rows.num_rows:
        return rows
    about = piece.known.table
    places = piece.known.find_rows(piece.well, rows[col.SITE].to_numpy())
    rows = rows.filter(pa.array(places >= 0))
    joined = about.take(pa.array(places[places >= 0]))
    for name in rows.column_names:
        if name not in about.column_names:
            joined = joined.append_column(rows.schema.field(name), rows[name])
    return joined.select(keys_first(joined.column_names))
