"""Neurites: traced along ridges, measured along their path, assigned to the soma of origin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse import csgraph
from skimage.morphology import skeletonize

from hcs.domain.config import Threshold
from hcs.ops.filters import FloatPlane
from hcs.ops.graph import PixelGraph, lengths_of_pixels, pixel_graph
from hcs.ops.ridges import ridge_mask, ridge_strength
from hcs.ops.scales import Scales
from hcs.ops.segment import LabelPlane, Somas

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


def trace_neurites(
    signal: FloatPlane, somas: Somas, scales: Scales, threshold: Threshold
) -> Neurites:
    """Find the neurites of a field.

    Parameters
    ----------
    signal
        Shape (Y, X), counts above background.
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
    strength = ridge_strength(signal, scales.neurite_width_px / 2)
    mask = ridge_mask(strength, threshold) & ~somas.debris
    skeleton = skeletonize(mask | (somas.labels > 0)) & (somas.labels == 0)
    graph = pixel_graph(_without_short(skeleton, scales.min_neurite_length_px))
    owner = _owners(graph, somas)
    return Neurites(graph, lengths_of_pixels(graph), owner, mask & (somas.labels == 0))


def _without_short(skeleton: NDArray[np.bool_], min_length_px: float) -> NDArray[np.bool_]:
    """Drop connected pieces shorter than the least length."""
    graph = pixel_graph(skeleton)
    if graph.size == 0:
        return skeleton
    component = csgraph.connected_components(_adjacency(graph), directed=False)[1]
    length = np.bincount(component, lengths_of_pixels(graph))
    kept = length[component] >= min_length_px
    result = np.zeros_like(skeleton)
    result[graph.y[kept], graph.x[kept]] = True
    return result


def _owners(graph: PixelGraph, somas: Somas) -> NDArray[np.uint16]:
    """Soma that every pixel reaches first along the skeleton."""
    owner = np.full(graph.size, UNASSIGNED, np.uint16)
    root = _touched_soma(graph, somas.labels)
    starts = np.flatnonzero(root)
    if starts.size == 0:
        return owner
    reached = csgraph.dijkstra(
        _adjacency(graph),
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


def _adjacency(graph: PixelGraph) -> sparse.csr_array:
    start, end = graph.links()
    ones = np.ones(start.size, np.int8)
    return sparse.csr_array((ones, (start, end)), shape=(graph.size, graph.size))
