"""Files and folders written in one step: a reader sees the old one or the new one, never half."""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import RawIOBase
from pathlib import Path
from typing import Final

from upath import UPath

from hcs.domain.limits import METADATA_BYTES, Limit
from hcs.errors import InputError
from hcs.io.files.edge import FETCH_AGAIN, read_file, refuse_damage
from hcs.io.files.paths import AnyPath, as_path, is_local, local_path
from hcs.io.files.written import note_removal, note_write
from hcs.io.runs.fingerprints import plain


@contextmanager
def replacing(path: AnyPath) -> Iterator[Path]:
    """Give a temporary local path that takes the place of ``path`` when the block ends well.

    A reader sees the old file or the new one, never half of one. Nothing is left behind when the
    block raises.
    """
    target = as_path(path)
    if is_local(target):
        local = Path(os.path.realpath(str(target)))  # a link stays, what it leads to is replaced
        if local.is_dir():
            raise _name_folder(str(path))
        local.parent.mkdir(parents=True, exist_ok=True)
        temporary = local.parent / f".{local.name[:100]}.{uuid.uuid4().hex[:8]}.tmp"
        try:
            yield temporary
            n_bytes = temporary.stat().st_size
            temporary.replace(local)
            note_write(str(local), n_bytes)
        finally:
            temporary.unlink(missing_ok=True)
        return
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        temporary = Path(folder) / "object"
        yield temporary
        data = temporary.read_bytes()
        target.write_bytes(data)  # one PUT is atomic on an object store
        note_write(str(target), len(data))


def write_bytes(path: AnyPath, data: bytes) -> None:
    """Write a whole file at once."""
    local = local_path(path)
    if local is None:
        as_path(path).write_bytes(data)  # one PUT is atomic on an object store
        note_write(str(as_path(path)), len(data))
        return
    if os.path.islink(local):  # noqa: PTH114 (called for every small file)
        local = os.path.realpath(local)
    parent, name = os.path.split(local)
    temporary = os.path.join(parent, f".{name[:100]}.{uuid.uuid4().hex[:8]}.tmp")  # noqa: PTH118
    if not os.path.isdir(parent or "."):  # noqa: PTH112
        os.makedirs(parent, exist_ok=True)  # noqa: PTH103
    try:
        with open(temporary, "wb", buffering=0) as stream:  # noqa: PTH123
            _write_all(stream, data)
        os.replace(temporary, local)  # noqa: PTH105
        note_write(local, len(data))
    except BaseException as error:
        Path(temporary).unlink(missing_ok=True)
        if isinstance(error, IsADirectoryError):
            raise _name_folder(local) from error
        if isinstance(error, OSError) and error.filename is None:
            error.filename = local  # a full disk does not say which
        raise


def _name_folder(path: str) -> InputError:
    return InputError(f"{path} is a folder, and a file is to be written: give it another path")


Objects = Mapping[str, Sequence[bytes]] | Iterable[tuple[str, Sequence[bytes]]]
"""Contents of files by their path in a folder, in pieces; at once, or one after the other."""

_TOGETHER: Final = 32 * 1024**2
"""Bytes that go up to an object store together."""


def replace_folder(path: AnyPath, objects: Objects) -> None:
    """Write a folder of files at once, in place of what is there.

    A reader of a local folder sees the old one, the new one or, for an instant, none; never half of
    one. On an object store the files go up together and the one that makes them known, which is
    the last, after the others.

    Parameters
    ----------
    path
        The folder.
    objects
        Content of every file by its path in the folder, in pieces that follow one another. Of an
        iterator no more than a few files are in memory.
    """
    local = local_path(path)
    files = objects.items() if isinstance(objects, Mapping) else objects
    if local is None:
        target = as_path(path)
        remove(target)
        try:
            sizes = _upload_files(target, files)
        except BaseException:
            remove(target)
            raise
        _note_folder(str(target), sizes)
        return
    parent, name = os.path.split(local)
    mark = f"{parent}/.{name[:100]}.{uuid.uuid4().hex[:8]}"
    temporary, old = f"{mark}.tmp", f"{mark}.old.tmp"
    try:
        os.makedirs(temporary)  # noqa: PTH103
        sizes = _write_files(temporary, files)
        if os.path.lexists(local):
            os.rename(local, old)  # noqa: PTH104
        os.rename(temporary, local)  # noqa: PTH104
        note_removal(local)
        _note_folder(local, sizes)
    finally:
        for leftover in (temporary, old):
            if os.path.lexists(leftover):
                shutil.rmtree(leftover, ignore_errors=True)


def _note_folder(path: str, sizes: Mapping[str, int]) -> None:
    for key, n_bytes in sizes.items():
        note_write(f"{path}/{key}", n_bytes)


def _upload_files(target: UPath, files: Iterable[tuple[str, Sequence[bytes]]]) -> dict[str, int]:
    """Send files to an object store, many at a time, and the last one alone; return their sizes."""
    waiting: dict[str, bytes] = {}
    sizes: dict[str, int] = {}
    n_bytes = 0
    for key, pieces in files:
        if n_bytes > _TOGETHER:
            target.fs.pipe(waiting)
            waiting, n_bytes = {}, 0
        data = b"".join(pieces)
        waiting[f"{target.path}/{key}"] = data
        sizes[key] = len(data)
        n_bytes += len(data)
    *others, last = waiting
    if others:
        target.fs.pipe({name: waiting[name] for name in others})
    target.fs.pipe({last: waiting[last]})
    return sizes


def _write_files(root: str, files: Iterable[tuple[str, Sequence[bytes]]]) -> dict[str, int]:
    """Write files below an empty folder and return their sizes.

    Path objects would cost more than the files.
    """
    made = {""}
    sizes: dict[str, int] = {}
    for key, pieces in files:
        *parents, _ = key.split("/")
        for depth in range(len(parents)):
            folder = "/".join(parents[: depth + 1])
            if folder not in made:
                os.mkdir(f"{root}/{folder}")  # noqa: PTH102
                made.add(folder)
        # Unbuffered: pieces are few, and a buffer would copy them.
        with open(f"{root}/{key}", "wb", buffering=0) as stream:  # noqa: PTH123
            for piece in pieces:
                _write_all(stream, piece)
        sizes[key] = sum(map(len, pieces))
    return sizes


def _write_all(stream: RawIOBase, data: bytes) -> None:
    """Write to an unbuffered file, which may take less than it is given (2 GiB at a time)."""
    written = stream.write(data) or 0
    while written < len(data):
        written += stream.write(memoryview(data)[written:]) or 0


def write_json(path: AnyPath, value: object) -> None:
    """Write JSON at once, indented, in a stable form."""
    text = json.dumps(plain(value), indent=1, ensure_ascii=False, allow_nan=False)
    write_bytes(path, (text + "\n").encode())


def read_json(
    path: AnyPath, what: str = "document", remedy: str = FETCH_AGAIN, limit: Limit = METADATA_BYTES
) -> object:
    """Read JSON.

    Parameters
    ----------
    path
        The file.
    what, remedy
        What it should be, and what to do where it is not, for the error message.
    limit
        Of its bytes.

    Raises
    ------
    NotFoundError
        When there is no such file.
    InputError
        When it is no JSON, or too large.
    """
    data = read_file(path, what, limit)
    with refuse_damage(path, what, remedy):
        return json.loads(data)


def remove(path: AnyPath) -> None:
    """Remove a file or folder if it is there."""
    target = as_path(path)
    if is_local(target):
        local = Path(str(target))
        if local.is_dir():
            shutil.rmtree(local)
        else:
            local.unlink(missing_ok=True)
    elif target.exists():
        target.fs.rm(target.path, recursive=True)
