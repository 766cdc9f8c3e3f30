"""Outputs that belong together change together: all are written aside, then put in their places.

A kill while they are moved leaves a journal, and whoever holds the output next moves the rest: a
new table stands beside an old one for no longer than a few renames take.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from hcs.io.files.atomic import remove, write_bytes
from hcs.io.files.durable import sync_disks
from hcs.io.files.paths import AnyPath, as_path, is_local, sidecar
from hcs.io.files.written import note_removal, note_write

_FOLDER: Final = "next"
_JOURNAL: Final = "journal.json"


class Replacement:
    """Files and folders that take their places together.

    Call it with a target to get a local path to write it at; :meth:`drop` names what shall go.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.moves: list[tuple[str | None, str]] = []

    def __call__(self, target: AnyPath) -> Path:
        """Return a path to write a file or folder at that is meant for ``target``."""
        name = as_path(target).name
        temporary = self._folder / str(len(self.moves)) / name
        temporary.parent.mkdir(parents=True)
        self.moves.append((str(temporary), str(as_path(target))))
        return temporary

    def drop(self, target: AnyPath) -> None:
        """Remove a file or folder when the others come into their places."""
        self.moves.append((None, str(as_path(target))))


@contextmanager
def replace_together(out: AnyPath) -> Iterator[Replacement]:
    """Replace several files or folders of one output at once, when the block ends well.

    On an object store they are uploaded one after the other, in the order in which they were named.

    Parameters
    ----------
    out
        The output whose lock the caller holds; it need not be among the targets.
    """
    side = sidecar(out)
    if not is_local(side):
        with tempfile.TemporaryDirectory() as scratch:
            replacement = Replacement(Path(scratch))
            yield replacement
            note_removal(scratch)
            for temporary, target in replacement.moves:
                _upload(temporary, target)
        return
    folder = Path(str(side)) / _FOLDER
    shutil.rmtree(folder, ignore_errors=True)
    replacement = Replacement(folder)
    try:
        yield replacement
        for _, target in replacement.moves:
            Path(target).parent.mkdir(parents=True, exist_ok=True)
        moves = [_relate(move, folder) for move in replacement.moves]
        sync_disks([folder])  # a journal that outlives a power cut names only what is whole
        write_bytes(str(folder / _JOURNAL), json.dumps(moves).encode())
        sync_disks([folder])
        finish_replacement(out)
        note_removal(str(folder))
        for temporary, target in replacement.moves:
            if temporary is not None:
                _note(target)
    finally:
        if not (folder / _JOURNAL).exists():
            shutil.rmtree(folder, ignore_errors=True)


def finish_replacement(out: AnyPath) -> None:
    """Move what a killed run had ready, and remove what it had not finished writing."""
    side = sidecar(out)
    if not is_local(side):
        return
    folder = Path(str(side)) / _FOLDER
    journal = folder / _JOURNAL
    if journal.exists():
        for move in json.loads(journal.read_text(encoding="utf-8")):
            temporary, target = (None if part is None else str(folder / part) for part in move)
            if temporary is None:
                remove(str(target))
            elif os.path.lexists(temporary):
                _move(temporary, str(target), folder / "old")
        sync_disks([folder])
        journal.unlink()
    if folder.exists():
        shutil.rmtree(folder)


def is_half_moved(out: AnyPath) -> bool:
    """Whether a killed run left new files beside old ones, until the output is held again."""
    side = sidecar(out)
    return is_local(side) and (Path(str(side)) / _FOLDER / _JOURNAL).exists()


def _relate(move: tuple[str | None, str], folder: Path) -> list[str | None]:
    """Write paths as they lie from the journal: it may be finished from elsewhere, or in a copy."""
    return [None if part is None else os.path.relpath(part, folder) for part in move]


def _move(temporary: str, target: str, old: Path) -> None:
    """Put a file or folder in its place; a folder cannot be renamed over one that is not empty."""
    if Path(target).is_dir() and not Path(target).is_symlink():
        shutil.rmtree(old, ignore_errors=True)
        Path(target).rename(old)
    Path(temporary).rename(target)
    shutil.rmtree(old, ignore_errors=True)


def _files(path: Path) -> Iterator[Path]:
    if path.is_dir():
        yield from (file for file in sorted(path.rglob("*")) if file.is_file())
    else:
        yield path


def _note(target: str) -> None:
    for file in _files(Path(target)):
        note_write(str(file), file.stat().st_size)


def _upload(temporary: str | None, target: str) -> None:
    remove(target)
    if temporary is None:
        return
    source = Path(temporary)
    for file in _files(source):
        inside = file.relative_to(source).as_posix()
        write_bytes(target if file == source else f"{target}/{inside}", file.read_bytes())
