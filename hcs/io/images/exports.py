"""Reads PNG and JPEG images, which microscopes and viewers export: header first, then pixels."""

from __future__ import annotations

import struct
from typing import Any, BinaryIO, Final

import imagecodecs
import numpy as np

from hcs.domain.columns import Reason
from hcs.errors import ImageReadError
from hcs.io.images.checks import Expected, Image, Shape, check_plane, to_native

HEAD_BYTES: Final = 33
"""Bytes that tell what a file is and, of a PNG, all that its header says."""

_PNG_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_PNG_GRAY: Final = 0
_PNG_KINDS: Final = {2: "RGB", 3: "palette", 4: "gray with alpha", 6: "RGB with alpha"}

_JPEG_SIGNATURE: Final = b"\xff\xd8\xff"
_JPEG_END: Final = b"\xff\xd9"
_FRAMES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""Markers of a JPEG's frame header, which holds its size (ITU-T T.81, table B.1)."""

_BARE: Final = frozenset({0x01, *range(0xD0, 0xD8)})
"""Markers without a length."""


def is_export(head: bytes) -> bool:
    """Whether a file that begins so is a PNG or JPEG image."""
    return head.startswith((_PNG_SIGNATURE, _JPEG_SIGNATURE))


def is_lossy(head: bytes) -> bool:
    """Whether a file that begins so holds intensities that compression has changed."""
    return head.startswith(_JPEG_SIGNATURE)


def read_header(name: str, stream: BinaryIO) -> tuple[Shape, np.dtype[Any]]:
    """Shape ``(Y, X)`` and pixel type of a PNG or JPEG; raises ``ImageReadError``."""
    stream.seek(0)
    head = stream.read(HEAD_BYTES)
    if head.startswith(_PNG_SIGNATURE):
        return _png_header(name, head)
    height, width, _ = read_jpeg_frame(name, stream)
    return (height, width), np.dtype("uint8")


def read_export(
    name: str, stream: BinaryIO, page: int, expected: Expected, max_pixels: int
) -> Image:
    """Decode a PNG or JPEG after its header was found usable; raises ``ImageReadError``."""
    if page != 0:
        msg = f"{name}: page {page} was asked for; a PNG or JPEG has one page"
        raise ImageReadError(msg, Reason.WRONG_SHAPE)
    shape, dtype = read_header(name, stream)
    check_plane(name, shape, dtype, expected, max_pixels)
    stream.seek(0)
    data = stream.read()
    if data.startswith(_PNG_SIGNATURE):
        if not data.rstrip(b"\0").endswith(b"IEND\xaeB`\x82"):
            raise ImageReadError(f"{name}: the PNG ends before its end mark", Reason.TRUNCATED)
        return to_native(imagecodecs.png_decode(data).reshape(shape))
    if not data.rstrip(b"\0\r\n").endswith(_JPEG_END):
        raise ImageReadError(f"{name}: the JPEG ends before its end mark", Reason.TRUNCATED)
    image = imagecodecs.jpeg8_decode(data)
    if image.ndim == len(shape):
        return to_native(image.reshape(shape))
    if image.shape[:2] != shape or (image != image[..., :1]).any():
        msg = f"{name}: color JPEG, expected gray (or three samples that are the same)"
        raise ImageReadError(msg, Reason.WRONG_TYPE)
    return to_native(image[..., 0])


def read_jpeg_frame(name: str, stream: BinaryIO) -> tuple[int, int, int]:
    """Find height, width and number of samples a pixel in a JPEG's frame header.

    Raises
    ------
    ImageReadError
        When there is none, or it is of more than 8 bits or of 2 or 4 samples.
    """
    stream.seek(len(_JPEG_END))
    while len(mark := stream.read(2)) == len(_JPEG_END) and mark[0] == 0xFF:
        if mark[1] == 0xFF:  # a byte that fills up
            stream.seek(-1, 1)
            continue
        if mark[1] in _BARE:
            continue
        length = int.from_bytes(stream.read(2), "big")
        if mark[1] in _FRAMES:
            frame = stream.read(6)
            if len(frame) < 6:
                break
            bits, height, width, samples = struct.unpack(">BHHB", frame)
            if bits != 8 or samples not in {1, 3}:
                msg = f"{name}: JPEG of {bits} bits and {samples} samples, expected 8-bit gray"
                raise ImageReadError(msg, Reason.WRONG_TYPE)
            return height, width, samples
        stream.seek(max(length - 2, 0), 1)
    raise ImageReadError(f"{name}: a JPEG without a frame header", Reason.TRUNCATED)


def _png_header(name: str, head: bytes) -> tuple[Shape, np.dtype[Any]]:
    """Shape and type from the first 33 bytes of a PNG."""
    if len(head) < HEAD_BYTES:
        raise ImageReadError(f"{name}: {len(head)} bytes of a PNG header", Reason.TRUNCATED)
    width, height, bits, kind = struct.unpack(">IIBB", head[16:26])
    if kind != _PNG_GRAY or bits not in {8, 16}:
        found = f"{bits}-bit {_PNG_KINDS.get(kind, 'gray')}"
        msg = f"{name}: {found} PNG, expected 8-bit or 16-bit gray"
        raise ImageReadError(msg, Reason.WRONG_TYPE)
    return (height, width), np.dtype(f"uint{bits}")
