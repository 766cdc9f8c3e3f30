"""The units of work of ``hcs probe``: shorten vectors, train shuffled heads, tell batches apart."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd

from hcs.domain import columns as col
from hcs.domain.config.stages import ProbeConfig
from hcs.domain.splits import Splits
from hcs.io import bank, heads
from hcs.io.files import parquet
from hcs.io.files.paths import AnyPath
from hcs.io.runs.ledger import Ledger
from hcs.learn.probes import batch_holdout, intensity_baseline, learning_curve, permutation
from hcs.learn.probes import heads as probe_heads
from hcs.learn.probes import leaks as leak_probes
from hcs.learn.probes.arrangements import Arrangements
from hcs.stages.work.probe_inputs import cohort_of, layout_of, study_frame
from hcs.stages.work.study import read_splits

VECTORS: Final = "vectors"
"""Name of the unit, and of the part, that holds the short vectors."""

INTENSITY: Final = "intensity"
"""Name of the part that holds the raw intensities."""

IMAGES_AT_ONCE: Final = 64
VARIED: Final[tuple[learning_curve.Varied, ...]] = ("groups", "images")


@dataclass(frozen=True)
class ProbeJob:
    """One part of one probe; the unit of work.

    Attributes
    ----------
    kind
        Which probe.
    item
        Which part of it: numbers of shuffles or splits, a variable, an amount, a batch.
    """

    config: ProbeConfig
    splits_mark: str
    kind: str
    item: tuple[Any, ...] = ()


def all_amounts(splits: Splits) -> list[learning_curve.Amount]:
    """Points of both curves; the one with all data stands in both and is trained once."""
    found = [amount for varied in VARIED for amount in learning_curve.amounts(varied, splits)]
    return list(dict.fromkeys(found))


def amount_name(amount: learning_curve.Amount) -> str:
    """Name the unit of one point of the learning curves."""
    return f"curve-{amount.n_groups:04d}-{amount.n_images:06d}"


def batches_of_images(frame: pd.DataFrame) -> tuple[probe_heads.IntArray, tuple[str, ...]]:
    """Give each image's batch a number; −1 everywhere where no batch is known."""
    if col.BATCH not in frame:
        return np.full(len(frame), -1), ()
    return batch_holdout.batches_of(frame[col.BATCH].tolist())


def part(config: ProbeConfig, name: str, suffix: str) -> AnyPath:
    """Path of a table that units share."""
    return Ledger.of(config.out).part(name, suffix)


def perform(job: ProbeJob) -> Mapping[str, Any]:
    """Do one unit; runs on a worker that may hold a GPU."""
    return _WORK[job.kind](job)


def _vectors(job: ProbeJob) -> Mapping[str, Any]:
    """Shorten the vectors of the images themselves, block by block."""
    config = job.config
    splits = read_splits(config.splits, job.splits_mark)
    opened = bank.open_bank(config.bank)
    rows = study_frame(config, opened, splits).index.to_numpy()
    matrix = probe_heads.projection(opened.item_shape[1], config.max_features, config.seed)
    n_bytes = IMAGES_AT_ONCE * opened.item_shape[1] * 2
    blocks = [
        block.astype(np.float32) if matrix is None else block.astype(np.float32) @ matrix
        for block in opened.iterate(rows, n_bytes, view=0)
    ]
    heads.write_part(part(config, VECTORS, ".npz"), {"features": np.concatenate(blocks)})
    return {"n_images": len(rows)}


def _cohort(job: ProbeJob) -> tuple[probe_heads.Cohort, Splits, pd.DataFrame]:
    config = job.config
    splits = read_splits(config.splits, job.splits_mark)
    frame = study_frame(config, bank.open_bank(config.bank), splits)
    features = heads.read_part(part(config, VECTORS, ".npz"))["features"]
    return cohort_of(features, frame, splits), splits, frame


def epochs(config: ProbeConfig, frame: pd.DataFrame, splits: Splits) -> int:
    """Return the epochs of the configuration, or enough for the images of one split."""
    if config.epochs is not None:
        return config.epochs
    share = splits.counts.train * len(splits.classes) / len(splits.groups)
    return probe_heads.enough_epochs(round(share * len(frame)), config.batch_size)


def recipe_of(config: ProbeConfig) -> probe_heads.Recipe:
    """How heads are trained, from a configuration whose epochs are known."""
    return probe_heads.Recipe(
        head=config.head,
        learning_rate=config.learning_rate,
        momentum=config.momentum,
        epochs=config.epochs or 1,
        batch_size=config.batch_size,
        seed=config.seed,
    )


def _shuffles(job: ProbeJob) -> Mapping[str, Any]:
    cohort, splits, _ = _cohort(job)
    recipe, n_splits = recipe_of(job.config), job.config.n_splits
    among = Arrangements(cohort, job.config.n_permutations, recipe.seed)
    aucs = permutation.score_arrangements(among, splits.counts, recipe, n_splits, range(*job.item))
    return {"aucs": aucs}


def _amount(job: ProbeJob) -> Mapping[str, Any]:
    cohort, splits, _ = _cohort(job)
    (amount,) = job.item
    recipe, n_splits = recipe_of(job.config), job.config.n_splits
    return {
        "aucs": learning_curve.point_aucs(cohort, splits, amount, n_splits, recipe),
        "epochs": learning_curve.point_epochs(cohort, splits, amount, recipe),
    }


def _batch(job: ProbeJob) -> Mapping[str, Any]:
    cohort, _, frame = _cohort(job)
    batch, _ = batches_of_images(frame)
    number, name = job.item
    found = batch_holdout.hold_out(cohort, batch, number, name, recipe_of(job.config))
    return found.model_dump(mode="json")


def _variable(job: ProbeJob) -> Mapping[str, Any]:
    cohort, splits, frame = _cohort(job)
    (name,) = job.item
    found = leak_probes.probe_variable(
        name,
        cohort.features,
        layout_of(cohort, frame, splits, name),
        n_permutations=job.config.n_permutations,
        seed=job.config.seed,
    )
    return found.model_dump(mode="json")


def _baseline(job: ProbeJob) -> Mapping[str, Any]:
    config = job.config
    splits = read_splits(config.splits, job.splits_mark)
    images = parquet.read_table(part(config, INTENSITY, ".parquet"))
    start, stop, columns = job.item
    aucs = [
        intensity_baseline.baseline_auc(images, columns, splits, split, config.seed)
        for split in range(start, stop)
    ]
    return {"aucs": aucs}


_WORK: Final[Mapping[str, Callable[[ProbeJob], Mapping[str, Any]]]] = {
    "vectors": _vectors,
    "shuffles": _shuffles,
    "amount": _amount,
    "batch": _batch,
    "variable": _variable,
    "baseline": _baseline,
}
