"""``hcs simulate``: plates of TIFFs, plate map, truth and study file from one configuration."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

import pandas as pd
import tifffile

from hcs.compute.units import Unit, run_units
from hcs.domain import columns as col
from hcs.domain.config.stages import SimulateConfig
from hcs.domain.results import StageResult
from hcs.errors import InputError
from hcs.io.files import parquet
from hcs.io.files.atomic import remove, replacing, write_bytes, write_json
from hcs.io.files.paths import as_path
from hcs.io.runs.fingerprints import fingerprint
from hcs.io.runs.ledger import Ledger
from hcs.io.runs.locks import locked
from hcs.io.runs.provenance import provenance
from hcs.simulate import cohort, screen, truth
from hcs.simulate.fields import FieldJob, render_field
from hcs.simulate.plans import PlatePlan, SimulatedClone, WellPlan
from hcs.simulate.studyfile import study_yaml
from hcs.simulate.variation import Setting, styles_of

if TYPE_CHECKING:
    from distributed import Client

log = logging.getLogger(__name__)

STAGE: Final = "simulate"
PLATEMAP: Final = "platemap.csv"
STUDY: Final = "study.yaml"
RECORD: Final = "simulation.json"
TRUTH_IMAGES: Final = "truth_images.parquet"
TRUTH_CELLS: Final = "truth_cells.parquet"
TRUTH_WELLS: Final = "truth_wells.parquet"
TRUTH_CLONES: Final = "truth_clones.parquet"
TRUTH_COMPOUNDS: Final = "truth_compounds.parquet"

DEFAULT_NEURONS_PER_MM2: Final = 110.0

_FORMAT: Final = 1  # raise it when the same settings would give other pixels
_CM_UM: Final = 1e4


@dataclass(frozen=True, slots=True)
class WellTask:
    """All fields of one well; the unit of work."""

    folder: str
    jobs: tuple[FieldJob, ...]


def run(config: SimulateConfig, client: Client | None = None) -> StageResult:
    """Draw all plates of a simulated study into ``config.out``.

    Writes a folder of TIFFs a plate, ``platemap.csv``, the truth as ``truth_*.parquet`` and, when
    there is a cohort large enough for splits, ``study.yaml`` for ``hcs run``. Images that are
    complete for the same settings are left as they are.

    Parameters
    ----------
    config
        What to draw.
    client
        Dask client; None draws in this process.

    Raises
    ------
    InputError
        When ``config.out`` holds something that no simulation wrote.
    """
    started = time.time()
    _check_out(config.out)
    with locked(config.out):
        return _run(config, client, started)


def plan(config: SimulateConfig) -> tuple[PlatePlan, ...]:
    """Plan every plate that the configuration asks for, before anything is drawn."""
    if config.preset == "screen":
        return screen.plan_screen(config, 1)
    plates = cohort.plan_cohort(config)
    if config.preset == "demo":
        plates += screen.plan_screen(config, config.batches + 1)
    return plates


def file_name(job: FieldJob) -> str:
    """Name of an image as an IN Cell Analyzer gives it: ``A - 01(fld 001 wv Blue - FITC).tif``."""
    return f"{job.well[:-2]} - {job.well[-2:]}(fld {job.site:03d} wv Blue - FITC).tif"


def draw_well(task: WellTask) -> dict[str, Any]:
    """Draw and write the fields of one well; runs on a worker.

    Returns
    -------
    dict
        Rows for the truth tables: ``images`` and ``cells``.
    """
    images: list[dict[str, Any]] = []
    cells: list[dict[str, Any]] = []
    for job in task.jobs:
        pixels, found = render_field(job)
        per_cm = _CM_UM / job.pixel_size_um
        with replacing(as_path(task.folder) / file_name(job)) as temporary:
            tifffile.imwrite(
                temporary,
                pixels,
                photometric="minisblack",
                resolution=(per_cm, per_cm),
                resolutionunit="CENTIMETER",
                software="hcs simulate",
                metadata=None,
            )
        key: dict[str, str | int] = {
            col.PLATE: job.plate,
            col.WELL: job.well,
            col.SITE: job.site,
        }
        image, somas = truth.field_rows(key, found, job.pixel_size_um)
        images.append(image)
        cells.extend(somas)
    return {"images": images, "cells": cells}


def _check_out(out: str) -> None:
    folder = as_path(out)
    if folder.is_dir() and any(folder.iterdir()) and not (folder / RECORD).exists():
        msg = f"{out} is not empty and holds no simulation; choose another folder"
        raise InputError(msg)


def _run(config: SimulateConfig, client: Client | None, started: float) -> StageResult:
    plates = plan(config)
    out = as_path(config.out)
    made = provenance(STAGE, config, {}, started)
    write_json(out / RECORD, made)
    units = [unit for plate in plates for unit in _units(config, plate)]
    ledger = Ledger.of(config.out)
    _remove_others(config.out, units)
    _forget_lost(units, ledger)
    outcome = run_units(draw_well, units, ledger=ledger, client=client, label="simulate")
    write_bytes(out / PLATEMAP, truth.platemap(plates))
    for name, frame in _tables(config, plates, outcome.results).items():
        parquet.write_table(out / name, frame, made)
    study = study_yaml(config, plates)
    if study is None:
        remove(out / STUDY)
    else:
        write_bytes(out / STUDY, study)
    return StageResult(
        stage=STAGE,
        out=config.out,
        summary=_summary(config, plates, study is not None),
        n_run=outcome.n_run,
        n_skipped=outcome.n_skipped,
        seconds=time.time() - started,
    )


def _units(config: SimulateConfig, plate: PlatePlan) -> list[Unit[WellTask]]:
    folder = str(as_path(config.out) / plate.name)
    units = []
    for item in plate.wells:
        jobs = tuple(_job(config, plate, item, site + 1) for site in range(item.n_sites))
        mark = fingerprint(_FORMAT, [asdict(job) for job in jobs])
        units.append(Unit(f"{plate.name}/{item.well.name}", mark, WellTask(folder, jobs)))
    return units


def _job(config: SimulateConfig, plate: PlatePlan, item: WellPlan, site: int) -> FieldJob:
    area_mm2 = (config.image_px * config.pixel_size_um / 1000) ** 2
    wanted = config.neurons_per_image
    setting = Setting(
        seed=config.seed,
        clone_variation=config.clone_variation,
        batch_variation=config.batch_variation,
        neurons_per_mm2=DEFAULT_NEURONS_PER_MM2 if wanted is None else wanted / area_mm2,
    )
    clone = "none" if item.clone is None else item.clone.name
    looks, microscope = styles_of(setting, clone, plate.batch, item.condition)
    return FieldJob(
        seed=config.seed,
        plate=plate.name,
        well=item.well.name,
        site=site,
        image_px=config.image_px,
        pixel_size_um=config.pixel_size_um,
        neurons=looks,
        optics=microscope,
    )


def _paths(unit: Unit[WellTask]) -> Iterable[str]:
    folder = as_path(unit.payload.folder)
    return (str(folder / file_name(job)) for job in unit.payload.jobs)


def _forget_lost(units: Sequence[Unit[WellTask]], ledger: Ledger) -> None:
    """Mark wells as stale whose images were deleted since they were drawn."""
    for unit in units:
        lost = not all(as_path(path).exists() for path in _paths(unit))
        if lost and ledger.read(unit.id) is not None:
            ledger.forget(unit.id)


def _remove_others(out: str, units: Sequence[Unit[WellTask]]) -> None:
    """Remove images of an earlier simulation here that this one does not have."""
    wanted = {path for unit in units for path in _paths(unit)}
    for image in as_path(out).glob("[PS][0-9][0-9]*/* - *(fld * wv Blue - FITC).tif"):
        if str(image) not in wanted:
            log.info("removing %s of an earlier simulation", image)
            remove(image)


def _tables(
    config: SimulateConfig, plates: Sequence[PlatePlan], results: Sequence[Mapping[str, Any]]
) -> dict[str, pd.DataFrame]:
    wells = truth.wells_frame(plates)
    images = pd.DataFrame([row for result in results for row in result["images"]])
    planted = wells.drop(columns=[col.COMPOUND, col.CONCENTRATION_UM])
    images = images.merge(planted, on=list(col.WELL_KEY), validate="m:1")
    screens = [plate for plate in plates if plate.role == "screen"]
    groups = range(-(-len(screens) // config.screen_replicates))
    compounds = [item for group in groups for item in screen.draw_compounds(config, group)]
    return {
        TRUTH_IMAGES: images,
        TRUTH_CELLS: pd.DataFrame([row for result in results for row in result["cells"]]),
        TRUTH_WELLS: wells,
        TRUTH_CLONES: truth.clones_frame(_clones(plates)),
        TRUTH_COMPOUNDS: truth.compounds_frame(compounds),
    }


def _clones(plates: Sequence[PlatePlan]) -> list[SimulatedClone]:
    found = {item.clone.name: item.clone for plate in plates for item in plate.wells if item.clone}
    return [found[name] for name in sorted(found)]


def _summary(
    config: SimulateConfig, plates: Sequence[PlatePlan], has_study: bool
) -> dict[str, str | int | float]:
    wells = [item for plate in plates for item in plate.wells]
    shown: dict[str, str | int | float] = {
        "preset": config.preset,
        "plates": len(plates),
        "wells": len(wells),
        "clones": len(_clones(plates)),
        "images": sum(item.n_sites for item in wells),
    }
    if has_study:
        shown["study"] = str(as_path(config.out) / STUDY)
    return shown
