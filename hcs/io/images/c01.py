"""Reads Cellomics C01: a number, then a bitmap's header and its rows, packed by zlib.

Quoted from Bio-Formats and CellProfiler, which both read such files; none was at hand. The file
begins with 16 as a big-endian number; what follows unpacks to a little-endian bitmap header of 40
bytes, and the pixels begin at byte 52, the first row first. Inferred: several planes are a stack.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import Any, BinaryIO, Final

import numpy as np

from hcs.domain.columns import Reason
from hcs.errors import ImageReadError
from hcs.io.images.checks import Expected, Image, Shape, check_plane, to_native

_MAGIC: Final = b"\x00\x00\x00\x10"
_PIXELS_AT: Final = 52
_UM_PER_METER: Final = 1e6


@dataclass(frozen=True, slots=True)
class C01Header:
    """What a C01 says of its pixels; ``pixel_um`` is as it states it, None where it does not."""

    shape: Shape
    dtype: np.dtype[Any]
    n_planes: int
    pixel_um: float | None


def is_c01(head: bytes) -> bool:
    """Whether a file that begins so is a C01: the number, and the mark of zlib."""
    packed = head[len(_MAGIC) : len(_MAGIC) + 2]
    is_zlib = len(packed) == 2 and packed[0] & 15 == 8 and int.from_bytes(packed, "big") % 31 == 0
    return head.startswith(_MAGIC) and is_zlib


def read_header(name: str, stream: BinaryIO) -> C01Header:
    """Read the bitmap header; raises ``ImageReadError``."""
    stream.seek(len(_MAGIC))
    head = zlib.decompressobj().decompress(stream.read(4096), _PIXELS_AT)
    if len(head) < _PIXELS_AT:
        raise ImageReadError(f"{name}: {len(head)} bytes of a C01 header", Reason.TRUNCATED)
    _, width, height, n_planes, bits, _, _, per_m_x, per_m_y = struct.unpack("<3i2H4i", head[:32])
    if bits not in {8, 16} or width <= 0 or height <= 0 or n_planes < 1:
        msg = f"{name}: a C01 of {height} × {width} pixels of {bits} bits, expected 8 or 16 bits"
        raise ImageReadError(msg, Reason.WRONG_TYPE)
    stated = per_m_x == per_m_y > 0
    dtype = np.dtype(f"<u{bits // 8}")
    return C01Header((height, width), dtype, n_planes, _UM_PER_METER / per_m_x if stated else None)


def read_c01(name: str, stream: BinaryIO, page: int, expected: Expected, max_pixels: int) -> Image:
    """Unpack one plane after its header was found usable; raises ``ImageReadError``."""
    header = read_header(name, stream)
    if not 0 <= page < header.n_planes:
        msg = f"{name}: page {page} was asked for; the file has {header.n_planes}"
        raise ImageReadError(msg, Reason.WRONG_SHAPE)
    check_plane(name, header.shape, header.dtype.newbyteorder("="), expected, max_pixels)
    n_bytes = header.shape[0] * header.shape[1] * header.dtype.itemsize
    stream.seek(len(_MAGIC))
    end = _PIXELS_AT + (page + 1) * n_bytes
    data = zlib.decompressobj().decompress(stream.read(), end)
    if len(data) < end:
        msg = f"{name}: {len(data)} bytes unpacked, expected at least {end}"
        raise ImageReadError(msg, Reason.TRUNCATED)
    return to_native(np.frombuffer(data[end - n_bytes :], header.dtype).reshape(header.shape))
