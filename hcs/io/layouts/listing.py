"""Lists a source folder, local or remote, and what the links in it lead to."""

from __future__ import annotations

import dataclasses
import os
import posixpath
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from upath import UPath

from hcs.domain.columns import Reason
from hcs.errors import HcsError, InputError, NotFoundError
from hcs.io.files import objects
from hcs.io.files.edge import as_name, describe_error
from hcs.io.files.paths import AnyPath, is_local
from hcs.io.layouts.base import (
    IMAGE_SUFFIXES,
    Listing,
    Sidecar,
    VendorLayout,
    file_name,
    problem,
)


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
        macOS) and everything inside ``*.zarr`` are left out. Links are followed, those to folders
        once, and listed as links; one that leads to nothing or in a circle is listed as dead.

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
    links = _Links()
    names = _list_local(Path(str(root)), links) if is_local(root) else _list_remote(root)
    images: list[str] = []
    others: list[str] = []
    for name in names:
        suffix = posixpath.splitext(name)[1].lower()
        (images if suffix in IMAGE_SUFFIXES else others).append(name)
    found = (images, others, links.dead, links.followed)
    return Listing(root, *(tuple(sorted(paths)) for paths in found))


_IMAGES: Final = tuple(IMAGE_SUFFIXES)


def read_metadata(layout: VendorLayout, listing: Listing) -> Sidecar | None:
    """Read what a vendor's metadata say; those that cannot be read are one problem.

    Parameters
    ----------
    layout
        Whose metadata.
    listing
        The files.

    Returns
    -------
    Sidecar or None
        None where there are no metadata.
    """
    try:
        return layout.sidecar(listing)
    except HcsError:
        raise
    except Exception as error:  # noqa: BLE001 - the edge: metadata of others may hold anything
        ending = tuple(layout.marks)
        file = next((path for path in listing.others if path.lower().endswith(ending)), layout.kind)
        message = f"{file}: the metadata of {layout.title} are not used: {describe_error(error)}"
        return Sidecar(source=file, problems=(problem(Reason.UNREADABLE, file, message),))


def _is_local(root: UPath) -> bool:
    return root.protocol in {"", "file", "local"}


def _is_data(name: str) -> bool:
    return not name.startswith(".") and not name.endswith(".zarr")


def _is_text(name: str) -> bool:
    """Whether a name is text: Python carries other bytes along, and no table could hold them."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


@dataclass
class _Links:
    """Symbolic links of one source folder."""

    followed: list[str] = field(default_factory=list)
    dead: list[str] = field(default_factory=list)


def _list_local(root: Path, links: _Links) -> Iterator[str]:
    """Walk a local folder and what its links lead to, every folder once.

    A user who fills a folder with links names what they lead to; a link to a folder that is listed
    already (or that holds this one: a circle) adds nothing and is not followed.
    """
    home = root.resolve()
    seen = {str(home)}
    folders: list[str] = []
    yield from _walk(home, "", seen, folders, links)
    while folders:
        name = folders.pop(0)
        target = os.path.realpath(home / name)
        if str(home).startswith(f"{target}{os.sep}") or not os.path.isdir(target):  # noqa: PTH112
            links.dead.append(name)
        elif target not in seen:
            seen.add(target)
            links.followed.append(name)
            yield from _walk(home / name, f"{name}/", seen, folders, links)


def _walk(
    start: Path, prefix: str, seen: set[str], folders: list[str], links: _Links
) -> Iterator[str]:
    """Yield the files below one folder; ``os.walk`` lists 10,000 names in a fraction of a second.

    Real folders are added to ``seen`` and linked ones to ``folders``, to be listed after them.
    """
    for folder, subfolders, files in os.walk(start):
        here = Path(folder)
        inner = here.relative_to(start).as_posix()
        before = prefix if inner == "." else f"{prefix}{inner}/"
        linked = {name for name in subfolders if (here / name).is_symlink()}
        folders += sorted(before + name for name in linked if _is_data(name))
        named = [n for n in sorted(subfolders) if n.lower().endswith(_IMAGES) and _is_data(n)]
        links.dead += [before + name for name in named if not any((here / name).iterdir())]
        real = {name: os.path.realpath(here / name) for name in subfolders if name not in linked}
        subfolders[:] = [n for n, path in real.items() if _is_data(n) and path not in seen]
        seen.update(real.values())
        for name in files:
            if not _is_data(name):
                continue
            if not _is_text(before + name):
                links.dead.append(as_name(before + name))
                continue
            path = f"{folder}/{name}"
            if os.path.islink(path):  # noqa: PTH114 - a path object costs 20 µs
                if not os.path.exists(path):  # noqa: PTH110
                    links.dead.append(before + name)
                    continue
                if os.path.dirname(os.path.realpath(path)) not in seen:  # noqa: PTH120
                    links.followed.append(before + name)
            # Images are opened with care; metadata are few, and a pipe would be waited for.
            if not name.lower().endswith(_IMAGES) and not os.path.isfile(path):  # noqa: PTH113
                links.dead.append(before + name)
                continue
            yield before + name


def _list_remote(root: UPath) -> Iterator[str]:
    root.fs.invalidate_cache()  # a listing of an earlier run would hide what changed since
    base = root.fs._strip_protocol(str(root)).rstrip("/") + "/"
    for found in root.fs.find(base, withdirs=False):
        relative = str(found).removeprefix(base)
        parts = relative.split("/")
        if ".." not in parts and all(_is_data(part) for part in parts):
            yield relative


def locate(sidecar: Sidecar | None, listing: Listing) -> Sidecar | None:
    """Find the files that metadata list where they lie by now.

    Harmony 7 writes its index above the folder of the images, and exports move files or write PNG
    where the metadata say TIFF. A file that is not where it is listed is looked for by its name
    below the metadata's folder, and taken only when there is exactly one.

    Parameters
    ----------
    sidecar
        The vendor's metadata, None when there are none.
    listing
        The files.

    Returns
    -------
    Sidecar or None
        The same metadata, with the paths of files that were found elsewhere.
    """
    if sidecar is None or not sidecar.listed:
        return sidecar
    present = {path.casefold() for path in listing.images}
    listed = {path.casefold() for path, _ in sidecar.listed}
    if listed <= present:
        return sidecar
    home = sidecar.source.rpartition("/")[0]
    free = [
        path
        for path in listing.images
        if path.casefold() not in listed and (not home or path.startswith(f"{home}/"))
    ]
    wanted = [path for path, _ in sidecar.listed if path.casefold() not in present]
    elsewhere: dict[str, str] = {}
    for key_of in (_name_key, _stem_key):
        there, asked = _by_key(free, key_of), _by_key(wanted, key_of)
        elsewhere = {
            path: there[key][0]
            for key, paths in asked.items()
            for path in paths
            if len(set(paths)) == 1 and len(there.get(key, ())) == 1
        } | elsewhere
    found = tuple((elsewhere.get(path, path), fields) for path, fields in sidecar.listed)
    return dataclasses.replace(sidecar, listed=found)


def _name_key(path: str) -> str:
    return file_name(path).casefold()


def _stem_key(path: str) -> str:
    return _name_key(path).rpartition(".")[0]


def _by_key(paths: Iterable[str], key_of: Callable[[str], str]) -> dict[str, list[str]]:
    grouped: dict[str, list[str]] = {}
    for path in paths:
        grouped.setdefault(key_of(path), []).append(path)
    return grouped
