"""The one edge to bytes of others: what libraries raise on them becomes an error of ours.

Zarr, Arrow, openpyxl, zlib, json, yaml and csv each raise what they like on damaged bytes, from
``KeyError`` to ``RecursionError``. Whoever hands them a file does so inside :func:`refuse_damage`,
and the user reads which file it is, what was expected there, and what to do.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import BinaryIO, Final

from hcs.domain.limits import Limit
from hcs.errors import HcsError, InputError, MemoryBudgetError, NotFoundError
from hcs.io.files import storage
from hcs.io.files.paths import AnyPath, as_path, local_path

FETCH_AGAIN: Final = "it may be damaged or cut short: fetch it again from where it came"

_PIECE_BYTES: Final = 2**20

_KINDS: Final = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


@contextmanager
def refuse_damage(
    path: AnyPath,
    what: str,
    remedy: str = FETCH_AGAIN,
    kind: Callable[[str], HcsError] = InputError,
) -> Iterator[None]:
    """Turn whatever libraries raise on a file into one sentence.

    Only the calls that parse the file belong into the block: what they raise says that the file is
    not what was expected, while the same exception of our own code is a fault of ours.

    Parameters
    ----------
    path
        The file.
    what
        What it should be: "predictions", "study file".
    remedy
        What to do about it.
    kind
        Class of the error that is raised.

    Raises
    ------
    InputError
        When it cannot be read as that; the cause is kept.
    NotFoundError
        When it is not there.
    StorageError
        When access is denied.
    MemoryBudgetError
        When it needs more memory than there is.
    """
    try:
        yield
    except HcsError:
        raise
    except (FileNotFoundError, NotADirectoryError) as error:
        raise NotFoundError(f"{what} {as_name(path)} does not exist") from error
    except IsADirectoryError as error:
        raise InputError(f"{what} {as_name(path)} is a folder; a file was expected") from error
    except MemoryError as error:
        msg = f"{what} {as_name(path)} needs more memory than there is: {remedy}"
        raise MemoryBudgetError(msg) from error
    except Exception as error:  # the edge: libraries raise anything at all on bytes of others
        of_disk = isinstance(error, OSError) and storage.explain(error, as_name(path))
        if of_disk:
            raise of_disk from error
        msg = f"{what} {as_name(path)} cannot be read ({describe_error(error)}): {remedy}"
        raise kind(msg) from error


def describe_error(error: BaseException) -> str:
    """Say in a line what a library raised."""
    text = " ".join(str(error).split()).replace(' in "<unicode string>", ', " in ")
    if isinstance(error, KeyError | AttributeError | IndexError) or not text:
        text = f"{type(error).__name__}: {text}".rstrip(": ")
    return text if len(text) <= 200 else f"{text[:200]} …"


def as_name(path: AnyPath) -> str:
    """Return a path as text that any screen can show; bytes that are no UTF-8 are escaped."""
    name = path if isinstance(path, str) else str(path)
    return name.encode("utf-8", errors="backslashreplace").decode("utf-8")


def refuse_special(path: AnyPath, what: str) -> None:
    """Refuse pipes, sockets and devices, of which nobody knows an end.

    Parameters
    ----------
    path
        A path that need not exist; links are followed.
    what
        What the file should be, for the message.

    Raises
    ------
    InputError
        Naming what it is.
    """
    local = local_path(path)
    if local is None:
        return
    try:
        mode = os.stat(local).st_mode  # noqa: PTH116 (path objects cost more than the call)
    except (OSError, ValueError):
        return  # whoever opens it says so
    _refuse_mode(mode, path, what)


def _refuse_mode(mode: int, path: AnyPath, what: str) -> None:
    if stat.S_ISREG(mode):
        return
    found = next((words for is_kind, words in _KINDS if is_kind(mode)), None)
    if found is not None:
        raise InputError(f"{what} {as_name(path)} is {found}; a file was expected")


def open_regular(path: str, what: str = "file") -> BinaryIO:
    """Open a local file for reading, and never wait for one that is none.

    A pipe would be waited for until somebody writes into it, and a device never ends.

    Raises
    ------
    OSError
        As of ``open``.
    InputError
        When it is a pipe, a socket or a device.
    """
    # O_NONBLOCK matters to pipes alone; the check comes after, on what was opened.
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0))
    try:
        _refuse_mode(os.fstat(handle).st_mode, path, what)
        return open(handle, "rb")  # noqa: PTH123 (a handle is no path)
    except BaseException:
        os.close(handle)
        raise


def read_file(path: AnyPath, what: str, limit: Limit) -> bytes:
    """Read a file of others whole.

    Parameters
    ----------
    path
        A local file, or an object.
    what
        What it should be, for the message.
    limit
        Of its bytes.

    Raises
    ------
    NotFoundError
        When there is no such file.
    InputError
        When it is a folder, a pipe or a device, or larger than the limit.
    """
    refuse_special(path, what)
    with refuse_damage(path, what), as_path(path).open("rb") as stream:
        data = read_at_most(stream, limit.most + 1)
    if len(data) > limit.most:
        found = max(len(data), _measure(path))
        raise InputError(f"{what} {as_name(path)} {limit.describe_excess(found)}")
    return data


def read_at_most(stream: BinaryIO, n_bytes: int) -> bytes:
    """Read at most so many bytes; asked for all at once, Python would make room for all at once."""
    pieces = []
    while n_bytes > 0 and (piece := stream.read(min(n_bytes, _PIECE_BYTES))):
        pieces.append(piece)
        n_bytes -= len(piece)
    return b"".join(pieces)


def _measure(path: AnyPath) -> int:
    try:
        return int(as_path(path).stat().st_size)
    except (OSError, ValueError):
        return 0
