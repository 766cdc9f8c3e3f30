"""The skeleton as a graph of pixels: neighbors, ends, smoothed paths and their lengths.

skan finds branches and lengths too, in 3 to 5 times the time (benchmarks/RESULTS.md); it takes
corners of staircases for branch points, and its lengths along pixels are 6 % longer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from hcs.domain.tuning.lines import NeuriteTuning
from hcs.domain.tuning.sets import DEFAULTS

_OFFSETS: Final = ((0, 1), (1, 0), (0, -1), (-1, 0), (1, 1), (1, -1), (-1, -1), (-1, 1))
"""Neighbors: first the four that share an edge, then the four that share a corner."""

_CORNER_BETWEEN: Final = {4: (0, 1), 5: (1, 2), 6: (2, 3), 7: (3, 0)}
"""The two edge neighbors that lie beside each corner neighbor."""


@dataclass(frozen=True, slots=True)
class PixelGraph:
    """Skeleton pixels and their links.

    Attributes
    ----------
    y, x
        Position of every pixel, shape (N,).
    neighbors
        Shape (N, 8): index of the neighbor in each direction, -1 where there is none. A corner
        link is left out where two edge links lead the same way, so that corners of a staircase
        do not count as branches.
    degree
        Number of links, shape (N,): 1 at an end, 2 on a path, more where paths meet.
    """

    y: NDArray[np.intp]
    x: NDArray[np.intp]
    neighbors: NDArray[np.intp]
    degree: NDArray[np.intp]

    @property
    def size(self) -> int:
        """Number of pixels."""
        return self.y.size

    def links(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Return both ends of every link, each link once."""
        start, direction = np.nonzero(self.neighbors > np.arange(self.size)[:, None])
        return start, self.neighbors[start, direction]


def pixel_graph(skeleton: NDArray[np.bool_]) -> PixelGraph:
    """Link the pixels of a one-pixel-wide skeleton.

    Parameters
    ----------
    skeleton
        Shape (Y, X), bool.

    Returns
    -------
    PixelGraph
        Of size 0 for an empty skeleton.
    """
    width = skeleton.shape[1] + 2
    padded = np.pad(skeleton, 1).ravel()
    places = np.flatnonzero(padded)
    index = np.full(padded.size, -1, np.int32)
    index[places] = np.arange(places.size)
    neighbors = np.stack([index[places + dy * width + dx] for dy, dx in _OFFSETS], axis=1)
    for corner, (one, other) in _CORNER_BETWEEN.items():
        beside = (neighbors[:, one] >= 0) | (neighbors[:, other] >= 0)
        neighbors[beside, corner] = -1
    y, x = np.divmod(places, width)
    return PixelGraph(y - 1, x - 1, neighbors.astype(np.intp), (neighbors >= 0).sum(axis=1))


def smooth_path(
    graph: PixelGraph, tuning: NeuriteTuning = DEFAULTS.neurites
) -> NDArray[np.float64]:
    """Positions of the pixels after smoothing along their paths; ends and junctions stay.

    Each step replaces a pixel on a path by the mean of itself (half) and its two neighbors (a
    quarter each), alternating with an inflating step, so that staircases vanish and curves do not
    shrink (Taubin 1995, doi 10.1145/218380.218473).

    Returns
    -------
    ndarray
        Shape (N, 2), (y, x) in pixels.
    """
    inner = np.flatnonzero(graph.degree == 2)
    around = graph.neighbors[inner]
    one, other = around[around >= 0].reshape(-1, 2).T
    smoothed = []
    for place in (graph.y, graph.x):
        along = place.astype(np.float64)
        for step in range(tuning.path.smoothing_steps):
            middle = (along[one] + along[other]) / 2
            along[inner] += (tuning.path.inflate if step % 3 == 2 else tuning.path.shrink) * (
                middle - along[inner]
            )
        smoothed.append(along)
    return np.stack(smoothed, axis=1)


def lengths_of_pixels(
    graph: PixelGraph, tuning: NeuriteTuning = DEFAULTS.neurites
) -> NDArray[np.float64]:
    """Length that belongs to every pixel: half of each of its links along the smoothed path.

    Returns
    -------
    ndarray
        Shape (N,), in pixels; the sum is the length of the whole skeleton.
    """
    points = smooth_path(graph, tuning=tuning)
    start, end = graph.links()
    length = np.hypot(points[start, 0] - points[end, 0], points[start, 1] - points[end, 1])
    halves = np.bincount(start, length, graph.size) + np.bincount(end, length, graph.size)
    return halves / 2


def link_matrix(begin: NDArray[np.intp], end: NDArray[np.intp], size: int) -> sparse.csr_array:
    """Return links as a sparse matrix for scipy's graph routines, each link once."""
    return sparse.csr_array((np.ones(begin.size, np.int8), (begin, end)), shape=(size, size))


def find_touching_labels(graph: PixelGraph, labels: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """Label among the eight pixels around each skeleton pixel, or 0.

    Parameters
    ----------
    graph
        Skeleton pixels.
    labels
        Shape (Y, X): label image of the same plane.

    Returns
    -------
    ndarray
        Shape (N,), uint16; the largest where there are several.
    """
    padded = np.pad(labels, 1)
    touched = np.zeros(graph.size, np.uint16)
    for dy in range(3):
        for dx in range(3):
            touched = np.maximum(touched, padded[graph.y + dy, graph.x + dx])
    return touched
