"""Lists a source folder, local or remote, without ever leaving it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from upath import UPath

from hcs.errors import InputError, NotFoundError
from hcs.io.files import objects
from hcs.io.files.paths import AnyPath, is_local
from hcs.io.layouts.base import IMAGE_SUFFIXES, Listing


def list_source(source: AnyPath) -> Listing:
    """List all files under a source folder.

    Parameters
    ----------
    source
        A folder: local, or any address that fsspec knows, such as ``s3://bucket/plate``.

    Returns
    -------
    Listing
        Sorted relative paths with forward slashes. Names that begin with a dot (``._A1.tif`` of
        macOS) and everything inside ``*.zarr`` are left out; a link that leads out of the folder
        is listed as such and not followed.

    Raises
    ------
    NotFoundError
        When there is no such folder.
    InputError
        When it is a file.
    """
    root = UPath(source)
    if not _is_local(root):
        objects.check(root)
    if not root.exists():
        msg = f"source folder {source} does not exist"
        raise NotFoundError(msg)
    if not root.is_dir():
        msg = f"source {source} is a file, expected a folder of images"
        raise InputError(msg)
    outside: list[str] = []
    names = _list_local(Path(str(root)), outside) if is_local(root) else _list_remote(root)
    images: list[str] = []
    others: list[str] = []
    for name in names:
        suffix = PurePosixPath(name).suffix.lower()
        (images if suffix in IMAGE_SUFFIXES else others).append(name)
    return Listing(root, tuple(sorted(images)), tuple(sorted(others)), tuple(sorted(outside)))


def _is_local(root: UPath) -> bool:
    return root.protocol in {"", "file", "local"}


def _is_data(name: str) -> bool:
    return not name.startswith(".") and not name.endswith(".zarr")


def _list_local(root: Path, outside: list[str]) -> Iterator[str]:
    """Walk a local folder; ``os.walk`` because it lists 10,000 names in a fraction of a second."""
    home = root.resolve()
    for folder, subfolders, files in os.walk(home):
        subfolders[:] = [name for name in subfolders if _is_data(name)]
        here = Path(folder)
        prefix = here.relative_to(home)
        before = "" if prefix == Path() else f"{prefix.as_posix()}/"
        links = [name for name in subfolders if (here / name).is_symlink()]
        outside += [
            (prefix / name).as_posix() for name in links if not _leads_inside(here / name, home)
        ]
        for name in files:
            if not _is_data(name):
                continue
            relative = before + name
            link = os.path.islink(f"{folder}/{name}")  # noqa: PTH114 - a path object costs 20 µs
            if link and not _leads_inside(here / name, home):
                outside.append(relative)
            else:
                yield relative


def _leads_inside(path: Path, home: Path) -> bool:
    """Whether a link stays within the source; one that leads in a circle does not."""
    try:
        return path.resolve().is_relative_to(home)
    except (OSError, RuntimeError):
        return False


def _list_remote(root: UPath) -> Iterator[str]:
    root.fs.invalidate_cache()  # a listing of an earlier run would hide what changed since
    base = root.fs._strip_protocol(str(root)).rstrip("/") + "/"
    for found in root.fs.find(base, withdirs=False):
        relative = str(found).removeprefix(base)
        parts = relative.split("/")
        if ".." not in parts and all(_is_data(part) for part in parts):
            yield relative
