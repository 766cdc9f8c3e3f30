"""From scores of images, or any other values, to scored wells, judged plates and called hits."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Final

import pandas as pd
from upath import UPath

from hcs.domain import columns as col
from hcs.domain.config.screening import SsmdCall
from hcs.domain.config.stages import HitsConfig, ScoresOfImages, ValuesTable
from hcs.domain.results import Problem, StageResult
from hcs.errors import InputError
from hcs.io.files import parquet
from hcs.io.files.paths import as_path, is_local
from hcs.io.files.together import replace_together
from hcs.io.predictions import iterate_plates
from hcs.io.runs.fingerprints import fingerprint_file
from hcs.io.sheets import values as io_values
from hcs.io.sheets.reading.cells import Dialect
from hcs.planes.times import keep_time
from hcs.screen import aggregate
from hcs.screen import hits as screen_hits
from hcs.screen.curves.dose import fit_doses
from hcs.screen.curves.growth import fit_growths
from hcs.screen.position.advice import try_corrections
from hcs.screen.power import detectable_effects
from hcs.screen.quality import batch_quality
from hcs.screen.replicates import call_compounds
from hcs.stages.frame import Frame, MadeFrom, open_frame, require_parquet
from hcs.stages.work.cell_counts import join_measurements, read_measurements
from hcs.words import hits as words
from hcs.words.english import list_some

STAGE: Final = "hits"

_FORMAT: Final = 9

_AT_ZERO: Final = col.CELLS_AT_ZERO.removeprefix("Metadata_")

PLATES, BATCHES, POSITIONS, POWER, COMPOUNDS, DOSES = (
    "plate_quality",
    "batch_quality",
    "position_choices",
    "power",
    "compounds",
    "dose_fits",
)
"""Tables that are written beside the hits."""

_OTHERS: Final = (PLATES, BATCHES, POSITIONS, POWER, COMPOUNDS, DOSES)


@dataclass(frozen=True, slots=True)
class Screened:
    """All tables of one screen; a table that the screen has no use for is absent."""

    hits: pd.DataFrame
    others: dict[str, pd.DataFrame]
    problems: tuple[Problem, ...]


def run(config: HitsConfig) -> StageResult:
    """Score wells against on-plate controls, judge plates, call hits and compounds, fit curves.

    Writes ``<out>`` (one row a well and model) and beside it ``plate_quality``, where batches are
    known ``batch_quality``, where values follow their place ``position_choices`` (every correction
    tried), ``power`` (effects that so many replicates find), where compounds are known
    ``compounds``, and where they have several
    concentrations ``dose_fits``; each as parquet and as CSV. Beside ``X.parquet`` other than
    ``hits.parquet`` these are named ``X_plate_quality`` and so on.

    Raises
    ------
    NotFoundError, InputError, FaultsError
        When the input is absent, lacks columns, has none that is meant, or holds several time
        points and none was chosen.
    """
    require_parquet(config.out)
    _refuse_to_replace_inputs(config)
    with open_frame(STAGE, config, out=config.out, reads=_list_inputs(config)) as frame:
        return _run(config, frame)


def _list_inputs(config: HitsConfig) -> list[str]:
    source = config.source
    optional = source.features if isinstance(source, ScoresOfImages) else source.platemap
    files = (
        [source.path] if isinstance(source, ScoresOfImages) else io_values.list_files(source.path)
    )
    return [*files, *([optional] if optional else [])]


def _refuse_to_replace_inputs(config: HitsConfig) -> None:
    """Refuse an output that would take the place of what is read."""
    inputs = {_real_path(path): path for path in _list_inputs(config)}
    tables = [as_path(config.out), *(beside(config.out, name) for name in _OTHERS)]
    outputs = [*tables, *(table.with_suffix(".csv") for table in tables[1:])]
    for output in outputs:
        if (found := inputs.get(_real_path(str(output)))) is not None:
            msg = f"{output} would take the place of {found}, which is read: choose another --out"
            raise InputError(msg)


def _is_input(file: UPath, config: HitsConfig) -> bool:
    return _real_path(str(file)) in {_real_path(path) for path in _list_inputs(config)}


def _real_path(path: str) -> str:
    return os.path.realpath(path) if is_local(as_path(path)) else path


def _run(config: HitsConfig, frame: Frame) -> StageResult:
    frame.inputs |= {
        path: fingerprint_file(path) if as_path(path).is_file() else ""
        for path in _list_inputs(config)
    }
    settings = {**frame.settings, "out": None}
    settings["source"] = {
        name: value
        for name, value in settings["source"].items()
        if name not in {"path", "features", "platemap"}
    }

    def write(made: Mapping[str, Any]) -> Mapping[str, Any]:
        wells, problems, notes = _read_wells(config)
        screened = screen(wells, config)
        csv = as_path(config.out).with_suffix(".csv")
        is_kept = _is_input(csv, config)
        if is_kept:
            notes["kept as it is"] = f"{csv}, which is read: the hits stand in {config.out} alone"
        _write_tables(config.out, screened, made, kept=csv if is_kept else None)
        found = [item.model_dump(mode="json") for item in (*problems, *screened.problems)]
        return {"summary": _summarize(screened, config) | notes, "problems": found}

    made_from = MadeFrom(_FORMAT, settings, values=list(frame.inputs.values()))
    found = frame.join("tables", made_from, write, is_work=True)
    frame.problems += [Problem(**item) for item in found["problems"]]
    return frame.result(found["summary"])


def _write_tables(
    out: str, screened: Screened, made: Mapping[str, Any], *, kept: UPath | None
) -> None:
    """Write all tables as parquet and CSV, but for one that is kept; they change together."""
    tables = {as_path(out): screened.hits}
    tables |= {beside(out, name): table for name, table in screened.others.items()}
    with replace_together(out) as place:
        for file, table in tables.items():
            csv = file.with_suffix(".csv")
            if csv == kept:
                parquet.write_table(str(place(file)), table, made)
            else:
                parquet.write_both(str(place(file)), table, made, csv=str(place(csv)))
        for name in _OTHERS:
            if name not in screened.others:  # of an earlier run: it would pass for this one's
                place.drop(beside(out, name))
                place.drop(beside(out, name).with_suffix(".csv"))


def beside(out: str, name: str) -> UPath:
    """Path of another table of the same screen."""
    path = as_path(out)
    prefix = "" if path.stem == "hits" else f"{path.stem}_"
    return path.parent / f"{prefix}{name}.parquet"


def screen(wells: pd.DataFrame, config: HitsConfig) -> Screened:
    """Put wells through all statistics that apply to them."""
    called, quality, faults = screen_hits.call_hits(wells, config)
    called = words.add_reasons(called, quality, config)
    others = {PLATES: quality}
    tried = try_corrections(wells, quality, config)
    if len(tried):
        others[POSITIONS] = tried
    if col.BATCH in called and called[col.BATCH].notna().any():
        others[BATCHES] = batch_quality(called, config)
    if col.COMPOUND in called and called[col.COMPOUND].notna().any():
        others[COMPOUNDS] = words.add_compound_reasons(call_compounds(called, config))
        if col.CONCENTRATION_UM in called:
            doses = fit_doses(called, config.dose)
            growth = fit_growths(called)
            if len(growth):
                doses = doses.merge(growth, on=[col.MODEL, col.COMPOUND], how="left")
            if len(doses):
                others[DOSES] = doses
    found = detectable_effects(called, quality, config)
    if len(found):
        others[POWER] = found
    advice = words.advise_correction(tried, config)
    return Screened(called, others, words.say_faults(faults, STAGE, advice))


# ── what comes in ───────────────────────────────────────────────────────────────────────────────


def _read_wells(config: HitsConfig) -> tuple[pd.DataFrame, list[Problem], dict[str, str]]:
    """Read the wells, what was wrong, and what was done to read them."""
    source = config.source
    if isinstance(source, ScoresOfImages):
        return (*_well_scores(source, config), {})
    found = io_values.read_values(
        source.path,
        source.columns,
        cells=source.cells,
        numeric=(*config.image_limits, _AT_ZERO),
        plate_map=source.platemap,
        kinds=source.kinds,
        dialect=Dialect(source.sheet, source.decimal),
        map_dialect=Dialect(source.platemap_sheet, source.decimal),
    )
    images, problems = _flag_images(keep_time(found.table, config.time, source.path), config)
    columns = [aggregate.well_values(images, name, config) for name in found.columns]
    problems += [*_name_without_number(found, source), *_name_unmapped(found, source)]
    notes = {"how it was read": "; ".join(found.notes)} if found.notes else {}
    return pd.concat(columns, ignore_index=True), problems, notes


def _name_without_number(found: io_values.Values, source: ValuesTable) -> list[Problem]:
    return [
        Problem(
            stage=STAGE,
            file=PurePosixPath(source.path).name,
            reason=col.Reason.NOT_FINITE,
            message=f"row {item.row}, column {item.column!r} says {item.text!r}, which is no "
            "number: the well has no value",
            plate=item.plate,
            well=item.well,
        )
        for item in found.without_number
    ]


def _name_unmapped(found: io_values.Values, source: ValuesTable) -> list[Problem]:
    """Name wells that the plate map does not describe; a plate of nothing else once."""
    name = PurePosixPath(source.path).name
    wells: dict[str, list[str | None]] = {}
    for plate, well in found.unmapped:
        wells.setdefault(plate, []).append(well)
    n_wells = found.table.groupby(col.PLATE)[col.WELL].nunique()
    what = dict.fromkeys(wells, f"{source.platemap} says nothing of the well")
    for plate, lone in wells.items():
        if len(lone) == n_wells[plate]:
            wells[plate] = [None]
            what[plate] = (
                f"{source.platemap} says nothing of plate {plate!r} (where a table names no plate, "
                "its file's name does): name it as in the map"
            )
    return [
        Problem(
            stage=STAGE,
            file=name,
            reason=col.Reason.NOT_IN_MAP,
            message=f"{what[plate]}: neither control nor hit",
            plate=plate,
            well=well,
            kept=True,
        )
        for plate, lone in wells.items()
        for well in lone
    ]


def _well_scores(source: ScoresOfImages, config: HitsConfig) -> tuple[pd.DataFrame, list[Problem]]:
    """One row a well and model; image scores are read a few plates at a time."""
    needed = (*col.IMAGE_KEY, col.MODEL, col.SPLIT, col.SCORE)
    measured = read_measurements(source, config.image_limits)
    wells = []
    problems: list[Problem] = []
    for images in iterate_plates(source.path, needed):
        images = keep_time(images, config.time, source.path)  # noqa: PLW2901
        if measured is not None:
            images, unmeasured = join_measurements(  # noqa: PLW2901
                images, measured, source, config.time
            )
            problems += unmeasured
        images, named = _flag_images(images, config)  # noqa: PLW2901
        problems += named
        wells.append(aggregate.well_scores(images, config))
    if not wells:
        msg = f"{source.path} has no rows: nothing was scored"
        raise InputError(msg)
    keys = [col.MODEL, *col.WELL_KEY]
    found = pd.concat(wells, ignore_index=True).sort_values(keys, ignore_index=True)
    return found, problems


def _flag_images(images: pd.DataFrame, config: HitsConfig) -> tuple[pd.DataFrame, list[Problem]]:
    """Flag the images beyond a limit, and name each once."""
    if not config.image_limits:
        return images, []
    why = aggregate.beyond_limits(images, config.image_limits)
    before = images.get(col.FLAGS, pd.Series("", index=images.index)).fillna("").astype(str)
    flagged = images.assign(**{col.FLAGS: (before + "|" + why).str.strip("|")})
    key = [name for name in col.IMAGE_KEY if name in images]
    named = flagged.assign(why=why)[why != ""].drop_duplicates(key)
    problems = [
        Problem(
            stage=STAGE,
            file=f"{row[col.PLATE]} {row[col.WELL]}",
            reason=col.Reason.FAILED_QUALITY,
            message=f"the image does not count: {row['why']}",
            plate=str(row[col.PLATE]),
            well=str(row[col.WELL]),
            site=int(row[col.SITE]) if col.SITE in key else None,
        )
        for row in named.to_dict(orient="records")
    ]
    return flagged, problems


# ── what is told ────────────────────────────────────────────────────────────────────────────────


def _summarize(screened: Screened, config: HitsConfig) -> dict[str, str | int | float]:
    hits, plates = screened.hits, screened.others[PLATES]
    shown: dict[str, str | int | float] = {
        "plates": int(hits[col.PLATE].nunique()),
        "wells": len(hits[list(col.WELL_KEY)].drop_duplicates()),
        "flagged wells": len(hits.loc[~hits[col.USABLE], list(col.WELL_KEY)].drop_duplicates()),
        **words.describe_controls(hits),
        "hits lie": words.describe_direction(hits),
        "hits": words.count_hits(hits),
    }
    if error := words.describe_errors(plates):
        rate = "" if isinstance(config.call, SsmdCall) else f" (stated rate {config.fdr:.0%})"
        shown[f"false hits, measured{rate}"] = error
    if not hits[col.HIT].any():
        shown["strongest wells"] = words.name_strongest(hits)
    values = plates["z_prime"].dropna()
    if len(values):
        shown["Z'"] = list_some([f"{value:.2f}" for value in values])
    if position := words.describe_positions(plates):
        shown["position effects"] = position
    if (tried := screened.others.get(POSITIONS)) is not None:
        advice = words.advise_correction(tried, config)
        shown["corrections tried"] = "; ".join(dict.fromkeys(advice.values()))
    if not plates["passed"].all():
        failed = plates.loc[~plates["passed"], col.PLATE]
        shown["plates beyond a limit"] = f"{len(failed)}: {list_some(list(failed))}"
    if (power := screened.others.get(POWER)) is not None:
        shown["found 4 times of 5"] = words.describe_power(power)
    compounds = screened.others.get(COMPOUNDS)
    if compounds is not None:
        found = compounds.loc[compounds[col.HIT], col.COMPOUND].astype(str).unique()
        shown["compounds with hits"] = list_some(list(found), 20) or "none"
    doses = screened.others.get(DOSES)
    if doses is not None:
        fitted = int((doses["status"] == "fitted").sum())
        turning = int((doses["status"] == "turns back").sum())
        back = f", {turning} turn back" if turning else ""
        shown["concentration curves"] = f"{fitted} fitted of {len(doses)}{back}"
    return shown
