"""A resumable map: finished units are skipped, the rest run on the workers, each recorded."""

from __future__ import annotations

import logging
import pickle
import time
import uuid
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import cloudpickle

from hcs.compute import progress
from hcs.compute.budget import Need, find_need
from hcs.compute.identity import Identity, check_identity, check_workers, identify
from hcs.compute.workers import read_workers, wait_until_idle
from hcs.errors import HcsError, InputError, WorkerError
from hcs.io.files import storage
from hcs.io.files.written import record_writes
from hcs.io.runs.ledger import Ledger, Record, read_claim, write_claim

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
    items
        Parts of the unit that can stay when others change, each with its own fingerprint.
    claims
        Files that say whose the places are into which the unit writes inside other outputs.
    """

    id: str
    fingerprint: str
    payload: T
    items: Mapping[str, str] = field(default_factory=dict)
    claims: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Past:
    """What an earlier run left of a unit that is done anew.

    Attributes
    ----------
    items
        Parts that are still there and still true.
    result
        What the unit returned when it was last done, of these parts and of others.
    files
        Files that it wrote, with their sizes, by their paths.
    """

    items: frozenset[str] = frozenset()
    result: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, int] = field(default_factory=dict)


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


@dataclass(frozen=True, slots=True)
class Work(Generic[T]):
    """A function of the module level that does units, and where they are recorded.

    Attributes
    ----------
    do
        Takes the payload of one unit and, where units have items, its :class:`Past`; writes the
        output in one step and returns what is to be remembered, as JSON. With ``together`` it takes
        ``[(payload, past), …]`` of several units and yields their results in order, each when the
        unit's output is written.
    ledger
        Where finished units are recorded.
    together
        How many units ``do`` takes at a time; None for one payload at a time.
    """

    do: Callable[..., Any]
    ledger: Ledger
    together: int | None = None

    def perform(self, units: Sequence[Unit[T]]) -> Iterator[_OK]:
        """Do some units and record each as soon as it is done."""
        with storage.plain_errors(self.ledger.folder):
            known = find_done(units, self.ledger)
            todo = []
            for unit in units:
                if unit.id in known:  # by a worker that was killed later in its task
                    yield unit.id, known[unit.id]
                else:
                    todo.append(unit)
            if self.together is None:
                for unit in todo:
                    past = self._begin(unit)
                    arguments = (unit.payload, past) if unit.items else (unit.payload,)
                    yield self._finish(unit, lambda a=arguments: self.do(*a))  # type: ignore[misc]
            elif todo:
                results = iter(self.do([(unit.payload, self._begin(unit)) for unit in todo]))
                for unit in todo:
                    yield self._finish(unit, lambda: next(results))

    def _begin(self, unit: Unit[T]) -> Past:
        """Outdate what is known of a unit and find out what of it stays."""
        ledger = self.ledger
        record = ledger.read(unit.id)
        kept = {}
        if (
            record is not None
            and unit.id in ledger.find_intact({unit.id: record})
            and all(record.fingerprint == read_claim(claim) != "" for claim in unit.claims)
        ):
            kept = {k: v for k, v in record.items.items() if unit.items.get(k) == v}
        for claim in unit.claims:
            write_claim(claim, "")
        ledger.outdate(unit.id, record, kept)
        if record is None or not kept:
            return Past()
        files = {ledger.locate(key): size for key, size in (record.files or {}).items()}
        return Past(frozenset(kept), record.result, files)

    def _finish(self, unit: Unit[T], do: Callable[[], Mapping[str, Any]]) -> _OK:
        started = time.perf_counter()
        with record_writes() as written:
            result = dict(do())
        for claim in unit.claims:
            write_claim(claim, unit.fingerprint)
        record = Record(unit.fingerprint, result, unit.items)
        self.ledger.write(unit.id, record, time.perf_counter() - started, written)
        return unit.id, result


def find_done(units: Sequence[Unit[T]], ledger: Ledger) -> dict[str, dict[str, Any]]:
    """Results, by name, of the units that are finished.

    Finished means recorded under this very fingerprint, with all that was written still in its
    place, and every place in other outputs still its own.
    """
    wanted = {unit.id: unit for unit in units}
    records = {
        name: record
        for name, record in ledger.read_all(wanted).items()
        if record is not None and record.fingerprint == wanted[name].fingerprint
    }
    intact = ledger.find_intact(records)
    return {
        name: dict(record.result)
        for name, record in records.items()
        if name in intact
        and all(read_claim(claim) == record.fingerprint for claim in wanted[name].claims)
    }


def run_units(
    work: Callable[..., Any],
    units: Sequence[Unit[T]],
    *,
    ledger: Ledger,
    client: Client | None,
    label: str,
    resources: Mapping[str, float] | None = None,
    together: int | None = None,
    before: Callable[[], object] | None = None,
) -> Outcome:
    """Do the units that are missing or stale, and return the results of all.

    Parameters
    ----------
    work
        A function of the module level that does one unit, writes its output atomically and
        returns what is to be remembered of it, as JSON; see :class:`Work`. Faults of the data
        belong into that result; what it raises stops the run (units already finished stay
        finished).
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
    together
        How many units one call of ``work`` takes; None for one payload a call.
    before
        Called before the first unit is done; not at all when all of them are.

    Raises
    ------
    WorkerError
        When a unit fails for a reason that is not hcs's own error.
    """
    if len({unit.id for unit in units}) < len(units):
        twice = [name for name, n in Counter(unit.id for unit in units).items() if n > 1]
        msg = f"units of work need names of their own; found twice: {twice[:5]}"
        raise InputError(msg)
    results = find_done(units, ledger)
    todo = [unit for unit in units if unit.id not in results]
    outcome = Outcome(n_skipped=len(results), n_run=len(todo))
    shown = progress.current()
    shown.begin(label, len(units), outcome.n_skipped)
    job: Work[T] = Work(work, ledger, together)
    if todo and before is not None:
        before()
    try:
        finished = (
            _here(job, todo)
            if client is None
            else _on_workers(job, todo, client, dict(resources or {}))
        )
        for unit_id, result in finished:
            results[unit_id] = result
            shown.advance()
    finally:
        shown.end()
    outcome.results = [results[unit.id] for unit in units]
    return outcome


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
        raise _UnitError(_describe(units, done.results, error)) from error
    done.seconds = time.perf_counter() - started
    return done


def _describe(units: Sequence[Unit[Any]], results: Sequence[_OK], error: Exception) -> str:
    """Name the unit that failed: the first without a result."""
    finished = {name for name, _ in results}
    failed = next((unit.id for unit in units if unit.id not in finished), units[-1].id)
    return f"unit {failed} failed: {type(error).__name__}: {error}"


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


def _here(work: Work[T], todo: Sequence[Unit[T]]) -> Iterator[_OK]:
    step = work.together or 1
    for start in range(0, len(todo), step):
        units, finished = todo[start : start + step], []
        try:
            for found in work.perform(units):
                finished.append(found)
                yield found
        except HcsError:
            raise
        except Exception as error:  # the edge of a task: name the unit, keep the cause
            raise WorkerError(_describe(units, finished, error)) from error


def _on_workers(
    work: Work[T], todo: Sequence[Unit[T]], client: Client, resources: dict[str, float]
) -> Iterator[_OK]:
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
        _, named = self._out.pop(future.key)
        try:
            done: _Done = future.result()
        except _UnitError as error:
            raise WorkerError(str(error)) from error
        except Exception as error:  # the edge of a task: name the unit, keep the cause
            with suppress(OSError):  # a worker without hcs fails like this
                check_workers(self._client, self._client.nthreads())
            msg = f"unit {named} failed: {type(error).__name__}: {error}"
            raise WorkerError(msg) from error
        self._pace = done
        return done

    def close(self) -> None:
        """Take back what is queued and wait for the tasks that run: they still write."""
        if not self._out:
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
        found = self._client.nthreads()
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
