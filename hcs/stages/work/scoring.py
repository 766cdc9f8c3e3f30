"""What a worker does of scoring: wells by the network and its heads, tables by forests."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hcs.compute.ahead import ahead
from hcs.compute.units import Past
from hcs.compute.work import AGAIN
from hcs.domain import columns as col
from hcs.domain.config.network import Backbone
from hcs.domain.results import Problem
from hcs.errors import NotFoundError, StaleError
from hcs.io import heads as io_heads
from hcs.io.files import parquet
from hcs.io.files.paths import as_path
from hcs.io.runs.ledger import Ledger
from hcs.learn import forest
from hcs.learn.heads.weights import F32, HeadWeights, predict_heads
from hcs.learn.network import backbone
from hcs.stages.work.images import MAY_PASS, ImageJob, normalize_each
from hcs.stages.work.study import read_splits

STAGE: Final = "predict"

PART: Final = ".scores.npz"
"""Of a unit: ``wells``, ``sites`` and ``times`` ``(N,)``, and ``probabilities (models, N,
classes)``."""


_ROWS: Final = 64
"""Images that are multiplied with a head's weights at a time."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How all images are scored."""

    models: str
    out: str
    heads_fingerprint: str
    backbone: Backbone
    weights_fingerprint: str
    image_px: int
    median_level: float
    batch_images: int
    strict: bool


@dataclass(frozen=True, slots=True)
class WellJob:
    """The images of one well; the unit of work."""

    recipe: Recipe
    unit_id: str
    plate: str
    well: str
    images: tuple[ImageJob, ...]


@dataclass(frozen=True, slots=True)
class TableJob:
    """The rows of one plate in a features table; the unit of work of forests."""

    models: str
    features: str
    out: str
    plate: str
    forests: Mapping[str, str]


def score_wells(tasks: Sequence[tuple[WellJob, Past]]) -> Iterator[Mapping[str, Any]]:
    """Normalize, embed and score some wells; runs on a worker that may hold a GPU.

    Images that are still true are kept. A thread reads the next batch while the network computes.
    """
    recipe = tasks[0][0].recipe
    wanted = [[image for image in job.images if image.key not in past.items] for job, past in tasks]
    found: list[NDArray[np.uint8] | Problem] = []
    vectors: list[NDArray[np.float16]] = []
    if any(wanted):
        embedder = backbone.load_embedder(
            recipe.backbone, recipe.image_px, recipe.batch_images, recipe.weights_fingerprint
        )
        for faults, pictures in ahead(
            _iterate_batches(recipe, [i for part in wanted for i in part])
        ):
            found += faults
            if len(pictures):
                # Heads were trained on half-precision features: new images take the same rounding.
                vectors += list(embedder.features(pictures).astype(np.float16))
    heads = _read_heads(recipe.models, recipe.heads_fingerprint)
    outcomes, made = iter(found), iter(_score(vectors, heads))
    for (job, past), images in zip(tasks, wanted, strict=True):
        yield _score_well(job, past, [(image, next(outcomes)) for image in images], made, heads)


def _score(vectors: Sequence[NDArray[np.float16]], heads: HeadWeights) -> Iterator[F32]:
    """Yield the scores of every image by all heads, ``(models, classes)``.

    Always as many rows at a time: a product of matrices rounds differently for one row than for
    two, and the score of an image shall not depend on what else was left to do.
    """
    for start in range(0, len(vectors), _ROWS):
        block = vectors[start : start + _ROWS]
        features = np.zeros((_ROWS, heads.n_features), np.float16)
        features[: len(block)] = block
        scores = predict_heads(features, heads)
        yield from (scores[:, row] for row in range(len(block)))


_GOOD: Final = np.empty(0, np.uint8)
"""Stands for an image that could be read, beside the problems of those that could not."""


def _iterate_batches(
    recipe: Recipe, images: Sequence[ImageJob]
) -> Iterator[tuple[list[NDArray[np.uint8] | Problem], NDArray[np.uint8]]]:
    """Yield what became of every image, and the pictures of those that could be read."""
    side = recipe.image_px
    for start in range(0, len(images), recipe.batch_images):
        batch = images[start : start + recipe.batch_images]
        made = list(normalize_each(batch, side, recipe.median_level, STAGE, strict=recipe.strict))
        pictures = [item for item in made if not isinstance(item, Problem)]
        outcomes = [item if isinstance(item, Problem) else _GOOD for item in made]
        yield outcomes, np.array(pictures, dtype=np.uint8).reshape(-1, side, side)


def _score_well(
    job: WellJob,
    past: Past,
    outcomes: Sequence[tuple[ImageJob, NDArray[np.uint8] | Problem]],
    made: Iterator[F32],
    heads: HeadWeights,
) -> Mapping[str, Any]:
    """Write the scores of one well: those that are kept, then the new ones, by site and time."""
    ledger = Ledger.of(job.recipe.out)
    kept = [image for image in job.images if image.key in past.items]
    keys = {image.key for image in kept}
    problems = [item for item in past.result.get("problems", ()) if item["file"] in keys]
    again: list[str] = []
    places: list[tuple[int, int]] = []
    rows: list[F32] = []
    for image, outcome in outcomes:
        if isinstance(outcome, Problem):
            problems.append(outcome.model_dump(mode="json"))
            again += [image.key] if outcome.reason in MAY_PASS else []
        else:
            places.append((image.site, image.time))
            rows.append(next(made))
    nothing = np.empty((len(heads), 0, heads.n_classes), np.float32)
    scores = [np.stack(rows, axis=1) if rows else nothing]
    if kept:
        before = io_heads.read_part(ledger.part(job.unit_id, PART))
        wanted = {(image.site, image.time) for image in kept}
        stored = list(zip(before["sites"].tolist(), before["times"].tolist(), strict=True))
        old = [number for number, place in enumerate(stored) if place in wanted]
        places = [*(stored[number] for number in old), *places]
        scores.insert(0, before["probabilities"][:, old])
    order = sorted(range(len(places)), key=places.__getitem__)
    where = np.array([places[number] for number in order], dtype=np.int64).reshape(-1, 2)
    part = {
        "wells": np.array([job.well] * len(places), dtype=np.str_),
        "sites": where[:, 0],
        "times": where[:, 1],
        "probabilities": np.concatenate(scores, axis=1)[:, order],
    }
    io_heads.write_part(ledger.part(job.unit_id, PART), part)
    return {"problems": problems, AGAIN: again}


@functools.lru_cache(maxsize=1)
def _read_heads(models: str, mark: str) -> HeadWeights:
    """Read the heads once a process and state of the models; `mark` is their fingerprint."""
    arrays = io_heads.read_heads(models)
    if io_heads.read_manifest(models)["heads_fingerprint"] != mark:
        msg = f"the heads in {models} were trained again meanwhile: run the command again"
        raise StaleError(msg)
    return HeadWeights(**arrays)


def read_plate_rows(features: str, plate: str) -> pd.DataFrame:
    """Read the rows of one plate of a features table."""
    return parquet.read_table(features, what="features", only={col.PLATE: plate})


def score_plate(job: TableJob) -> Mapping[str, Any]:
    """Score the rows of one plate with the forest of every split; runs on a worker."""
    rows = read_plate_rows(job.features, job.plate)
    splits = read_splits(as_path(job.models) / io_heads.SPLITS)
    scores = []
    for split in splits.splits:
        trained = _read_forest(job, f"split-{split.index:04d}.skops")
        numbers = rows[[str(name) for name in trained.feature_names_in_]].astype(np.float64)
        order = [trained.classes_.tolist().index(name) for name in splits.classes]
        scores.append(forest.predict_table(trained, numbers)[:, order].astype(np.float32))
    part = {
        "wells": rows[col.WELL].to_numpy(dtype=np.str_),
        "sites": rows[col.SITE].to_numpy(dtype=np.int64),
        "times": rows.get(col.TIME, pd.Series(0, index=rows.index)).to_numpy(dtype=np.int64),
        "probabilities": np.stack(scores),
    }
    io_heads.write_part(Ledger.of(job.out).part(job.plate, PART), part)
    return {}


def _read_forest(job: TableJob, name: str) -> Any:  # noqa: ANN401 (scikit-learn has no types)
    file = as_path(job.models) / name
    if not file.exists():
        msg = f"{file} does not exist: train the forests again with hcs forest"
        raise NotFoundError(msg)
    data = file.read_bytes()
    if f"sha256:{hashlib.sha256(data).hexdigest()}" != job.forests.get(name):
        msg = f"{file} is not the forest that was trained: run hcs forest again"
        raise StaleError(msg)
    return forest.load_forest(data, str(file))
