"""Level of each marker that parts the cells of a plate, found once and the same in every field."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hcs.domain import columns as col
from hcs.domain.config.stages import FixedLevel, Marker, MorphologyConfig, Otsu
from hcs.errors import ImageReadError
from hcs.io.files.atomic import write_json
from hcs.io.files.paths import sidecar
from hcs.io.imageset import name_group
from hcs.io.plates.reader import PlateReader
from hcs.io.runs.fingerprints import fingerprint
from hcs.ops.markers import part_in_two
from hcs.planes.definitions import FEATURES_FORMAT
from hcs.planes.given import Located
from hcs.stages.work.measuring.fields import measure_plane
from hcs.stages.work.measuring.plans import PlatePlan, spread_places

_FIELDS: Final = 24
"""Fields whose cells decide, spread over the plate and its times."""

_NONE: Final = 1e30
"""A level that no cell reaches."""


def find_marker_levels(
    plan: PlatePlan, reader: PlateReader, given: Mapping[str, Located], out: str
) -> PlatePlan:
    """Put one level for the whole plate in the place of every ``otsu``.

    Field by field Otsu would call some cells of every field positive, also where there is none.

    Parameters
    ----------
    plan
        How the plate is measured.
    reader, given
        The plate, and labels that others have made of it.
    out
        Table of the run; what was found is kept beside it.

    Returns
    -------
    PlatePlan
        With levels in counts, which the plan's record tells. Where the cells do not fall into two
        groups none is positive.
    """
    markers = plan.settings.markers
    if not any(isinstance(marker.threshold, Otsu) for marker in markers):
        return plan
    stamps = [sorted(located.stamps.items()) for located in given.values()]
    pixels = (reader.pixel_size_um, reader.images[col.FINGERPRINT].tolist())
    mark = fingerprint(FEATURES_FORMAT, plan, stamps, pixels)
    file = sidecar(out) / f"levels-{name_group(reader.name)}.json"
    kept = json.loads(file.read_text()) if file.exists() else {}
    if kept.get("fingerprint") != mark:
        levels, is_whole = _find_levels(plan, reader, given)
        kept = {"fingerprint": mark, "levels": levels}
        if is_whole:  # what is read of a damaged plate is not what it holds
            write_json(file, kept)
    filled = tuple(_fill(marker, kept["levels"]) for marker in markers)
    settings = plan.settings.model_copy(update={"markers": filled})
    return replace(plan, settings=settings)


def describe_levels(settings: MorphologyConfig) -> dict[str, float | str]:
    """Say above which level cells are positive, in counts above background, by marker."""
    return {
        marker.name: (
            marker.threshold.level_counts
            if marker.threshold.level_counts < _NONE
            else "no two groups of cells: none is positive"
        )
        for marker in settings.markers
        if isinstance(marker.threshold, FixedLevel)
    }


def _fill(marker: Marker, levels: Mapping[str, float]) -> Marker:
    if not isinstance(marker.threshold, Otsu):
        return marker
    return marker.model_copy(update={"threshold": FixedLevel(level_counts=levels[marker.name])})


def _find_levels(
    plan: PlatePlan, reader: PlateReader, given: Mapping[str, Located]
) -> tuple[dict[str, float], bool]:
    """Level of every marker; also whether all fields that were asked for could be read."""
    means: dict[str, list[NDArray[np.float64]]] = {m.name: [] for m in plan.settings.markers}
    is_whole = True
    for path, time in spread_places(reader, plan.chosen, plan.channels.main, _FIELDS):
        try:
            measured, _ = measure_plane(reader, plan, given, path, time)
        except ImageReadError as error:  # the field's own row in the problems says so
            is_whole &= error.reason == col.Reason.NOT_ACQUIRED
            continue
        for name, found in means.items():
            end = f"_{name}_MeanIntensity"
            found += [values for key, values in measured.cells.items() if key.endswith(end)]
    return {name: _part(found, plan.settings) for name, found in means.items()}, is_whole


def _part(found: list[NDArray[np.float64]], settings: MorphologyConfig) -> float:
    values = np.concatenate([np.zeros(0), *found])
    values = values[np.isfinite(values)]
    tuning = settings.tuning.markers
    if values.size < tuning.min_otsu_cells or float(np.ptp(values)) <= 0:
        return _NONE
    level = part_in_two(values, tuning)
    return min(max(float(f"{level:.6g}"), 1e-6), _NONE) if np.isfinite(level) else _NONE
