"""Opens containers by their ending, and keeps some open: finding one's planes may take seconds."""

from __future__ import annotations

import atexit
import contextlib
import importlib
import io
import struct
import threading
import zlib
from collections.abc import Callable
from pathlib import PurePath
from typing import Final

from hcs.domain.columns import Reason
from hcs.errors import HcsError, ImageReadError, MissingExtraError
from hcs.io.containers.czi import CziContainer
from hcs.io.containers.lif import LifContainer
from hcs.io.containers.model import Container, Foreign
from hcs.io.containers.nd2 import Nd2Container, UnmappedFile

READER_FAULTS: Final = (
    ArithmeticError, AssertionError, AttributeError, EOFError, LookupError, NameError, OSError,
    RuntimeError,
    SyntaxError, TypeError, ValueError, struct.error, zlib.error,
)  # fmt: skip
"""What the packages raise for files that are damaged; bad XML is a SyntaxError."""

_KEPT: Final = 4
"""Containers of a process that stay open; each has a few MB of places of planes."""


def _open_czi(path: str) -> Container:
    return _describe(_find_package("pylibCZIrw.czi", path).CziReader(path), CziContainer)


def _open_nd2(path: str) -> Container:
    nd2 = _find_package("nd2", path)
    file = nd2.ND2File(io.BufferedReader(UnmappedFile(path)))
    return _describe(file, lambda opened: Nd2Container(opened, PurePath(path).name))


def _open_lif(path: str) -> Container:
    return _describe(_find_package("liffile", path).LifFile(path), LifContainer)


def _describe(file: Foreign, describe: Callable[[Foreign], Container]) -> Container:
    """List what an open file holds; it is closed when that fails."""
    with contextlib.ExitStack() as stack:
        stack.callback(file.close)
        container = describe(file)
        stack.pop_all()
    return container


_OPENERS: Final[dict[str, Callable[[str], Container]]] = {
    ".czi": _open_czi,
    ".nd2": _open_nd2,
    ".lif": _open_lif,
}

READ_SUFFIXES: Final = tuple(_OPENERS)
"""Endings of the containers that are read."""


def is_container(path: str) -> bool:
    """Whether a file's name says that it is a container that is read."""
    return path.lower().endswith(READ_SUFFIXES)


def _find_package(name: str, path: str) -> Foreign:
    """Import a reader.

    Raises
    ------
    MissingExtraError
        Saying which extra has it.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        package = name.partition(".")[0]
        ending = PurePath(path).suffix
        msg = (
            f"{PurePath(path).name}: {ending} files are read with {package}, which is not "
            "installed: pip install 'hcs[formats]'"
        )
        raise MissingExtraError(msg) from error


def open_container(path: str) -> Container:
    """Open a local file.

    Raises
    ------
    ImageReadError
        When it is no such container, or damaged.
    MissingExtraError
        When the package that reads it is not installed.
    """
    opener = _OPENERS[PurePath(path).suffix.lower()]
    try:
        return opener(path)
    except HcsError:
        raise
    except READER_FAULTS as error:
        msg = f"{PurePath(path).name}: it cannot be read: {error or type(error).__name__}"
        raise ImageReadError(msg, Reason.UNREADABLE) from error


class _Kept:
    """Open containers that nobody uses at the moment, the last used at the end."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._free: list[tuple[tuple[str, str], Container]] = []

    def take(self, key: tuple[str, str]) -> Container | None:
        with self._lock:
            for index, (known, _) in enumerate(self._free):
                if known == key:
                    return self._free.pop(index)[1]
        return None

    def give(self, key: tuple[str, str], container: Container) -> None:
        with self._lock:
            self._free.append((key, container))
            closing = self._free[:-_KEPT]
            self._free = self._free[-_KEPT:]
        for _, old in closing:
            old.close()

    def close(self) -> None:
        with self._lock:
            closing, self._free = self._free, []
        for _, container in closing:
            container.close()


_kept: Final = _Kept()
atexit.register(_kept.close)


def borrow(path: str, stamp: str) -> Container:
    """Take a container that is open, or open it; nobody else has it until it is given back."""
    return _kept.take((path, stamp)) or open_container(path)


def give_back(path: str, stamp: str, container: Container) -> None:
    """Let others of this process have a container; ``stamp`` tells an old file from a new one."""
    _kept.give((path, stamp), container)
