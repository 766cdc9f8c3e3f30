"""Background and interpolation on planes whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from hcs.ops.filters import enlarge, estimate_background, smooth
from hcs.ops.resizing import downsample_mean


@pytest.mark.parametrize("factor", [1, 2, 5])
def test_a_ramp_survives_coarsening_away_from_the_rim(factor):
    y, x = np.mgrid[:60, :83].astype(np.float32)
    plane = 3 * y + 2 * x
    restored = enlarge(downsample_mean(plane, factor), factor, plane.shape)
    inner = (slice(factor, -2 * factor), slice(factor, -2 * factor))
    np.testing.assert_allclose(restored[inner], plane[inner], atol=1e-3)


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 1), (7, 9), (64, 64)])
def test_enlarging_gives_the_shape_asked_for(shape):
    plane = np.random.default_rng(0).random(shape).astype(np.float32)
    assert enlarge(downsample_mean(plane, 4), 4, shape).shape == shape


def test_background_goes_under_cells_and_follows_shading():
    y, x = np.mgrid[:300, :300].astype(np.float32)
    shading = 500 + 0.5 * x + 0.2 * y
    plane = shading.copy()
    plane[np.hypot(y - 150, x - 150) < 11] += 3000
    plane[:, 40:43] += 400
    found = estimate_background(plane, 22.0)
    assert np.abs(found - shading)[20:-20, 20:-20].max() < 20


def test_a_constant_plane_is_its_own_background():
    plane = np.full((50, 70), 123.0, np.float32)
    np.testing.assert_allclose(estimate_background(plane, 22.0), plane)
    np.testing.assert_allclose(smooth(plane, 2.0), plane, rtol=1e-6)


@pytest.mark.parametrize("sigma", [0.5, 1.7, 6.0])
def test_the_blur_is_a_gaussian_with_repeated_edges(sigma):
    plane = np.random.default_rng(0).normal(300, 50, (61, 83)).astype(np.float32)
    expected = ndimage.gaussian_filter(plane.astype(float), sigma, mode="nearest", truncate=3.0)
    np.testing.assert_allclose(smooth(plane, sigma), expected, atol=1e-3)


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 1), (16, 16)])
def test_an_even_plane_stays_even(shape):
    assert (smooth(np.full(shape, 7.3, np.float32), 4.0) == np.float32(7.3)).all()
