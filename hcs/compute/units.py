"""A resumable map: finished units are skipped, the rest run on the workers, each recorded."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from hcs.compute import progress
from hcs.errors import HcsError, WorkerError
from hcs.io import storage
from hcs.io.runs import Ledger

if TYPE_CHECKING:
    from distributed import Client, Future

log = logging.getLogger(__name__)

T = TypeVar("T")

_PENDING_PER_THREAD = 3
"""Units handed to the scheduler ahead of each thread: enough to keep it busy, few enough that the
memory of scheduler and client does not grow with the plate."""


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
    records: dict[str, dict[str, Any]] = {}
    todo: list[Unit[T]] = []
    known = ledger.read_all(unit.id for unit in units)
    for unit in units:
        record = known[unit.id]
        if record is not None and record.get("fingerprint") == unit.fingerprint:
            records[unit.id] = record["result"]
        else:
            todo.append(unit)
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


def perform(
    work: Callable[[T], Mapping[str, Any]], unit: Unit[T], ledger: Ledger
) -> tuple[str, dict[str, Any]]:
    """Do one unit and record it."""
    started = time.perf_counter()
    with storage.plain_errors(ledger.folder):
        ledger.outdate(unit.id)
        result = dict(work(unit.payload))
        ledger.write(unit.id, unit.fingerprint, result, time.perf_counter() - started)
    return unit.id, result


def _attempt(
    work: Callable[[T], Mapping[str, Any]], unit: Unit[T], ledger: Ledger
) -> tuple[str, dict[str, Any]] | HcsError:
    """Do one unit on a worker and hand back our own errors, which Dask would log and try again."""
    try:
        return perform(work, unit, ledger)
    except HcsError as error:
        return error


def _here(
    work: Callable[[T], Mapping[str, Any]], todo: Sequence[Unit[T]], ledger: Ledger
) -> Iterator[tuple[str, dict[str, Any]]]:
    for unit in todo:
        try:
            yield perform(work, unit, ledger)
        except HcsError:
            raise
        except Exception as error:  # the edge of a task: name the unit, keep the cause
            msg = f"unit {unit.id} failed: {type(error).__name__}: {error}"
            raise WorkerError(msg) from error


def _on_workers(
    work: Callable[[T], Mapping[str, Any]],
    todo: Sequence[Unit[T]],
    ledger: Ledger,
    client: Client,
    resources: dict[str, float],
) -> Iterator[tuple[str, dict[str, Any]]]:
    from distributed import as_completed

    if not todo:
        return
    waiting = iter(todo)
    names: dict[Any, str] = {}

    def submit(unit: Unit[T]) -> Future[Any]:
        future = client.submit(
            _attempt, work, unit, ledger, pure=False, resources=resources, retries=1
        )
        names[future.key] = unit.id
        return future

    threads = max(1, sum(client.nthreads().values()))
    first = [submit(unit) for unit in islice(waiting, threads * _PENDING_PER_THREAD)]
    queue = as_completed(first)
    for future in queue:
        try:
            finished = future.result()
        except Exception as error:  # the edge of a task: name the unit, keep the cause
            queue.clear()
            msg = f"unit {names[future.key]} failed: {type(error).__name__}: {error}"
            raise WorkerError(msg) from error
        if isinstance(finished, HcsError):
            queue.clear()
            raise finished
        del names[future.key]
        following = next(waiting, None)
        if following is not None:
            queue.add(submit(following))
        yield finished
