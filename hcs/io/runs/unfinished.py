"""Marks an output that is changed in place, from its first unit to its last table."""

from __future__ import annotations

from typing import Final

from upath import UPath

from hcs.errors import StaleError
from hcs.io.files import objects
from hcs.io.files.atomic import read_json, remove, write_json
from hcs.io.files.paths import as_path, sidecar
from hcs.io.files.together import is_half_moved

_UNFINISHED: Final = "unfinished.json"


def mark_unfinished(path: str, stage: str, source: str | None) -> None:
    """Mark an output as one that a stage is about to change; ``source`` is what it reads."""
    write_json(_locate_marker(path), {"stage": stage, "source": source})


def mark_finished(path: str) -> None:
    """Take the mark away."""
    remove(_locate_marker(path))


def refuse_unfinished(path: str) -> None:
    """Refuse an output that a killed or failed run left half changed.

    Raises
    ------
    StaleError
        With the command that finishes it.
    NotFoundError, InputError
        When its object store cannot be reached.
    """
    objects.check(as_path(path))
    if is_half_moved(path):
        msg = f"{path} was left half replaced by a run that was killed: run that command again"
        raise StaleError(msg)
    marker = _locate_marker(path)
    if not marker.exists():
        return
    found = read_json(marker)
    known = found if isinstance(found, dict) else {}
    stage, source = known.get("stage", ""), known.get("source")
    command = f"hcs {stage} {source} {path}" if source else f"hcs {stage}"
    msg = (
        f"{path} was left unfinished by a run of hcs {stage} that was killed or failed, if none is "
        f"at work now: run {command} again with the same options, it goes on from there"
    )
    raise StaleError(msg)


def _locate_marker(path: str) -> UPath:
    return as_path(sidecar(path)) / _UNFINISHED
