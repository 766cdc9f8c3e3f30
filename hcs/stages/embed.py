"""From normalised images to the feature bank: the frozen network runs once an image and view."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from hcs.compute import budget
from hcs.compute.ahead import ahead
from hcs.compute.client import network_resources
from hcs.compute.units import Unit, run_units
from hcs.domain import columns as col
from hcs.domain.config.stages import Augmentation, Backbone, EmbedConfig
from hcs.domain.results import StageResult
from hcs.errors import InputError
from hcs.io import bank, imageset
from hcs.io.runs.fingerprints import fingerprint
from hcs.io.runs.ledger import Ledger
from hcs.io.runs.locks import locked
from hcs.io.runs.provenance import provenance
from hcs.io.stack import open_stack
from hcs.learn.network import augment, backbone
from hcs.learn.network.weights import resolve_weights

if TYPE_CHECKING:
    import pandas as pd
    from distributed import Client

STAGE: Final = "embed"

_FORMAT: Final = 1

_SHARD_BYTES: Final = 4 * 1024**2
"""About this much of the bank is one shard."""

_MAX_IMAGES_PER_SHARD: Final = 32

_PICTURES_PER_UNIT: Final = 512
"""A unit of work has at least so many views: the last batch of a unit is seldom full, and at the
usual 16 a batch at most 3 % of the work is then lost to that."""

_UNITS_WANTED: Final = 16
"""Few images are cut into at least so many units (or shards), so that all workers have some."""


@dataclass(frozen=True)
class BlockJob:
    """A block of images that fills some shards of the bank; the unit of work."""

    stack: str
    out: str
    start: int
    stop: int
    image_ids: tuple[str, ...]
    backbone: Backbone
    weights_fingerprint: str
    per_shard: int
    image_px: int
    views: int
    augmentation: Augmentation
    batch_images: int
    seed: int


def run(config: EmbedConfig, client: Client | None = None) -> StageResult:
    """Compute the feature bank ``config.out`` of the stack ``config.stack``.

    Raises
    ------
    NotFoundError
        When there is no stack.
    WeightsError
        When the weights are absent or do not fit; said before anything starts.
    """
    started = time.time()
    with locked(config.out):
        return _run(config, client, started)


def image_id(plate: object, well: object, site: object) -> str:
    """Name of an image from which its random numbers are drawn."""
    return f"{plate}/{well}/{site}"


def _run(config: EmbedConfig, client: Client | None, started: float) -> StageResult:
    stack = open_stack(config.stack)
    frame = stack.frame
    if not frame[imageset.VALID].any():
        msg = f"stack {config.stack} holds no usable image"
        raise InputError(msg)
    weights = resolve_weights(config.backbone)
    image_px = int(stack.array.shape[1])
    n_features = backbone.feature_count(config.backbone, image_px)
    n_views = config.views + 1
    per_shard = images_per_shard(n_views, n_features)
    layout = bank.layout(len(frame), n_views, n_features, per_shard)
    settings = {
        "stack": stack.settings,
        "backbone": config.backbone.model_dump(mode="json", exclude={"weights"}),
        "weights": weights.description,
        "weights_fingerprint": weights.fingerprint,
        "views": config.views,
        "augmentation": config.augmentation.model_dump(mode="json"),
        "seed": config.seed,
    }
    pictures = config.batch_images * image_px**2
    # The first two blocks of VGG-16 hold 64 float32 maps of the input's size, twice over.
    per_unit = images_per_unit(len(frame), n_views, per_shard)
    needed = budget.NETWORK_FLOOR_BYTES + pictures * 64 * 4 * 2 + per_unit * image_px**2
    needed += per_shard * n_views * n_features * 4
    budget.check_budget(STAGE, needed, client, "lower batch_images or give workers more memory")
    ledger = Ledger.of(config.out)
    imageset.prepare(config.out, layout, frame, settings, ledger)
    outcome = run_units(
        _embed_block,
        _units(config, image_px, per_shard, settings, frame),
        ledger=ledger,
        client=client,
        label="embed",
        resources=network_resources(client),
    )
    made = provenance(STAGE, config, {"stack": stack.fingerprint}, started)
    imageset.write_provenance(config.out, made)
    return StageResult(
        stage=STAGE,
        out=config.out,
        summary={
            "images": int(frame[imageset.VALID].sum()),
            "views": f"1 + {config.views} augmented",
            "features": n_features,
            "weights": weights.description,
        },
        n_run=outcome.n_run,
        n_skipped=outcome.n_skipped,
        seconds=time.time() - started,
    )


def images_per_shard(n_views: int, n_features: int) -> int:
    """Images that make one shard of the bank of about 4 MiB."""
    return int(np.clip(_SHARD_BYTES // (n_views * n_features * 2), 1, _MAX_IMAGES_PER_SHARD))


def images_per_unit(n_images: int, n_views: int, per_shard: int) -> int:
    """Images that make one unit of work: whole shards, the same on every cluster."""
    by_views = -(-_PICTURES_PER_UNIT // (per_shard * n_views))
    by_share = -(-n_images // per_shard) // _UNITS_WANTED
    return per_shard * max(1, min(by_views, by_share))


def _units(
    config: EmbedConfig,
    image_px: int,
    per_shard: int,
    settings: Mapping[str, Any],
    frame: pd.DataFrame,
) -> list[Unit[BlockJob]]:
    ids = [image_id(*key) for key in zip(*(frame[name] for name in col.IMAGE_KEY), strict=True)]
    marks = frame[col.FINGERPRINT].tolist()
    per_unit = images_per_unit(len(ids), config.views + 1, per_shard)
    units = []
    for start in range(0, len(ids), per_unit):
        stop = min(start + per_unit, len(ids))
        job = BlockJob(
            stack=config.stack,
            out=config.out,
            start=start,
            stop=stop,
            image_ids=tuple(ids[start:stop]),
            backbone=config.backbone,
            weights_fingerprint=settings["weights_fingerprint"],
            per_shard=per_shard,
            image_px=image_px,
            views=config.views,
            augmentation=config.augmentation,
            batch_images=config.batch_images,
            seed=config.seed,
        )
        mark = fingerprint(_FORMAT, settings, ids[start:stop], marks[start:stop])
        units.append(Unit(f"{start:08d}", mark, job))
    return units


def _embed_block(job: BlockJob) -> Mapping[str, Any]:
    """Compute and write one block; runs on a worker that may hold a GPU.

    While the network computes one batch, a thread reads and resamples the next ones and another
    writes the shards that are complete.
    """
    batches = ahead(_batches(job))
    embedder = backbone.load_embedder(
        job.backbone, job.image_px, job.batch_images, job.weights_fingerprint
    )
    n_views, per_shard = job.views + 1, job.per_shard * (job.views + 1)
    done = np.empty((0, embedder.n_features), np.float16)
    written: list[Future[None]] = []
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="write") as writer:

        def write(rows: NDArray[np.float16]) -> None:
            start = job.start + len(written) * job.per_shard
            shard = rows.reshape(-1, n_views, embedder.n_features)
            written.append(writer.submit(_write_shard, job.out, start, shard))

        for batch in batches:
            with np.errstate(over="ignore"):  # looked at before it is written
                vectors = embedder.features(batch).astype(np.float16)
            done = np.concatenate([done, vectors])
            while len(done) >= per_shard:
                write(done[:per_shard])
                done = done[per_shard:]
        if len(done):
            write(done)
    for shard in written:
        shard.result()
    return {"n_images": job.stop - job.start}


def _batches(job: BlockJob) -> Iterator[NDArray[np.uint8]]:
    """Yield the views of a block's images, one after the other, in batches."""
    images = open_stack(job.stack).read(job.start, job.stop)
    n_views = job.views + 1
    matrices = augment.view_parameters(job.augmentation, job.seed, job.image_ids, range(n_views))
    matrices = matrices.reshape(-1, 8)
    for start in range(0, len(matrices), job.batch_images):
        chosen = np.arange(start, min(start + job.batch_images, len(matrices)))
        yield augment.apply_views(images[chosen // n_views], matrices[chosen])


def _write_shard(out: str, start: int, shard: NDArray[np.float16]) -> None:
    if not np.isfinite(shard).all():
        msg = f"activations of images {start}…{start + len(shard)} exceed half precision"
        raise InputError(msg)
    imageset.write_block(out, bank.FEATURES, start, shard)
