"""From plates to normalised, resized 8-bit images in one stack."""

from __future__ import annotations

import functools
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hcs.compute import budget
from hcs.compute.units import Unit, run_units
from hcs.domain import columns as col
from hcs.domain.config.stages import StackConfig
from hcs.domain.results import Problem, StageResult
from hcs.errors import ImageReadError, InputError
from hcs.io import imageset
from hcs.io import stack as io_stack
from hcs.io.files import parquet
from hcs.io.files.paths import as_path
from hcs.io.plates.plate import PlateReader
from hcs.io.runs.fingerprints import file_stamp, fingerprint
from hcs.io.runs.ledger import Ledger
from hcs.io.runs.locks import locked
from hcs.io.runs.provenance import provenance
from hcs.ops import intensity

if TYPE_CHECKING:
    from distributed import Client

STAGE: Final = "stack"

_FORMAT: Final = 1

_COPIES: Final = 8
"""Peak memory in copies of one acquired plane while it is rescaled and resized in floats."""


@dataclass(frozen=True)
class ImageJob:
    """One image: where it stands, and which channel of it is wanted."""

    plate_path: str
    plate: str
    well: str
    site: int
    field_path: str
    channel: int


@dataclass(frozen=True)
class BlockJob:
    """A block of images that fills whole shards; the unit of work."""

    out: str
    start: int
    images: tuple[ImageJob, ...]
    image_px: int
    median_level: float
    strict: bool


def run(config: StackConfig, client: Client | None = None) -> StageResult:
    """Write ``config.out`` from the images of ``config.plates``.

    An image whose median is zero, or that is constant, cannot be normalised: it is named in the
    problems and left out.

    Raises
    ------
    NotFoundError, InputError, UnknownNameError
        When a plate, or the channel in it, does not exist, or no image is left.
    """
    started = time.time()
    with locked(config.out):
        return _run(config, client, started)


def images_of(
    plates: Sequence[str], channel: str | None, stage: str
) -> tuple[pd.DataFrame, list[ImageJob], list[Problem]]:
    """List the images of plates that can be normalised, and those that cannot.

    Parameters
    ----------
    plates
        Paths of OME-Zarr plates.
    channel
        Channel name; None takes the only one.
    stage
        Named in the problems.

    Returns
    -------
    frame
        One row an image with its metadata.
    jobs
        The same images, in the same order.
    problems
        Images left out.
    """
    frames: list[pd.DataFrame] = []
    jobs: list[ImageJob] = []
    problems: list[Problem] = []
    for path in plates:
        reader = PlateReader(path)
        index = reader.channel_index(channel)
        name = reader.channels[index]
        listed = reader.images
        reasons = _unusable(listed, name)
        for position, reason in reasons.items():
            problems.append(_problem(listed.iloc[position], reason, name, stage))
        kept = listed.drop(index=listed.index[sorted(reasons)])
        frames.append(_coordinates(kept))
        jobs += [
            ImageJob(path, str(plate), str(well), int(site), str(field), index)
            for plate, well, site, field in zip(
                kept[col.PLATE],
                kept[col.WELL],
                kept[col.SITE],
                kept[col.FIELD_PATH],
                strict=True,
            )
        ]
    return pd.concat(frames, ignore_index=True), jobs, problems


def refuse_nothing(
    jobs: Sequence[ImageJob], problems: Sequence[Problem], plates: Sequence[str], out: str
) -> None:
    """Stop when no image is left; the problems are written first, so that none is lost.

    Raises
    ------
    InputError
        When there are no jobs; the message gives the reasons.
    """
    if jobs:
        return
    parquet.write_problems(out, [problem.row() for problem in problems])
    reasons = "; ".join(sorted({problem.message for problem in problems})) or "they hold no images"
    msg = f"no image of {', '.join(plates)} can be normalized: {reasons}"
    raise InputError(msg)


def _coordinates(images: pd.DataFrame) -> pd.DataFrame:
    named = [name for name in images.columns if name.startswith("Metadata_")]
    return images[[*named, col.FIELD_PATH, col.FINGERPRINT]]


def _unusable(images: pd.DataFrame, channel: str) -> dict[int, col.Reason]:
    """Images that cannot be normalised, by the statistics that ingest measured."""
    columns = [f"Image_Intensity_{kind}Intensity_{channel}" for kind in ("Min", "Median", "Max")]
    if not set(columns) <= set(images.columns):
        return {}
    low, median, high = (images[name].to_numpy() for name in columns)
    found = {int(i): col.Reason.ZERO_MEDIAN for i in np.flatnonzero(median == 0)}
    found.update({int(i): col.Reason.CONSTANT for i in np.flatnonzero(low == high)})
    return found


def _problem(row: pd.Series[Any], reason: col.Reason, channel: str, stage: str) -> Problem:
    what = {
        col.Reason.ZERO_MEDIAN: "the median is 0, so it cannot be scaled to the median level",
        col.Reason.CONSTANT: "every pixel has the same value",
    }
    return Problem(
        stage=stage,
        file=str(row[col.FIELD_PATH]),
        reason=reason,
        message=f"channel {channel}: {what[reason]}; the image is left out",
        plate=str(row[col.PLATE]),
        well=str(row[col.WELL]),
        site=int(row[col.SITE]),
    )


@functools.lru_cache(maxsize=8)
def _reader(path: str, stamp: str) -> PlateReader:
    """Keep a plate open: its tables take six times as long to read as one image of it."""
    del stamp  # of the plate when it was opened; another one opens it anew
    return PlateReader(path)


def _stamp(path: str) -> str:
    described = as_path(path) / "zarr.json"
    return file_stamp(described) if described.exists() else ""


def normalized(job: ImageJob, image_px: int, median_level: float) -> NDArray[np.uint8]:
    """Read one image and bring it into the form that the network sees.

    Returns
    -------
    ndarray
        ``(image_px, image_px)`` uint8, median at ``median_level``, clipped at 255.

    Raises
    ------
    ImageReadError
        When it cannot be read or normalised.
    """
    plane = _reader(job.plate_path, _stamp(job.plate_path)).read_plane(job.field_path, job.channel)
    scaled = intensity.rescale_to_median(plane, median_level=median_level)
    return intensity.resize_plane(scaled, (image_px, image_px)).astype(np.uint8, copy=False)


def _run(config: StackConfig, client: Client | None, started: float) -> StageResult:
    frame, jobs, problems = images_of(config.plates, config.channel, STAGE)
    refuse_nothing(jobs, problems, config.plates, config.out)
    frame[imageset.VALID] = True
    per_shard = config.images_per_shard
    layout = io_stack.layout(len(jobs), config.image_px, per_shard)
    settings = {
        "channel": config.channel,
        "image_px": config.image_px,
        "median_level": config.median_level,
    }
    _check_budget(config, jobs, client)
    ledger = Ledger.of(config.out)
    imageset.prepare(config.out, layout, frame, settings, ledger)
    marks = frame[col.FINGERPRINT].tolist()
    units = []
    for start in range(0, len(jobs), per_shard):
        block = BlockJob(
            out=config.out,
            start=start,
            images=tuple(jobs[start : start + per_shard]),
            image_px=config.image_px,
            median_level=config.median_level,
            strict=config.strict,
        )
        places = [(item.plate, item.field_path, item.channel) for item in block.images]
        mark = fingerprint(_FORMAT, settings, places, marks[start : start + per_shard])
        units.append(Unit(f"{start:08d}", mark, block))
    outcome = run_units(_write_block, units, ledger=ledger, client=client, label="stack")
    valid = np.ones(len(jobs), dtype=bool)
    for result in outcome.results:
        valid[result["failed"]] = False
        problems += [Problem(**item) for item in result["problems"]]
    imageset.write_valid(config.out, valid)
    inputs = {path: fingerprint(marks) for path in config.plates}
    imageset.write_provenance(config.out, provenance(STAGE, config, inputs, started))
    parquet.write_problems(config.out, [problem.row() for problem in problems])
    return StageResult(
        stage=STAGE,
        out=config.out,
        summary={
            "images": int(valid.sum()),
            "left out": len(problems),
            "size": f"{config.image_px} × {config.image_px}",
        },
        n_run=outcome.n_run,
        n_skipped=outcome.n_skipped,
        problems=tuple(problems),
        seconds=time.time() - started,
    )


def _check_budget(config: StackConfig, jobs: Sequence[ImageJob], client: Client | None) -> None:
    first = jobs[0]
    plane = PlateReader(first.plate_path).read_plane(first.field_path, first.channel)
    block = config.images_per_shard * config.image_px**2
    needed = budget.WORKER_FLOOR_BYTES + _COPIES * plane.size * 4 + 3 * block
    budget.check_budget("stack", needed, client, "lower images_per_shard or give more memory")


def _write_block(job: BlockJob) -> Mapping[str, Any]:
    """Normalise and write one block; runs on a worker."""
    block = np.zeros((len(job.images), job.image_px, job.image_px), dtype=np.uint8)
    failed: list[int] = []
    problems: list[dict[str, Any]] = []
    for position, image in enumerate(job.images):
        try:
            block[position] = normalized(image, job.image_px, job.median_level)
        except ImageReadError as error:
            if job.strict:
                raise
            failed.append(job.start + position)
            fault = Problem(
                stage=STAGE,
                file=image.field_path,
                reason=col.Reason(error.reason),
                message=str(error),
                plate=image.plate,
                well=image.well,
                site=image.site,
            )
            problems.append(fault.model_dump(mode="json"))
    imageset.write_block(job.out, io_stack.IMAGES, job.start, block)
    return {"failed": failed, "problems": problems}
