"""OME-Zarr plates of any program, read field by field: each image has its own axes and channels."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from hcs.domain.columns import Reason
from hcs.domain.ome.images import ImageMetadata, name_channels, parse_image
from hcs.domain.ome.plates import (
    Flaw,
    ListedField,
    ListedImage,
    ListedWell,
    PlateMetadata,
    parse_plate,
    parse_well,
)
from hcs.errors import InputError, NotFoundError
from hcs.io.files import objects
from hcs.io.files.paths import AnyPath, as_path
from hcs.io.ngff import acquisitions
from hcs.io.ngff.documents import Document, Documents, Told

_AXES: Final = frozenset("tczyx")


@dataclass(frozen=True, slots=True)
class Image:
    """One image as it is: what its metadata say and what its largest array is.

    Attributes
    ----------
    path
        In the plate.
    metadata
        Axes, levels, pixel size.
    sizes
        Length of every axis, in array order.
    dtype
        Pixel type by NumPy's name.
    channels
        Names, all different; one where there is no axis of channels.
    dimension_names
        Names that the array itself has for its axes, from Zarr v3 on.
    n_files
        Files of pixels of every level when none is left out.
    """

    path: str
    metadata: ImageMetadata
    sizes: dict[str, int]
    dtype: str
    channels: tuple[str, ...]
    dimension_names: tuple[str, ...]
    n_files: tuple[int, ...] = ()

    @property
    def frame(self) -> tuple[int, int]:
        """Shape ``(Y, X)`` of a plane."""
        return self.sizes["y"], self.sizes["x"]

    @property
    def depth(self) -> tuple[int, int]:
        """Numbers of time points and of z planes; 1 where there is no such axis."""
        return self.sizes.get("t", 1), self.sizes.get("z", 1)

    @property
    def has_twins(self) -> bool:
        """Whether two channels had one label, so that their numbers were appended."""
        return name_channels(self.metadata.labels, len(self.channels))[1]


@dataclass(frozen=True)
class Listing:
    """What a plate lists: fields, and what is wrong with wells and lists."""

    plate: PlateMetadata
    fields: tuple[ListedField, ...]
    acquisitions: tuple[int | None, ...]
    flaws: tuple[Flaw, ...]


@dataclass(frozen=True)
class ForeignPlate:
    """A plate of any program, read by its documents."""

    path: str

    @cached_property
    def documents(self) -> Documents:
        """Its metadata documents."""
        objects.check(as_path(self.path))
        return Documents(str(as_path(self.path)))

    @cached_property
    def metadata(self) -> PlateMetadata:
        """What its root says.

        Raises
        ------
        NotFoundError
            When there is no Zarr store.
        InputError
            When it is no plate: the message says what it is.
        """
        root = self.documents.read_one("")
        if root.kind == "absent":
            raise say_no_store(self.path)
        if root.fault:
            raise InputError(f"{self.path}: {root.fault}")
        try:
            return parse_plate(root.attributes)
        except InputError as error:
            raise InputError(f"{self.path} {error}{name_kind(root, self.path)}") from error

    def list_fields(self, acquisition: int | None = None, told: Told | None = None) -> Listing:
        """List the fields of all wells; with a number, those of one acquisition.

        Raises
        ------
        UnknownNameError, InputError
            When there is no such acquisition, or the acquisitions do not match field by field.
        """
        read, flaws = self.list_wells(told)
        wells = [(item, images) for item, _, images in read]
        fields, chosen = acquisitions.split(self.path, self.metadata, wells, acquisition)
        return Listing(self.metadata, fields, chosen, (*self.metadata.flaws, *flaws))

    def list_wells(
        self, told: Told | None = None
    ) -> tuple[list[tuple[ListedWell, Document, tuple[ListedImage, ...]]], list[Flaw]]:
        """List the wells that are there with their images, and say what is wrong with others."""
        wells = self.metadata.wells
        documents = self.documents.read([item.path for item in wells], "wells", told)
        listed, flaws = [], []
        for item, document in zip(wells, documents, strict=True):
            if document.kind != "group":
                absent = document.kind == "absent"
                message = (
                    f"well {item.path} is listed, but it is not there"
                    if absent
                    else f"well {item.path}: {document.fault or 'is an array'}"
                )
                reason = Reason.MISSING_FILE if absent else Reason.UNREADABLE
                flaws.append(Flaw(reason, item.path, message, item.well))
                continue
            try:
                images = parse_well(document.attributes, item.path)
            except InputError as error:
                message = f"well {item.path} {error}"
                flaws.append(Flaw(Reason.UNREADABLE, item.path, message, item.well))
                continue
            kept, twice = _without_twice(item, images)
            listed.append((item, document, kept))
            flaws += twice
        return listed, flaws

    def describe(self, path: str) -> Image:
        """Describe one image.

        Raises
        ------
        InputError
            When it is not there or cannot be understood.
        """
        document = self.documents.read_one(path)
        metadata = _parse_image(path, document)
        level = self.documents.read_one(f"{path}/{metadata.levels[0]}")
        self._refuse_folders(f"{path}/{metadata.levels[0]}", level)
        return _as_image(path, metadata, level)

    def _refuse_folders(self, path: str, level: Document) -> None:
        """Refuse an array whose chunks lie where its metadata do not say: it would read as zeros.

        Programs before 2021 wrote ``0/0/0`` without saying so.
        """
        if level.is_flat and not self.documents.is_v3:
            folder = as_path(self.path) / path / "0"
            if folder.is_dir():
                raise InputError(
                    f"{path}: its chunks lie in folders, which its .zarray does not say; add "
                    '"dimension_separator": "/" to it'
                )

    def describe_all(
        self,
        fields: Sequence[ListedField],
        told: Told | None = None,
        read_also: Callable[[str, Document], None] | None = None,
    ) -> tuple[dict[str, Image], list[Flaw]]:
        """Describe all images of fields, and say what is wrong with the others.

        A lost smaller level is said and the image is kept: its pixels are all there. ``read_also``
        gets the document of every image that is there.
        """
        owners = {image.path: field for field in fields for image in field.images}
        read = self.documents.read(list(owners), "fields", told)
        known: dict[str, ImageMetadata] = {}
        flaws: list[Flaw] = []
        for path, document in zip(owners, read, strict=True):
            if read_also is not None and document.kind == "group":
                read_also(path, document)
            try:
                known[path] = _parse_image(path, document)
            except InputError as error:
                flaws.append(_flaw_of(owners[path], path, document, error))
        arrays = [f"{path}/{level}" for path, found in known.items() for level in found.levels]
        read = self.documents.read(arrays, "arrays", told)
        levels = dict(zip(arrays, read, strict=True))
        images = {}
        for path, found in known.items():
            first = levels[f"{path}/{found.levels[0]}"]
            try:
                image = _as_image(path, found, first)
                _refuse_larger(path, found, levels)
                self._refuse_folders(f"{path}/{found.levels[0]}", first)
            except InputError as error:
                flaws.append(_flaw_of(owners[path], path, first, error))
                continue
            n_files = tuple(levels[f"{path}/{level}"].n_files for level in found.levels)
            images[path] = dataclasses.replace(image, n_files=n_files)
            flaws += _name_lost_levels(owners[path], path, found, levels)
        return images, flaws


def _flaw_of(field: ListedField, path: str, document: Document, error: InputError) -> Flaw:
    absent = document.kind == "absent"
    reason = Reason.MISSING_FILE if absent else Reason.UNREADABLE
    return Flaw(reason, path, str(error), field.well, field.site)


def _refuse_larger(path: str, metadata: ImageMetadata, levels: Mapping[str, Document]) -> None:
    """Refuse an image of which another level than the one to be read is the largest."""
    first = metadata.levels[0]
    for name in metadata.levels[1:]:
        shape, read = levels[f"{path}/{name}"].shape, levels[f"{path}/{first}"].shape
        if len(shape) == len(read) and math.prod(shape) > math.prod(read):
            raise InputError(
                f"field {path}: its level {name} of {shape} is larger than {first} of {read}, "
                "which its metadata say is the finest: list the largest first"
            )


def _name_lost_levels(
    field: ListedField, path: str, metadata: ImageMetadata, levels: Mapping[str, Document]
) -> list[Flaw]:
    flaws = []
    for name in metadata.levels[1:]:
        level = levels[f"{path}/{name}"]
        largest = levels[f"{path}/{metadata.levels[0]}"]
        if level.kind != "array":
            what = "is not there" if level.kind == "absent" else level.fault or "is a group"
        elif (len(level.shape), level.dtype) != (len(largest.shape), largest.dtype):
            what = (
                f"is {level.shape} {level.dtype}, the largest {largest.shape} {largest.dtype}, "
                "which cannot be one image"
            )
        else:
            continue
        message = f"level {name} of field {path} {what}; its largest image is read"
        place = (f"{path}/{name}", message, field.well, field.site)
        flaws.append(Flaw(Reason.MISSING_FILE, *place, kept=True))
    return flaws


def _without_twice(
    well: ListedWell, images: Sequence[ListedImage]
) -> tuple[tuple[ListedImage, ...], list[Flaw]]:
    """Images of a well that have a name of their own."""
    kept: dict[str, ListedImage] = {}
    flaws = []
    for image in images:
        if not image.name:
            message = f"well {well.path} lists an image without a path"
            flaws.append(Flaw(Reason.UNREADABLE, well.path, message, well.well))
        elif image.name in kept:
            message = f"well {well.path} lists the image {image.name!r} twice; it is read once"
            flaws.append(Flaw(Reason.DUPLICATE, image.path, message, well.well, kept=True))
        else:
            kept[image.name] = image
    return tuple(kept.values()), flaws


def _parse_image(path: str, document: Document) -> ImageMetadata:
    if document.kind == "absent":
        raise InputError(f"field {path} is listed, but it is not there")
    if document.kind != "group":
        raise InputError(f"field {path}: {document.fault or 'is an array, not an image'}")
    try:
        return parse_image(document.attributes)
    except InputError as error:
        raise InputError(f"field {path}: {error}") from error


def _as_image(path: str, metadata: ImageMetadata, level: Document) -> Image:
    name = f"field {path}: level {metadata.levels[0]}"
    if level.kind != "array":
        what = "is not there" if level.kind == "absent" else level.fault or "is a group"
        raise InputError(f"{name} {what}")
    if level.dtype is None:
        raise InputError(f"{name} has no pixel type that is known")
    axes = metadata.axes
    if len(level.shape) != len(axes):
        raise InputError(
            f"{name} has {len(level.shape)} dimensions, its metadata name {len(axes)} axes "
            f"({', '.join(axes)})"
        )
    sizes = dict(zip(axes, level.shape, strict=True))
    other = [axis for axis, n in sizes.items() if axis not in _AXES and n > 1]
    if other:
        raise InputError(f"{name} has axes that are not read: {', '.join(other)}")
    if 0 in sizes.values():
        raise InputError(f"{name} holds no pixels: its shape is {level.shape}")
    channels, _ = name_channels(metadata.labels, sizes.get("c", 1))
    named = level.array.get("dimension_names")
    names = tuple(map(str, named)) if isinstance(named, list) else ()
    return Image(path, metadata, sizes, level.dtype, channels, names)


def say_no_store(path: AnyPath) -> NotFoundError:
    """Say what lies where a plate was expected, and what to do."""
    place = as_path(path)
    if not place.exists():
        return NotFoundError(f"{path} does not exist; an OME-Zarr plate was expected")
    if place.is_file():
        return NotFoundError(f"{path} is a file; an OME-Zarr plate was expected, which is a folder")
    return NotFoundError(
        f"{path} is not a Zarr store; an OME-Zarr plate was expected: hcs ingest {path} NEW.zarr "
        "makes one of a folder of images"
    )


def name_kind(root: Document, path: AnyPath) -> str:
    """Say what a Zarr group that is no plate is, as the end of a sentence."""
    ome = root.attributes.get("ome", root.attributes)
    ome = ome if isinstance(ome, dict) else {}
    above = as_path(path).parent
    if "multiscales" in ome:
        return (
            ": it is a single OME-Zarr image. hcs reads plates, in which a well and a field say "
            "what an image is; give the plate that holds it, or its image files"
        )
    if "well" in ome:
        return f": it is one well of a plate; give the plate, {above.parent}"
    if "bioformats2raw.layout" in ome:
        return ": it is a series of OME-Zarr images without a plate; hcs reads plates"
    return "; an OME-Zarr HCS plate was expected"
