"""Short gaps in traced lines closed: where a neurite dims, crosses another, or meets its soma."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hcs.domain.tuning.lines import NeuriteTuning
from hcs.domain.tuning.sets import DEFAULTS
from hcs.ops.filters import FloatPlane
from hcs.ops.neurites.branches import Indices, walk
from hcs.ops.neurites.graph import PixelGraph, smooth_path
from hcs.ops.somas.segment import LabelPlane


def bridge_gaps(
    graph: PixelGraph,
    somas: LabelPlane,
    blurred: FloatPlane,
    width_px: float,
    tuning: NeuriteTuning = DEFAULTS.neurites,
) -> NDArray[np.bool_]:
    """Continue loose ends to what lies ahead of them.

    From every end the plane is searched in a narrow cone for another line or a soma; the nearest
    is joined by a straight line when the plane is not dark between.

    Parameters
    ----------
    graph
        The skeleton.
    somas
        Shape (Y, X): labels of somas.
    blurred
        Shape (Y, X): blurred signal above background.
    width_px
        Width of a neurite.
    tuning
        Constants of the kernel.

    Returns
    -------
    ndarray
        Shape (Y, X), bool: the skeleton with its bridges, outside of somas.
    """
    skeleton = np.zeros(somas.shape, bool)
    skeleton[graph.y, graph.x] = True
    if graph.size == 0:
        return skeleton
    gap = max(int(tuning.bridges.max_gap_widths * width_px), 2)
    ends = np.flatnonzero(graph.degree == 1)
    trails = walk(graph, ends, 2 * gap)
    points = smooth_path(graph, tuning=tuning)
    back = trails[:, max(round(tuning.bridges.direction_widths * width_px), 2)]
    directions = points[ends] - points[back]
    norm = np.linalg.norm(directions, axis=1, keepdims=True)
    directions /= np.maximum(norm, 1e-9)
    targets = _look_ahead(graph, somas, trails, directions, gap, tuning)
    found = targets[:, 0] >= 0
    y, x = _lines(graph, ends[found], targets[found], gap)
    bright = blurred[y, x]
    kept = bright.min(axis=1, initial=np.inf) >= tuning.bridges.min_brightness * bright[:, 0]
    skeleton[y[kept], x[kept]] = True
    skeleton[somas > 0] = False
    return skeleton


def _look_ahead(
    graph: PixelGraph,
    somas: LabelPlane,
    trails: Indices,
    directions: NDArray[np.float64],
    gap: int,
    tuning: NeuriteTuning,
) -> Indices:
    """Pixel (y, x) to which each end is to be joined, or -1; shape (E, 2)."""
    ends, row = trails[:, 0], np.arange(len(trails))
    reach = np.arange(1, gap + 1)
    occupied = _thicken_lines(graph, somas.shape)
    targets = np.full((ends.size, 2), -1)
    best = np.full(ends.size, np.inf)
    for turn in np.deg2rad(tuning.bridges.turns_deg):
        sine, cosine = np.sin(turn), np.cos(turn)
        turned = directions @ np.array([[cosine, -sine], [sine, cosine]])
        y = np.rint(graph.y[ends, None] + turned[:, :1] * reach).astype(np.intp)
        x = np.rint(graph.x[ends, None] + turned[:, 1:] * reach).astype(np.intp)
        inside = (y >= 0) & (x >= 0) & (y < somas.shape[0]) & (x < somas.shape[1])
        y, x = np.where(inside, y, 0), np.where(inside, x, 0)
        pixel = np.where(inside, occupied[y, x], -1)
        own = (pixel[:, :, None] == trails[:, None, :]).any(axis=2)
        line = (pixel >= 0) & ~own
        hit = line | (inside & (somas[y, x] > 0))
        first = hit.argmax(axis=1)
        cost = reach[first] * (1 + tuning.bridges.turn_cost_per_rad * abs(turn))
        better = hit[row, first] & (cost < best)
        best[better] = cost[better]
        on_line, goal = line[row, first], pixel[row, first]
        y_goal = np.where(on_line, graph.y[goal], y[row, first])
        x_goal = np.where(on_line, graph.x[goal], x[row, first])
        targets[better] = np.stack([y_goal, x_goal], axis=1)[better]
    return targets


def _thicken_lines(graph: PixelGraph, shape: tuple[int, ...]) -> NDArray[np.int32]:
    """Index of a skeleton pixel on itself and its eight neighbors, -1 elsewhere."""
    plane = np.full((shape[0] + 2, shape[1] + 2), -1, np.int32)
    index = np.arange(graph.size, dtype=np.int32)
    for dy, dx in ((0, 0), (0, 2), (2, 0), (2, 2), (0, 1), (1, 0), (1, 2), (2, 1), (1, 1)):
        plane[graph.y + dy, graph.x + dx] = index
    return plane[1:-1, 1:-1]


def _lines(graph: PixelGraph, ends: Indices, targets: Indices, gap: int) -> tuple[Indices, Indices]:
    """Pixels (E, K) on the straight lines from ends to targets; some of them several times."""
    share = np.linspace(0, 1, 2 * gap + 1)
    y = graph.y[ends, None] + share * (targets[:, :1] - graph.y[ends, None])
    x = graph.x[ends, None] + share * (targets[:, 1:] - graph.x[ends, None])
    return np.rint(y).astype(np.intp), np.rint(x).astype(np.intp)
