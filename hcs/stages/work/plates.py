"""Plates that a stage reads: opened together, each under a name of its own."""

from __future__ import annotations

import math
from collections.abc import Sequence

from hcs.domain import columns as col
from hcs.errors import HcsError, InputError
from hcs.io.plates.reader import PlateReader


def open_plates(paths: Sequence[str]) -> list[PlateReader]:
    """Open plates.

    Raises
    ------
    NotFoundError, InputError
        When one is no plate, or two have one name: their wells could not be told apart.
    """
    readers = [PlateReader(path) for path in paths]
    places: dict[str, list[str]] = {}
    for reader in readers:
        places.setdefault(reader.name, []).append(reader.path)
    if twice := {name: found for name, found in places.items() if len(found) > 1}:
        named = "; ".join(f"{name}: {', '.join(found)}" for name, found in twice.items())
        msg = (
            f"plates need names of their own, these share one: {named}. Ingest them anew with "
            "--plate-name, or name each plate once"
        )
        raise InputError(msg)
    return readers


def count_plane_pixels(readers: Sequence[PlateReader]) -> int:
    """Pixels of one plane of the largest of the plates' fields; damaged ones are passed over.

    Raises
    ------
    InputError
        When a plate has no field that can be opened.
    """
    return max(_count_pixels(reader) for reader in readers)


def _count_pixels(reader: PlateReader) -> int:
    for path in reader.images[col.FIELD_PATH]:
        try:
            return math.prod(reader.level(str(path), 0).shape[-2:])
        except HcsError:  # its own row of the problems says so
            continue
    msg = f"{reader.path} holds no field that can be opened"
    raise InputError(msg)
