"""Image sets written: rows given to images, arrays made ready, whole shards put in their places."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hcs.domain import columns as col
from hcs.errors import InputError
from hcs.io.files import storage
from hcs.io.files.atomic import remove, write_bytes
from hcs.io.files.paths import AnyPath, as_path, as_text
from hcs.io.imageset import (
    FORMAT,
    HEADER,
    ROW,
    ArrayLayout,
    locate_shard,
    name_group,
    read_header,
)
from hcs.io.plates import plate_tables, shards
from hcs.io.runs.fingerprints import fingerprint


def place_images(out: AnyPath, frame: pd.DataFrame) -> pd.DataFrame:
    """Give every image its row: the one it has, or the first that is free.

    Parameters
    ----------
    out
        The store, which may not exist yet.
    frame
        One row an image, with the columns of :data:`hcs.domain.columns.IMAGE_KEY`.

    Returns
    -------
    DataFrame
        In the order of plate, well and site, with the column :data:`ROW`.
    """
    keys = list(col.IMAGE_KEY)
    placed = frame.sort_values(keys, ignore_index=True, kind="stable")
    before = plate_tables.read_plate_table(out, plate_tables.IMAGES)
    known: dict[tuple[Any, ...], int] = {}
    if before is not None and ROW in before:
        names = before[keys].itertuples(index=False, name=None)
        known = dict(zip(names, before[ROW].tolist(), strict=True))
    rows = [known.get(key, -1) for key in placed[keys].itertuples(index=False, name=None)]
    numbers = np.array(rows, dtype=np.int64)
    grouped = placed.groupby(col.PLATE, sort=False).indices
    for places in map(np.asarray, grouped.values()):
        new = places[numbers[places] < 0]
        taken = {int(number) for number in numbers[places]}
        free = (row for row in range(len(places) + len(taken)) if row not in taken)
        numbers[new] = [next(free) for _ in new]
    return placed.assign(**{ROW: numbers})


def prepare(
    out: AnyPath, layout: ArrayLayout, placed: pd.DataFrame, settings: Mapping[str, Any]
) -> None:
    """Make the groups and arrays of all plates ready; what fits the same layout is kept.

    What killed runs left half-written is removed. The document of the store comes last: a store
    without it is made anew by the next run.

    Parameters
    ----------
    out
        The store.
    layout
        Of the arrays.
    placed
        From :func:`place_images`.
    settings
        What a later stage must know to treat new images in the same way.
    """
    root = as_text(out)
    storage.sweep_store(root)
    described = {"format": FORMAT, "kind": layout.kind, "layout": fingerprint(layout)}
    before = read_header(out)
    if any(before.get(key) != value for key, value in described.items()):
        remove(out)
        before = {}
    wanted = {str(plate): int(rows.max()) + 1 for plate, rows in placed.groupby(col.PLATE)[ROW]}
    for plate in set(before.get("plates", {})) - set(wanted):
        remove(f"{root}/{name_group(plate)}")
    n_rows = {p: max(n, int(before.get("plates", {}).get(p, 0))) for p, n in wanted.items()}
    for plate, count in n_rows.items():
        group = f"{root}/{name_group(plate)}"
        _write_changed(f"{group}/{shards.DOCUMENT}", shards.group_document({"plate": plate}))
        document = shards.array_document(layout.level(count), layout.dtype, layout.dims)
        _write_changed(f"{group}/{layout.name}/{shards.DOCUMENT}", document)
    ours = {**before, **described, "plates": n_rows, "settings": dict(settings)}
    _write_changed(f"{root}/{shards.DOCUMENT}", shards.group_document({HEADER: ours}))


def _write_changed(path: str, data: bytes) -> None:
    """Write a file unless it holds just this already."""
    file = as_path(path)
    if not file.exists() or file.read_bytes() != data:
        write_bytes(path, data)


def write_table(out: AnyPath, frame: pd.DataFrame, provenance: Mapping[str, Any]) -> None:
    """Write what the images are, and how the store came to be, in place of what was said before."""
    plate_tables.write_plate_table(out, plate_tables.IMAGES, frame)
    ours = {**read_header(out), "provenance": dict(provenance)}
    write_bytes(f"{as_text(out)}/{shards.DOCUMENT}", shards.group_document({HEADER: ours}))


def write_shard(
    out: AnyPath, layout: ArrayLayout, plate: str, index: int, block: NDArray[Any]
) -> tuple[str, int]:
    """Write one whole shard in one step.

    Parameters
    ----------
    out, layout, plate
        The store, and whose array.
    index
        Number of the shard; it starts at row ``index × images_per_shard``.
    block
        ``(n, …)`` with at most ``images_per_shard`` images; rows that are left over become zeros.

    Returns
    -------
    tuple of str and int
        Path and bytes of the file.

    Raises
    ------
    InputError
        When the block is larger than a shard: parallel writes would then lose data silently.
    """
    if len(block) > layout.images_per_shard or block.shape[1:] != layout.item_shape:
        msg = f"a block of {block.shape} is no shard of {layout.images_per_shard} images of {out}"
        raise InputError(msg)
    level = layout.level(0)
    data = b"".join(
        shards.encode_shard(np.asarray(block, layout.dtype), level.shards, level.chunks)
    )
    path = locate_shard(as_text(out), name_group(plate), layout.name, index, len(layout.item_shape))
    write_bytes(path, data)
    return path, len(data)


def write_images(
    out: AnyPath,
    layout: ArrayLayout,
    frame: pd.DataFrame,
    images: NDArray[Any],
    settings: Mapping[str, Any],
) -> None:
    """Write a whole image set that is in memory, in place of what is there.

    Parameters
    ----------
    out, layout, settings
        As of :func:`prepare`.
    frame
        One row an image; :data:`VALID` and a fingerprint are among its columns.
    images
        ``(N, …)`` in the order of the frame.
    """
    remove(out)
    numbered = frame.assign(**{ROW: range(len(frame))})
    placed = place_images(out, numbered.rename(columns={ROW: "number"}))
    prepare(out, layout, placed, settings)
    for plate, rows in placed.groupby(col.PLATE):
        for index, part in rows.groupby(rows[ROW] // layout.images_per_shard):
            block = np.zeros((layout.images_per_shard, *layout.item_shape), layout.dtype)
            block[part[ROW] % layout.images_per_shard] = images[part["number"]]
            write_shard(out, layout, str(plate), int(str(index)), block)
    write_table(out, placed.drop(columns="number"), {})
