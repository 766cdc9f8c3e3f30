"""Local paths and object-store addresses as one kind of thing."""

from __future__ import annotations

import os
from typing import Final

from upath import UPath

from hcs.errors import InputError

AnyPath = str | os.PathLike[str] | UPath
"""A local path or an object-store address in any of its forms."""

SIDECAR_SUFFIX: Final = ".hcs"
"""Beside every output ``X`` lies ``X.hcs``: unit records, problems, manifest, lock."""


def as_path(path: AnyPath) -> UPath:
    """Turn a local path or ``s3://…`` into one kind of path object.

    Raises
    ------
    InputError
        When it holds a zero byte, which ends names for the system and not for us.
    """
    if isinstance(path, UPath):
        return path
    if "\0" in os.fspath(path):
        raise InputError(f"the path {os.fspath(path)!r} holds a zero byte: no file is called so")
    return UPath(path)


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
    """Folder of an output's records, beside it: ``plate.zarr`` → ``plate.zarr.hcs``.

    Through a symbolic link it is the folder beside what the link leads to, so that an output has
    one set of records and one lock, whatever name it is called by.
    """
    path = as_path(out)
    if is_local(path) and os.path.islink(str(path)):  # noqa: PTH114 (called for every small file)
        path = as_path(os.path.realpath(str(path)))
    return path.parent / (path.name + SIDECAR_SUFFIX)
