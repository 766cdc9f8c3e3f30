"""Memory worked out before a run: a step that cannot fit says so instead of dying."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

import psutil

from hcs.compute.workers import read_workers
from hcs.errors import MemoryBudgetError

if TYPE_CHECKING:
    from distributed import Client

log = logging.getLogger(__name__)

GIB: Final = 1024**3

WORKER_FLOOR_BYTES: Final = 300 * 1024**2
"""A worker with NumPy, Zarr and scikit-image loaded, before any data (measured: 220-280 MiB)."""

NETWORK_FLOOR_BYTES: Final = 1100 * 1024**2
"""A worker with TensorFlow and VGG-16 loaded (measured: about 1 GiB)."""

_CGROUP: Final = Path("/sys/fs/cgroup/memory.max")


def machine_memory_bytes() -> int:
    """Memory that this process may use: the machine's, or its container's if that is less."""
    total = int(psutil.virtual_memory().total)
    try:
        text = _CGROUP.read_text(encoding="ascii").strip()
    except OSError:
        return total
    return min(total, int(text)) if text.isdigit() else total


def worker_memory_bytes(client: Client | None) -> int:
    """Memory of the smallest worker, a thread's share of it; the machine's without workers.

    A cluster that is still empty is waited for.
    """
    if client is None:
        return machine_memory_bytes()
    workers = read_workers(client).values()
    shares = [_share(worker) for worker in workers if worker.get("memory_limit")]
    return min(shares, default=machine_memory_bytes())


def _share(worker: Mapping[str, Any]) -> int:
    return int(worker["memory_limit"]) // max(1, int(worker["nthreads"]))


@dataclass(frozen=True, slots=True)
class Need:
    """Memory that a step needs; travels with its tasks, for workers that come later.

    Attributes
    ----------
    step
        What runs.
    thread_bytes
        Projected peak of one worker thread, libraries included.
    remedy
        What the user can do.
    """

    step: str
    thread_bytes: int
    remedy: str

    def check(self, available_bytes: int, where: str) -> None:
        """Refuse a place that has less.

        Raises
        ------
        MemoryBudgetError
            Naming the step, the place and both figures.
        """
        if self.thread_bytes > available_bytes:
            msg = (
                f"{self.step} needs about {self.thread_bytes / GIB:.1f} GiB a worker thread, "
                f"but {where} {available_bytes / GIB:.1f} GiB; {self.remedy}"
            )
            raise MemoryBudgetError(msg)

    def check_this_worker(self) -> None:
        """Refuse the worker that this runs on if it has less; it may have joined late.

        Raises
        ------
        MemoryBudgetError
            Naming the worker.
        """
        from distributed import get_worker

        worker = get_worker()
        limit = worker.memory_manager.memory_limit
        if limit:
            share = _share({"memory_limit": limit, "nthreads": worker.state.nthreads})
            self.check(share, f"worker {worker.address} has")


_NEEDS: Final[WeakKeyDictionary[Client, tuple[Need, str | None]]] = WeakKeyDictionary()
"""What the last step that asked needs, and the output that it then began to write."""


def find_need(client: Client, out: str) -> Need | None:
    """Find what the step that writes an output said that it needs; None where it said nothing.

    A step asks for its budget, then hands out its work. So a need belongs to the output that is
    worked on next, and ends with it.
    """
    need, owner = _NEEDS.get(client, (None, None))
    if need is None or owner not in {None, out}:
        _NEEDS.pop(client, None)
        return None
    _NEEDS[client] = (need, out)
    return need


def check_budget(step: str, needed_bytes: int, client: Client | None, remedy: str) -> None:
    """Refuse a step whose projected peak does not fit the workers, those that come later too.

    Parameters
    ----------
    step
        What is about to run.
    needed_bytes
        Projected peak of one worker thread, libraries included.
    client
        Where it would run.
    remedy
        What the user can do.

    Raises
    ------
    MemoryBudgetError
        When it cannot fit.
    """
    available = worker_memory_bytes(client)
    log.info("%s: projected peak %.2f of %.2f GiB", step, needed_bytes / GIB, available / GIB)
    need = Need(step, needed_bytes, remedy)
    need.check(available, "there are")
    if client is not None:
        _NEEDS[client] = (need, None)
