"""The frame of every stage: it locks, skips, runs, joins, and says what an output was made from.

A stage declares what its units and tables are made from, each kind under its own name
(:class:`MadeFrom`), and does the work; everything else happens here, once for all stages:

- the output, and whatever else is written into, is locked; inputs are read under a shared lock and
  refused when a killed run left them unfinished;
- a unit, and a table that is joined from units, is made again when what it was made from changed or
  when a file of it is gone, and else is not;
- a setting counts unless the stage names it as one that changes no result, so none is forgotten;
- problems, provenance and the result are written the same way everywhere.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from pydantic import BaseModel

from hcs.compute.units import Unit, run_units
from hcs.domain.results import Problem, StageResult
from hcs.errors import ImageReadError, InputError, StaleError
from hcs.io.files import objects, parquet, storage
from hcs.io.files.durable import sync_disks
from hcs.io.files.written import record_writes
from hcs.io.plates import plate_tables
from hcs.io.runs import places
from hcs.io.runs.fingerprints import fingerprint
from hcs.io.runs.ledger import Ledger, Record
from hcs.io.runs.locks import locked, reading
from hcs.io.runs.provenance import provenance
from hcs.io.runs.unfinished import mark_finished, mark_unfinished, refuse_unfinished

if TYPE_CHECKING:
    from distributed import Client

_JOINED: Final = "joined-"

Summary = dict[str, str | int | float]


@dataclass(frozen=True, slots=True)
class MadeFrom:
    """What a unit or a table is made from; each kind of input has its own place.

    Attributes
    ----------
    format
        Version of what the stage writes; raised when that changes.
    settings
        From :attr:`Frame.settings`, or those of them that matter here.
    pixels
        Fingerprints of images, stacks or activations.
    metadata
        Columns of the plate map that the result depends on, with their values.
    weights
        Fingerprints of the network's or the heads' weights, by content.
    values
        Fingerprints of tables, splits and other files, by content.
    """

    format: int
    settings: object = None
    pixels: object = None
    metadata: object = None
    weights: object = None
    values: object = None

    @property
    def fingerprint(self) -> str:
        """One name for all of it."""
        return fingerprint(self)


@dataclass
class Frame:
    """One run of one stage.

    Attributes
    ----------
    stage, config, client
        What runs, and where.
    apart
        Names of those settings that change no result: paths, sizes of batches, strictness.
    out
        The output that the records belong to.
    started
        ``time.time()`` at the start.
    inputs
        Fingerprints of what was read, by name, for the provenance.
    notes
        What else the provenance shall say.
    problems
        Every fault that was met.
    ran
        Names of the units that this run did.
    """

    stage: str
    config: BaseModel
    client: Client | None
    apart: frozenset[str]
    out: str
    started: float = field(default_factory=time.time)
    inputs: dict[str, str] = field(default_factory=dict)
    notes: dict[str, Any] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    n_run: int = 0
    n_skipped: int = 0
    ran: set[str] = field(default_factory=set)
    _ids: list[str] = field(default_factory=list)
    _changed: bool = False

    @property
    def ledger(self) -> Ledger:
        """Where finished units are recorded."""
        return Ledger.of(self.out)

    @property
    def settings(self) -> dict[str, Any]:
        """All settings that can change a result."""
        return self.config.model_dump(mode="json", exclude=set(self.apart))

    def do(
        self,
        work: Callable[..., Any],
        units: Sequence[Unit[Any]],
        *,
        label: str | None = None,
        resources: Mapping[str, float] | None = None,
        together: int | None = None,
        in_place: bool = False,
    ) -> list[dict[str, Any]]:
        """Do the units that are missing or stale; see :func:`hcs.compute.units.run_units`.

        Parameters
        ----------
        work, units, resources, together
            As there. A ``problems`` entry of a unit's result is added to those of the run.
        label
            Shown with the progress; the stage's name by default.
        in_place
            Whether units change the output that others read, rather than parts of it: it is then
            marked as unfinished until the stage ends.

        Returns
        -------
        list of dict
            Result of every unit, in their order.
        """
        outcome = run_units(
            work,
            units,
            ledger=self.ledger,
            client=self.client,
            label=label or self.stage,
            resources=resources,
            together=together,
            before=lambda: self._begin_changes(in_place=in_place),
        )
        self.n_run += outcome.n_run
        self.n_skipped += outcome.n_skipped
        self.ran |= outcome.ran
        self._ids += [unit.id for unit in units]
        if in_place and outcome.n_run:
            self._check_all_there([unit.id for unit in units])
        found = [Problem(**item) for r in outcome.results for item in r.get("problems", ())]
        self.add_problems(found)
        return outcome.results

    def add_problems(self, found: Sequence[Problem]) -> None:
        """Add faults that were met, also those that an earlier run met, which was not strict.

        Raises
        ------
        ImageReadError
            When the run is strict and one of them leaves something out.
        """
        self.problems += found
        left_out = next((item for item in found if not item.kept), None)
        if left_out is not None and getattr(self.config, "strict", False):
            raise ImageReadError(left_out.message, left_out.reason)

    def _check_all_there(self, names: Sequence[str]) -> None:
        """Refuse to say that all is done when somebody removed what was written meanwhile."""
        records = self.ledger.read_all(names)
        written = {name for name, record in records.items() if record is not None}
        lost = sorted(written - self.ledger.find_intact(records))
        if lost:
            msg = (
                f"files of {len(lost)} finished units of {self.out} are gone, the first of "
                f"{lost[0]}: run the same command again, it writes what is missing"
            )
            raise StaleError(msg)

    def join(
        self,
        name: str,
        made_from: MadeFrom,
        write: Callable[[Mapping[str, Any]], Mapping[str, Any] | None],
        *,
        is_work: bool = False,
    ) -> dict[str, Any]:
        """Write what is made of all units, unless it is there and made from the very same.

        Parameters
        ----------
        name
            Of the output's piece.
        made_from
            What it is made from.
        write
            Gets the provenance and writes, all files in one step each; what it returns is
            remembered.
        is_work
            Whether it counts as a unit of work: in a stage that has no others.

        Returns
        -------
        dict
            What ``write`` returned, now or when it last wrote.
        """
        unit_id = f"{_JOINED}{name}"
        self._ids.append(unit_id)
        ledger, mark = self.ledger, made_from.fingerprint
        record = ledger.read(unit_id)
        same = record is not None and record.fingerprint == mark
        if record is not None and same and ledger.find_intact({unit_id: record}):
            self.n_skipped += is_work
            return dict(record.result)
        ledger.outdate(unit_id, record, {})
        began = time.perf_counter()
        with record_writes() as written:
            found = dict(write(self.provenance()) or {})
        self._changed = True
        sync_disks([self.out, *written])
        ledger.write(unit_id, Record(mark, found), time.perf_counter() - began, written)
        self.n_run += is_work
        return found

    def recall(self, name: str, *, whole: bool = False) -> dict[str, Any]:
        """Return what was remembered of a piece that an earlier run joined; empty without.

        With ``whole`` also empty when a run was killed while it made the piece anew.
        """
        record = self.ledger.read(f"{_JOINED}{name}")
        lost = record is None or (whole and not record.fingerprint)
        return {} if record is None or lost else dict(record.result)

    def recall_others(self, names: Iterable[str]) -> dict[str, dict[str, Any]]:
        """Return what units of earlier runs returned that this run has not; they stay recorded."""
        known = self.ledger.list_units()
        others = [name for name in set(known).difference(names) if not name.startswith(_JOINED)]
        found = self.ledger.read_all(sorted(others))
        self._ids += others
        return {name: dict(record.result) for name, record in found.items() if record is not None}

    def provenance(self) -> dict[str, Any]:
        """Say how the output came to be."""
        return {**provenance(self.stage, self.config, self.inputs, self.started), **self.notes}

    def result(self, summary: Summary) -> StageResult:
        """End the run: problems, sweeping, and what was done."""
        parquet.write_problems(self.out, [problem.row() for problem in self.problems])
        if self._ids:
            self.ledger.forget_others(self._ids)
        if self._changed:
            sync_disks([self.out])
        mark_finished(self.out)
        return StageResult(
            stage=self.stage,
            out=self.out,
            summary=summary,
            n_run=self.n_run,
            n_skipped=self.n_skipped,
            problems=tuple(self.problems),
            seconds=time.time() - self.started,
            settings=self.settings,
        )

    def _begin_changes(self, *, in_place: bool) -> None:
        """Let nothing that was joined from units outlive a change of one, whatever happens next."""
        self._changed = True
        if in_place:
            mark_unfinished(self.out, self.stage, getattr(self.config, "source", None))
        self.ledger.forget_starting(_JOINED)


def require_parquet(out: str) -> None:
    """Refuse a table's name that does not end as tables do: others are named after it.

    Raises
    ------
    InputError
        With the name that would do.
    """
    if not out.endswith(".parquet"):
        msg = f"{out} is to be a table: name it {out}.parquet"
        raise InputError(msg)


@contextmanager
def open_frame(
    stage: str,
    config: BaseModel,
    client: Client | None = None,
    *,
    out: str,
    reads: Iterable[str] = (),
    also_writes: Sequence[str] = (),
    apart: Sequence[str] = (),
    may_be_input: bool = False,
) -> Iterator[Frame]:
    """Hold an output for one run of a stage.

    Parameters
    ----------
    stage, config, client
        What runs, and where.
    out
        The output, which holds the records.
    reads
        Outputs of other stages that are read: refused while they are being written, or when a
        killed run left them unfinished.
    also_writes
        Other outputs that are written into, such as plates that get labels.
    apart
        Settings that change no result.
    may_be_input
        Whether the output may be what is read, changed in place.

    Raises
    ------
    InputError
        When something else than an earlier output of the stage lies at ``out``.
    LockedError
        When another run holds one of them.
    StaleError
        When an input was left unfinished.
    """
    reads = tuple(dict.fromkeys(reads))
    for path in reads:
        objects.refuse_address(path)
    for path in (out, *also_writes):
        objects.refuse_address(path, is_output=True)
    if "://" not in out and os.path.islink(out) and not os.path.exists(out):  # noqa: PTH110, PTH114
        msg = f"{out} is a link to {os.path.realpath(out)}, which does not exist: name that instead"
        raise InputError(msg)
    places.refuse_taken(out, stage, (*reads, *also_writes), in_place=may_be_input)
    with objects.plain_errors(out, *reads), locked(out, *also_writes), reading(*reads):
        places.mark_place(out, stage, reads)
        for path in dict.fromkeys((*reads, *also_writes)):
            refuse_unfinished(path)
        for path in also_writes:
            storage.sweep_folder(path)
            storage.sweep_folder(f"{path}/{plate_tables.FOLDER}")
            storage.sweep_folder(f"{path}/{plate_tables.FOLDER}/{stage}")
        yield Frame(stage, config, client, frozenset(apart), out)
