"""From plates to morphology: one row an image, one row a cell, labels in the plate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from upath import UPath

from hcs.compute import budget
from hcs.compute.units import Unit
from hcs.domain import columns as col
from hcs.domain.config.stages import FeaturesConfig, Neurons
from hcs.domain.results import Problem, StageResult
from hcs.errors import InputError
from hcs.io.files.paths import AnyPath, as_path, sidecar
from hcs.io.files.together import replace_together
from hcs.io.plates import plate, plate_tables
from hcs.io.plates.reader import PlateReader
from hcs.io.runs.ledger import Ledger
from hcs.planes.definitions import FEATURES_FORMAT, KEY
from hcs.planes.given import Located
from hcs.planes.reading import Chosen, choose
from hcs.stages.frame import Frame, MadeFrom, open_frame, require_parquet
from hcs.stages.work.measuring.channels import choose_channels
from hcs.stages.work.measuring.doubts import find_doubts
from hcs.stages.work.measuring.given import keep_labels, locate_labels, name_unmatched
from hcs.stages.work.measuring.growth import GrowthTable, say_growth
from hcs.stages.work.measuring.marker_levels import describe_levels, find_marker_levels
from hcs.stages.work.measuring.mixtures import doubt_mixtures
from hcs.stages.work.measuring.plans import PlatePlan, plan_plate
from hcs.stages.work.measuring.sizes import settle_sizes
from hcs.stages.work.measuring.wells import CELLS, IMAGES, STAGE, FieldTask, WellTask, measure_well
from hcs.stages.work.plates import count_plane_pixels, open_plates
from hcs.stages.work.tables import Known, Piece, hash_rows, join_pieces

if TYPE_CHECKING:
    from distributed import Client

_FORMAT: Final = FEATURES_FORMAT

_TABLES: Final = "images, cells, growth"
"""Tables that are joined; named anew when there are more, so that old outputs get them."""

_COPIES: Final = 42
"""Peak memory in copies of one acquired 16-bit plane; the kernels' promise."""

_COPIES_A_CHANNEL: Final = 3
"""The same for every channel: as acquired, and as floats over its illumination."""


_SIZES_OF: Final = {"Soma": "soma_diameter", "Nuclei": "nucleus_diameter"}
"""Assumed sizes of the parts whose mean area is in the table. Bodies vary more than both."""


def run(config: FeaturesConfig, client: Client | None = None) -> StageResult:
    """Measure every field of every plate into ``config.out``, at every chosen time point.

    Writes ``<out>`` (one row an image and time point), ``<stem>_cells.parquet`` (one row a cell),
    of several time points ``<stem>_growth.parquet`` (one row a well: slopes per hour),
    label images ``soma`` and ``neurites`` into the plates, and the plate's rows as its table
    ``features``; the plates are left alone without labels.

    Raises
    ------
    NotFoundError, InputError, UnknownNameError
        When a plate, or the channel in it, does not exist, two plates have one name, some have a
        pixel size and others do not, or one has several planes or time points and it was not said
        which are meant.
    LockedError
        When another run writes the table or into one of the plates.
    """
    require_parquet(config.out)
    # The plan of a plate holds the index of the channel, whatever it is called.
    apart = ("plates", "out", "strict", "channel", "scales")
    reads, also_writes = ((), config.plates) if config.write_labels else (config.plates, ())
    with open_frame(
        STAGE, config, client, out=config.out, reads=reads, also_writes=also_writes, apart=apart
    ) as frame:
        return _run(config, frame)


def locate_cells(out: AnyPath) -> UPath:
    """Return where the table of single cells lies."""
    path = as_path(out)
    return path.parent / f"{path.stem}_cells.parquet"


def _run(config: FeaturesConfig, frame: Frame) -> StageResult:
    readers = open_plates(config.plates)
    _check_pixel_sizes(readers)
    chosen = choose(readers, config.plane, config.time, every=True)
    is_timed = any(item.is_timed for item in chosen.values())
    _check_memory(config, frame, readers)
    settled = settle_sizes(config, readers, chosen)
    config = settled.config
    plans = {reader.name: plan_plate(config, reader, chosen[reader.name]) for reader in readers}
    given = locate_labels(config.morphology.labels, readers)
    plans = {
        reader.name: find_marker_levels(plans[reader.name], reader, given[reader.name], config.out)
        for reader in readers
    }
    frame.problems += name_unmatched(given, STAGE)
    by_plate = {
        r.name: _list_units(frame, config, r, plans[r.name], given[r.name], is_timed)
        for r in readers
    }
    units = [unit for found in by_plate.values() for unit in found]
    results = frame.do(measure_well, units)
    if not any(result["n_images"] for result in results):
        reasons = "; ".join(dict.fromkeys(problem.message for problem in frame.problems[:3]))
        msg = f"no image of {', '.join(config.plates)} could be measured: "
        msg += reasons or "the channel was not acquired at any time point"
        raise InputError(msg)
    measured_with = {
        reader.name: plans[reader.name].record(reader)
        | {"marker_levels_counts": describe_levels(plans[reader.name].settings)}
        for reader in readers
    }
    frame.notes |= {"measured_with": measured_with, KEY: _FORMAT}
    about = {reader.name: _read_metadata(reader) for reader in readers}
    frame.inputs |= {name: hash_rows(metadata) for name, metadata in about.items()}
    made_from = MadeFrom(
        _FORMAT,
        settings=_TABLES,
        values=[(unit.id, unit.fingerprint) for unit in units],
        metadata=frame.inputs,
    )
    joined = _Joined(config, frame.ledger, readers, by_plate, about, chosen)
    frame.join("tables", made_from, joined.write)
    n_cells = sum(result["n_cells"] for result in results)
    frame.problems += [
        *_list_doubts(config, readers, given),
        *(settled.doubts if n_cells else settled.nothing),
    ]
    frame.problems += doubt_mixtures(config.out, STAGE, config.morphology, readers)
    return frame.result(
        {
            "images": sum(result["n_images"] for result in results),
            "cells": n_cells,
            "features": _count_features(config.out),
            **_describe_choice(config, chosen, results),
            **say_growth(config.out, chosen),
            **settled.words,
            **_describe_light(measured_with),
        }
    )


def _check_memory(config: FeaturesConfig, frame: Frame, readers: Sequence[PlateReader]) -> None:
    """Refuse fields that do not fit into workers, by the channels that are read."""
    n_channels = max(len(choose_channels(config, reader).used()) for reader in readers)
    copies = _COPIES + _COPIES_A_CHANNEL * (n_channels - 1)
    needed = budget.WORKER_FLOOR_BYTES + copies * 2 * count_plane_pixels(readers)
    budget.check_budget(STAGE, needed, frame.client, "give workers more memory or fewer threads")


def _list_doubts(
    config: FeaturesConfig,
    readers: Sequence[PlateReader],
    given: Mapping[str, Mapping[str, Located]],
) -> list[Problem]:
    settings = config.morphology
    bright = not isinstance(settings.assay, Neurons) or settings.assay.contrast == "bright"
    assumed: dict[str, dict[str, float]] = {}
    for reader in readers:
        pixel = reader.pixel_size_um
        of_plate = assumed.setdefault(reader.name, {})
        for part, size in _SIZES_OF.items():
            if (px := settings.sizes.in_px(size, pixel)) is not None:
                column = col.with_unit(f"Image_{part}_MeanArea", 2, pixel)
                of_plate[column] = px * (pixel or 1.0)
    found = any(given.values())
    return find_doubts(config.out, STAGE, bright=bright, given=found, assumed=assumed)


def _count_features(out: str) -> int:
    with as_path(out).open("rb") as stream:
        return sum(name.startswith("Image_") for name in pq.read_schema(stream).names)


def _describe_choice(
    config: FeaturesConfig, chosen: Mapping[str, Chosen], results: Sequence[Mapping[str, Any]]
) -> dict[str, str | int]:
    """Say which planes and times were measured, where there was a choice."""
    shown: dict[str, str | int] = {}
    if config.plane is not None:
        shown["plane"] = str(config.plane)
    for name, found in chosen.items():
        if found.is_timed:
            shown[f"time points of {name}"] = len(found.times)
    if absent := sum(result["n_not_acquired"] for result in results):
        shown["fields at times at which they were not acquired"] = absent
    return shown


def _describe_light(measured_with: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Say how each plate was lit and from which level its markers count, in words."""
    words = {}
    for plate_name, found in measured_with.items():
        light = [
            f"{channel} corrected (uneven by {item['range_fraction']:.0%})"
            if item["corrected"]
            else f"{channel} not corrected ({item['why']})"
            for channel, item in found["illumination"].items()
        ]
        if light:
            words[f"illumination of {plate_name}"] = ", ".join(light)
        for name, level in found["marker_levels_counts"].items():
            shown = level if isinstance(level, str) else f"positive above {level:.4g} counts"
            words[f"marker {name} of {plate_name}"] = shown
    return words


def _check_pixel_sizes(readers: Sequence[PlateReader]) -> None:
    sizes = {reader.name: reader.pixel_size_um for reader in readers}
    if len({size is None for size in sizes.values()}) > 1:
        without = [name for name, size in sizes.items() if size is None]
        msg = f"plates {without} have no pixel size, the others have: features would mix µm and px"
        raise InputError(msg)


def _list_units(
    frame: Frame,
    config: FeaturesConfig,
    reader: PlateReader,
    plan: PlatePlan,
    given: Mapping[str, Located],
    is_timed: bool,
) -> list[Unit[WellTask]]:
    """One unit a well; its items are the fields, by their path."""
    settings = (frame.settings, plan.keep_what_measures(), reader.pixel_size_um, is_timed)
    common = MadeFrom(_FORMAT, settings).fingerprint
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
            pixel_size_um=reader.pixel_size_um,
            is_timed=is_timed,
            write_labels=config.write_labels,
            strict=config.strict,
            given=keep_labels(given, [item.field_path for item in fields]),
        )
        items = {
            item.field_path: MadeFrom(
                _FORMAT,
                common,
                pixels=(item.site, pixels),
                values=[located.stamps[item.field_path] for located in given.values()],
            ).fingerprint
            for item, pixels in zip(fields, images[col.FINGERPRINT], strict=True)
        }
        claims = (f"{sidecar(reader.path)}/claims/labels-{well}",) if config.write_labels else ()
        made_from = MadeFrom(_FORMAT, pixels=items)
        units.append(Unit(unit_id, made_from.fingerprint, task, items, claims))
    return units


def _read_metadata(reader: PlateReader) -> pd.DataFrame:
    images = reader.images
    found = images[[name for name in images.columns if name.startswith("Metadata_")]].copy()
    vars(reader).pop("images", None)  # as large as the rest of what is held of a plate
    return found


@dataclass(frozen=True)
class _Joined:
    """Joins the parts of wells into the tables, a well in memory at a time."""

    config: FeaturesConfig
    ledger: Ledger
    readers: Sequence[PlateReader]
    units: Mapping[str, Sequence[Unit[WellTask]]]
    about: Mapping[str, pd.DataFrame]
    chosen: Mapping[str, Chosen]

    def write(self, made: Mapping[str, Any]) -> None:
        """Write the tables of images, cells and growth, and of each plate in the plate itself."""
        out = self.config.out
        known = {name: Known(images) for name, images in self.about.items()}
        tables = _PlateTables({reader.name: reader.path for reader in self.readers}, made)
        # The table in a plate belongs to the labels there: without these the plate is left alone.
        watchers = [tables.add] if self.config.write_labels else []
        growth = GrowthTable(self.chosen)
        watchers.append(growth.add)

        def see(rows: pa.Table) -> None:
            for watch in watchers:
                watch(rows)

        with replace_together(out) as place:
            join_pieces(self._pieces(CELLS, known), str(place(locate_cells(out))), made)
            join_pieces(self._pieces(IMAGES, known), str(place(out)), made, see)
            growth.write(out, place, made)
            tables.write()

    def _pieces(self, suffix: str, known: Mapping[str, Known]) -> list[Piece]:
        return [
            Piece(self.ledger.part(unit.id, suffix), unit.payload.well, known[name])
            for name, units in self.units.items()
            for unit in units
        ]


class _PlateTables:
    """Writes the rows of each plate into the plate when its last well has passed."""

    def __init__(self, paths: Mapping[str, str], made: Mapping[str, Any]) -> None:
        self._paths, self._made = paths, made
        self._rows: list[pa.Table] = []
        self._plate = ""

    def add(self, rows: pa.Table) -> None:
        """Take the rows of one well."""
        name = str(rows[col.PLATE][0])
        if name != self._plate:
            self.write()
            self._plate = name
        self._rows.append(rows)

    def write(self) -> None:
        """Write what was taken since the last time."""
        if self._rows:
            table = pa.concat_tables(self._rows, promote_options="permissive").to_pandas()
            plate_tables.write_plate_table(self._paths[self._plate], STAGE, table)
            plate.write_provenance(self._paths[self._plate], STAGE, self._made)
        self._rows = []
