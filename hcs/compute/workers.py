"""The workers of a cluster: waiting for the first, and for the last of their tasks to end."""

from __future__ import annotations

import logging
import time
from collections.abc import Collection
from typing import TYPE_CHECKING, Any, Final

from hcs.compute import progress
from hcs.errors import WorkerError

if TYPE_CHECKING:
    from distributed import Client, Worker

log = logging.getLogger(__name__)

_POLL_SECONDS: Final = 0.5

_END_SECONDS: Final = 300.0
"""How long a run that failed waits for its running tasks, before it lets go of its output."""

_QUIET_POLLS: Final = 2
"""A task on its way to a worker is seen by nobody; it arrives within milliseconds."""


def read_workers(client: Client, awaited: str = "the first worker") -> dict[str, dict[str, Any]]:
    """Tell what the scheduler knows of every worker, by address; waits until there is one.

    There is no time limit: a queue may hold workers back for hours. Ctrl-C ends it.

    Raises
    ------
    WorkerError
        When the scheduler is gone.
    """
    waited = False
    while not (workers := dict(client.scheduler_info(n_workers=-1)["workers"])):
        if client.status not in {"running", "connecting"}:
            msg = f"the Dask scheduler at {_name(client)} is gone"
            raise WorkerError(msg)
        if not waited:
            progress.current().say(f"waiting for {awaited} of {_name(client)}")
            waited = True
        time.sleep(_POLL_SECONDS)
    return workers


def _name(client: Client) -> str:
    return str(client.scheduler.address) if client.scheduler is not None else "an unknown address"


def wait_until_idle(client: Client, keys: Collection[str]) -> None:
    """Wait until no worker works on tasks that were canceled; Dask cannot stop what runs.

    Bounded: after five minutes the wait is given up with a warning.

    Parameters
    ----------
    client
        Where they run.
    keys
        Names of the tasks.
    """
    end = time.monotonic() + _END_SECONDS
    quiet, told = 0, False
    while quiet < _QUIET_POLLS:
        found = client.run(_find_tasks, list(keys), on_error="ignore")
        running = sum(found.values())
        quiet = 0 if running else quiet + 1
        if running and not told:
            progress.current().say(
                f"waiting for {running} running tasks to end, so that nothing is written later "
                "(Ctrl-C leaves at once)"
            )
            told = True
        if time.monotonic() > end:
            log.warning("%d tasks still run on the workers and may write", running)
            return
        time.sleep(_POLL_SECONDS if running else 0.05)


def _find_tasks(keys: list[str], dask_worker: Worker) -> int:
    """Count tasks that this worker has begun or is about to begin."""
    done = {"memory", "error", "released", "forgotten", "missing"}
    tasks = dask_worker.state.tasks
    return sum(key in tasks and tasks[key].state not in done for key in keys)
