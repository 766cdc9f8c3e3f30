"""Leases: files that say who holds an output, where the file system itself knows no locks."""

from __future__ import annotations

import errno
import json
import logging
import os
import random
import re
import socket
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from hcs.errors import LockedError

log = logging.getLogger(__name__)

BEAT_SECONDS: Final = 20.0
STALE_SECONDS: Final = 120.0
"""A lease that nobody has renewed for six beats belongs to a process that is gone."""

READ_ONLY: Final = frozenset({errno.EROFS, errno.EACCES, errno.EPERM})
"""What a disk answers on which nothing can be written, by nobody here."""

_NAME: Final = re.compile(r"lock\.[0-9a-f]{32}\.(read|write)")
_TRIES: Final = 3


def describe_process(token: str) -> dict[str, Any]:
    """Say who this process is, so that others can name it and find out whether it still lives."""
    command = " ".join([Path(sys.argv[0]).name, *sys.argv[1:2]]) if sys.argv else ""
    return {
        "token": token,
        "process": os.getpid(),
        "machine": socket.gethostname(),
        "command": command[:200],
        "boot": _boot(),
        "started": _started(os.getpid()),
        "renewed": time.time(),
    }


def _boot() -> str:
    """Name of this start of the machine and this space of process numbers; empty if unknown."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return ""


def _started(process: int) -> str:
    """When a process started, in ticks since the machine did; empty if there is none."""
    try:
        text = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    return text.rpartition(")")[2].split()[19]


def is_gone(holder: Mapping[str, Any], silent_seconds: float) -> bool:
    """Whether a holder has died on this machine, or was silent for so long that it must have."""
    here = _boot()
    if here and holder.get("boot") == here:
        started = _started(int(holder.get("process") or 0))
        if started != holder.get("started"):
            return True
    return silent_seconds >= STALE_SECONDS


def refuse(
    what: str, doing: str, holder: Mapping[str, Any], *, shared: bool, beats: bool = False
) -> LockedError:
    """Return the error that says who holds an output.

    Parameters
    ----------
    what
        The output or input that was asked for.
    doing
        What the holder does with it: ``written`` or ``read``.
    holder
        What is known of the one who holds it, see :func:`describe_process`; may be empty.
    shared
        Whether it was asked for to be read, so that no other output can be chosen.
    beats
        Whether the lock is one that is renewed, and counts for a while after its run was killed.
    """
    known = []
    if holder.get("command"):
        known.append(str(holder["command"]))
    if holder.get("process"):
        known.append(f"process {holder['process']} on {holder.get('machine', 'this machine')}")
    named = f" ({', '.join(known)})" if known else ""
    remedy = "wait for its end" + ("" if shared else " or choose another output")
    if beats:
        remedy += f". A killed run's lock ends by itself after {STALE_SECONDS:.0f} s"
    return LockedError(f"{what} is being {doing} by another run{named}; {remedy}")


@contextmanager
def keep_renewing(renew: Callable[[], bool], seconds: float) -> Iterator[None]:
    """Renew in a thread every so many seconds for the block; ``renew`` says whether to go on."""
    stop = threading.Event()

    def beat() -> None:
        while not stop.wait(seconds) and renew():
            pass

    thread = threading.Thread(target=beat, daemon=True, name="lock")
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@contextmanager
def hold_lease(folder: Path, what: str, *, shared: bool) -> Iterator[None]:
    """Hold a lease in a folder: a file of one's own, renewed until the block ends.

    Every holder makes a file with a name that nobody else has, and looks for the files of others
    only then: of two that come at once, at least one sees the other. The names are never used
    again, so what a killed run left can be removed by anyone without a race.

    Parameters
    ----------
    folder
        An existing folder.
    what
        Name of the output in messages.
    shared
        Whether others may hold it too who share it (readers).

    Raises
    ------
    LockedError
        When another run holds it in a way that shuts this one out.
    """
    token = uuid.uuid4().hex
    mine = folder / f"lock.{token}.{'read' if shared else 'write'}"
    try:
        _make(mine, token)
    except OSError as error:
        if not (shared and error.errno in READ_ONLY):
            raise
        look_for_holders(folder, what, shared=True)
        yield
        return
    try:
        _settle(mine, token, what, shared=shared)
        with keep_renewing(lambda: _renew(mine), BEAT_SECONDS):
            yield
    finally:
        mine.unlink(missing_ok=True)


def _make(mine: Path, token: str) -> None:
    handle = os.open(mine, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    with os.fdopen(handle, "w", encoding="utf-8") as stream:
        json.dump(describe_process(token), stream)


def _settle(mine: Path, token: str, what: str, *, shared: bool) -> None:
    """Step back and try again a few times: two that came at once have both seen the other."""
    for rest in reversed(range(_TRIES)):
        try:
            look_for_holders(mine.parent, what, shared=shared, mine=mine)
        except LockedError:
            mine.unlink(missing_ok=True)
            if not rest:
                raise
            time.sleep(random.uniform(0.01, 0.1))
            _make(mine, token)
        else:
            return


def look_for_holders(folder: Path, what: str, *, shared: bool, mine: Path | None = None) -> None:
    """Refuse where another run's lease shuts this one out; remove leases of runs that are gone.

    Raises
    ------
    LockedError
        Naming the holder.
    """
    with os.scandir(folder) as entries:
        leases = [entry for entry in entries if _NAME.fullmatch(entry.name)]
    for lease in leases:
        doing = lease.name.rpartition(".")[2]
        if (mine is not None and lease.name == mine.name) or (shared and doing == "read"):
            continue
        try:
            written = lease.stat().st_mtime
            text = Path(lease.path).read_text(encoding="utf-8")
        except OSError:
            continue  # let go of meanwhile
        holder = _parse(text)
        silent_seconds = _now(mine) - written
        if not is_gone(holder, silent_seconds):
            doing = "read" if doing == "read" else "written"
            raise refuse(what, doing, holder, shared=shared, beats=True)
        log.warning("taking over from a run that ended %.0f s ago: %s", silent_seconds, lease.path)
        with suppress(OSError):
            Path(lease.path).unlink(missing_ok=True)


def _now(mine: Path | None) -> float:
    """Return the time by the clock of the disk, which all machines that share it can compare."""
    if mine is None:
        return time.time()
    os.utime(mine)
    return mine.stat().st_mtime


def _parse(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _renew(mine: Path) -> bool:
    try:
        os.utime(mine)
    except FileNotFoundError:
        log.warning("another run has taken over %s; this one was silent too long", mine)
        return False
    except OSError as error:
        log.warning("the lock %s could not be renewed: %s", mine, error)
    return True
