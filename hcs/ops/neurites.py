"""Neurites: traced along ridges, measured along their path, assigned to the soma of origin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csgraph
from skimage.morphology import skeletonize

from hcs.domain.config import Threshold
from hcs.ops.branches import prune
from hcs.ops.graph import PixelGraph, lengths_of_pixels, link_matrix
from hcs.ops.ridges import Ridges, center_lines
from hcs.ops.scales import Scales
from hcs.ops.segment import LabelPlane, Somas

_SPUR_WIDTHS: Final = 3.0
"""Side branches shorter than this many neurite widths come from the neurite's own width."""

UNASSIGNED: Final = 65535
"""Label of a neurite that leads to no soma of this image."""


@dataclass(frozen=True, slots=True)
class Neurites:
    """Neurites of one field.

    Attributes
    ----------
    graph
        Pixels of the skeleton outside of somas.
    lengths
        Length that belongs to each pixel, shape (N,), in pixels of the plane.
    owner
        Object number of the soma each pixel's neurite grows from, or :data:`UNASSIGNED`;
        shape (N,), uint16.
    mask
        Shape (Y, X), bool: the neurites in their width, without somas.
    """

    graph: PixelGraph
    lengths: NDArray[np.float64]
    owner: NDArray[np.uint16]
    mask: NDArray[np.bool_]

    def labels(self) -> LabelPlane:
        """Return the skeleton as a label image (Y, X): the owner's number on every pixel."""
        plane = np.zeros(self.mask.shape, np.uint16)
        plane[self.graph.y, self.graph.x] = self.owner
        return plane


def trace_neurites(ridges: Ridges, somas: Somas, scales: Scales, threshold: Threshold) -> Neurites:
    """Find the neurites of a field.

    Parameters
    ----------
    ridges
        Ridges of the signal above background.
    somas
        Somas of the field.
    scales
        Expected sizes.
    threshold
        How the level that separates neurites from noise is chosen.

    Returns
    -------
    Neurites
        Of no pixels when there are none.
    """
    bodies = somas.labels > 0
    mask = center_lines(ridges, threshold, bodies)
    skeleton = skeletonize(mask | bodies) & ~bodies
    graph = prune(
        skeleton,
        ridges.strength,
        _SPUR_WIDTHS * scales.neurite_width_px,
        scales.min_neurite_length_px,
    )
    owner = _owners(graph, somas)
    return Neurites(graph, lengths_of_pixels(graph), owner, mask & ~bodies)


def _owners(graph: PixelGraph, somas: Somas) -> NDArray[np.uint16]:
    """Soma that every pixel reaches first along the skeleton."""
    owner = np.full(graph.size, UNASSIGNED, np.uint16)
    root = _touched_soma(graph, somas.labels)
    starts = np.flatnonzero(root)
    if starts.size == 0:
        return owner
    reached = csgraph.dijkstra(
        link_matrix(*graph.links(), graph.size),
        directed=False,
        indices=starts,
        unweighted=True,
        min_only=True,
        return_predecessors=True,
    )[2]
    found = reached >= 0
    owner[found] = root[reached[found]]
    return owner


def _touched_soma(graph: PixelGraph, labels: LabelPlane) -> NDArray[np.uint16]:
    """Object number of a soma among the eight pixels around each skeleton pixel, or 0."""
    padded = np.pad(labels, 1)
    touched = np.zeros(graph.size, np.uint16)
    for dy in range(3):
        for dx in range(3):
            touched = np.maximum(touched, padded[graph.y + dy, graph.x + dx])
    return touched
