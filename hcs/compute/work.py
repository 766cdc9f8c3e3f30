"""Units of work: what each is, what is left of it from earlier, how one is done and recorded."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Generic, TypeVar

from hcs.io.files import storage
from hcs.io.files.durable import name_boot, sync_disks
from hcs.io.files.paths import local_path
from hcs.io.files.written import note_write, record_writes
from hcs.io.runs.ledger import Ledger, Record, read_claim, write_claim
from hcs.io.runs.powercuts import confirm

T = TypeVar("T")

_RECORDS: Final = 4096
"""Records that are read at a time; an object store lists what is there once for each."""

Finished = tuple[str, dict[str, Any]]
"""Name and result of a finished unit."""


AGAIN: Final = "again"
"""Entry of a result: items that failed in a way that may pass, and are tried again next time."""


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
    earlier
        What it returned also where nothing of that stays true; another stage's, where that had the
        place before.
    """

    items: frozenset[str] = frozenset()
    result: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, int] = field(default_factory=dict)
    earlier: Mapping[str, Any] = field(default_factory=dict)

    def keep_files(self, within: str) -> None:
        """Note again the files of a part that is kept, by a piece of their paths."""
        for path, n_bytes in self.files.items():
            if within in path:
                note_write(path, n_bytes)


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
    token
        Of the run that asks: what a later run has followed records nothing any more.
    boot
        Of the machine of the command, which sees to it that what was recorded there is on the disk.
    """

    do: Callable[..., Any]
    ledger: Ledger
    together: int | None = None
    token: str | None = None
    boot: str | None = None

    def perform(self, units: Sequence[Unit[T]]) -> Iterator[Finished]:
        """Do some units and record each as soon as it is done."""
        done: list[str] = []
        try:
            for found in self._perform(units):
                done.append(found[0])
                yield found
        finally:
            if name_boot() != self.boot:  # another machine than the command's
                confirm(self.ledger, done)

    def _perform(self, units: Sequence[Unit[T]]) -> Iterator[Finished]:
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
        if self.token is not None:
            ledger.refuse_late(self.token)
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
        if record is None:
            return Past()
        if not kept:
            return Past(earlier=record.result)
        files = {ledger.locate(key): size for key, size in (record.files or {}).items()}
        return Past(frozenset(kept), record.result, files, record.result)

    def _finish(self, unit: Unit[T], do: Callable[[], Mapping[str, Any]]) -> Finished:
        started = time.perf_counter()
        with record_writes() as written:
            result = dict(do())
        if self.token is not None:
            self.ledger.refuse_late(self.token)
        again = set(result.get(AGAIN, ()))
        fingerprint = "" if again else unit.fingerprint
        items = {name: mark for name, mark in unit.items.items() if name not in again}
        for claim in unit.claims:
            write_claim(claim, fingerprint)
        boot = name_boot() if local_path(self.ledger.out) else ""
        if not boot:  # nobody could tell later whether there was a power cut in between
            sync_disks(written)
        record = Record(fingerprint, result, items, boot=boot)
        self.ledger.write(unit.id, record, time.perf_counter() - started, written)
        return unit.id, result


def find_done(units: Sequence[Unit[T]], ledger: Ledger) -> dict[str, dict[str, Any]]:
    """Results, by name, of the units that are finished.

    Finished means recorded under this very fingerprint, with all that was written still in its
    place, and every place in other outputs still its own.
    """
    found: dict[str, dict[str, Any]] = {}
    # Some at a time: records of a whole screen, with the files that they name, would fill memory.
    for start in range(0, len(units), _RECORDS):
        wanted = {unit.id: unit for unit in units[start : start + _RECORDS]}
        records = {
            name: record
            for name, record in ledger.read_all(wanted).items()
            if record is not None and record.fingerprint == wanted[name].fingerprint
        }
        intact = ledger.find_intact(records)
        found |= {
            name: dict(record.result)
            for name, record in records.items()
            if name in intact
            and all(read_claim(claim) == record.fingerprint for claim in wanted[name].claims)
        }
    return found


def describe_fault(
    units: Sequence[Unit[Any]], results: Sequence[Finished], error: Exception
) -> str:
    """Name the unit that failed: the first without a result."""
    finished = {name for name, _ in results}
    failed = next((unit.id for unit in units if unit.id not in finished), units[-1].id)
    return f"unit {failed} failed: {type(error).__name__}: {error}"
