"""What a worker does of measuring: the fields of a well at every time, their rows and labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pandas as pd
from numpy.typing import NDArray

from hcs.compute.units import Past
from hcs.compute.work import AGAIN
from hcs.domain import columns as col
from hcs.domain.config.labels import PlateLabel
from hcs.domain.results import Problem
from hcs.errors import ImageReadError
from hcs.io.files import parquet
from hcs.io.plates.labels import LabelImages, drop_former
from hcs.io.plates.reader import PlateReader
from hcs.io.runs.ledger import Ledger
from hcs.planes.given import Located
from hcs.stages.work.images import MAY_PASS
from hcs.stages.work.measuring.fields import Measured, measure_plane
from hcs.stages.work.measuring.plans import PlatePlan

STAGE: Final = "features"

IMAGES, CELLS = ".images.parquet", ".cells.parquet"
"""Parts of a unit: one row an image and time point, one row a cell."""


_LABELS: Final = frozenset({"soma", "neurites", "nuclei", "cells"})
"""Names of all labels that any assay writes."""


@dataclass(frozen=True, slots=True)
class FieldTask:
    """One field to measure."""

    site: int
    field_path: str


@dataclass(frozen=True, slots=True)
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
    is_timed: bool
    write_labels: bool
    strict: bool
    given: Mapping[str, Located]


def measure_well(task: WellTask, past: Past) -> Mapping[str, Any]:
    """Measure the fields of one well; runs on a worker. Fields that are still true are kept."""
    reader = PlateReader(task.plate_path)
    ledger = Ledger.of(task.out)
    kept = {item.site for item in task.fields if item.field_path in past.items}
    images = [_read_part(ledger, task, IMAGES, kept)]
    cells = [_read_part(ledger, task, CELLS, kept)]
    problems = [item for item in past.result.get("problems", ()) if item["site"] in kept]
    again: set[str] = set()
    n_chosen = len(task.plan.chosen.times)
    n_absent = sum(n_chosen - len(_list_times(reader, field, task)) for field in task.fields)
    for name in past.items:
        past.keep_files(f"/{name}/labels/")
    for field in task.fields:
        if field.site in kept:
            continue
        found = _measure_field(reader, field, task)
        for item in found:
            if isinstance(item, Problem):
                problems.append(item.model_dump(mode="json"))
                again |= {field.field_path} if item.reason in MAY_PASS else set()
            else:
                images.append(item[0])
                cells.append(item[1])
    image_rows, cell_rows = _stack_rows(images), _stack_rows(cells)
    parquet.write_table(ledger.part(task.unit_id, IMAGES), image_rows)
    parquet.write_table(ledger.part(task.unit_id, CELLS), cell_rows)
    counts = {"n_images": len(image_rows), "n_cells": len(cell_rows), "n_not_acquired": n_absent}
    return {**counts, "problems": problems, AGAIN: sorted(again)}


_Rows = tuple[pd.DataFrame, pd.DataFrame]


def _measure_field(reader: PlateReader, field: FieldTask, task: WellTask) -> list[_Rows | Problem]:
    """Measure one field at every time: its row, those of its cells; or say why it cannot be.

    Its labels are written when all times are through. Where several times are measured, those at
    which the field was not acquired are passed over.
    """
    labels = LabelImages(reader.n_z, reader.n_t)
    found: list[_Rows | Problem] = []
    written: set[str] = set()
    for time in _list_times(reader, field, task):
        try:
            measured, planes = measure_plane(reader, task.plan, task.given, field.field_path, time)
        except ImageReadError as error:
            if task.strict:
                raise
            found.append(_describe_problem(error, field, task, time))
            continue
        for name, plane in _name_labels(measured, task.given).items():
            labels.add(name, plane, time)
            written.add(name)
        key = _name_row(field, task, time)
        count = len(next(iter(measured.cells.values())))
        cells = pd.DataFrame({**key, **measured.cells}, index=range(count))
        found.append((pd.DataFrame([{**key, **planes, **measured.features}]), cells))
    if task.write_labels:
        labels.write(task.plate_path, field.field_path, task.pixel_size_um)
        if written:
            former = _LABELS - written - _name_sources(task.given)
            drop_former(task.plate_path, field.field_path, sorted(former))
    return found


def _name_labels(measured: Measured, given: Mapping[str, Located]) -> dict[str, NDArray[Any]]:
    """Labels to write, by name; those that lie in the plate already stay as they are."""
    lie_there = {kind for kind, located in given.items() if located.source.kind == "plate"}
    left_out = lie_there | ({"soma"} if "cells" in lie_there else set())
    return {name: plane for name, plane in measured.labels.items() if name not in left_out}


def _name_sources(given: Mapping[str, Located]) -> set[str]:
    """Labels in the plate that objects are taken from."""
    sources = (located.source for located in given.values())
    return {source.name for source in sources if isinstance(source, PlateLabel)}


def _list_times(reader: PlateReader, field: FieldTask, task: WellTask) -> list[int]:
    """List the times to measure: of several, those at which the field was acquired."""
    times = task.plan.chosen.times
    if len(times) == 1:
        return list(times)
    place = (field.field_path, task.plan.channels.main)
    there = reader.acquired(*place) | reader.missing(*place)
    return [time for time in times if there[time].any()]


def _name_row(field: FieldTask, task: WellTask, time: int) -> dict[str, Any]:
    """Say which image and time point a row is of."""
    key: dict[str, Any] = {col.PLATE: task.plate, col.WELL: task.well, col.SITE: field.site}
    if task.is_timed:
        key[col.TIME] = time
        if (minutes := task.plan.chosen.minutes_of(time)) is not None:
            key[col.TIME_MIN] = minutes
    return key


def _describe_problem(
    error: ImageReadError, field: FieldTask, task: WellTask, time: int
) -> Problem:
    problem = Problem.from_error(
        error,
        stage=STAGE,
        file=field.field_path,
        plate=task.plate,
        well=task.well,
        site=field.site,
    )
    if not task.is_timed:
        return problem
    return problem.model_copy(update={"message": f"time {time}: {problem.message}"})


def _read_part(ledger: Ledger, task: WellTask, suffix: str, sites: set[int]) -> pd.DataFrame:
    """Read the rows of some fields that an earlier run measured."""
    if not sites:
        return pd.DataFrame()
    rows = parquet.read_table(ledger.part(task.unit_id, suffix))
    return rows[rows[col.SITE].isin(sites)] if len(rows) else rows


def _stack_rows(frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Put rows of fields below one another, in the order of sites and times."""
    filled = [frame for frame in frames if len(frame)]
    if not filled:
        return pd.DataFrame(columns=list(col.IMAGE_KEY))
    rows = pd.concat(filled)
    keys = [name for name in (col.SITE, col.TIME) if name in rows]
    return rows.sort_values(keys, kind="stable", ignore_index=True)
