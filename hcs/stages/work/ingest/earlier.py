"""Where an earlier run put each field: none takes the place of one whose files vanished."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from hcs.domain import columns as col
from hcs.domain.config.stages import IngestConfig
from hcs.domain.plate import SourcePlate
from hcs.errors import InputError
from hcs.io.files.paths import as_path
from hcs.io.runs.ledger import Ledger
from hcs.stages.work.ingest.reading import FieldJob, WellJob
from hcs.stages.work.ingest.vanished import GONE, refuse_lost_axes

_SHOWN: Final = 3


@dataclass(frozen=True)
class Stored:
    """A field as an earlier run wrote it; ``sources`` are empty where they are not known."""

    well: str
    site: int
    path: str
    sources: frozenset[str]

    @property
    def first_site(self) -> int:
        """Site that would lie at 0."""
        return self.site - int(self.path.rsplit("/", 1)[1])


@dataclass(frozen=True)
class Earlier:
    """What earlier runs wrote to an output.

    Attributes
    ----------
    out
        The output.
    fields
        In the order of wells, those of now vanished files as well.
    """

    out: str = ""
    fields: tuple[Stored, ...] = ()
    _places: dict[str, set[str]] = field(default_factory=dict, repr=False)

    def find_first_site(self, plate: SourcePlate) -> int:
        """Find the site whose fields lie at 0: the smallest, or that of the earlier run.

        Paths stay what they were when the files of the first site vanish everywhere; else all
        others would move by one, each into the place of another.
        """
        first = min(item.site for item in plate.planes)
        if not self.fields:
            return first
        known = {(stored.well, stored.site): stored for stored in self.fields}
        for item in plate.planes:
            stored = known.get((item.well.name, item.site))
            if stored is not None and item.path in stored.sources:
                return min(first, stored.first_site)
        return first

    def refuse_taken(self, source: str, jobs: Collection[WellJob]) -> None:
        """Refuse to write one stored field over another whose files vanished.

        That would come of numbers that are given in order: when the first file of a well goes,
        the second becomes its first field. What is stored may be the only copy.

        Raises
        ------
        InputError
            With the fields, and what to do.
        """
        if not self.fields:
            return
        now = {item.path: item for job in jobs for item in job.fields}
        read = {plane.path for item in now.values() for plane in item.planes}
        taken = [
            (stored, now[stored.path])
            for stored in self.fields
            if stored.path in now and self._is_taken(stored, now[stored.path], read)
        ]
        if not taken:
            return
        shown = "; ".join(
            f"well {stored.well} site {stored.site} at {stored.path}, which site {item.site} of "
            f"{item.planes[0].path} would take"
            for stored, item in taken[:_SHOWN]
        )
        more = f" and {len(taken) - _SHOWN} more" if len(taken) > _SHOWN else ""
        msg = (
            f"{self.out} holds fields of which {source} has no file any more, and others would be "
            f"written over them: {shown}{more}. Bring the files back; or give another output, or "
            f"remove {self.out} first, to have the plate without"
        )
        raise InputError(msg)

    def _is_taken(self, stored: Stored, item: FieldJob, read: Collection[str]) -> bool:
        """Whether another field moves into the place of one whose files vanished."""
        if not stored.sources.isdisjoint(read):
            return False
        sources = {plane.path for plane in item.planes}
        places = set().union(*(self._places_of(path) for path in sources))
        moved = places and stored.path not in places
        is_other = moved or item.site != stored.site
        return bool(is_other) and (as_path(self.out) / stored.path / "zarr.json").exists()

    def _places_of(self, source: str) -> set[str]:
        """Paths of the fields that an earlier run made of a file."""
        if not self._places:
            for stored in self.fields:
                for path in stored.sources:
                    self._places.setdefault(path, set()).add(stored.path)
        return self._places.get(source, set())

    def has_lost_files(self, jobs: Iterable[WellJob]) -> bool:
        """Whether any file is no longer read of which a field of now was made."""
        now = {
            (job.well.name, item.site): {plane.path for plane in item.planes}
            for job in jobs
            for item in job.fields
        }
        return any(
            not each.sources <= now[each.well, each.site]
            for each in self.fields
            if (each.well, each.site) in now
        )


def refuse_losses(config: IngestConfig, earlier: Earlier, jobs: Sequence[WellJob]) -> None:
    """Refuse to write over what is stored and may be the only copy; see the two that do.

    Raises
    ------
    InputError
        With what is lost and what to do.
    """
    earlier.refuse_taken(config.source, jobs)
    refuse_lost_axes(config, jobs[0], lost_files=earlier.has_lost_files(jobs))


def read_earlier(out: str) -> Earlier:
    """Read where earlier runs put each field; nothing when the plate itself was removed."""
    if not (as_path(out) / "zarr.json").exists():
        return Earlier(out)
    ledger = Ledger.of(out)
    records = ledger.read_all(ledger.list_units())
    found: dict[str, Stored] = {}
    for name, record in sorted(records.items()):
        result: Mapping[str, Any] = {} if record is None else record.result
        for row in (*result.get(GONE, ()), *result.get("images", ())) if "chosen" in result else ():
            sources = frozenset(str(row.get(col.SOURCES) or "").split("|")) - {""}
            stored = Stored(name, int(row[col.SITE]), str(row[col.FIELD_PATH]), sources)
            found[f"{stored.path} {stored.site}"] = stored
    return Earlier(out, tuple(found.values()))
