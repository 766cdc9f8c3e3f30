"""Tests of projections of z-stacks."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from hcs.ops.projection import normalized_variance, project

STACK = np.array([[[1, 8]], [[4, 2]], [[2, 3]]], dtype=np.uint16)


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        pytest.param("max", [[4, 8]], id="max"),
        pytest.param("mean", [[2, 4]], id="mean-rounded"),
        pytest.param("focus", [[1, 8]], id="focus"),
    ],
)
def test_worked_by_hand(how, expected):
    image, plane = project(STACK, how)
    assert image.dtype == np.uint16
    np.testing.assert_array_equal(image, expected)
    assert plane == (0 if how == "focus" else None)


def test_the_mean_of_large_counts_does_not_overflow():
    stack = np.full((5, 2, 2), 65535, dtype=np.uint16)
    np.testing.assert_array_equal(project(stack, "mean")[0], stack[0])


def test_the_best_plane_is_the_one_in_focus():
    rng = np.random.default_rng(0)
    sharp = np.zeros((64, 64))
    sharp[rng.integers(0, 64, 40), rng.integers(0, 64, 40)] = 4000
    blurred = [ndimage.gaussian_filter(sharp, abs(z - 3) + 0.7) + 100 for z in range(7)]
    stack = rng.poisson(np.stack(blurred)).astype(np.uint16)
    assert project(stack, "focus")[1] == 3


def test_an_empty_plane_has_no_focus():
    assert normalized_variance(np.zeros((4, 4), np.uint16)) == 0
