"""Neurites: traced along ridges, measured along their path, assigned to the soma of origin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse import csgraph
from skimage.morphology import skeletonize

from hcs.domain.tuning.lines import NeuriteTuning
from hcs.domain.tuning.sets import DEFAULTS
from hcs.ops.neurites.branches import Branches, find_branches
from hcs.ops.neurites.bridges import bridge_gaps
from hcs.ops.neurites.crossings import Crossings, find_crossings
from hcs.ops.neurites.graph import PixelGraph, find_touching_labels, lengths_of_pixels, smooth_path
from hcs.ops.neurites.hidden import hidden_factor
from hcs.ops.neurites.prune import remove_pieces, remove_spurs, trim_ends
from hcs.ops.neurites.ridges import Centers, Ridges, center_lines
from hcs.ops.scales import Scales
from hcs.ops.somas.segment import LabelPlane, Somas

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
        Length that was traced at each pixel, shape (N,), in pixels of the plane.
    corrected_px
        Estimate of the whole length with neurites that lie hidden under or close beside another
        (:mod:`hcs.ops.neurites.hidden`).
    n_crossings
        Places where two neurites cross.
    owner
        Object number of the soma each pixel's neurite grows from, or :data:`UNASSIGNED`;
        shape (N,), uint16.
    distance
        Length of the path from that soma to each pixel, shape (N,), in pixels; infinite where
        there is none.
    branches
        The skeleton cut at its junctions.
    branch_points
        One pixel of every place where a neurite divides, shape (J,).
    mask
        Shape (Y, X), bool: the neurites in their width, without somas.
    broad
        Whether the line stands on broad bright ground, as rims and folds of bodies do; shape (N,).
    """

    graph: PixelGraph
    lengths: NDArray[np.float64]
    corrected_px: float
    n_crossings: int
    owner: NDArray[np.uint16]
    distance: NDArray[np.float64]
    branches: Branches
    branch_points: NDArray[np.intp]
    mask: NDArray[np.bool_]
    broad: NDArray[np.bool_]

    def labels(self) -> LabelPlane:
        """Return the skeleton as a label image (Y, X): the owner's number on every pixel."""
        plane = np.zeros(self.mask.shape, np.uint16)
        plane[self.graph.y, self.graph.x] = self.owner
        return plane


def trace_neurites(
    ridges: Ridges,
    centers: Centers,
    somas: Somas,
    scales: Scales,
    tuning: NeuriteTuning = DEFAULTS.neurites,
    blank: NDArray[np.bool_] | None = None,
) -> Neurites:
    """Find the neurites of a field.

    Parameters
    ----------
    ridges, centers
        Ridges of the signal above background, and their middle lines.
    somas
        Somas of the field.
    scales
        Expected sizes.
    tuning
        Constants of the kernel.
    blank
        Shape (Y, X): what holds no image, and no neurites.

    Returns
    -------
    Neurites
        Of no pixels when there are none.
    """
    bodies = somas.labels > 0
    mask = center_lines(ridges, centers, bodies, tuning=tuning)
    if blank is not None:
        mask &= ~blank
    skeleton = skeletonize(mask & ~bodies)
    graph = _tidy_skeleton(skeleton, ridges, somas.labels, scales, tuning)
    branches = find_branches(graph)
    points = smooth_path(graph, tuning=tuning)
    crossings = find_crossings(graph, branches, points, scales.neurite_width_px, tuning=tuning)
    lengths = lengths_of_pixels(graph, tuning=tuning)
    lengths[branches.of_branches(crossings.shared)] *= 2
    owner, distance = _owners(graph, points, branches, crossings, somas)
    factor = hidden_factor(graph, lengths, scales.neurite_width_px, mask.shape, tuning=tuning)
    return Neurites(
        graph=graph,
        lengths=lengths,
        corrected_px=float(lengths @ factor),
        n_crossings=crossings.n_crossings,
        owner=owner,
        distance=distance,
        branches=branches,
        branch_points=_first_pixels(branches, crossings),
        mask=mask & ~bodies,
        broad=_is_broad(graph, ridges, tuning),
    )


def _is_broad(graph: PixelGraph, ridges: Ridges, tuning: NeuriteTuning) -> NDArray[np.bool_]:
    """Whether the curvature across each pixel of a line is small for its height."""
    height = np.abs(ridges.blurred[graph.y + 1, graph.x + 1])
    broad: NDArray[np.bool_] = (
        ridges.strength[graph.y, graph.x] < tuning.ridges.broad_contrast * height
    )
    return broad


def _first_pixels(branches: Branches, crossings: Crossings) -> NDArray[np.intp]:
    """One pixel of every junction at which a neurite divides."""
    junction = branches.junction_of_pixel
    pixels = np.flatnonzero(np.isin(junction, crossings.branchings) & (junction >= 0))
    first: NDArray[np.intp] = pixels[np.unique(junction[pixels], return_index=True)[1]]
    return first


def _tidy_skeleton(
    skeleton: NDArray[np.bool_],
    ridges: Ridges,
    somas: LabelPlane,
    scales: Scales,
    tuning: NeuriteTuning,
) -> PixelGraph:
    """Take off spurs, close gaps, and drop what then is still too short."""
    spur_px = tuning.pruning.spur_widths * scales.neurite_width_px
    graph = remove_spurs(skeleton, somas, spur_px, tuning=tuning)
    blurred = ridges.blurred[1:-1, 1:-1]
    bridged = bridge_gaps(graph, somas, blurred, scales.neurite_width_px, tuning=tuning)
    graph = remove_spurs(bridged, somas, spur_px, tuning=tuning)
    least_px = (spur_px, scales.min_neurite_length_px)
    graph = remove_pieces(graph, ridges.strength, somas, least_px, tuning=tuning)
    return trim_ends(graph, blurred, somas, scales.neurite_width_px, tuning=tuning)


def _owners(
    graph: PixelGraph,
    points: NDArray[np.float64],
    branches: Branches,
    crossings: Crossings,
    somas: Somas,
) -> tuple[NDArray[np.uint16], NDArray[np.float64]]:
    """Soma that every pixel reaches first along its own neurite, and how long the way is."""
    owner = np.full(graph.size, UNASSIGNED, np.uint16)
    distance = np.full(graph.size, np.inf)
    root = find_touching_labels(graph, somas.labels)
    starts = np.flatnonzero(root)
    if starts.size == 0:
        return owner, distance
    begin, end = graph.links()
    inner = (branches.of_pixel[begin] >= 0) & (branches.of_pixel[end] >= 0)
    begin = np.concatenate([begin[inner], crossings.links[:, 0]])
    end = np.concatenate([end[inner], crossings.links[:, 1]])
    # A link between two pixels at one smoothed place would be no link for the search.
    way = np.maximum(np.linalg.norm(points[begin] - points[end], axis=1), 1e-6)
    links = sparse.coo_array((way, (begin, end)), shape=(graph.size, graph.size)).tocsr()
    distance, _, source = csgraph.dijkstra(
        links, directed=False, indices=starts, min_only=True, return_predecessors=True
    )
    found = source >= 0
    owner[found] = root[source[found]]
    _fill_junctions(graph, branches, owner)
    return owner, distance


def _fill_junctions(graph: PixelGraph, branches: Branches, owner: NDArray[np.uint16]) -> None:
    """Give pixels of junctions the owner of a branch beside them, in place."""
    at = np.flatnonzero((branches.junction_of_pixel >= 0) & (owner == UNASSIGNED))
    neighbors = graph.neighbors[at]
    beside = np.where(neighbors >= 0, owner[neighbors], UNASSIGNED)
    owner[at] = beside.min(axis=1)
