"""The plainest TIFF, read without a library: one gray plane, uncompressed, in one piece."""

from __future__ import annotations

import struct
from typing import Any, BinaryIO, Final, Literal

import numpy as np
from numpy.typing import NDArray

_HEAD_BYTES: Final = 8
_MAX_ENTRIES: Final = 64
_ENTRY_BYTES: Final = 12
_MAX_STRIPS: Final = 2**16
_ORDERS: Final[dict[bytes, Literal["<", ">"]]] = {b"II*\0": "<", b"MM\0*": ">"}
_KINDS: Final = {3: "H", 4: "I"}
"""TIFF's SHORT and LONG; the tags that matter here have no other type."""

_WIDTH, _LENGTH, _BITS, _COMPRESSION, _PHOTOMETRIC = 256, 257, 258, 259, 262
_OFFSETS, _SAMPLES, _COUNTS, _FORMAT = 273, 277, 279, 339
_MUST_BE: Final = {
    _COMPRESSION: 1,
    _PHOTOMETRIC: 1,
    _SAMPLES: 1,
    _FORMAT: 1,
    254: 0,
    266: 1,
    317: 1,
}
"""Uncompressed, black is zero, one sample, unsigned, full-size, bits in order, no predictor."""

_DEFAULTS: Final = {_COMPRESSION: 1, _SAMPLES: 1}
_HARMLESS: Final = frozenset(
    (255, 269, 270, 271, 272, 274, 278, 280, 281, 282, 283, 284, 285, 296, 305, 306, 315, 316)
)
"""Names, dates, resolution and the like, which change neither the pixels nor their place."""


def read_plain(
    stream: BinaryIO, size_bytes: int, shape: tuple[int, int], dtype: np.dtype[Any]
) -> NDArray[Any] | None:
    """Read the first page when it is of the plainest kind and just as expected.

    Parameters
    ----------
    stream
        The file, at any place.
    size_bytes
        Its size.
    shape, dtype
        What the page must be; uint8 or uint16.

    Returns
    -------
    ndarray or None
        ``(Y, X)`` in native byte order; None for everything that needs more care.
    """
    if dtype.kind != "u" or dtype.itemsize > 2:
        return None
    stream.seek(0)
    head = stream.read(_HEAD_BYTES)
    order = _ORDERS.get(head[:4])
    if order is None or len(head) < _HEAD_BYTES:
        return None
    tags = _tags(stream, order, struct.unpack(f"{order}I", head[4:])[0])
    start = None if tags is None else _start(tags, shape, dtype)
    n_bytes = shape[0] * shape[1] * dtype.itemsize
    if start is None or start + n_bytes > size_bytes:
        return None
    pixels = np.empty(shape, dtype.newbyteorder(order))
    stream.seek(start)
    if stream.readinto(pixels.data.cast("B")) != n_bytes:  # type: ignore[attr-defined]
        return None
    return pixels.astype(dtype.newbyteorder("="), copy=False)


def _tags(stream: BinaryIO, order: str, place: int) -> dict[int, tuple[int, ...]] | None:
    """Numbers of the tags that matter; None when there is one that is not known to be harmless."""
    stream.seek(place)
    count_bytes = stream.read(2)
    if len(count_bytes) < 2:
        return None
    (count,) = struct.unpack(f"{order}H", count_bytes)
    block = stream.read(count * _ENTRY_BYTES)
    if count > _MAX_ENTRIES or len(block) < count * _ENTRY_BYTES:
        return None
    tags: dict[int, tuple[int, ...]] = {}
    for tag, kind, n_values, value in struct.iter_unpack(f"{order}HHI4s", block):
        if tag in _HARMLESS:
            continue
        known = tag in _MUST_BE or tag in {_WIDTH, _LENGTH, _BITS, _OFFSETS, _COUNTS}
        if not known or tag in tags or kind not in _KINDS:
            return None
        found = _numbers(stream, order, _KINDS[kind], n_values, value)
        if found is None:
            return None
        tags[tag] = found
    return tags


def _numbers(
    stream: BinaryIO, order: str, letter: str, count: int, value: bytes
) -> tuple[int, ...] | None:
    """Values of an entry, which lie in it or, when there are many, elsewhere in the file."""
    if not 0 < count <= _MAX_STRIPS:
        return None
    n_bytes = count * struct.calcsize(f"{order}{letter}")
    if n_bytes > len(value):
        stream.seek(struct.unpack(f"{order}I", value)[0])
        value = stream.read(n_bytes)
    if len(value) < n_bytes:
        return None
    return struct.unpack(f"{order}{count}{letter}", value[:n_bytes])


def _start(
    tags: dict[int, tuple[int, ...]], shape: tuple[int, int], dtype: np.dtype[Any]
) -> int | None:
    """Where the pixels begin, when they lie in one piece and are what is expected."""
    for tag, wanted in _MUST_BE.items():
        if tags.get(tag, (_DEFAULTS.get(tag, wanted),)) != (wanted,):
            return None
    what = (tags.get(_LENGTH), tags.get(_WIDTH), tags.get(_BITS))
    if what != ((shape[0],), (shape[1],), (8 * dtype.itemsize,)) or _PHOTOMETRIC not in tags:
        return None
    offsets, counts = tags.get(_OFFSETS, ()), tags.get(_COUNTS, ())
    if not offsets or len(offsets) != len(counts) or offsets[0] < _HEAD_BYTES:
        return None
    ends = [offset + count for offset, count in zip(offsets, counts, strict=True)]
    in_one = all(end == offset for end, offset in zip(ends, offsets[1:], strict=False))
    whole = sum(counts) == shape[0] * shape[1] * dtype.itemsize
    return offsets[0] if in_one and whole and min(counts) > 0 else None
