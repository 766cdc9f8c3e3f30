"""Tables of a stage: fingerprints of their content, and parts of units joined with metadata."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

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


@dataclass(frozen=True, slots=True)
class Piece:
    """The part of one unit, and the images that it is about.

    Attributes
    ----------
    part
        Parquet file with the columns of :data:`hcs.domain.columns.IMAGE_KEY`.
    metadata
        What is known of the images, one row each.
    """

    part: AnyPath
    metadata: pd.DataFrame


def join_pieces(
    pieces: Sequence[Piece],
    out: AnyPath,
    provenance: Mapping[str, Any],
    see: Callable[[pd.DataFrame], object] = lambda _: None,
) -> int:
    """Put the parts of units below one another, what is known of their images before the rest.

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
    known: dict[int, pa.Schema] = {}

    def schemas() -> Iterator[pa.Schema]:
        for piece in pieces:
            own = parquet.read_schema(piece.part)
            if own is not None:
                about = known.setdefault(id(piece.metadata), pa.Schema.from_pandas(piece.metadata))
                further = [field for field in own if field.name not in about.names]
                yield pa.schema([*about, *further])
        if not known and pieces:  # no rows at all: what is known of images, and no more
            yield pa.Schema.from_pandas(pieces[0].metadata)

    def frames() -> Iterator[pd.DataFrame]:
        for piece in pieces:
            rows = parquet.read_table(piece.part)
            if len(rows):
                joined = piece.metadata.merge(rows, on=list(col.IMAGE_KEY), how="inner")
                see(joined)
                yield joined

    return parquet.write_stream(out, schemas(), frames(), provenance)
