"""The plate at a glance: one array of small wells, each a file that its worker writes whole.

Thousands of fields take zarr-python half a minute to open, the wells of one array a moment. The
array stands beside the rows of the plate, where readers of OME-Zarr do not look. Its places are
rows and columns, so that a plate of a larger format, or a well of more fields, moves nothing.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import zarr
import zarr.errors
from numpy.typing import NDArray
from zarr.abc.store import Store
from zarr.storage import MemoryStore

from hcs.domain.ngff import Level
from hcs.domain.wells import PlateFormat, Well
from hcs.io.files.atomic import remove, write_bytes
from hcs.io.files.paths import AnyPath, as_path, as_text
from hcs.io.plates import shards
from hcs.io.plates.plate import open_store

WELL_PX: Final = 128
"""Edge of a well: enough for a picture of 384 wells on a screen, 1 to 6 % of the plate's bytes."""

_NAME: Final = "overview"


def create_overview(out: AnyPath, plate_format: PlateFormat, n_channels: int, dtype: str) -> None:
    """Write the document of the array; wells that were written for this one stay.

    Parameters
    ----------
    out
        The plate, whose group is there.
    plate_format
        Rows and columns.
    n_channels, dtype
        Of its fields. When they changed, so did every field: the old wells are removed.
    """
    shape = (*plate_format.value, n_channels, WELL_PX, WELL_PX)
    old = _open(out, read_only=False)
    if old is not None and _say_alike(old) == _say_alike(_create(MemoryStore(), shape, dtype)):
        if old.shape != shape:
            old.resize(tuple(map(max, shape, old.shape)))
        return
    remove(as_path(out) / _NAME)
    _create(open_store(out, read_only=False), shape, dtype)


def _say_alike(array: zarr.Array[Any]) -> tuple[object, ...]:
    """Name what arrays must have in common for wells of one to be read in the other."""
    return array.shape[2:], str(array.dtype), array.metadata.to_dict()["codecs"]


def _create(store: Store, shape: tuple[int, ...], dtype: str) -> zarr.Array[Any]:
    level = _level(shape[2])
    return zarr.create_array(
        store,
        name=_NAME,
        shape=shape,
        dtype=dtype,
        chunks=level.chunks,
        shards=level.shards,
        compressors=shards.codecs(dtype),
        fill_value=0,
        # Flat names: one folder for all wells, and no file system is slow at one folder.
        chunk_key_encoding={"name": "default", "separator": "."},
        dimension_names=["row", "column", "c", "y", "x"],
        zarr_format=3,
    )


def write_well_overview(out: AnyPath, well: Well, picture: NDArray[Any]) -> None:
    """Write one well ``(c, y, x)`` of the array, in one step."""
    level = _level(picture.shape[0])
    pieces = shards.encode_shard(picture[None, None], level.shards, level.chunks)
    place = f"{as_text(out)}/{_NAME}/c.{well.row}.{well.column}.0.0.0"
    write_bytes(place, b"".join(pieces))


def read_overview(plate: AnyPath, channel: int) -> NDArray[Any] | None:
    """Read one channel of all wells.

    Returns
    -------
    ndarray or None
        ``(row, column, y, x)``: all 0 where no well was written. None where the plate has no
        overview, as those of other programs, or where it is damaged.
    """
    array = _open(plate, read_only=True)
    if array is None:
        return None
    try:
        return np.asarray(array[:, :, channel])
    except (OSError, ValueError, RuntimeError):
        return None


def _level(n_channels: int) -> Level:
    """One well is a shard, one channel of it a chunk."""
    chunk = (1, 1, 1, WELL_PX, WELL_PX)
    return Level(1, chunk, chunk, (1, 1, n_channels, WELL_PX, WELL_PX))


def _open(plate: AnyPath, *, read_only: bool) -> zarr.Array[Any] | None:
    mode = "r" if read_only else "r+"
    try:
        return zarr.open_array(
            open_store(plate, read_only=read_only), path=_NAME, mode=mode, zarr_format=3
        )
    except (zarr.errors.ArrayNotFoundError, zarr.errors.NodeNotFoundError, FileNotFoundError):
        return None
