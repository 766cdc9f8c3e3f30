"""A few wells measured at the found size and at two others, side by side, to choose by eye."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from upath import UPath

from hcs.domain.config.stages import Cells, FeaturesConfig, MorphologyConfig, Neurons
from hcs.domain.results import StageResult
from hcs.errors import InputError
from hcs.io.files.atomic import write_bytes
from hcs.io.files.paths import AnyPath, as_path
from hcs.io.plates.reader import PlateReader
from hcs.ops.overlay import draw_overlay
from hcs.planes.reading import choose, read_chosen
from hcs.stages.work.measuring.fields import measure_plane
from hcs.stages.work.measuring.plans import PlatePlan, plan_plate, spread_places
from hcs.stages.work.measuring.sizes import locate_sizes, settle_sizes
from hcs.stages.work.plates import open_plates

_FACTORS: Final = (0.7, 1.0, 1.4)
"""Sizes that are shown, in those that were found: steps that the eye tells apart."""

_WINDOW_DIAMETERS: Final = 20
_LEAST_WINDOW_PX, _MOST_WINDOW_PX = 200, 600
_TILE_PX: Final = 420
_CAPTION_PX: Final = 20
_INK, _GROUND = (235, 235, 235), (16, 16, 16)


@dataclass(frozen=True)
class _Tile:
    picture: NDArray[np.uint8]
    caption: str
    count: int


def locate_trial(out: AnyPath) -> UPath:
    """Return where the picture of a trial lies: beside the table that it is made for."""
    path = as_path(out)
    return path.parent / f"{path.stem}_try.png"


def try_sizes(config: FeaturesConfig, n_wells: int) -> StageResult:
    """Measure fields of a few wells at three sizes and draw them; nothing else is written.

    Raises
    ------
    InputError
        When fewer than one well is asked for, or as :func:`hcs.stages.features.run`.
    """
    if n_wells < 1:
        msg = f"--try {n_wells}: give the number of wells to look at, such as 6"
        raise InputError(msg)
    readers = open_plates(config.plates)
    chosen = choose(readers, config.plane, config.time, every=True)
    with tempfile.TemporaryDirectory() as folder:
        aside = config.model_copy(update={"out": str(Path(folder) / "try.parquet")})
        if (kept := locate_sizes(config.out)).exists():
            write_bytes(locate_sizes(aside.out), kept.read_bytes())
        settled = settle_sizes(aside, readers, chosen)
        plans = {r.name: plan_plate(settled.config, r, chosen[r.name]) for r in readers}
    rows = [
        [_measure_at(reader, plans[reader.name], path, time, factor) for factor in _FACTORS]
        for reader, path, time in _spread_wells(readers, plans, n_wells)
    ]
    picture = locate_trial(config.out)
    write_bytes(picture, _draw_sheet(rows))
    flags = {}
    for index, factor in enumerate(_FACTORS):
        flag = _write_flag(plans[readers[0].name].settings, factor)
        flags[flag] = f"{sum(row[index].count for row in rows)} objects in {len(rows)} fields"
    return StageResult(
        stage="features --try",
        out=str(picture),
        summary={**settled.words, **flags},
        n_run=len(rows),
        n_skipped=0,
        problems=(),
        seconds=0.0,
        settings={},
    )


def _spread_wells(
    readers: Sequence[PlateReader], plans: dict[str, PlatePlan], n_wells: int
) -> Iterator[tuple[PlateReader, str, int]]:
    share = -(-n_wells // len(readers))
    places = [
        (reader, path, time)
        for reader in readers
        for path, time in spread_places(
            reader, plans[reader.name].chosen, plans[reader.name].channels.main, share
        )
    ]
    yield from places[:n_wells]


def _name_size(settings: MorphologyConfig) -> str:
    """Size that decides what is found: of somas, or of nuclei where these are the objects."""
    lone = isinstance(settings.assay, Cells) and settings.nuclei is None
    return "soma_diameter" if lone or isinstance(settings.assay, Neurons) else "nucleus_diameter"


def _scale(settings: MorphologyConfig, factor: float) -> tuple[str, float]:
    """Name and value of that size, scaled."""
    name = _name_size(settings)
    for unit in ("um", "px"):
        value: float | None = getattr(settings.sizes, f"{name}_{unit}")
        if value is not None:
            return f"{name}_{unit}", float(f"{value * factor:.3g}")
    msg = f"the {name.replace('_', ' ')} is not known"
    raise InputError(msg)


def _write_flag(settings: MorphologyConfig, factor: float) -> str:
    name, value = _scale(settings, factor)
    return f"--{name.split('_')[0]}-{name[-2:]} {value:g}"


def _measure_at(reader: PlateReader, plan: PlatePlan, path: str, time: int, factor: float) -> _Tile:
    name, value = _scale(plan.settings, factor)
    sizes = plan.settings.sizes.model_copy(update={name: value})
    scaled = replace(plan, settings=plan.settings.model_copy(update={"sizes": sizes}))
    measured, _ = measure_plane(reader, scaled, {}, path, time)
    labels = measured.labels
    bodies = next(labels[kind] for kind in ("soma", "cells", "nuclei") if kind in labels)
    count = int(np.unique(bodies[bodies > 0]).size)
    plane = read_chosen(reader, path, plan.channels.main, plan.chosen.plane, time)
    window = _choose_window(plane.shape, value / (reader.pixel_size_um or 1.0) / factor)
    nothing = np.zeros(plane.shape, np.uint16)
    nuclei = labels.get("nuclei")
    picture = draw_overlay(
        plane[window],
        bodies[window],
        labels.get("neurites", nothing)[window],
        None if nuclei is None else nuclei[window],
    )
    well = "".join(path.split("/")[:2])
    caption = f"{reader.name} {well}: {_write_flag(plan.settings, factor)}, {count} in the field"
    return _Tile(picture, caption, count)


def _choose_window(shape: tuple[int, ...], diameter_px: float) -> tuple[slice, slice]:
    """Middle of a field, some twenty cells wide: all of it would show no outline."""
    wanted = int(np.clip(_WINDOW_DIAMETERS * diameter_px, _LEAST_WINDOW_PX, _MOST_WINDOW_PX))
    height, width = shape
    sides = [(max(0, (n - wanted) // 2), min(n, wanted)) for n in (height, width)]
    (top, high), (left, wide) = sides
    return slice(top, top + high), slice(left, left + wide)


def _draw_sheet(rows: Sequence[Sequence[_Tile]]) -> bytes:
    """One row a field, one column a size."""
    step = _TILE_PX + _CAPTION_PX
    sheet = Image.new("RGB", (len(_FACTORS) * (_TILE_PX + 4), len(rows) * step), _GROUND)
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    for line, row in enumerate(rows):
        for place, tile in enumerate(row):
            left, top = place * (_TILE_PX + 4), line * step
            picture = Image.fromarray(tile.picture)
            scale = _TILE_PX / max(picture.size)
            size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
            sheet.paste(picture.resize(size), (left, top + _CAPTION_PX))
            pen.text((left + 4, top + 3), tile.caption, fill=_INK, font=font)
    sink = io.BytesIO()
    sheet.save(sink, "PNG")
    return sink.getvalue()
