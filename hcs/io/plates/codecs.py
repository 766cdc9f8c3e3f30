"""Refuses Zarr arrays that hold no numbers, or are packed in ways of which not all are harmless.

Codecs are code that is named by the file: some of Zarr v2's unpack Python objects, and unpacking
those runs what they say. So the ones that may decode are listed here, and nothing of an array is
decoded before it was asked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import numpy as np
import zarr

from hcs.errors import InputError

_HARMLESS: Final = frozenset(
    {
        "adler32", "bitround", "blosc", "bytes", "bz2", "crc32", "crc32c", "delta", "endian",
        "fixedscaleoffset", "fletcher32", "gzip", "jenkins_lookup3", "lz4", "lzma", "packbits",
        "pcodec", "quantize", "sharding_indexed", "shuffle", "transpose", "zfpy", "zlib", "zstd",
    }
)  # fmt: skip
"""Codecs that turn bytes into bytes, or numbers into numbers."""

_NUMBERS: Final = "buif"
"""Kinds of NumPy types: truth values, whole numbers, floats."""


def refuse_unsafe(array: Any, where: str) -> None:  # noqa: ANN401 (zarr's arrays have no one type)
    """Refuse an array that another program may have made to do more than hold numbers.

    Parameters
    ----------
    array
        A Zarr array that was opened and not read.
    where
        Its place, for the message.

    Raises
    ------
    InputError
        With the type or the codec, and what to do.
    """
    remedy = "write it anew with a codec such as blosc, zstd or gzip"
    try:
        kind = np.dtype(array.dtype).kind
    except TypeError:
        kind = "?"
    if kind not in _NUMBERS:
        raise InputError(f"{where} holds values of type {array.dtype}; numbers were expected")
    foreign = [name for name in _list_codecs(array.metadata.to_dict()) if not _is_harmless(name)]
    if foreign:
        msg = f"{where} is packed by the codec {foreign[0]!r}, which hcs does not run: {remedy}"
        raise InputError(msg)


def open_array(group: zarr.Group, path: str, where: str) -> zarr.Array[Any]:
    """Open an array of a group that any program may have written.

    Parameters
    ----------
    group, path
        The group, and the array's path in it.
    where
        Names the array in messages.

    Raises
    ------
    KeyError
        When it is not there.
    InputError
        When it is a group, or not safe to read.
    """
    found = group[path]
    if not isinstance(found, zarr.Array):
        raise InputError(f"{where} is a group; an array was expected")
    refuse_unsafe(found, where)
    return found


def _is_harmless(name: str) -> bool:
    return name.removeprefix("numcodecs.") in _HARMLESS


def _list_codecs(metadata: Mapping[str, Any]) -> Iterator[str]:
    """Yield the names of all codecs of an array, those within shards too."""
    waiting = [*(metadata.get("codecs") or ()), *(metadata.get("filters") or ())]
    waiting += [metadata["compressor"]] if metadata.get("compressor") else []
    while waiting:
        codec = waiting.pop()
        found = codec if isinstance(codec, Mapping) else codec.to_dict()
        yield str(found.get("name", found.get("id")))
        inside = found.get("configuration") or {}
        waiting += [*inside.get("codecs", ()), *inside.get("index_codecs", ())]
