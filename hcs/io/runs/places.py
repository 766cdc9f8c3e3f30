"""Keeps a stage from taking the place of anything that is not an earlier output of its own."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from typing import Final

from upath import UPath

from hcs.errors import InputError
from hcs.io.files import objects
from hcs.io.files.atomic import read_json, write_json
from hcs.io.files.paths import as_path, is_local, sidecar

_MARK: Final = "stage.json"

_FOLDERS: Final = frozenset({"ingest", "convert", "stack", "embed", "train", "forest", "explain"})
"""Stages that write a folder."""

_FILES: Final = frozenset({"features", "predict", "splits", "evaluate", "hits", "probe", "export"})
"""Stages that write one file, and more beside it."""

_ADDS: Final = frozenset({"explain"})
"""Stages that only add files of their own to a folder."""


def refuse_taken(out: str, stage: str, reads: Iterable[str], *, in_place: bool = False) -> None:
    """Refuse an output path at which something lies that this stage did not make.

    What a killed run of the stage left is its own: its folder of records is there, or its Zarr
    documents say what it is. To be called before the output is locked, which makes that folder.

    Parameters
    ----------
    out, stage
        Where the stage is about to write.
    reads
        What it reads.
    in_place
        Whether the output may be what is read.

    Raises
    ------
    InputError
        With what lies there.
    """
    place = as_path(out)
    if _key(place) in {_key(as_path(path)) for path in reads}:
        if in_place:
            return
        msg = f"{out} is both input and output of hcs {stage}: give the output another path"
        raise InputError(msg)
    objects.check(place)
    if not place.exists():
        return
    if stage in (_FOLDERS if place.is_file() else _FILES):
        there, made = ("a file", "a folder") if place.is_file() else ("a folder", "a file")
        msg = f"{out} is {there}, and hcs {stage} writes {made}: give the output another path"
        raise InputError(msg)
    maker = _read_maker(out) or (_recognize(place) if stage in _FOLDERS else None)
    if maker not in {None, stage}:
        msg = (
            f"{out} is an output of hcs {maker}, whose place hcs {stage} would take: give another "
            "path, or remove it first"
        )
        raise InputError(msg)
    known = maker == stage or stage in _ADDS or place.is_file() or as_path(sidecar(out)).exists()
    other = None if known else next(iter(sorted(item.name for item in place.iterdir())), None)
    if other is not None:
        msg = (
            f"{out} is a folder of other files, such as {other!r}, whose place hcs {stage} would "
            "take: give another path"
        )
        raise InputError(msg)


def mark_place(out: str, stage: str) -> None:
    """Note in the folder of records which stage the output belongs to."""
    if _read_maker(out) != stage:
        write_json(as_path(sidecar(out)) / _MARK, {"stage": stage})


def _read_maker(out: str) -> str | None:
    mark = as_path(sidecar(out)) / _MARK
    found = read_json(mark) if mark.exists() else None
    return found.get("stage") if isinstance(found, dict) else None


def _recognize(place: UPath) -> str | None:
    """Name the stage whose outputs look like this, by the documents in the folder."""
    ours = _read(place / "zarr.json", "attributes")
    if _read(ours, "ome", "plate"):
        return "ingest"
    if _read(place / ".zattrs", "plate"):
        return "convert"
    kind = _read(ours, "hcs", "kind") or _read(place / "manifest.json", "provenance", "stage")
    return str(kind) if kind in _FOLDERS else None


def _read(document: object, *keys: str) -> object:
    """Read a value within a JSON document; None when it, or the document, is not there."""
    if isinstance(document, UPath):
        try:
            document = json.loads(document.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
    for key in keys:
        document = document.get(key) if isinstance(document, dict) else None
    return document


def _key(path: UPath) -> str:
    return os.path.realpath(str(path)) if is_local(path) else str(path).rstrip("/")
