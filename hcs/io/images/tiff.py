"""Reads one plane of an image file, or says in one error why it cannot be used.

tifffile reads TIFF and imagecodecs PNG. What is added here is caution: tifffile fills strips that
a file lacks with zeros, and would allocate whatever a header claims. A screen must hear of both.
"""

from __future__ import annotations

import logging
import math
import os
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, Final

import imagecodecs
import numpy as np
import numpy.typing as npt
import tifffile

from hcs.domain.columns import Reason
from hcs.errors import ImageReadError
from hcs.io.files.paths import AnyPath, as_path, local_path
from hcs.io.images.tiff_header import (
    PlaneInfo,
    count_planes,
    describe_page,
    find_page,
    planes_of,
)

Image = npt.NDArray[np.uint8] | npt.NDArray[np.uint16] | npt.NDArray[np.float32]
Shape = tuple[int, int]

MAX_PIXELS: Final = 2**27
"""Largest plane read by default, in pixels: 11,585 × 11,585, more than any camera has."""

_READABLE_TYPES: Final = ("uint8", "uint16", "float32")

_LOSSLESS_CODECS: Final = (1, 5, 8, 32946, 32773, 50000)
"""None, LZW, Deflate (both numbers), PackBits, Zstandard: their output is bounded by the header."""

_PNG_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_PNG_HEADER_BYTES: Final = 33
_PNG_GRAY: Final = 0
_PNG_KINDS: Final = {2: "RGB", 3: "palette", 4: "gray with alpha", 6: "RGB with alpha"}

_CORRUPT: Final = (
    ArithmeticError,
    LookupError,
    MemoryError,
    NotImplementedError,
    OSError,
    RuntimeError,  # imagecodecs' own errors derive from it
    TypeError,
    ValueError,
    struct.error,
    tifffile.TiffFileError,
    zlib.error,
)
"""Everything that the two libraries were seen to raise on damaged bytes."""

_WORDS_FOR_TOO_SHORT: Final = (
    "failed to read",
    "truncated",
    "unpack requires",
    "corrupted IFD structure",  # the directory lies beyond the end of the file
    "cannot be reshaped",  # a strip decoded to fewer rows than it must hold
)
"""How tifffile words its errors when bytes are missing; it has no class of its own for that."""

# tifffile reports oddities of a file through its logger and goes on. Whatever makes a plane
# unusable becomes an ImageReadError here; the rest would only scribble over progress bars.
_tifffile_logger = logging.getLogger("tifffile")
_tifffile_logger.addHandler(logging.NullHandler())
_tifffile_logger.propagate = False


def read_plane(
    path: AnyPath,
    page: int = 0,
    *,
    expected: tuple[Shape, npt.DTypeLike] | None = None,
    max_pixels: int = MAX_PIXELS,
    unread: list[int] | None = None,
) -> Image:
    """Read one plane exactly as acquired.

    Parameters
    ----------
    path
        TIFF or PNG file, told apart by content; local, or any address that fsspec knows.
    page
        0-based page of a TIFF, as its header's ``pages`` have it; a PNG has one.
    expected
        Shape ``(Y, X)`` and pixel type that the plane must have.
    max_pixels
        Planes that claim to be larger are refused before any memory is taken for them.
    unread
        Given for a file that stands for one plane: one that holds more is refused. Pages of
        another size cannot be meant; their number is added to the list.

    Returns
    -------
    numpy.ndarray
        ``(Y, X)``, uint8, uint16 or float32, in native byte order.

    Raises
    ------
    ImageReadError
        With a reason of :class:`hcs.domain.columns.Reason`: ``unreadable`` (absent, no image,
        damaged, too large), ``truncated`` (bytes are missing), ``wrong-type`` (color, 32-bit
        integers, lossy compression …), ``wrong-shape``, or ``unread-pages`` (there are more). An
        empty file is truncated.
    """
    name = str(path)
    with _as_read_errors(name), _open_file(path) as stream:
        size_bytes = stream.seek(0, os.SEEK_END)
        stream.seek(0)
        if size_bytes == 0:
            raise ImageReadError(f"{name}: empty file, expected an image", Reason.TRUNCATED)
        if stream.read(len(_PNG_SIGNATURE)) == _PNG_SIGNATURE:
            return _read_png(name, stream, page, expected, max_pixels)
        stream.seek(0)
        with tifffile.TiffFile(stream, name=name, _multifile=False) as tif:
            if unread is not None:
                _refuse_more(name, tif, unread)
            first = find_page(tif, 0 if len(tif.pages) == 1 else page, name)
            _check(name, *describe_page(first, name), expected, max_pixels)
            if page > 0 and len(tif.pages) == 1:
                return _read_behind(name, tif, page, stream, size_bytes)
            return _read_page(name, first, size_bytes)


def _refuse_more(name: str, tif: tifffile.TiffFile, unread: list[int]) -> None:
    """Refuse a file that holds more than the one plane which it stands for."""
    count, n_others = count_planes(tif)
    if count > 1:
        msg = (
            f"{name}: {count} pages in a file that was taken for one plane, as others of its "
            "channel are; say what they are with --pages z, --pages t or --pages channel, which "
            "has the headers of all files read"
        )
        raise ImageReadError(msg, Reason.UNREAD_PAGES)
    if n_others:
        unread.append(n_others)


def probe(path: AnyPath) -> PlaneInfo:
    """Read what the header of an image file says, without reading pixels.

    Parameters
    ----------
    path
        TIFF or PNG file; local, or any address that fsspec knows.

    Returns
    -------
    PlaneInfo
        Shape, type, number of pages, what each page is, and the pixel size where the file states
        one that can be trusted.

    Raises
    ------
    ImageReadError
        As :func:`read_plane`, for what can be seen without the pixels.
    """
    name = str(path)
    with _as_read_errors(name), _open_file(path) as stream:
        head = stream.read(_PNG_HEADER_BYTES)
        if not head:
            raise ImageReadError(f"{name}: empty file, expected an image", Reason.TRUNCATED)
        if head.startswith(_PNG_SIGNATURE):
            shape, dtype = _png_header(name, head)
            return PlaneInfo(shape=shape, dtype=dtype)
        stream.seek(0)
        with tifffile.TiffFile(stream, name=name, _multifile=False) as tif:
            page = find_page(tif, 0, name)
            shape, dtype = describe_page(page, name)
            return planes_of(tif, shape, dtype)


def ome_xml(path: AnyPath) -> str:
    """Return the OME-XML of a TIFF file, empty when it has none.

    Raises
    ------
    ImageReadError
        When the file is absent, damaged or no TIFF.
    """
    name = str(path)
    with (
        _as_read_errors(name),
        _open_file(path) as stream,
        tifffile.TiffFile(stream, name=name, _multifile=False) as tif,
    ):
        find_page(tif, 0, name)
        return (tif.ome_metadata or "") if tif.is_ome else ""


@contextmanager
def _as_read_errors(name: str) -> Iterator[None]:
    """Turn whatever the libraries raise on damaged bytes into one error with a reason."""
    try:
        # Damaged headers overflow; NumPy's error state is of this thread alone, while
        # warnings.catch_warnings would change the filters of all threads of a worker.
        with np.errstate(all="ignore"):
            yield
    except ImageReadError:
        raise
    except FileNotFoundError as error:
        msg = f"{name}: no such file, expected an image"
        raise ImageReadError(msg, Reason.UNREADABLE) from error
    except _CORRUPT as error:
        found = " ".join(str(error).split())[:200] or type(error).__name__
        short = any(words in found for words in _WORDS_FOR_TOO_SHORT)
        reason = Reason.TRUNCATED if short else Reason.UNREADABLE
        msg = f"{name}: not a whole TIFF or PNG image: {found}"
        raise ImageReadError(msg, reason) from error


@contextmanager
def _open_file(path: AnyPath) -> Iterator[BinaryIO]:
    """Open a local file, or an address such as ``s3://…``, for reading bytes."""
    local = local_path(path)
    with open(local, "rb") if local else as_path(path).open("rb") as stream:  # noqa: PTH123
        yield stream


def _read_behind(
    name: str, tif: tifffile.TiffFile, number: int, stream: BinaryIO, size_bytes: int
) -> Image:
    """Read a plane that lies behind the first, of a file with one directory for all."""
    page = tif.pages.first
    count, _ = count_planes(tif)
    if number >= count:
        msg = f"{name}: plane {number} was asked for; the file has {count}"
        raise ImageReadError(msg, Reason.WRONG_SHAPE)
    shape, dtype = describe_page(page, name)
    if not page.is_contiguous:
        msg = f"{name}: {count} planes in one directory, and they do not lie behind one another"
        raise ImageReadError(msg, Reason.UNREADABLE)
    n_bytes = math.prod(shape) * dtype.itemsize
    start = page.dataoffsets[0] + number * n_bytes
    if start + n_bytes > size_bytes:
        msg = f"{name}: {size_bytes} bytes, expected at least {start + n_bytes}"
        raise ImageReadError(msg, Reason.TRUNCATED)
    stream.seek(start)
    stored = dtype.newbyteorder(tif.byteorder)
    return _to_native(np.frombuffer(stream.read(n_bytes), stored).reshape(shape))


def _read_page(name: str, page: tifffile.TiffPage, size_bytes: int) -> Image:
    """Decode a page whose header was found usable."""
    shape, dtype = describe_page(page, name)
    if page.compression not in _LOSSLESS_CODECS:
        codec = tifffile.COMPRESSION(page.compression).name
        msg = f"{name}: compression {codec}, expected none, LZW, Deflate, PackBits or Zstandard"
        raise ImageReadError(msg, Reason.WRONG_TYPE)
    segments = list(zip(page.dataoffsets, page.databytecounts, strict=True))
    n_expected = math.prod(page.chunked)
    n_there = sum(count > 0 for _, count in segments[:n_expected])
    if n_there < n_expected:
        msg = f"{name}: {n_there} of {n_expected} strips are there"
        raise ImageReadError(msg, Reason.TRUNCATED)
    last_byte = max(offset + count for offset, count in segments)
    if last_byte > size_bytes:
        msg = f"{name}: {size_bytes} bytes, expected at least {last_byte}"
        raise ImageReadError(msg, Reason.TRUNCATED)
    if page.is_contiguous:
        return _to_native(page.asarray(maxworkers=1).reshape(shape))
    return _to_native(_assemble(name, page, shape, dtype))


def _assemble(
    name: str, page: tifffile.TiffPage, shape: Shape, dtype: np.dtype[Any]
) -> npt.NDArray[Any]:
    """Put decoded strips or tiles together, refusing absent and short ones."""
    image = np.empty(shape, dtype)
    for segment, (_, _, y, x, _), (_, height, width, _) in page.segments(
        maxworkers=1, _fullsize=False
    ):
        inside = (min(height, shape[0] - y), min(width, shape[1] - x))
        if segment is None or segment.shape[1] < inside[0] or segment.shape[2] < inside[1]:
            got = 0 if segment is None else segment.shape[1]
            msg = f"{name}: strip at row {y} holds {got} rows, expected {inside[0]}"
            raise ImageReadError(msg, Reason.TRUNCATED)
        image[y : y + inside[0], x : x + inside[1]] = segment[0, : inside[0], : inside[1], 0]
    return image


def _read_png(
    name: str,
    stream: BinaryIO,
    page: int,
    expected: tuple[Shape, npt.DTypeLike] | None,
    max_pixels: int,
) -> Image:
    """Decode a PNG after its header was found usable."""
    if page != 0:
        msg = f"{name}: page {page} was asked for; a PNG has one page"
        raise ImageReadError(msg, Reason.WRONG_SHAPE)
    stream.seek(0)
    data = stream.read()
    shape, dtype = _png_header(name, data[:_PNG_HEADER_BYTES])
    _check(name, shape, dtype, expected, max_pixels)
    if not data.rstrip(b"\0").endswith(b"IEND\xaeB`\x82"):
        raise ImageReadError(f"{name}: the PNG ends before its end mark", Reason.TRUNCATED)
    return _to_native(imagecodecs.png_decode(data).reshape(shape))


def _png_header(name: str, head: bytes) -> tuple[Shape, np.dtype[Any]]:
    """Shape and type from the first 33 bytes of a PNG."""
    if len(head) < _PNG_HEADER_BYTES:
        raise ImageReadError(f"{name}: {len(head)} bytes of a PNG header", Reason.TRUNCATED)
    width, height, bits, kind = struct.unpack(">IIBB", head[16:26])
    if kind != _PNG_GRAY or bits not in {8, 16}:
        found = f"{bits}-bit {_PNG_KINDS.get(kind, 'gray')}"
        msg = f"{name}: {found} PNG, expected 8-bit or 16-bit gray"
        raise ImageReadError(msg, Reason.WRONG_TYPE)
    return (height, width), np.dtype(f"uint{bits}")


def _check(
    name: str,
    shape: Shape,
    dtype: np.dtype[Any],
    expected: tuple[Shape, npt.DTypeLike] | None,
    max_pixels: int,
) -> None:
    """Refuse, before any memory is taken, what is too large or not what was expected."""
    height, width = shape
    if height * width == 0:
        raise ImageReadError(f"{name}: an image of {height} × {width} pixels", Reason.UNREADABLE)
    if height * width > max_pixels:
        msg = f"{name}: claims {height} × {width} pixels, more than {max_pixels} in all"
        raise ImageReadError(msg, Reason.UNREADABLE)
    if dtype.name not in _READABLE_TYPES:
        msg = f"{name}: pixels are {dtype.name}, expected one of {', '.join(_READABLE_TYPES)}"
        raise ImageReadError(msg, Reason.WRONG_TYPE)
    if expected is None:
        return
    expected_type = np.dtype(expected[1])
    if dtype != expected_type:
        msg = f"{name}: pixels are {dtype.name}, expected {expected_type.name}"
        raise ImageReadError(msg, Reason.WRONG_TYPE)
    if shape != tuple(expected[0]):
        wanted = " × ".join(str(length) for length in expected[0])
        msg = f"{name}: image is {height} × {width} pixels, expected {wanted}"
        raise ImageReadError(msg, Reason.WRONG_SHAPE)


def _to_native(image: npt.NDArray[Any]) -> Image:
    """Native byte order and own memory, so that the file's buffer can go."""
    native: Image = np.ascontiguousarray(image, dtype=image.dtype.newbyteorder("="))
    return native
