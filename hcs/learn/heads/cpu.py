"""Training of heads on a CPU: as many at a time as there are threads, each by itself."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from hcs.learn.heads import kernels
from hcs.learn.heads.batches import (
    HeadJob,
    batch_order,
    dropout_draws,
    dropout_threshold,
    plan_threads,
    views_of_epoch,
)
from hcs.learn.heads.history import Keeper, TrainedHead
from hcs.learn.heads.inputs import FeatureArray, read_views, standardize_splits
from hcs.learn.heads.weights import (
    BATCH_NORMALIZATION_EPSILON,
    F32,
    HeadRecipe,
    HeadWeights,
    Standardization,
    start_head,
)

__all__ = ["CpuTrainer", "n_threads"]

_WINDOW: Final = 8
"""Heads a thread that are trained before any is given out."""


def n_threads() -> int:
    """Threads that this process may use: as many as TensorFlow is told, or all there are."""
    told = os.environ.get("TF_NUM_INTRAOP_THREADS", "")
    if told.isdecimal() and int(told) > 0:
        return int(told)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class CpuTrainer:
    """Trains heads, a thread each.

    Parameters
    ----------
    features, classes
        As for :func:`hcs.learn.heads.training.stream_heads`.
    recipe, numbers
        As there.

    Raises
    ------
    MemoryBudgetError
        When not even one head fits.
    """

    def __init__(
        self,
        features: FeatureArray,
        classes: NDArray[np.integer],
        recipe: HeadRecipe,
        numbers: NDArray[np.uint64],
    ) -> None:
        self._features = features
        if isinstance(features, np.ndarray) and not features.flags.c_contiguous:
            self._features = features.copy()
        self._classes = classes
        self._recipe = recipe
        self._at_once = plan_threads(n_threads(), features.shape[2], recipe.head.hidden_units)
        self._shown = np.stack(
            [
                views_of_epoch(numbers, features.shape[1], recipe.seed, epoch)
                for epoch in range(recipe.epochs)
            ]
        )

    def windows(self, jobs: Sequence[HeadJob]) -> Iterator[Sequence[HeadJob]]:
        """Cut jobs, in their order, into windows that train before any head is given out."""
        size = _WINDOW * self._at_once
        for start in range(0, len(jobs), size):
            yield jobs[start : start + size]

    def train(self, jobs: Sequence[HeadJob]) -> list[TrainedHead]:
        """Train the heads of one window, in the order of its jobs."""
        standards: Sequence[Standardization | None] = [None] * len(jobs)
        if self._recipe.head.standardize:
            standards = standardize_splits(self._features, jobs)
        # One thread of BLAS a head: the heads already are on all cores.
        with ThreadPoolExecutor(self._at_once) as pool, threadpool_limits(1, user_api="blas"):
            return list(pool.map(self._train, jobs, standards))

    def _train(self, job: HeadJob, standard: Standardization | None) -> TrainedHead:
        recipe, n_features = self._recipe, self._features.shape[2]
        classes = np.asarray(self._classes if job.labels is None else job.labels, np.int64)
        start = start_head(recipe, n_features, job.split, job.trial, standard)
        scale = _stack_scale(standard, n_features)
        state = _copy_state(start, batch_normalization=recipe.head.batch_normalization)
        settings = _list_settings(job, recipe)
        n_steps = -(-len(job.train_rows) // recipe.batch_size)
        units = recipe.head.hidden_units
        n_draws = n_steps * recipe.batch_size * units if settings[1] else 0
        judged = np.asarray(job.validation_rows, np.int64)
        validation = read_views(self._features, judged, np.zeros_like(judged), classes)
        keeper = Keeper(1, recipe.epochs, recipe.head.keep)
        for epoch in range(recipe.epochs):
            order = batch_order(job, recipe.seed, epoch)
            shown = read_views(self._features, order, self._shown[epoch][order], classes)
            draws = dropout_draws(job, n_draws, recipe.seed, epoch)
            trained = kernels.train_epoch(*shown, scale, state, draws, settings)
            checked = (np.nan, np.nan)
            if len(judged):
                checked = kernels.evaluate(*validation, scale, state)
            values = [np.array([value], np.float32) for value in (*trained, *checked)]
            keeper.record(epoch, values, _inference_weights(state))
        return keeper.finish([job], start)[0]


def _stack_scale(standard: Standardization | None, n_features: int) -> F32:
    """Mean and slope ``(2, F)`` as kernels read them."""
    scale = np.zeros((2, n_features), np.float32)
    scale[1] = 1.0
    if standard is not None:
        scale[0], scale[1] = standard[0], 1.0 / standard[1]
    return scale


def _list_settings(job: HeadJob, recipe: HeadRecipe) -> F32:
    """Numbers as :func:`hcs.learn.heads.kernels.train_epoch` wants them."""
    rate = recipe.head.dropout if job.dropout is None else job.dropout
    return np.array(
        [
            recipe.batch_size,
            dropout_threshold(rate),
            job.learning_rate,
            job.momentum,
            recipe.head.l2 if job.l2 is None else job.l2,
            1.0 / (1.0 - rate),
        ],
        np.float32,
    )


def _copy_state(start: HeadWeights, *, batch_normalization: bool) -> tuple[F32, ...]:
    """Weights, velocities and moments as :func:`hcs.learn.heads.kernels.train_epoch` wants them."""
    units = start.b1.shape[1]
    weights = [start.w1[0].copy(), start.b1.copy(), start.w2[0].T.copy(), start.b2.copy()]
    normal = np.zeros((2, units if batch_normalization else 0), np.float32)
    normal[0] = 1.0
    weights.append(normal)
    moments = np.zeros((3, units), np.float32)
    moments[1] = 1.0
    return (*weights, *(np.zeros_like(each) for each in weights), moments)


def _inference_weights(state: tuple[F32, ...]) -> list[F32]:
    """Weights ``w1, b1, w2, b2`` that predict, with a head axis; normalization is folded in."""
    w1, b1, w2, b2, normal = state[:5]
    if normal.size:
        moving_mean, moving_variance = state[-1][:2]
        slope = normal[0] / np.sqrt(moving_variance + BATCH_NORMALIZATION_EPSILON)
        w1, b1 = w1 * slope, (b1 - moving_mean) * slope + normal[1]
    return [w1[None], b1, w2.T[None], b2]
