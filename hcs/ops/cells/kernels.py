"""Loops over the pixels of labeled objects, compiled: sums of shape and of light."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hcs.ops.compiled import compiled

AREA, SUM_Y, SUM_X, SUM_YY, SUM_XX, SUM_YX, RIM = range(7)
"""Columns of :func:`sum_shapes`."""


@compiled
def find_edges(labels: NDArray[np.uint16]) -> NDArray[np.bool_]:  # pragma: no cover - compiled
    """Find pixels of objects that have another object, or none, beside, above or below them."""
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
    labels: NDArray[np.uint16], count: int
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:  # pragma: no cover - compiled
    """Sum up every object: area, moments, whether the border cuts it; and its box.

    A box is low y, low x, high y, high x, the high ends outside.
    """
    n_rows, n_columns = labels.shape
    sums = np.zeros((count + 1, 7))
    boxes = np.zeros((count + 1, 4), np.int64)
    boxes[:, 0], boxes[:, 1] = n_rows, n_columns
    for r in range(n_rows):
        for c in range(n_columns):
            own = labels[r, c]
            if own == 0:
                continue
            row, box = sums[own], boxes[own]
            row[0] += 1
            row[1] += r
            row[2] += c
            row[3] += r * r
            row[4] += c * c
            row[5] += r * c
            if r == 0 or c == 0 or r == n_rows - 1 or c == n_columns - 1:
                row[6] = 1
            box[0], box[1] = min(box[0], r), min(box[1], c)
            box[2], box[3] = max(box[2], r + 1), max(box[3], c + 1)
    return sums, boxes


@compiled
def sum_perimeters(
    labels: NDArray[np.uint16], edges: NDArray[np.bool_], count: int
) -> NDArray[np.float64]:  # pragma: no cover - compiled
    """Measure the perimeter of every object, in pixels.

    That of Benkrid and Crookes 2000, as in scikit-image and CellProfiler: each pixel of the edge
    counts by how its neighbors on the edge lie.
    """
    n_rows, n_columns = labels.shape
    found = np.zeros(count + 1)
    for r in range(n_rows):
        for c in range(n_columns):
            if edges[r, c]:
                found[labels[r, c]] += _edge_length(_edge_code(labels, edges, r, c))
    return found


@compiled
def _edge_code(
    labels: NDArray[np.uint16], edges: NDArray[np.bool_], r: int, c: int
) -> int:  # pragma: no cover - compiled
    n_rows, n_columns = labels.shape
    code = 1
    for y in range(max(r - 1, 0), min(r + 2, n_rows)):
        for x in range(max(c - 1, 0), min(c + 2, n_columns)):
            if (y != r or x != c) and edges[y, x] and labels[y, x] == labels[r, c]:
                code += 2 if y == r or x == c else 10
    return code


@compiled
def _edge_length(code: int) -> float:  # pragma: no cover - compiled
    if code in (5, 7, 15, 17, 25, 27):
        return 1.0
    if code in (21, 33):
        return float(np.sqrt(2.0))
    if code in (13, 23):
        return float((1 + np.sqrt(2.0)) / 2)
    return 0.0


@compiled
def group_values(
    labels: NDArray[np.integer], values: NDArray[np.float32], count: int
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:  # pragma: no cover - compiled
    """List the values of objects in ascending order, object by object, and where each begins."""
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
    """Sum up light, light times y and x, least and greatest, and squares about the mean."""
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
