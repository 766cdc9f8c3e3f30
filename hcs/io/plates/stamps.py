"""Whether the files of a field have changed: their sizes and times, without opening them."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from upath import UPath

from hcs.domain import columns as col
from hcs.errors import ImageReadError
from hcs.io.files.paths import as_path, is_local
from hcs.io.runs.fingerprints import fingerprint

ABSENT: Final = "absent"
"""Stamp of a field without files."""


DAMAGE: Final = (ValueError, TypeError, AttributeError, ArithmeticError, OSError, RuntimeError)
"""What zarr-python raises for documents and chunks that are damaged."""


def stamp_field(root: str, field_path: str) -> str:
    """Fingerprint of a field by sizes and times of change of its files; labels are left out."""
    folder = as_path(root) / field_path
    if not is_local(folder):
        details = folder.fs.find(folder.path, detail=True)
        apart = f"{folder.path.rstrip('/')}/labels/".lstrip("/")
        parts = [
            (name, item.get("ETag"), item["size"])
            for name, item in sorted(details.items())
            if not name.lstrip("/").startswith(apart)
        ]
        return fingerprint(parts) if parts else ABSENT
    stamps = []
    for here, folders, files in os.walk(str(folder)):
        folders[:] = sorted(name for name in folders if name != "labels")
        for name in sorted(files):
            info = (Path(here) / name).stat()
            stamps.append(
                (os.path.relpath(here, str(folder)), name, info.st_size, info.st_mtime_ns)
            )
    return fingerprint(stamps) if stamps else ABSENT


def refuse_lost(root: str, array: Any, index: Sequence[Any]) -> None:  # noqa: ANN401 (zarr's)
    """Refuse pixels of which a file is lost: Zarr reads it as zeros without a word.

    hcs writes every file, also one of zeros; other programs may leave those out.

    Parameters
    ----------
    root
        The plate.
    array
        A Zarr array of it.
    index
        What is read of it: a whole axis, or one place along it.

    Raises
    ------
    ImageReadError
        Naming the file.
    """
    for file in _list_files(root, array, index):
        if not _has_content(file):
            msg = f"{file} is lost; hcs ingest writes it again"
            raise ImageReadError(msg, col.Reason.MISSING_FILE)


def refuse_blank(root: str, array: Any, index: Sequence[Any]) -> None:  # noqa: ANN401 (zarr's)
    """Refuse pixels of another program's plate of which not one file is there.

    Such programs may leave out chunks of zeros. Of a plane without any nobody can tell whether it
    is blank or lost, and its zeros would be measured.

    Raises
    ------
    ImageReadError
        With what to do.
    """
    if not any(_has_content(file) for file in _list_files(root, array, index)):
        msg = (
            f"{as_path(root) / str(array.path)}: not one file of these pixels is there, so they "
            "are blank or lost; hcs ingest to a new path keeps them as they read and says so"
        )
        raise ImageReadError(msg, col.Reason.MISSING_FILE)


def _list_files(root: str, array: Any, index: Sequence[Any]) -> Iterator[UPath]:  # noqa: ANN401
    """Yield the files that hold pixels of an array."""
    edges = array.shards or array.chunks
    counts = [-(-n // edge) for n, edge in zip(array.shape, edges, strict=True)]
    wanted = [
        range(count) if isinstance(at, slice) else (at // edge,)
        for at, count, edge in zip(index, counts, edges, strict=True)
    ]
    folder = as_path(root) / str(array.path)
    for place in itertools.product(*wanted):
        yield folder / array.metadata.encode_chunk_key(place)


def _has_content(file: UPath) -> bool:
    """Whether a file is there and is not empty; a folder in its place is none."""
    try:
        return file.is_file() and file.stat().st_size > 0
    except OSError:
        return False
