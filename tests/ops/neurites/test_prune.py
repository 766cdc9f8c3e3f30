"""What is taken off a skeleton and what stays."""

from __future__ import annotations

import numpy as np
import pytest

from hcs.ops.neurites.graph import pixel_graph
from hcs.ops.neurites.prune import remove_pieces, remove_spurs

SHAPE = (60, 100)


def _plane(*strokes):
    plane = np.zeros(SHAPE, bool)
    for rows, columns in strokes:
        plane[rows, columns] = True
    return plane


def _somas(rows=slice(0), columns=slice(0)):
    somas = np.zeros(SHAPE, np.uint16)
    somas[rows, columns] = 1
    return somas


def test_a_short_side_branch_goes_and_a_long_one_stays():
    plane = _plane((30, slice(5, 90)), (slice(25, 30), 40), (slice(15, 30), 70))
    graph = remove_spurs(plane, _somas(), 9)
    assert not ((graph.x == 40) & (graph.y < 30)).any()
    assert ((graph.x == 70) & (graph.y < 29)).sum() == 14


def test_a_short_branch_that_leads_to_a_soma_stays():
    plane = _plane((30, slice(5, 90)), (slice(25, 30), 40))
    graph = remove_spurs(plane, _somas(slice(5, 25), slice(30, 50)), 9)
    assert ((graph.x == 40) & (graph.y < 30)).any()


def test_a_short_line_of_its_own_is_no_spur():
    assert remove_spurs(_plane((30, slice(40, 45))), _somas(), 9).size == 5


@pytest.mark.parametrize(
    ("columns", "somas", "kept"),
    [
        pytest.param(slice(20, 60), _somas(), True, id="long"),
        pytest.param(slice(20, 30), _somas(), False, id="short"),
        pytest.param(slice(20, 33), _somas(slice(25, 36), slice(5, 20)), True, id="short-at-soma"),
        pytest.param(slice(20, 25), _somas(slice(25, 36), slice(5, 20)), False, id="stump"),
    ],
)
def test_pieces_need_a_least_length(columns, somas, kept):
    graph = pixel_graph(_plane((30, columns)))
    assert (remove_pieces(graph, np.ones(SHAPE), somas, (9, 15)).size > 0) == kept


def test_rays_around_a_spot_go():
    plane = _plane((30, slice(40, 61)), (slice(20, 41), 50))
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    spot = np.exp(-np.hypot(y - 30, x - 50) / 3)
    assert remove_pieces(pixel_graph(plane), spot, _somas(), (9, 15)).size == 0
    assert remove_pieces(pixel_graph(plane), np.ones(SHAPE), _somas(), (9, 15)).size > 0


def test_lines_along_the_rim_go():
    graph = pixel_graph(_plane((1, slice(10, 80))))
    assert remove_pieces(graph, np.ones(SHAPE), _somas(), (9, 15)).size == 0


def test_an_empty_skeleton_stays_empty():
    empty = np.zeros(SHAPE, bool)
    graph = remove_spurs(empty, _somas(), 9)
    assert remove_pieces(graph, np.ones(SHAPE), _somas(), (9, 15)).size == 0
