"""Units handed to the workers that there are at the moment, and taken back as they are done."""

from __future__ import annotations

import logging
import pickle
import time
import uuid
from collections import deque
from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import cloudpickle

from hcs.compute.budget import Need, find_need
from hcs.compute.identity import Identity, check_identity, check_workers, identify
from hcs.compute.work import Finished, Unit, Work, describe_fault
from hcs.compute.workers import check_scheduler, describe_loss, read_workers, wait_until_idle
from hcs.errors import HcsError, WorkerError

if TYPE_CHECKING:
    from distributed import Client, Future

log = logging.getLogger(__name__)

T = TypeVar("T")

_PENDING_PER_THREAD = 3
"""Tasks handed to the scheduler ahead of each thread: enough to keep it busy, few enough that the
memory of scheduler and client does not grow with the plate."""

_LOOK_SECONDS = 1.0
"""Workers come and go; asking for them is a round trip to the scheduler."""

_TASK_SECONDS = 0.3
_TASK_UNITS = 32
"""Units that take milliseconds go to the workers several at a time, each recorded on its own. A
task costs the command 4 ms and a worker 3, as much as a well of small fields: 384 wells with 600
fields of 512² took 2.0 s of the command's processor time one by one, and 0.4 s so."""


class _UnitError(Exception):
    """Carries the name of a unit and what it raised from a worker; Dask tries the task again."""


@dataclass(slots=True)
class _Done:
    """What a task brings back: finished units, and the error of ours that ended it early."""

    results: list[Finished] = field(default_factory=list)
    error: HcsError | None = None
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class _Terms:
    """What a worker must be to work: it runs the command's code and has the memory needed."""

    identity: Identity
    need: Need | None

    def check_this_worker(self) -> None:
        from distributed import get_worker

        check_identity(identify(), get_worker().address, self.identity)
        if self.need is not None:
            self.need.check_this_worker()


def _attempt(work: Work[T], units: Sequence[Unit[T]], terms: _Terms | None = None) -> _Done:
    """Do units on a worker and hand back our own errors, which Dask would log and try again."""
    done = _Done()
    started = time.perf_counter()
    try:
        if terms is not None:
            terms.check_this_worker()
        done.results.extend(work.perform(units))
    except HcsError as error:
        done.error = error
    except Exception as error:  # the edge of a task: name the unit
        raise _UnitError(describe_fault(units, done.results, error)) from error
    done.seconds = time.perf_counter() - started
    return done


class _Task:
    """An attempt that is made when it is unpickled.

    A task that names a function of ours kills a worker without hcs as it arrives, and nobody says
    why; so what is sent is a task of the standard library, which fails there as any other. The
    scheduler needs no hcs either.
    """

    def __init__(self, *arguments: object) -> None:
        self._arguments = arguments

    def __reduce__(self) -> tuple[Callable[..., _Done], tuple[object, ...]]:
        """Become the attempt's result."""
        return _attempt, self._arguments


def do_on_workers(
    work: Work[T], todo: Sequence[Unit[T]], client: Client, resources: dict[str, float]
) -> Generator[Finished]:
    """Do units on the workers of a cluster, whenever these come, and yield them as they end."""
    terms = _Terms(identify(), find_need(client, work.ledger.folder))
    if not todo:
        return

    def submit(units: list[Unit[T]]) -> Future[Any]:
        task = cloudpickle.dumps(_Task(work, units, terms))
        name = f"units-{uuid.uuid4().hex}"
        return client.submit(pickle.loads, task, key=name, resources=resources, retries=1)

    counter = _Counter(client, submit, deque(todo), work.together)
    try:
        while (future := counter.take()) is not None:
            done = counter.open(future)
            yield from done.results
            if done.error is not None:
                raise done.error
    finally:  # after an interrupt too: the lock is let go of when this leaves
        counter.close()


class _Counter(Generic[T]):
    """Hands out units to the workers that there are at the moment, and takes back what is done."""

    def __init__(
        self,
        client: Client,
        submit: Callable[[list[Unit[T]]], Future[Any]],
        waiting: deque[Unit[T]],
        together: int | None,
    ) -> None:
        self._client = client
        self._submit = submit
        self._waiting = waiting
        self._together = together
        self._out: dict[Any, tuple[Future[Any], str]] = {}
        self._finished: SimpleQueue[Future[Any]] = SimpleQueue()
        self._pace = _Done()
        self._threads = 0
        self._looked = -_LOOK_SECONDS

    def take(self) -> Future[Any] | None:
        """Wait for the next task to end, and keep the workers busy meanwhile; None after all."""
        while self._out or self._waiting:
            self._look()
            self._fill()
            with suppress(Empty):
                return self._finished.get(timeout=_LOOK_SECONDS)
        return None

    def open(self, future: Future[Any]) -> _Done:
        """Read what a task brought back; the error of one that failed names its units."""
        from distributed import CancelledError

        _, named = self._out.pop(future.key)
        try:
            done: _Done = future.result()
        except _UnitError as error:
            raise WorkerError(str(error)) from error
        except Exception as error:  # the edge of a task: name the unit, keep the cause
            if isinstance(error, CancelledError):  # we cancel nothing before the end
                raise describe_loss(self._client) from error
            with suppress(OSError):  # a worker without hcs fails like this
                check_workers(self._client, self._client.nthreads())
            msg = f"unit {named} failed: {type(error).__name__}: {error}"
            raise WorkerError(msg) from error
        self._pace = done
        return done

    def close(self) -> None:
        """Take back what is queued and wait for the tasks that run: they still write."""
        if not self._out or self._client.status != "running":
            return
        try:
            self._client.cancel([future for future, _ in self._out.values()])
            wait_until_idle(self._client, list(self._out))
        except Exception as error:  # noqa: BLE001 - the reason of the end must not be lost for this
            log.warning("running tasks could not be waited for: %s", error)

    def _look(self) -> None:
        """Count the threads, at most once a second, and meet the workers that have come."""
        if time.monotonic() - self._looked < _LOOK_SECONDS:
            return
        check_scheduler(self._client)
        try:
            found = self._client.nthreads()
        except OSError:  # the client is trying to reach the scheduler again
            return
        if not found:
            read_workers(self._client, "another worker" if self._threads else "the first worker")
            found = self._client.nthreads()
        check_workers(self._client, found)
        self._threads = max(1, sum(found.values()))
        self._looked = time.monotonic()

    def _fill(self) -> None:
        while self._waiting and len(self._out) < self._threads * _PENDING_PER_THREAD:
            count = self._together or _next_count(self._pace, len(self._waiting), self._threads)
            units = [self._waiting.popleft() for _ in range(min(count, len(self._waiting)))]
            future = self._submit(units)
            named = " to ".join(dict.fromkeys((units[0].id, units[-1].id)))
            self._out[future.key] = (future, named)
            future.add_done_callback(self._finished.put)


def _next_count(done: _Done, n_waiting: int, threads: int) -> int:
    """Units of the next task: as many as take a third of a second, fewer towards the end."""
    in_time = int(_TASK_SECONDS * len(done.results) / max(done.seconds, 1e-6))
    return max(1, min(in_time, _TASK_UNITS, n_waiting // (2 * threads)))
