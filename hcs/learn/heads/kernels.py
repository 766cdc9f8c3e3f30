"""One epoch of one head on a CPU, compiled: BLAS, and one pass over the weights a step.

On a CPU a step of a small head is bound by passes over memory, not by arithmetic. So each head
trains by itself, a block of features at a time: a block's gradient, its momentum step and its share
of the next batch's hidden layer are worked out while its weights are in the cache. That takes a
third of the time of heads in step (:mod:`hcs.learn.heads.lockstep`), the way of GPUs; there is no
third way. numba differentiates nothing, so the gradients are written out here and tested on Keras.
"""

from __future__ import annotations

from typing import Any, Final

import numba
import numpy as np

from hcs.learn.heads.halves import FAST, widen
from hcs.learn.heads.weights import BATCH_NORMALIZATION_EPSILON, MOVING_SHARE

Array = Any  # arrays and tuples of them; numba compiles for the types that come

__all__ = ["BLOCK", "evaluate", "train_epoch"]

BLOCK: Final = 64
"""Features a block: weights, velocities and gradients of 64 × 256 are 192 KiB. A step of 512 × 256
took 171 µs with blocks of 64, 245 of 128 and 264 of 512 (one core, measured)."""

_EVALUATED: Final = 128
_EPSILON: Final = np.float32(BATCH_NORMALIZATION_EPSILON)
_MOVING: Final = np.float32(MOVING_SHARE)
_TINY: Final = np.float32(1e-30)  # below it velocities are 0: denormal numbers can be very slow
_ZERO: Final = np.float32(0)
_ONE: Final = np.float32(1)


def _compile(function: Array) -> Array:
    """Compile at the first call, keep the result on disk, release the GIL."""
    return numba.njit(cache=True, nogil=True, fastmath=FAST)(function)


@_compile
def _fetch(
    features: Array, images: Array, views: Array, start: int, scale: Array, out: Array
) -> None:
    """Standardize one block of features of one batch into ``out (B, f)``."""
    width = out.shape[1]
    mean = scale[0, start : start + width]
    slope = scale[1, start : start + width]
    for i in range(images.size):
        row = out[i]
        widen(features[images[i], views[i], start : start + width], row)
        for j in range(width):
            row[j] = (row[j] - mean[j]) * slope[j]


@_compile
def _project(vectors: Array, kernel: Array, products: Array, sums: Array) -> None:
    """Add a block's share ``(B, f) @ (f, U)`` to the sums before the hidden layer."""
    np.dot(vectors, kernel, products)
    for i in range(sums.shape[0]):
        for u in range(sums.shape[1]):
            sums[i, u] += products[i, u]


@_compile
def _judge(hidden: Array, w2: Array, b2: Array, targets: Array, slopes: Array) -> tuple[float, int]:
    """Cross-entropy and right answers of a batch, summed; ``slopes (B, C)`` by the logits."""
    n_classes = w2.shape[0]
    loss, right = 0.0, 0
    for i in range(hidden.shape[0]):
        best = 0
        for c in range(n_classes):
            logit = b2[0, c]
            for u in range(hidden.shape[1]):
                logit += hidden[i, u] * w2[c, u]
            slopes[i, c] = logit
            if logit > slopes[i, best]:
                best = c
        highest = slopes[i, best]
        total = _ZERO
        for c in range(n_classes):
            total += np.exp(slopes[i, c] - highest)
        own = np.log(total) - (slopes[i, targets[i]] - highest)
        loss += own
        if best == targets[i] and abs(own) < np.inf:  # false for what is not a number
            right += 1
        for c in range(n_classes):
            slopes[i, c] = np.exp(slopes[i, c] - highest) / total
        slopes[i, targets[i]] -= _ONE
    return loss, right


@_compile
def _normalize(sums: Array, scores: Array, normal: Array, moments: Array) -> None:
    """Normalize a batch in place and follow its moments (Ioffe & Szegedy 2015, as in Keras).

    ``normal (2, U)`` holds gamma and beta, ``moments (4, U)`` the moving mean and variance and,
    for the way back, this batch's variance.
    """
    n = sums.shape[0]
    for u in range(sums.shape[1]):
        mean = _ZERO
        for i in range(n):
            mean += sums[i, u]
        mean /= np.float32(n)
        variance = _ZERO
        for i in range(n):
            variance += (sums[i, u] - mean) ** 2
        variance /= np.float32(n)
        slope = _ONE / np.sqrt(variance + _EPSILON)
        for i in range(n):
            scores[i, u] = (sums[i, u] - mean) * slope
            sums[i, u] = normal[0, u] * scores[i, u] + normal[1, u]
        moments[0, u] = _MOVING * moments[0, u] + (_ONE - _MOVING) * mean
        moments[1, u] = _MOVING * moments[1, u] + (_ONE - _MOVING) * variance
        moments[2, u] = slope


@_compile
def _differentiate_normal(
    back: Array, scores: Array, normal: Array, slope: Array, out: Array
) -> None:
    """Gradients by gamma and beta into ``out (2, U)``, and ``back`` by what came in, in place."""
    n = back.shape[0]
    for u in range(back.shape[1]):
        by_gamma, by_beta = _ZERO, _ZERO
        for i in range(n):
            by_gamma += back[i, u] * scores[i, u]
            by_beta += back[i, u]
        for i in range(n):
            shared = (by_beta + scores[i, u] * by_gamma) / np.float32(n)
            back[i, u] = normal[0, u] * slope[u] * (back[i, u] - shared)
        out[0, u], out[1, u] = by_gamma, by_beta


@_compile
def _move(
    weights: Array, velocities: Array, gradients: Array, rate: float, momentum: float, l2: float
) -> None:
    """Momentum step as in Keras, in place, of arrays of one shape."""
    decay = np.float32(2) * l2
    for r in range(weights.shape[0]):
        for c in range(weights.shape[1]):
            gradient = gradients[r, c] + decay * weights[r, c]
            velocity = momentum * velocities[r, c] - rate * gradient
            velocity = _ZERO if abs(velocity) < _TINY else velocity
            velocities[r, c] = velocity
            weights[r, c] += velocity


@_compile
def _differentiate_hidden(
    slopes: Array, w2: Array, entering: Array, keep: Array, back: Array
) -> None:
    """Gradient before ReLU and dropout, ``back (B, U)``."""
    for i in range(back.shape[0]):
        back[i] = _ZERO
        for c in range(w2.shape[0]):
            for u in range(back.shape[1]):
                back[i, u] += slopes[i, c] * w2[c, u]
        for u in range(back.shape[1]):
            back[i, u] = back[i, u] * keep[i, u] if entering[i, u] > 0 else _ZERO


@_compile
def _differentiate_output(slopes: Array, hidden: Array, by_w2: Array, by_b2: Array) -> None:
    """Gradients of the output layer."""
    by_w2[:] = _ZERO
    by_b2[:] = _ZERO
    for i in range(hidden.shape[0]):
        for c in range(by_w2.shape[0]):
            by_b2[0, c] += slopes[i, c]
            for u in range(hidden.shape[1]):
                by_w2[c, u] += slopes[i, c] * hidden[i, u]


@_compile
def _fill_keep(draws: Array, first: int, threshold: int, factor: float, keep: Array) -> None:
    """Fill the factors of dropout: 0, or ``factor`` where the draw is at or above the threshold."""
    if threshold == 0:
        keep[:] = _ONE
        return
    units = keep.shape[1]
    for i in range(keep.shape[0]):
        row = draws[first + i * units : first + (i + 1) * units]
        for u in range(units):
            keep[i, u] = factor if row[u] >= threshold else _ZERO


@_compile
def _sum_first_batch(
    features: Array, coming: Array, scale: Array, w1: Array, buffers: Array
) -> None:
    """Fetch the first batch and add up its sums before the hidden layer."""
    vectors, _, _, products, sums, _ = buffers
    n, n_features = coming.shape[1], w1.shape[0]
    for start in range(0, n_features, BLOCK):
        stop = min(start + BLOCK, n_features)
        x = vectors[n * start : n * stop].reshape(n, stop - start)
        _fetch(features, coming[0], coming[1], start, scale, x)
        _project(x, w1[start:stop], products[:n], sums[:n])


@_compile
def _move_blocks(
    features: Array,
    coming: Array,
    scale: Array,
    state: Array,
    back: Array,
    buffers: Array,
    settings: Array,
) -> None:
    """Move the hidden kernel block by block, and take each through the next batch at once."""
    w1, v1 = state[0], state[5]
    vectors, fetched, gradient, products, _, following = buffers
    n, then = back.shape[0], coming.shape[1]
    n_features, units = w1.shape
    for start in range(0, n_features, BLOCK):
        stop = min(start + BLOCK, n_features)
        width = stop - start
        slope = gradient[: width * units].reshape(width, units)
        np.dot(vectors[n * start : n * stop].reshape(n, width).T, back, slope)
        _move(w1[start:stop], v1[start:stop], slope, settings[2], settings[3], settings[4])
        if then:
            x = fetched[then * start : then * stop].reshape(then, width)
            _fetch(features, coming[0], coming[1], start, scale, x)
            _project(x, w1[start:stop], products[:then], following[:then])


@_compile
def _step(
    sums: Array, targets: Array, state: Array, keep: Array, scratch: Array, settings: Array
) -> tuple[float, int]:
    """Judge a batch and move all but the hidden kernel; the way back is left in ``scratch[1]``."""
    _, b1, w2, b2, normal, _, vb1, v2, vb2, vnormal, moments = state
    hidden, back, scores, slopes, by_w2, by_b1, by_b2, by_normal = scratch
    rate, momentum, l2 = settings[2], settings[3], settings[4]
    n = sums.shape[0]
    sums += b1
    if normal.size:
        _normalize(sums, scores[:n], normal, moments)
    for i in range(n):
        for u in range(sums.shape[1]):
            hidden[i, u] = _ZERO if sums[i, u] <= 0 else sums[i, u] * keep[i, u]
    loss, right = _judge(hidden[:n], w2, b2, targets, slopes[:n])
    slopes[:n] /= np.float32(n)
    _differentiate_output(slopes[:n], hidden[:n], by_w2, by_b2)
    _differentiate_hidden(slopes[:n], w2, sums, keep, back[:n])
    if normal.size:
        _differentiate_normal(back[:n], scores[:n], normal, moments[2], by_normal)
        _move(normal, vnormal, by_normal, rate, momentum, _ZERO)
    by_b1[0] = _ZERO
    for i in range(n):
        by_b1[0] += back[i]
    _move(b1, vb1, by_b1, rate, momentum, _ZERO)
    _move(w2, v2, by_w2, rate, momentum, l2)
    _move(b2, vb2, by_b2, rate, momentum, _ZERO)
    return loss, right


@_compile
def train_epoch(
    features: Array,
    order: Array,
    classes: Array,
    scale: Array,
    state: Array,
    draws: Array,
    settings: Array,
) -> tuple[float, float]:
    """Train one head for one epoch, in place.

    Parameters
    ----------
    features
        ``(I, V, F)`` float32, or float16 viewed as uint16.
    order
        ``(2, N)`` images in the order of the batches, and the view of each.
    classes
        ``(I,)`` of every image.
    scale
        ``(2, F)`` mean and slope of the standardization.
    state
        ``w1 (F, U)``, ``b1 (1, U)``, ``w2 (C, U)``, ``b2 (1, C)``, ``normal (2, U)``, their
        velocities, and ``moments (3, U)``; ``normal`` is empty without batch normalization.
    draws
        ``(S · B · U,)`` uint16 for dropout, a batch of B after the other; may be empty.
    settings
        Batch size, dropout threshold of 65,536, learning rate, momentum, L2, factor of what is
        kept; float32.

    Returns
    -------
    loss, accuracy
        Means over the images.
    """
    w1, w2, b2, normal = state[0], state[2], state[3], state[4]
    batch, threshold, factor = int(settings[0]), int(settings[1]), settings[5]
    n_features, units = w1.shape
    vectors = np.empty(batch * n_features, np.float32)
    gradient, products = np.empty(BLOCK * units, np.float32), np.empty((batch, units), np.float32)
    sums, following, kept, hidden, back, scores = [np.empty_like(products) for _ in range(6)]
    slopes = np.empty((batch, len(w2)), np.float32)
    by_weights = (np.empty_like(w2), np.empty((1, units), np.float32), np.empty_like(b2))
    scratch = (hidden, back, scores, slopes, *by_weights, np.empty_like(normal))
    loss, right = 0.0, 0
    buffers = (vectors, np.empty_like(vectors), gradient, products, sums, following)
    images, n_images = order[0], order.shape[1]
    sums[:] = _ZERO
    _sum_first_batch(features, order[:, :batch], scale, w1, buffers)
    for first in range(0, n_images, batch):
        end, after = min(first + batch, n_images), first + 2 * batch
        n = end - first
        _fill_keep(draws, first * units, threshold, factor, kept[:n])
        targets = classes[images[first:end]]
        lost, found = _step(buffers[4][:n], targets, state, kept[:n], scratch, settings)
        loss += lost
        right += found
        buffers[5][:] = _ZERO
        _move_blocks(features, order[:, end:after], scale, state, back[:n], buffers, settings)
        buffers = (buffers[1], buffers[0], gradient, products, buffers[5], buffers[4])
    return loss / n_images, right / n_images


@_compile
def evaluate(
    features: Array, order: Array, classes: Array, scale: Array, state: Array
) -> tuple[float, float]:
    """Mean cross-entropy and accuracy of one head on some images; see :func:`train_epoch`."""
    images = order[0]
    w1, b1, w2, b2, normal = state[0], state[1], state[2], state[3], state[4]
    moments = state[10]
    n_features, units = w1.shape
    vectors = np.empty(_EVALUATED * BLOCK, np.float32)
    sums = np.empty((_EVALUATED, units), np.float32)
    products = np.empty_like(sums)
    slopes = np.empty((_EVALUATED, len(w2)), np.float32)
    loss, right = 0.0, 0
    for first in range(0, images.size, _EVALUATED):
        rows = images[first : first + _EVALUATED]
        n = rows.size
        z = sums[:n]
        z[:] = _ZERO
        for start in range(0, n_features, BLOCK):
            stop = min(start + BLOCK, n_features)
            x = vectors[: n * (stop - start)].reshape(n, stop - start)
            _fetch(features, rows, order[1, first : first + n], start, scale, x)
            _project(x, w1[start:stop], products[:n], z)
        for i in range(n):
            for u in range(units):
                value = z[i, u] + b1[0, u]
                if normal.size:
                    spread = np.sqrt(moments[1, u] + _EPSILON)
                    value = normal[0, u] * (value - moments[0, u]) / spread + normal[1, u]
                z[i, u] = _ZERO if value <= 0 else value
        lost, found = _judge(z, w2, b2, classes[rows], slopes[:n])
        loss += lost
        right += found
    return loss / images.size, right / images.size
