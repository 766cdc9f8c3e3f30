"""Atomic writes, fingerprints, unit records, locks and provenance: what makes a run resumable."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import platform
import shutil
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, is_dataclass
from io import RawIOBase
from pathlib import Path
from typing import Any, Final

import numpy as np
from filelock import FileLock, Timeout
from pydantic import BaseModel
from upath import UPath

import hcs
from hcs.errors import InputError, LockedError, NotFoundError
from hcs.io import objects, storage

log = logging.getLogger(__name__)

AnyPath = str | os.PathLike[str] | UPath
"""A local path or an object-store address in any of its forms."""

SIDECAR_SUFFIX: Final = ".hcs"
"""Beside every output ``X`` lies ``X.hcs``: unit records, problems, manifest, lock."""

_DIGEST_HEX: Final = 20
_SCALARS: Final = (str, int, float)


def as_path(path: AnyPath) -> UPath:
    """Turn a local path or ``s3://…`` into one kind of path object."""
    return path if isinstance(path, UPath) else UPath(path)


def is_local(path: UPath) -> bool:
    """Whether a path lies on this machine's file system."""
    return path.protocol in {"", "file", "local"}


def local_path(path: AnyPath) -> str | None:
    """Return a local path as plain text, or None for an object store.

    Small fields spend more time on path objects (30 µs each) than on their bytes.
    """
    if isinstance(path, str) and ":" not in path:
        return path
    target = as_path(path)
    return str(target) if is_local(target) else None


def as_text(path: AnyPath) -> str:
    """Return a path or address as text, to which ``/name`` can be added."""
    return (path if isinstance(path, str) else str(as_path(path))).rstrip("/")


def sidecar(out: AnyPath) -> UPath:
    """Folder of an output's records, beside it: ``plate.zarr`` → ``plate.zarr.hcs``."""
    path = as_path(out)
    return path.parent / (path.name + SIDECAR_SUFFIX)


def plain(value: object) -> object:
    """Turn models, dataclasses, paths and NumPy scalars into what JSON knows."""
    if value is None or isinstance(value, _SCALARS):
        return value
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, BaseModel):
        value = value.model_dump(mode="json")
    elif is_dataclass(value) and not isinstance(value, type):
        value = {item.name: getattr(value, item.name) for item in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, set | frozenset):
        value = sorted(value, key=repr)
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    return value.item() if isinstance(value, np.generic) else value


def fingerprint(*values: object) -> str:
    """Fingerprint of settings and inputs: 20 hexadecimal digits of a SHA-256.

    Parameters
    ----------
    *values
        Anything made of models, mappings, sequences, strings and numbers. The order of keys does
        not matter, the order of sequences does.
    """
    text = json.dumps(plain(values), sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGEST_HEX]


def file_stamp(path: UPath | str) -> str:
    """Fingerprint of a file from its size and time of change; text is a local path."""
    info = path.stat() if isinstance(path, UPath) else os.stat(path)  # noqa: PTH116
    stamp = getattr(info, "st_mtime_ns", None) or getattr(info, "st_mtime", 0)
    return f"{info.st_size}-{stamp}"


@contextmanager
def replacing(path: AnyPath) -> Iterator[Path]:
    """Give a temporary local path that takes the place of ``path`` when the block ends well.

    A reader sees the old file or the new one, never half of one. Nothing is left behind when the
    block raises.
    """
    target = as_path(path)
    if is_local(target):
        local = Path(str(target))
        local.parent.mkdir(parents=True, exist_ok=True)
        temporary = local.parent / f".{local.name[:100]}.{uuid.uuid4().hex[:8]}.tmp"
        try:
            yield temporary
            temporary.replace(local)
        finally:
            temporary.unlink(missing_ok=True)
        return
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        temporary = Path(folder) / "object"
        yield temporary
        target.write_bytes(temporary.read_bytes())  # one PUT is atomic on an object store


def write_bytes(path: AnyPath, data: bytes) -> None:
    """Write a whole file at once."""
    local = local_path(path)
    if local is None:
        as_path(path).write_bytes(data)  # one PUT is atomic on an object store
        return
    parent, name = os.path.split(local)
    temporary = os.path.join(parent, f".{name[:100]}.{uuid.uuid4().hex[:8]}.tmp")  # noqa: PTH118
    if not os.path.isdir(parent or "."):  # noqa: PTH112
        os.makedirs(parent, exist_ok=True)  # noqa: PTH103
    try:
        with open(temporary, "wb", buffering=0) as stream:  # noqa: PTH123
            _write_all(stream, data)
        os.replace(temporary, local)  # noqa: PTH105
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def replace_folder(path: AnyPath, objects: Mapping[str, Sequence[bytes]]) -> None:
    """Write a folder of files at once, in place of what is there.

    A reader of a local folder sees the old one, the new one or, for an instant, none; never half of
    one. On an object store the files go up together and the one that makes them known, which is
    the last, after the others.

    Parameters
    ----------
    path
        The folder.
    objects
        Content of every file by its path in the folder, in pieces that follow one another.
    """
    local = local_path(path)
    if local is None:
        target = as_path(path)
        remove(target)
        *others, last = objects
        target.fs.pipe({f"{target.path}/{key}": b"".join(objects[key]) for key in others})
        target.fs.pipe({f"{target.path}/{last}": b"".join(objects[last])})
        return
    parent, name = os.path.split(local)
    mark = f"{parent}/.{name[:100]}.{uuid.uuid4().hex[:8]}"
    temporary, old = f"{mark}.tmp", f"{mark}.old.tmp"
    try:
        os.makedirs(temporary)  # noqa: PTH103
        _write_files(temporary, objects)
        if os.path.lexists(local):
            os.rename(local, old)  # noqa: PTH104
        os.rename(temporary, local)  # noqa: PTH104
    finally:
        for leftover in (temporary, old):
            if os.path.lexists(leftover):
                shutil.rmtree(leftover, ignore_errors=True)


def _write_files(root: str, objects: Mapping[str, Sequence[bytes]]) -> None:
    """Write files below an empty folder; path objects would cost more than the files."""
    made = {""}
    for key, pieces in objects.items():
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


def _write_all(stream: RawIOBase, data: bytes) -> None:
    """Write to an unbuffered file, which may take less than it is given (2 GiB at a time)."""
    written = stream.write(data) or 0
    while written < len(data):
        written += stream.write(memoryview(data)[written:]) or 0


def write_json(path: AnyPath, value: object) -> None:
    """Write JSON at once, indented, in a stable form."""
    text = json.dumps(plain(value), indent=1, ensure_ascii=False, allow_nan=False)
    write_bytes(path, (text + "\n").encode())


def read_json(path: AnyPath) -> object:
    """Read JSON; the error names the file."""
    file = as_path(path)
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        msg = f"{file} does not exist"
        raise NotFoundError(msg) from error
    try:
        return json.loads(text)
    except ValueError as error:
        msg = f"{file} is not JSON: {error}"
        raise InputError(msg) from error


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


@contextmanager
def locked(out: AnyPath) -> Iterator[None]:
    """Hold an output for one run; a second run at the same time is refused.

    The lock is the operating system's own, so it vanishes with a killed process. On an object store
    it is an object that is made only where there is none, see :func:`hcs.io.objects.locked`. What
    killed runs left half-written beside the output is removed.

    Raises
    ------
    LockedError
        When another run holds it.
    StorageError
        When the disk fills up meanwhile, or cannot be written at all.
    """
    folder = sidecar(out)
    if not is_local(folder):
        objects.check(folder)
        with objects.locked(folder / "lock", str(out)):
            yield
        return
    with storage.plain_errors(str(out)):
        local = Path(str(folder))
        local.mkdir(parents=True, exist_ok=True)
        lock = FileLock(str(local / "lock"))
        try:
            lock.acquire(timeout=0)
        except Timeout as error:
            msg = (
                f"{out} is being written by another run; wait for its end or choose another output"
            )
            raise LockedError(msg) from error
        try:
            storage.sweep(local)
            storage.sweep_beside(str(as_path(out)))
            yield
        finally:
            lock.release()


def provenance(
    stage: str, config: BaseModel, inputs: Mapping[str, str], started: float
) -> dict[str, Any]:
    """Say how an output came to be.

    Parameters
    ----------
    stage
        Name of the stage.
    config
        Its whole configuration.
    inputs
        Fingerprint of every input by its name.
    started
        ``time.time()`` at the start.
    """
    return {
        "software": "hcs",
        "version": hcs.__version__,
        "stage": stage,
        "config": config.model_dump(mode="json"),
        "inputs": dict(inputs),
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(started)),
        "seconds": round(time.time() - started, 2),
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}",
    }
