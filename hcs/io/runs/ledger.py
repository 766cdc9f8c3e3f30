"""Records of finished units of work: one small JSON file a unit, written after its output."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from upath import UPath

from hcs.io.files import objects
from hcs.io.files.atomic import remove, write_bytes
from hcs.io.files.paths import SIDECAR_SUFFIX, AnyPath, as_path, as_text, is_local, local_path
from hcs.io.runs.fingerprints import plain


@dataclass(frozen=True, slots=True)
class Ledger:
    """Records of finished units: one small JSON file a unit, written after its output.

    Attributes
    ----------
    folder
        Where the records lie, ``<out>.hcs/units``.
    """

    folder: str

    @classmethod
    def of(cls, out: AnyPath) -> Ledger:
        """Return the ledger of an output."""
        return cls(f"{as_text(out)}{SIDECAR_SUFFIX}/units")

    def _file(self, unit_id: str) -> str:
        return f"{self.folder}/{unit_id.replace('/', '_')}.json"

    def read(self, unit_id: str) -> dict[str, Any] | None:
        """Record of a unit, or None when it never finished (or its record is damaged)."""
        local = local_path(self._file(unit_id))
        try:
            if local is None:
                return _record(as_path(self._file(unit_id)).read_bytes())
            with open(local, "rb") as stream:  # noqa: PTH123
                return _record(stream.read())
        except FileNotFoundError:
            return None

    def read_all(self, unit_ids: Iterable[str]) -> dict[str, dict[str, Any] | None]:
        """Read the records of many units; an object store is asked for many at a time."""
        ids = list(unit_ids)
        if is_local(as_path(self.folder)):
            return {unit_id: self.read(unit_id) for unit_id in ids}
        files = {unit_id: as_path(self._file(unit_id)) for unit_id in ids}
        found = objects.read_many(list(files.values()))
        return {unit_id: _record(found.get(str(file))) for unit_id, file in files.items()}

    def write(self, unit_id: str, unit_fingerprint: str, result: object, seconds: float) -> None:
        """Record that a unit is finished."""
        record = {"fingerprint": unit_fingerprint, "seconds": round(seconds, 3), "result": result}
        write_bytes(self._file(unit_id), json.dumps(record, default=plain).encode())

    def forget(self, unit_id: str) -> None:
        """Forget one unit, so that the next run does it again."""
        remove(self._file(unit_id))

    def outdate(self, unit_id: str, record: Mapping[str, Any] | None) -> None:
        """Mark a record as no longer true, before its unit is done anew; the result is kept.

        Else a run that is killed in the middle would leave new output under the old record, and a
        later run with the old inputs would skip the unit.
        """
        if record is not None and record.get("fingerprint"):
            self.write(unit_id, "", record.get("result"), 0.0)

    def part(self, unit_id: str, suffix: str) -> UPath:
        """Path for a piece of output that a unit leaves for the final table."""
        return as_path(self.folder).parent / "parts" / f"{unit_id.replace('/', '_')}{suffix}"

    def clear(self) -> None:
        """Forget every record and part."""
        for folder in (as_path(self.folder), as_path(self.folder).parent / "parts"):
            remove(folder)


def _record(data: bytes | None) -> dict[str, Any] | None:
    try:
        record = json.loads(data or b"")
    except ValueError:
        return None
    return record if isinstance(record, dict) else None
