"""Arrays with one entry an image: a Zarr group that xarray opens, metadata as coordinates."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import numpy as np
import pandas as pd
import xarray as xr
import zarr
import zarr.errors
from numpy.typing import NDArray

from hcs.domain import columns as col
from hcs.errors import InputError, NotFoundError
from hcs.io.files.atomic import remove
from hcs.io.files.paths import AnyPath
from hcs.io.plates.plate import open_store
from hcs.io.plates.shards import CODEC
from hcs.io.runs import fingerprints
from hcs.io.runs.ledger import Ledger

VALID: Final = "valid"
"""False for an image that could not be made; its entry is then empty and nobody uses it."""

_HEADER: Final = "header"
_SETTINGS: Final = "settings"
_PROVENANCE: Final = "hcs"
_COLUMN: Final = "column"

_LARGE_VIEW_BYTES: Final = 16 * 1024


def coordinate_name(column: str) -> str:
    """Name of a table column as a coordinate: ``Metadata_Clone`` → ``clone``."""
    return column.removeprefix("Metadata_").lower()


@dataclass(frozen=True)
class ArrayLayout:
    """The one big array of an image set.

    Attributes
    ----------
    name
        Variable name.
    dims
        Dimension names; the first is ``image``.
    shape, dtype
        Of the whole array.
    images_per_shard
        Whole shards are the unit of writing.
    """

    name: str
    dims: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: str
    images_per_shard: int


def prepare(
    out: AnyPath,
    layout: ArrayLayout,
    frame: pd.DataFrame,
    settings: Mapping[str, Any],
    ledger: Ledger,
) -> None:
    """Make the array and its coordinates ready; blocks that fit the same layout are kept.

    Parameters
    ----------
    out
        The store.
    layout
        The array.
    frame
        One row an image; ``Metadata_`` columns, ``field_path``, ``fingerprint`` become
        coordinates on ``image``.
    settings
        What a later stage must know to treat new images in the same way.
    ledger
        Cleared when the array has to be made anew.
    """
    header = fingerprints.fingerprint(
        layout.name, layout.dims, layout.shape, layout.dtype, layout.images_per_shard, settings
    )
    if _header_of(out) != header:
        ledger.clear()
        remove(out)
        group = zarr.create_group(
            open_store(out, read_only=False), zarr_format=3, attributes={_HEADER: header}
        )
        group.create_array(
            layout.name,
            shape=layout.shape,
            dtype=layout.dtype,
            chunks=_chunks(layout),
            shards=(layout.images_per_shard, *layout.shape[1:]),
            compressors=CODEC,
            fill_value=0,
            dimension_names=list(layout.dims),
        )
    _write_coordinates(out, frame)
    group = zarr.open_group(open_store(out, read_only=False), mode="r+", zarr_format=3)
    group.attrs[_SETTINGS] = dict(settings)


def _chunks(layout: ArrayLayout) -> tuple[int, ...]:
    """One image a chunk, or one of its views where a view alone is large (flattened features)."""
    view_bytes = math.prod(layout.shape[2:]) * np.dtype(layout.dtype).itemsize
    large = layout.dims[1] == "view" and view_bytes > _LARGE_VIEW_BYTES
    views = 1 if large else layout.shape[1]
    return (1, views, *layout.shape[2:])


def _header_of(out: AnyPath) -> str | None:
    try:
        group = zarr.open_group(open_store(out, read_only=True), mode="r", zarr_format=3)
    except (zarr.errors.GroupNotFoundError, FileNotFoundError):
        return None
    return str(group.attrs.get(_HEADER, ""))


def _write_coordinates(out: AnyPath, frame: pd.DataFrame) -> None:
    coordinates = {}
    for column in frame.columns:
        values = frame[column]
        if pd.api.types.is_bool_dtype(values):
            data = values.to_numpy(dtype=bool)
        elif pd.api.types.is_numeric_dtype(values):
            numeric = values.astype("float64")
            whole = pd.api.types.is_integer_dtype(values) and not values.isna().any()
            data = values.to_numpy(dtype="int64") if whole else numeric.to_numpy()
        else:
            data = values.astype("object").where(values.notna(), "").astype(str).to_numpy(object)
        coordinates[coordinate_name(column)] = ("image", data, {_COLUMN: column})
    store = open_store(out, read_only=False)
    # xarray replaces the attributes of the group, so it is given those that stand there.
    kept = dict(zarr.open_group(store, mode="r", zarr_format=3).attrs)
    kept.pop("coordinates", None)
    dataset = xr.Dataset(coords=coordinates, attrs=kept)
    dataset.to_zarr(store, mode="a", zarr_format=3, consolidated=False)


def write_block(out: AnyPath, name: str, start: int, block: NDArray[Any]) -> None:
    """Write the images from ``start`` on, whole shards only.

    Raises
    ------
    InputError
        When the block would split a shard: parallel writes would then lose data silently.
    """
    group = zarr.open_group(open_store(out, read_only=False), mode="r+", zarr_format=3)
    array: Any = group[name]
    per_shard = array.shards[0]
    stop = start + len(block)
    if start % per_shard or (stop % per_shard and stop != array.shape[0]):
        msg = f"images {start}…{stop} of {out} would split a shard of {per_shard} images"
        raise InputError(msg)
    array[start:stop] = block


def write_valid(out: AnyPath, valid: NDArray[np.bool_]) -> None:
    """Say which entries hold an image."""
    group: Any = zarr.open_group(open_store(out, read_only=False), mode="r+", zarr_format=3)
    group[VALID][...] = valid


def write_provenance(out: AnyPath, provenance: Mapping[str, Any]) -> None:
    """Keep the provenance in the store's attributes."""
    group = zarr.open_group(open_store(out, read_only=False), mode="r+", zarr_format=3)
    group.attrs[_PROVENANCE] = dict(provenance)


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
    """

    path: str
    name: str
    what: str

    @cached_property
    def _group(self) -> zarr.Group:
        try:
            group = zarr.open_group(open_store(self.path, read_only=True), mode="r", zarr_format=3)
        except (zarr.errors.GroupNotFoundError, FileNotFoundError) as error:
            msg = f"{self.what} {self.path} does not exist"
            raise NotFoundError(msg) from error
        if self.name not in group:
            msg = f"{self.path} is not a {self.what}: it has no array {self.name!r}"
            raise InputError(msg)
        return group

    @cached_property
    def array(self) -> Any:  # noqa: ANN401 - zarr's array type is generic over its metadata
        """The Zarr array."""
        return self._group[self.name]

    @cached_property
    def frame(self) -> pd.DataFrame:
        """Coordinates as a table under their own column names, one row an image."""
        _ = self._group
        dataset = xr.open_zarr(
            open_store(self.path, read_only=True), chunks=None, consolidated=False
        )
        columns = {}
        for variable in dataset.variables.values():
            if _COLUMN not in variable.attrs or variable.dims != ("image",):
                continue
            values = variable.values
            if values.dtype.kind in "OTU":
                values = np.array([str(item) or None for item in values], dtype=object)
            columns[str(variable.attrs[_COLUMN])] = values
        frame = pd.DataFrame(columns)
        # The order in which a store lists its arrays is the file system's; ours is the same always.
        known = (*col.IMAGE_KEY, *col.WELL_METADATA)
        first = [name for name in known if name in frame.columns]
        return frame[first + sorted(name for name in frame.columns if name not in first)]

    @property
    def settings(self) -> dict[str, Any]:
        """What a later stage must know to treat new images in the same way."""
        return dict(self._group.attrs.get(_SETTINGS, {}))  # type: ignore[arg-type]

    @property
    def provenance(self) -> dict[str, Any]:
        """How it came to be."""
        return dict(self._group.attrs.get(_PROVENANCE, {}))  # type: ignore[arg-type]

    @cached_property
    def fingerprint(self) -> str:
        """Fingerprint of everything in it: settings and the images it was made from."""
        marks = self.frame[col.FINGERPRINT].tolist()
        return fingerprints.fingerprint(self._group.attrs.get(_HEADER), marks, self.settings)

    @property
    def n_images(self) -> int:
        """Number of images."""
        return int(self.array.shape[0])

    def read(self, start: int, stop: int) -> NDArray[Any]:
        """Read images ``start`` to ``stop``."""
        return np.asarray(self.array[start:stop])
