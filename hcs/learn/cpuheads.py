"""Training of heads on a CPU: as many at a time as there are threads, each by itself."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from hcs.learn import headkernels
from hcs.learn.batches import (
    HeadJob,
    Rows,
    batch_order,
    dropout_draws,
    dropout_threshold,
    views_of_epoch,
)
from hcs.learn.headweights import F32, HeadRecipe, HeadWeights
from hcs.learn.history import Keeper, TrainedHead

__all__ = ["n_threads", "train_on_cpu"]

_JUDGED: Final = np.nan  # where there are no validation images


def n_threads() -> int:
    """Threads that this process may use: as many as TensorFlow is told, or all there are."""
    told = os.environ.get("TF_NUM_INTRAOP_THREADS", "")
    if told.isdecimal() and int(told) > 0:
        return int(told)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(frozen=True, slots=True, eq=False)
class _Data:
    """What all heads share: vectors as the kernels read them, and the view of each epoch."""

    features: NDArray[Any]
    classes: NDArray[np.integer]
    shown: NDArray[np.int64]


def train_on_cpu(
    features: NDArray[np.float16] | NDArray[np.float32],
    classes: NDArray[np.integer],
    jobs: Sequence[HeadJob],
    starts: Iterator[HeadWeights],
    recipe: HeadRecipe,
    at_once: int,
) -> Iterator[TrainedHead]:
    """Train heads and yield each, in the order of the jobs.

    Parameters
    ----------
    features, classes
        As for :func:`hcs.learn.heads.stream_heads`.
    jobs, starts
        What to train, and the untrained head of each.
    recipe
        How.
    at_once
        Heads that train at a time, a thread each.
    """
    plain = np.ascontiguousarray(features)
    if plain.dtype == np.float16:
        plain = plain.view(np.uint16)
    images = np.arange(len(plain))
    shown = np.stack(
        [
            views_of_epoch(images, plain.shape[1], recipe.seed, epoch)
            for epoch in range(recipe.epochs)
        ]
    )
    data = _Data(plain, classes, shown)

    def trained(job: HeadJob, start: HeadWeights) -> TrainedHead:
        return _train(data, job, start, recipe)

    # One thread of BLAS a head: the heads already are on all cores.
    with ThreadPoolExecutor(at_once) as pool, threadpool_limits(1, user_api="blas"):
        yield from pool.map(trained, jobs, starts)


def _train(data: _Data, job: HeadJob, start: HeadWeights, recipe: HeadRecipe) -> TrainedHead:
    state = _state(start, batch_normalization=recipe.head.batch_normalization)
    scale = _scale(start)
    classes = np.asarray(data.classes if job.labels is None else job.labels, np.int64)
    rate = recipe.head.dropout if job.dropout is None else job.dropout
    threshold = dropout_threshold(rate)
    settings = np.array(
        [
            recipe.batch_size,
            threshold,
            job.learning_rate,
            job.momentum,
            recipe.head.l2 if job.l2 is None else job.l2,
            1.0 / (1.0 - rate),
        ],
        np.float32,
    )
    n_steps = -(-len(job.train_rows) // recipe.batch_size)
    n_draws = n_steps * recipe.batch_size * recipe.head.hidden_units if threshold else 0
    keeper = Keeper(1, recipe.epochs, recipe.head.keep)
    checked_rows = np.asarray(job.validation_rows, np.int64)
    for epoch in range(recipe.epochs):
        order: Rows = batch_order(job, recipe.seed, epoch)
        draws = dropout_draws(job, n_draws, recipe.seed, epoch)
        views = data.shown[epoch][order]
        trained = headkernels.train_epoch(
            data.features, order, views, classes, scale, state, draws, settings
        )
        checked = (_JUDGED, _JUDGED)
        if len(checked_rows):
            checked = headkernels.evaluate(data.features, checked_rows, classes, scale, state)
        values = [np.array([value], np.float32) for value in (*trained, *checked)]
        keeper.record(epoch, values, _inference_weights(state))
    return keeper.finish([job], start)[0]


def _state(start: HeadWeights, *, batch_normalization: bool) -> tuple[F32, ...]:
    """Weights, velocities and moments as :func:`hcs.learn.headkernels.train_epoch` wants them."""
    units = start.b1.shape[1]
    weights = [start.w1[0].copy(), start.b1.copy(), start.w2[0].T.copy(), start.b2.copy()]
    normal = np.zeros((2, units if batch_normalization else 0), np.float32)
    normal[0] = 1.0
    weights.append(normal)
    moments = np.zeros((3, units), np.float32)
    moments[1] = 1.0
    return (*weights, *(np.zeros_like(each) for each in weights), moments)


def _scale(start: HeadWeights) -> F32:
    scale = np.ones((2, start.n_features), np.float32)
    scale[0] = 0.0
    if start.mean is not None and start.scale is not None:
        scale[0], scale[1] = start.mean[0], 1.0 / start.scale[0]
    return scale


def _inference_weights(state: tuple[F32, ...]) -> list[F32]:
    """Weights ``w1, b1, w2, b2`` that predict, with a head axis; normalization is folded in."""
    w1, b1, w2, b2, normal = state[:5]
    if normal.size:
        moving_mean, moving_variance = state[-1][:2]
        slope = normal[0] / np.sqrt(moving_variance + headkernels.EPSILON)
        w1, b1 = w1 * slope, (b1 - moving_mean) * slope + normal[1]
    return [w1[None], b1, w2.T[None], b2]
