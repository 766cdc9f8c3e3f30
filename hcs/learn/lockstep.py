"""The arithmetic of an epoch of many heads at once, with a leading head axis, compiled by XLA."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hcs.learn.backbone import load_tensorflow

Tensor = Any  # TensorFlow ships no types
Settings = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Options:
    """What changes the computation itself, not only its numbers."""

    n_classes: int
    standardize: bool
    dropout: bool


@functools.cache
def compiled(options: Options) -> tuple[Callable[..., Any], Callable[..., Any]]:
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
        ``(state[:4], features, classes, (rows, weights), settings)`` → ``loss, accuracy``.

    Notes
    -----
    ``state`` is ``w1 (H, F, U)``, ``b1 (H, 1, U)``, ``w2 (H, U, C)``, ``b2 (H, 1, C)``, then their
    velocities. ``features (I, F)`` and ``classes (H, I)`` are looked up by ``rows (S, H, B)``;
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
            slopes, loss, correct = _gradients(state[:4], batch, keep)
            active = tf.reduce_sum(weights[index], axis=-1)[:, None, None] > 0
            return (
                index + 1,
                _moved(state, slopes, settings, active),
                losses + loss,
                right + correct,
            )

        start = (0, list(state), zeros, zeros)
        _, state, losses, right = tf.while_loop(_more(rows), step, start)
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
            _, loss, correct = _tally(logits, targets, weights[index])
            return index + 1, losses + loss, right + correct

        _, losses, right = tf.while_loop(_more(rows), step, (0, zeros, zeros))
        count = tf.reduce_sum(weights, axis=(0, 2))
        return losses / count, right / count

    return tf.function(train_epoch, jit_compile=True), tf.function(evaluate, jit_compile=True)


def _more(rows: Tensor) -> Callable[..., Tensor]:
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


def _tally(logits: Tensor, targets: Tensor, weights: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Log-probabilities, and per head the summed cross-entropy and the number of right answers."""
    tf = load_tensorflow()
    log_p = tf.nn.log_softmax(logits)
    losses = -tf.reduce_sum(targets * log_p, axis=-1)
    right = tf.argmax(logits, axis=-1) == tf.argmax(targets, axis=-1)
    right = tf.cast(right & tf.math.is_finite(losses), tf.float32)
    return log_p, tf.reduce_sum(losses * weights, axis=-1), tf.reduce_sum(right * weights, axis=-1)


def _gradients(
    weights: Tensor, batch: tuple[Tensor, Tensor, Tensor], keep: Tensor
) -> tuple[tuple[Tensor, ...], Tensor, Tensor]:
    """Gradients of the mean cross-entropy of a batch, then what :func:`_tally` counts."""
    tf = load_tensorflow()
    w1, b1, w2, b2 = weights
    inputs, targets, shown = batch
    before = inputs @ w1 + b1
    hidden = tf.nn.relu(before) if keep is None else tf.nn.relu(before) * keep
    log_p, losses, right = _tally(hidden @ w2 + b2, targets, shown)
    share = shown / tf.maximum(tf.reduce_sum(shown, axis=-1, keepdims=True), 1.0)
    d_logits = (tf.exp(log_p) - targets) * share[..., None]
    d_hidden = tf.matmul(d_logits, w2, transpose_b=True)
    d_before = tf.where(before > 0, d_hidden if keep is None else d_hidden * keep, 0.0)
    slopes = (
        tf.matmul(inputs, d_before, transpose_a=True),
        tf.reduce_sum(d_before, axis=1, keepdims=True),
        tf.matmul(hidden, d_logits, transpose_a=True),
        tf.reduce_sum(d_logits, axis=1, keepdims=True),
    )
    return slopes, losses, right


def _moved(
    state: Tensor, slopes: tuple[Tensor, ...], settings: Settings, active: Tensor
) -> list[Tensor]:
    """Momentum step as in Keras; a head whose batches have run out waits for the others."""
    tf = load_tensorflow()
    rate, momentum, l2 = (
        settings[name][:, None, None] for name in ("learning_rate", "momentum", "l2")
    )
    weights, velocities = [], []
    for place, data_slope in enumerate(slopes):
        weight, velocity = state[place], state[place + 4]
        is_kernel = place in {0, 2}  # biases are not regularized
        slope = data_slope + 2.0 * l2 * weight if is_kernel else data_slope
        moved = momentum * velocity - rate * slope
        velocities.append(tf.where(active, moved, velocity))
        weights.append(tf.where(active, weight + moved, weight))
    return weights + velocities
