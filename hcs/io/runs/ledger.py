"""Records of finished units of work: one small JSON file a unit, written after its output.

A record names the files that the unit wrote, with their sizes, and counts only while they are
there: output that was deleted, or copied in part, is made again.
"""

from __future__ import annotations

import functools
import json
import os
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote, unquote

from upath import UPath

from hcs.errors import StaleError
from hcs.io.files import objects
from hcs.io.files.atomic import remove, write_bytes
from hcs.io.files.durable import name_boot
from hcs.io.files.paths import AnyPath, as_path, as_text, is_local, local_path, sidecar
from hcs.io.runs.fingerprints import plain

_UNITS: Final = "units"
_PARTS: Final = "parts"
_RUN: Final = "run"

BOOT: Final = "boot"


@dataclass(frozen=True, slots=True)
class Record:
    """What is known of one unit.

    Attributes
    ----------
    fingerprint
        Of what it was made from; empty while it is being made anew.
    result
        What it returned.
    items
        Parts of the unit that can stay when others change (fields of a well, images of a shard),
        each with the fingerprint of what it was made from.
    files
        Size of every file that it wrote, by the path's continuation of the output's.
    boot
        Name of the time since the machine was last started in which the unit was done, while it is
        not known that its files are on the disk; after a power cut such a record counts no more.
    """

    fingerprint: str
    result: Mapping[str, Any]
    items: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, int] | None = None
    boot: str = ""


@dataclass(frozen=True, slots=True)
class Ledger:
    """The records of one output.

    Attributes
    ----------
    out
        The output.
    side
        Folder of everything that is kept beside it, ``<out>.hcs``.
    """

    out: str
    side: str

    @classmethod
    def of(cls, out: AnyPath) -> Ledger:
        """Return the ledger of an output."""
        return cls(as_text(out), as_text(sidecar(out)))

    @property
    def folder(self) -> str:
        """Where the records lie."""
        return f"{self.side}/{_UNITS}"

    def _file(self, unit_id: str) -> str:
        return f"{self.folder}/{_file_name(unit_id)}.json"

    def read(self, unit_id: str) -> Record | None:
        """Record of a unit, or None when it never finished (or its record is damaged)."""
        return _parse(self.read_bytes(unit_id))

    def read_bytes(self, unit_id: str) -> bytes | None:
        """Content of the file of a record; None when there is none."""
        local = local_path(self._file(unit_id))
        try:
            if local is None:
                return bytes(as_path(self._file(unit_id)).read_bytes())
            with open(local, "rb") as stream:  # noqa: PTH123
                return stream.read()
        except FileNotFoundError:
            return None

    def read_all(self, unit_ids: Iterable[str]) -> dict[str, Record | None]:
        """Read the records of many units; an object store is asked for many at a time."""
        ids = list(unit_ids)
        if is_local(as_path(self.folder)):
            return {unit_id: self.read(unit_id) for unit_id in ids}
        files = {unit_id: as_path(self._file(unit_id)) for unit_id in ids}
        found = objects.read_many(list(files.values()))
        return {unit_id: _parse(found.get(str(file))) for unit_id, file in files.items()}

    def list_units(self) -> list[str]:
        """Names of all units of which there is a record, in their order."""
        names = _names(self.folder)
        return sorted(unquote(n.removesuffix(".json")) for n in names if n.endswith(".json"))

    def write(
        self,
        unit_id: str,
        record: Record,
        seconds: float,
        written: Mapping[str, int] | None = None,
    ) -> None:
        """Record a unit.

        Parameters
        ----------
        unit_id, record
            What is known of it.
        seconds
            How long it took.
        written
            Files by their paths as they were written; instead of those of the record.
        """
        files = record.files if written is None else self.continuations(written)
        content = {
            "fingerprint": record.fingerprint,
            "seconds": round(seconds, 3),
            "result": record.result,
            "items": dict(record.items),
            "files": None if files is None else dict(files),
            **({BOOT: record.boot} if record.boot else {}),
        }
        self.write_content(unit_id, content)

    def write_content(self, unit_id: str, content: Mapping[str, Any]) -> None:
        """Write the file of a record."""
        write_bytes(self._file(unit_id), json.dumps(content, default=plain).encode())

    def outdate(self, unit_id: str, record: Record | None, items: Mapping[str, str]) -> None:
        """Mark a record as no longer true, before its unit is done anew; some items stay.

        Else a run that is killed in the middle would leave new output under the old record, and a
        later run with the old inputs would skip the unit.
        """
        if record is not None and (record.fingerprint or dict(record.items) != dict(items)):
            self.write(unit_id, Record("", record.result, items, record.files), 0.0)

    def forget(self, unit_id: str) -> None:
        """Forget one unit, so that the next run does it again."""
        remove(self._file(unit_id))

    def forget_starting(self, prefix: str) -> None:
        """Forget the units whose names start with this."""
        for name in _names(self.folder):
            if name.startswith(prefix):
                remove(f"{self.folder}/{name}")

    def begin_run(self) -> str:
        """Draw a token for this run; whoever works for an earlier one can then tell.

        A command that was killed leaves workers behind that finish what they began.
        """
        token = uuid.uuid4().hex
        write_bytes(f"{self.side}/{_RUN}", token.encode())
        return token

    def refuse_late(self, token: str) -> None:
        """Refuse work for a run that another has followed.

        Raises
        ------
        StaleError
            When a later run has begun on this output.
        """
        try:
            now = as_path(f"{self.side}/{_RUN}").read_text(encoding="utf-8")
        except FileNotFoundError:
            now = ""
        if now != token:
            msg = f"a later run writes {self.out}: this work of an earlier one is not recorded"
            raise StaleError(msg)

    def forget_others(self, unit_ids: Iterable[str]) -> None:
        """Forget the records of units that the output no longer has, with their parts."""
        kept = {_file_name(unit_id) for unit_id in unit_ids}
        stale = {name for name in _names(self.folder) if name.removesuffix(".json") not in kept}
        for name in stale:
            remove(f"{self.folder}/{name}")
        gone = {name.removesuffix(".json") for name in stale}
        for name in _names(f"{self.side}/{_PARTS}") if gone else ():
            # Names of units may have dots, as the endings of parts do: the longest one owns it.
            owners = [name[:place] for place, sign in enumerate(name) if sign == "."]
            owner = next((own for own in reversed(owners) if own in gone or own in kept), None)
            if owner in gone:
                remove(f"{self.side}/{_PARTS}/{name}")

    def part(self, unit_id: str, suffix: str) -> UPath:
        """Path for a piece of output that a unit leaves for the final table."""
        return as_path(f"{self.side}/{_PARTS}/{_file_name(unit_id)}{suffix}")

    # ── files ───────────────────────────────────────────────────────────────────────────────────

    def continuations(self, written: Mapping[str, int]) -> dict[str, int]:
        """Name files by how their paths go on after the output's; others by their whole paths."""
        places = dict.fromkeys([self.out, *_absolute(self.out)])
        sides = dict.fromkeys([self.side, *_absolute(self.side)])
        found = {}
        for path, n_bytes in written.items():
            for name in _names_of(path):
                side = next((item for item in sides if name.startswith(f"{item}/")), None)
                if side is not None:
                    found[f"*{name[len(side) :]}"] = n_bytes
                    break
                place = next((p for p in places if name == p or name.startswith(f"{p}/")), None)
                if place is not None:
                    found[f".{name[len(place) :]}"] = n_bytes
                    break
            else:
                found[self._relate(path)] = n_bytes
        return found

    def _relate(self, path: str) -> str:
        """Name a file elsewhere as it lies from the output, so that both may be moved together."""
        if "://" in path:
            parent = self.out.rsplit("/", 1)[0]
            return f"~{path[len(parent) :]}" if path.startswith(f"{parent}/") else path
        here = _locate_parent(self.out, os.getcwd())  # noqa: PTH109
        return f"~/{os.path.relpath(os.path.realpath(path), here)}"

    def locate(self, continuation: str) -> str:
        """Path of a file that a record names."""
        if continuation.startswith("*"):
            return self.side + continuation[1:]
        if continuation.startswith("~"):
            if "://" in self.out:
                return self.out.rsplit("/", 1)[0] + continuation[1:]
            return _locate_parent(self.out, os.getcwd()) + continuation[1:]  # noqa: PTH109
        return self.out + continuation[1:] if continuation.startswith(".") else continuation

    def find_intact(self, records: Mapping[str, Record | None]) -> set[str]:
        """Names of those units all of whose files are there, of the size that was written."""
        known = {name: record for name, record in records.items() if record is not None}
        if is_local(as_path(self.out)):
            return {
                name
                for name, record in known.items()
                if record.files is not None
                and all(_has_size(self.locate(key), size) for key, size in record.files.items())
            }
        sizes: dict[str, int] = {}
        for root in (self.out, self.side) if known else ():
            path = as_path(root)
            details = path.fs.find(path.path, detail=True)
            sizes.update({str(name): int(item["size"]) for name, item in details.items()})
        return {
            name
            for name, record in known.items()
            if record.files is not None
            and all(_size_of(self.locate(key), sizes) == size for key, size in record.files.items())
        }


def _size_of(path: str, sizes: Mapping[str, int]) -> int | None:
    """Size of an object: of those that were listed, else as the store says."""
    target = as_path(path)
    name = target.path.rstrip("/")
    if name in sizes:
        return sizes[name]
    try:
        return int(target.fs.info(target.path)["size"])
    except FileNotFoundError:
        return None


def read_claim(path: AnyPath) -> str:
    """Read who wrote last into a place inside another output; empty when nobody did."""
    try:
        return as_path(path).read_text(encoding="utf-8")
    except (FileNotFoundError, UnicodeDecodeError):
        return ""


def write_claim(path: AnyPath, fingerprint: str) -> None:
    """Say who wrote into a place inside another output, such as labels in a plate.

    Two tables can be measured from one plate, but its labels are those of the run that came last:
    a unit counts as done only while the place is still its own.
    """
    write_bytes(path, fingerprint.encode())


@functools.lru_cache(maxsize=64)
def _locate_parent(out: str, folder: str) -> str:
    """Real folder in which an output lies, named once: there may be thousands of files in it."""
    return os.path.dirname(os.path.realpath(os.path.join(folder, out)))  # noqa: PTH118, PTH120


def _has_size(path: str, n_bytes: int) -> bool:
    try:
        return os.stat(path).st_size == n_bytes  # noqa: PTH116  (a path object costs 15 × as much)
    except OSError:
        return False


def _absolute(path: str) -> tuple[str, ...]:
    """Other names of a local path: absolute, and without symbolic links."""
    return () if "://" in path else (os.path.abspath(path), os.path.realpath(path))  # noqa: PTH100


def _names_of(path: str) -> Iterator[str]:
    """Every name of a path, as it was written first: the others ask the file system."""
    yield path
    yield from _absolute(path)


def _file_name(unit_id: str) -> str:
    """Name of a unit as that of a file; different units never share one."""
    return quote(unit_id, safe=" -_.()+,=")


def _names(folder: str) -> list[str]:
    path = as_path(folder)
    try:
        return [item.name for item in path.iterdir()]
    except (FileNotFoundError, NotADirectoryError):
        return []


def _parse(data: bytes | None) -> Record | None:
    try:
        content = json.loads(data or b"")
        if content.get(BOOT) not in {None, name_boot()}:
            return None  # of before the machine was started anew: its files may have been lost
        return Record(
            fingerprint=str(content["fingerprint"]),
            result=dict(content["result"]),
            items=dict(content.get("items") or {}),
            files=content.get("files"),
            boot=str(content.get(BOOT, "")),
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
