"""Training of heads on a CPU: as many at a time as there are threads, each by itself."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from hcs.learn.heads import kernels as headkernels
from hcs.learn.heads.batches import (
    DEFAULT_BUDGET_BYTES,
    HeadJob,
    batch_order,
    dropout_draws,
    dropout_threshold,
    plan_threads,
    views_of_epoch,
)
from hcs.learn.heads.gram import Gram, gram_of, halves_the_work, shares_of_start
from hcs.learn.heads.history import Keeper, TrainedHead
from hcs.learn.heads.inputs import ByGram, FeatureArray, InMemory, Inputs, OnDisk, fetched
from hcs.learn.heads.weights import F32, HeadRecipe, HeadWeights, standardization, untrained

__all__ = ["CpuTrainer", "Window", "n_threads"]

_WINDOW: Final = 8
"""Heads a thread that are trained before any is given out."""

Window = list[list[HeadJob]]
"""Heads that train before any is given out, those with the same images together."""


def n_threads() -> int:
    """Threads that this process may use: as many as TensorFlow is told, or all there are."""
    told = os.environ.get("TF_NUM_INTRAOP_THREADS", "")
    if told.isdecimal() and int(told) > 0:
        return int(told)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(frozen=True, slots=True, eq=False)
class _Images:
    """What heads with the same images share.

    Their standardization as the heads keep it and as kernels read it, ``(2, F)`` mean and slope;
    and the inner products where those are the cheaper way.
    """

    standard: tuple[F32, F32] | None
    scale: F32
    gram: Gram | None


class CpuTrainer:
    """Trains heads, a thread each.

    Parameters
    ----------
    features, classes
        As for :func:`hcs.learn.heads.training.stream_heads`.
    recipe
        How.

    Raises
    ------
    MemoryBudgetError
        When not even one head fits.
    """

    def __init__(
        self, features: FeatureArray, classes: NDArray[np.integer], recipe: HeadRecipe
    ) -> None:
        self._features = features
        if isinstance(features, np.ndarray) and not features.flags.c_contiguous:
            self._features = features.copy()
        self._classes = classes
        self._recipe = recipe
        self._at_once = plan_threads(n_threads(), features.shape[2], recipe.head.hidden_units)
        images = np.arange(len(features))
        self._shown = np.stack(
            [
                views_of_epoch(images, features.shape[1], recipe.seed, epoch)
                for epoch in range(recipe.epochs)
            ]
        )

    def windows(self, jobs: Sequence[HeadJob]) -> Iterator[Window]:
        """Cut jobs into windows, in their order; inner products of few splits are held at once."""
        size = _WINDOW * self._at_once
        window: Window = []
        for _, same in itertools.groupby(jobs, key=_names_of_images):
            run = list(same)
            for start in range(0, len(run), size):
                if window and self._is_full(window, run[start : start + size]):
                    yield window
                    window = []
                window.append(run[start : start + size])
        if window:
            yield window

    def train(self, window: Window) -> list[TrainedHead]:
        """Train the heads of one window, in the order of its jobs."""
        jobs = [job for run in window for job in run]
        shared = [images for run in window for images in [self._images(run)] * len(run)]
        # One thread of BLAS a head: the heads already are on all cores.
        with ThreadPoolExecutor(self._at_once) as pool, threadpool_limits(1, user_api="blas"):
            return list(pool.map(self._train, jobs, shared))

    def _is_full(self, window: Window, run: Sequence[HeadJob]) -> bool:
        if sum(map(len, window)) + len(run) > _WINDOW * self._at_once:
            return True
        return len(window) >= self._at_once and self._by_gram(run)

    def _by_gram(self, run: Sequence[HeadJob]) -> bool:
        if not isinstance(self._features, np.ndarray):
            return False
        budget = DEFAULT_BUDGET_BYTES // self._at_once
        return halves_the_work(self._features, run[0], self._recipe, len(run), budget)

    def _images(self, run: Sequence[HeadJob]) -> _Images:
        job, standard = run[0], None
        scale = np.zeros((2, self._features.shape[2]), np.float32)
        scale[1] = 1.0
        if self._recipe.head.standardize:
            standard = standardization(self._features[job.train_rows, 0])
            scale[0], scale[1] = standard[0], 1.0 / standard[1]
        gram = None
        if isinstance(self._features, np.ndarray) and self._by_gram(run):
            with threadpool_limits(n_threads(), user_api="blas"):
                gram = gram_of(self._features, job, scale)
        return _Images(standard, scale, gram)

    def _inputs(self, job: HeadJob, images: _Images, kernel: F32) -> tuple[Inputs, F32]:
        """Return what the head reads, and what stands for its hidden kernel at the start."""
        classes = np.asarray(self._classes if job.labels is None else job.labels, np.int64)
        checked = np.asarray(job.validation_rows, np.int64)
        none = np.empty((0, kernel.shape[1]), np.float32)
        gram, scale = images.gram, images.scale
        if gram is not None:
            n_vectors = gram.products.shape[1]
            unscaled = np.stack([np.zeros(n_vectors), np.ones(n_vectors)]).astype(np.float32)
            coefficients = np.zeros((n_vectors, kernel.shape[1]), np.float32)
            inputs = ByGram(gram, gram.labels(classes), unscaled, gram.times(kernel))
            return inputs, coefficients
        if isinstance(self._features, np.ndarray):
            return InMemory(self._features, classes, checked, scale, none), kernel.copy()
        once = fetched(self._features, checked, np.zeros_like(checked), classes)
        return OnDisk(self._features, classes, once, scale, none), kernel.copy()

    def _train(self, job: HeadJob, images: _Images) -> TrainedHead:
        recipe, gram = self._recipe, images.gram
        n_features = self._features.shape[2]
        start = untrained(recipe, n_features, job.split, job.trial, images.standard)
        inputs, kernel = self._inputs(job, images, start.w1[0])
        state = _state(kernel, start, batch_normalization=recipe.head.batch_normalization)
        settings = _settings(job, recipe)
        n_steps = -(-len(job.train_rows) // recipe.batch_size)
        units = recipe.head.hidden_units
        n_draws = n_steps * recipe.batch_size * units if settings[1] else 0
        shares = np.empty(0, np.float32)
        if gram is not None:
            shares = shares_of_start(settings[2:5], n_steps * recipe.epochs)
        keeper = Keeper(1, recipe.epochs, recipe.head.keep)
        for epoch in range(recipe.epochs):
            images_now = batch_order(job, recipe.seed, epoch)
            read = inputs.epoch(images_now, self._shown[epoch][images_now])
            draws = dropout_draws(job, n_draws, recipe.seed, epoch)
            origin = (inputs.products, shares[epoch * n_steps : (epoch + 1) * n_steps + 1])
            common = (inputs.scale, state, origin)
            trained = headkernels.train_epoch(*read, *common, draws, settings)
            checked = (np.nan, np.nan)
            if len(job.validation_rows):
                checked = headkernels.evaluate(*inputs.judged(), *common)
            values = [np.array([value], np.float32) for value in (*trained, *checked)]
            keeper.record(epoch, values, _inference_weights(state, origin[1][-1:]))
        (found,) = keeper.finish([job], start)
        if gram is None:
            return found
        kernel = gram.kernel(start.w1[0], found.weights.w1[0])
        return replace(found, weights=replace(found.weights, w1=kernel[None]))


def _names_of_images(job: HeadJob) -> tuple[bytes, bytes]:
    return job.train_rows.tobytes(), job.validation_rows.tobytes()


def _settings(job: HeadJob, recipe: HeadRecipe) -> F32:
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


def _state(kernel: F32, start: HeadWeights, *, batch_normalization: bool) -> tuple[F32, ...]:
    """Weights, velocities and moments as :func:`hcs.learn.heads.kernels.train_epoch` wants them."""
    units = start.b1.shape[1]
    weights = [kernel, start.b1.copy(), start.w2[0].T.copy(), start.b2.copy()]
    normal = np.zeros((2, units if batch_normalization else 0), np.float32)
    normal[0] = 1.0
    weights.append(normal)
    moments = np.zeros((3, units), np.float32)
    moments[1] = 1.0
    return (*weights, *(np.zeros_like(each) for each in weights), moments)


def _inference_weights(state: tuple[F32, ...], share: F32) -> list[F32]:
    """Weights ``w1, b1, w2, b2`` that predict, with a head axis; normalization is folded in.

    Coefficients get the share of the kernel's start as a last row.
    """
    w1, b1, w2, b2, normal = state[:5]
    if share.size:
        w1 = np.concatenate([w1, np.broadcast_to(share, b1.shape)])
    if normal.size:
        moving_mean, moving_variance = state[-1][:2]
        slope = normal[0] / np.sqrt(moving_variance + headkernels.EPSILON)
        w1, b1 = w1 * slope, (b1 - moving_mean) * slope + normal[1]
    return [w1[None], b1, w2.T[None], b2]
