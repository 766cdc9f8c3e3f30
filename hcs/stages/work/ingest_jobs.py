"""From a plate as found to the units of work of ingest: what every field must be, well by well."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Final

import numpy as np

from hcs.domain.config.stages import IngestConfig
from hcs.domain.plate import Plane, SourcePlate
from hcs.domain.wells import Well
from hcs.errors import ImageReadError, InputError
from hcs.io.images.sources import Source, open_source
from hcs.io.runs.fingerprints import fingerprint, plain
from hcs.stages.work.ingest_wells import FieldJob, WellJob

FORMAT: Final = 3
"""Raised when what ingest writes changes, so that older plates are redone."""

_PROBED_FILES: Final = 25
"""Headers read to learn the pixel type and shape that most images of the plate have."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What most images of a plate are, and all must be."""

    shape: tuple[int, int]
    dtype: str
    pixel_size_um: float | None


def find_expected(config: IngestConfig, plate: SourcePlate) -> Expected:
    """Shape and pixel type that most images have, and the pixel size when the source has one.

    Raises
    ------
    InputError
        When none of the images that were tried can be read.
    """
    source = open_source(config.source, plate.layout)
    step = max(1, len(plate.planes) // _PROBED_FILES)
    found: Counter[tuple[tuple[int, int], str]] = Counter()
    sizes: list[float] = []
    errors: list[str] = []
    for plane in plate.planes[::step]:
        try:
            header = source.header(plane)
        except ImageReadError as error:
            errors.append(str(error))
            continue
        found[header.shape, header.dtype] += 1
        if header.pixel_size_um is not None:
            sizes.append(header.pixel_size_um)
    if not found:
        msg = f"none of {len(errors)} images tried in {config.source} can be read: {errors[:2]}"
        raise InputError(msg)
    (shape, dtype), _ = found.most_common(1)[0]
    measured = sizes[0] if sizes and np.allclose(sizes, sizes[0], rtol=1e-3) else None
    return Expected(shape, dtype, config.pixel_size_um or plate.pixel_size_um or measured)


def well_jobs(
    config: IngestConfig, plate: SourcePlate, expected: Expected, *, in_place: bool
) -> list[WellJob]:
    """Group the planes of a plate by well and field, with the fingerprint of each field.

    Parameters
    ----------
    config
        What to read and where to write.
    plate
        The plate as found.
    expected
        What every image must be.
    in_place
        Whether the plate is used as it lies, and nothing is copied.
    """
    grouped: dict[Well, dict[int, list[Plane]]] = {}
    for item in plate.planes:
        grouped.setdefault(item.well, {}).setdefault(item.site, []).append(item)
    source = open_source(config.source, plate.layout)
    projection = None if config.projection == "keep" else config.projection
    paths = _field_paths(plate, in_place=in_place)
    n_planes = 1 + max(item.z_index for item in plate.planes)
    n_times = 1 + max(item.t_index for item in plate.planes)
    channels, size = plate.channels, (n_times, n_planes)
    common = plain((FORMAT, expected, channels, size, plate.name, projection))
    jobs = []
    for well, sites in sorted(grouped.items()):
        fields = tuple(
            _make_field_job(source, common, paths[well, site], planes)
            for site, planes in sorted(sites.items())
        )
        jobs.append(
            WellJob(
                source=config.source,
                layout=plate.layout,
                out=config.out,
                plate=plate.name,
                well=well,
                fields=fields,
                channels=plate.channels,
                n_planes=n_planes,
                n_times=n_times,
                shape=expected.shape,
                dtype=expected.dtype,
                pixel_size_um=expected.pixel_size_um,
                projection=projection,
                in_place=in_place,
                strict=config.strict,
            )
        )
    return jobs


def _field_paths(plate: SourcePlate, *, in_place: bool) -> dict[tuple[Well, int], str]:
    """Path of every field in the plate to be.

    It is the distance from the plate's first site: a field missing in the middle never shifts its
    neighbors, and the first field of a plate is always 0.
    """
    if in_place:
        return {(item.well, item.site): item.path for item in plate.planes}
    first_site = min(item.site for item in plate.planes)
    return {
        (item.well, item.site): f"{item.well.path}/{item.site - first_site}"
        for item in plate.planes
    }


def _make_field_job(source: Source, common: object, path: str, planes: list[Plane]) -> FieldJob:
    ordered = tuple(sorted(planes, key=lambda item: (item.channel, *item.key[3:])))
    stamps = [(item.path, item.page, source.stamp(item)) for item in ordered]
    return FieldJob(
        path=path,
        site=ordered[0].site,
        planes=ordered,
        fingerprint=fingerprint(common, stamps),
    )
