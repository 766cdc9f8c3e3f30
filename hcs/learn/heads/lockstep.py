"""An epoch of many heads at once on a GPU, with a leading head axis, compiled by XLA."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from hcs.learn.network.backbone import load_tensorflow

Tensor = Any  # TensorFlow ships no types
Settings = dict[str, Any]

BATCH_NORMALIZATION_EPSILON: Final = 1e-3
_MOVING: Final = 0.99
"""Share of the past in the moving moments; this and the epsilon are those of Keras."""


@dataclass(frozen=True, slots=True)
class Options:
    """What changes the computation itself, not only its numbers."""

    n_classes: int
    standardize: bool
    dropout: bool
    batch_normalization: bool = False


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
            slopes, moments, loss, correct = _gradients(state, batch, keep, options)
            active = tf.reduce_sum(weights[index], axis=-1)[:, None, None] > 0
            return (
                index + 1,
                _moved(state, slopes, settings, active) + _followed(state, moments, active),
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
    state: Tensor, batch: tuple[Tensor, Tensor, Tensor], keep: Tensor, options: Options
) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...], Tensor, Tensor]:
    """Gradients of the mean cross-entropy, moments of the batch, what :func:`_tally` counts."""
    tf = load_tensorflow()
    w1, b1, w2, b2 = state[:4]
    inputs, targets, shown = batch
    share = shown / tf.maximum(tf.reduce_sum(shown, axis=-1, keepdims=True), 1.0)
    before = inputs @ w1 + b1
    normal = _Normalized(before, share, state[4], state[5]) if options.batch_normalization else None
    entering = before if normal is None else normal.out
    hidden = tf.nn.relu(entering) if keep is None else tf.nn.relu(entering) * keep
    log_p, losses, right = _tally(hidden @ w2 + b2, targets, shown)
    d_logits = (tf.exp(log_p) - targets) * share[..., None]
    d_hidden = tf.matmul(d_logits, w2, transpose_b=True)
    d_before = tf.where(entering > 0, d_hidden if keep is None else d_hidden * keep, 0.0)
    extra: tuple[Tensor, ...] = ()
    if normal is not None:
        d_before, *extra_slopes = normal.gradients(d_before)
        extra = tuple(extra_slopes)
    slopes = (
        tf.matmul(inputs, d_before, transpose_a=True),
        tf.reduce_sum(d_before, axis=1, keepdims=True),
        tf.matmul(hidden, d_logits, transpose_a=True),
        tf.reduce_sum(d_logits, axis=1, keepdims=True),
        *extra,
    )
    return slopes, () if normal is None else (normal.mean, normal.variance), losses, right


class _Normalized:
    """Batch normalization of ``(H, B, U)``; padding has no share in the moments."""

    def __init__(self, before: Tensor, share: Tensor, gamma: Tensor, beta: Tensor) -> None:
        tf = load_tensorflow()
        self._share, self._gamma = share[..., None], gamma
        self.mean = tf.reduce_sum(self._share * before, axis=1, keepdims=True)
        centered = before - self.mean
        self.variance = tf.reduce_sum(self._share * tf.square(centered), axis=1, keepdims=True)
        self._slope = tf.math.rsqrt(self.variance + BATCH_NORMALIZATION_EPSILON)
        self._scores = centered * self._slope
        self.out = gamma * self._scores + beta

    def gradients(self, d_out: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Gradients by what came in, by gamma and by beta."""
        tf = load_tensorflow()
        d_beta = tf.reduce_sum(d_out, axis=1, keepdims=True)
        d_gamma = tf.reduce_sum(d_out * self._scores, axis=1, keepdims=True)
        shared = self._share * (d_beta + self._scores * d_gamma)
        return self._gamma * self._slope * (d_out - shared), d_gamma, d_beta


def _followed(state: Tensor, moments: tuple[Tensor, ...], active: Tensor) -> list[Tensor]:
    """Follow the moments of a batch; none without batch normalization."""
    tf = load_tensorflow()
    moving = state[len(state) - len(moments) :]
    return [
        tf.where(active, _MOVING * old + (1.0 - _MOVING) * new, old)
        for old, new in zip(moving, moments, strict=True)
    ]


def initial_state(w1: Tensor, b1: Tensor, w2: Tensor, b2: Tensor, options: Options) -> list[Tensor]:
    """Weights, velocities and moving moments of untrained heads; see :func:`compiled`.

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
        weight, velocity = state[place], state[place + len(slopes)]
        is_kernel = place in {0, 2}  # nothing else is regularized
        slope = data_slope + 2.0 * l2 * weight if is_kernel else data_slope
        moved = momentum * velocity - rate * slope
        velocities.append(tf.where(active, moved, velocity))
        weights.append(tf.where(active, weight + moved, weight))
    return weights + velocities
