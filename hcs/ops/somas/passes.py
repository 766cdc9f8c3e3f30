"""Single passes over the pixels of labeled objects, compiled: what array calls take many for."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hcs.ops.compiled import compiled


@compiled
def bound_gaps(
    gaps: NDArray[np.int32], labels: NDArray[np.int32], n_gaps: int
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:  # pragma: no cover - runs compiled
    """Find the least and greatest label beside, above and below every gap."""
    n_rows, n_columns = gaps.shape
    low = np.full(n_gaps + 1, 2**31 - 1, np.int32)
    high = np.zeros(n_gaps + 1, np.int32)
    for r in range(n_rows):
        for c in range(n_columns):
            gap = gaps[r, c]
            if gap == 0:
                continue
            for y, x in ((r - 1, c), (r + 1, c), (r, c - 1), (r, c + 1)):
                if 0 <= y < n_rows and 0 <= x < n_columns and labels[y, x] > 0:
                    low[gap] = min(low[gap], labels[y, x])
                    high[gap] = max(high[gap], labels[y, x])
    return low, high


@compiled
def bound_labels(
    parts: NDArray[np.int32], labels: NDArray[np.int32], n_parts: int
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:  # pragma: no cover - runs compiled
    """Find the least and greatest label in every part."""
    low = np.full(n_parts + 1, 2**31 - 1, np.int32)
    high = np.zeros(n_parts + 1, np.int32)
    for part, label in zip(parts.ravel(), labels.ravel()):  # noqa: B905 - numba has no strict
        if label > 0:
            low[part] = min(low[part], label)
            high[part] = max(high[part], label)
    return low, high


@compiled
def highest_values(
    labels: NDArray[np.int32], values: NDArray[np.float32], n: int
) -> NDArray[np.float64]:  # pragma: no cover - runs compiled
    """Find the greatest value, not below 0, under every label."""
    flat, light = labels.ravel(), values.ravel()
    found = np.zeros(n)
    for place in range(flat.size):
        if flat[place] > 0 and light[place] > found[flat[place]]:
            found[flat[place]] = light[place]
    return found


@compiled
def grow_labels(
    labels: NDArray[np.int32], reach: float
) -> NDArray[np.int32]:  # pragma: no cover - runs compiled
    """Let labels grow into the background, each pixel to the nearest within a short reach."""
    n_rows, n_columns = labels.shape
    grown = labels.copy()
    steps = int(reach)
    for r in range(n_rows):
        for c in range(n_columns):
            if labels[r, c] > 0:
                continue
            nearest = reach * reach
            for y in range(max(r - steps, 0), min(r + steps + 1, n_rows)):
                for x in range(max(c - steps, 0), min(c + steps + 1, n_columns)):
                    away = (y - r) * (y - r) + (x - c) * (x - c)
                    if labels[y, x] > 0 and (
                        away < nearest or (away == nearest and grown[r, c] == 0)
                    ):
                        nearest = away
                        grown[r, c] = labels[y, x]
    return grown


def open_mask(mask: NDArray[np.bool_], turns: int = 1) -> NDArray[np.bool_]:
    """Open a mask with a cross, that many erosions and then dilations; beyond it is background."""
    opened = mask.copy()
    for _ in range(turns):
        opened = _shift_all(opened, erode=True)
    for _ in range(turns):
        opened = _shift_all(opened, erode=False)
    return opened


def _shift_all(mask: NDArray[np.bool_], *, erode: bool) -> NDArray[np.bool_]:
    combine = np.logical_and if erode else np.logical_or
    result = mask.copy()
    combine(result[1:], mask[:-1], out=result[1:])
    combine(result[:-1], mask[1:], out=result[:-1])
    combine(result[:, 1:], mask[:, :-1], out=result[:, 1:])
    combine(result[:, :-1], mask[:, 1:], out=result[:, :-1])
    if erode:
        result[[0, -1]] = False
        result[:, [0, -1]] = False
    return result
