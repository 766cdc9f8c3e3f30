"""Skeletons cut into branches: small drawings with known pieces."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra import numpy as hnp
from skimage.morphology import skeletonize

from hcs.ops.neurites.branches import FREE, find_branches, walk
from hcs.ops.neurites.graph import pixel_graph


def _graph(rows):
    return pixel_graph(np.array([[mark == "#" for mark in row] for row in rows]))


@pytest.mark.parametrize(
    ("rows", "n_pixels", "n_junctions"),
    [
        pytest.param([".#."], [1], 0, id="one-pixel"),
        pytest.param(["#####"], [5], 0, id="line"),
        pytest.param([".##.", "#..#", ".##."], [6], 0, id="ring"),
        pytest.param(["..#..", "..#..", "#####", "..#..", "..#.."], [2, 2, 2, 2], 1, id="plus"),
        pytest.param(["#...#", ".#.#.", "..#..", "..#..", "..#.."], [2, 2, 2], 1, id="fork"),
        pytest.param(["##.", "...", ".##"], [2, 2], 0, id="two-pieces"),
    ],
)
def test_branches_of_small_drawings(rows, n_pixels, n_junctions):
    branches = find_branches(_graph(rows))
    assert sorted(branches.n_pixels) == sorted(n_pixels)
    assert branches.n_junctions == n_junctions


def test_ends_know_their_junctions():
    branches = find_branches(_graph(["#....", ".####", "..#..", "..#.."]))
    assert branches.n_junctions == 1
    assert sorted((branches.junctions == FREE).sum(axis=1)) == [1, 1, 1]


def test_a_branch_of_one_pixel_joins_two_junctions():
    rows = ["#.....#", ".#...#.", "..###..", ".#...#.", "#.....#"]
    branches = find_branches(_graph(rows))
    (middle,) = np.flatnonzero((branches.junctions != FREE).all(axis=1))
    assert branches.n_pixels[middle] == 1
    assert len(set(branches.junctions[middle])) == 2


def test_an_empty_skeleton_has_no_branches():
    branches = find_branches(_graph(["..."]))
    assert branches.count == 0
    assert branches.n_junctions == 0


def test_walks_stop_at_the_end_and_before_junctions():
    graph = _graph(["...#...", "...#...", "#######"])
    start = np.flatnonzero((graph.y == 2) & (graph.x == 0))
    trail = walk(graph, start, 6)[0]
    np.testing.assert_array_equal(graph.x[trail], [0, 1, 2, 2, 2, 2, 2])


@given(hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, max_side=16)))
def test_every_pixel_is_on_a_branch_or_a_junction(plane):
    graph = pixel_graph(skeletonize(plane))
    branches = find_branches(graph)
    assert ((branches.of_pixel >= 0) ^ (branches.junction_of_pixel >= 0)).all()
    assert branches.n_pixels.sum() == (graph.degree <= 2).sum()
    np.testing.assert_array_equal(
        branches.of_pixel[branches.ends], np.arange(branches.count)[:, None].repeat(2, axis=1)
    )
