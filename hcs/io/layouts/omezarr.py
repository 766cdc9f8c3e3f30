"""An OME-Zarr plate of any version as a source: its fields are planes like those of files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hcs.domain import columns as col
from hcs.domain.columns import Reason
from hcs.domain.ome.images import is_same_size
from hcs.domain.ome.plates import Flaw
from hcs.domain.plate import Channel, FieldPosition, Plane, PlaneNumbers, SourcePlate
from hcs.domain.wells import Well
from hcs.errors import HcsError, InputError, UnknownNameError
from hcs.io.files import objects
from hcs.io.files.paths import AnyPath, as_path
from hcs.io.images.sources import OME_ZARR
from hcs.io.layouts.base import NameFields, problem
from hcs.io.layouts.scanning import ScanResult, Stated
from hcs.io.ngff.foreign import ForeignPlate, Image, Listing
from hcs.io.ngff.uneven import refuse_unequal
from hcs.io.plates.reader import PlateReader

_MARKS: Final = ("zarr.json", ".zgroup")

_SHOWN: Final = 4


def is_plate(source: AnyPath) -> bool:
    """Whether a folder is a Zarr group with the metadata of a plate."""
    if not is_group(source):
        return False
    try:
        _ = PlateReader(str(as_path(source))).metadata
    except HcsError:
        return False
    return True


def is_group(source: AnyPath) -> bool:
    """Whether a folder is a Zarr group of any kind."""
    folder = as_path(source)
    objects.check(folder)
    return any((folder / mark).exists() for mark in _MARKS)


def scan_plate(source: AnyPath, stated: Stated, why: str) -> ScanResult:
    """Find the planes of an OME-Zarr plate.

    Parameters
    ----------
    source
        The plate.
    stated
        What the user says of the plate; it wins over the metadata.
    why
        Why this layout.

    Raises
    ------
    NotFoundError, InputError
        When it is no plate, holds no images, or its acquisitions do not match field by field.
    """
    foreign = ForeignPlate(str(source))
    _ = foreign.metadata  # says what it is when it is no plate
    reader = PlateReader(str(source), is_source=True)
    if reader.is_foreign and not reader.is_padded:
        return _scan_foreign(foreign, stated, why)
    if stated.acquisition is not None:
        raise UnknownNameError("acquisition", stated.acquisition, f"plate {reader.name}", ())
    return _scan_own(reader, stated, why)


def _scan_own(reader: PlateReader, stated: Stated, why: str) -> ScanResult:
    """Find the planes of a plate that hcs wrote: all fields have its channels and axes."""
    images = reader.images
    name = stated.plate_name or reader.name
    planes: list[Plane] = []
    missing: list[Plane] = []
    problems: list[dict[str, Any]] = []
    for well_name, site, path in zip(
        images[col.WELL], images[col.SITE], images[col.FIELD_PATH], strict=True
    ):
        well = Well.parse(well_name)
        try:
            array = reader.level(path, 0)
        except InputError as error:
            fields = NameFields(well, int(site))
            row = problem(Reason.UNREADABLE, path, str(error), fields=fields)
            problems.append(row | {col.PLATE: name})
            continue
        sizes = dict(zip(reader.axes, array.shape, strict=True))
        for page, channel in enumerate(reader.channels[: sizes.get("c", 1)]):
            first = Plane(path=path, page=page, well=well, site=int(site), channel=channel)
            planes += _repeat(first, reader.acquired(path, page))
            missing += _repeat(first, reader.missing(path, page))
    if not planes:
        msg = f"{reader.path} holds no images"
        raise InputError(msg)
    stated_colors = reader.describe(planes[0].path).metadata.colors
    colors = [*stated_colors, *["FFFFFF"] * len(reader.channels)][: len(reader.channels)]
    plate = SourcePlate(
        name=name,
        layout=OME_ZARR,
        plate_format=stated.plate_format or reader.plate_format,
        channels=tuple(
            Channel(name=channel, color=color, binning=reader.binning(index))
            for index, (channel, color) in enumerate(zip(reader.channels, colors, strict=True))
        ),
        planes=tuple(planes),
        missing=tuple(missing),
        numbers=PlaneNumbers(z_um=reader.z_positions_um or (), t_min=reader.times_min or ()),
        pixel_size_um=stated.pixel_size_um or reader.pixel_size_um,
        flat_fields=reader.flat_fields,
        positions=_list_positions(reader),
    )
    return ScanResult(plate, tuple(problems), f"{why}; OME-Zarr {reader.version}")


def _list_positions(reader: PlateReader) -> tuple[FieldPosition, ...]:
    """Where the stage stood for the fields, as far as the plate's table of images says it."""
    places = [col.POSITION_X_UM, col.POSITION_Y_UM]
    if not set(places) <= set(reader.images.columns):
        return ()
    known = reader.images[[col.WELL, col.SITE, *places]].dropna()
    return tuple(
        FieldPosition(well=Well.parse(well), site=int(site), x_um=x_um, y_um=y_um)
        for well, site, x_um, y_um in known.itertuples(index=False, name=None)
    )


def _repeat(first: Plane, wanted: NDArray[np.bool_]) -> list[Plane]:
    """Return the planes ``(t, z)`` of an image of which the first is given."""
    return [
        first.model_copy(update={"t_index": t, "z_index": z})
        for t, z in np.argwhere(wanted).tolist()
    ]


@dataclass(frozen=True)
class _Named:
    """Names of the channels of every image: all different over the plate's acquisitions."""

    images: Mapping[str, Image]
    suffixes: Mapping[str, str]
    shared: frozenset[str]

    def of(self, path: str) -> tuple[str, ...]:
        """Return the names of an image's channels."""
        return tuple(
            f"{name} {self.suffixes[path]}" if name in self.shared else name
            for name in self.images[path].channels
        )


def _scan_foreign(foreign: ForeignPlate, stated: Stated, why: str) -> ScanResult:
    listing = foreign.list_fields(stated.acquisition)
    images, flaws = foreign.describe_all(listing.fields)
    refuse_unequal(foreign, listing, images)
    flaws = [*listing.flaws, *flaws]
    size = stated.pixel_size_um
    if size is None:
        size = _agree_on_size(listing, images, flaws)
    names = _name_channels(listing, images)
    planes = _list_planes(listing, images, names)
    plate_name = stated.plate_name or foreign.metadata.name or _folder_name(foreign.path)
    problems = tuple(_as_row(flaw) | {col.PLATE: plate_name} for flaw in flaws)
    if not planes:
        told = "; ".join(dict.fromkeys(flaw.message for flaw in flaws[:3]))
        msg = f"{foreign.path} holds no images that can be read" + (f": {told}" if told else "")
        raise InputError(msg)
    plate_format = stated.plate_format or foreign.metadata.plate_format
    colors = _colors(images, names)
    plate = SourcePlate(
        name=plate_name,
        layout=OME_ZARR,
        plate_format=plate_format,
        channels=tuple(Channel(name=name, color=color) for name, color in colors.items()),
        planes=planes,
        numbers=_number_planes(images),
        pixel_size_um=size,
    )
    notes = _describe(foreign, stated, listing, images, names)
    return ScanResult(plate, problems, "; ".join([why, *notes]))


def _number_planes(images: Mapping[str, Image]) -> PlaneNumbers:
    """Heights and times of the planes, where all images have the same steps."""
    n_times, n_planes = (max(image.depth[i] for image in images.values()) for i in (0, 1))
    z = {image.metadata.z_step_um for image in images.values() if image.depth[1] > 1}
    t = {image.metadata.t_step_min for image in images.values() if image.depth[0] > 1}
    return PlaneNumbers(z_um=_steps(z, n_planes), t_min=_steps(t, n_times))


def _steps(steps: set[float | None], count: int) -> tuple[float, ...]:
    step = steps.pop() if len(steps) == 1 else None
    return () if step is None else tuple(step * index for index in range(count))


def _folder_name(path: str) -> str:
    return as_path(path).name.split(".")[0] or "plate"


def _agree_on_size(listing: Listing, images: dict[str, Image], flaws: list[Flaw]) -> float | None:
    """Pixel size that most images have; the others are left out, with a flaw each.

    A plate has one pixel size. What is measured of an image of another one would be wrong in µm.
    """
    sizes = Counter(image.metadata.pixel_size_um for image in images.values())
    if not sizes:
        return None
    most = max(sizes, key=lambda size: (sizes[size], size is not None))
    for field in listing.fields:
        for item in field.images:
            found = images.get(item.path)
            if found is None or is_same_size(found.metadata.pixel_size_um, most):
                continue
            del images[item.path]
            message = (
                f"field {item.path}: its pixel size is {_say_size(found.metadata.pixel_size_um)}, "
                f"that of most fields {_say_size(most)}; it is left out "
                "(--pixel-size-um states one for all)"
            )
            flaws.append(Flaw(Reason.WRONG_SCALE, item.path, message, field.well, field.site))
    return most


def _say_size(size: float | None) -> str:
    return "not known" if size is None else f"{size:g} µm"


def _name_channels(listing: Listing, images: Mapping[str, Image]) -> _Named:
    """Name channels so that two acquisitions never share one."""
    declared = listing.plate.acquisitions
    titles = [
        declared.get(number) if number is not None else None for number in listing.acquisitions
    ]
    unique = None not in titles and len(set(titles)) == len(titles)
    owners: dict[str, set[int | None]] = {}
    suffixes: dict[str, str] = {}
    for field in listing.fields:
        for item in field.images:
            if item.path not in images:
                continue
            number = item.acquisition
            title = declared.get(number) if unique and number is not None else None
            suffixes[item.path] = title or f"acquisition {number}"
            for name in images[item.path].channels:
                owners.setdefault(name, set()).add(number)
    shared = frozenset(name for name, numbers in owners.items() if len(numbers) > 1)
    if len(listing.acquisitions) <= 1:
        shared = frozenset()
    return _Named(images, suffixes, shared)


def _list_planes(listing: Listing, images: Mapping[str, Image], names: _Named) -> tuple[Plane, ...]:
    """List the planes of all fields; a plane's page is its channel's index in its image."""
    return tuple(
        Plane(
            path=item.path,
            page=page,
            well=field.well,
            site=field.site,
            channel=channel,
            z_index=z,
            t_index=t,
        )
        for field in listing.fields
        for item in field.images
        if item.path in images
        for page, channel in enumerate(names.of(item.path))
        for t in range(images[item.path].sizes.get("t", 1))
        for z in range(images[item.path].sizes.get("z", 1))
    )


def _colors(images: Mapping[str, Image], names: _Named) -> dict[str, str]:
    """Channels of the plate in the order in which they appear, each with its color."""
    found: dict[str, str] = {}
    for path, image in images.items():
        colors = image.metadata.colors
        for index, name in enumerate(names.of(path)):
            found.setdefault(name, colors[index] if index < len(colors) else "FFFFFF")
    return found


def _describe(
    foreign: ForeignPlate,
    stated: Stated,
    listing: Listing,
    images: Mapping[str, Image],
    names: _Named,
) -> list[str]:
    """Say what was found, assumed and decided."""
    metadata = foreign.metadata
    versions = sorted(
        {metadata.version, *(image.metadata.version for image in images.values())} - {""}
    )
    notes = [f"OME-Zarr {' and '.join(versions) or 'of no stated version'}"]
    if stated.plate_format is None and not metadata.is_complete:
        notes.append(
            f"a plate of {metadata.plate_format.n_wells} wells, the smallest that has all wells "
            "(not all of its rows and columns are declared; --plate-wells states another)"
        )
    if len(listing.acquisitions) > 1:
        acquisitions = ", ".join(str(number) for number in listing.acquisitions)
        notes.append(f"acquisitions {acquisitions} are channels of the same fields")
        if names.shared:
            notes.append(
                f"channels {', '.join(sorted(names.shared))} are in several acquisitions and bear "
                "their acquisition's name"
            )
    elif stated.acquisition is not None:
        notes.append(f"acquisition {stated.acquisition} alone")
    notes += _describe_images(listing, images)
    return notes


def _describe_images(listing: Listing, images: Mapping[str, Image]) -> list[str]:
    notes = []
    silent = [i for i in images.values() if len(i.metadata.labels) < len(i.channels)]
    if silent:
        notes.append(
            f"{len(silent)} images do not name all of their channels: numbers stand for them"
        )
    if any(image.has_twins for image in images.values()):
        notes.append("channels of one label bear their number")
    counts = Counter(note for image in images.values() for note in image.metadata.notes)
    notes += [f"{note} ({n} images)" for note, n in counts.items()]
    renamed = [
        (image.name, field.site)
        for field in listing.fields
        for image in field.images
        if image.name != str(field.site)
    ]
    if renamed:
        shown = ", ".join(f"{name} is {site}" for name, site in list(dict.fromkeys(renamed))[:4])
        notes.append(f"fields are numbered in listing order: {shown}")
    return notes


def _as_row(flaw: Flaw) -> dict[str, Any]:
    row = problem(flaw.reason, flaw.path, flaw.message, kept=flaw.kept)
    if flaw.well is not None:
        row |= {col.WELL: flaw.well.name, col.SITE: flaw.site}
    return row


def refuse_other_groups(source: AnyPath) -> None:
    """Refuse a Zarr group that is no plate, in words of its own.

    Raises
    ------
    InputError
        Saying what it is: one image, one well, a series of images.
    """
    if is_group(source):
        _ = ForeignPlate(str(source)).metadata


def name_plates_inside(source: AnyPath) -> str:
    """Name the OME-Zarr plates in a folder, as the end of a sentence; empty when there are none."""
    found = sorted(child.name for child in as_path(source).iterdir() if is_plate(child))
    if not found:
        return ""
    shown = ", ".join(found[:_SHOWN]) + (", …" if len(found) > _SHOWN else "")
    return f"; it holds {len(found)} OME-Zarr plate(s), each a source of its own: {shown}"
