"""A resumable map: finished units are skipped, the rest run here or on the workers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from hcs.compute import progress
from hcs.compute.confirming import Confirmer
from hcs.compute.dispatch import do_on_workers
from hcs.compute.work import Finished, Past, Unit, Work, describe_fault, find_done
from hcs.errors import HcsError, InputError, WorkerError
from hcs.io.files.durable import name_boot
from hcs.io.runs.ledger import Ledger
from hcs.io.runs.powercuts import begin_changes, end_changes, settle

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["Outcome", "Past", "Unit", "Work", "find_done", "run_units"]

T = TypeVar("T")


@dataclass(slots=True)
class Outcome:
    """What a resumable map did.

    Attributes
    ----------
    results
        JSON result of every unit, in the order of the units.
    n_skipped, n_run
        Units finished by an earlier run, and by this one.
    ran
        Names of the latter.
    """

    results: list[dict[str, Any]] = field(default_factory=list)
    n_skipped: int = 0
    n_run: int = 0
    ran: frozenset[str] = frozenset()


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
    settle(ledger)
    results = find_done(units, ledger)
    todo = [unit for unit in units if unit.id not in results]
    ran = frozenset(unit.id for unit in todo)
    outcome = Outcome(n_skipped=len(results), n_run=len(todo), ran=ran)
    shown = progress.current()
    shown.begin(label, len(units), outcome.n_skipped)
    try:
        if todo:
            if before is not None:
                before()
            job: Work[T] = Work(work, ledger, together, ledger.begin_run(), name_boot())
            begin_changes(ledger, {unit.id: unit.fingerprint for unit in todo})
            # Closed at once, also when an interrupt lands in this loop: tasks that run still write.
            with closing(_do(job, todo, client, dict(resources or {}))) as finished:
                for unit_id, result in finished:
                    results[unit_id] = result
                    shown.advance()
            end_changes(ledger)
    finally:
        shown.end()
    outcome.results = [results[unit.id] for unit in units]
    return outcome


def _do(
    job: Work[T], todo: Sequence[Unit[T]], client: Client | None, resources: dict[str, float]
) -> Generator[Finished]:
    """Do units and yield them as they end; at the end all are on the disk."""
    finished = _here(job, todo) if client is None else do_on_workers(job, todo, client, resources)
    confirmer = Confirmer(job.ledger)
    try:
        with closing(finished):
            for found in finished:
                confirmer.add(found[0])
                yield found
    finally:
        confirmer.close()


def _here(work: Work[T], todo: Sequence[Unit[T]]) -> Generator[Finished]:
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
            raise WorkerError(describe_fault(units, finished, error)) from error
