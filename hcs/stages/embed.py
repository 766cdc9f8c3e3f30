"""From normalized images to the feature bank: the frozen network runs once an image and view."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hcs.compute import budget
from hcs.compute.ahead import ahead
from hcs.compute.client import network_resources
from hcs.compute.units import Past, Unit
from hcs.domain import columns as col
from hcs.domain.config.network import Augmentation, Backbone
from hcs.domain.config.stages import EmbedConfig
from hcs.domain.results import StageResult
from hcs.errors import InputError
from hcs.io import bank, imagewriting
from hcs.io.files.written import note_write
from hcs.io.imageset import ROW, VALID, ArrayLayout
from hcs.io.stack import open_stack
from hcs.learn.network import augment, backbone
from hcs.learn.network.weights import resolve_weights
from hcs.stages.frame import Frame, MadeFrom, open_frame
from hcs.stages.work.images import name_image
from hcs.stages.work.tables import hash_rows

if TYPE_CHECKING:
    from distributed import Client

STAGE: Final = "embed"

_FORMAT: Final = 3

_SHARD_BYTES: Final = 4 * 1024**2
"""About this much of the bank is one shard."""

_MAX_IMAGES_PER_SHARD: Final = 32

_PICTURES_TOGETHER: Final = 512
"""Shards that have at least so many views are computed together: the last batch is seldom full, and
at the usual 16 a batch at most 3 % of the work is then lost to that."""

_PARTS_WANTED: Final = 16
"""Few images are cut into at least so many parts (or shards), so that all workers have some."""

_STACK_ROW: Final = "stack_row"
_IMAGE_ID: Final = "image_id"


@dataclass(frozen=True, slots=True)
class Recipe:
    """How all images of a bank are made."""

    stack: str
    out: str
    layout: ArrayLayout
    backbone: Backbone
    weights_fingerprint: str
    image_px: int
    augmentation: Augmentation
    batch_images: int
    seed: int

    @property
    def n_views(self) -> int:
        """The image itself and its augmented views."""
        return self.layout.item_shape[0]


@dataclass(frozen=True, slots=True)
class ShardJob:
    """The images of one shard; the unit of work.

    Attributes
    ----------
    images
        Row in the stack and name of each, by its row within the shard.
    """

    recipe: Recipe
    plate: str
    index: int
    images: dict[int, tuple[int, str]]


def run(config: EmbedConfig, client: Client | None = None) -> StageResult:
    """Compute the feature bank ``config.out`` of the stack ``config.stack``.

    Images that were computed before with the same settings and weights are kept.

    Raises
    ------
    NotFoundError
        When there is no stack.
    WeightsError
        When the weights are absent or do not fit; said before anything starts.
    """
    apart = ("stack", "out", "batch_images")
    with open_frame(
        STAGE, config, client, out=config.out, reads=(config.stack,), apart=apart
    ) as frame:
        return _run(config, frame)


def _run(config: EmbedConfig, frame: Frame) -> StageResult:
    stack = open_stack(config.stack)
    images = stack.frame[stack.frame[VALID]].rename(columns={ROW: _STACK_ROW})
    if images.empty:
        msg = f"stack {config.stack} holds no usable image"
        raise InputError(msg)
    weights = resolve_weights(config.backbone)
    image_px = stack.item_shape[0]
    n_features = backbone.feature_count(config.backbone, image_px)
    n_views = config.views + 1
    per_shard = images_per_shard(n_views, n_features)
    layout = bank.layout(n_views, n_features, per_shard)
    recipe = Recipe(
        stack=config.stack,
        out=config.out,
        layout=layout,
        backbone=config.backbone,
        weights_fingerprint=weights.fingerprint,
        image_px=image_px,
        augmentation=config.augmentation,
        batch_images=config.batch_images,
        seed=config.seed,
    )
    _check_budget(config, recipe, frame.client)
    placed = imagewriting.place_images(config.out, images)
    keys = placed[list(col.IMAGE_KEY)].itertuples(index=False, name=None)
    placed[_IMAGE_ID] = [name_image(*key) for key in keys]
    treated = {
        "stack": stack.settings,
        "weights": weights.description,
        "weights_fingerprint": weights.fingerprint,
        **config.model_dump(mode="json", include={"backbone", "views", "augmentation", "seed"}),
    }
    imagewriting.prepare(config.out, layout, placed, treated)
    placed[col.FINGERPRINT] = _fingerprint_images(frame, placed, weights.fingerprint)
    together = -(-images_together(len(placed), n_views, per_shard) // per_shard)
    frame.do(
        _embed_shards,
        _list_units(recipe, placed),
        resources=network_resources(frame.client),
        together=together,
        in_place=True,
    )
    frame.inputs |= {"stack": stack.fingerprint, "weights": weights.fingerprint}
    table = placed.drop(columns=[_STACK_ROW, _IMAGE_ID])
    made_from = MadeFrom(_FORMAT, treated, metadata=hash_rows(table))
    frame.join("images", made_from, lambda made: imagewriting.write_table(config.out, table, made))
    return frame.result(
        {
            "images": len(placed),
            "views": f"1 + {config.views} augmented",
            "features": n_features,
            "weights": weights.description,
        }
    )


def images_per_shard(n_views: int, n_features: int) -> int:
    """Images that make one shard of the bank of about 4 MiB."""
    return int(np.clip(_SHARD_BYTES // (n_views * n_features * 2), 1, _MAX_IMAGES_PER_SHARD))


def images_together(n_images: int, n_views: int, per_shard: int) -> int:
    """Images that one task computes: whole shards."""
    by_views = -(-_PICTURES_TOGETHER // (per_shard * n_views))
    by_share = -(-n_images // per_shard) // _PARTS_WANTED
    return per_shard * max(1, min(by_views, by_share))


def _check_budget(config: EmbedConfig, recipe: Recipe, client: Client | None) -> None:
    pictures = config.batch_images * recipe.image_px**2
    n_views, n_features = recipe.layout.item_shape
    per_shard = recipe.layout.images_per_shard
    # The first two blocks of VGG-16 hold 64 float32 maps of the input's size, twice over.
    together = images_together(10**9, n_views, per_shard)
    needed = budget.NETWORK_FLOOR_BYTES + pictures * 64 * 4 * 2 + together * recipe.image_px**2
    needed += per_shard * n_views * n_features * 4
    budget.check_budget(STAGE, needed, client, "lower batch_images or give workers more memory")


def _fingerprint_images(frame: Frame, placed: pd.DataFrame, weights: str) -> list[str]:
    """Say what the activations of every image are made from; where its weights lie is nothing."""
    settings = frame.settings
    settings["backbone"] = {k: v for k, v in settings["backbone"].items() if k != "weights"}
    common = MadeFrom(_FORMAT, settings, weights=weights).fingerprint
    rows = placed[[_IMAGE_ID, col.FINGERPRINT]].itertuples(index=False, name=None)
    return [MadeFrom(_FORMAT, common, pixels=row).fingerprint for row in rows]


def _list_units(recipe: Recipe, placed: pd.DataFrame) -> list[Unit[ShardJob]]:
    """One unit a shard; its items are the images in it, by their row."""
    per_shard = recipe.layout.images_per_shard
    columns = [col.PLATE, ROW, _STACK_ROW, _IMAGE_ID, col.FINGERPRINT]
    shards: dict[tuple[str, int], dict[int, tuple[int, str, str]]] = {}
    for plate, row, stack_row, name, mark in placed[columns].itertuples(index=False, name=None):
        shards.setdefault((plate, row // per_shard), {})[row % per_shard] = (stack_row, name, mark)
    units = []
    for (plate, index), found in sorted(shards.items()):
        items = {str(row): mark for row, (_, _, mark) in found.items()}
        images = {row: (stack_row, name) for row, (stack_row, name, _) in found.items()}
        job = ShardJob(recipe, plate, index, images)
        made_from = MadeFrom(_FORMAT, pixels=items)
        units.append(Unit(f"{plate}-{index:06d}", made_from.fingerprint, job, items))
    return units


def _embed_shards(tasks: Sequence[tuple[ShardJob, Past]]) -> Iterator[Mapping[str, Any]]:
    """Compute and write some shards; runs on a worker that may hold a GPU.

    While the network computes one batch, a thread reads and resamples the next ones and another
    writes the shard before.
    """
    recipe = tasks[0][0].recipe
    wanted = [sorted(set(job.images) - {int(row) for row in past.items}) for job, past in tasks]
    batches = ahead(_iterate_batches([job for job, _ in tasks], wanted))
    embedder = backbone.load_embedder(
        recipe.backbone, recipe.image_px, recipe.batch_images, recipe.weights_fingerprint
    )
    buffer = np.empty((0, embedder.n_features), np.float16)
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="write") as writer:
        before: Future[tuple[str, int]] | None = None
        for (job, past), rows in zip(tasks, wanted, strict=True):
            n_vectors = len(rows) * recipe.n_views
            while len(buffer) < n_vectors:
                with np.errstate(over="ignore"):  # looked at before it is written
                    vectors = embedder.features(next(batches)).astype(np.float16)
                buffer = np.concatenate([buffer, vectors])
            block = _fill_shard(job, past, rows, buffer[:n_vectors])
            buffer = buffer[n_vectors:]
            if before is not None:
                note_write(*before.result())
                yield {}
            before = writer.submit(
                imagewriting.write_shard, recipe.out, recipe.layout, job.plate, job.index, block
            )
        if before is not None:
            note_write(*before.result())
            yield {}


def _iterate_batches(
    jobs: Sequence[ShardJob], wanted: Sequence[Sequence[int]]
) -> Iterator[NDArray[np.uint8]]:
    """Yield the views of the wanted images, one after the other, in batches over all shards."""
    recipe = jobs[0].recipe
    stack = open_stack(recipe.stack)
    views = range(recipe.n_views)
    pictures: list[NDArray[np.uint8]] = []
    matrices: list[NDArray[np.float32]] = []
    for job, rows in zip(jobs, wanted, strict=True):
        if not rows:
            continue
        places = np.array([job.images[row][0] for row in rows])
        names = [job.images[row][1] for row in rows]
        read = stack.take_rows(job.plate, places)
        drawn = augment.view_parameters(recipe.augmentation, recipe.seed, names, views)
        pictures += [picture for picture in read for _ in views]
        matrices += list(drawn.reshape(-1, 8))
        while len(pictures) >= recipe.batch_images:
            yield _apply(pictures[: recipe.batch_images], matrices[: recipe.batch_images])
            del pictures[: recipe.batch_images], matrices[: recipe.batch_images]
    if pictures:
        yield _apply(pictures, matrices)


def _apply(
    pictures: Sequence[NDArray[np.uint8]], matrices: Sequence[NDArray[np.float32]]
) -> NDArray[np.uint8]:
    return augment.apply_views(np.stack(pictures), np.stack(matrices))


def _fill_shard(
    job: ShardJob, past: Past, rows: Sequence[int], vectors: NDArray[np.float16]
) -> NDArray[np.float16]:
    """Put new activations beside those that are kept."""
    recipe = job.recipe
    if not np.isfinite(vectors).all():
        names = [job.images[row][1] for row in rows]
        msg = f"activations among the images {names[0]} … {names[-1]} exceed half precision"
        raise InputError(msg)
    per_shard = recipe.layout.images_per_shard
    block = np.zeros((per_shard, *recipe.layout.item_shape), np.float16)
    kept = sorted(int(row) for row in past.items)
    if kept:
        places = job.index * per_shard + np.array(kept)
        block[kept] = bank.open_bank(recipe.out).take_rows(job.plate, places)
    block[list(rows)] = vectors.reshape(len(rows), *recipe.layout.item_shape)
    return block
