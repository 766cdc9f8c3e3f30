"""Gaps closed and gaps left open."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from hcs.ops.neurites.bridges import bridge_gaps
from hcs.ops.neurites.graph import pixel_graph

WIDTH_PX = 3.0
NO_SOMAS = np.zeros((60, 80), np.uint16)


def _line(*columns):
    plane = np.zeros((60, 80), bool)
    for start, stop in columns:
        plane[30, start:stop] = True
    return plane


def _pieces(plane):
    return ndimage.label(plane, np.ones((3, 3)))[1]


@pytest.mark.parametrize(
    ("gap_px", "brightness", "n_pieces"),
    [
        pytest.param(8, 1.0, 1, id="short-and-bright"),
        pytest.param(8, 0.1, 2, id="dark-between"),
        pytest.param(25, 1.0, 2, id="too-long"),
    ],
)
def test_gaps_in_a_line(gap_px, brightness, n_pieces):
    skeleton = _line((5, 30), (30 + gap_px, 75))
    blurred = np.full((60, 80), np.float32(brightness))
    blurred[skeleton] = 1
    bridged = bridge_gaps(pixel_graph(skeleton), NO_SOMAS, blurred, WIDTH_PX)
    assert _pieces(bridged) == n_pieces
    assert bridged[skeleton].all()


def test_an_end_reaches_the_soma_ahead():
    skeleton = _line((5, 40))
    somas = NO_SOMAS.copy()
    somas[20:41, 46:66] = 7
    bridged = bridge_gaps(pixel_graph(skeleton), somas, np.ones((60, 80), np.float32), WIDTH_PX)
    np.testing.assert_array_equal(np.flatnonzero(bridged[30]), np.arange(5, 46))


def test_lines_side_by_side_stay_apart():
    skeleton = _line((5, 75))
    skeleton[34, 5:75] = True
    bridged = bridge_gaps(pixel_graph(skeleton), NO_SOMAS, np.ones((60, 80), np.float32), WIDTH_PX)
    assert _pieces(bridged) == 2


def test_nothing_to_bridge():
    empty = np.zeros((60, 80), bool)
    bridged = bridge_gaps(pixel_graph(empty), NO_SOMAS, np.ones((60, 80), np.float32), WIDTH_PX)
    assert not bridged.any()
