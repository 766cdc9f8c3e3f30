"""Keeps a stage from taking the place of anything that is not an earlier output of its own."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from typing import Final

from upath import UPath

from hcs.errors import InputError
from hcs.io.files import objects
from hcs.io.files.atomic import write_json
from hcs.io.files.durable import sync_disks
from hcs.io.files.paths import as_path, is_local, sidecar

_MARK: Final = "stage.json"

_FOLDERS: Final = frozenset(
    {"ingest", "convert", "stack", "embed", "train", "forest", "explain", "segment-train"}
)
"""Stages that write a folder."""

_FILES: Final = frozenset(
    {"features", "predict", "splits", "evaluate", "hits", "probe", "export", "segment"}
)
"""Stages that write one file, and more beside it."""

_SUFFIXES: Final = {"splits": ".json", "evaluate": ".json", "probe": ".json"}
"""What files of stages are called that take any name."""

_ADDS: Final = frozenset({"explain"})
"""Stages that only add files of their own to a folder."""


def refuse_taken(out: str, stage: str, reads: Iterable[str], *, in_place: bool = False) -> None:
    """Refuse an output path at which something lies that this stage did not make.

    What the stage made, also in a run that was killed, bears its mark in the folder of records, or
    its documents say so; that there is such a folder says nothing, since plates of other programs
    get one when they are read or used in place. To be called before the output is locked.

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
    _refuse_inside(place, reads, stage)
    objects.check(place)
    if not place.exists():
        return
    if stage in (_FOLDERS if place.is_file() else _FILES):
        there, made = ("a file", "a folder") if place.is_file() else ("a folder", "a file")
        msg = f"{out} is {there}, and hcs {stage} writes {made}: give the output another path"
        raise InputError(msg)
    maker = _read_maker(out) or (_recognize(place) if stage in _FOLDERS else None)
    if place.is_file() and maker is None and stage in _SUFFIXES:
        refuse_other_file(out, _SUFFIXES[stage])
    if maker not in {None, stage}:
        msg = (
            f"{out} is an output of hcs {maker}, whose place hcs {stage} would take: give another "
            "path, or remove it first"
        )
        raise InputError(msg)
    known = maker == stage or stage in _ADDS or place.is_file()
    other = None if known else next(iter(sorted(item.name for item in place.iterdir())), None)
    if other is not None:
        msg = (
            f"{out} is a folder of other files, such as {other!r}, whose place hcs {stage} would "
            "take: give another path"
        )
        raise InputError(msg)


def refuse_other_file(out: str, suffix: str) -> None:
    """Refuse to write over a file that is not called as what is to be written.

    Raises
    ------
    InputError
        When there is such a file: a plate map, a thesis, an image.
    """
    place = as_path(out)
    if place.suffix.lower() != suffix and place.is_file():
        msg = f"{out} is there and is no {suffix} file: give the output another path"
        raise InputError(msg)


def refuse_same(**paths: str | None) -> None:
    """Refuse two names of one file, of which writing one would lose the other.

    Raises
    ------
    InputError
        With both.
    """
    seen: dict[str, str] = {}
    for name, path in paths.items():
        if path is None:
            continue
        first = seen.setdefault(_key(as_path(path)), name)
        if first != name:
            msg = f"{path} is given as {first} and as {name}: name two files"
            raise InputError(msg)


def _refuse_inside(place: UPath, reads: Iterable[str], stage: str) -> None:
    """Refuse an output within a Zarr store that is read: it would be among what belongs to that."""
    for path in reads:
        store = as_path(path)
        if not _key(place).startswith(f"{_key(store)}/"):
            continue
        objects.check(store)
        if (store / "zarr.json").exists() or (store / ".zgroup").exists():
            msg = f"{place} lies within {path}, which hcs {stage} reads: give another path"
            raise InputError(msg)


def mark_place(out: str, stage: str, reads: Iterable[str]) -> None:
    """Note in the folder of records whose the output is; what is changed in place is not ours."""
    in_place = _key(as_path(out)) in {_key(as_path(path)) for path in reads}
    if not in_place and _read_maker(out) != stage:
        mark = as_path(sidecar(out)) / _MARK
        write_json(mark, {"stage": stage})
        sync_disks([mark])  # before anything of the output, which nobody would know for ours


def _read_maker(out: str) -> str | None:
    stage = _read(as_path(sidecar(out)) / _MARK, "stage")
    return str(stage) if stage else None


def _recognize(place: UPath) -> str | None:
    """Name the stage whose outputs look like this, by the documents in the folder."""
    ours = _read(place / "zarr.json", "attributes")
    before = _read(place / ".zattrs")
    if _read(ours, "ome", "plate") and _read(ours, "hcs"):
        return "ingest"
    if _read(before, "plate") and _read(before, "hcs"):
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
