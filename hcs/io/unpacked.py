"""Features laid out flat on disk, for training on more of them than fit in memory."""

from __future__ import annotations

import logging
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hcs.errors import InputError
from hcs.io.imageset import ImageSet

__all__ = ["UnpackedFeatures", "unpack"]

log = logging.getLogger(__name__)

_DTYPE: Final = np.dtype("<f2")
_BLOCK_BYTES: Final = 256 * 1024**2
_GIB: Final = 1024**3


@dataclass(frozen=True, slots=True)
class UnpackedFeatures:
    """``(I, V, F)`` float16 in a file, read as ``features[images, views]``.

    One reading a view, not a mapped file: that took 18 times as long where the file was not in
    memory (148 MiB of 64 KiB views: 5.6 against 0.31 s), and its pages count as memory of the
    process, for which Dask would pause or end a worker.
    """

    path: str
    shape: tuple[int, int, int]

    @property
    def dtype(self) -> np.dtype[Any]:
        """Half precision."""
        return _DTYPE

    def __len__(self) -> int:
        """Count the images."""
        return self.shape[0]

    def __getitem__(self, key: tuple[Any, ...]) -> NDArray[np.float16]:
        """Read the features of some images in one view, or in one view each.

        Raises
        ------
        InputError
            When the file is shorter than it should be.
        """
        images, views = np.broadcast_arrays(*key)
        _, n_views, n_features = self.shape
        found = np.empty((len(images), n_features), _DTYPE)
        with open(self.path, "rb", buffering=0) as file:  # noqa: PTH123
            for row, image, view in zip(found, images.tolist(), views.tolist(), strict=True):
                file.seek((image * n_views + view) * found.strides[0])
                if file.readinto(row.data) != row.nbytes:
                    msg = f"{self.path} ends before image {image}; remove it and start again"
                    raise InputError(msg)
        return found


def unpack(features: ImageSet, rows: NDArray[np.integer], path: Path) -> UnpackedFeatures:
    """Write the features of some images to a flat file, unless it is there already.

    Parameters
    ----------
    features
        A feature bank.
    rows
        Which of its images, in ascending order; they are numbered anew from 0.
    path
        Where to, in a folder of its own; written under another name first, so that a file of this
        name is whole.

    Raises
    ------
    InputError
        When there is no room on the disk.
    """
    _, n_views, n_features = features.shape
    shape = (len(rows), int(n_views), int(n_features))
    made = UnpackedFeatures(str(path), shape)
    n_bytes = shape[0] * shape[1] * shape[2] * _DTYPE.itemsize
    if path.exists() and path.stat().st_size == n_bytes:
        return made
    shutil.rmtree(path.parent, ignore_errors=True)  # of an earlier bank, or half-written
    path.parent.mkdir(parents=True)
    free = shutil.disk_usage(path.parent).free
    if n_bytes > free:
        msg = (
            f"features of {n_bytes / _GIB:.1f} GiB do not fit in memory, and there are only "
            f"{free / _GIB:.1f} GiB free to unpack them at {path}; take fewer views, avg pooling, "
            "or another disk"
        )
        raise InputError(msg)
    log.info("unpacking %.1f GiB of features to %s", n_bytes / _GIB, path)
    partial = path.with_name(path.name + ".partial")
    with partial.open("wb") as file:
        for block in features.iterate(rows, _BLOCK_BYTES):
            file.write(np.ascontiguousarray(block, _DTYPE).data)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
    return made
