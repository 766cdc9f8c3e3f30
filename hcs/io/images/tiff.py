"""Reads one plane of an image file, or says in one error why it cannot be used.

tifffile reads TIFF and imagecodecs PNG and JPEG. What is added here is caution: tifffile fills
strips that a file lacks with zeros, and would allocate whatever a header claims. A screen must hear
of both.
"""

from __future__ import annotations

import dataclasses
import io
import logging
import math
import os
import struct
import zlib
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, BinaryIO, Final, NoReturn

import numpy as np
import numpy.typing as npt
import tifffile

from hcs.domain import limits
from hcs.domain.columns import Reason
from hcs.errors import ImageReadError
from hcs.io.files.edge import open_regular
from hcs.io.files.paths import AnyPath, as_path, local_path
from hcs.io.images import c01, exports
from hcs.io.images.checks import Expected, Image, Shape, check_plane, to_native
from hcs.io.images.tiff_header import (
    PLAUSIBLE_PIXEL_UM,
    PagePosition,
    PlaneInfo,
    count_planes,
    describe_page,
    find_page,
    is_cut,
    planes_of,
)

MAX_PIXELS: Final = limits.IMAGE_PIXELS.most
"""Largest plane read by default, in pixels."""

_LOSSLESS_CODECS: Final = (1, 5, 8, 32946, 32773, 50000)
"""None, LZW, Deflate (both numbers), PackBits, Zstandard: their output is bounded by the header."""

_JPEG_CODECS: Final = (7, 33007)
"""JPEG by its two numbers: lossy, and its output is checked against the header of each strip."""

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
    expected: Expected = None,
    max_pixels: int = MAX_PIXELS,
    unread: list[str] | None = None,
) -> Image:
    """Read one plane exactly as acquired.

    Parameters
    ----------
    path
        TIFF, PNG or JPEG file, told apart by content; local, or any address that fsspec knows.
    page
        0-based page of a TIFF, as its header's ``pages`` have it; others have one.
    expected
        Shape ``(Y, X)`` and pixel type that the plane must have.
    max_pixels
        Planes that claim to be larger are refused before any memory is taken for them.
    unread
        Given for a file that stands for one plane: one that holds more is refused. Pages of
        another size cannot be meant: a sentence about them is added to the list.

    Returns
    -------
    numpy.ndarray
        ``(Y, X)``, uint8, uint16 or float32, in native byte order.

    Raises
    ------
    ImageReadError
        With a reason of :class:`hcs.domain.columns.Reason`: ``unreadable`` (absent, no image,
        damaged, too large), ``truncated`` (bytes are missing), ``wrong-type`` (color, 32-bit
        integers, other compression …), ``wrong-shape``, or ``unread-pages`` (there are more). An
        empty file is truncated.
    """
    name = str(path)
    with _as_read_errors(name), _open_file(path) as stream:
        head = stream.read(exports.HEAD_BYTES)
        if not head:
            raise ImageReadError(f"{name}: empty file, expected an image", Reason.TRUNCATED)
        if exports.is_export(head):
            return exports.read_export(name, stream, page, expected, max_pixels)
        if c01.is_c01(head):
            if unread is not None and (count := c01.read_header(name, stream).n_planes) > 1:
                _refuse_pages(name, count)
            return c01.read_c01(name, stream, page, expected, max_pixels)
        stream.seek(0)
        with tifffile.TiffFile(stream, name=name, _multifile=False) as tif:
            if unread is not None:
                _refuse_more(name, tif, unread)
            return _read_one(name, tif, page, stream, expected, max_pixels)


class KeptOpen:
    """Keeps the last file open between planes: tifffile walks all pages before the one it finds.

    Of a file of 2,000 planes reading each from the start takes a thousand times as long.
    """

    def __init__(self) -> None:
        self._name = ""
        self._tif: tuple[tifffile.TiffFile, BinaryIO] | None = None
        self._files = ExitStack()

    def read_plane(self, path: AnyPath, page: int, *, expected: Expected = None) -> Image:
        """Read one of several planes of a file, as :func:`read_plane` does."""
        name = str(path)
        if name != self._name:
            self._open(path, name)
        if self._tif is None:
            return read_plane(path, page, expected=expected)
        tif, stream = self._tif
        with _as_read_errors(name):
            return _read_one(name, tif, page, stream, expected, MAX_PIXELS)

    def _open(self, path: AnyPath, name: str) -> None:
        self.close()
        self._name = name
        with _as_read_errors(name):
            stream = self._files.enter_context(_open_file(path))
            if stream.read(2) in _BYTE_ORDERS:
                stream.seek(0)
                tif = tifffile.TiffFile(stream, name=name, _multifile=False)
                self._tif = self._files.enter_context(tif), stream

    def close(self) -> None:
        """Close the file."""
        self._name, self._tif = "", None
        self._files.close()


_BYTE_ORDERS: Final = (b"II", b"MM")


def _read_one(
    name: str,
    tif: tifffile.TiffFile,
    page: int,
    stream: BinaryIO,
    expected: Expected,
    max_pixels: int,
) -> Image:
    """Read one plane of an open file."""
    size_bytes = stream.seek(0, os.SEEK_END)
    is_single = page == 0 or len(tif.pages) == 1
    first = find_page(tif, 0 if is_single else page, name)
    check_plane(name, *describe_page(first, name), expected, max_pixels)
    if page > 0 and is_single:
        return _read_behind(name, tif, page, stream, size_bytes)
    return _read_page(name, first, size_bytes)


def _refuse_more(name: str, tif: tifffile.TiffFile, unread: list[str]) -> None:
    """Refuse a file that holds more than the one plane which it stands for."""
    count, n_others = count_planes(tif)
    if count > 1:
        _refuse_pages(name, count)
    if n_others:
        unread.append(f"{n_others} more pages, of another image or size, are not read")
    if is_cut(tif):
        unread.append("its directory points at a page beyond its end: pages may be lost")


def _refuse_pages(name: str, count: int) -> NoReturn:
    msg = (
        f"{name}: {count} pages in a file that was taken for one plane, as others of its "
        "channel are; say what they are with --pages z, --pages t or --pages channel, which "
        "has the headers of all files read"
    )
    raise ImageReadError(msg, Reason.UNREAD_PAGES)


def probe(path: AnyPath) -> PlaneInfo:
    """Read what the header of an image file says, without reading pixels.

    Parameters
    ----------
    path
        TIFF, PNG or JPEG file; local, or any address that fsspec knows.

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
        head = stream.read(exports.HEAD_BYTES)
        if not head:
            raise ImageReadError(f"{name}: empty file, expected an image", Reason.TRUNCATED)
        if exports.is_export(head):
            shape, dtype = exports.read_header(name, stream)
            return PlaneInfo(shape=shape, dtype=dtype, is_lossy=exports.is_lossy(head))
        if c01.is_c01(head):
            return _describe_c01(c01.read_header(name, stream))
        stream.seek(0)
        with tifffile.TiffFile(stream, name=name, _multifile=False) as tif:
            page = find_page(tif, 0, name)
            shape, dtype = describe_page(page, name)
            info = planes_of(tif, shape, dtype)
            return dataclasses.replace(info, is_lossy=page.compression in _JPEG_CODECS)


def _describe_c01(header: c01.C01Header) -> PlaneInfo:
    """Describe a C01; its pixels a meter are what bitmaps state for printers, unless plausible."""
    size_um = header.pixel_um
    low, high = PLAUSIBLE_PIXEL_UM
    return PlaneInfo(
        shape=header.shape,
        dtype=header.dtype,
        n_planes=header.n_planes,
        pages=tuple(range(header.n_planes)),
        pixel_size_um=size_um if size_um is not None and low <= size_um <= high else None,
        positions=tuple(PagePosition(z_index=z) for z in range(header.n_planes)),
    )


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
        msg = f"{name}: not a whole TIFF, PNG or JPEG image: {found}"
        raise ImageReadError(msg, reason) from error


@contextmanager
def _open_file(path: AnyPath) -> Iterator[BinaryIO]:
    """Open a local file, or an address such as ``s3://…``, for reading bytes."""
    local = local_path(path)
    with open_regular(local, "image") if local else as_path(path).open("rb") as stream:
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
    return to_native(np.frombuffer(stream.read(n_bytes), stored).reshape(shape))


def _read_page(name: str, page: tifffile.TiffPage, size_bytes: int) -> Image:
    """Decode a page whose header was found usable."""
    shape, dtype = describe_page(page, name)
    if page.compression not in {*_LOSSLESS_CODECS, *_JPEG_CODECS}:
        codec = tifffile.COMPRESSION(page.compression).name
        known = "none, LZW, Deflate, PackBits, Zstandard or JPEG"
        msg = f"{name}: compression {codec}, expected {known}"
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
    if page.compression in _JPEG_CODECS:
        _check_strips(name, page, segments)
    if page.is_contiguous:
        return to_native(page.asarray(maxworkers=1).reshape(shape))
    return to_native(_assemble(name, page, shape, dtype))


def _check_strips(name: str, page: tifffile.TiffPage, segments: Iterable[tuple[int, int]]) -> None:
    """Refuse JPEG strips that claim more than their part of the image, before decoding them."""
    *_, height, width, _ = page.chunks if len(page.chunks) > 2 else (*page.chunks, 1)
    for offset, count in segments:
        page.parent.filehandle.seek(offset)
        strip = io.BytesIO(page.parent.filehandle.read(count))
        rows, columns, samples = exports.read_jpeg_frame(name, strip)
        if rows > height or columns > width or samples != 1:
            found = f"{rows} × {columns} pixels of {samples} samples"
            msg = f"{name}: a strip of {height} × {width} pixels holds a JPEG of {found}"
            raise ImageReadError(msg, Reason.UNREADABLE)


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
