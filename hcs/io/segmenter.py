"""A pixel classifier on disk: a forest by skops, and a manifest of what it was trained on."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Final

from hcs.errors import InputError, NotFoundError, StaleError
from hcs.io.files.atomic import read_json, write_json
from hcs.io.files.paths import AnyPath, as_path
from hcs.io.files.together import replace_together

MANIFEST: Final = "manifest.json"
FOREST: Final = "forest.skops"
KIND: Final = "segment-train"
FORMAT: Final = 1


def write_segmenter(out: AnyPath, forest: bytes, described: Mapping[str, Any]) -> None:
    """Write a classifier; its two files change together.

    Parameters
    ----------
    out
        Folder.
    forest
        As :func:`hcs.learn.forest.dump_forest` makes it.
    described
        What it was trained on, as JSON.
    """
    folder = as_path(out)
    mark = f"sha256:{hashlib.sha256(forest).hexdigest()}"
    with replace_together(out) as place:
        place(folder / FOREST).write_bytes(forest)
        found = {"kind": KIND, "format": FORMAT, "forest": mark, **described}
        write_json(str(place(folder / MANIFEST)), found)


def read_segmenter(path: AnyPath) -> tuple[bytes, dict[str, Any]]:
    """Read a classifier: the bytes of its forest, and its manifest.

    Raises
    ------
    NotFoundError, InputError
        When there is none, or something else.
    StaleError
        When its files do not belong together, or another version of hcs wrote it.
    """
    folder = as_path(path)
    if not (folder / MANIFEST).exists():
        msg = f"{path} is no pixel classifier; hcs segment train writes one"
        raise NotFoundError(msg)
    found = read_json(folder / MANIFEST)
    if not isinstance(found, dict) or found.get("kind") != KIND:
        msg = f"{path} is no pixel classifier, which hcs segment train writes"
        raise InputError(msg)
    if found.get("format") != FORMAT:
        msg = f"{path} was written by another version of hcs: train it again"
        raise StaleError(msg)
    forest = (folder / FOREST).read_bytes() if (folder / FOREST).exists() else b""
    if f"sha256:{hashlib.sha256(forest).hexdigest()}" != found.get("forest"):
        msg = f"{folder / FOREST} is not the forest that {MANIFEST} describes: train it again"
        raise StaleError(msg)
    return forest, found
