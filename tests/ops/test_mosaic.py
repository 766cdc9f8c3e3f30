"""Tests of the fields of a well laid out in a square."""

from __future__ import annotations

import numpy as np
import pytest

from hcs.ops.mosaic import lay_out, place_fields, shrink


@pytest.mark.parametrize("count", [1, 2, 4, 5, 9, 30])
def test_fields_lie_apart_inside_the_square(count):
    square = np.zeros((64, 64), int)
    for window in place_fields(count, 64):
        square[window] += 1
    assert square.max() == 1
    assert len(list(place_fields(count, 64))) == count


def test_fields_fill_rows_in_their_order():
    square = lay_out([np.full((2, 8, 8), number, np.uint16) for number in (1, 2, 3)], 8)
    expected = np.kron([[1, 2], [3, 0]], np.ones((4, 4)))
    np.testing.assert_array_equal(square, [expected, expected])
    assert square.dtype == np.uint16


@pytest.mark.parametrize("shape", [(16, 16), (16, 12), (4, 4), (1, 1), (16, 3)])
def test_an_even_plane_stays_even(shape):
    np.testing.assert_array_equal(shrink(np.full(shape, 5, np.uint8), 8), np.full((8, 8), 5))


def test_a_pixel_is_the_mean_of_its_block():
    assert shrink(np.array([[1, 2], [3, 5]], np.uint16), 1) == 3  # 2.75
