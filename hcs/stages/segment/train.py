"""From annotated fields to a pixel classifier: pixels drawn on workers, one forest of them all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hcs.compute import budget
from hcs.compute.units import Unit
from hcs.compute.work import AGAIN
from hcs.domain import columns as col
from hcs.domain.config.segmenting import RIM, ObjectLabels, SegmentTrainConfig, Strokes
from hcs.domain.results import Problem, StageResult
from hcs.errors import ImageReadError, InputError
from hcs.io.files import parquet
from hcs.io.plates.reader import PlateReader
from hcs.io.plates.stamps import ABSENT
from hcs.io.runs.ledger import Ledger
from hcs.io.segmenter import FORMAT, write_segmenter
from hcs.learn.forest import dump_forest
from hcs.learn.pixels import draw_pixels, hold_out_images, train_pixels, weigh_pixels
from hcs.ops.given import number_objects
from hcs.ops.pixels import classes_of_objects, filter_bank
from hcs.planes.given import Located, find_z, locate_given
from hcs.planes.reading import choose
from hcs.stages.frame import Frame, MadeFrom, open_frame
from hcs.stages.work.images import MAY_PASS
from hcs.stages.work.plates import count_plane_pixels, open_plates
from hcs.stages.work.segmenting import Seen, look_at, read_seen

if TYPE_CHECKING:
    from distributed import Client

STAGE: Final = "segment-train"

_PIXELS: Final = ".pixels.parquet"
_CLASS, _WEIGHT = "class", "weight"
_COPIES: Final = 3


@dataclass(frozen=True, slots=True)
class AnnotatedTask:
    """One annotated field; the unit of work."""

    config: SegmentTrainConfig
    unit_id: str
    plate_path: str
    plate: str
    well: str
    site: int
    field_path: str
    seen: Seen
    located: Located


def run(config: SegmentTrainConfig, client: Client | None = None) -> StageResult:
    """Train a pixel classifier from the annotated fields of plates, and write ``config.out``.

    Raises
    ------
    NotFoundError, InputError, UnknownNameError
        When a plate, channel or annotation does not exist, no field is annotated, or no pixel is of
        an object or of the ground.
    """
    apart = ("plates", "out", "strict")
    with open_frame(
        STAGE, config, client, out=config.out, reads=config.plates, apart=apart
    ) as frame:
        return _run(config, frame)


def _run(config: SegmentTrainConfig, frame: Frame) -> StageResult:
    readers = open_plates(config.plates)
    pixel_um = _agree_on_pixels(readers)
    chosen = choose(readers, config.plane, config.time, every=True)
    scales = (
        4
        * len(config.channels or (None,))
        * (1 + int(np.log2(config.pixels.sigma_max_px / config.pixels.sigma_min_px)))
    )
    needed = budget.WORKER_FLOOR_BYTES + _COPIES * 4 * scales * count_plane_pixels(readers)
    budget.check_budget(STAGE, needed, frame.client, "give workers more memory or fewer threads")
    units: list[Unit[AnnotatedTask]] = []
    for reader in readers:
        seen = look_at(reader, config.channels, chosen[reader.name], config.pixels.normalize)
        units += _list_units(frame, config, reader, seen, alone=len(readers) == 1)
    results = frame.do(_draw_pixels, units, label="annotated fields")
    made_from = MadeFrom(FORMAT, frame.settings, values=[unit.fingerprint for unit in units])
    joined = _Joined(config, frame.ledger, readers[0], units, results, pixel_um)
    found = frame.join("classifier", made_from, joined.write)
    return frame.result(
        {
            "annotated images": found["n_images"],
            "pixels": found["n_pixels"],
            "object diameter": f"{found['diameter_px']:.3g} px",
            "recognized on images left out": _say_share(found["held_out"]),
        }
    )


def _say_share(share: float | None) -> str:
    if share is None:
        return "unknown: one annotated image, or classes that the others lack"
    return f"{share:.1%} of pixels, classes weighed alike"


def _agree_on_pixels(readers: Sequence[PlateReader]) -> float | None:
    sizes = {reader.name: reader.pixel_size_um for reader in readers}
    known = [size for size in sizes.values() if size is not None]
    if known and not np.allclose(known, known[0], rtol=0.01):
        msg = f"plates have pixels of different sizes, {sizes} µm: the filters see pixels, not µm"
        raise InputError(msg)
    return known[0] if known else None


def _list_units(
    frame: Frame, config: SegmentTrainConfig, reader: PlateReader, seen: Seen, *, alone: bool
) -> list[Unit[AnnotatedTask]]:
    """One unit an annotated field; those without annotation are passed over."""
    located = locate_given(config.annotations.source, reader, alone=alone)
    frame.problems += [
        Problem(
            stage=STAGE,
            file=name,
            reason=col.Reason.UNMATCHED_FILE,
            message=f"{name}: no field of plate {reader.name} has a mask of this name",
            plate=reader.name,
            kept=True,
        )
        for name in located.masks.unmatched
    ]
    common = MadeFrom(FORMAT, (frame.settings, seen)).fingerprint
    rows = reader.images[[col.WELL, col.SITE, col.FIELD_PATH, col.FINGERPRINT]]
    units = []
    for well, site, path, pixels in rows.itertuples(index=False, name=None):
        if located.stamps[path] == ABSENT:
            continue
        unit_id = f"{reader.name}-{str(path).replace('/', '-')}"
        only = located.only([path])
        task = AnnotatedTask(
            config, unit_id, reader.path, reader.name, str(well), int(site), str(path), seen, only
        )
        mark = MadeFrom(FORMAT, common, pixels=(path, pixels), values=located.stamps[path])
        units.append(Unit(unit_id, mark.fingerprint, task))
    return units


def _draw_pixels(task: AnnotatedTask) -> Mapping[str, Any]:
    """Draw the annotated pixels of one field; runs on a worker."""
    reader = PlateReader(task.plate_path)
    tables, problems, diameters = [], [], []
    again = False
    for time in task.seen.chosen.times:
        try:
            found, diameter = _describe(task, reader, time)
        except ImageReadError as error:
            if task.config.strict:
                raise
            again |= error.reason in MAY_PASS
            problems.append(
                Problem.from_error(
                    error,
                    stage=STAGE,
                    file=task.field_path,
                    plate=task.plate,
                    well=task.well,
                    site=task.site,
                ).model_dump(mode="json")
            )
            continue
        tables.append(found)
        diameters += diameter
    part = Ledger.of(task.config.out).part(task.unit_id, _PIXELS)
    parquet.write_table(part, pd.concat(tables) if tables else pd.DataFrame({_CLASS: []}))
    return {
        "problems": problems,
        "n_images": len(tables),
        "diameters_px": diameters,
        AGAIN: [task.field_path] if again else [],
    }


def _describe(
    task: AnnotatedTask, reader: PlateReader, time: int
) -> tuple[pd.DataFrame, list[float]]:
    config = task.config
    planes, in_focus = read_seen(reader, task.field_path, task.seen, time)
    z_index = find_z(task.seen.chosen.plane, in_focus)
    height, width = planes.shape[1:]
    plane, name = task.located.read_plane(
        reader, task.field_path, (height, width), z_index=z_index, t_index=time
    )
    classes, diameters = _read_classes(plane, name, config.annotations)
    drawn = draw_pixels(
        classes, config.pixels.pixels_per_class, task.plate, task.field_path, time, config.seed
    )
    bank = filter_bank(planes, config.pixels.sigma_min_px, config.pixels.sigma_max_px)
    values = bank.reshape(-1, bank.shape[-1])[drawn]
    table = pd.DataFrame(values, columns=[f"f{index}" for index in range(values.shape[1])])
    table[_CLASS] = classes.ravel()[drawn]
    table[_WEIGHT] = weigh_pixels(classes, drawn)
    return table, diameters


def _read_classes(
    plane: NDArray[Any], name: str, annotations: Strokes | ObjectLabels
) -> tuple[NDArray[np.uint8], list[float]]:
    """Classes of annotated pixels, and the diameters of drawn objects."""
    if isinstance(annotations, ObjectLabels):
        objects = number_objects(plane, name)
        areas = np.bincount(objects.labels.ravel(), minlength=objects.count + 1)[1:]
        return classes_of_objects(objects.labels), np.sqrt(4 / np.pi * areas).tolist()
    if plane.dtype.kind not in "uib" or plane.min() < 0 or plane.max() > RIM:
        held = f"{plane.min()} to {plane.max()} of type {plane.dtype}"
        msg = (
            f"{name}: strokes are 0 (unlabeled), 1 (background), 2 (object) and 3 (edge), this "
            f"holds {held}; label images of whole objects are given as objects=…"
        )
        raise ImageReadError(msg, col.Reason.WRONG_TYPE)
    return plane.astype(np.uint8), []


@dataclass(frozen=True)
class _Joined:
    """Trains one forest of all drawn pixels."""

    config: SegmentTrainConfig
    ledger: Ledger
    reader: PlateReader
    units: Sequence[Unit[AnnotatedTask]]
    results: Sequence[Mapping[str, Any]]
    pixel_um: float | None

    def write(self, made: Mapping[str, Any]) -> dict[str, Any]:
        """Write the classifier; returns what the summary says of it."""
        parts = [parquet.read_table(self.ledger.part(u.id, _PIXELS)) for u in self.units]
        images = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
        if not images.size:
            reasons = "; ".join(p["message"] for r in self.results for p in r["problems"][:1])
            msg = f"no pixel is annotated: {reasons or 'the annotations hold zeros only'}"
            raise InputError(msg)
        table = pd.concat([part for part in parts if len(part)])
        classes = table.pop(_CLASS).to_numpy(np.uint8)
        weights = table.pop(_WEIGHT).to_numpy(np.float32)
        filters = table.to_numpy(np.float32)
        options, seed = self.config.pixels, self.config.seed
        forest = train_pixels(filters, classes, weights, options, seed)
        held_out = hold_out_images(filters, classes, weights, images, options, seed)
        diameters = [d for result in self.results for d in result["diameters_px"]]
        annotations = self.config.annotations
        given = annotations.diameter_px if isinstance(annotations, Strokes) else 0.0
        found = {
            "n_images": sum(result["n_images"] for result in self.results),
            "n_pixels": int(classes.size),
            "diameter_px": float(np.median(diameters)) if diameters else given,
            "held_out": None if np.isnan(held_out) else held_out,
        }
        seen = self.units[0].payload.seen
        described = {
            **found,
            "channels": [self.reader.channels[index] for index in seen.channels],
            "pixel_size_um": self.pixel_um,
            "pixels": options.model_dump(mode="json"),
            "classes": [int(kind) for kind in forest.classes_],
            "provenance": dict(made),
        }
        write_segmenter(self.config.out, dump_forest(forest), described)
        return found
