"""Tables of a plate, in ngio's layout with the parquet backend: one row a field, or a well."""

from __future__ import annotations

import io
import json
from typing import Final

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from upath import UPath

from hcs.domain import columns as col
from hcs.errors import InputError
from hcs.io.files.atomic import replacing, write_bytes
from hcs.io.files.durable import sync_disks
from hcs.io.files.parquet import CHECKED, SUMMED, open_table
from hcs.io.files.paths import AnyPath, as_path, sidecar
from hcs.io.plates import shards

IMAGES: Final = "images"
WELLS: Final = "wells"

FOLDER: Final = "tables"
_INSIDE: Final = r"(?!\.{1,2}(?:/|$))[^/\\\x00-\x1f]+(?:/(?!\.{1,2}(?:/|$))[^/\\\x00-\x1f]+)*"
"""A path of names that leads further in, and nowhere else."""

_WELL: Final = r"[A-Za-z]{1,2}\d{1,3}"

_REMEDY: Final = "remove it, and run the command again that wrote it"
_FILE: Final = "table.parquet"
_KIND: Final = {"backend": "parquet", "type": "generic_table", "table_version": "1"}


def write_plate_table(out: AnyPath, name: str, frame: pd.DataFrame) -> None:
    """Write a table under ``tables/<name>`` and list it there.

    A plate of OME-Zarr 0.4 is used as it is: its table goes beside it.
    """
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), sink, **SUMMED)
    if is_version_04(out):
        _write_whole(_locate_beside(out, name), sink.getvalue())
        return
    folder = as_path(out) / FOLDER
    _write_whole(folder / name / _FILE, sink.getvalue())
    write_bytes(folder / name / shards.DOCUMENT, shards.group_document(_KIND))
    listing = folder / shards.DOCUMENT
    listed = []
    if listing.exists():
        listed = list(json.loads(listing.read_text())["attributes"].get("tables", []))
    if name not in listed:
        write_bytes(listing, shards.group_document({"tables": [*listed, name]}))


def _write_whole(file: UPath, data: bytes) -> None:
    """Write a file that the next run reads before it knows what is whole.

    Its content is on the disk before its name: a power cut left a table without a byte, and a stack
    that could not go on.
    """
    with replacing(file) as temporary:
        temporary.write_bytes(data)
        sync_disks([temporary])


def read_plate_table(plate: AnyPath, name: str) -> pd.DataFrame | None:
    """Read a table of a plate, None when it has no such table."""
    file = table_path(plate, name)
    if not file.exists():
        return None
    with open_table(file, "plate table", _REMEDY) as stream:
        frame: pd.DataFrame = pq.read_table(stream, **CHECKED).to_pandas()
    if name in {IMAGES, WELLS} and col.WELL not in frame:
        raise InputError(f"plate table {file} lacks {col.WELL}: {_REMEDY}")
    return frame


def table_path(plate: AnyPath, name: str) -> UPath:
    """Return the parquet file of a plate table, which may not exist."""
    return _locate_beside(plate, name) if is_version_04(plate) else _locate_inside(plate, name)


def is_version_04(plate: AnyPath) -> bool:
    """Whether a plate is of OME-Zarr 0.4, whose format (Zarr v2) hcs reads and does not write."""
    return (as_path(plate) / ".zgroup").exists()


def _locate_inside(plate: AnyPath, name: str) -> UPath:
    return as_path(plate) / FOLDER / name / _FILE


def _locate_beside(plate: AnyPath, name: str) -> UPath:
    return sidecar(plate) / FOLDER / f"{name}.parquet"


def check_images(path: str, images: pd.DataFrame) -> None:
    """Refuse a table of images that could not be told apart, or lie elsewhere than in the plate.

    Parameters
    ----------
    path
        The plate, for messages.
    images
        One row an image: well, site, and the image's path in the plate.

    Raises
    ------
    InputError
        When a column is absent or a path leads out of the plate, or two rows are one image.
    """
    if absent := [name for name in (col.WELL, col.SITE, col.FIELD_PATH) if name not in images]:
        msg = f"the table of images of {path} lacks {absent}: {_REMEDY}"
        raise InputError(msg)
    for column, pattern in ((col.FIELD_PATH, _INSIDE), (col.WELL, _WELL)):
        values = images[column].astype("string").fillna("")
        odd = values[~values.str.fullmatch(pattern)]
        if len(odd):
            msg = f"the table of images of {path} holds {odd.iloc[0]!r} in {column}: {_REMEDY}"
            raise InputError(msg)
    twice = images[images.duplicated([col.WELL, col.SITE], keep=False)]
    if len(twice):
        named = twice[[col.WELL, col.SITE]].drop_duplicates().to_numpy().tolist()[:5]
        msg = f"{path} lists several images for one well and site: {named}"
        raise InputError(msg)


def keep_whole_numbers(wells: pd.DataFrame) -> pd.DataFrame:
    """Let whole numbers stay whole where a join leaves blanks: a clone 1 must not become 1.0."""
    whole = [name for name in wells if pd.api.types.is_integer_dtype(wells[name].dtype)]
    return wells.astype(dict.fromkeys(whole, "Int64"))
