"""The skeleton cut at its junctions into branches, their ends, and walks along them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csgraph

from hcs.ops.neurites.graph import PixelGraph, link_matrix

Indices = NDArray[np.intp]

FREE: Final = -1
"""Junction number of a branch end that leads nowhere."""


@dataclass(frozen=True, slots=True)
class Branches:
    """Branches of a skeleton: all of its pixels but those of junctions.

    Attributes
    ----------
    of_pixel
        Branch of every pixel of the graph, -1 for pixels of junctions; shape (N,).
    junction_of_pixel
        Junction of every pixel of the graph, -1 elsewhere; adjacent pixels are one junction.
    n_pixels
        Number of pixels of every branch, shape (B,).
    ends
        First and last pixel of every branch, shape (B, 2); the same one twice where a branch has
        one pixel, and any pixel twice where it is a closed ring.
    junctions
        Junction beside the first and the last pixel, or :data:`FREE`; shape (B, 2).
    """

    of_pixel: Indices
    junction_of_pixel: Indices
    n_pixels: Indices
    ends: Indices
    junctions: Indices

    @property
    def count(self) -> int:
        """Number of branches."""
        return self.n_pixels.size

    @property
    def n_junctions(self) -> int:
        """Number of junctions."""
        return int(self.junction_of_pixel.max(initial=-1)) + 1

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
    begin, end = graph.links()
    same = is_junction[begin] == is_junction[end]
    alike = link_matrix(begin[same], end[same], graph.size)
    part = csgraph.connected_components(alike, directed=False)[1]
    of_pixel = _renumber_parts(part, ~is_junction)
    junction_of_pixel = _renumber_parts(part, is_junction)
    n_pixels = np.bincount(of_pixel[of_pixel >= 0])
    ends = _ends(graph, of_pixel, n_pixels.size)
    junctions = _junctions_at(graph, ends, junction_of_pixel)
    return Branches(of_pixel, junction_of_pixel, n_pixels, ends, junctions)


def walk(graph: PixelGraph, starts: Indices, steps: int) -> Indices:
    """Walk from ends of branches along them.

    Parameters
    ----------
    graph
        The skeleton.
    starts
        Pixels at ends of branches, shape (E,).
    steps
        How far.

    Returns
    -------
    ndarray
        Pixel after 0, 1, … steps, shape (E, steps + 1). Where the branch ends sooner, its last
        pixel is repeated; junctions are not entered.
    """
    trail = np.empty((starts.size, steps + 1), np.intp)
    trail[:, 0] = starts
    before = np.full(starts.size, -1)
    here = starts
    row = np.arange(starts.size)
    for step in range(1, steps + 1):
        around = graph.neighbors[here]
        goes_on = (around >= 0) & (around != before[:, None]) & (graph.degree[around] <= 2)
        choice = goes_on.argmax(axis=1)
        moves = goes_on[row, choice]
        before = np.where(moves, here, before)
        here = np.where(moves, around[row, choice], here)
        trail[:, step] = here
    return trail


def _renumber_parts(part: NDArray[np.int32], chosen: NDArray[np.bool_]) -> Indices:
    """Give the parts of the chosen pixels numbers from 0; other pixels get -1."""
    used = np.zeros(int(part.max(initial=-1)) + 1, bool)
    used[part[chosen]] = True
    numbers = np.cumsum(used) - 1
    return np.where(chosen, numbers[part], -1).astype(np.intp)


def _ends(graph: PixelGraph, of_pixel: Indices, n_branches: int) -> Indices:
    """First and last pixel of every branch."""
    neighbors = graph.neighbors
    inner = ((neighbors >= 0) & (of_pixel[neighbors] >= 0)).sum(axis=1)
    pixels = np.flatnonzero(of_pixel >= 0)
    ends = np.empty((n_branches, 2), np.intp)
    ends[of_pixel[pixels]] = pixels[:, None]  # for rings, that have no end
    tips = pixels[inner[pixels] <= 1]
    ends[of_pixel[tips], 0] = tips
    ends[of_pixel[tips[::-1]], 1] = tips[::-1]
    return ends


def _junctions_at(graph: PixelGraph, ends: Indices, junction_of_pixel: Indices) -> Indices:
    """Junction beside the first and the last pixel of every branch."""
    neighbors = graph.neighbors[ends]
    beside = np.where(neighbors >= 0, junction_of_pixel[neighbors], FREE)
    junctions: Indices = beside.max(axis=2, initial=FREE)
    # A branch of one pixel has both ends in one place: they lead to different junctions.
    single = ends[:, 0] == ends[:, 1]
    others = np.where(beside[:, 0] == junctions[:, :1], FREE, beside[:, 0]).max(axis=1)
    junctions[single, 1] = others[single]
    return junctions
