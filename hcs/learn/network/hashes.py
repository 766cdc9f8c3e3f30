"""The hash of a file's content, worked out once for each version of the file."""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path

__all__ = ["hash_file"]


def hash_file(path: Path, name: str) -> str:
    """Hash a file's content; a file that was not touched since is not read again.

    Parameters
    ----------
    path
        File.
    name
        ``md5`` or ``sha256``.

    Returns
    -------
    str
        Hexadecimal digits.
    """
    state = path.stat()
    version = (state.st_size, state.st_mtime_ns, state.st_ctime_ns, state.st_ino)
    return _hash_version(path, name, version)


@functools.lru_cache(maxsize=64)
def _hash_version(path: Path, name: str, version: tuple[int, ...]) -> str:
    del version  # it is what tells one content at this path from another
    with path.open("rb") as file:
        return hashlib.file_digest(file, name).hexdigest()
