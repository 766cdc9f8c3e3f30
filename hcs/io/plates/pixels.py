"""Pixels read: none that is lost comes as zeros, and none that changed on the disk comes at all.

Zarr reads a file that is not there as zeros without a word. Chunks that hcs writes carry checksums,
which zarr-python compares as it reads.
"""

from __future__ import annotations

import itertools
import math
import stat
import warnings
from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from upath import UPath

from hcs.domain import columns as col
from hcs.errors import ImageReadError
from hcs.io.files.edge import FETCH_AGAIN, describe_error
from hcs.io.files.paths import AnyPath, as_path
from hcs.io.plates.stamps import DAMAGE

INGEST: Final = "hcs ingest of the same source"


def read_pixels(
    root: str,
    array: Any,  # noqa: ANN401 (zarr's)
    index: Sequence[Any],
    made_by: str | None,
    *,
    may_be_blank: bool = False,
) -> NDArray[Any]:
    """Read a part of an array of a plate, if all of it is there and as it was written.

    Parameters
    ----------
    root
        The plate.
    array
        A Zarr array of it.
    index
        What is read of it: a whole axis, or one place along it.
    made_by
        The command of hcs that wrote the array, every file of it; None for other programs, which
        may leave out files of zeros.
    may_be_blank
        Whether not one file of theirs may be there.

    Raises
    ------
    ImageReadError
        Naming the file, and what to do.
    """
    if made_by is not None:
        refuse_lost(root, array, index, made_by)
    elif not may_be_blank:
        refuse_blank(root, array, index)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return np.asarray(array[tuple(index)])
    except (KeyError, *DAMAGE) as error:
        raise _name_damage(root, array, index, made_by, error) from error


class KeptBlock:
    """Reads planes of arrays whose chunks span several, and keeps those that were decoded with one.

    Other programs write chunks of a whole stack: each of its planes would decode all of it again.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._path = ""
        self._spans: tuple[slice, ...] = ()
        self._pixels: NDArray[Any] | None = None

    def read(
        self,
        root: str,
        array: Any,  # noqa: ANN401
        index: Sequence[Any],
        made_by: str | None,
        *,
        may_be_blank: bool = False,
    ) -> NDArray[Any]:
        """Read one plane as :func:`read_pixels` does; the next ones of its chunks come with it."""
        if self._pixels is None or self._path != array.path or not self._holds(index):
            self._pixels = None  # first, so that never two are in memory
            spans = _span_chunks(array, index, self._max_bytes)
            if all(
                isinstance(at, slice) or span.stop == at + 1
                for at, span in zip(index, spans, strict=True)
            ):
                return read_pixels(root, array, index, made_by, may_be_blank=may_be_blank)
            try:
                self._pixels = read_pixels(root, array, spans, made_by, may_be_blank=may_be_blank)
            except ImageReadError:  # the plane itself may be whole
                return read_pixels(root, array, index, made_by, may_be_blank=may_be_blank)
            self._path, self._spans = array.path, spans
        own = tuple(
            at if isinstance(at, slice) else at - span.start
            for at, span in zip(index, self._spans, strict=True)
        )
        return np.array(self._pixels[own])

    def _holds(self, index: Sequence[Any]) -> bool:
        return len(index) == len(self._spans) and all(
            isinstance(at, slice) or span.start <= at < span.stop
            for at, span in zip(index, self._spans, strict=True)
        )

    def clear(self) -> None:
        """Forget what was read."""
        self._path, self._spans, self._pixels = "", (), None


def _span_chunks(array: Any, index: Sequence[Any], max_bytes: int) -> tuple[slice, ...]:  # noqa: ANN401
    """Extend a plane to the others of its chunks, those that come after it and fit into memory."""
    sizes = zip(index, array.shape, array.chunks, strict=True)
    n_bytes = array.dtype.itemsize * math.prod(n for at, n, _ in sizes if isinstance(at, slice))
    spans = []
    for at, n, edge in zip(
        reversed(index), reversed(array.shape), reversed(array.chunks), strict=True
    ):
        if isinstance(at, slice):
            spans.append(slice(0, n))
            continue
        most = max(1, max_bytes // max(1, n_bytes))
        stop = min(n, (at // edge + 1) * edge, at + most)
        n_bytes *= stop - at
        spans.append(slice(at, stop))
    return tuple(reversed(spans))


def _name_damage(
    root: str,
    array: Any,  # noqa: ANN401
    index: Sequence[Any],
    made_by: str | None,
    error: Exception,
) -> ImageReadError:
    """Say which file of what was read is damaged, and what to do."""
    files = list(itertools.islice(_list_files(root, array, index), 2))
    name = files[0] if len(files) == 1 else as_path(root) / str(array.path)
    return name_damage(name, error, made_by)


def name_damage(file: AnyPath, error: Exception, made_by: str | None) -> ImageReadError:
    """Say that a file of pixels is damaged, and what to do.

    Parameters
    ----------
    file
        The file.
    error
        What was raised as it was read.
    made_by
        The command that writes it; None where that is another program's.
    """
    reason, why = col.Reason.UNREADABLE, describe_error(error)
    if "checksum" in why.lower():  # zarr-python shows the four bytes of both
        reason, why = col.Reason.CHECKSUM, "its bytes are not those that were written"
    # A file of the right length counts as written, so it has to go before it is written again.
    again = f"remove it and run {made_by}, which writes it again" if made_by else FETCH_AGAIN
    return ImageReadError(f"{file} is damaged ({why}): {again}", reason)


def refuse_lost(root: str, array: Any, index: Sequence[Any], made_by: str = INGEST) -> None:  # noqa: ANN401
    """Refuse pixels of which a file is lost: Zarr reads it as zeros without a word.

    hcs writes every file, also one of zeros; other programs may leave those out.

    Parameters
    ----------
    root, array, index, made_by
        As of :func:`read_pixels`.

    Raises
    ------
    ImageReadError
        Naming the file.
    """
    for file in _list_files(root, array, index):
        if not has_content(file):
            msg = f"{file} is lost; {made_by} writes it again"
            raise ImageReadError(msg, col.Reason.MISSING_FILE)


def refuse_blank(root: str, array: Any, index: Sequence[Any]) -> None:  # noqa: ANN401 (zarr's)
    """Refuse pixels of another program's plate of which not one file is there.

    Such programs may leave out chunks of zeros. Of a plane without any nobody can tell whether it
    is blank or lost, and its zeros would be measured.

    Raises
    ------
    ImageReadError
        With what to do.
    """
    if not any(has_content(file) for file in _list_files(root, array, index)):
        msg = (
            f"{as_path(root) / str(array.path)}: not one file of these pixels is there, so they "
            "are blank or lost; hcs ingest to a new path keeps them as they read and says so"
        )
        raise ImageReadError(msg, col.Reason.MISSING_FILE)


def _list_files(root: str, array: Any, index: Sequence[Any]) -> Iterator[UPath]:  # noqa: ANN401
    """Yield the files that hold pixels of an array."""
    edges = array.shards or array.chunks
    counts = [-(-n // edge) for n, edge in zip(array.shape, edges, strict=True)]
    wanted = [
        range(count) if isinstance(at, slice) else (at // edge,)
        for at, count, edge in zip(index, counts, edges, strict=True)
    ]
    folder = as_path(root) / str(array.path)
    for place in itertools.product(*wanted):
        yield folder / array.metadata.encode_chunk_key(place)


def has_content(file: AnyPath) -> bool:
    """Whether a file is there and is not empty; a folder in its place is none."""
    try:
        found = as_path(file).stat()
    except (OSError, ValueError):
        return False
    return stat.S_ISREG(found.st_mode) and found.st_size > 0
