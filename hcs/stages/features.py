"""From plates to morphology: one row an image, one row a cell, labels in the plate."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from upath import UPath

from hcs.compute import budget
from hcs.compute.units import Unit, run_units
from hcs.domain import columns as col
from hcs.domain import ngff
from hcs.domain.config.stages import FeaturesConfig
from hcs.domain.results import Problem, StageResult
from hcs.errors import ImageReadError, InputError
from hcs.io.files import parquet
from hcs.io.files.paths import AnyPath, as_path
from hcs.io.plates import plate, plate_tables
from hcs.io.plates.plate import PlateReader
from hcs.io.runs.fingerprints import fingerprint
from hcs.io.runs.ledger import Ledger
from hcs.io.runs.locks import locked
from hcs.io.runs.provenance import provenance
from hcs.ops import morphology
from hcs.stages.work.measuring import PlatePlan, plan_plate

if TYPE_CHECKING:
    from distributed import Client

STAGE: Final = "features"

_FORMAT: Final = 2

_UNITS: Final = ("um", "px")

_COPIES: Final = 40
"""Peak memory in copies of one acquired 16-bit field; the kernels' promise."""


@dataclass(frozen=True)
class FieldTask:
    """One field to measure."""

    site: int
    field_path: str


@dataclass(frozen=True)
class WellTask:
    """One well to measure; the unit of work."""

    out: str
    unit_id: str
    plate_path: str
    plate: str
    well: str
    fields: tuple[FieldTask, ...]
    plan: PlatePlan
    pixel_size_um: float | None
    write_labels: bool
    strict: bool


def run(config: FeaturesConfig, client: Client | None = None) -> StageResult:
    """Measure every field of every plate into ``config.out``.

    Writes ``<out>`` (one row an image), ``<stem>_cells.parquet`` (one row a cell), label images
    ``soma`` and ``neurites`` into the plates, and the plate's rows as its table ``features``.

    Raises
    ------
    NotFoundError, InputError, UnknownNameError
        When a plate, or the channel in it, does not exist, or some plates have a pixel size and
        others do not.
    """
    started = time.time()
    with locked(config.out):
        return _run(config, client, started)


def cells_path(out: AnyPath) -> UPath:
    """Return where the table of single cells lies."""
    path = as_path(out)
    return path.parent / f"{path.stem}_cells.parquet"


def _run(config: FeaturesConfig, client: Client | None, started: float) -> StageResult:
    readers = [PlateReader(path) for path in config.plates]
    _check_pixel_sizes(readers)
    ledger = Ledger.of(config.out)
    _check_budget(readers, config, client)
    plans = {reader.name: plan_plate(config, reader) for reader in readers}
    units = [unit for reader in readers for unit in _units(config, reader, plans[reader.name])]
    outcome = run_units(_measure_well, units, ledger=ledger, client=client, label="features")
    problems = [Problem(**item) for result in outcome.results for item in result["problems"]]
    images = _joined(ledger, units, ".images.parquet")
    cells = _joined(ledger, units, ".cells.parquet")
    if images.empty:
        msg = f"no image of {', '.join(config.plates)} could be measured"
        raise InputError(msg)
    metadata = pd.concat([_metadata(reader) for reader in readers], ignore_index=True)
    images = metadata.merge(images, on=list(col.IMAGE_KEY), how="inner", validate="1:1")
    cells = metadata.merge(cells, on=list(col.IMAGE_KEY), how="inner")
    inputs = {unit.id: unit.fingerprint for unit in units}
    inputs = {"wells": fingerprint(inputs)}
    measured_with = {reader.name: plans[reader.name].record(reader) for reader in readers}
    made = {**provenance(STAGE, config, inputs, started), "measured_with": measured_with}
    parquet.write_table(config.out, images, made)
    parquet.write_table(cells_path(config.out), cells, made)
    for reader in readers:
        rows = images[images[col.PLATE] == reader.name].reset_index(drop=True)
        plate_tables.write_plate_table(reader.path, STAGE, rows)
        plate.write_provenance(reader.path, STAGE, made)
    parquet.write_problems(config.out, [problem.row() for problem in problems])
    return StageResult(
        stage=STAGE,
        out=config.out,
        summary={
            "images": len(images),
            "cells": int(images[col.N_CELLS].sum()),
            "features": sum(name.startswith("Image_") for name in images.columns),
            **_told(measured_with),
        },
        n_run=outcome.n_run,
        n_skipped=outcome.n_skipped,
        problems=tuple(problems),
        seconds=time.time() - started,
    )


def _told(measured_with: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Say what each plate was measured with, in words."""
    told = {}
    for plate_name, found in measured_with.items():
        sizes = [
            f"{k.rsplit('_', 1)[0]} {v:g} {k[-2:]}" for k, v in found.items() if k[-2:] in _UNITS
        ]
        light = [
            f"{channel} {'corrected' if item['corrected'] else 'not corrected'}"
            f" (uneven by {item['range_fraction']:.0%})"
            for channel, item in found["illumination"].items()
        ]
        told[f"scales of {plate_name}"] = ", ".join(sizes).replace("_", " ")
        if light:
            told[f"illumination of {plate_name}"] = ", ".join(light)
    return told


def _check_pixel_sizes(readers: Sequence[PlateReader]) -> None:
    sizes = {reader.name: reader.pixel_size_um for reader in readers}
    if len({size is None for size in sizes.values()}) > 1:
        without = [name for name, size in sizes.items() if size is None]
        msg = f"plates {without} have no pixel size, the others have: features would mix µm and px"
        raise InputError(msg)


def _check_budget(
    readers: Sequence[PlateReader], config: FeaturesConfig, client: Client | None
) -> None:
    largest = 0
    for reader in readers:
        channel = reader.channel_index(config.channel)
        first = str(reader.images[col.FIELD_PATH].iloc[0])
        largest = max(largest, reader.read_plane(first, channel).size * 2)
    needed = budget.WORKER_FLOOR_BYTES + _COPIES * largest
    budget.check_budget(STAGE, needed, client, "give workers more memory or fewer threads")


def _units(config: FeaturesConfig, reader: PlateReader, plan: PlatePlan) -> list[Unit[WellTask]]:
    pixel_size_um = reader.pixel_size_um
    units = []
    for well, images in reader.images.groupby(col.WELL, sort=True):
        fields = tuple(
            FieldTask(int(site), str(path))
            for site, path in zip(images[col.SITE], images[col.FIELD_PATH], strict=True)
        )
        unit_id = f"{reader.name}-{well}"
        task = WellTask(
            out=config.out,
            unit_id=unit_id,
            plate_path=reader.path,
            plate=reader.name,
            well=str(well),
            fields=fields,
            plan=plan,
            pixel_size_um=pixel_size_um,
            write_labels=config.write_labels,
            strict=config.strict,
        )
        mark = fingerprint(
            _FORMAT,
            plan,
            config.write_labels,
            pixel_size_um,
            fields,
            images[col.FINGERPRINT].tolist(),
        )
        units.append(Unit(unit_id, mark, task))
    return units


def _metadata(reader: PlateReader) -> pd.DataFrame:
    images = reader.images
    return images[[name for name in images.columns if name.startswith("Metadata_")]]


def _joined(ledger: Ledger, units: Sequence[Unit[WellTask]], suffix: str) -> pd.DataFrame:
    frames = [parquet.read_table(ledger.part(unit.id, suffix)) for unit in units]
    kept = [frame for frame in frames if not frame.empty] or frames[:1]
    return pd.concat(kept, ignore_index=True)


def _measure_well(task: WellTask) -> Mapping[str, Any]:
    """Measure the fields of one well; runs on a worker."""
    reader = PlateReader(task.plate_path)
    images: list[dict[str, Any]] = []
    cells: list[pd.DataFrame] = []
    problems: list[dict[str, Any]] = []
    for field in task.fields:
        key = {col.PLATE: task.plate, col.WELL: task.well, col.SITE: field.site}
        try:
            found = _measure(reader, field, task)
        except ImageReadError as error:
            if task.strict:
                raise
            problems.append(_problem(task, field, error).model_dump(mode="json"))
            continue
        if task.write_labels:
            labels = {"soma": found.soma, "neurites": found.neurites}
            if found.nuclei is not None:
                labels["nuclei"] = found.nuclei
            _write_labels(task, field, labels)
        images.append({**key, **found.features})
        cells.append(pd.DataFrame({**key, **found.cells}, index=range(int(found.soma.max()))))
    ledger = Ledger.of(task.out)
    image_rows = pd.DataFrame(images, columns=None if images else list(col.IMAGE_KEY))
    cell_rows = pd.concat(cells) if cells else pd.DataFrame(columns=list(col.IMAGE_KEY))
    parquet.write_table(ledger.part(task.unit_id, ".images.parquet"), image_rows)
    parquet.write_table(ledger.part(task.unit_id, ".cells.parquet"), cell_rows)
    return {"n_images": len(images), "problems": problems}


def _measure(reader: PlateReader, field: FieldTask, task: WellTask) -> morphology.FieldMorphology:
    """Read the planes of one field and measure them."""
    plan = task.plan
    picture = reader.read_plane(field.field_path, plan.channel)

    def even(channel: int) -> NDArray[Any]:
        plane = reader.read_plane(field.field_path, channel)
        flat = plan.flat(channel, plane.shape)
        return plane if flat is None else plane / flat

    return morphology.measure_field(
        picture,
        pixel_size_um=task.pixel_size_um,
        settings=plan.settings,
        nuclei=None if plan.nuclei is None else even(plan.nuclei),
        markers={name: even(channel) for name, channel in plan.markers.items()},
        flat=plan.flat(plan.channel, picture.shape),
    )


def _write_labels(
    task: WellTask, field: FieldTask, labels: Mapping[str, NDArray[np.uint16]]
) -> None:
    for name, label in labels.items():
        levels = ngff.pyramid(label.shape, label.dtype.itemsize)
        # A label is a name, not a quantity: pyramid levels pick pixels, they never average.
        pictures = [(level, label[:: level.factor, :: level.factor]) for level in levels]
        plate.write_label(task.plate_path, field.field_path, name, pictures, task.pixel_size_um)


def _problem(task: WellTask, field: FieldTask, error: ImageReadError) -> Problem:
    return Problem(
        stage=STAGE,
        file=field.field_path,
        reason=col.Reason(error.reason),
        message=str(error),
        plate=task.plate,
        well=task.well,
        site=field.site,
    )
