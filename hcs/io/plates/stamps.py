"""Whether the files of a field have changed: their sizes and times, without opening them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from hcs.io.files.paths import as_path, is_local
from hcs.io.runs.fingerprints import fingerprint

ABSENT: Final = "absent"
"""Stamp of a field without files."""


DAMAGE: Final = (
    ValueError,
    TypeError,
    AttributeError,
    ArithmeticError,
    OSError,
    RuntimeError,
    EOFError,
    MemoryError,
    SystemError,
)
"""What zarr-python raises for documents and chunks that are damaged."""


def stamp_field(root: str, field_path: str) -> str:
    """Fingerprint of a field by sizes and times of change of its files; labels are left out."""
    folder = as_path(root) / field_path
    if not is_local(folder):
        details = folder.fs.find(folder.path, detail=True)
        apart = f"{folder.path.rstrip('/')}/labels/".lstrip("/")
        parts = [
            (name, item.get("ETag"), item["size"])
            for name, item in sorted(details.items())
            if not name.lstrip("/").startswith(apart)
        ]
        return fingerprint(parts) if parts else ABSENT
    stamps = []
    for here, folders, files in os.walk(str(folder)):
        folders[:] = sorted(name for name in folders if name != "labels")
        for name in sorted(files):
            info = (Path(here) / name).stat()
            stamps.append(
                (os.path.relpath(here, str(folder)), name, info.st_size, info.st_mtime_ns)
            )
    return fingerprint(stamps) if stamps else ABSENT
