"""Labels spread from seeds over a mask along the cheapest way: little change of light, short."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from hcs.ops.compiled import compiled
from hcs.ops.filters import FloatPlane

_STEP: Final = 16
"""Cost of a step to a neighbor over even ground, in the whole numbers that ways are counted in."""

_MAX_STEP: Final = 1024


def spread_labels(
    seeds: NDArray[np.int32], mask: NDArray[np.bool_], light: FloatPlane, evenness: float
) -> NDArray[np.int32]:
    """Let labels spread over a mask until they meet.

    As the propagation of Jones, Carpenter and Golland 2005 (doi 10.1007/11569541_54): a pixel goes
    to the seed from which the way to it is the cheapest, and a step costs its length and the
    change of light along it. Ways are counted in whole numbers, so that a queue of buckets (Dial
    1969, doi 10.1145/363269.363610) finds them in one pass.

    Parameters
    ----------
    seeds
        Shape (Y, X), int32: number of the seed, 0 elsewhere.
    mask
        Shape (Y, X), bool: where labels may spread; seeds count as within.
    light
        Shape (Y, X), in units in which 1 is a usual height.
    evenness
        Change of light that costs as much as a step.

    Returns
    -------
    ndarray
        Shape (Y, X), int32: 0 where no seed has a way to.
    """
    scaled = np.ascontiguousarray(light * np.float32(_STEP / evenness), np.float32)
    labels = np.ascontiguousarray(seeds, np.int32).copy()
    _spread(labels, np.ascontiguousarray(mask), scaled, _STEP, _MAX_STEP)
    return labels


@compiled
def _spread(
    labels: NDArray[np.int32],
    mask: NDArray[np.bool_],
    light: NDArray[np.float32],
    step: int,
    max_step: int,
) -> None:  # pragma: no cover - runs compiled
    n_rows, n_columns = labels.shape
    n = n_rows * n_columns
    n_buckets = max_step + 1
    head = np.full(n_buckets, -1, np.int32)
    after = np.full(n, -1, np.int32)
    before = np.full(n, -1, np.int32)
    cost = np.full(n, 2**30, np.int32)
    flat, lit, inside = labels.ravel(), light.ravel(), mask.ravel()
    waiting = 0
    for place in range(n):
        if flat[place] > 0:
            cost[place] = 0
            after[place] = head[0]
            if head[0] >= 0:
                before[head[0]] = place
            head[0] = place
            waiting += 1
    now = 0
    while waiting > 0:
        bucket = now % n_buckets
        place = head[bucket]
        if place < 0:
            now += 1
            continue
        head[bucket] = after[place]
        if after[place] >= 0:
            before[after[place]] = -1
        waiting -= 1
        row, column = place // n_columns, place % n_columns
        for dy in range(-1, 2):
            for dx in range(-1, 2):
                y, x = row + dy, column + dx
                if (dy == 0 and dx == 0) or y < 0 or x < 0 or y >= n_rows or x >= n_columns:
                    continue
                other = y * n_columns + x
                if not inside[other] or cost[other] <= now:
                    continue
                change = lit[other] - lit[place]
                length = float(step * step * (abs(dy) + abs(dx)))
                spent = now + min(int(np.sqrt(length + change * change)), max_step)
                old = cost[other]
                if spent >= old:
                    continue
                if old < 2**30:  # it waits in another bucket: take it out of there
                    if before[other] >= 0:
                        after[before[other]] = after[other]
                    else:
                        head[old % n_buckets] = after[other]
                    if after[other] >= 0:
                        before[after[other]] = before[other]
                    waiting -= 1
                cost[other] = spent
                flat[other] = flat[place]
                target = spent % n_buckets
                before[other] = -1
                after[other] = head[target]
                if head[target] >= 0:
                    before[head[target]] = other
                head[target] = other
                waiting += 1
