"""One run writes an output at a time, and nobody reads it meanwhile: locks that die with a process.

The lock is the operating system's own (``flock``) on ``<out>.hcs/lock``. Where the file system has
none (NFS without its lock service), a lease stands in (:mod:`hcs.io.files.leases`); on an object
store it is an object (:func:`hcs.io.files.objects.locked`). Nothing here ever waits: what another
run holds is refused, with its name.
"""

from __future__ import annotations

import errno
import functools
import json
import logging
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import psutil
from upath import UPath

from hcs.errors import StorageError
from hcs.io.files import leases, objects, storage
from hcs.io.files.paths import AnyPath, as_path, is_local, sidecar
from hcs.io.files.together import finish_replacement

log = logging.getLogger(__name__)

_HAS_FLOCK: Final = find_spec("fcntl") is not None

_NO_LOCKS: Final = frozenset({errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS})
"""What a file system answers that has no locks."""


@dataclass(slots=True)
class _Hold:
    """A lock that this process holds: what lets go of it, and how many blocks are inside."""

    stack: ExitStack
    exclusive: bool
    count: int = 1


_GUARD: Final = threading.Lock()
_HELD: Final[dict[str, _Hold]] = {}
"""Locks of this process by their real path: the system would take two of its own for rivals."""


@contextmanager
def locked(out: AnyPath, *more: AnyPath) -> Iterator[None]:
    """Hold outputs for one run, all or none; another run that writes or reads one is refused.

    The lock vanishes with a killed process, and what killed runs left half-written beside the
    outputs is removed. The same process may read what it holds (:func:`reading`), not lock it anew.

    Parameters
    ----------
    out, more
        Outputs; several names of one (through links) count once.

    Raises
    ------
    LockedError
        When another run holds one of them.
    StorageError
        When the disk fills up meanwhile, or cannot be written at all.
    """
    outs = {_key(sidecar(path)): path for path in (out, *more)}
    with ExitStack() as stack:
        if any(is_local(sidecar(path)) for path in outs.values()):
            stack.enter_context(storage.plain_errors(str(out)))
        for path in outs.values():
            stack.enter_context(_hold(sidecar(path), str(path), exclusive=True))
        for path in outs.values():
            folder = sidecar(path)
            if is_local(folder):
                finish_replacement(path)
                storage.sweep(Path(str(folder)))
                storage.sweep_beside(os.path.realpath(str(as_path(path))))
        yield


@contextmanager
def reading(*inputs: AnyPath) -> Iterator[None]:
    """Keep inputs from being written for the block; any number of runs may read them at once.

    An input without a folder of records is not one of ours and is not locked, and neither is one
    on a disk that cannot be written. On an object store a run that is writing is noticed at the
    start; one that begins to write later is not held up.

    Parameters
    ----------
    inputs
        What is read; it need not exist.

    Raises
    ------
    LockedError
        When another run is writing one of them.
    """
    with ExitStack() as stack:
        for path in inputs:
            folder = sidecar(path)
            if not is_local(folder) or os.path.isdir(str(folder)):  # noqa: PTH112 (no errors)
                stack.enter_context(_hold(folder, str(path), exclusive=False))
        yield


def _key(folder: UPath) -> str:
    """Return one name for a folder, however it was reached."""
    return os.path.realpath(str(folder)) if is_local(folder) else str(folder)


@contextmanager
def _hold(folder: UPath, what: str, *, exclusive: bool) -> Iterator[None]:
    """Hold one lock; blocks of this process within one another share it."""
    key = _key(folder)
    with _GUARD:
        hold = _HELD.get(key)
        if hold is None:
            with ExitStack() as stack:
                stack.enter_context(_take(folder, what, exclusive=exclusive))
                _HELD[key] = hold = _Hold(stack.pop_all(), exclusive)
        elif exclusive:
            doing = "written" if hold.exclusive else "read"
            raise leases.refuse(what, doing, leases.describe_process(""), shared=False)
        else:
            hold.count += 1
    try:
        yield
    finally:
        with _GUARD:
            hold.count -= 1
            if not hold.count:
                del _HELD[key]
                hold.stack.close()


@contextmanager
def _take(folder: UPath, what: str, *, exclusive: bool) -> Iterator[None]:
    """Take a lock from the system, by what its file system or store offers."""
    with ExitStack() as stack:
        if is_local(folder):
            local = Path(str(folder))
            if exclusive:
                local.mkdir(parents=True, exist_ok=True)
            if not _flock(local / "lock", what, stack, exclusive=exclusive):
                _tell_of_leases(local.stat().st_dev, local)
                stack.enter_context(leases.hold_lease(local, what, shared=not exclusive))
        else:
            objects.check(folder)
            if exclusive:
                stack.enter_context(objects.locked(folder / "lock", what))
            else:
                objects.check_unlocked(folder / "lock", what)
        yield


@functools.lru_cache(maxsize=64)
def _tell_of_leases(device: int, folder: Path) -> None:
    log.warning(
        "%s: its file system (device %d) has no locks; a lease that is renewed every %.0f s is "
        "used instead",
        folder,
        device,
        leases.BEAT_SECONDS,
    )


def _flock(file: Path, what: str, stack: ExitStack, *, exclusive: bool) -> bool:
    """Take the system's lock on a file until the stack unwinds; False where it has none."""
    if not _HAS_FLOCK:
        return False
    import fcntl

    handle = _open(file, exclusive=exclusive)
    if handle is None:
        return True  # nobody can write there
    stack.callback(os.close, handle)
    kind = fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH
    try:
        fcntl.flock(handle, kind | fcntl.LOCK_NB)
    except BlockingIOError as error:
        doing, holder = _find_holder(handle)
        doing = doing if exclusive else "written"
        raise leases.refuse(what, doing, holder, shared=not exclusive) from error
    except OSError as error:
        if error.errno in _NO_LOCKS:
            return False
        raise
    stack.callback(fcntl.flock, handle, fcntl.LOCK_UN)
    if exclusive:
        _sign(handle, json.dumps(leases.describe_process("")).encode())
        stack.callback(_sign, handle, b"")
    # another machine may see the same disk without its locks
    leases.look_for_holders(file.parent, what, shared=not exclusive)
    return True


def _open(file: Path, *, exclusive: bool) -> int | None:
    """Open a lock file, made where there is none; None for a reader where nobody can write."""
    flags = os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        if exclusive:
            return os.open(file, flags | os.O_RDWR | os.O_CREAT, 0o666)
        try:
            return os.open(file, flags | os.O_RDONLY)
        except FileNotFoundError:
            return os.open(file, flags | os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        if not exclusive and error.errno in leases.READ_ONLY:
            return None
        if error.errno in {errno.ELOOP, errno.EISDIR}:
            msg = f"{file} is a link or a folder, not the lock of a run: remove it"
            raise StorageError(msg) from error
        raise


def _sign(handle: int, text: bytes) -> None:
    """Write into the lock file who holds it; on a full disk it stays unsaid."""
    with suppress(OSError):
        os.ftruncate(handle, 0)
        os.pwrite(handle, text, 0)


def _find_holder(handle: int) -> tuple[str, dict[str, Any]]:
    """Find out who holds a lock file: ``written`` or ``read``, and what is known of the process."""
    try:
        signed = json.loads(os.pread(handle, 10_000, 0))
    except (OSError, ValueError):
        signed = None
    holder: dict[str, Any] = signed if isinstance(signed, dict) else {}
    found = _ask_system(handle)
    if found is None:  # held from another machine, or not told by this system
        alive = holder and not leases.is_gone(holder, 0.0)
        return ("written", holder) if alive else ("written or read", {})
    doing, process = found
    return doing, holder if holder.get("process") == process else _describe(process)


def _ask_system(handle: int) -> tuple[str, int] | None:
    """Ask Linux which process of this machine holds a lock file, and how."""
    status = os.fstat(handle)
    place = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
    with suppress(OSError):
        for line in Path("/proc/locks").read_text(encoding="ascii").splitlines():
            parts = line.split()
            if place in parts and parts[1] != "->":  # an arrow marks those that wait
                where = parts.index(place)
                return "written" if parts[where - 2] == "WRITE" else "read", int(parts[where - 1])
    return None


def _describe(process: int) -> dict[str, Any]:
    known: dict[str, Any] = {"machine": socket.gethostname()}
    if process > 0:
        known["process"] = process
        with suppress(psutil.Error):
            known["command"] = _shorten(psutil.Process(process).cmdline())
    return known


def _shorten(command: list[str]) -> str:
    """Name a command by its program and first argument: ``hcs ingest``."""
    if command and Path(command[0]).name.startswith("python"):
        command = [] if "-c" in command else command[1:]
    named = [Path(part).name for part in command if not part.startswith("-")]
    return " ".join(named[:2])[:200]
