"""``models/``: all heads of a study in one Zarr group, and what is needed to use them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import zarr
import zarr.errors
from numpy.typing import NDArray

from hcs.errors import InputError, NotFoundError, StaleError
from hcs.io.files.atomic import read_json, replacing
from hcs.io.files.edge import refuse_damage
from hcs.io.files.paths import AnyPath, as_path
from hcs.io.plates.codecs import open_array
from hcs.io.plates.plate import open_store
from hcs.io.runs.fingerprints import plain

HEADS: Final = "heads.zarr"
MANIFEST: Final = "manifest.json"
SPLITS: Final = "splits.json"
HISTORY: Final = "history.parquet"
TRIALS: Final = "trials.parquet"
PREDICTIONS: Final = "predictions.parquet"

FORMAT: Final = 3
"""Version of the folder; raised when older ones can no longer be read."""

_AGAIN: Final = "run hcs train or hcs forest again"

_OF_HEADS: Final[Mapping[str, type]] = {
    "images": dict,
    "backbone": dict,
    "weights": str,
    "weights_fingerprint": str,
    "heads_fingerprint": str,
    "classes": list,
    "positive": str,
}
_OF_FOREST: Final[Mapping[str, type]] = {
    "features": list,
    "forests": dict,
    "classes": list,
    "positive": str,
}
"""What a manifest must say, and as what kind of value."""

_FORMAT_KEY: Final = "format"
_MARK: Final = "heads_fingerprint"

Arrays = Mapping[str, NDArray[Any]]


def write_part(path: AnyPath, arrays: Arrays) -> None:
    """Write the arrays of some heads at once (plain arrays, nothing pickled)."""
    with replacing(path) as temporary, temporary.open("wb") as stream:
        np.savez(stream, allow_pickle=False, **dict(arrays))


def read_part(path: AnyPath) -> dict[str, NDArray[Any]]:
    """Read what :func:`write_part` wrote."""
    with as_path(path).open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}


def fingerprint_heads(arrays: Arrays) -> str:
    """Fingerprint of heads by content: the same for the same weights, wherever they lie."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        values = np.ascontiguousarray(arrays[name])
        digest.update(f"{name} {values.dtype.str} {values.shape};".encode())
        digest.update(values.data)
    return f"sha256:{digest.hexdigest()}"


def write_heads(path: Path, arrays: Arrays) -> str:
    """Write all heads as a new Zarr group: one chunk a head along the first axis of every array.

    Returns
    -------
    str
        Their fingerprint, which belongs into the manifest.
    """
    group = zarr.create_group(open_store(str(path), read_only=False), zarr_format=3)
    for name, values in arrays.items():
        array = group.create_array(
            name,
            shape=values.shape,
            dtype=values.dtype,
            chunks=(1, *(max(1, length) for length in values.shape[1:])),
            fill_value=0,
        )
        array[...] = values
    return fingerprint_heads(arrays)


def read_heads(folder: AnyPath) -> dict[str, NDArray[Any]]:
    """Read all heads.

    Raises
    ------
    NotFoundError
        When the folder holds none.
    StaleError
        When they are not those that were written: a lost or damaged chunk reads as zeros.
    """
    path = as_path(folder) / HEADS
    with refuse_damage(path, "heads", "run hcs train again"):
        try:
            group = zarr.open_group(open_store(path, read_only=True), mode="r", zarr_format=3)
        except (zarr.errors.GroupNotFoundError, FileNotFoundError) as error:
            msg = f"{folder} holds no trained heads; hcs train writes them"
            raise NotFoundError(msg) from error
        arrays = {
            name: np.asarray(open_array(group, name, f"{path}/{name}")[...])
            for name in group.array_keys()
        }
    if fingerprint_heads(arrays) != read_manifest(folder).get(_MARK):
        msg = (
            f"the heads in {path} are not those that were trained: a file of them is lost, damaged "
            "or from elsewhere; run hcs train again"
        )
        raise StaleError(msg)
    return arrays


def write_manifest(path: Path, manifest: Mapping[str, Any]) -> None:
    """Write how models were trained, and how images must be treated for them."""
    text = json.dumps(plain({_FORMAT_KEY: FORMAT, **manifest}), indent=1, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")


def read_manifest(folder: AnyPath) -> dict[str, Any]:
    """Read how the heads were trained, and how images must be treated for them.

    Raises
    ------
    NotFoundError, InputError
        When there is no manifest, or it is none.
    StaleError
        When another version of hcs wrote it.
    """
    file = as_path(folder) / MANIFEST
    if not file.exists():
        msg = f"{folder} holds no models (no {MANIFEST}): hcs train or hcs forest makes them"
        raise NotFoundError(msg)
    manifest = read_json(file, "manifest of models", _AGAIN)
    if not isinstance(manifest, dict):
        msg = f"{folder}/{MANIFEST} holds {type(manifest).__name__}; a mapping was expected"
        raise InputError(msg)
    if manifest.get(_FORMAT_KEY) != FORMAT:
        msg = (
            f"{folder} was written by another version of hcs (format "
            f"{manifest.get(_FORMAT_KEY, 1)}, this one writes {FORMAT}): run hcs train or hcs "
            "forest again"
        )
        raise StaleError(msg)
    is_forest = "features" in manifest or "forests" in manifest
    facts = _OF_FOREST if is_forest else _OF_HEADS
    for name, kind in facts.items():
        if not isinstance(manifest.get(name), kind):
            msg = f"{folder}/{MANIFEST} lacks {name!r}, without which nothing is scored: {_AGAIN}"
            raise InputError(msg)
    return manifest
