"""From plates to normalized, resized 8-bit images: a stack that grows image by image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from hcs.compute import budget
from hcs.compute.units import Past, Unit
from hcs.compute.work import AGAIN
from hcs.domain import columns as col
from hcs.domain.config.stages import StackConfig
from hcs.domain.results import Problem, StageResult
from hcs.io import imagewriting
from hcs.io import stack as io_stack
from hcs.io.imageset import ROW, VALID, ArrayLayout
from hcs.io.plates.reader import PlateReader
from hcs.stages.frame import Frame, MadeFrom, open_frame
from hcs.stages.work.images import (
    MAY_PASS,
    PATH,
    ImageJob,
    Images,
    list_images,
    normalize_each,
    refuse_nothing,
)
from hcs.stages.work.plates import count_plane_pixels
from hcs.stages.work.tables import hash_rows

if TYPE_CHECKING:
    from distributed import Client

STAGE: Final = "stack"

_FORMAT: Final = 4

_COPIES: Final = 8
"""Peak memory in copies of one acquired plane while it is rescaled and resized in floats."""


@dataclass(frozen=True, slots=True)
class ShardJob:
    """The images of one shard; the unit of work. ``images`` by their row within the shard."""

    out: str
    layout: ArrayLayout
    plate: str
    index: int
    images: dict[int, ImageJob]
    median_level: float
    strict: bool


def run(config: StackConfig, client: Client | None = None) -> StageResult:
    """Write ``config.out`` from the images of ``config.plates``.

    An image whose median is zero, or that is constant, cannot be normalized: it is named in the
    problems and left out. Images that were made before are kept.

    Raises
    ------
    NotFoundError, InputError, UnknownNameError
        When a plate, or the channel in it, does not exist, two plates have one name, or no image is
        left.
    """
    apart = ("plates", "out", "images_per_shard", "strict")
    with open_frame(
        STAGE, config, client, out=config.out, reads=config.plates, apart=apart
    ) as frame:
        return _run(config, frame)


def _run(config: StackConfig, frame: Frame) -> StageResult:
    images = list_images(config.plates, config.channel, STAGE, config.plane, config.time)
    frame.problems += images.problems
    refuse_nothing(images, config.plates, config.out)
    _check_budget(config, frame.client)
    layout = io_stack.layout(config.image_px, config.images_per_shard)
    placed = imagewriting.place_images(config.out, images.frame)
    imagewriting.prepare(config.out, layout, placed, frame.settings)
    marks = _fingerprint_images(frame, images)
    found = Images(placed, [], images.chosen)
    units = _list_units(config, layout, found, marks)
    results = frame.do(_write_shard, units, in_place=True)
    valid = np.ones(len(placed), dtype=bool)
    by_row = {key: i for i, key in enumerate(zip(placed[col.PLATE], placed[ROW], strict=True))}
    for unit, result in zip(units, results, strict=True):
        start = unit.payload.index * layout.images_per_shard
        for row in result["failed"]:
            valid[by_row[unit.payload.plate, start + int(row)]] = False
    table = found.described
    table[VALID], table[col.FINGERPRINT] = valid, marks
    frame.inputs |= {
        str(path): MadeFrom(_FORMAT, pixels=rows[col.FINGERPRINT].tolist()).fingerprint
        for path, rows in placed.groupby(PATH)
    }
    made_from = MadeFrom(_FORMAT, frame.settings, metadata=hash_rows(table))
    frame.join("images", made_from, lambda made: imagewriting.write_table(config.out, table, made))
    return frame.result(
        {
            "images": int(valid.sum()),
            "left out": len(frame.problems),
            "size": f"{config.image_px} × {config.image_px}",
        }
    )


def _fingerprint_images(frame: Frame, images: Images) -> list[str]:
    """Say what every image of the stack is made from, in the order of the frame."""
    common = MadeFrom(_FORMAT, frame.settings).fingerprint
    rows = images.frame[["channel", col.FINGERPRINT]].itertuples(index=False, name=None)
    return [f"{common}-{channel}-{pixels}" for channel, pixels in rows]


def _check_budget(config: StackConfig, client: Client | None) -> None:
    pixels = count_plane_pixels([PlateReader(path) for path in config.plates])
    block = config.images_per_shard * config.image_px**2
    needed = budget.WORKER_FLOOR_BYTES + _COPIES * pixels * 4 + 3 * block
    budget.check_budget("stack", needed, client, "lower images_per_shard or give more memory")


def _list_units(
    config: StackConfig, layout: ArrayLayout, images: Images, marks: list[str]
) -> list[Unit[ShardJob]]:
    """One unit a shard; its items are the images in it, by their row."""
    per_shard = layout.images_per_shard
    jobs = images.jobs()
    rows = images.frame[ROW].to_numpy()
    shards: dict[tuple[str, int], list[int]] = {}
    for place, (image, row) in enumerate(zip(jobs, rows.tolist(), strict=True)):
        shards.setdefault((image.plate, row // per_shard), []).append(place)
    units = []
    for (plate, index), places in sorted(shards.items()):
        start = index * per_shard
        inside = {int(rows[place]) - start: place for place in places}
        items = {str(row): marks[place] for row, place in inside.items()}
        job = ShardJob(
            out=config.out,
            layout=layout,
            plate=plate,
            index=index,
            images={row: jobs[place] for row, place in inside.items()},
            median_level=config.median_level,
            strict=config.strict,
        )
        made_from = MadeFrom(_FORMAT, pixels=items)
        units.append(Unit(f"{plate}-{index:06d}", made_from.fingerprint, job, items))
    return units


def _write_shard(job: ShardJob, past: Past) -> Mapping[str, Any]:
    """Normalize and write one shard; runs on a worker. Images that are still true are kept."""
    block = np.zeros((job.layout.images_per_shard, *job.layout.item_shape), dtype=np.uint8)
    kept = sorted(int(row) for row in past.items)
    failed = [row for row in past.result.get("failed", ()) if str(row) in past.items]
    sites = {(job.images[row].well, job.images[row].site) for row in kept}
    problems = [p for p in past.result.get("problems", ()) if (p["well"], p["site"]) in sites]
    if kept:
        start = job.index * job.layout.images_per_shard
        block[kept] = io_stack.open_stack(job.out).take_rows(job.plate, start + np.array(kept))
    again: list[str] = []
    new = {row: image for row, image in job.images.items() if row not in set(kept)}
    made = normalize_each(
        list(new.values()), job.layout.item_shape[0], job.median_level, STAGE, strict=job.strict
    )
    for row, picture in zip(new, made, strict=True):
        if isinstance(picture, Problem):
            failed.append(row)
            again += [str(row)] if picture.reason in MAY_PASS else []
            problems.append(picture.model_dump(mode="json"))
        else:
            block[row] = picture
    imagewriting.write_shard(job.out, job.layout, job.plate, job.index, block)
    return {"failed": sorted(failed), "problems": problems, AGAIN: again}
