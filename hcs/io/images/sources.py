"""Where the planes of a plate come from: image files, containers, or an OME-Zarr plate."""

from __future__ import annotations

import bisect
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt
from upath import UPath

from hcs.domain.columns import Reason
from hcs.domain.plate import Plane
from hcs.errors import ImageReadError, InputError
from hcs.io.containers import opening
from hcs.io.containers.model import Container, Position, first_pages
from hcs.io.files.paths import as_path, local_path
from hcs.io.images import tiff
from hcs.io.images.checks import check_plane, to_native
from hcs.io.plates.pixels import KeptBlock
from hcs.io.plates.reader import PlateReader
from hcs.io.plates.stamps import stamp_field
from hcs.io.runs.fingerprints import file_stamp

OME_ZARR: Final = "omezarr"
"""Name of the layout whose planes lie in Zarr arrays."""

CONTAINER: Final = "container"
"""Name of the layout whose planes lie in containers of microscope makers."""

KEPT_BYTES: Final = 64 * 1024**2
"""Most bytes of planes of an OME-Zarr source that are kept, as they were decoded with another."""

_ABSENT: Final = "absent"
_CONTAINER_TYPES: Final = ("uint8", "uint16", "float32")


@dataclass(frozen=True, slots=True)
class Header:
    """What is known of a plane before its pixels are read."""

    shape: tuple[int, int]
    dtype: str
    pixel_size_um: float | None


class Source(Protocol):
    """Reads the planes that a layout found."""

    def header(self, plane: Plane) -> Header:
        """Shape ``(Y, X)``, pixel type and pixel size; raises ``ImageReadError``."""

    def read(
        self, plane: Plane, shape: tuple[int, int], dtype: str, remarks: list[str] | None = None
    ) -> npt.NDArray[Any]:
        """Pixels ``(Y, X)``, which must have this shape and type; raises ``ImageReadError``.

        ``remarks`` grows by what of the plane's file is not read.
        """

    def stamp(self, plane: Plane) -> str:
        """Fingerprint that changes when the pixels may have changed."""

    def close(self) -> None:
        """Close what reading left open."""


def open_source(root: str, layout: str) -> Source:
    """Open a source folder, or a plate when the layout is that of OME-Zarr."""
    if layout == CONTAINER:
        return ContainerFiles(root)
    if layout == OME_ZARR:
        return ZarrFields(PlateReader(root, is_source=True, kept=KeptBlock(KEPT_BYTES)))
    return ImageFiles(root)


@dataclass(frozen=True)
class ImageFiles:
    """TIFF and PNG files below a folder."""

    root: str
    _kept: tiff.KeptOpen = field(default_factory=tiff.KeptOpen, repr=False, compare=False)

    def _file(self, plane: Plane) -> UPath | str:
        """Text for a local file: a path object costs 50 µs, a tenth of a small field."""
        local = local_path(self.root)
        return as_path(self.root) / plane.path if local is None else f"{local}/{plane.path}"

    def header(self, plane: Plane) -> Header:
        """Read the header of the plane's file."""
        info = tiff.probe(self._file(plane))
        return Header(info.shape, str(info.dtype), info.pixel_size_um)

    def read(
        self, plane: Plane, shape: tuple[int, int], dtype: str, remarks: list[str] | None = None
    ) -> npt.NDArray[Any]:
        """Read one page of a file."""
        file, expected = self._file(plane), (shape, np.dtype(dtype))
        if plane.file_pages > 1:
            return self._kept.read_plane(file, plane.page, expected=expected)
        unread: list[str] = []
        pixels = tiff.read_plane(file, plane.page, expected=expected, unread=unread)
        if unread and remarks is not None:
            remarks += [f"{plane.path}: {text}" for text in unread]
        return pixels

    def stamp(self, plane: Plane) -> str:
        """Size and time of change of the file."""
        try:
            return file_stamp(self._file(plane))
        except OSError:
            return _ABSENT

    def close(self) -> None:
        """Close the file that was read last."""
        self._kept.close()


@dataclass(frozen=True)
class ContainerFiles:
    """CZI, ND2 and LIF files below a folder; a plane's page counts all planes of its file."""

    root: str
    _open: dict[str, tuple[str, Container, list[int]]] = field(default_factory=dict, repr=False)

    def _take(self, plane: Plane) -> tuple[Container, int, Position]:
        """Open the plane's file, and find its image and its place there."""
        path = f"{local_path(self.root)}/{plane.path}"
        if path not in self._open:
            try:
                stamp = file_stamp(path)
            except OSError as error:
                raise ImageReadError(f"{plane.path}: {error}", Reason.MISSING_FILE) from error
            container = opening.borrow(path, stamp)
            self._open[path] = (stamp, container, first_pages(container.images))
        _, container, firsts = self._open[path]
        index = bisect.bisect_right(firsts, plane.page) - 1
        if index >= len(container.images):
            msg = f"{plane.path}: plane {plane.page} was asked for; the file has {firsts[-1]}"
            raise ImageReadError(msg, Reason.WRONG_SHAPE)
        return container, index, container.images[index].position_of(plane.page - firsts[index])

    def header(self, plane: Plane) -> Header:
        """Say what the container's metadata tell of the plane."""
        container, index, (channel, _, _) = self._take(plane)
        image = container.images[index]
        name = f"{plane.path}: {image.name}"
        if image.color > 1:
            msg = (
                f"{name}: color image of {image.color} samples a pixel, expected one gray channel "
                "of 8 or 16 bits or float32"
            )
            raise ImageReadError(msg, Reason.WRONG_TYPE)
        dtype = image.dtype[channel]
        if dtype not in _CONTAINER_TYPES:
            msg = f"{name}: pixels are {dtype}, expected one of {', '.join(_CONTAINER_TYPES)}"
            raise ImageReadError(msg, Reason.WRONG_TYPE)
        return Header(image.shape, dtype, image.pixel_size_um)

    def read(
        self,
        plane: Plane,
        shape: tuple[int, int],
        dtype: str,
        remarks: list[str] | None = None,  # noqa: ARG002  (all planes of a container are listed)
    ) -> npt.NDArray[Any]:
        """Read one plane and nothing else of the file."""
        container, index, position = self._take(plane)
        name = f"{plane.path}: {container.images[index].name}"
        found = self.header(plane)
        check_plane(name, found.shape, np.dtype(found.dtype), (shape, dtype), tiff.MAX_PIXELS)
        try:
            pixels = container.read(index, position)
        except ImageReadError as error:
            raise ImageReadError(f"{plane.path}: {error}", error.reason) from error
        except opening.READER_FAULTS as error:
            msg = f"{name}: plane {position} cannot be read: {error or type(error).__name__}"
            raise ImageReadError(msg, Reason.UNREADABLE) from error
        check_plane(name, pixels.shape, pixels.dtype, (shape, dtype), tiff.MAX_PIXELS)
        return to_native(pixels)

    def stamp(self, plane: Plane) -> str:
        """Size and time of change of the file."""
        try:
            return file_stamp(f"{local_path(self.root)}/{plane.path}")
        except OSError:
            return _ABSENT

    def close(self) -> None:
        """Let others of this process have the files that were opened."""
        for path, (stamp, container, _) in self._open.items():
            opening.give_back(path, stamp, container)
        self._open.clear()


@dataclass(frozen=True)
class ZarrFields:
    """Fields of an OME-Zarr plate, 0.4 or 0.5; a plane's path is its field's."""

    reader: PlateReader
    _stamps: dict[str, str] = field(default_factory=dict, repr=False)

    def header(self, plane: Plane) -> Header:
        """Read the metadata of the field: every one has its own."""
        try:
            image = self.reader.describe(plane.path)
        except InputError as error:
            raise ImageReadError(str(error), Reason.UNREADABLE) from error
        if np.dtype(image.dtype).kind not in "uf":
            msg = (
                f"{self.reader.path}/{plane.path}: pixels of type {image.dtype}; unsigned integers "
                "or floats are read, write it as one of them"
            )
            raise ImageReadError(msg, Reason.WRONG_TYPE)
        return Header(image.frame, image.dtype, image.metadata.pixel_size_um)

    def read(
        self,
        plane: Plane,
        shape: tuple[int, int],
        dtype: str,
        remarks: list[str] | None = None,  # noqa: ARG002  (a field holds nothing else)
    ) -> npt.NDArray[Any]:
        """Read one plane of the field; its page is the channel's index in the field's image."""
        found = self.header(plane)
        name = f"{self.reader.path}/{plane.path}"
        if found.dtype != dtype:
            msg = f"{name}: pixels are {found.dtype}, expected {dtype}"
            raise ImageReadError(msg, Reason.WRONG_TYPE)
        if found.shape != shape:
            msg = f"{name}: image is {found.shape} pixels, expected {shape}"
            raise ImageReadError(msg, Reason.WRONG_SHAPE)
        return self.reader.read_plane(
            plane.path, plane.page, z_index=plane.z_index, t_index=plane.t_index
        )

    def stamp(self, plane: Plane) -> str:
        """Sizes and times of change of the field's chunks."""
        if plane.path not in self._stamps:  # the same for all planes of a field
            self._stamps[plane.path] = stamp_field(self.reader.path, plane.path)
        return self._stamps[plane.path]

    def close(self) -> None:
        """Forget the planes that were read last; Zarr keeps no file open."""
        if self.reader.kept is not None:
            self.reader.kept.clear()
