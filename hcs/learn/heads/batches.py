"""Which image, in which augmented view, stands in which batch of which head and epoch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hcs.errors import InputError, MemoryBudgetError
from hcs.learn import counters

Rows = NDArray[np.int64]

DEFAULT_BUDGET_BYTES: Final = 2 * 2**30
_COPIES_IN_STEP: Final = 10
_COPIES_ON_CPU: Final = 5
"""Arrays as large as the hidden kernel that one head needs while it trains (measured)."""


@dataclass(frozen=True, slots=True, eq=False)
class HeadJob:
    """One head to train: which images, and how.

    Attributes
    ----------
    split, trial
        What this head is; with the seed they decide its start, its batches and its dropout.
    train_rows, validation_rows
        Rows of the feature array. Validation may be empty. No other row is ever read.
    learning_rate, momentum
        Of stochastic gradient descent.
    dropout, l2
        Instead of the head's own, or None.
    labels
        ``(I,)`` classes for this head alone (as for a permutation test), or None.
    """

    split: int
    trial: int
    train_rows: Rows
    validation_rows: Rows
    learning_rate: float
    momentum: float
    dropout: float | None = None
    l2: float | None = None
    labels: NDArray[np.integer] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Batches:
    """Batches of several heads in lockstep, padded to one shape.

    Attributes
    ----------
    rows
        ``(S, H, B)`` int32. Padding repeats a row of the head itself, so that no head ever reads
        an image that is not its own.
    weights
        ``(S, H, B)`` float32: 0 for padding, 1 for an image.
    """

    rows: NDArray[np.int32]
    weights: NDArray[np.float32]


def plan_groups(
    n_heads: int, n_features: int, hidden_units: int, budget_bytes: int = DEFAULT_BUDGET_BYTES
) -> int:
    """How many heads to train in step on a GPU: as many as fit the memory budget.

    Parameters
    ----------
    n_heads
        Heads to train in all; 0 gives 0.
    n_features, hidden_units
        Size of the hidden kernel, which decides the memory.
    budget_bytes
        What the heads may take, features not included.

    Returns
    -------
    int
        Heads a group, evened out over the groups.

    Raises
    ------
    MemoryBudgetError
        When not even one head fits.
    """
    fitting = _count_fitting(_COPIES_IN_STEP, n_features, hidden_units, budget_bytes)
    if n_heads == 0:
        return 0
    n_groups = -(-n_heads // fitting)
    return -(-n_heads // n_groups)


def plan_threads(
    n_threads: int, n_features: int, hidden_units: int, budget_bytes: int = DEFAULT_BUDGET_BYTES
) -> int:
    """How many heads to train at a time on a CPU, a thread each: at most what fits the budget.

    Parameters and errors as for :func:`plan_groups`.
    """
    return min(n_threads, _count_fitting(_COPIES_ON_CPU, n_features, hidden_units, budget_bytes))


def _count_fitting(copies: int, n_features: int, hidden_units: int, budget_bytes: int) -> int:
    head_bytes = copies * 4 * n_features * hidden_units
    if head_bytes > budget_bytes:
        msg = (
            f"one head of {n_features} features × {hidden_units} hidden units needs "
            f"{head_bytes / 2**20:.0f} MiB, the budget is {budget_bytes / 2**20:.0f} MiB; "
            "use pooling 'avg', fewer hidden units, or more memory"
        )
        raise MemoryBudgetError(msg)
    return budget_bytes // head_bytes


def check_jobs(jobs: Sequence[HeadJob], n_images: int) -> None:
    """Refuse jobs that cannot be trained or whose roles share an image.

    Raises
    ------
    InputError
        No training image, a row outside the features, or an image in both roles.
    """
    for job in jobs:
        what = f"split {job.split}, trial {job.trial}"
        if len(job.train_rows) == 0:
            msg = f"{what} has no training images"
            raise InputError(msg)
        used = np.concatenate([job.train_rows, job.validation_rows])
        if used.min() < 0 or used.max() >= n_images:
            msg = f"{what} names rows {used.min()} to {used.max()} of {n_images} images"
            raise InputError(msg)
        if shared := set(job.train_rows.tolist()) & set(job.validation_rows.tolist()):
            msg = f"{what} trains and validates on {len(shared)} of the same images"
            raise InputError(msg)


def find_used_rows(jobs: Iterable[HeadJob]) -> Rows:
    """Rows that any job trains or validates on, in order, each once."""
    parts = [rows for job in jobs for rows in (job.train_rows, job.validation_rows)]
    return np.unique(np.concatenate(parts)).astype(np.int64)


def batch_order(job: HeadJob, seed: int, epoch: int) -> Rows:
    """Shuffle a head's training images for one epoch, ``(N,)``; batches are cut from the front."""
    key = ("batches", seed, job.split, job.trial, epoch)
    return job.train_rows[counters.permutation(len(job.train_rows), *key)]


def train_batches(jobs: Sequence[HeadJob], batch_size: int, seed: int, epoch: int) -> Batches:
    """Shuffle each head's training images into its own batches for one epoch.

    Parameters
    ----------
    jobs
        ``H`` heads. Those with fewer images end with empty batches.
    batch_size
        Images a batch; the last one of a head may be smaller.
    seed, epoch
        With split and trial these decide the order.
    """
    orders = [batch_order(job, seed, epoch) for job in jobs]
    return _stack(orders, [int(job.train_rows[0]) for job in jobs], batch_size)


def validation_batches(jobs: Sequence[HeadJob], batch_size: int) -> Batches:
    """Each head's validation images in their own order."""
    orders = [job.validation_rows for job in jobs]
    return _stack(orders, [int(job.train_rows[0]) for job in jobs], batch_size)


def dropout_masks(
    jobs: Sequence[HeadJob],
    rates: Sequence[float],
    shape: tuple[int, int, int],
    seed: int,
    epoch: int,
) -> NDArray[np.bool_]:
    """Which hidden units of which image are kept, for one epoch.

    Drawn here and not in the compiled computation, where hashing cost a quarter of the epoch.

    Parameters
    ----------
    jobs, rates
        ``H`` heads and the share of units that each drops, to 1 / 65536.
    shape
        Steps, images a batch, hidden units ``(S, B, U)``.
    seed, epoch
        With split and trial these decide the mask; more steps only add to its end.

    Returns
    -------
    ndarray
        ``(S, H, B, U)`` bool, True where kept.
    """
    steps, images, units = shape
    masks = np.empty((steps, len(jobs), images, units), np.bool_)
    count = steps * images * units
    for index, (job, rate) in enumerate(zip(jobs, rates, strict=True)):
        draws = dropout_draws(job, count, seed, epoch)
        masks[:, index] = (draws >= dropout_threshold(rate)).reshape(shape)
    return masks


def dropout_draws(job: HeadJob, count: int, seed: int, epoch: int) -> NDArray[np.uint16]:
    """Draws ``(count,)`` that drop a unit of an image where they are below the threshold."""
    words = counters.raw_words(-(-count // 4), "dropout", seed, job.split, job.trial, epoch)
    return words.astype("<u8", copy=False).view("<u2")[:count]


def dropout_threshold(rate: float) -> int:
    """Share of units to drop, in 65,536ths."""
    return round(rate * 2**16)


def _stack(orders: Sequence[Rows], fill: Sequence[int], batch_size: int) -> Batches:
    n_steps = max(1, *(-(-len(order) // batch_size) for order in orders))
    rows = np.empty((len(orders), n_steps * batch_size), np.int32)
    weights = np.zeros(rows.shape, np.float32)
    for index, order in enumerate(orders):
        rows[index] = fill[index]
        rows[index, : len(order)] = order
        weights[index, : len(order)] = 1.0
    shape = (len(orders), n_steps, batch_size)
    return Batches(
        np.ascontiguousarray(rows.reshape(shape).swapaxes(0, 1)),
        np.ascontiguousarray(weights.reshape(shape).swapaxes(0, 1)),
    )


def views_of_epoch(numbers: NDArray[np.uint64], n_views: int, seed: int, epoch: int) -> Rows:
    """Which view of each image is shown in one epoch.

    Every image goes through its augmented views 1..K in an order of its own, none twice before
    all were shown: with as many views as epochs each epoch is a fresh one, as in the study.

    Parameters
    ----------
    numbers
        ``(I,)`` numbers of the images, from their names: what else is in the study, and in which
        order, does not matter.
    n_views
        Views in the feature array, 1 + K. With K = 0 the image itself is shown.
    seed, epoch
        With the image these decide the view; all heads see the same view in an epoch.

    Returns
    -------
    ndarray
        ``(I,)`` view numbers.
    """
    augmented = n_views - 1
    if augmented < 1 or len(numbers) == 0:
        return np.zeros(len(numbers), np.int64)
    cycle, step = divmod(epoch, augmented)
    words = counters.words_of(numbers, augmented, "views", seed, cycle)
    order = np.argsort(words, axis=1, kind="stable")
    return order[:, step].astype(np.int64) + 1
