"""From a folder of microscope images and a plate map to one OME-Zarr plate."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd

from hcs.compute import budget
from hcs.compute.units import Unit
from hcs.domain import columns as col
from hcs.domain import ngff
from hcs.domain.config.stages import IngestConfig
from hcs.domain.plate import PlateMap, SourcePlate, quote_names
from hcs.domain.results import Problem, StageResult
from hcs.domain.wells import PlateFormat, Well
from hcs.errors import Fault, FaultsError, InputError
from hcs.io import layouts
from hcs.io.files import objects, storage
from hcs.io.files.paths import as_path
from hcs.io.images.sources import OME_ZARR
from hcs.io.plates import overview, plate, plate_tables
from hcs.io.plates.reader import PlateReader
from hcs.io.runs.fingerprints import file_stamp, fingerprint
from hcs.io.sheets import platemap, platenames
from hcs.io.sheets.reading.cells import Dialect
from hcs.stages.frame import Frame, MadeFrom, open_frame
from hcs.stages.work.ingest import (
    channels as ingest_channels,
)
from hcs.stages.work.ingest import (
    in_place as ingest_in_place,
)
from hcs.stages.work.ingest import (
    jobs as ingest_jobs,
)
from hcs.stages.work.ingest import (
    planes as ingest_planes,
)
from hcs.stages.work.ingest import (
    verify as ingest_verify,
)
from hcs.stages.work.ingest import (
    windows as ingest_windows,
)
from hcs.stages.work.ingest.channels import Expected
from hcs.stages.work.ingest.earlier import Earlier, read_earlier, refuse_losses
from hcs.stages.work.ingest.reading import STAGE, WellJob, count_bytes
from hcs.stages.work.ingest.vanished import name_vanished
from hcs.stages.work.ingest.wells import write_well
from hcs.stages.work.tables import hash_rows

if TYPE_CHECKING:
    from distributed import Client

_PREVIEWED: Final = 10


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
    objects.refuse_address(config.source)
    tables = ("platemap", "barcodes", "sheet", "barcodes_sheet", "decimal")
    apart = ("source", "out", *tables, "verify", "strict")
    reads = (config.source,) if layouts.is_plate(config.source) else ()
    with open_frame(
        STAGE, config, client, out=config.out, reads=reads, apart=apart, may_be_input=True
    ) as frame:
        return _run(config, frame)


def preview(config: IngestConfig) -> StageResult:
    """Say what :func:`run` would read, and write nothing.

    Returns
    -------
    StageResult
        With the plate that the files make in its summary, and files that fit no name among its
        problems.
    """
    scanned = _scan_source(config)
    source = scanned.plate
    wells: dict[str, set[int]] = {}
    for item in source.planes:
        wells.setdefault(item.well.name, set()).add(item.site)
    fields = {len(sites) for sites in wells.values()}
    shown = [
        f"{item.path} → {item.well.name} site {item.site} {item.channel}"
        f"{ingest_planes.name_place(item, source)}"
        for item in source.planes[:_PREVIEWED]
    ]
    return StageResult(
        stage=STAGE,
        out=config.out,
        written=False,
        summary={
            "plate": source.name,
            "layout": scanned.why,
            "format": f"{source.plate_format.n_wells} wells",
            "files matched": len({item.path for item in source.planes}),
            "wells": len(wells),
            "fields a well": " or ".join(map(str, sorted(fields))),
            "channels": quote_names(source.channels),
            **{f"plane {number}": text for number, text in enumerate(shown, start=1)},
        },
        problems=tuple(Problem.from_row(row) for row in scanned.problems),
    )


def _scan_source(config: IngestConfig) -> layouts.ScanResult:
    return layouts.scan(
        config.source,
        config.layout,
        plate_name=config.plate_name,
        plate_format=PlateFormat.of_size(config.plate_wells) if config.plate_wells else None,
        pixel_size_um=config.pixel_size_um,
        acquisition=config.acquisition,
        page_axis=config.pages,
    )


@dataclass(frozen=True)
class _Plan:
    """What is known before any pixel is read."""

    scanned: layouts.ScanResult
    source: SourcePlate
    mapped: PlateMap | None
    wells_map: PlateMap
    expected: Expected
    jobs: list[WellJob]
    in_place: bool
    misfits: list[Problem]


def _make_plan(config: IngestConfig) -> _Plan:
    mapped = None
    if config.platemap:
        dialect = Dialect(config.sheet, config.decimal)
        mapped = platemap.read_platemap(
            config.platemap, config.barcodes, dialect, config.barcodes_sheet
        )
    scanned = _scan_source(config)
    wells_map = platenames.select_plate(mapped, scanned.plate.name) if mapped else PlateMap(rows=())
    source = _choose_format(config, scanned.plate, wells_map)
    in_place = as_path(config.source) == as_path(config.out)
    if in_place:
        ingest_in_place.check(config, source)
    else:
        ingest_in_place.refuse_other_plate(config, source.name)
    source, expected, misfits = ingest_channels.fit_channels(config, source)
    source = ingest_planes.choose_plane(config, source)
    earlier = Earlier() if in_place else read_earlier(config.out)
    jobs = ingest_jobs.well_jobs(config, source, expected, earlier, in_place=in_place)
    if not in_place:
        refuse_losses(config, earlier, jobs)
    return _Plan(scanned, source, mapped, wells_map, expected, jobs, in_place, misfits)


def _run(config: IngestConfig, frame: Frame) -> StageResult:
    plan = _make_plan(config)
    needed = budget.WORKER_FLOOR_BYTES + max(map(count_bytes, plan.jobs), default=0)
    budget.check_budget("ingest", needed, frame.client, "give workers more memory or fewer threads")
    frame.problems += [Problem.from_row(row) for row in plan.scanned.problems] + plan.misfits
    shown = None if plan.in_place else ingest_windows.plan_windows(plan.source, plan.jobs, frame)
    if shown is not None:
        plan = dataclasses.replace(plan, jobs=shown.give_to(plan.jobs))
    results = _write(config, plan, frame)
    if not plan.in_place:
        frame.add_problems(name_vanished(plan.jobs, results, frame))
    rows = [row for result in results for row in result["images"]]
    padded = any(result["padded"] for result in results)
    if not rows:
        first = "; ".join(problem.message for problem in frame.problems[:3])
        msg = f"no image of {config.source} could be read: {first}"
        raise InputError(msg)
    kept_wells = sorted({Well.parse(row[col.WELL]) for row in rows})
    frame.problems += _compare_with_map(plan.source, plan.mapped, plan.wells_map, kept_wells)
    if not plan.in_place:
        plate.create_plate(config.out, _make_attributes(plan, kept_wells), [])
    if config.verify:
        frame.problems += ingest_verify.compare(config.out, plan.jobs, rows, frame.client)
    renewed = 0 if shown is None else ingest_windows.join_windows(shown, plan.jobs, frame)
    _join_tables(config, plan, rows, frame, padded=padded)
    return frame.result(
        {
            "plate": plan.source.name,
            "layout": plan.scanned.why,
            "format": f"{plan.source.plate_format.n_wells} wells",
            "wells": len(kept_wells),
            "fields": len(rows),
            "channels": quote_names(plan.source.channels),
            **_describe_pixels(plan.expected),
            **_describe_windows(plan.source, shown, renewed),
            **ingest_planes.describe_planes(plan.source, plan.jobs[0]),
            **_list_extras(config, plan.source, frame.problems),
            **({"plate map": "; ".join(plan.wells_map.notes)} if plan.wells_map.notes else {}),
        }
    )


def _write(config: IngestConfig, plan: _Plan, frame: Frame) -> list[dict[str, Any]]:
    """Write the wells that are missing or changed."""
    if not plan.in_place:
        storage.sweep_plate(config.out)
        if not (as_path(config.out) / "zarr.json").exists():
            wells = [job.well for job in plan.jobs]
            plate.create_plate(config.out, _make_attributes(plan, wells), [])
        plate.create_rows(config.out, sorted({job.well.path.split("/")[0] for job in plan.jobs}))
        n_channels = len(plan.source.channels)
        overview.create_overview(
            config.out, plan.source.plate_format, n_channels, plan.expected.dtype
        )
    units = [
        Unit(job.well.name, MadeFrom(ingest_jobs.FORMAT, pixels=items).fingerprint, job, items)
        for job in plan.jobs
        for items in [{field.path: field.fingerprint for field in job.fields}]
    ]
    results = frame.do(write_well, units, label=f"ingest {plan.source.name}", in_place=True)
    if not plan.in_place and frame.n_run:
        storage.sweep_plate(config.out)  # of workers that were killed meanwhile
    return results


def _describe_pixels(expected: Expected) -> dict[str, str]:
    height, width = expected.shape
    size = f"{expected.pixel_size_um} µm" if expected.pixel_size_um else "unknown"
    return {"field": f"{height} × {width} {expected.dtype}", "pixel size": size}


def _describe_windows(
    source: SourcePlate, shown: ingest_windows.Windows | None, renewed: int
) -> dict[str, str]:
    """Say between which values viewers open each channel."""
    if shown is None:
        return {}
    texts = [
        f"{quote_names([channel])} {window}"
        for channel, window in zip(source.channels, shown.windows, strict=True)
    ]
    changed = f"; changed in {renewed} fields of earlier runs" if renewed else ""
    return {"display windows": ", ".join(texts) + changed}


def _make_attributes(plan: _Plan, wells: Sequence[Well]) -> dict[str, Any]:
    fields_per_well = max((len(job.fields) for job in plan.jobs), default=0)
    name, plate_format = plan.source.name, plan.source.plate_format
    return ngff.plate_attributes(name, plate_format, wells, fields_per_well)


def _list_extras(
    config: IngestConfig, source: SourcePlate, problems: Sequence[Problem]
) -> dict[str, str | int]:
    """Say what not every run has to tell."""
    extras: dict[str, str | int] = {}
    if config.projection != "keep":
        extras["z-stacks"] = f"projected ({config.projection})"
    if config.verify:
        extras["verified"] = ingest_verify.describe_outcome(problems)
    if source.positions:
        extras["stage positions"] = f"of {len(source.positions)} fields"
    if source.flat_fields:
        extras["flat fields"] = ", ".join(item.channel for item in source.flat_fields)
    if source.excluded:
        extras["wells that the microscope skipped"] = len(source.excluded)
    return extras


def _choose_format(config: IngestConfig, source: SourcePlate, wells_map: PlateMap) -> SourcePlate:
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


def _compare_with_map(
    source: SourcePlate, mapped: PlateMap | None, wells_map: PlateMap, found: Sequence[Well]
) -> list[Problem]:
    if mapped is None:
        return []
    described = {row.well for row in wells_map.rows}
    if not described:
        why = "; ".join(wells_map.notes) or "it is empty"
        message = (
            f"the plate map says nothing of plate {source.name!r}: {why}. Name the plate as there, "
            "with --plate-name or in the map"
        )
        common = {"stage": STAGE, "file": mapped.source, "reason": col.Reason.NOT_IN_MAP}
        return [Problem(**common, message=message, plate=source.name, kept=True)]
    problems = [
        Problem(
            stage=STAGE,
            file=mapped.source,
            reason=col.Reason.NO_IMAGES,
            message=f"the plate map describes well {well.name}, but it has no images",
            plate=source.name,
            well=well.name,
        )
        for well in sorted(described - set(found) - set(source.excluded))
    ]
    problems += [
        Problem(
            stage=STAGE,
            file=mapped.source,
            reason=col.Reason.NOT_IN_MAP,
            message=f"well {well.name} has images, but the plate map does not describe it",
            plate=source.name,
            well=well.name,
            kept=True,
        )
        for well in sorted(set(found) - described)
    ]
    return problems


def _join_tables(
    config: IngestConfig,
    plan: _Plan,
    rows: Sequence[Mapping[str, Any]],
    frame: Frame,
    *,
    padded: bool,
) -> None:
    """Write what the images and the wells are, in the plate."""
    frame.inputs["source"] = fingerprint([row[col.FINGERPRINT] for row in rows])
    for name, path in (("platemap", config.platemap), ("barcodes", config.barcodes)):
        if path:
            frame.inputs[name] = file_stamp(as_path(path))
    images = pd.DataFrame(list(rows)).sort_values(list(col.IMAGE_KEY), ignore_index=True)
    if plan.source.positions:
        found = {(p.well.name, p.site): (p.x_um, p.y_um) for p in plan.source.positions}
        keys = zip(images[col.WELL], images[col.SITE], strict=True)
        places = [found.get((str(well), int(site)), (np.nan, np.nan)) for well, site in keys]
        images[[col.POSITION_X_UM, col.POSITION_Y_UM]] = places
    wells = _make_well_table(config, plan)
    profiles = [item.model_dump(mode="json") for item in plan.source.flat_fields]
    planes = ingest_planes.note_planes(plan.jobs[0], padded=padded)

    def write(made: Mapping[str, Any]) -> None:
        plate_tables.write_plate_table(config.out, plate_tables.IMAGES, images)
        plate_tables.write_plate_table(config.out, plate_tables.WELLS, wells)
        if profiles:
            plate.write_note(config.out, plate.FLAT_FIELDS, profiles)
        if not plan.in_place:
            plate.write_note(config.out, plate.PLANES, planes)
        plate.write_provenance(config.out, STAGE, made)

    known = (hash_rows(images), hash_rows(wells), profiles, planes)
    made_from = MadeFrom(ingest_jobs.FORMAT, frame.settings, metadata=known)
    frame.join("tables", made_from, write)


def _make_well_table(config: IngestConfig, plan: _Plan) -> pd.DataFrame:
    """Return the plate map; of a plate that has one and is given none, its own."""
    if plan.mapped is None and plan.source.layout == OME_ZARR:
        wells = PlateReader(config.source).well_table.copy()
    else:
        wells = platemap.to_frame(plan.wells_map)
    wells[col.PLATE] = plan.source.name
    return wells
