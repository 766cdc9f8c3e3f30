"""Loops over the pixels of labeled objects, compiled: sums of shape, order of light, gray pairs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hcs.ops.compiled import compiled

AREA, SUM_Y, SUM_X, SUM_YY, SUM_XX, SUM_YX, PERIMETER, RIM = range(8)
"""Columns of :func:`sum_shapes`."""

N_TEXTURES = 13


@compiled
def find_edges(labels: NDArray[np.uint16]) -> NDArray[np.bool_]:  # pragma: no cover - compiled
    """Pixels of objects with a pixel of another object or of none beside, above or below them."""
    n_rows, n_columns = labels.shape
    edges = np.zeros((n_rows, n_columns), np.bool_)
    for r in range(n_rows):
        for c in range(n_columns):
            own = labels[r, c]
            if own == 0:
                continue
            edges[r, c] = (
                r == 0
                or c == 0
                or r == n_rows - 1
                or c == n_columns - 1
                or labels[r - 1, c] != own
                or labels[r + 1, c] != own
                or labels[r, c - 1] != own
                or labels[r, c + 1] != own
            )
    return edges


@compiled
def sum_shapes(
    labels: NDArray[np.uint16], edges: NDArray[np.bool_], count: int
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:  # pragma: no cover - compiled
    """Sums over every object, and its box (low y, low x, high y, high x, the high ends outside).

    The perimeter is that of Benkrid and Crookes 2000, as in scikit-image and CellProfiler: each
    pixel of the edge counts by how its neighbors on the edge lie.
    """
    n_rows, n_columns = labels.shape
    sums = np.zeros((count + 1, 8))
    boxes = np.zeros((count + 1, 4), np.int64)
    boxes[:, 0], boxes[:, 1] = n_rows, n_columns
    for r in range(n_rows):
        for c in range(n_columns):
            own = labels[r, c]
            if own == 0:
                continue
            row = sums[own]
            row[0] += 1
            row[1] += r
            row[2] += c
            row[3] += r * r
            row[4] += c * c
            row[5] += r * c
            box = boxes[own]
            box[0], box[1] = min(box[0], r), min(box[1], c)
            box[2], box[3] = max(box[2], r + 1), max(box[3], c + 1)
            if r == 0 or c == 0 or r == n_rows - 1 or c == n_columns - 1:
                row[7] = 1
            if not edges[r, c]:
                continue
            straight, slant = 0, 0
            for dy in range(-1, 2):
                for dx in range(-1, 2):
                    y, x = r + dy, c + dx
                    if y < 0 or x < 0 or y >= n_rows or x >= n_columns or (dy == 0 and dx == 0):
                        continue
                    if edges[y, x] and labels[y, x] == own:
                        if dy == 0 or dx == 0:
                            straight += 1
                        else:
                            slant += 1
            code = 1 + 2 * straight + 10 * slant
            if code in (5, 7, 15, 17, 25, 27):
                row[6] += 1.0
            elif code in (21, 33):
                row[6] += np.sqrt(2.0)
            elif code in (13, 23):
                row[6] += (1 + np.sqrt(2.0)) / 2
    return sums, boxes


@compiled
def group_values(
    labels: NDArray[np.uint16], values: NDArray[np.float32], count: int
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:  # pragma: no cover - compiled
    """Values of every object in ascending order, one object after the other, and where each begins."""
    flat, light = labels.ravel(), values.ravel()
    start = np.zeros(count + 2, np.int64)
    for place in range(flat.size):
        if flat[place] > 0:
            start[flat[place] + 1] += 1
    for number in range(1, count + 2):
        start[number] += start[number - 1]
    at = start.copy()
    grouped = np.empty(start[count + 1], np.float32)
    for place in range(flat.size):
        own = flat[place]
        if own > 0:
            grouped[at[own]] = light[place]
            at[own] += 1
    for number in range(1, count + 1):
        grouped[start[number] : start[number + 1]].sort()
    return grouped, start


@compiled
def sum_light(
    labels: NDArray[np.uint16], values: NDArray[np.float32], count: int
) -> NDArray[np.float64]:  # pragma: no cover - compiled
    """Sum of light, light times y and x, least and greatest, and squares about the mean."""
    n_rows, n_columns = labels.shape
    sums = np.zeros((count + 1, 6))
    sums[:, 3], sums[:, 4] = np.inf, -np.inf
    area = np.zeros(count + 1)
    for r in range(n_rows):
        for c in range(n_columns):
            own = labels[r, c]
            if own > 0:
                light = float(values[r, c])
                row = sums[own]
                area[own] += 1
                row[0] += light
                row[1] += light * r
                row[2] += light * c
                row[3] = min(row[3], light)
                row[4] = max(row[4], light)
    for r in range(n_rows):
        for c in range(n_columns):
            own = labels[r, c]
            if own > 0:
                away = float(values[r, c]) - sums[own, 0] / area[own]
                sums[own, 5] += away * away
    return sums


@compiled
def pair_textures(
    labels: NDArray[np.uint16],
    gray: NDArray[np.uint8],
    boxes: NDArray[np.int64],
    distance: int,
) -> NDArray[np.float64]:  # pragma: no cover - compiled
    """Haralick's measures of every object: shape (count + 1, 4 directions, 13)."""
    count = boxes.shape[0] - 1
    found = np.full((count + 1, 4, 13), np.nan)
    pairs = np.zeros((256, 256))
    used_a = np.empty(256 * 256, np.int32)
    used_b = np.empty(256 * 256, np.int32)
    marginal, plus, minus = np.zeros(256), np.zeros(511), np.zeros(256)
    steps = np.array([[0, 1], [1, 1], [1, 0], [1, -1]])
    n_rows, n_columns = labels.shape
    for number in range(1, count + 1):
        low_y, low_x, high_y, high_x = boxes[number]
        top = 0
        for r in range(low_y, high_y):
            for c in range(low_x, high_x):
                if labels[r, c] == number:
                    top = max(top, gray[r, c])
        for direction in range(4):
            dy, dx = steps[direction, 0] * distance, steps[direction, 1] * distance
            n_used, total = 0, 0.0
            for r in range(low_y, high_y):
                y = r + dy
                if y >= n_rows:
                    break
                for c in range(low_x, high_x):
                    x = c + dx
                    if x < 0 or x >= n_columns:
                        continue
                    if labels[r, c] != number or labels[y, x] != number:
                        continue
                    a, b = gray[r, c], gray[y, x]
                    if a == 0 or b == 0:
                        continue
                    for turn in range(2):
                        if pairs[a, b] == 0:
                            used_a[n_used], used_b[n_used] = a, b
                            n_used += 1
                        pairs[a, b] += 1
                        a, b = b, a
                    total += 2
            if total == 0:
                continue
            marginal[:], plus[:], minus[:] = 0, 0, 0
            energy, entropy, inverse, product = 0.0, 0.0, 0.0, 0.0
            for k in range(n_used):
                a, b = used_a[k], used_b[k]
                p = pairs[a, b] / total
                pairs[a, b] = 0
                marginal[a] += p
                plus[a + b] += p
                minus[abs(a - b)] += p
                energy += p * p
                entropy -= p * np.log2(p)
                inverse += p / (1.0 + (a - b) * (a - b))
                product += p * a * b
            mean, square, own_entropy = 0.0, 0.0, 0.0
            contrast, minus_square, minus_entropy = 0.0, 0.0, 0.0
            for k in range(256):
                p = marginal[k]
                mean += p * k
                square += p * k * k
                if p > 0:
                    own_entropy -= p * np.log2(p)
                q = minus[k]
                contrast += q * k * k
                minus_square += q * q
                if q > 0:
                    minus_entropy -= q * np.log2(q)
            sum_mean, sum_square, sum_entropy = 0.0, 0.0, 0.0
            for k in range(511):
                p = plus[k]
                if p > 0:
                    sum_mean += p * k
                    sum_square += p * k * k
                    sum_entropy -= p * np.log2(p)
            variance = square - mean * mean
            n_levels = top + 1
            out = found[number, direction]
            out[0] = energy
            out[1] = contrast
            out[2] = 1.0 if variance <= 1e-12 else (product - mean * mean) / variance
            out[3] = max(variance, 0.0)
            out[4] = inverse
            out[5] = sum_mean
            out[6] = sum_square - sum_mean * sum_mean
            out[7] = sum_entropy
            out[8] = entropy
            out[9] = minus_square / n_levels - 1.0 / (n_levels * n_levels)
            out[10] = minus_entropy
            gap = entropy - 2 * own_entropy
            out[11] = gap if own_entropy == 0 else gap / own_entropy
            out[12] = np.sqrt(max(0.0, 1.0 - np.exp(2.0 * gap)))
    return found
