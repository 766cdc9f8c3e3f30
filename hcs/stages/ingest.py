"""From a folder of microscope images and a plate map to one OME-Zarr plate."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from upath import UPath

from hcs.compute import budget
from hcs.compute.units import Unit, run_units
from hcs.domain import ngff, tables
from hcs.domain.config import IngestConfig
from hcs.domain.plate import Plane, PlateMap, SourcePlate
from hcs.domain.results import Problem, StageResult
from hcs.domain.wells import PlateFormat, Well
from hcs.errors import Fault, FaultsError, ImageReadError, InputError
from hcs.io import layouts, plate, platemap, runs, tiff
from hcs.io import tables as io_tables
from hcs.stages.ingest_wells import STAGE, FieldJob, WellJob, write_well

if TYPE_CHECKING:
    from distributed import Client

_FORMAT: Final = 1
"""Raised when what ingest writes changes, so that older plates are redone."""

_PROBED_FILES: Final = 25
"""Headers read to learn the pixel type and shape that most images of the plate have."""

_PREVIEWED: Final = 10

_COPIES: Final = 4
"""Peak memory in copies of one field: decoded planes, the stack, its overview, encoder."""


def run(config: IngestConfig, client: Client | None = None) -> StageResult:
    """Write ``config.out`` from the images in ``config.source``.

    Parameters
    ----------
    config
        What to read, how to recognise it, and where to write.
    client
        Dask client; None works in this process.

    Returns
    -------
    StageResult
        Faults of single images are in its ``problems`` and in ``<out>.hcs/problems.parquet``.

    Raises
    ------
    FaultsError
        When the plate map has faults: all of them at once.
    NotFoundError, InputError
        When there is no source, no layout fits, or nothing can be read at all.
    """
    started = time.time()
    with runs.locked(config.out):
        return _run(config, client, started)


def preview(config: IngestConfig) -> StageResult:
    """Say what :func:`run` would read, and write nothing.

    Returns
    -------
    StageResult
        With the plate that the files make in its summary, and files that fit no name among its
        problems.
    """
    scanned = _scan(config)
    source = scanned.plate
    wells: dict[str, set[int]] = {}
    for item in source.planes:
        wells.setdefault(item.well.name, set()).add(item.site)
    fields = {len(sites) for sites in wells.values()}
    shown = [
        f"{item.path} → {item.well.name} site {item.site} {item.channel}" for item in source.planes
    ]
    return StageResult(
        stage=STAGE,
        out=f"{config.out} (not written)",
        summary={
            "plate": source.name,
            "layout": scanned.why,
            "format": f"{source.plate_format.n_wells} wells",
            "files matched": len({item.path for item in source.planes}),
            "wells": len(wells),
            "fields a well": " or ".join(map(str, sorted(fields))),
            "channels": ", ".join(channel.name for channel in source.channels),
            **{f"plane {number}": text for number, text in enumerate(shown[:_PREVIEWED], start=1)},
        },
        problems=tuple(Problem.from_row(row) for row in scanned.problems),
    )


def _scan(config: IngestConfig) -> layouts.ScanResult:
    return layouts.scan(
        config.source,
        config.layout,
        plate_name=config.plate_name,
        plate_format=PlateFormat.of_size(config.plate_wells) if config.plate_wells else None,
        pixel_size_um=config.pixel_size_um,
    )


def _run(config: IngestConfig, client: Client | None, started: float) -> StageResult:
    mapped = platemap.read_platemap(config.platemap) if config.platemap else None
    scanned = _scan(config)
    source = scanned.plate
    wells_map = mapped.of_plate(source.name) if mapped else PlateMap(rows=())
    source = _sized(config, source, wells_map)
    shape, dtype, pixel_size_um = _expected(config, source)
    jobs = _jobs(config, source, shape, dtype, pixel_size_um)
    field_bytes = int(np.prod(shape)) * np.dtype(dtype).itemsize * _planes_per_field(jobs)
    needed = budget.WORKER_FLOOR_BYTES + _COPIES * field_bytes
    budget.check_budget("ingest", needed, client, "give workers more memory or fewer threads")
    names = [job.well for job in jobs]
    fields_per_well = max((len(job.fields) for job in jobs), default=0)
    attributes = ngff.plate_attributes(source.name, source.plate_format, names, fields_per_well)
    ledger = runs.Ledger.of(config.out)
    if not runs.as_path(config.out).exists():
        ledger.clear()
    plate.create_plate(config.out, attributes, sorted({well.path.split("/")[0] for well in names}))
    units = [
        Unit(
            job.well.name,
            runs.fingerprint(_FORMAT, [(field.path, field.fingerprint) for field in job.fields]),
            job,
        )
        for job in jobs
    ]
    outcome = run_units(
        write_well, units, ledger=ledger, client=client, label=f"ingest {source.name}"
    )
    rows = [row for result in outcome.results for row in result["images"]]
    if not rows:
        problems = [Problem(**item) for result in outcome.results for item in result["problems"]]
        first = "; ".join(problem.message for problem in problems[:3])
        msg = f"no image of {config.source} could be read: {first}"
        raise InputError(msg)
    kept_wells = sorted({Well.parse(row[tables.WELL]) for row in rows})
    attributes = ngff.plate_attributes(
        source.name, source.plate_format, kept_wells, fields_per_well
    )
    problems = [
        *(Problem.from_row(row) for row in scanned.problems),
        *(Problem(**item) for result in outcome.results for item in result["problems"]),
        *_map_problems(source.name, mapped, wells_map, kept_wells),
    ]
    _finish(config, source, wells_map, rows, attributes, problems, started)
    return StageResult(
        stage=STAGE,
        out=config.out,
        summary={
            "plate": source.name,
            "layout": scanned.why,
            "format": f"{source.plate_format.n_wells} wells",
            "wells": len(kept_wells),
            "fields": len(rows),
            "channels": ", ".join(channel.name for channel in source.channels),
            "field": f"{shape[0]} × {shape[1]} {dtype}",
            "pixel size": f"{pixel_size_um} µm" if pixel_size_um else "unknown",
        },
        n_run=outcome.n_run,
        n_skipped=outcome.n_skipped,
        problems=tuple(problems),
        seconds=time.time() - started,
    )


def _sized(config: IngestConfig, source: SourcePlate, wells_map: PlateMap) -> SourcePlate:
    """Choose a plate format that also holds the wells of the map."""
    described = {row.well for row in wells_map.rows}
    outside = sorted(well for well in described if not source.plate_format.holds(well))
    if not outside:
        return source
    if config.plate_wells:
        faults = [
            Fault(
                file=wells_map.source,
                message=f"well {well.name} lies outside a plate of {config.plate_wells} wells",
            )
            for well in outside
        ]
        raise FaultsError(wells_map.source, faults)
    smallest = PlateFormat.smallest_for(described | {item.well for item in source.planes})
    return source.model_copy(update={"plate_format": smallest})


def _planes_per_field(jobs: Sequence[WellJob]) -> int:
    return max((len(field.planes) for job in jobs for field in job.fields), default=1)


def _expected(
    config: IngestConfig, source: SourcePlate
) -> tuple[tuple[int, int], str, float | None]:
    """Shape and pixel type that most images have, and the pixel size when the source has one."""
    step = max(1, len(source.planes) // _PROBED_FILES)
    found: Counter[tuple[tuple[int, int], str]] = Counter()
    sizes: list[float] = []
    errors: list[str] = []
    for plane in source.planes[::step]:
        try:
            info = tiff.probe(runs.as_path(config.source) / plane.path)
        except ImageReadError as error:
            errors.append(str(error))
            continue
        found[info.shape, str(info.dtype)] += 1
        if info.pixel_size_um is not None:
            sizes.append(info.pixel_size_um)
    if not found:
        msg = f"none of {len(errors)} images tried in {config.source} can be read: {errors[:2]}"
        raise InputError(msg)
    (shape, dtype), _ = found.most_common(1)[0]
    measured = sizes[0] if sizes and np.allclose(sizes, sizes[0], rtol=1e-3) else None
    return shape, dtype, config.pixel_size_um or source.pixel_size_um or measured


def _jobs(
    config: IngestConfig,
    source: SourcePlate,
    shape: tuple[int, int],
    dtype: str,
    pixel_size_um: float | None,
) -> list[WellJob]:
    grouped: dict[Well, dict[int, list[Plane]]] = {}
    for item in source.planes:
        grouped.setdefault(item.well, {}).setdefault(item.site, []).append(item)
    # A field's path is its distance from the plate's first site: a field missing in the middle
    # never shifts its neighbours, and the first field of a plate is always 0.
    first_site = min(item.site for item in source.planes)
    root = runs.as_path(config.source)
    common = (_FORMAT, shape, dtype, pixel_size_um, [c.name for c in source.channels], source.name)
    n_planes = 1 + max(item.z_index for item in source.planes)
    n_times = 1 + max(item.t_index for item in source.planes)
    jobs = []
    for well, sites in sorted(grouped.items()):
        fields = []
        for site, planes in sorted(sites.items()):
            ordered = tuple(sorted(planes, key=lambda item: (item.channel, *item.key[3:])))
            stamps = [(item.path, item.page, _stamp(root / item.path)) for item in ordered]
            fields.append(
                FieldJob(
                    path=f"{well.path}/{site - first_site}",
                    site=site,
                    planes=ordered,
                    fingerprint=runs.fingerprint(common, stamps),
                )
            )
        jobs.append(
            WellJob(
                source=config.source,
                out=config.out,
                plate=source.name,
                well=well,
                fields=tuple(fields),
                channels=source.channels,
                n_planes=n_planes,
                n_times=n_times,
                shape=shape,
                dtype=dtype,
                pixel_size_um=pixel_size_um,
                strict=config.strict,
            )
        )
    return jobs


def _stamp(path: UPath) -> str:
    try:
        return runs.file_stamp(path)
    except OSError:
        return "absent"


def _map_problems(
    name: str, mapped: PlateMap | None, wells_map: PlateMap, found: Sequence[Well]
) -> list[Problem]:
    if mapped is None:
        return []
    described = {row.well for row in wells_map.rows}
    problems = [
        Problem(
            stage=STAGE,
            file=mapped.source,
            reason=tables.Reason.NO_IMAGES,
            message=f"the plate map describes well {well.name}, but it has no images",
            plate=name,
            well=well.name,
        )
        for well in sorted(described - set(found))
    ]
    problems += [
        Problem(
            stage=STAGE,
            file=mapped.source,
            reason=tables.Reason.NOT_IN_MAP,
            message=f"well {well.name} has images, but the plate map does not describe it",
            plate=name,
            well=well.name,
            kept=True,
        )
        for well in sorted(set(found) - described)
    ]
    return problems


def _finish(
    config: IngestConfig,
    source: SourcePlate,
    wells_map: PlateMap,
    rows: Sequence[Mapping[str, Any]],
    attributes: Mapping[str, Any],
    problems: Sequence[Problem],
    started: float,
) -> None:
    inputs = {"source": runs.fingerprint([row[tables.FINGERPRINT] for row in rows])}
    if config.platemap:
        inputs["platemap"] = runs.file_stamp(runs.as_path(config.platemap))
    plate.create_plate(config.out, attributes, [])
    images = pd.DataFrame(list(rows)).sort_values(list(tables.IMAGE_KEY), ignore_index=True)
    plate.write_plate_table(config.out, plate.IMAGES, images)
    wells = platemap.to_frame(wells_map)
    wells[tables.PLATE] = source.name
    plate.write_plate_table(config.out, plate.WELLS, wells)
    plate.write_provenance(config.out, STAGE, runs.provenance(STAGE, config, inputs, started))
    io_tables.write_problems(config.out, [problem.row() for problem in problems])
