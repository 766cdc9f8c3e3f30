"""A resumable map: finished units are skipped, the rest run on the workers, each recorded."""

from __future__ import annotations

import logging
import pickle
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import cloudpickle

from hcs.compute import progress
from hcs.compute.budget import Need, find_need
from hcs.compute.identity import Identity, check_identity, check_workers, identify
from hcs.compute.workers import check_scheduler, describe_loss, read_workers, wait_until_idle
from hcs.errors import HcsError, WorkerError
from hcs.io.files import storage
from hcs.io.runs.ledger import Ledger

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

_OK = tuple[str, dict[str, Any]]
"""Name and result of a finished unit."""


@dataclass(frozen=True, slots=True)
class Unit(Generic[T]):
    """One unit of work.

    Attributes
    ----------
    id
        Name, unique within the output.
    fingerprint
        Fingerprint of its inputs and settings; a record with another one is stale.
    payload
        What the work function gets.
    """

    id: str
    fingerprint: str
    payload: T


@dataclass(slots=True)
class Outcome:
    """What a resumable map did.

    Attributes
    ----------
    results
        JSON result of every unit, in the order of the units.
    n_skipped, n_run
        Units finished by an earlier run, and by this one.
    """

    results: list[dict[str, Any]] = field(default_factory=list)
    n_skipped: int = 0
    n_run: int = 0


def known_results(fingerprints: Mapping[str, str], ledger: Ledger) -> dict[str, Any]:
    """Results, by unit, of those units that were finished under these very fingerprints."""
    known = ledger.read_all(fingerprints)
    return {
        unit_id: record["result"]
        for unit_id, record in known.items()
        if record is not None and record.get("fingerprint") == fingerprints[unit_id]
    }


def run_units(
    work: Callable[[T], Mapping[str, Any]],
    units: Sequence[Unit[T]],
    *,
    ledger: Ledger,
    client: Client | None,
    label: str,
    resources: Mapping[str, float] | None = None,
) -> Outcome:
    """Do the units that are missing or stale, and return the results of all.

    Parameters
    ----------
    work
        A function of the module level that does one unit, writes its output atomically and
        returns what is to be remembered of it, as JSON. Faults of the data belong into that
        result; what it raises stops the run (units already finished stay finished).
    units
        All units of the output.
    ledger
        Where finished units are recorded.
    client
        Dask client; None runs the units here, one after the other.
    label
        What is being done, for the progress bar.
    resources
        Dask resources that every unit needs, for example ``{"GPU": 1}``.

    Raises
    ------
    WorkerError
        When a unit fails for a reason that is not hcs's own error.
    """
    records = known_results({unit.id: unit.fingerprint for unit in units}, ledger)
    todo = [unit for unit in units if unit.id not in records]
    outcome = Outcome(n_skipped=len(records), n_run=len(todo))
    shown = progress.current()
    shown.begin(label, len(units), outcome.n_skipped)
    try:
        finished = (
            _here(work, todo, ledger)
            if client is None
            else _on_workers(work, todo, ledger, client, dict(resources or {}))
        )
        for unit_id, result in finished:
            records[unit_id] = result
            shown.advance()
    finally:
        shown.end()
    outcome.results = [records[unit.id] for unit in units]
    return outcome


def perform(work: Callable[[T], Mapping[str, Any]], unit: Unit[T], ledger: Ledger) -> _OK:
    """Do one unit and record it."""
    started = time.perf_counter()
    with storage.plain_errors(ledger.folder):
        record = ledger.read(unit.id)
        if record is not None and record.get("fingerprint") == unit.fingerprint:
            return unit.id, record["result"]  # by a worker that was killed later in its task
        ledger.outdate(unit.id, record)
        result = dict(work(unit.payload))
        ledger.write(unit.id, unit.fingerprint, result, time.perf_counter() - started)
    return unit.id, result


class _UnitError(Exception):
    """Carries the name of a unit and what it raised from a worker; Dask tries the task again."""


@dataclass(slots=True)
class _Done:
    """What a task brings back: finished units, and the error of ours that ended it early."""

    results: list[_OK] = field(default_factory=list)
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


def _attempt(
    work: Callable[[T], Mapping[str, Any]],
    units: Sequence[Unit[T]],
    ledger: Ledger,
    terms: _Terms | None = None,
) -> _Done:
    """Do units on a worker and hand back our own errors, which Dask would log and try again."""
    done = _Done()
    started = time.perf_counter()
    try:
        if terms is not None:
            terms.check_this_worker()
        for unit in units:
            done.results.append(_name_fault(work, unit, ledger))
    except HcsError as error:
        done.error = error
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


def _name_fault(work: Callable[[T], Mapping[str, Any]], unit: Unit[T], ledger: Ledger) -> _OK:
    try:
        return perform(work, unit, ledger)
    except HcsError:
        raise
    except Exception as error:  # the edge of a task: name the unit
        raise _UnitError(f"unit {unit.id} failed: {type(error).__name__}: {error}") from error


def _here(
    work: Callable[[T], Mapping[str, Any]], todo: Sequence[Unit[T]], ledger: Ledger
) -> Iterator[_OK]:
    for unit in todo:
        try:
            yield _name_fault(work, unit, ledger)
        except _UnitError as error:
            raise WorkerError(str(error)) from error.__cause__


def _on_workers(
    work: Callable[[T], Mapping[str, Any]],
    todo: Sequence[Unit[T]],
    ledger: Ledger,
    client: Client,
    resources: dict[str, float],
) -> Iterator[_OK]:
    terms = _Terms(identify(), find_need(client, ledger.folder))
    if not todo:
        return

    def submit(units: list[Unit[T]]) -> Future[Any]:
        task = cloudpickle.dumps(_Task(work, units, ledger, terms))
        name = f"units-{uuid.uuid4().hex}"
        return client.submit(pickle.loads, task, key=name, resources=resources, retries=1)

    counter = _Counter(client, submit, deque(todo))
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
    ) -> None:
        self._client = client
        self._submit = submit
        self._waiting = waiting
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
            count = _next_count(self._pace, len(self._waiting), self._threads)
            units = [self._waiting.popleft() for _ in range(count)]
            future = self._submit(units)
            named = " to ".join(dict.fromkeys((units[0].id, units[-1].id)))
            self._out[future.key] = (future, named)
            future.add_done_callback(self._finished.put)


def _next_count(done: _Done, n_waiting: int, threads: int) -> int:
    """Units of the next task: as many as take a third of a second, fewer towards the end."""
    in_time = int(_TASK_SECONDS * len(done.results) / max(done.seconds, 1e-6))
    return max(1, min(in_time, _TASK_UNITS, n_waiting // (2 * threads)))
