"""Training of many small heads on frozen features: in step on a GPU, a thread each on a CPU.

TensorFlow is imported inside functions only, so that importing this module stays light.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hcs.domain.config.stages import Backbone, Head
from hcs.errors import InputError
from hcs.learn.heads.batches import (
    Batches,
    HeadJob,
    Rows,
    check_jobs,
    dropout_masks,
    find_used_rows,
    plan_groups,
    train_batches,
    validation_batches,
    views_of_epoch,
)
from hcs.learn.heads.cpu import CpuTrainer
from hcs.learn.heads.history import History, Keeper, TrainedHead
from hcs.learn.heads.inputs import FeatureArray, standardize_splits
from hcs.learn.heads.lockstep import Options, compile_epoch, inference_weights, initial_state
from hcs.learn.heads.weights import (
    HeadRecipe,
    HeadWeights,
    Standardization,
    predict_heads,
    start_head,
)
from hcs.learn.network.backbone import (
    ResolvedWeights,
    build_base,
    load_tensorflow,
    network_turn,
    pool,
    sees_gpu,
)

__all__ = [
    "HeadJob",
    "HeadWeights",
    "History",
    "TrainedHead",
    "export_keras",
    "plan_groups",
    "predict_heads",
    "stream_heads",
    "train_heads",
]

Tensor = Any  # TensorFlow ships no types

_VALIDATION_BATCH: Final = 128


def train_heads(
    features: FeatureArray,
    labels: NDArray[np.integer],
    jobs: Sequence[HeadJob],
    recipe: HeadRecipe,
    numbers: NDArray[np.uint64] | None = None,
) -> list[TrainedHead]:
    """Train heads and return them all, in the order of the jobs; see :func:`stream_heads`."""
    return list(stream_heads(features, labels, jobs, recipe, numbers))


def stream_heads(
    features: FeatureArray,
    labels: NDArray[np.integer],
    jobs: Sequence[HeadJob],
    recipe: HeadRecipe,
    numbers: NDArray[np.uint64] | None = None,
) -> Iterator[TrainedHead]:
    """Train heads, some at a time, and yield each in the order of the jobs.

    On a GPU all heads of a group train in step, as one compiled computation with a leading head
    axis (:mod:`hcs.learn.heads.lockstep`); on a CPU each trains by itself, a thread each
    (:mod:`hcs.learn.heads.kernels`). Both draw the same numbers and give the same heads.

    Dense → (batch normalization) → ReLU → dropout → dense → softmax, cross-entropy plus L2 on both
    kernels, SGD with momentum: a step equals that of Keras on the same batch. A head's result
    depends on the seed, its split and trial, and its images, not on the heads beside it, nor on
    how heads are grouped into calls (to rounding: one in a million).

    Parameters
    ----------
    features
        ``(I, V, F)`` in memory or on disk. View 0 is the image itself, views 1..V-1 are
        augmented: each epoch shows one of them, drawn at random (view 0 when V = 1). Validation
        uses view 0. Only rows that a job names are ever read.
    labels
        ``(I,)`` classes 0..C-1.
    jobs
        Heads to train; none gives none.
    recipe
        Shape of the heads, number of classes C, passes over the training images, images a step, and
        the study's seed.
    numbers
        ``(I,)`` numbers of the images, from their names (:func:`hcs.learn.counters.name_number`):
        they decide which view is shown when. Left out, images are numbered by their rows.

    Yields
    ------
    TrainedHead
        One a job.

    Raises
    ------
    InputError
        When features, labels or rows do not fit together, or the best epoch is to be kept
        without validation images.
    MemoryBudgetError
        When not even one head fits.
    """
    _check(features, labels, jobs, recipe.head, recipe.n_classes)
    if numbers is None:
        numbers = np.arange(len(features), dtype=np.uint64)
    if sees_gpu():
        yield from _stream_in_step((features, labels, numbers), jobs, recipe)
        return
    trainer = CpuTrainer(features, labels, recipe, numbers)
    for window in trainer.windows(jobs):
        with network_turn():
            trained = trainer.train(window)
        yield from trained


_Images = tuple[FeatureArray, NDArray[np.integer], NDArray[np.uint64]]
"""Features, classes and numbers of the images."""


def _stream_in_step(
    images: _Images, jobs: Sequence[HeadJob], recipe: HeadRecipe
) -> Iterator[TrainedHead]:
    size = plan_groups(len(jobs), images[0].shape[2], recipe.head.hidden_units)
    for start in range(0, len(jobs), max(size, 1)):
        group = list(jobs[start : start + size])
        # The last group is filled up, so that all groups share one compiled computation.
        filled = group + [group[0]] * (size - len(group))
        with network_turn():
            trained = _train_group(images, filled, recipe)
        yield from trained[: len(group)]


def _check(
    features: FeatureArray,
    labels: NDArray[np.integer],
    jobs: Sequence[HeadJob],
    head: Head,
    n_classes: int,
) -> None:
    if len(features.shape) != 3 or len(labels) != len(features):
        msg = f"features {features.shape} are not (images, views, features) of {len(labels)} labels"
        raise InputError(msg)
    check_jobs(jobs, len(features))
    for job in jobs:
        own = labels if job.labels is None else job.labels
        named = own[np.concatenate([job.train_rows, job.validation_rows])]
        if named.min() < 0 or named.max() >= n_classes:
            msg = f"split {job.split}: labels {named.min()} to {named.max()} of {n_classes} classes"
            raise InputError(msg)
        if head.keep == "best" and len(job.validation_rows) == 0:
            msg = f"split {job.split} has no validation images to choose the best epoch by"
            raise InputError(msg)


def _train_group(known: _Images, jobs: Sequence[HeadJob], recipe: HeadRecipe) -> list[TrainedHead]:
    tf = load_tensorflow()
    features, labels, numbers = known
    images = find_used_rows(jobs)
    local = [_renumber_rows(job, images) for job in jobs]
    start = _start_heads(features, jobs, recipe)
    settings = _stack_settings(jobs, recipe.head, start)
    drops = any(_dropout_rates(jobs, recipe.head))
    head = recipe.head
    options = Options(recipe.n_classes, head.standardize, drops, head.batch_normalization)
    train_epoch, evaluate = compile_epoch(options)
    own = [labels if job.labels is None else job.labels for job in jobs]
    classes = tf.constant(np.stack([each[images] for each in own]), tf.int32)
    originals = tf.constant(features[images, 0])
    validation = _to_tensors(validation_batches(local, _VALIDATION_BATCH))
    state = initial_state(start.w1, start.b1, start.w2, start.b2, options)
    keeper = Keeper(len(jobs), recipe.epochs, recipe.head.keep)
    for epoch in range(recipe.epochs):
        shown = originals
        if features.shape[1] > 1:
            views = views_of_epoch(numbers[images], features.shape[1], recipe.seed, epoch)
            shown = tf.constant(features[images, views])
        batches = train_batches(local, recipe.batch_size, recipe.seed, epoch)
        masks = _draw_masks(jobs, recipe, len(batches.rows), epoch)
        state, trained = train_epoch(state, shown, classes, _to_tensors(batches), settings, masks)
        weights = inference_weights(state, options)
        checked = evaluate(weights, originals, classes, validation, settings)
        values = [tensor.numpy() for tensor in (*trained, *checked)]
        keeper.record(epoch, values, weights)
    return keeper.finish(jobs, start)


def _renumber_rows(job: HeadJob, images: Rows) -> HeadJob:
    """Return the job with its rows counted within the images in use."""
    return replace(
        job,
        train_rows=np.searchsorted(images, job.train_rows),
        validation_rows=np.searchsorted(images, job.validation_rows),
    )


def _start_heads(
    features: FeatureArray, jobs: Sequence[HeadJob], recipe: HeadRecipe
) -> HeadWeights:
    standards: Sequence[Standardization | None] = [None] * len(jobs)
    if recipe.head.standardize:
        standards = standardize_splits(features, jobs)
    return HeadWeights.concatenate(
        [
            start_head(recipe, features.shape[2], job.split, job.trial, standard)
            for job, standard in zip(jobs, standards, strict=True)
        ]
    )


def _stack_settings(jobs: Sequence[HeadJob], head: Head, start: HeadWeights) -> dict[str, Tensor]:
    tf = load_tensorflow()
    values = {
        "learning_rate": [job.learning_rate for job in jobs],
        "momentum": [job.momentum for job in jobs],
        "dropout": _dropout_rates(jobs, head),
        "l2": [head.l2 if job.l2 is None else job.l2 for job in jobs],
    }
    settings = {name: tf.constant(numbers, tf.float32) for name, numbers in values.items()}
    if start.mean is not None and start.scale is not None:
        settings["mean"] = tf.constant(start.mean[:, None])
        settings["slope"] = tf.constant(1.0 / start.scale[:, None])
    return settings


def _to_tensors(batches: Batches) -> tuple[Tensor, Tensor]:
    tf = load_tensorflow()
    return tf.constant(batches.rows), tf.constant(batches.weights)


def _draw_masks(
    jobs: Sequence[HeadJob], recipe: HeadRecipe, n_steps: int, epoch: int
) -> NDArray[np.bool_] | None:
    rates = _dropout_rates(jobs, recipe.head)
    if not any(rates):
        return None
    shape = (n_steps, recipe.batch_size, recipe.head.hidden_units)
    return dropout_masks(jobs, rates, shape, recipe.seed, epoch)


def _dropout_rates(jobs: Sequence[HeadJob], head: Head) -> list[float]:
    return [head.dropout if job.dropout is None else job.dropout for job in jobs]


def export_keras(
    backbone: Backbone,
    image_px: int,
    weights: HeadWeights,
    index: int = 0,
    resolved: ResolvedWeights | None = None,
) -> Any:  # noqa: ANN401 -- keras ships no types
    """Build one head with its base as an ordinary, flat functional Keras model.

    Parameters
    ----------
    backbone, image_px, resolved
        As for :func:`hcs.learn.network.backbone.build_base`.
    weights
        Trained heads; the standardization is folded into the first dense layer.
    index
        Which of them.

    Returns
    -------
    keras.Model
        From ``(N, Y, X, 1)`` normalized gray images in 0..255 to ``(N, C)`` probabilities.

    Raises
    ------
    InputError
        When the heads were trained on features of another backbone, pooling or image size.
    """
    base = build_base(backbone, image_px, resolved)
    import keras

    features = pool(base.output, backbone.pooling)
    head = weights.take([index]).folded()
    if features.shape[-1] != head.n_features:
        msg = (
            f"{backbone.name} with pooling {backbone.pooling!r} at {image_px} px gives "
            f"{features.shape[-1]} features; these heads want {head.n_features}"
        )
        raise InputError(msg)
    dense = keras.layers.Dense(head.w1.shape[2], activation="relu", name="head_hidden")
    output = keras.layers.Dense(head.n_classes, activation="softmax", name="head_output")
    model = keras.Model(base.input, output(dense(features)), name=f"{backbone.name}_head")
    dense.set_weights([head.w1[0], head.b1[0]])
    output.set_weights([head.w2[0], head.b2[0]])
    return model
