"""One run an output at a time: a lock that vanishes with the process that holds it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from hcs.errors import LockedError
from hcs.io.files import objects, storage
from hcs.io.files.paths import AnyPath, as_path, is_local, sidecar
from hcs.io.files.together import finish_replacement


@contextmanager
def locked(out: AnyPath, *more: AnyPath) -> Iterator[None]:
    """Hold outputs for one run; a second run at the same time is refused.

    The lock is the operating system's own, so it vanishes with a killed process. On an object store
    it is an object that is made only where there is none (:func:`hcs.io.files.objects.locked`).
    What killed runs left half-written beside the output is removed.

    Raises
    ------
    LockedError
        When another run holds it.
    StorageError
        When the disk fills up meanwhile, or cannot be written at all.
    """
    with ExitStack() as held:
        for path in dict.fromkeys((str(out), *map(str, more))):
            held.enter_context(_hold(path))
        yield


@contextmanager
def _hold(out: str) -> Iterator[None]:
    folder = sidecar(out)
    if not is_local(folder):
        objects.check(folder)
        with objects.locked(folder / "lock", str(out)):
            yield
        return
    with storage.plain_errors(str(out)):
        local = Path(str(folder))
        local.mkdir(parents=True, exist_ok=True)
        lock = FileLock(str(local / "lock"))
        try:
            lock.acquire(timeout=0)
        except Timeout as error:
            msg = (
                f"{out} is being written by another run; wait for its end or choose another output"
            )
            raise LockedError(msg) from error
        try:
            finish_replacement(out)
            storage.sweep(local)
            storage.sweep_beside(str(as_path(out)))
            yield
        finally:
            lock.release()
