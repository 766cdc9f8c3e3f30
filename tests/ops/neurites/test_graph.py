"""Lengths and links of skeletons against geometry."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from skimage.draw import line
from skimage.morphology import skeletonize

from hcs.ops.neurites.graph import find_touching_labels, lengths_of_pixels, pixel_graph, smooth_path


def _drawn(points, shape=(200, 200)):
    plane = np.zeros(shape, bool)
    pixels = np.rint(points).astype(int)
    for start, end in itertools.pairwise(pixels):
        plane[line(*start, *end)] = True
    return skeletonize(plane)


@pytest.mark.parametrize("angle_deg", [0, 7, 15, 22.5, 30, 45, 60, 80, 90])
def test_straight_lines_have_their_length_at_any_angle(angle_deg):
    direction = np.array([np.sin(np.deg2rad(angle_deg)), np.cos(np.deg2rad(angle_deg))])
    ends = np.array([[20, 20], np.array([20, 20]) + 150 * direction])
    graph = pixel_graph(_drawn(ends))
    true = np.hypot(*np.diff(np.rint(ends), axis=0)[0])
    assert lengths_of_pixels(graph).sum() == pytest.approx(true, rel=0.015)


@pytest.mark.parametrize("radius", [12, 30, 70])
def test_circles_have_their_circumference(radius):
    turn = np.linspace(0, 2 * np.pi, 2000)
    points = 100 + radius * np.stack([np.sin(turn), np.cos(turn)], axis=1)
    graph = pixel_graph(_drawn(points))
    assert (graph.degree == 2).all()
    assert lengths_of_pixels(graph).sum() == pytest.approx(2 * np.pi * radius, rel=0.02)


def test_corners_of_a_staircase_are_no_branches():
    plane = np.zeros((8, 8), bool)
    for step in range(6):
        plane[step, step : step + 2] = True
    assert pixel_graph(plane).degree.max() == 2


def test_an_empty_skeleton_has_no_pixels_and_no_length():
    graph = pixel_graph(np.zeros((5, 5), bool))
    assert graph.size == 0
    assert lengths_of_pixels(graph).sum() == 0
    assert smooth_path(graph).shape == (0, 2)


planes = hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, max_side=14))


@given(planes)
def test_links_are_mutual_and_counted_once(plane):
    graph = pixel_graph(plane)
    begin, end = graph.links()
    assert graph.degree.sum() == 2 * begin.size
    assert (begin < end).all()
    steps = np.maximum(np.abs(graph.y[begin] - graph.y[end]), np.abs(graph.x[begin] - graph.x[end]))
    assert (steps == 1).all()


@given(planes)
def test_length_does_not_depend_on_orientation(plane):
    length = lengths_of_pixels(pixel_graph(plane)).sum()
    for turned in (plane[::-1], plane.T, np.rot90(plane)):
        assert lengths_of_pixels(pixel_graph(turned)).sum() == pytest.approx(length)


@given(planes, st.integers(1, 65534))
def test_touched_labels_are_those_of_neighbors(plane, label):
    labels = np.zeros(plane.shape, np.uint16)
    labels[0, 0] = label
    graph = pixel_graph(plane)
    near = (graph.y <= 1) & (graph.x <= 1)
    np.testing.assert_array_equal(find_touching_labels(graph, labels), np.where(near, label, 0))
