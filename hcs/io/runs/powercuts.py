"""Records and power cuts: what counts as done is on the disk, and what may not be counts no more.

A record is written as soon as its unit is done, so that a kill loses nothing. It then names the
time since the machine was started (:func:`hcs.io.files.durable.name_boot`) until the unit's files
are known to be on the disk: after a power cut that name is another one.
"""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Iterable, Mapping
from typing import Final

from hcs.io.files.atomic import remove, write_bytes
from hcs.io.files.durable import name_boot, sync_disks
from hcs.io.files.paths import as_path, is_local
from hcs.io.runs.ledger import BOOT, Ledger

_CHANGES: Final = "changes.json"


def confirm(ledger: Ledger, unit_ids: Iterable[str]) -> None:
    """Wait until the files of recorded units are on the disk, and say so in the records."""
    contents = {}
    for unit_id in unit_ids:
        content = json.loads(ledger.read_bytes(unit_id) or b"{}")
        if content.pop(BOOT, "") == name_boot() != "":
            contents[unit_id] = content
    if not contents:
        return
    files = itertools.chain.from_iterable(item["files"] or () for item in contents.values())
    folders = {os.path.dirname(key) for key in files if key[0] not in ".*"}  # noqa: PTH120
    sync_disks([ledger.folder, ledger.out, *map(ledger.locate, folders)])
    for unit_id, content in contents.items():
        ledger.write_content(unit_id, content)


def begin_changes(ledger: Ledger, marks: Mapping[str, str]) -> None:
    """Write down which units are about to be done, and wait until that is on the disk.

    With it is all that was written before, such as the mark of an unfinished output.

    Parameters
    ----------
    ledger
        Where the units are recorded.
    marks
        New fingerprint of every unit.
    """
    if not is_local(as_path(ledger.side)):
        return
    known = set(ledger.list_units())
    redone = {name: mark for name, mark in marks.items() if name in known}
    if redone:
        data = json.dumps({BOOT: name_boot(), "units": redone}).encode()
        write_bytes(f"{ledger.side}/{_CHANGES}", data)
    sync_disks([ledger.folder, ledger.out])


def end_changes(ledger: Ledger) -> None:
    """Forget which units were to be done: all are."""
    if is_local(as_path(ledger.side)):
        remove(f"{ledger.side}/{_CHANGES}")


def settle(ledger: Ledger) -> None:
    """After a power cut forget the records of units that were being done anew.

    They may be those from before, which came back with it, beside files of after.
    """
    file = as_path(f"{ledger.side}/{_CHANGES}")
    if not is_local(file) or not file.exists():
        return
    try:
        found = json.loads(file.read_bytes())
        boot, marks = found[BOOT], dict(found["units"])
    except (ValueError, KeyError, TypeError):  # never whole on the disk: nothing had begun
        return
    if boot == name_boot():
        return
    for unit_id, mark in marks.items():
        record = ledger.read(unit_id)
        if record is not None and record.fingerprint != mark:
            ledger.forget(unit_id)
