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
_FAR: Final = 2**30


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
    flat, lit, inside = labels.ravel(), light.ravel(), mask.ravel()
    head = np.full(max_step + 1, -1, np.int32)
    links = np.full((2, flat.size), -1, np.int32)
    cost = np.where(flat > 0, 0, _FAR).astype(np.int32)
    starts = np.flatnonzero(flat)
    for place in starts:
        _link(head, links, 0, int(place))
    waiting, now = starts.size, 0
    while waiting > 0:
        place = head[now % head.size]
        if place < 0:
            now += 1
            continue
        _unlink(head, links, now % head.size, place)
        waiting -= 1
        row, column = place // n_columns, place % n_columns
        for y in range(max(row - 1, 0), min(row + 2, n_rows)):
            for x in range(max(column - 1, 0), min(column + 2, n_columns)):
                other = y * n_columns + x
                if not inside[other] or cost[other] <= now:
                    continue
                away, change = abs(y - row) + abs(x - column), lit[other] - lit[place]
                way = int(np.sqrt(float(step * step * away) + change * change))
                spent, old = now + min(way, max_step), cost[other]
                if spent >= old:
                    continue
                if old < _FAR:  # it waits in another bucket
                    _unlink(head, links, old % head.size, other)
                    waiting -= 1
                cost[other], flat[other] = spent, flat[place]
                _link(head, links, spent % head.size, other)
                waiting += 1


@compiled
def _link(
    head: NDArray[np.int32], links: NDArray[np.int32], bucket: int, place: int
) -> None:  # pragma: no cover - runs compiled
    first = head[bucket]
    links[0, place], links[1, place] = -1, first
    if first >= 0:
        links[0, first] = place
    head[bucket] = place


@compiled
def _unlink(
    head: NDArray[np.int32], links: NDArray[np.int32], bucket: int, place: int
) -> None:  # pragma: no cover - runs compiled
    before, after = links[0, place], links[1, place]
    if before >= 0:
        links[1, before] = after
    else:
        head[bucket] = after
    if after >= 0:
        links[0, after] = before
