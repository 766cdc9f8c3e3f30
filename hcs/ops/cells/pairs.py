"""Gray levels of two pixels at a distance, counted in every object and summed up; compiled."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hcs.ops.compiled import compiled

N_TEXTURES = 13
_LEVELS = 256


@compiled
def pair_textures(
    labels: NDArray[np.uint16], gray: NDArray[np.uint8], boxes: NDArray[np.int64], distance: int
) -> NDArray[np.float64]:  # pragma: no cover - compiled
    """Measure Haralick's textures of every object: shape (count + 1, 4 directions, 13).

    To the last digit those of mahotas with ``ignore_zeros``, which CellProfiler calls; NaN where a
    direction has no pair.
    """
    found = np.full((boxes.shape[0], 4, 13), np.nan)
    pairs = np.zeros((_LEVELS, _LEVELS))
    used = np.empty((_LEVELS * _LEVELS, 2), np.int64)
    steps = np.array([[0, 1], [1, 1], [1, 0], [1, -1]])
    for number in range(1, boxes.shape[0]):
        n_levels = _top(labels, gray, boxes[number], number) + 1
        for turn in range(4):
            step = steps[turn] * distance
            n_used, total = _count_pairs(labels, gray, boxes[number], number, step, pairs, used)
            if total > 0:
                _sum_up(pairs, used[:n_used], total, n_levels, found[number, turn])
    return found


@compiled
def _top(
    labels: NDArray[np.uint16], gray: NDArray[np.uint8], box: NDArray[np.int64], number: int
) -> int:  # pragma: no cover - compiled
    top = 0
    for r in range(box[0], box[2]):
        for c in range(box[1], box[3]):
            if labels[r, c] == number:
                top = max(top, gray[r, c])
    return top


@compiled
def _count_pairs(
    labels: NDArray[np.uint16],
    gray: NDArray[np.uint8],
    box: NDArray[np.int64],
    number: int,
    step: NDArray[np.int64],
    pairs: NDArray[np.float64],
    used: NDArray[np.int64],
) -> tuple[int, float]:  # pragma: no cover - compiled
    """Count pairs both ways; also list which there are."""
    n_used, total = 0, 0.0
    left, right = max(box[1], box[1] - step[1]), min(box[3], box[3] - step[1])
    for r in range(box[0], box[2] - step[0]):
        for c in range(left, right):
            y, x = r + step[0], c + step[1]
            a, b = gray[r, c], gray[y, x]
            if labels[r, c] != number or labels[y, x] != number or a == 0 or b == 0:
                continue
            if pairs[a, b] == 0:
                used[n_used, 0], used[n_used, 1] = a, b
                n_used += 1
            pairs[a, b] += 1
            if pairs[b, a] == 0:
                used[n_used, 0], used[n_used, 1] = b, a
                n_used += 1
            pairs[b, a] += 1
            total += 2
    return n_used, total


@compiled
def _sum_up(
    pairs: NDArray[np.float64],
    used: NDArray[np.int64],
    total: float,
    n_levels: int,
    out: NDArray[np.float64],
) -> None:  # pragma: no cover - compiled
    """Turn counts into the 13 measures, and empty the counts."""
    single, plus, minus = np.zeros(_LEVELS), np.zeros(2 * _LEVELS), np.zeros(_LEVELS)
    energy, entropy, inverse, product = 0.0, 0.0, 0.0, 0.0
    for k in range(used.shape[0]):
        a, b = used[k, 0], used[k, 1]
        p = pairs[a, b] / total
        pairs[a, b] = 0
        single[a] += p
        plus[a + b] += p
        minus[abs(a - b)] += p
        energy += p * p
        entropy -= p * np.log2(p)
        inverse += p / (1.0 + (a - b) * (a - b))
        product += p * a * b
    mean, variance, own_entropy = _moments(single)
    sum_mean, sum_variance, sum_entropy = _moments(plus)
    gap_mean, gap_variance, gap_entropy = _moments(minus)
    gap = entropy - 2 * own_entropy
    out[0], out[1] = energy, gap_variance + gap_mean * gap_mean
    out[2] = 1.0 if variance <= 1e-12 else (product - mean * mean) / variance
    out[3], out[4] = variance, inverse
    out[5], out[6], out[7], out[8] = sum_mean, sum_variance, sum_entropy, entropy
    out[9] = (minus * minus).sum() / n_levels - 1.0 / (n_levels * n_levels)
    out[10] = gap_entropy
    out[11] = gap if own_entropy == 0 else gap / own_entropy
    out[12] = np.sqrt(max(0.0, 1.0 - np.exp(2.0 * gap)))


@compiled
def _moments(
    shares: NDArray[np.float64],
) -> tuple[float, float, float]:  # pragma: no cover - compiled
    """Mean, variance and entropy, in bits, of a level with these shares."""
    mean, square, entropy = 0.0, 0.0, 0.0
    for k in range(shares.size):
        p = shares[k]
        if p > 0:
            mean += p * k
            square += p * k * k
            entropy -= p * np.log2(p)
    return mean, max(square - mean * mean, 0.0), entropy
