"""OME-Zarr 0.4 (Zarr v2) on disk: groups, and whole images with their labels in one step."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import zarr
from numcodecs import Blosc
from numpy.typing import NDArray
from zarr.core.buffer import Buffer
from zarr.storage import MemoryStore

from hcs.io.files.atomic import replace_folder, write_bytes
from hcs.io.files.paths import AnyPath, as_text

_GROUP: Final = b'{"zarr_format": 2}'

_CHUNK_PX: Final = 1024


@dataclass(frozen=True, slots=True)
class ImageTree:
    """An image to write: attributes, its arrays by name, and the images below it by path."""

    attributes: Mapping[str, Any]
    arrays: Mapping[str, NDArray[Any]]
    below: Mapping[str, ImageTree]


def write_group(out: AnyPath, path: str, attributes: Mapping[str, Any]) -> None:
    """Write the documents of a group and leave its members alone."""
    folder = f"{as_text(out)}/{path}".rstrip("/")
    if attributes:
        write_bytes(f"{folder}/.zattrs", _as_json(attributes))
    write_bytes(f"{folder}/.zgroup", _GROUP)


def write_image(out: AnyPath, path: str, image: ImageTree) -> None:
    """Write an image with all of its levels and labels, in place of what was there.

    Chunks lie in folders (``/``), as OME-Zarr 0.4 asks for; every chunk is written, also of zeros.
    """
    objects: dict[str, Buffer] = {}
    _put(zarr.open_group(MemoryStore(objects), mode="w", zarr_format=2), image)
    replace_folder(
        f"{as_text(out)}/{path}", {key: [data.to_bytes()] for key, data in objects.items()}
    )


def _put(group: zarr.Group, image: ImageTree) -> None:
    group.attrs.put(dict(image.attributes))
    for name, pixels in image.arrays.items():
        array = group.create_array(
            name,
            shape=pixels.shape,
            dtype=pixels.dtype,
            chunks=_chunks(pixels.shape),
            compressors=Blosc(cname="lz4", clevel=5, shuffle=Blosc.SHUFFLE),
            fill_value=0,
            chunk_key_encoding={"name": "v2", "separator": "/"},
            config={"write_empty_chunks": True},
        )
        array[...] = pixels
    for name, below in image.below.items():
        _put(group.require_group(name), below)


def _chunks(shape: Sequence[int]) -> tuple[int, ...]:
    """One plane a chunk, large planes in pieces."""
    edges = tuple(min(length, _CHUNK_PX) for length in shape[-2:])
    return (*(1,) * (len(shape) - 2), *edges)


def _as_json(attributes: Mapping[str, Any]) -> bytes:
    return json.dumps(dict(attributes), ensure_ascii=False, allow_nan=False).encode()
