"""Fingerprints: short names of settings and inputs, the same for the same things."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Final

import numpy as np
from pydantic import BaseModel
from upath import UPath

from hcs.errors import NotFoundError

_DIGEST_HEX: Final = 20
_BLOCK_BYTES: Final = 1024**2

_SCALARS: Final = (str, int, float)


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


def fingerprint_file(path: UPath | str) -> str:
    """Fingerprint of a file's content: the same for a copy, another when one byte differs.

    Raises
    ------
    NotFoundError
        When there is no such file.
    """
    file = UPath(path)
    try:
        with file.open("rb") as stream:
            digest = hashlib.sha256()
            while block := stream.read(_BLOCK_BYTES):
                digest.update(block)
    except FileNotFoundError as error:
        msg = f"{file} does not exist"
        raise NotFoundError(msg) from error
    return f"sha256:{digest.hexdigest()}"


def file_stamp(path: UPath | str) -> str:
    """Fingerprint of a file from its size and time of change; text is a local path."""
    info = path.stat() if isinstance(path, UPath) else os.stat(path)  # noqa: PTH116
    stamp = getattr(info, "st_mtime_ns", None) or getattr(info, "st_mtime", 0)
    return f"{info.st_size}-{stamp}"
