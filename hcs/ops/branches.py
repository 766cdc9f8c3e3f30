"""The skeleton cut at its junctions into branches: their order, ends and directions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse import csgraph

from hcs.ops.graph import PixelGraph, link_matrix

Indices = NDArray[np.intp]

FREE: Final = -1
"""Junction number of a branch end that leads nowhere."""


@dataclass(frozen=True, slots=True)
class Branches:
    """Branches of a skeleton; all of its pixels but those of junctions, in order.

    Attributes
    ----------
    of_pixel
        Branch of every pixel of the graph, -1 for pixels of junctions; shape (N,).
    order
        Pixels sorted by branch and, within, from the first end to the last.
    start
        First entry of every branch in ``order``, and one past the last; shape (B + 1,).
    junctions
        Junction at the first and the last end of every branch, or :data:`FREE`; shape (B, 2).
    junction_of_pixel
        Junction of every pixel of the graph, -1 elsewhere; adjacent pixels are one junction.
    """

    of_pixel: Indices
    order: Indices
    start: Indices
    junctions: Indices
    junction_of_pixel: Indices

    @property
    def count(self) -> int:
        """Number of branches."""
        return self.start.size - 1

    @property
    def n_pixels(self) -> Indices:
        """Number of pixels of every branch, shape (B,)."""
        return np.diff(self.start)

    @property
    def n_junctions(self) -> int:
        """Number of junctions."""
        return int(self.junction_of_pixel.max(initial=-1)) + 1

    def inward(self, steps: int) -> Indices:
        """Pixel that lies some steps inward from each end (or the other end), shape (B, 2)."""
        reach = np.minimum(steps, self.n_pixels - 1)
        places = np.stack([self.start[:-1] + reach, self.start[1:] - 1 - reach], axis=1)
        return self.order[places]

    def of_branches(self, chosen: NDArray[np.bool_]) -> Indices:
        """Pixels of the chosen branches."""
        return np.flatnonzero((self.of_pixel >= 0) & np.append(chosen, False)[self.of_pixel])


def find_branches(graph: PixelGraph) -> Branches:
    """Cut a skeleton at its junctions.

    Parameters
    ----------
    graph
        The skeleton's pixels.

    Returns
    -------
    Branches
        A closed ring without a junction is one branch with two free ends.
    """
    is_junction = graph.degree > 2
    junction_of_pixel = _components(graph, is_junction)
    of_pixel = _components(graph, ~is_junction)
    begin, end = graph.links()
    inner = ~is_junction[begin] & ~is_junction[end]
    chain = link_matrix(begin[inner], end[inner], graph.size)
    chain_degree = np.bincount(begin[inner], minlength=graph.size) + np.bincount(
        end[inner], minlength=graph.size
    )
    order, start = _ordered(of_pixel, chain, chain_degree)
    n_branches = start.size - 1
    junctions = np.full((n_branches, 2), FREE)
    if n_branches:
        ends = order[np.stack([start[:-1], start[1:] - 1], axis=1)]
        junctions = _junctions_at(graph, ends, junction_of_pixel)
    return Branches(of_pixel, order, start, junctions, junction_of_pixel)


def _components(graph: PixelGraph, chosen: NDArray[np.bool_]) -> Indices:
    """Find connected components of the chosen pixels, numbered from 0; -1 for the others."""
    begin, end = graph.links()
    inner = chosen[begin] & chosen[end]
    component = csgraph.connected_components(
        link_matrix(begin[inner], end[inner], graph.size), directed=False
    )[1]
    numbers = np.full(graph.size, -1)
    numbers[chosen] = np.unique(component[chosen], return_inverse=True)[1]
    return numbers


def _ordered(
    of_pixel: Indices, chain: sparse.csr_array, chain_degree: Indices
) -> tuple[Indices, Indices]:
    """Sort pixels by branch and by steps from the branch's first end."""
    pixels = np.flatnonzero(of_pixel >= 0)
    n_branches = int(of_pixel.max(initial=-1)) + 1
    if n_branches == 0:
        return pixels, np.zeros(1, np.intp)
    # The first end comes before inner pixels; a ring starts anywhere.
    by_end = pixels[np.lexsort((chain_degree[pixels] > 1, of_pixel[pixels]))]
    sizes = np.bincount(of_pixel[pixels], minlength=n_branches)
    start = np.concatenate([[0], np.cumsum(sizes)])
    steps = csgraph.dijkstra(
        chain, directed=False, indices=by_end[start[:-1]], unweighted=True, min_only=True
    )
    order: Indices = pixels[np.lexsort((steps[pixels], of_pixel[pixels]))]
    return order, start


def _junctions_at(graph: PixelGraph, ends: Indices, junction_of_pixel: Indices) -> Indices:
    """Junction beside the first and the last pixel of every branch."""
    neighbors = graph.neighbors[ends]
    beside = np.where(neighbors >= 0, junction_of_pixel[neighbors], FREE)
    junctions: Indices = beside.max(axis=2)
    # A branch of one pixel has both ends in one place: they lead to different junctions.
    single = ends[:, 0] == ends[:, 1]
    others = np.where(beside[:, 0] == junctions[:, :1], FREE, beside[:, 0]).max(axis=1)
    junctions[single, 1] = others[single]
    return junctions
