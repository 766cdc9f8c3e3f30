"""Whether a plate is valid OME-Zarr and agrees with itself: every fault, of any program's plate."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from hcs.domain import columns as col
from hcs.domain.ome.images import is_same_size, ome_of
from hcs.domain.ome.plates import Flaw, ListedField, ListedImage, PlateMetadata, place_of
from hcs.domain.wells import PlateFormat
from hcs.errors import HcsError, InputError
from hcs.io.files.paths import AnyPath, as_path, is_local
from hcs.io.ngff.documents import Document, Told, count_files
from hcs.io.ngff.foreign import ForeignPlate, Image
from hcs.io.ngff.models import ModelChecks
from hcs.io.plates.checksums import find_damage
from hcs.io.plates.reader import PlateReader

_SHOWN: Final = 4
"""Places named of a fault that many have."""


@dataclass
class _Faults:
    """Faults in the order in which they are found; one that many places have is listed once."""

    places: dict[str, list[str]] = field(default_factory=dict)

    def add(self, place: str, message: str) -> None:
        """Note a fault of a place."""
        self.places.setdefault(message, []).append(place)

    def lines(self) -> list[str]:
        """Return one line a fault."""
        return [self._line(message, places) for message, places in self.places.items()]

    def _line(self, message: str, places: Sequence[str]) -> str:
        named = [place for place in dict.fromkeys(places) if place]
        if not named:
            return message
        kind, _, first = named[0].partition(" ")
        if len(named) == 1:
            return f"{named[0]}: {message}"
        others = ", ".join(place.partition(" ")[2] for place in named[1:_SHOWN])
        more = f" and {len(named) - _SHOWN} more" if len(named) > _SHOWN else ""
        return f"{kind}s {first}, {others}{more}: {message}"


def faults_of(path: AnyPath, told: Told | None = None, *, pixels: bool = False) -> list[str]:
    """Faults of a plate, all at once; an empty list for a valid one.

    Checked by ome-zarr-models: the metadata of plate, wells and images. Checked here: that row and
    column indices agree with the paths (an example plate in public use has them swapped and passes
    today's validators), that all that is listed is there, that channels have names of their own,
    that acquisitions are declared, that the images of an acquisition have one shape, type, pixel
    size and set of channels, and that the tables describe the plate that they lie in.

    Parameters
    ----------
    path
        The plate.
    told
        Hears of every piece that was read.
    pixels
        Whether all pixels are read too, of labels as well, which compares their checksums.

    Raises
    ------
    NotFoundError
        When there is no Zarr store.
    InputError
        When it is no plate.
    """
    plate = ForeignPlate(str(path))
    metadata = plate.metadata
    root = plate.documents.read_one("")
    faults = _Faults()
    checks = ModelChecks(metadata.version or ("0.5" if plate.documents.is_v3 else "0.4"))
    for message in checks.faults_of("plate", root.attributes):
        faults.add("plate", message)
    _check_lists(ome_of(root.attributes)["plate"], metadata, faults)
    fields = _check_wells(plate, checks, faults, told)
    images = _check_fields(plate, fields, checks, faults, told)
    _check_channels(images, faults)
    _check_alike(fields, images, faults)
    reader = PlateReader(str(path))
    _check_chunks(reader, images, faults)
    if pixels:
        for name, message in find_damage(reader, images):
            faults.add(f"field {name}", message)
    _check_tables(reader, images, faults)
    return faults.lines()


def _check_lists(described: Mapping[str, Any], metadata: PlateMetadata, faults: _Faults) -> None:
    """Check rows, columns and wells against each other."""
    names = {"row": metadata.rows, "column": metadata.columns}
    for kind, listed in names.items():
        if described.get(f"{kind}s") == []:
            faults.add("plate", f"declares no {kind}s")
        for name, count in Counter(listed).items():
            if count > 1:
                faults.add("plate", f"declares {kind} {name!r} {count} times")
    for item in described["wells"]:
        if isinstance(item, Mapping):
            _check_position(item, names, faults)
    for flaw in metadata.flaws:
        if flaw.reason != col.Reason.CONTRADICTORY:
            faults.add("", flaw.message)


def _check_position(
    item: Mapping[str, Any], names: Mapping[str, Sequence[str]], faults: _Faults
) -> None:
    path = str(item.get("path", ""))
    row, _, column = path.partition("/")
    for kind, name in (("row", row), ("column", column)):
        declared, index = names[kind], item.get(f"{kind}Index")
        if not declared or place_of(path) is None:
            continue
        if name not in declared:
            faults.add(f"well {path}", f"{kind} {name!r} is not declared ({', '.join(declared)})")
        elif index is not None and declared.index(name) != index:
            inside = isinstance(index, int) and 0 <= index < len(declared)
            faults.add(
                f"well {path}",
                f"{kind}Index {index} points at {kind} {declared[index] if inside else 'none'!r}, "
                f"its path says {name!r} ({declared.index(name)})",
            )


def _check_wells(
    plate: ForeignPlate, checks: ModelChecks, faults: _Faults, told: Told | None
) -> list[ListedField]:
    """Check the wells, and return their images: one a field, in listing order."""
    wells, flaws = plate.list_wells(told)
    _note(flaws, faults)
    declared = plate.metadata.acquisitions
    fields = []
    for item, document, images in wells:
        place = f"well {item.path}"
        for message in checks.faults_of("well", document.attributes):
            faults.add(place, message)
        _check_version(place, ome_of(document.attributes), "well", plate.metadata, faults)
        if not images:
            faults.add(place, "lists no images")
        for site, image in enumerate(images):
            _check_acquisition(place, image, declared, faults)
            fields.append(ListedField(item.well, site, (image,)))
    return fields


def _check_acquisition(
    place: str, image: ListedImage, declared: Mapping[int, str | None], faults: _Faults
) -> None:
    known = ", ".join(map(str, declared)) or "none"
    number = image.acquisition
    if number is not None and number not in declared:
        faults.add(place, f"acquisition {number} is not declared by the plate ({known})")
    if number is None and len(declared) > 1:
        faults.add(place, f"an image does not say which of the acquisitions {known} it is of")


def _check_version(
    place: str, ome: Mapping[str, Any], key: str, plate: PlateMetadata, faults: _Faults
) -> None:
    """Check that a version, where one is stated, is that of the plate."""
    inner = ome.get(key)
    piece = inner[0] if isinstance(inner, list) and inner else inner
    stated = ome.get("version") or (piece.get("version") if isinstance(piece, Mapping) else None)
    if stated is not None and plate.version and str(stated) != plate.version:
        faults.add(place, f"follows OME-Zarr {stated}, the plate {plate.version}")


def _check_fields(
    plate: ForeignPlate,
    fields: Sequence[ListedField],
    checks: ModelChecks,
    faults: _Faults,
    told: Told | None,
) -> dict[str, Image]:
    def read(path: str, document: Document) -> None:
        for message in checks.faults_of("image", document.attributes):
            faults.add(f"field {path}", message)
        ome = ome_of(document.attributes)
        _check_version(f"field {path}", ome, "multiscales", plate.metadata, faults)

    images, flaws = plate.describe_all(fields, told, read)
    _note(flaws, faults)
    for path, image in images.items():
        if plate.documents.is_v3 and image.dimension_names != image.metadata.axes:
            found = ", ".join(image.dimension_names) or "no names"
            axes = ", ".join(image.metadata.axes)
            faults.add(f"field {path}", f"its array has {found} for the dimensions {axes}")
    return images


def _note(flaws: Iterable[Flaw], faults: _Faults) -> None:
    for flaw in flaws:
        faults.add("", flaw.message)


def _check_channels(images: Mapping[str, Image], faults: _Faults) -> None:
    """Check that every channel of every image has a name of its own."""
    for path, image in images.items():
        labels, n_channels = image.metadata.labels, len(image.channels)
        place = f"field {path}"
        if labels and len(labels) != n_channels:
            faults.add(place, f"names {len(labels)} channels, its array has {n_channels}")
        twice = [name for name, n in Counter(filter(None, labels)).items() if n > 1]
        for name in twice:
            faults.add(place, f"names several channels {name!r}")
        for note in image.metadata.notes:
            faults.add(place, note)


def _check_alike(
    fields: Sequence[ListedField], images: Mapping[str, Image], faults: _Faults
) -> None:
    """Check that the images of an acquisition are alike in what a plate has in common."""
    first: dict[int | None, Image] = {}
    for item in fields:
        image = images.get(item.images[0].path)
        if image is None:
            continue
        other = first.setdefault(item.images[0].acquisition, image)
        for message in _differences(image, other):
            faults.add(f"field {image.path}", message)


def _differences(image: Image, other: Image) -> list[str]:
    told = f"field {other.path}"
    shape, wanted = (tuple(each.sizes.values()) for each in (image, other))
    found = []
    if image.metadata.axes != other.metadata.axes:
        axes = (", ".join(each.metadata.axes) for each in (image, other))
        found.append("its axes are {}, those of {told} {}".format(*axes, told=told))
    elif shape != wanted:
        found.append(f"its shape is {shape}, that of {told} {wanted}")
    if image.dtype != other.dtype:
        found.append(f"its pixels are {image.dtype}, those of {told} {other.dtype}")
    if image.channels != other.channels:
        found.append(
            f"its channels are {', '.join(image.channels)}, those of {told} "
            f"{', '.join(other.channels)}"
        )
    sizes = [each.metadata.pixel_size_um for each in (image, other)]
    if not is_same_size(*sizes):
        known = ["not known" if size is None else f"{size:g} µm" for size in sizes]
        found.append(f"its pixel size is {known[0]}, that of {told} {known[1]}")
    return found


def _check_chunks(reader: PlateReader, images: Mapping[str, Image], faults: _Faults) -> None:
    """Check that a plate of hcs has the files of its pixels: Zarr reads a lost one as zeros.

    Other programs leave out chunks of zeros, so of theirs only an image without any is a fault. On
    an object store files are not counted, which would ask for every one of them.
    """
    folder = as_path(reader.path)
    if not is_local(folder):
        return
    is_foreign = reader.is_foreign
    for name, image in images.items():
        counts = list(zip(image.metadata.levels, image.n_files, strict=True))
        for level, wanted in counts[: 1 if is_foreign else None]:
            found = count_files(f"{folder}/{name}/{level}")
            if found == 0:
                faults.add(f"field {name}", f"level {level} has no pixels: not one file of them")
            elif not is_foreign and found < wanted:
                message = f"level {level} lacks {wanted - found} of {wanted} files of its pixels"
                faults.add(f"field {name}", message)


def _check_tables(reader: PlateReader, images: Mapping[str, Image], faults: _Faults) -> None:
    """Check the tables that hcs writes: the fields and wells that they describe are there."""
    try:
        frame, wells = reader.image_table, reader.well_table
        inside = {well.name for well in _list_wells(reader)}
    except HcsError as error:
        faults.add("", str(error))
        return
    if frame is not None:
        for found in frame[col.FIELD_PATH]:
            if found not in images:
                faults.add("table images", f"describes field {found}, which is not there")
    outside = sorted(set(wells[col.WELL]) - inside)
    if outside:
        faults.add("table wells", f"describes wells that the plate does not have: {outside}")


def _list_wells(reader: PlateReader) -> tuple[Any, ...]:
    try:
        return reader.plate_format.wells()
    except InputError:
        return PlateFormat.WELLS_1536.wells()
