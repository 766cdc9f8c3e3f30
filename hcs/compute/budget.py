"""Memory worked out before a run: a step that cannot fit says so instead of dying."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Final

import psutil

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
    """Memory of the smallest worker, a thread's share of it; the machine's without workers."""
    if client is None:
        return machine_memory_bytes()
    workers = client.scheduler_info(n_workers=-1)["workers"].values()
    shares = [
        int(worker["memory_limit"]) // max(1, int(worker["nthreads"]))
        for worker in workers
        if worker.get("memory_limit")
    ]
    return min(shares, default=machine_memory_bytes())


def check_budget(step: str, needed_bytes: int, client: Client | None, remedy: str) -> None:
    """Refuse a step whose projected peak does not fit the workers.

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
    if needed_bytes > available:
        msg = (
            f"{step} needs about {needed_bytes / GIB:.1f} GiB a worker thread, "
            f"but there are {available / GIB:.1f} GiB; {remedy}"
        )
        raise MemoryBudgetError(msg)
