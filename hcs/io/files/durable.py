"""Waits until what was written is on the disk: a power cut takes only what came after."""

from __future__ import annotations

import ctypes
import functools
import os
from collections.abc import Callable, Iterable
from typing import Final

from hcs.io.files.paths import AnyPath, local_path

SWITCH: Final = "HCS_SYNC"
"""Environment variable: ``0`` leaves the time of writing to the system, as on a scratch disk."""

_BOOT: Final = "/proc/sys/kernel/random/boot_id"


def sync_disks(paths: Iterable[AnyPath]) -> None:
    """Wait until the file systems of some paths have all that was written to them on the disk.

    One call for whatever number of files. With a call a file, and one for each of their folders, a
    plate of thousands would take minutes: 20 files of 200 kB took 100 ms, and 10 ms in this way.

    Parameters
    ----------
    paths
        Of files or folders, which need not exist any more; those on object stores are passed over,
        where a write that was answered is kept.

    Raises
    ------
    OSError
        When the disk could not take something.
    """
    if os.environ.get(SWITCH) == "0":
        return
    for folder in _list_disks(paths):
        handle = os.open(folder, os.O_RDONLY)
        try:
            _find_call()(handle)
        finally:
            os.close(handle)


def _list_disks(paths: Iterable[AnyPath]) -> list[str]:
    """Return one folder of every file system on which a path lies."""
    found: dict[int, str] = {}
    seen: set[str] = set()
    for path in paths:
        local = local_path(path)
        folder = None if local is None else os.path.dirname(os.path.abspath(local))  # noqa: PTH100, PTH120
        while folder and folder not in seen:
            seen.add(folder)
            try:
                found.setdefault(os.stat(folder).st_dev, folder)  # noqa: PTH116
            except FileNotFoundError:
                folder = os.path.dirname(folder)  # noqa: PTH120
            else:
                break
    return list(found.values())


@functools.cache
def _find_call() -> Callable[[int], None]:
    """Find what the system offers: one file system by its handle, else all of them."""
    library = ctypes.CDLL(None, use_errno=True) if os.name == "posix" else None
    call = getattr(library, "syncfs", None)
    if call is None:
        return lambda _: getattr(os, "sync", lambda: None)()

    def sync(handle: int) -> None:
        if call(handle) != 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))

    return sync


def name_boot() -> str:
    """Name the time since this machine was last started; empty where the system does not say.

    What was written in the same time is there, also if it never came to the disk.
    """
    return "" if os.environ.get(SWITCH) == "0" else _read_boot()


@functools.cache
def _read_boot() -> str:
    try:
        with open(_BOOT, encoding="ascii") as stream:  # noqa: PTH123
            return stream.read().strip()
    except OSError:
        return ""
