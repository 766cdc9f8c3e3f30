"""What local disks do wrong: full, read-only, names too long, and leftovers of killed runs."""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from upath import UPath

from hcs.errors import HcsError, StorageError

_LEFTOVER: Final = re.compile(
    r"\..+\.[0-9a-f]{8}(\.old)?\.tmp|.+\.[0-9a-f]{32}\.partial", re.DOTALL
)
"""Names that our own writes and Zarr's have before they are whole."""

_LOCAL: Final = frozenset({"", "file", "local"})
_LABELS: Final = "labels"
_SHARDS: Final = "c"

_REMEDIES: Final = {
    errno.ENOSPC: "no space is left on the disk: free some and run the same command again, "
    "what is finished is kept",
    errno.EDQUOT: "the disk quota is used up: free some space and run the same command again, "
    "what is finished is kept",
    errno.EFBIG: "the file would be larger than allowed (ulimit -f): raise the limit and run the "
    "same command again, what is finished is kept",
    errno.ENAMETOOLONG: "the name is too long: file systems take 255 bytes a name and 4,096 a "
    "path, choose a shorter output",
    errno.EROFS: "the disk is read-only: choose another output",
    errno.EACCES: "access is denied: change its permissions or choose another path",
    errno.EPERM: "access is denied: change its permissions or choose another path",
    errno.ENOTDIR: "a part of this path is a file where a folder is needed: choose another path",
    errno.EEXIST: "something else stands where a folder is needed: remove it, or choose another "
    "path",
    errno.ELOOP: "its links lead in a circle: name the file itself",
    errno.EIO: "the disk reports a fault in reading or writing: check it, then run the same "
    "command again, what is finished is kept",
    errno.EMFILE: "too many files are open (ulimit -n): raise the limit and run the same command "
    "again, what is finished is kept",
    errno.ENXIO: "this is a socket, or a device that is not there: name a file",
    errno.ESTALE: "the server of this disk has lost sight of the file: mount it again and run the "
    "same command again, what is finished is kept",
}


@contextmanager
def plain_errors(where: str | os.PathLike[str]) -> Iterator[None]:
    """Turn faults of the disk into one sentence that says what to do.

    Raises
    ------
    StorageError
        When the disk is full, read-only, or does not take the name.
    """
    try:
        yield
    except HcsError:
        raise
    except OSError as error:
        found = explain(error, where)
        if found is None:
            raise
        raise found from error


def explain(error: OSError, where: str | os.PathLike[str]) -> StorageError | None:
    """Say what a fault of the disk means and what to do; None for those that have no remedy."""
    remedy = _REMEDIES.get(error.errno or 0)
    if remedy is None:
        return None
    return StorageError(f"{_shorten(os.fsdecode(error.filename or where))}: {remedy}")


def _shorten(path: str) -> str:
    return path if len(path) <= 300 else f"{path[:140]} … {path[-140:]}"


def sweep_plate(plate: str | os.PathLike[str]) -> int:
    """Remove what killed runs of ingest left half-written in a plate whose lock the caller holds.

    Labels are left alone: they are another stage's.

    Returns
    -------
    int
        How many files and folders were removed; 0 on an object store, where one PUT is whole.
    """
    path = UPath(plate)
    if path.protocol not in _LOCAL:
        return 0
    return sweep(Path(str(path)), skip=lambda name: name in {_LABELS, _SHARDS})


def sweep_folder(folder: str | os.PathLike[str]) -> int:
    """Remove what killed runs left half-written in one folder; those inside it are not entered."""
    if UPath(folder).protocol not in _LOCAL:
        return 0
    return sweep(Path(str(folder)), skip=lambda _: True)


def sweep_store(store: str | os.PathLike[str]) -> int:
    """Remove what killed runs left half-written anywhere in a store whose lock the caller holds."""
    if UPath(store).protocol not in _LOCAL:
        return 0
    return sweep(Path(str(store)))


def sweep(folder: Path, skip: Callable[[str], bool] = lambda _: False) -> int:
    """Remove what killed runs left half-written below a folder.

    Parameters
    ----------
    folder
        May be absent.
    skip
        Folders that are not entered, by name.
    """
    removed = 0
    for here, folders, files in os.walk(folder):
        for name in [*folders, *files]:
            if _LEFTOVER.fullmatch(name):
                _remove(Path(here) / name)
                removed += 1
        folders[:] = [name for name in folders if not (_LEFTOVER.fullmatch(name) or skip(name))]
    return removed


def sweep_beside(path: str | os.PathLike[str]) -> int:
    """Remove what killed runs left half-written in the place of a file or folder."""
    if UPath(path).protocol not in _LOCAL:
        return 0
    out = Path(str(path))
    leftovers = []
    if out.parent.is_dir():
        prefix = f".{out.name[:100]}."
        with os.scandir(out.parent) as entries:
            leftovers = [
                entry.path
                for entry in entries
                if entry.name.startswith(prefix)
                and re.fullmatch(r"[0-9a-f]{8}(\.old)?\.tmp", entry.name[len(prefix) :])
            ]
    for leftover in leftovers:
        _remove(Path(leftover))
    return len(leftovers)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
