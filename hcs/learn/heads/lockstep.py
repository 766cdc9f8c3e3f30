"""An epoch of many heads at once on a GPU, with a leading head axis, compiled by XLA.

One of two ways to train heads. A GPU is filled by all heads together; a CPU takes three times as
long that way (0.057 s a head-epoch of 512 features for 0.020, two cores), so there each head trains
by itself (:mod:`hcs.learn.heads.kernels`). Gradients are TensorFlow's own: XLA makes of them the
same five products a step, and the same passes over the hidden kernels, as of any written by hand.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hcs.learn.heads.weights import BATCH_NORMALIZATION_EPSILON, MOVING_SHARE
from hcs.learn.network.backbone import load_tensorflow

Tensor = Any  # TensorFlow ships no types
Settings = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Options:
    """What changes the computation itself, not only its numbers."""

    n_classes: int
    standardize: bool
    dropout: bool
    batch_normalization: bool = False


@functools.cache
def compile_epoch(options: Options) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Return the training of one epoch and the evaluation of all heads, compiled once a shape.

    Whole epochs are compiled, not steps: XLA keeps the weights in place and fuses their update
    into one pass, and a step spends most of its time on those passes.

    Parameters
    ----------
    options
        What the computation contains.

    Returns
    -------
    train_epoch
        ``(state, features, classes, (rows, weights), settings, masks)`` →
        ``state, (loss, accuracy)``.
    evaluate
        ``(inference weights, features, classes, (rows, weights), settings)`` → ``loss, accuracy``.

    Notes
    -----
    ``state`` is ``w1 (H, F, U)``, ``b1 (H, 1, U)``, ``w2 (H, U, C)``, ``b2 (H, 1, C)``, then their
    velocities. With batch normalization (Ioffe & Szegedy 2015, arXiv 1502.03167) ``gamma`` and
    ``beta (H, 1, U)`` stand after ``b2``, and the moving mean and variance at the very end;
    ``evaluate`` takes what :func:`inference_weights` makes of it.

    ``features (I, F)`` and ``classes (H, I)`` are looked up by ``rows (S, H, B)``;
    ``weights`` of that shape are 0 for padding. ``masks (S, H, B, U)`` say which hidden units
    dropout keeps. ``settings`` hold ``learning_rate``, ``momentum``, ``dropout``, ``l2`` ``(H,)``
    and, to standardize, ``mean`` and ``slope`` ``(H, 1, F)``.
    """
    tf = load_tensorflow()

    def train_epoch(
        state: Tensor,
        features: Tensor,
        classes: Tensor,
        batches: tuple[Tensor, Tensor],
        settings: Settings,
        masks: Tensor,
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        rows, weights = batches
        zeros = tf.zeros(tf.shape(rows)[1])

        def step(index: Tensor, state: Tensor, losses: Tensor, right: Tensor) -> tuple[Tensor, ...]:
            batch = (*_look_up(features, classes, rows[index], settings, options), weights[index])
            keep = None
            if options.dropout:
                # Inverted dropout: what is kept grows, so that nothing changes when judging.
                rates = settings["dropout"][:, None, None]
                keep = tf.cast(masks[index], tf.float32) / (1.0 - rates)
            slopes, moments, loss, correct = _differentiate(
                state, batch, keep, settings["l2"], options
            )
            active = tf.reduce_sum(weights[index], axis=-1)[:, None, None] > 0
            return (
                index + 1,
                _move(state, slopes, settings, active) + _follow(state, moments, active),
                losses + loss,
                right + correct,
            )

        start = (0, list(state), zeros, zeros)
        _, state, losses, right = tf.while_loop(_has_batches(rows), step, start)
        count = tf.reduce_sum(weights, axis=(0, 2))
        return state, (losses / count, right / count)

    def evaluate(
        state: Tensor,
        features: Tensor,
        classes: Tensor,
        batches: tuple[Tensor, Tensor],
        settings: Settings,
    ) -> tuple[Tensor, Tensor]:
        rows, weights = batches
        w1, b1, w2, b2 = state
        zeros = tf.zeros(tf.shape(rows)[1])

        def step(index: Tensor, losses: Tensor, right: Tensor) -> tuple[Tensor, ...]:
            inputs, targets = _look_up(features, classes, rows[index], settings, options)
            logits = tf.nn.relu(inputs @ w1 + b1) @ w2 + b2
            loss, correct = _count(*_tally(logits, targets), weights[index])
            return index + 1, losses + loss, right + correct

        _, losses, right = tf.while_loop(_has_batches(rows), step, (0, zeros, zeros))
        count = tf.reduce_sum(weights, axis=(0, 2))
        return losses / count, right / count

    return tf.function(train_epoch, jit_compile=True), tf.function(evaluate, jit_compile=True)


def _has_batches(rows: Tensor) -> Callable[..., Tensor]:
    tf = load_tensorflow()
    return lambda index, *_: index < tf.shape(rows)[0]


def _look_up(
    features: Tensor, classes: Tensor, rows: Tensor, settings: Settings, options: Options
) -> tuple[Tensor, Tensor]:
    """Vectors ``(H, B, F)`` and one-hot classes ``(H, B, C)`` of one batch of every head."""
    tf = load_tensorflow()
    inputs = tf.cast(tf.gather(features, rows), tf.float32)
    if options.standardize:
        inputs = (inputs - settings["mean"]) * settings["slope"]
    return inputs, tf.one_hot(tf.gather(classes, rows, batch_dims=1), options.n_classes)


def _tally(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Cross-entropy of every image, and 1 where the answer is right."""
    tf = load_tensorflow()
    losses = -tf.reduce_sum(targets * tf.nn.log_softmax(logits), axis=-1)
    right = tf.argmax(logits, axis=-1) == tf.argmax(targets, axis=-1)
    return losses, tf.cast(right & tf.math.is_finite(losses), tf.float32)


def _count(losses: Tensor, right: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Sum both over the images of each head, ``(H,)``; padding does not count."""
    tf = load_tensorflow()
    return tf.reduce_sum(losses * weights, axis=-1), tf.reduce_sum(right * weights, axis=-1)


def _differentiate(
    state: Tensor, batch: tuple[Tensor, Tensor, Tensor], keep: Tensor, l2: Tensor, options: Options
) -> tuple[list[Tensor], list[Tensor], Tensor, Tensor]:
    """Gradients of mean cross-entropy plus L2, moments of the batch, what :func:`_tally` counts."""
    tf = load_tensorflow()
    inputs, targets, shown = batch
    weights = state[: 6 if options.batch_normalization else 4]
    share = shown / tf.maximum(tf.reduce_sum(shown, axis=-1, keepdims=True), 1.0)
    moments: list[Tensor] = []
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(weights)
        w1, b1, w2, b2 = weights[:4]
        entering = inputs @ w1 + b1
        if options.batch_normalization:
            entering, *moments = _normalize(entering, share, *weights[4:])
        hidden = tf.nn.relu(entering) if keep is None else tf.nn.relu(entering) * keep
        losses, right = _tally(hidden @ w2 + b2, targets)
        decay = tf.reduce_sum(w1 * w1, axis=(1, 2)) + tf.reduce_sum(w2 * w2, axis=(1, 2))
        # Summed over heads: no head's loss depends on another's weights.
        total = tf.reduce_sum(losses * share) + tf.reduce_sum(l2 * decay)
    slopes = tape.gradient(total, weights)
    return slopes, moments, *_count(losses, right, shown)


def _normalize(
    before: Tensor, share: Tensor, gamma: Tensor, beta: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Normalize ``(H, B, U)``; also mean and variance, in which padding has no share."""
    tf = load_tensorflow()
    share = share[..., None]
    mean = tf.reduce_sum(share * before, axis=1, keepdims=True)
    centered = before - mean
    variance = tf.reduce_sum(share * tf.square(centered), axis=1, keepdims=True)
    scores = centered * tf.math.rsqrt(variance + BATCH_NORMALIZATION_EPSILON)
    return gamma * scores + beta, mean, variance


def _follow(state: Tensor, moments: list[Tensor], active: Tensor) -> list[Tensor]:
    """Follow the moments of a batch; none without batch normalization."""
    tf = load_tensorflow()
    moving = state[len(state) - len(moments) :]
    return [
        tf.where(active, MOVING_SHARE * old + (1.0 - MOVING_SHARE) * new, old)
        for old, new in zip(moving, moments, strict=True)
    ]


def initial_state(w1: Tensor, b1: Tensor, w2: Tensor, b2: Tensor, options: Options) -> list[Tensor]:
    """Weights, velocities and moving moments of untrained heads; see :func:`compile_epoch`.

    Parameters
    ----------
    w1, b1, w2, b2
        ``(H, F, U)``, ``(H, U)``, ``(H, U, C)``, ``(H, C)``.
    options
        Whether there is batch normalization.
    """
    tf = load_tensorflow()
    weights = [tf.constant(array) for array in (w1, b1[:, None], w2, b2[:, None])]
    if not options.batch_normalization:
        return weights + [tf.zeros_like(each) for each in weights]
    ones, zeros = tf.ones_like(weights[1]), tf.zeros_like(weights[1])
    weights += [ones, zeros]
    return weights + [tf.zeros_like(each) for each in weights] + [zeros, ones]


def inference_weights(state: Tensor, options: Options) -> list[Tensor]:
    """Weights ``w1, b1, w2, b2`` that predict; batch normalization is folded into the first two."""
    tf = load_tensorflow()
    w1, b1, w2, b2 = state[:4]
    if not options.batch_normalization:
        return [w1, b1, w2, b2]
    gamma, beta, mean, variance = state[4], state[5], state[-2], state[-1]
    slope = gamma * tf.math.rsqrt(variance + BATCH_NORMALIZATION_EPSILON)
    return [w1 * slope, (b1 - mean) * slope + beta, w2, b2]


def _move(state: Tensor, slopes: list[Tensor], settings: Settings, active: Tensor) -> list[Tensor]:
    """Momentum step as in Keras; a head whose batches have run out waits for the others."""
    tf = load_tensorflow()
    rate, momentum = (settings[name][:, None, None] for name in ("learning_rate", "momentum"))
    weights, velocities = [], []
    for place, slope in enumerate(slopes):
        weight, velocity = state[place], state[place + len(slopes)]
        moved = momentum * velocity - rate * slope
        velocities.append(tf.where(active, moved, velocity))
        weights.append(tf.where(active, weight + moved, weight))
    return weights + velocities
