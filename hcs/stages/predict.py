"""From trained heads and new plates to scores: one pass of the base, one product with all heads."""

from __future__ import annotations

import functools
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hcs.compute import budget
from hcs.compute.ahead import ahead
from hcs.compute.client import network_resources
from hcs.compute.units import Unit, run_units
from hcs.domain import columns as col
from hcs.domain.config.stages import Backbone, PredictConfig
from hcs.domain.results import Problem, StageResult
from hcs.domain.splits import Splits
from hcs.errors import ImageReadError, WeightsError
from hcs.io import heads as io_heads
from hcs.io.files import parquet
from hcs.io.files.paths import as_path
from hcs.io.runs.fingerprints import fingerprint
from hcs.io.runs.ledger import Ledger
from hcs.io.runs.locks import locked
from hcs.io.runs.provenance import provenance
from hcs.learn.heads.weights import HeadWeights, predict_heads
from hcs.learn.network import backbone
from hcs.learn.network.weights import resolve_weights
from hcs.learn.scores.predictions import rows_of_all_heads
from hcs.stages.splits import read_splits
from hcs.stages.stack import ImageJob, images_of, normalized, refuse_nothing

if TYPE_CHECKING:
    from distributed import Client

STAGE: Final = "predict"
MODEL: Final = "cnn"

_FORMAT: Final = 1

_IMAGES_PER_UNIT: Final = 64


@dataclass(frozen=True)
class BlockJob:
    """A block of images of one plate; the unit of work."""

    config: PredictConfig
    unit_id: str
    images: tuple[ImageJob, ...]
    metadata: pd.DataFrame
    backbone: Backbone
    weights_fingerprint: str
    image_px: int
    median_level: float
    models_mark: str


def run(config: PredictConfig, client: Client | None = None) -> StageResult:
    """Score every image of ``config.plates`` with the heads of all splits.

    Images are treated as those of training were: channel, median level and size come with the
    models.

    Raises
    ------
    NotFoundError
        When models or plates are missing.
    WeightsError
        When the base's weights are absent, or are not those of training.
    """
    started = time.time()
    with locked(config.out):
        return _run(config, client, started)


def trained_backbone(manifest: Mapping[str, Any], weights: str | None) -> Backbone:
    """Return the base that the heads were trained on, its weights checked by fingerprint.

    Raises
    ------
    WeightsError
        When they are absent, or are others.
    """
    base = Backbone.model_validate(manifest["backbone"])
    if weights is not None:
        base = base.model_copy(update={"weights": weights})
    found = resolve_weights(base)
    if found.fingerprint != manifest["weights_fingerprint"]:
        msg = (
            f"the heads were trained on {manifest['weights']}; {base.weights} holds other weights "
            f"({found.description}): name the right ones with --weights"
        )
        raise WeightsError(msg)
    return base


def _run(config: PredictConfig, client: Client | None, started: float) -> StageResult:
    manifest = io_heads.read_manifest(config.models)
    base = trained_backbone(manifest, config.weights)
    treated = manifest["images"]
    frame, jobs, problems = images_of(config.plates, treated["channel"], STAGE)
    refuse_nothing(jobs, problems, config.plates, config.out)
    image_px = int(treated["image_px"])
    pictures = config.batch_images * image_px**2 * 64 * 4 * 2
    needed = budget.NETWORK_FLOOR_BYTES + pictures + _IMAGES_PER_UNIT * image_px**2
    budget.check_budget(STAGE, needed, client, "lower batch_images or give workers more memory")
    mark = fingerprint(
        _FORMAT,
        manifest["weights_fingerprint"],
        manifest["provenance"]["inputs"],
        treated,
    )
    ledger = Ledger.of(config.out)
    units = []
    for start in range(0, len(jobs), _IMAGES_PER_UNIT):
        part = tuple(jobs[start : start + _IMAGES_PER_UNIT])
        rows = frame.iloc[start : start + _IMAGES_PER_UNIT].reset_index(drop=True)
        unit_id = f"images-{start:08d}"
        job = BlockJob(
            config=config,
            unit_id=unit_id,
            images=part,
            metadata=rows,
            backbone=base,
            weights_fingerprint=manifest["weights_fingerprint"],
            image_px=image_px,
            median_level=float(treated["median_level"]),
            models_mark=mark,
        )
        places = [(item.plate, item.field_path, item.channel) for item in part]
        marks = rows[col.FINGERPRINT].tolist()
        units.append(Unit(unit_id, fingerprint(mark, places, marks), job))
    outcome = run_units(
        _score_block,
        units,
        ledger=ledger,
        client=client,
        label="predict",
        resources=network_resources(client),
    )
    problems += [Problem(**item) for result in outcome.results for item in result["problems"]]
    made = provenance(STAGE, config, {"models": mark}, started)
    n_rows = parquet.join_tables(
        [ledger.part(unit.id, ".parquet") for unit in units], config.out, made
    )
    if n_rows == 0:
        refuse_nothing([], problems, config.plates, config.out)
    parquet.write_problems(config.out, [problem.row() for problem in problems])
    return StageResult(
        stage=STAGE,
        out=config.out,
        summary={
            "plates": len(config.plates),
            "images": len(jobs),
            "heads": len(read_splits(as_path(config.models) / io_heads.SPLITS).splits),
        },
        n_run=outcome.n_run,
        n_skipped=outcome.n_skipped,
        problems=tuple(problems),
        seconds=time.time() - started,
    )


def _score_block(job: BlockJob) -> Mapping[str, Any]:
    """Normalise, embed and score one block; runs on a worker that may hold a GPU."""
    embedder = backbone.load_embedder(
        job.backbone, job.image_px, job.config.batch_images, job.weights_fingerprint
    )
    good = np.ones(len(job.images), dtype=bool)
    problems: list[dict[str, Any]] = []
    vectors = []
    for start, pictures, faults in ahead(_batches(job)):
        good[[start + position for position, _ in faults]] = False
        problems += [problem for _, problem in faults]
        # The heads were trained on half-precision features: new images take the same rounding.
        vectors.append(embedder.features(pictures).astype(np.float16))
    trained = _trained(job.config.models, job.models_mark)
    probabilities = predict_heads(np.concatenate(vectors), trained.heads)
    metadata = job.metadata[good].reset_index(drop=True)
    rows = rows_of_all_heads(metadata, probabilities, trained.splits, MODEL)
    parquet.write_table(Ledger.of(job.config.out).part(job.unit_id, ".parquet"), rows)
    return {"problems": problems}


_Fault = tuple[int, dict[str, Any]]
"""Position of an image in its batch, and its row of problems."""


def _batches(job: BlockJob) -> Iterator[tuple[int, NDArray[np.uint8], list[_Fault]]]:
    """First position, pictures and faults of every batch."""
    size = job.config.batch_images
    for start in range(0, len(job.images), size):
        yield start, *_pictures(job, job.images[start : start + size])


def _pictures(job: BlockJob, images: Sequence[ImageJob]) -> tuple[NDArray[np.uint8], list[_Fault]]:
    """Read and normalize some images; those that cannot be used are left out and named."""
    pictures: list[NDArray[np.uint8]] = []
    faults: list[_Fault] = []
    for position, image in enumerate(images):
        try:
            pictures.append(normalized(image, job.image_px, job.median_level))
        except ImageReadError as error:
            if job.config.strict:
                raise
            fault = Problem(
                stage=STAGE,
                file=image.field_path,
                reason=col.Reason(error.reason),
                message=str(error),
                plate=image.plate,
                well=image.well,
                site=image.site,
            )
            faults.append((position, fault.model_dump(mode="json")))
    side = job.image_px
    return np.array(pictures, dtype=np.uint8).reshape(-1, side, side), faults


@dataclass(frozen=True)
class _Trained:
    """The heads of a study and the splits that they were trained on."""

    heads: HeadWeights
    splits: Splits


@functools.lru_cache(maxsize=1)
def _trained(models: str, mark: str) -> _Trained:
    """Read the heads once a process and state of the models; `mark` is their fingerprint."""
    del mark
    heads = HeadWeights(**io_heads.read_heads(models))
    return _Trained(heads, read_splits(as_path(models) / io_heads.SPLITS))
