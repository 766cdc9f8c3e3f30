"""Sees to it, beside the work, that recorded units are on the disk: a few seconds' at once."""

from __future__ import annotations

import time
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

from hcs.io.files import storage
from hcs.io.runs.ledger import Ledger
from hcs.io.runs.powercuts import confirm

_SECONDS: Final = 2.0
"""A power cut can take the work of so long with it."""


class Confirmer:
    """Confirms units of this machine that are recorded; see :mod:`hcs.io.runs.powercuts`.

    A kill loses nothing of what is recorded, a power cut what was not yet confirmed.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="confirm")
        self._waiting: list[str] = []
        self._running: Future[None] | None = None
        self._last = time.monotonic()

    def add(self, unit_id: str) -> None:
        """Take a unit that is recorded."""
        self._waiting.append(unit_id)
        is_free = self._running is None or self._running.done()
        if is_free and time.monotonic() - self._last > _SECONDS:
            self._start()

    def close(self) -> None:
        """Wait until all are confirmed.

        Raises
        ------
        StorageError
            When the disk could not take them.
        """
        try:
            self._start()
            self._wait()
        finally:
            self._pool.shutdown()

    def _start(self) -> None:
        self._wait()
        names, self._waiting = self._waiting, []
        self._last = time.monotonic()
        self._running = self._pool.submit(confirm, self._ledger, names)

    def _wait(self) -> None:
        if self._running is not None:
            with storage.plain_errors(self._ledger.out):
                self._running.result()
