"""Neurites of each cell measured: how many, how long, how branched, how thick, how beaded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csgraph

from hcs.domain.columns import with_unit
from hcs.domain.tuning.lines import NeuriteTuning
from hcs.domain.tuning.sets import DEFAULTS
from hcs.ops.filters import FloatPlane
from hcs.ops.neurites.graph import find_touching_labels, link_matrix
from hcs.ops.neurites.tracing import UNASSIGNED, Neurites
from hcs.ops.neurites.widths import widths_at
from hcs.ops.scales import Scales
from hcs.ops.somas.cells import CellColumns
from hcs.ops.somas.segment import Somas

SHOLL_STEP_UM: Final = 10.0
SHOLL_STEP_PX: Final = 15.0
N_SHOLL: Final = 10


def sholl_names(pixel_size_um: float | None) -> tuple[str, ...]:
    """Columns of the Sholl profile, by the radius of each circle."""
    step, unit = (SHOLL_STEP_PX, "px") if pixel_size_um is None else (SHOLL_STEP_UM, "um")
    return tuple(
        f"Cells_Sholl_Intersections_{int(step * (k + 1)):03d}{unit}" for k in range(N_SHOLL)
    )


@dataclass(frozen=True, slots=True)
class Along:
    """What is read at every pixel of the skeleton, shape (N,) each.

    Attributes
    ----------
    light
        Brightness in counts above background.
    width_px
        Width of the neurite in pixels, NaN where it is not known.
    rooted
        Number of the soma beside the pixel, or 0.
    """

    light: NDArray[np.float64]
    width_px: NDArray[np.float64]
    rooted: NDArray[np.uint16]

    @classmethod
    def of(
        cls,
        signal: FloatPlane,
        somas: Somas,
        neurites: Neurites,
        scales: Scales,
        tuning: NeuriteTuning = DEFAULTS.neurites,
    ) -> Along:
        """Read a field, whose signal has the shape (Y, X)."""
        graph = neurites.graph
        return cls(
            light=signal[graph.y, graph.x].astype(np.float64),
            width_px=widths_at(signal, graph, scales, tuning=tuning),
            rooted=find_touching_labels(graph, somas.labels),
        )


def arbor_columns(
    somas: Somas,
    neurites: Neurites,
    along: Along,
    pixel_size_um: float | None,
    tuning: NeuriteTuning = DEFAULTS.neurites,
) -> CellColumns:
    """Measure the neurites of every soma.

    Parameters
    ----------
    somas, neurites, along
        The field.
    pixel_size_um
        Edge of a pixel, None where it is not known.
    tuning
        Constants of the kernel.

    Returns
    -------
    dict
        Column name → array with as many values as there are somas. A cell without neurites has
        counts and lengths of 0; its mean width, brightness and beading are NaN, since there is
        nothing to average.
    """
    size = 1.0 if pixel_size_um is None else pixel_size_um
    count = somas.count
    own = np.where(neurites.owner == UNASSIGNED, 0, neurites.owner).astype(np.intp)
    longest = np.zeros(count + 1)
    reached = np.isfinite(neurites.distance)
    np.maximum.at(longest, own[reached], neurites.distance[reached])
    light, rooted = along.light, along.rooted
    ends = end_points(neurites, rooted, somas.labels.shape, tuning=tuning)
    width = along.width_px * size
    length_name = with_unit("Cells_Neurite_LongestLength", 1, pixel_size_um)
    return {
        "Cells_Neurite_Primary": _primary(neurites, rooted, count),
        length_name: longest[1:] * size,
        "Cells_Neurite_BranchPoints": _of_cells(own[neurites.branch_points], count),
        "Cells_Neurite_EndPoints": _of_cells(own[ends], count),
        with_unit("Cells_Neurite_MeanWidth", 1, pixel_size_um): _mean(width, own, count),
        "Cells_Neurite_MeanIntensity": _mean(light, own, count),
        "Cells_Neurite_Beading": _measure_beading(neurites, own, light, count, tuning),
        **_sholl(neurites, somas, own, pixel_size_um),
    }


def end_points(
    neurites: Neurites,
    rooted: NDArray[np.uint16],
    shape: tuple[int, ...],
    tuning: NeuriteTuning = DEFAULTS.neurites,
) -> NDArray[np.intp]:
    """Pixels at which a neurite ends: not at a soma, and not where the plane cuts it off."""
    graph = neurites.graph
    to_rim = np.minimum.reduce([graph.y, graph.x, shape[0] - 1 - graph.y, shape[1] - 1 - graph.x])
    return np.flatnonzero((graph.degree == 1) & (rooted == 0) & (to_rim >= tuning.arbors.edge_px))


def beading_of_branches(
    neurites: Neurites, light: NDArray[np.float64], tuning: NeuriteTuning = DEFAULTS.neurites
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Coefficient of variation of the brightness along each branch, and its number of pixels.

    Branches that are too short get no weight.
    """
    branch = neurites.branches.of_pixel
    inside = branch >= 0
    n = np.bincount(branch[inside], minlength=neurites.branches.count).astype(np.float64)
    value = np.maximum(light[inside], 0)
    mean = np.bincount(branch[inside], value, n.size) / np.maximum(n, 1)
    square = np.bincount(branch[inside], value**2, n.size) / np.maximum(n, 1)
    variation = np.sqrt(np.maximum(square - mean**2, 0)) / np.maximum(mean, 1e-9)
    return variation, np.where((n >= tuning.arbors.bead_length_px) & (mean > 0), n, 0)


def _measure_beading(
    neurites: Neurites,
    own: NDArray[np.intp],
    light: NDArray[np.float64],
    count: int,
    tuning: NeuriteTuning,
) -> NDArray[np.float64]:
    variation, weight = beading_of_branches(neurites, light, tuning=tuning)
    owner = np.zeros(weight.size, np.intp)
    inside = neurites.branches.of_pixel >= 0
    owner[neurites.branches.of_pixel[inside]] = own[inside]
    total = np.bincount(owner, weight, count + 1)[1:]
    sums = np.bincount(owner, weight * variation, count + 1)[1:]
    return _ratio(sums, total)


def _primary(neurites: Neurites, rooted: NDArray[np.uint16], count: int) -> NDArray[np.float64]:
    """Places at which neurites leave each soma; neighboring pixels are one place."""
    begin, end = neurites.graph.links()
    together = (rooted[begin] > 0) & (rooted[begin] == rooted[end])
    links = link_matrix(begin[together], end[together], neurites.graph.size)
    place = csgraph.connected_components(links, directed=False)[1]
    roots = np.flatnonzero(rooted)
    first = np.unique(place[roots], return_index=True)[1]
    return _of_cells(rooted[roots[first]].astype(np.intp), count)


def _sholl(
    neurites: Neurites, somas: Somas, own: NDArray[np.intp], pixel_size_um: float | None
) -> CellColumns:
    """Crossings of circles around each soma (Sholl 1953, J Anat 87:387)."""
    count, graph = somas.count, neurites.graph
    step = SHOLL_STEP_PX if pixel_size_um is None else SHOLL_STEP_UM / pixel_size_um
    y, x = np.nonzero(somas.labels)
    of = somas.labels[y, x]
    area = np.maximum(np.bincount(of, minlength=count + 1), 1)
    center_y = np.bincount(of, y, count + 1) / area
    center_x = np.bincount(of, x, count + 1) / area
    away = np.hypot(graph.y - center_y[own], graph.x - center_x[own]) / step
    ring = np.floor(away).astype(np.intp)
    begin, end = graph.links()
    mine = (own[begin] > 0) & (own[begin] == own[end]) & (ring[begin] != ring[end])
    circle = np.maximum(ring[begin], ring[end])[mine]
    seen = circle <= N_SHOLL
    places = own[begin][mine][seen] * (N_SHOLL + 1) + circle[seen]
    table = np.bincount(places, minlength=(count + 1) * (N_SHOLL + 1))
    profile = table.reshape(count + 1, N_SHOLL + 1)[1:, 1:].astype(np.float64)
    radius = 1.0 if pixel_size_um is None else pixel_size_um
    most = profile.max(axis=1, initial=0)
    critical = np.where(most > 0, (profile.argmax(axis=1) + 1) * step * radius, 0.0)
    names = sholl_names(pixel_size_um)
    return {
        **{name: profile[:, k] for k, name in enumerate(names)},
        "Cells_Sholl_Maximum": most,
        with_unit("Cells_Sholl_CriticalRadius", 1, pixel_size_um): critical,
    }


def _of_cells(owners: NDArray[np.intp], count: int) -> NDArray[np.float64]:
    return np.bincount(owners, minlength=count + 1)[1 : count + 1].astype(np.float64)


def _mean(values: NDArray[np.float64], own: NDArray[np.intp], count: int) -> NDArray[np.float64]:
    known = np.isfinite(values)
    total = np.bincount(own[known], values[known], count + 1)[1:]
    return _ratio(total, np.bincount(own[known], minlength=count + 1)[1:])


def _ratio(part: NDArray[Any], whole: NDArray[Any]) -> NDArray[np.float64]:
    result = np.full(whole.size, np.nan)
    np.divide(part, whole, out=result, where=whole > 0)
    return result
