"""``models/``: all heads of a study in one Zarr group, and what is needed to use them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import zarr
import zarr.errors
from numpy.typing import NDArray

from hcs.errors import InputError, NotFoundError
from hcs.io.files.atomic import read_json, replacing
from hcs.io.files.paths import AnyPath, as_path
from hcs.io.plates.plate import open_store

HEADS: Final = "heads.zarr"
MANIFEST: Final = "manifest.json"
SPLITS: Final = "splits.json"
HISTORY: Final = "history.parquet"
TRIALS: Final = "trials.parquet"
PREDICTIONS: Final = "predictions.parquet"

Arrays = Mapping[str, NDArray[Any]]


def write_part(path: AnyPath, arrays: Arrays) -> None:
    """Write the arrays of some heads at once (plain arrays, nothing pickled)."""
    with replacing(path) as temporary, temporary.open("wb") as stream:
        np.savez(stream, allow_pickle=False, **dict(arrays))


def read_part(path: AnyPath) -> dict[str, NDArray[Any]]:
    """Read what :func:`write_part` wrote."""
    with as_path(path).open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}


def write_heads(folder: AnyPath, arrays: Arrays) -> None:
    """Write all heads: every array has the head as its first axis, one chunk a head."""
    path = as_path(folder) / HEADS
    group = zarr.create_group(open_store(path, read_only=False), overwrite=True, zarr_format=3)
    for name, values in arrays.items():
        array = group.create_array(
            name,
            shape=values.shape,
            dtype=values.dtype,
            chunks=(1, *(max(1, length) for length in values.shape[1:])),
            fill_value=0,
        )
        array[...] = values


def read_heads(folder: AnyPath) -> dict[str, NDArray[Any]]:
    """Read all heads.

    Raises
    ------
    NotFoundError
        When the folder holds none.
    """
    path = as_path(folder) / HEADS
    try:
        group = zarr.open_group(open_store(path, read_only=True), mode="r", zarr_format=3)
    except (zarr.errors.GroupNotFoundError, FileNotFoundError) as error:
        msg = f"{folder} holds no trained heads; hcs train writes them"
        raise NotFoundError(msg) from error
    return {name: np.asarray(array[...]) for name, array in group.arrays()}


def read_manifest(folder: AnyPath) -> dict[str, Any]:
    """Read how the heads were trained, and how images must be treated for them."""
    manifest = read_json(as_path(folder) / MANIFEST)
    if not isinstance(manifest, dict):
        msg = f"{folder}/{MANIFEST} holds {type(manifest).__name__}; a mapping was expected"
        raise InputError(msg)
    return manifest
