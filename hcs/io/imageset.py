"""Arrays with one entry an image, a group a plate, so that they grow plate by plate.

What an image is (its well, clone, compound …) stands in one table beside the arrays, and is written
anew whenever the plate map changes; the arrays hold nothing of it. An image keeps its row for as
long as it exists: one that is added takes a row of its own, and nothing else moves.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final
from urllib.parse import quote

import numpy as np
import pandas as pd
import xarray as xr
import zarr
from numpy.typing import NDArray

from hcs.domain import columns as col
from hcs.domain.ngff import Level
from hcs.errors import ImageReadError, InputError, NotFoundError, StaleError
from hcs.io.files.paths import AnyPath, as_path, as_text
from hcs.io.plates import plate_tables, shards
from hcs.io.plates.codecs import open_array
from hcs.io.plates.pixels import has_content, name_damage
from hcs.io.plates.plate import open_store
from hcs.io.plates.stamps import DAMAGE
from hcs.io.runs.fingerprints import fingerprint

VALID: Final = "valid"
"""False for an image that could not be made; its entry is then empty and nobody uses it."""

ROW: Final = "store_row"
"""Row of an image in the array of its plate."""

FORMAT: Final = 4
"""Version of the store; raised when older ones can no longer be read."""

HEADER: Final = "hcs"
"""Attribute of the store that says what it is."""

_LARGE_VIEW_BYTES: Final = 16 * 1024


@dataclass(frozen=True)
class ArrayLayout:
    """What the array of every plate is like.

    Attributes
    ----------
    kind
        What the store is, and the command that makes it: ``stack`` or ``embed``.
    name
        Of the array.
    dims
        Dimension names; the first is ``image``.
    item_shape, dtype
        Of one image.
    images_per_shard
        Whole shards are the unit of writing.
    """

    kind: str
    name: str
    dims: tuple[str, ...]
    item_shape: tuple[int, ...]
    dtype: str
    images_per_shard: int

    def level(self, n_rows: int) -> Level:
        """Shape, chunks and shards of the array of one plate."""
        shard = (self.images_per_shard, *self.item_shape)
        return Level(1, (n_rows, *self.item_shape), self._chunks(), shard)

    def _chunks(self) -> tuple[int, ...]:
        """One image a chunk, or one of its views where a view alone is large (flattened)."""
        view_bytes = math.prod(self.item_shape[1:]) * np.dtype(self.dtype).itemsize
        large = self.dims[1] == "view" and view_bytes > _LARGE_VIEW_BYTES
        return (1, 1 if large else self.item_shape[0], *self.item_shape[1:])


def name_group(plate: str) -> str:
    """Name of a plate's group: what file systems and Zarr allow, different for different plates."""
    name = quote(plate, safe=" -_.()+,=")
    if name[:1] in {".", "_"} or name == plate_tables.FOLDER:
        name = f"%{ord(name[0]):02X}{name[1:]}"
    return name


def read_header(out: AnyPath) -> dict[str, Any]:
    """Read what hcs keeps in a store's attributes; empty when there is no whole store."""
    file = as_path(out) / shards.DOCUMENT
    try:
        found = json.loads(file.read_text(encoding="utf-8"))["attributes"]
    except (FileNotFoundError, NotADirectoryError, ValueError, KeyError):
        return {}
    ours = found.get(HEADER, {}) if isinstance(found, dict) else {}
    return ours if isinstance(ours, dict) else {}


def locate_shard(root: str, group: str, name: str, index: int, n_further: int) -> str:
    """Path of one shard of the array of a plate, whose images have so many axes."""
    return f"{root}/{group}/{name}/c/{index}" + "/0" * n_further


@dataclass(frozen=True)
class ImageSet:
    """An image set, opened for reading.

    Attributes
    ----------
    path
        The store.
    name
        The array's name.
    what
        What it is, for messages.
    made_by
        The command that makes it.
    """

    path: str
    name: str
    what: str
    made_by: str

    @cached_property
    def _ours(self) -> dict[str, Any]:
        ours = read_header(self.path)
        root = as_path(self.path)
        if ours.get("kind") == self.made_by and ours.get("format") == FORMAT:
            return ours
        if not (root / shards.DOCUMENT).exists():
            if (root / plate_tables.FOLDER).exists():
                raise StaleError(self._again("was left unfinished"))
            msg = f"{self.what} {self.path} does not exist; hcs {self.made_by} makes it"
            raise NotFoundError(msg)
        older = ours.get("kind") is None and (root / self.name).exists()
        if older or ours.get("kind") == self.made_by:
            raise StaleError(self._again("was written by another version of hcs"))
        msg = f"{self.path} is not a {self.what}; hcs {self.made_by} makes one"
        raise InputError(msg)

    def _again(self, why: str) -> str:
        return f"{self.what} {self.path} {why}: make it again with hcs {self.made_by}"

    @cached_property
    def frame(self) -> pd.DataFrame:
        """One row an image in the order of plate, well and site, with all that is known of it."""
        _ = self._ours
        found = plate_tables.read_plate_table(self.path, plate_tables.IMAGES)
        if found is None or ROW not in found or VALID not in found:
            raise StaleError(self._again("was left unfinished"))
        known = (*col.IMAGE_KEY, *col.WELL_METADATA)
        first = [name for name in known if name in found.columns]
        return found[first + sorted(name for name in found.columns if name not in first)]

    @property
    def settings(self) -> dict[str, Any]:
        """What a later stage must know to treat new images in the same way."""
        return dict(self._ours.get("settings", {}))

    @property
    def provenance(self) -> dict[str, Any]:
        """How it came to be."""
        return dict(self._ours.get("provenance", {}))

    @cached_property
    def fingerprint(self) -> str:
        """Fingerprint of what it holds: settings, and what each image was made from."""
        named = self.frame[[*col.IMAGE_KEY, col.FINGERPRINT]]
        return fingerprint(self.settings, named.to_numpy().tolist())

    @property
    def n_images(self) -> int:
        """Number of images."""
        return len(self.frame)

    @cached_property
    def item_shape(self) -> tuple[int, ...]:
        """Shape of one image: ``(y, x)``, or ``(view, feature)``."""
        plate = str(self.frame[col.PLATE].iloc[0])
        return tuple(int(length) for length in self.array(plate).shape[1:])

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of images, then the shape of one."""
        return (self.n_images, *self.item_shape)

    def array(self, plate: str) -> Any:  # noqa: ANN401 - zarr's array type is generic over metadata
        """Return the Zarr array of one plate, whose rows stand in the column :data:`ROW`."""
        if plate not in self._arrays:
            store = open_store(self.path, read_only=True)
            place = f"{name_group(plate)}/{self.name}"
            try:
                group = zarr.open_group(store, mode="r", zarr_format=3)
                self._arrays[plate] = open_array(group, place, f"{self.path}/{place}")
            except (FileNotFoundError, KeyError) as error:
                raise StaleError(self._again(f"lacks the array of plate {plate}")) from error
            except DAMAGE as error:
                why = f"has a damaged array of plate {plate} ({error})"
                raise StaleError(self._again(why)) from error
        return self._arrays[plate]

    @cached_property
    def _arrays(self) -> dict[str, Any]:
        return {}

    def read(self, start: int, stop: int) -> NDArray[Any]:
        """Read images ``start`` to ``stop`` of the table."""
        return self.take(np.arange(start, min(stop, self.n_images)))

    def take(self, places: NDArray[np.integer], view: int | None = None) -> NDArray[Any]:
        """Read some images, ``(N, …)`` in the order asked for.

        Parameters
        ----------
        places
            ``(N,)`` positions in :attr:`frame`.
        view
            Of a bank, one view of each, ``(N, F)``; None gives all.

        Raises
        ------
        ImageReadError
            When a shard is lost or damaged; the message names it. Nothing is read as zeros.
        """
        chosen = self.frame.iloc[places]
        shape = self.item_shape if view is None else self.item_shape[1:]
        found: NDArray[Any] | None = None
        for plate, where in chosen.groupby(col.PLATE, sort=False).indices.items():
            block = self.take_rows(str(plate), chosen[ROW].to_numpy()[where], view)
            if found is None:
                found = np.empty((len(chosen), *shape), block.dtype)
            found[where] = block
        return np.empty((0, *shape)) if found is None else found

    def take_rows(
        self, plate: str, rows: NDArray[np.integer], view: int | None = None
    ) -> NDArray[Any]:
        """Read rows of the array of one plate; parameters and errors as of :meth:`take`."""
        array = self.array(plate)
        per_shard = int(array.shards[0])
        self._check_shards(plate, np.unique(np.asarray(rows) // per_shard).tolist(), array.ndim)
        shape = array.shape[1:] if view is None else array.shape[2:]
        found = np.empty((len(rows), *shape), array.dtype)
        order = np.argsort(rows, kind="stable")
        ascending = np.asarray(rows)[order]
        # Runs of rows are read as one piece: through a list of rows zarr takes 3 times as long.
        for run in np.split(np.arange(len(rows)), np.flatnonzero(np.diff(ascending) != 1) + 1):
            if len(run):
                piece = slice(int(ascending[run[0]]), int(ascending[run[-1]]) + 1)
                try:
                    block = array[piece] if view is None else array[piece, view]
                except (KeyError, *DAMAGE) as error:
                    shards_of = range(piece.start // per_shard, -(-piece.stop // per_shard))
                    raise self._name_damage(plate, shards_of, array, error) from error
                found[order[run]] = block
        return found

    def _check_shards(self, plate: str, indices: Sequence[int], n_axes: int) -> None:
        """Refuse shards that are not there: Zarr reads them as zeros without a word."""
        for index in indices:
            path = self._locate(plate, index, n_axes)
            if not has_content(path):
                msg = f"{path} is lost; hcs {self.made_by} makes it again"
                raise ImageReadError(msg, col.Reason.MISSING_FILE)

    def _locate(self, plate: str, index: int, n_axes: int) -> str:
        group = name_group(plate)
        return locate_shard(as_text(self.path), group, self.name, index, n_axes - 1)

    def _name_damage(
        self,
        plate: str,
        indices: Sequence[int],
        array: Any,  # noqa: ANN401 (zarr's)
        error: Exception,
    ) -> ImageReadError:
        """Say which of the shards that were read is damaged, and what to do."""
        damaged = None
        for index in indices:
            try:
                _ = array.blocks[index] if len(indices) > 1 else None
            except DAMAGE:
                damaged = index
                break
        path = self._locate(plate, indices[0] if damaged is None else damaged, array.ndim)
        return name_damage(path, error, f"hcs {self.made_by} of the same input")

    def iterate(
        self, places: NDArray[np.integer], n_bytes: int, view: int | None = None
    ) -> Iterator[NDArray[Any]]:
        """Read images in their order, as many at a time as make about ``n_bytes``."""
        shape = self.item_shape if view is None else self.item_shape[1:]
        each = math.prod(shape) * 2
        step = max(1, n_bytes // max(each, 1))
        for start in range(0, len(places), step):
            yield self.take(places[start : start + step], view)

    def open_tree(self) -> xr.DataTree:
        """Open as xarray: a node a plate, what is known of the images as coordinates."""
        nodes = {}
        for plate, rows in self.frame.groupby(col.PLATE, sort=True):
            store = open_store(self.path, read_only=True)
            opened = xr.open_zarr(store, group=name_group(str(plate)), consolidated=False)
            named = {_coordinate(name): ("image", values) for name, values in rows.items()}
            chosen = opened.isel(image=rows[ROW].to_numpy())
            nodes[str(plate).replace("/", "_")] = chosen.assign_coords(named)
        return xr.DataTree.from_dict(nodes)


def _coordinate(column: object) -> str:
    """Name of a table column as a coordinate: ``Metadata_Clone`` → ``clone``."""
    return str(column).removeprefix("Metadata_").lower()
