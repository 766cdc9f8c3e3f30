"""An OME-Zarr plate, 0.4 or 0.5, as a source: its fields are planes like those of files."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from hcs.domain import columns as col
from hcs.domain.columns import Reason
from hcs.domain.plate import Channel, Plane, SourcePlate
from hcs.domain.wells import Well
from hcs.errors import HcsError, InputError
from hcs.io.files import objects
from hcs.io.files.paths import AnyPath, as_path
from hcs.io.images.sources import OME_ZARR
from hcs.io.layouts.base import NameFields, problem
from hcs.io.layouts.scanning import ScanResult, Stated
from hcs.io.plates.reader import PlateReader

_MARKS: Final = ("zarr.json", ".zgroup")


def is_plate(source: AnyPath) -> bool:
    """Whether a folder is a Zarr group with the metadata of a plate."""
    folder = as_path(source)
    objects.check(folder)
    if not any((folder / mark).exists() for mark in _MARKS):
        return False
    try:
        _ = PlateReader(str(folder)).metadata
    except HcsError:
        return False
    return True


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
        When it is no plate, or holds no images.
    """
    reader = PlateReader(str(source), is_source=True)
    images = reader.images
    name = stated.plate_name or reader.name
    planes: list[Plane] = []
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
        planes += [
            Plane(path=path, well=well, site=int(site), channel=channel, z_index=z, t_index=t)
            for index, channel in enumerate(reader.channels[: sizes.get("c", 1)])
            for t, z in np.argwhere(reader.acquired(path, index)).tolist()
        ]
    if not planes:
        msg = f"{source} holds no images"
        raise InputError(msg)
    plate = SourcePlate(
        name=name,
        layout=OME_ZARR,
        plate_format=stated.plate_format or reader.plate_format,
        channels=tuple(Channel(name=channel) for channel in reader.channels),
        planes=tuple(planes),
        pixel_size_um=stated.pixel_size_um or reader.pixel_size_um,
        flat_fields=reader.flat_fields,
    )
    return ScanResult(plate, tuple(problems), f"{why}; OME-Zarr {reader.version}")
