"""Crossings told from forks on lines drawn at known angles."""

from __future__ import annotations

import numpy as np
import pytest
from skimage.draw import line
from skimage.morphology import dilation, disk, skeletonize

from hcs.ops.neurites.branches import find_branches
from hcs.ops.neurites.crossings import find_crossings
from hcs.ops.neurites.graph import pixel_graph, smooth_path

WIDTH_PX = 3.0


def _crossings(segments):
    plane = np.zeros((120, 120), bool)
    for y0, x0, y1, x1 in segments:
        plane[line(y0, x0, y1, x1)] = True
    graph = pixel_graph(skeletonize(dilation(plane, disk(1))))
    branches = find_branches(graph)
    return graph, branches, find_crossings(graph, branches, smooth_path(graph), WIDTH_PX)


def _spokes(angles_deg, length=45):
    turns = np.deg2rad(angles_deg)
    ends = np.rint(60 + length * np.stack([np.sin(turns), np.cos(turns)], axis=1)).astype(int)
    return [(60, 60, *end) for end in ends]


@pytest.mark.parametrize("angle_deg", [20, 30, 45, 60, 75, 90, 120])
def test_two_straight_lines_cross_once(angle_deg):
    spokes = _spokes([0, 180, angle_deg, angle_deg + 180])
    graph, branches, crossings = _crossings(spokes)
    assert crossings.n_crossings == 1
    # Links go from an arm to the arm on the other side, never round a corner; the piece that both
    # lines share, when there is one, goes with either.
    on_piece = np.append(crossings.shared, False)[branches.of_pixel[crossings.links]].any(axis=1)
    assert (~on_piece).sum() == 2
    for one, other in crossings.links[~on_piece]:
        a = np.array([graph.y[one] - 60, graph.x[one] - 60], float)
        b = np.array([graph.y[other] - 60, graph.x[other] - 60], float)
        assert a @ b < 0


@pytest.mark.parametrize(
    "angles", [pytest.param([0, 120, 240], id="star"), pytest.param([0, 150, 210], id="fork")]
)
def test_a_fork_is_no_crossing(angles):
    _, branches, crossings = _crossings(_spokes(angles))
    assert crossings.n_crossings == 0
    assert not crossings.shared.any()
    assert branches.count == 3
    assert len(crossings.links) == 3


def test_a_shared_stretch_is_known():
    segments = [(60, 50, 60, 66), (40, 15, 60, 50), (80, 15, 60, 50)]
    segments += [(60, 66, 40, 101), (60, 66, 80, 101)]
    _, branches, crossings = _crossings(segments)
    assert crossings.n_crossings == 1
    (shared,) = np.flatnonzero(crossings.shared)
    assert branches.n_pixels[shared] == pytest.approx(14, abs=4)


def test_two_far_forks_share_nothing():
    segments = [(60, 35, 60, 85), (40, 10, 60, 35), (80, 10, 60, 35)]
    segments += [(60, 85, 40, 110), (60, 85, 80, 110)]
    _, _, crossings = _crossings(segments)
    assert crossings.n_crossings == 0


def test_no_skeleton_no_crossings():
    _, _, crossings = _crossings([])
    assert crossings.n_crossings == 0
    assert crossings.links.shape == (0, 2)
