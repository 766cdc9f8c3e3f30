"""Pieces of nuclei: which belong together, and how large a whole nucleus is."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.measure import label

from hcs.domain.tuning.bodies import NucleiTuning
from hcs.domain.tuning.cells import CellTuning
from hcs.domain.tuning.sets import DEFAULTS
from hcs.ops.filters import FloatPlane
from hcs.ops.somas.passes import bound_gaps, highest_values
from hcs.ops.somas.segment import LabelPlane, label_type

Labels = NDArray[np.int32]
Mask = NDArray[np.bool_]


_NEIGHBORS: Final = (
    ((slice(None), slice(1, None)), (slice(None), slice(None, -1))),
    ((slice(1, None), slice(None)), (slice(None, -1), slice(None))),
    ((slice(1, None), slice(1, None)), (slice(None, -1), slice(None, -1))),
    ((slice(1, None), slice(None, -1)), (slice(None, -1), slice(1, None))),
)


def join_pieces(
    pieces: Labels, signal: FloatPlane, depth: FloatPlane, tuning: NucleiTuning = DEFAULTS.nuclei
) -> Labels:
    """Join neighbors between which there is neither a neck nor a step in brightness.

    Parameters
    ----------
    pieces
        Shape (Y, X), int32: number of the piece, 0 outside.
    signal
        Shape (Y, X), counts above ground.
    depth
        Shape (Y, X), px: distance to the edge of what the pieces are part of.
    tuning
        Constants of the kernel.

    Returns
    -------
    ndarray
        Shape (Y, X), int32: pieces of one nucleus have one number.
    """
    n = int(pieces.max(initial=0)) + 1
    first, second, saddle = _borders(pieces, depth)
    peak = highest_values(pieces, depth, n)
    area = np.bincount(pieces.ravel(), minlength=n).astype(np.float64)
    light = np.bincount(pieces.ravel(), signal.ravel(), n)
    parent = np.arange(n)
    widest_first = np.argsort(-saddle / np.minimum(peak[first], peak[second]), kind="stable")
    for index in widest_first:
        i, j = _root(parent, int(first[index])), _root(parent, int(second[index]))
        dim, bright = sorted((light[i] / area[i], light[j] / area[j]))
        narrow = saddle[index] < tuning.min_neck * min(peak[i], peak[j])
        if i == j or narrow or bright > tuning.max_contrast * dim:
            continue
        parent[j] = i
        area[i] += area[j]
        light[i] += light[j]
        peak[i] = max(peak[i], peak[j])
    roots = np.array([_root(parent, index) for index in range(n)], np.int32)
    return roots[pieces]


def elliptic_diameter(mask: Mask, tuning: NucleiTuning = DEFAULTS.nuclei) -> float | None:
    """Median diameter, in px, of elliptic objects that the border does not cut; None without."""
    labels = ndimage.label(mask)[0]
    y, x = np.nonzero(labels)
    of = labels[y, x]
    n = int(labels.max()) + 1
    area = np.maximum(np.bincount(of, minlength=n), 1)
    mean_y, mean_x = np.bincount(of, y, n) / area, np.bincount(of, x, n) / area
    dy, dx = y - mean_y[of], x - mean_x[of]
    # A pixel is a square: a twelfth is its own second moment.
    yy = np.bincount(of, dy * dy, n) / area + 1 / 12
    xx = np.bincount(of, dx * dx, n) / area + 1 / 12
    yx = np.bincount(of, dy * dx, n) / area
    elliptic = area / (4 * np.pi * np.sqrt(np.maximum(yy * xx - yx * yx, 1e-9)))
    whole = (elliptic >= tuning.min_elliptic) & (area >= tuning.min_estimate_area_px)
    whole[at_rim(labels)] = False
    whole[0] = False
    if not whole.any():
        return None
    ordered = np.sort(area[whole])
    shares = np.cumsum(ordered)
    usual = ordered[np.searchsorted(shares, shares[-1] / 2)]
    # Specks may be many; together they cover little.
    kept = ordered[ordered >= tuning.min_estimate_share * usual]
    return float(np.sqrt(4 * np.median(kept) / np.pi))


def fill_holes(labels: Labels) -> Labels:
    """Fill every gap that lies in one object and does not reach the border of the image."""
    gaps, n_gaps = ndimage.label(labels == 0)
    low, high = bound_gaps(np.asarray(gaps, np.int32), labels, n_gaps)
    owner = np.where(low == high, high, 0).astype(np.int32)
    owner[at_rim(gaps)] = 0
    owner[0] = 0
    filled: Labels = np.where(labels > 0, labels, owner[gaps])
    return filled


def largest_parts(labels: Labels) -> Labels:
    """Keep of every object the largest of its parts that hang together."""
    parts = label(labels, background=0, connectivity=1)
    n = int(parts.max(initial=0)) + 1
    area = np.bincount(parts.ravel(), minlength=n)
    owner = np.zeros(n, np.int32)
    owner[parts.ravel()] = labels.ravel()
    area[0] = 0
    largest = np.zeros(int(labels.max(initial=0)) + 1, np.intp)
    by_size = np.argsort(area, kind="stable")
    largest[owner[by_size]] = by_size  # the last one written is the largest
    kept: Labels = np.where(largest[labels] == parts, labels, 0)
    return kept


def at_rim(labels: NDArray[np.integer]) -> NDArray[np.integer]:
    """Numbers of what the border of the image cuts, 0 among them where background reaches it."""
    return np.unique(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]))


def number_large(
    labels: Labels, diameter_px: float, tuning: NucleiTuning | CellTuning
) -> LabelPlane:
    """Give objects that are large enough numbers without gaps; less suffices of what is cut.

    Parameters
    ----------
    labels
        Shape (Y, X), int32.
    diameter_px
        Usual diameter of an object.
    tuning
        Least areas, in areas of a disk of that diameter: of whole objects, and at the border.

    Returns
    -------
    ndarray
        Shape (Y, X), of the narrowest type that holds the numbers.
    """
    disk = np.pi / 4 * diameter_px**2
    area = np.bincount(labels.ravel())
    least = np.full(area.size, tuning.min_area_fraction * disk)
    least[at_rim(labels)] = tuning.min_rim_area_fraction * disk
    kept = area >= np.maximum(least, 1)
    kept[0] = False
    count = int(kept.sum())
    numbers = np.zeros(area.size, label_type(count))
    numbers[kept] = np.arange(1, count + 1)
    return numbers[labels]


def _borders(
    pieces: Labels, depth: FloatPlane
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float64]]:
    """Pairs of pieces that touch, and the depth of the deepest place between each."""
    n = int(pieces.max(initial=0)) + 1
    keys, depths = [], []
    for one, other in _NEIGHBORS:
        a, b = pieces[one], pieces[other]
        touch = (a != b) & (a > 0) & (b > 0)
        low, high = np.minimum(a[touch], b[touch]), np.maximum(a[touch], b[touch])
        keys.append(low.astype(np.intp) * n + high)
        depths.append(np.minimum(depth[one][touch], depth[other][touch]))
    key, deep = np.concatenate(keys), np.concatenate(depths).astype(np.float64)
    pairs, which = np.unique(key, return_inverse=True)
    saddle = np.zeros(pairs.size)
    np.maximum.at(saddle, which, deep)
    return pairs // n, pairs % n, saddle


def _root(parent: NDArray[np.intp], index: int) -> int:
    while parent[index] != index:
        index = int(parent[index])
    return index
