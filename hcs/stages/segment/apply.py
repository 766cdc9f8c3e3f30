"""A pixel classifier over plates: label images there, and a table with one row an image."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hcs.compute import budget
from hcs.compute.units import Past, Unit
from hcs.compute.work import AGAIN
from hcs.domain import columns as col
from hcs.domain.config.segmenting import PixelOptions, SegmentConfig
from hcs.domain.results import Problem, StageResult
from hcs.errors import ImageReadError, InputError
from hcs.io.files import parquet
from hcs.io.files.paths import sidecar
from hcs.io.plates.labels import LabelImages, refuse_others
from hcs.io.plates.reader import PlateReader
from hcs.io.runs.ledger import Ledger
from hcs.io.segmenter import read_segmenter
from hcs.learn.forest import load_forest
from hcs.learn.pixels import order_shares
from hcs.ops.pixels import BLOCK_PX, classify_pixels, separate_objects
from hcs.planes.reading import choose
from hcs.stages.frame import Frame, MadeFrom, open_frame, require_parquet
from hcs.stages.work.images import MAY_PASS
from hcs.stages.work.plates import count_plane_pixels, open_plates
from hcs.stages.work.segmenting import Seen, look_at, read_seen
from hcs.stages.work.tables import Known, Piece, hash_rows, join_pieces

if TYPE_CHECKING:
    from distributed import Client

STAGE: Final = "segment"

COUNT: Final = "Image_Count_Objects"
AREA_FRACTION: Final = "Image_Objects_AreaFraction"

_FORMAT: Final = 1
_PLANES: Final = 16
"""Peak memory in copies of one plane as floats, beside the filters of a block."""

_ROWS: Final = ".images.parquet"


@dataclass(frozen=True, slots=True)
class WellTask:
    """Fields of one well; the unit of work. ``fields``: path in the plate by site."""

    config: SegmentConfig
    unit_id: str
    plate_path: str
    plate: str
    well: str
    fields: dict[int, str]
    seen: Seen
    is_timed: bool


def run(config: SegmentConfig, client: Client | None = None) -> StageResult:
    """Segment every field of every plate with a classifier that ``segment train`` wrote.

    Writes ``<field>/labels/<name>`` into the plates, and ``config.out`` with one row an image.

    Raises
    ------
    NotFoundError, InputError, UnknownNameError, StaleError
        When the classifier, a plate or a channel of it does not exist, the pixels are of another
        size than those of training, or a label of the name was written by others.
    """
    require_parquet(config.out)
    apart = ("plates", "out", "model", "strict")
    with open_frame(
        STAGE,
        config,
        client,
        out=config.out,
        reads=(config.model,),
        also_writes=config.plates,
        apart=apart,
    ) as frame:
        return _run(config, frame)


def _run(config: SegmentConfig, frame: Frame) -> StageResult:
    _, manifest = read_segmenter(config.model)
    options = PixelOptions.model_validate(manifest["pixels"])
    readers = open_plates(config.plates)
    _check_plates(readers, manifest, config)
    frame.problems += _doubt_pixels(readers, manifest, config.model)
    chosen = choose(readers, config.plane, config.time, every=True)
    is_timed = any(item.is_timed for item in chosen.values())
    _check_budget(readers, options, len(manifest["channels"]), frame)
    channels = config.channels or tuple(manifest["channels"])
    units: list[Unit[WellTask]] = []
    for reader in readers:
        refuse_others(reader.path, str(reader.images[col.FIELD_PATH].iloc[0]), [config.name], STAGE)
        seen = look_at(reader, channels, chosen[reader.name], options.normalize)
        units += _list_units(frame, config, reader, seen, manifest, is_timed=is_timed)
    results = frame.do(_segment_well, units)
    if not any(result["n_images"] for result in results):
        reasons = "; ".join(dict.fromkeys(problem.message for problem in frame.problems[:3]))
        msg = f"no image of {', '.join(config.plates)} could be segmented: {reasons}"
        raise InputError(msg)
    about = {reader.name: _read_metadata(reader) for reader in readers}
    frame.inputs |= {name: hash_rows(metadata) for name, metadata in about.items()}
    frame.inputs["classifier"] = str(manifest["forest"])
    marks = [(unit.id, unit.fingerprint) for unit in units]
    made_from = MadeFrom(_FORMAT, values=marks, metadata=frame.inputs)
    known = {name: Known(metadata) for name, metadata in about.items()}
    pieces = [
        Piece(frame.ledger.part(u.id, _ROWS), u.payload.well, known[u.payload.plate]) for u in units
    ]
    frame.join("table", made_from, lambda made: _count(join_pieces(pieces, config.out, made)))
    return frame.result(
        {
            "images": sum(result["n_images"] for result in results),
            "objects": sum(result["n_objects"] for result in results),
            "label": config.name,
        }
    )


def _count(n_rows: int) -> dict[str, int]:
    return {"n_rows": n_rows}


def _read_metadata(reader: PlateReader) -> pd.DataFrame:
    images = reader.images
    return images[[name for name in images.columns if name.startswith("Metadata_")]].copy()


def _check_plates(
    readers: Sequence[PlateReader], manifest: Mapping[str, Any], config: SegmentConfig
) -> None:
    """Refuse what the classifier has not learned: other pixels, another number of channels."""
    n_channels = len(manifest["channels"])
    if config.channels and len(config.channels) != n_channels:
        msg = (
            f"{config.model} was trained on {n_channels} channels, {manifest['channels']}; "
            f"{list(config.channels)} are given"
        )
        raise InputError(msg)
    trained = manifest["pixel_size_um"]
    for reader in readers:
        size = reader.pixel_size_um
        if trained is not None and size is not None and not np.isclose(size, trained, rtol=0.05):
            msg = (
                f"{config.model} was trained on pixels of {trained:g} µm, plate {reader.name} has "
                f"{size:g} µm: its objects look larger or smaller there; train on such a plate"
            )
            raise InputError(msg)


def _doubt_pixels(
    readers: Sequence[PlateReader], manifest: Mapping[str, Any], model: str
) -> list[Problem]:
    """Doubt plates whose pixels cannot be compared with those of training."""
    trained = manifest["pixel_size_um"]
    sides = {r.name: r.pixel_size_um for r in readers if (r.pixel_size_um is None) != (not trained)}
    return [
        Problem(
            stage=STAGE,
            file=name,
            plate=name,
            reason=col.Reason.DOUBTFUL,
            message=(
                f"{model} was trained on "
                + (f"pixels of {trained:g} µm" if trained else "pixels of unknown size")
                + f", plate {name} has "
                + ("no pixel size" if size is None else f"{size:g} µm")
                + ": whether its objects look as large as there is not known; look at some labels"
            ),
            kept=True,
        )
        for name, size in sides.items()
    ]


def _check_budget(
    readers: Sequence[PlateReader], options: PixelOptions, n_channels: int, frame: Frame
) -> None:
    scales = 1 + int(np.log2(options.sigma_max_px / options.sigma_min_px))
    edge = BLOCK_PX + 10 * options.sigma_max_px
    block = 3 * 4 * 4 * scales * n_channels * int(edge**2)
    needed = budget.WORKER_FLOOR_BYTES + block + _PLANES * 4 * count_plane_pixels(readers)
    budget.check_budget(STAGE, needed, frame.client, "give workers more memory or fewer threads")


def _list_units(
    frame: Frame,
    config: SegmentConfig,
    reader: PlateReader,
    seen: Seen,
    manifest: Mapping[str, Any],
    *,
    is_timed: bool,
) -> list[Unit[WellTask]]:
    """One unit a well; its items are the fields, by their path."""
    weights = (manifest["forest"], manifest["diameter_px"], manifest["pixels"])
    common = MadeFrom(_FORMAT, (frame.settings, seen, is_timed), weights=weights).fingerprint
    units = []
    for well, images in reader.images.groupby(col.WELL, sort=True):
        fields = dict(zip(images[col.SITE].astype(int), images[col.FIELD_PATH], strict=True))
        unit_id = f"{reader.name}-{well}"
        items = {
            str(path): MadeFrom(_FORMAT, common, pixels=(site, pixels)).fingerprint
            for (site, path), pixels in zip(fields.items(), images[col.FINGERPRINT], strict=True)
        }
        task = WellTask(
            config, unit_id, reader.path, reader.name, str(well), fields, seen, is_timed
        )
        claims = (f"{sidecar(reader.path)}/claims/label-{config.name}-{well}",)
        units.append(
            Unit(unit_id, MadeFrom(_FORMAT, pixels=items).fingerprint, task, items, claims)
        )
    return units


@functools.lru_cache(maxsize=2)
def _load(model: str, mark: str) -> tuple[Any, float, PixelOptions]:
    """Keep the classifier of this process."""
    del mark  # another forest at the same place is loaded anew
    forest, manifest = read_segmenter(model)
    options = PixelOptions.model_validate(manifest["pixels"])
    return load_forest(forest, model), float(manifest["diameter_px"]), options


def _segment_well(task: WellTask, past: Past) -> Mapping[str, Any]:
    """Segment the fields of one well; runs on a worker. Fields that are still true are kept."""
    reader = PlateReader(task.plate_path)
    ledger = Ledger.of(task.config.out)
    kept = {site for site, path in task.fields.items() if path in past.items}
    rows = _read_rows(ledger, task, kept)
    problems = [item for item in past.result.get("problems", ()) if item["site"] in kept]
    again: set[str] = set()
    for name in past.items:
        past.keep_files(f"/{name}/labels/")
    for site, path in task.fields.items():
        if site in kept:
            continue
        for item in _segment_field(reader, task, site, path):
            if isinstance(item, Problem):
                problems.append(item.model_dump(mode="json"))
                again |= {path} if item.reason in MAY_PASS else set()
            else:
                rows.append(item)
    table = pd.DataFrame(rows) if rows else pd.DataFrame(columns=list(col.IMAGE_KEY))
    keys = [name for name in (col.SITE, col.TIME) if name in table]
    table = table.sort_values(keys, kind="stable", ignore_index=True)
    parquet.write_table(ledger.part(task.unit_id, _ROWS), table)
    n_objects = int(table[COUNT].sum()) if COUNT in table else 0
    return {
        "n_images": len(rows),
        "n_objects": n_objects,
        "problems": problems,
        AGAIN: sorted(again),
    }


def _read_rows(ledger: Ledger, task: WellTask, sites: set[int]) -> list[dict[str, Any]]:
    if not sites:
        return []
    rows = parquet.read_table(ledger.part(task.unit_id, _ROWS))
    kept = rows[rows[col.SITE].isin(sites)].to_dict("records")
    return [{str(name): value for name, value in row.items()} for row in kept]


def _segment_field(
    reader: PlateReader, task: WellTask, site: int, path: str
) -> list[dict[str, Any] | Problem]:
    labels = LabelImages(reader.n_z, reader.n_t, STAGE)
    found: list[dict[str, Any] | Problem] = []
    for time in task.seen.chosen.times:
        key: dict[str, Any] = {col.PLATE: task.plate, col.WELL: task.well, col.SITE: site}
        if task.is_timed:
            key[col.TIME] = time
            if (minutes := task.seen.chosen.minutes_of(time)) is not None:
                key[col.TIME_MIN] = minutes
        try:
            label = _segment(reader, task, path, time)
        except ImageReadError as error:
            if task.config.strict:
                raise
            if error.reason == col.Reason.NOT_ACQUIRED and task.is_timed:
                continue
            found.append(
                Problem.from_error(
                    error, stage=STAGE, file=path, plate=task.plate, well=task.well, site=site
                )
            )
            continue
        labels.add(task.config.name, label, time)
        found.append({**key, COUNT: int(label.max()), AREA_FRACTION: float((label > 0).mean())})
    labels.write(task.plate_path, path, reader.pixel_size_um)
    return found


def _segment(reader: PlateReader, task: WellTask, path: str, time: int) -> NDArray[np.uint32]:
    _, manifest = read_segmenter(task.config.model)
    forest, diameter_px, options = _load(task.config.model, str(manifest["forest"]))
    planes, _ = read_seen(reader, path, task.seen, time)
    sigmas = (options.sigma_min_px, options.sigma_max_px)
    shares = classify_pixels(planes, sigmas, forest.predict_proba)
    ground, inside = order_shares(shares, forest.classes_.tolist())
    return separate_objects(ground, inside, diameter_px).astype(np.uint32)
