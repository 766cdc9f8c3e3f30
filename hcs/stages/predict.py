"""From trained models and new plates to scores: every image by every model of a study."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa

from hcs.compute import budget
from hcs.compute.client import network_resources
from hcs.compute.units import Unit
from hcs.domain import columns as col
from hcs.domain.config.stages import PredictConfig, ScoreConfig
from hcs.domain.results import StageResult
from hcs.domain.splits import Splits
from hcs.errors import StaleError
from hcs.io import heads as io_heads
from hcs.io.files import parquet
from hcs.io.files.paths import as_path
from hcs.io.runs.ledger import Ledger
from hcs.learn.scores.predictions import prediction_rows, rows_of_all_heads
from hcs.planes.definitions import KEY, read_definitions, refuse_other_definitions
from hcs.planes.times import image_key, measured_plane, refuse_other_plane
from hcs.stages.frame import Frame, MadeFrom, open_frame, require_parquet
from hcs.stages.work import scoring
from hcs.stages.work.images import Images, refuse_nothing
from hcs.stages.work.models import choose_backbone, list_as_trained
from hcs.stages.work.study import fingerprint_splits, read_splits
from hcs.stages.work.tables import hash_rows

if TYPE_CHECKING:
    from distributed import Client

STAGE: Final = "predict"

_FORMAT: Final = 3

_IMAGES_TOGETHER: Final = 64
"""Wells that have about so many images are scored together, so that few batches are not full."""


def run(config: PredictConfig, client: Client | None = None) -> StageResult:
    """Score every image of ``config.plates`` with the heads of all splits.

    Images are treated as those of training were: channel, plane, time point, median level and size
    come with the models; of several time points each is scored for itself. Metadata and roles are
    joined at the end, so that a corrected plate map costs seconds.

    Raises
    ------
    NotFoundError
        When models or plates are missing.
    WeightsError
        When the base's weights are absent, or are not those of training.
    StaleError
        When the models are of another version, or damaged.
    """
    require_parquet(config.out)
    apart = ("models", "plates", "out", "channel", "weights", "batch_images", "strict")
    reads = (config.models, *config.plates)
    with open_frame(STAGE, config, client, out=config.out, reads=reads, apart=apart) as frame:
        return _score_images(config, frame)


def run_forests(config: ScoreConfig, client: Client | None = None) -> StageResult:
    """Score every row of a features table with the forest of every split.

    A plate is a unit of work; dask-ml's ``ParallelPostFit`` takes its rows block by block.

    Raises
    ------
    NotFoundError
        When forests or features are missing.
    StaleError
        When the table lacks a feature that the forests were trained on, or a forest is damaged.
    InputError
        When a file is no forest saved by skops.
    """
    require_parquet(config.out)
    apart = ("models", "features", "out")
    reads = (config.models, config.features)
    with open_frame(STAGE, config, client, out=config.out, reads=reads, apart=apart) as frame:
        return _score_table(config, frame)


# ── images, by the network ──────────────────────────────────────────────────────────────────────


def _score_images(config: PredictConfig, frame: Frame) -> StageResult:
    manifest = io_heads.read_manifest(config.models)
    splits = read_splits(as_path(config.models) / io_heads.SPLITS)
    treated = manifest["images"]
    images = list_as_trained(
        config.plates,
        treated,
        STAGE,
        channel=config.channel,
        plane=config.plane,
        time=config.time,
    )
    frame.problems += images.problems
    refuse_nothing(images, config.plates, config.out)
    recipe = scoring.Recipe(
        models=config.models,
        out=config.out,
        heads_fingerprint=manifest["heads_fingerprint"],
        backbone=choose_backbone(manifest, config.weights),
        weights_fingerprint=manifest["weights_fingerprint"],
        image_px=int(treated["image_px"]),
        median_level=float(treated["median_level"]),
        batch_images=config.batch_images,
        strict=config.strict,
    )
    pixels = config.batch_images * recipe.image_px**2
    needed = budget.NETWORK_FLOOR_BYTES + pixels * 64 * 4 * 2 + _IMAGES_TOGETHER * pixels
    remedy = "lower batch_images or give workers more memory"
    budget.check_budget(STAGE, needed, frame.client, remedy)
    weights = (manifest["weights_fingerprint"], manifest["heads_fingerprint"])
    common = MadeFrom(_FORMAT, (frame.settings, treated), weights=weights).fingerprint
    units = _list_wells(recipe, images, common)
    largest = max(len(unit.payload.images) for unit in units)
    frame.do(
        scoring.score_wells,
        units,
        resources=network_resources(frame.client),
        together=max(1, _IMAGES_TOGETHER // largest),
    )
    frame.inputs |= {"models": manifest["heads_fingerprint"]}
    about = images.described.drop(columns=[col.FIELD_PATH, col.FINGERPRINT])
    plates = [
        _Plate(name, [unit for unit in units if unit.payload.plate == name], rows)
        for name, rows in ((str(name), rows) for name, rows in about.groupby(col.PLATE, sort=True))
    ]
    n_rows = _join(frame, plates, splits, "cnn")
    if n_rows == 0:
        refuse_nothing(Images(images.frame.iloc[:0], frame.problems), config.plates, config.out)
    return frame.result(
        {
            "plates": len(config.plates),
            "images": n_rows // max(len(splits.splits), 1),
            "heads": len(splits.splits),
        }
    )


def _list_wells(recipe: scoring.Recipe, images: Images, common: str) -> list[Unit[scoring.WellJob]]:
    """One unit a well; its items are the images, by the path of their field and their time."""
    jobs = images.jobs()
    pixels = images.frame[col.FINGERPRINT].tolist()
    wells: dict[tuple[str, str], list[int]] = {}
    for place, job in enumerate(jobs):
        wells.setdefault((job.plate, job.well), []).append(place)
    units = []
    for (plate, well), places in sorted(wells.items()):
        items = {
            jobs[place].key: MadeFrom(
                _FORMAT, common, pixels=(jobs[place].channel, jobs[place].site, pixels[place])
            ).fingerprint
            for place in places
        }
        name = f"{plate}-{well}"
        chosen = tuple(jobs[place] for place in places)
        work = scoring.WellJob(recipe, name, plate, well, chosen)
        units.append(Unit(name, MadeFrom(_FORMAT, pixels=items).fingerprint, work, items))
    return units


# ── features, by the forests ────────────────────────────────────────────────────────────────────


def _score_table(config: ScoreConfig, frame: Frame) -> StageResult:
    manifest = io_heads.read_manifest(config.models)
    splits = read_splits(as_path(config.models) / io_heads.SPLITS)
    columns = [str(name) for name in manifest["features"]]
    forests = {str(name): str(mark) for name, mark in manifest["forests"].items()}
    hashes = _hash_plates(config.features, columns)
    refuse_other_plane(manifest.get("plane"), measured_plane(config.features), config.features)
    defined = read_definitions(config.features)
    refuse_other_definitions(manifest.get(KEY, 0), defined, config.features)
    common = MadeFrom(_FORMAT, (frame.settings, columns), weights=forests).fingerprint
    units = [
        Unit(
            name,
            MadeFrom(_FORMAT, common, values=found).fingerprint,
            scoring.TableJob(config.models, config.features, config.out, name, forests),
        )
        for name, found in sorted(hashes.items())
    ]
    frame.do(scoring.score_plate, units)
    frame.inputs |= {"models": MadeFrom(_FORMAT, weights=forests).fingerprint}
    plates = [_Plate(unit.id, [unit], _TableRows(config.features, unit.id)) for unit in units]
    n_rows = _join(frame, plates, splits, "forest")
    return frame.result(
        {
            "images": n_rows // max(len(splits.splits), 1),
            "forests": len(splits.splits),
            "where": "Dask workers" if frame.client is not None else "this process",
        }
    )


def _hash_plates(features: str, columns: Sequence[str]) -> dict[str, str]:
    """Fingerprint of the features of every plate, the table read piece by piece."""
    found: dict[str, list[str]] = {}
    for rows in parquet.row_groups(features, columns=col.IMAGE_KEY, what="features"):
        if absent := [name for name in columns if name not in rows]:
            msg = f"the forests were trained on the features {absent}, which {features} lacks"
            raise StaleError(msg)
        chosen = rows[[*image_key(rows), *columns]]
        for plate, part in chosen.groupby(col.PLATE, sort=False):
            found.setdefault(str(plate), []).append(hash_rows(part))
    return {plate: MadeFrom(_FORMAT, values=marks).fingerprint for plate, marks in found.items()}


# ── the table ───────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class _TableRows:
    """What a features table says of the images of one plate, read when it is asked for."""

    features: str
    plate: str

    def read(self) -> pd.DataFrame:
        """Read the metadata of the plate's images."""
        rows = scoring.read_plate_rows(self.features, self.plate)
        return rows[[name for name in rows.columns if name.startswith("Metadata_")]]


@dataclass(frozen=True)
class _Plate:
    """The scores of one plate and what is known of its images."""

    name: str
    units: Sequence[Unit[Any]]
    about: pd.DataFrame | _TableRows

    def read_about(self) -> pd.DataFrame:
        """Read what is known of the images."""
        return self.about.read() if isinstance(self.about, _TableRows) else self.about

    def rows(self, ledger: Ledger, splits: Splits, model: str) -> pd.DataFrame:
        """Scores of all images by all models, metadata and roles beside them."""
        parts = [io_heads.read_part(ledger.part(unit.id, scoring.PART)) for unit in self.units]
        known = self.read_about()
        named = {"wells": col.WELL, "sites": col.SITE, "times": col.TIME}
        keys = pd.DataFrame(
            {
                column: np.concatenate([part[name] for part in parts])
                for name, column in named.items()
                if column in known
            }
        )
        about = keys.merge(known, on=list(keys.columns), how="left", validate="1:1")
        scores = np.concatenate([part["probabilities"] for part in parts], axis=1)
        first = [
            name
            for name in (*col.IMAGE_KEY, col.TIME, col.TIME_MIN, *col.WELL_METADATA)
            if name in about
        ]
        about = about[first + [name for name in about.columns if name not in first]]
        return rows_of_all_heads(about, scores, splits, model)


def _join(frame: Frame, plates: Sequence[_Plate], splits: Splits, model: str) -> int:
    """Write the long table, one plate in memory at a time; return its number of rows."""
    out, ledger = frame.out, frame.ledger
    metadata = {plate.name: hash_rows(plate.read_about()) for plate in plates}
    made_from = MadeFrom(
        _FORMAT,
        metadata=metadata,
        values=[
            fingerprint_splits(splits),
            *(unit.fingerprint for plate in plates for unit in plate.units),
        ],
    )

    def schemas() -> Iterator[pa.Schema]:
        for plate in plates:
            about = plate.read_about()
            nothing = np.zeros((len(about), len(splits.classes)), np.float32)
            rows = prediction_rows(about, nothing, splits, splits.splits[0].index, model)
            yield pa.Schema.from_pandas(rows, preserve_index=False)

    def write(made: Mapping[str, Any]) -> None:
        tables = (plate.rows(ledger, splits, model) for plate in plates)
        parquet.write_stream(out, schemas(), tables, made)

    frame.join("predictions", made_from, write)
    return parquet.count_rows(out)
