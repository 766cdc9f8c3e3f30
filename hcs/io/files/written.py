"""What a unit of work wrote: every write in one step is noted while somebody asks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_WRITTEN: ContextVar[dict[str, int] | None] = ContextVar("written", default=None)


@contextmanager
def record_writes() -> Iterator[dict[str, int]]:
    """Collect path and size of every file that is written meanwhile in this thread.

    Writes of other threads are not seen: whoever waits for them calls :func:`note_write`.
    """
    written: dict[str, int] = {}
    token = _WRITTEN.set(written)
    try:
        yield written
    finally:
        _WRITTEN.reset(token)


def note_write(path: str, n_bytes: int) -> None:
    """Note a file that is in its place."""
    written = _WRITTEN.get()
    if written is not None:
        written[path] = n_bytes


def note_removal(path: str) -> None:
    """Forget a file or folder that was noted and is gone again."""
    written = _WRITTEN.get()
    if written is not None:
        inside = f"{path}/"
        for known in [name for name in written if name == path or name.startswith(inside)]:
            del written[known]
