"""Finds several runs of a microscope in one source, which must not become one plate."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping
from typing import Final

from hcs.errors import InputError
from hcs.io.layouts.base import Listing, Sidecar, VendorLayout, file_name

_INNER: Final = re.compile(r"(?:timepoint_\d+|zstep_\d+|images?)", re.IGNORECASE)
"""Folders within a run, which may hold its metadata as well."""


def choose_run(
    listing: Listing,
    layout: VendorLayout,
    asked: str | None,
    read: Callable[[Listing], Sidecar | None],
) -> tuple[Listing, str | None]:
    """Keep the files of one run, where folders beside each other have metadata of their own.

    Two measurements in one folder have the same file names: read together, wells of the second
    would fill what the first lacks.

    Parameters
    ----------
    listing
        All files of the source.
    layout
        The vendor, whose ``marks`` every run has once.
    asked
        Name of the plate that the user stated.
    read
        Reads the metadata of some of the files.

    Returns
    -------
    Listing
        All files, or those of the run that was asked for.
    str or None
        A sentence where runs were left out.

    Raises
    ------
    InputError
        When there are several runs and none of them is named.
    """
    folders = _find_folders(listing, layout.marks)
    if len(folders) < 2:
        return listing, None
    runs = {folder: _restrict(listing, folder) for folder in folders}
    chosen = _match(runs, asked, read)
    if chosen is None:
        told = ", ".join(repr(folder) for folder in folders)
        msg = (
            f"{listing.root} holds {len(folders)} runs with metadata of their own, in {told}: "
            "name one of these folders as the source, or as --plate-name"
        )
        raise InputError(msg)
    return runs[chosen], f"{len(runs) - 1} other runs beside {chosen!r} are left out"


def _find_folders(listing: Listing, marks: tuple[str, ...]) -> list[str]:
    """Folders that hold a run each; none where one of them holds another, or is the source."""
    for mark in marks:
        files = listing.ending(mark)
        if files:
            break
    else:
        return []
    folders = sorted({_run_folder(path) for path in files})
    nested = any(not a or b.startswith(f"{a}/") for a in folders for b in folders if a != b)
    return [] if nested else folders


def _run_folder(path: str) -> str:
    parts = path.split("/")[:-1]
    while parts and _INNER.fullmatch(parts[-1]):
        parts.pop()
    return "/".join(parts)


def _restrict(listing: Listing, folder: str) -> Listing:
    return dataclasses.replace(
        listing,
        images=tuple(path for path in listing.images if path.startswith(f"{folder}/")),
        others=tuple(path for path in listing.others if path.startswith(f"{folder}/")),
    )


def _match(
    runs: Mapping[str, Listing], asked: str | None, read: Callable[[Listing], Sidecar | None]
) -> str | None:
    """Find the one run whose folder, or whose plate's name, is what was asked for."""
    if asked is None:
        return None
    for name_of in (
        lambda folder: folder,
        file_name,
        lambda folder: (found := read(runs[folder])) and found.plate_name,
    ):
        found = [folder for folder in runs if name_of(folder) == asked]
        if len(found) == 1:
            return found[0]
    return None
