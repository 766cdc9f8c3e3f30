"""What noise, neurite width and debris add to a skeleton, taken off again."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csgraph

from hcs.domain.tuning.lines import NeuriteTuning
from hcs.domain.tuning.sets import DEFAULTS
from hcs.ops.filters import FloatPlane
from hcs.ops.neurites.branches import Indices, walk
from hcs.ops.neurites.graph import (
    PixelGraph,
    find_touching_labels,
    lengths_of_pixels,
    link_matrix,
    pixel_graph,
)
from hcs.ops.somas.segment import LabelPlane


def remove_spurs(
    skeleton: NDArray[np.bool_],
    somas: LabelPlane,
    spur_px: float,
    tuning: NeuriteTuning = DEFAULTS.neurites,
) -> PixelGraph:
    """Remove short side branches.

    A branch with one free end is a spur when it is shorter than ``spur_px`` and not the longest
    at its junction. An end at a soma is not free.

    Parameters
    ----------
    skeleton
        Shape (Y, X), bool; one pixel wide, outside of somas.
    somas
        Shape (Y, X): labels of somas.
    spur_px
        Least number of pixels of a side branch.
    tuning
        Constants of the kernel.

    Returns
    -------
    PixelGraph
        What is left.
    """
    graph = pixel_graph(skeleton)
    for _ in range(tuning.pruning.passes):
        spur = _spurs(graph, find_touching_labels(graph, somas) > 0, spur_px)
        if not spur.any():
            break
        graph = _keep_pixels(graph, ~spur, skeleton.shape)
    return graph


def remove_pieces(
    graph: PixelGraph,
    strength: FloatPlane,
    somas: LabelPlane,
    least_px: tuple[float, float],
    tuning: NeuriteTuning = DEFAULTS.neurites,
) -> PixelGraph:
    """Remove connected pieces that are too short, rays of a bright spot, or noise at the rim.

    Parameters
    ----------
    graph
        The skeleton.
    strength
        Shape (Y, X): strength of the ridge.
    somas
        Shape (Y, X): labels of somas.
    least_px
        Least length in pixels of a piece that grows from a soma, and of any other.
    tuning
        Constants of the kernel.

    Returns
    -------
    PixelGraph
        What is left.
    """
    if graph.size == 0:
        return graph
    links = link_matrix(*graph.links(), graph.size)
    piece: Indices = csgraph.connected_components(links, directed=False)[1].astype(np.intp)
    rooted = np.bincount(piece, find_touching_labels(graph, somas) > 0) > 0
    length = np.bincount(piece, lengths_of_pixels(graph, tuning=tuning))
    minor = length < np.where(rooted, *least_px)
    minor |= ~rooted & _is_spot(graph, piece, strength, least_px[1], tuning)
    minor |= _hugs_rim(graph, piece, strength.shape, least_px[0] / 2)
    return _keep_pixels(graph, ~minor[piece], strength.shape)


def trim_ends(
    graph: PixelGraph,
    blurred: FloatPlane,
    somas: LabelPlane,
    width_px: float,
    tuning: NeuriteTuning = DEFAULTS.neurites,
) -> PixelGraph:
    """Cut loose ends back to where the line has half of its brightness.

    A blurred line fades out beyond its end; half of its brightness is at the end itself.

    Parameters
    ----------
    graph
        The skeleton.
    blurred
        Shape (Y, X): blurred signal above background.
    somas
        Shape (Y, X): labels of somas; ends at a soma stay.
    width_px
        Width of a neurite; an end is cut by at most twice as much.
    tuning
        Constants of the kernel.

    Returns
    -------
    PixelGraph
        What is left.
    """
    ends = np.flatnonzero((graph.degree == 1) & (find_touching_labels(graph, somas) == 0))
    longest_cut = max(round(tuning.pruning.trim_widths * width_px), 1)
    trails = walk(graph, ends, 3 * longest_cut)
    values = blurred[graph.y[trails], graph.x[trails]]
    half = np.median(values[:, longest_cut:], axis=1, keepdims=True) / 2
    beyond = np.logical_and.accumulate(values[:, :longest_cut] < half, axis=1)
    kept = np.ones(graph.size, bool)
    kept[trails[:, :longest_cut][beyond]] = False
    return _keep_pixels(graph, kept, somas.shape)


def _is_spot(
    graph: PixelGraph, piece: Indices, strength: FloatPlane, piece_px: float, tuning: NeuriteTuning
) -> NDArray[np.bool_]:
    """Whether a connected piece is the rays of a bright spot.

    Along a neurite the ridge is about equally strong; around a spot it falls off quickly, so
    what is nearly as strong as the strongest pixel lies close together.
    """
    n_pieces = int(piece.max(initial=-1)) + 1
    at_pixel = strength[graph.y, graph.x]
    top = np.zeros(n_pieces)
    np.maximum.at(top, piece, at_pixel)
    strong = at_pixel >= tuning.pruning.spot_level * top[piece]
    spans = np.zeros((2, n_pieces))
    for span, place in zip(spans, (graph.y, graph.x), strict=True):
        low, high = np.full(n_pieces, np.inf), np.full(n_pieces, -np.inf)
        np.minimum.at(low, piece[strong], place[strong])
        np.maximum.at(high, piece[strong], place[strong])
        span[:] = high - low
    spot: NDArray[np.bool_] = np.hypot(*spans) < tuning.pruning.spot_fraction * piece_px
    return spot


def _hugs_rim(
    graph: PixelGraph, piece: Indices, shape: tuple[int, ...], rim_px: float
) -> NDArray[np.bool_]:
    """Whether a piece stays at the rim, where the blur sees few pixels and noise has ridges."""
    to_rim = np.minimum.reduce([graph.y, graph.x, shape[0] - 1 - graph.y, shape[1] - 1 - graph.x])
    farthest = np.zeros(int(piece.max(initial=-1)) + 1)
    np.maximum.at(farthest, piece, to_rim)
    hugging: NDArray[np.bool_] = farthest < rim_px
    return hugging


def _spurs(graph: PixelGraph, rooted: NDArray[np.bool_], spur_px: float) -> NDArray[np.bool_]:
    """Whether a pixel is on a short branch with a free end that is not its junction's longest."""
    is_junction = graph.degree > 2
    begin, end = graph.links()
    same = is_junction[begin] == is_junction[end]
    alike = link_matrix(begin[same], end[same], graph.size)
    n_parts, part = csgraph.connected_components(alike, directed=False)
    at_junction = is_junction[begin[~same]]
    branch = part[np.where(at_junction, end[~same], begin[~same])]
    junction = part[np.where(at_junction, begin[~same], end[~same])]
    n_pixels = np.bincount(part, minlength=n_parts)
    longest = np.zeros(n_parts, np.intp)
    np.maximum.at(longest, junction, n_pixels[branch])
    limit = np.zeros(n_parts)
    limit[branch] = np.minimum(spur_px, longest[junction])
    one_ended = np.bincount(branch, minlength=n_parts) == 1
    at_soma = np.bincount(part, rooted, n_parts) > 0
    spur: NDArray[np.bool_] = (one_ended & ~at_soma & (n_pixels < limit))[part]
    return spur


def _keep_pixels(graph: PixelGraph, kept: NDArray[np.bool_], shape: tuple[int, ...]) -> PixelGraph:
    if kept.all():
        return graph
    skeleton = np.zeros(shape, bool)
    skeleton[graph.y[kept], graph.x[kept]] = True
    return pixel_graph(skeleton)
