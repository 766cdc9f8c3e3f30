"""Key files of blinded studies: readable by their owner alone, written at once."""

from __future__ import annotations

import os
import stat
import uuid
from pathlib import Path

from pydantic import ValidationError

from hcs.domain.blinding import BlindKey
from hcs.errors import InputError, NotFoundError
from hcs.io.files.atomic import read_json
from hcs.io.files.durable import sync_disks
from hcs.io.files.paths import AnyPath, as_path, is_local

_OWNER_ONLY = 0o600
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def read_key(path: AnyPath) -> BlindKey:
    """Read a key file.

    Raises
    ------
    NotFoundError
        When there is none.
    InputError
        When it is no key file, or others than its owner may read it (then it keeps no secret).
    """
    file = _local(path)
    if not file.is_file():
        msg = f"key file {file} does not exist; only the key file of the layout reveals its clones"
        raise NotFoundError(msg)
    mode = stat.S_IMODE(file.stat().st_mode)
    if os.name == "posix" and mode & _OTHERS:
        msg = f"key file {file} has mode {mode:o}, so others can read it: chmod 600 {file}"
        raise InputError(msg)
    try:
        return BlindKey.model_validate(read_json(path))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        msg = f"{file} is not a key file: {place}: {first['msg']}"  # never the value: a secret
        raise InputError(msg) from None


def write_key(path: AnyPath, key: BlindKey) -> None:
    """Write a key file with mode 0600; it never has another one, not even for a moment."""
    file = _local(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.parent / f".{file.name[:100]}.{uuid.uuid4().hex[:8]}.tmp"
    text = key.model_dump_json(indent=1)
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _OWNER_ONLY)
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(text + "\n")
            stream.flush()
            os.fsync(descriptor)
        temporary.replace(file)
        sync_disks([file])  # nothing else can say what the codes stand for
    finally:
        temporary.unlink(missing_ok=True)


def _local(path: AnyPath) -> Path:
    target = as_path(path)
    if not is_local(target):
        msg = f"key file {path} must lie on a local disk, where others cannot read it"
        raise InputError(msg)
    return Path(str(target))
