"""Sizes read from drawn images, whatever their noise."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from hcs.domain.config.stages import MorphologyConfig, Sizes
from hcs.ops.estimate import estimate_neurite_width, estimate_soma_diameter
from hcs.ops.scales import with_estimates


def _lines(width, noise, shape=(300, 300)):
    y, x = np.mgrid[: shape[0], : shape[1]].astype(float)
    plane = np.zeros(shape)
    for k, angle in enumerate((0.1, 0.7, 1.3, 2.2)):
        away = (x - 60 - 50 * k) * np.sin(angle) - (y - 150) * np.cos(angle)
        plane = np.maximum(plane, 400 * np.exp(-0.5 * (away * 2.3548 / width) ** 2))
    rng = np.random.default_rng(0)
    return np.clip(plane + 300 + rng.normal(0, noise, shape), 0, None).astype(np.uint16)


def _disks(diameter, noise=10.0):
    y, x = np.mgrid[:400, :400]
    plane = np.zeros((400, 400))
    for cy in range(50, 400, 100):
        for cx in range(50, 400, 100):
            plane[np.hypot(y - cy, x - cx) <= diameter / 2] = 1500
    noisy = ndimage.gaussian_filter(plane, 1) + 200
    return (noisy + np.random.default_rng(0).normal(0, noise, plane.shape)).astype(np.float32)


@pytest.mark.parametrize("noise", [5.0, 25.0])
@pytest.mark.parametrize("width", [2.5, 4.0, 7.0])
def test_width_of_lines(width, noise):
    assert estimate_neurite_width(_lines(width, noise)) == pytest.approx(width, rel=0.15)


@pytest.mark.parametrize("diameter", [10, 20, 36])
def test_diameter_of_disks(diameter):
    assert estimate_soma_diameter(_disks(diameter)) == pytest.approx(diameter, rel=0.2)


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (40, 40), (200, 200)])
def test_images_without_structure_have_no_sizes(shape):
    flat = np.full(shape, 9, np.uint16)
    assert estimate_neurite_width(flat) is None
    assert estimate_soma_diameter(flat) is None


def test_sizes_that_are_given_stay_and_others_are_filled_in():
    image = _lines(4.0, 5.0)
    filled = with_estimates(MorphologyConfig(sizes=Sizes(soma_diameter_um=9.0)), [image], 0.5)
    assert filled.sizes.soma_diameter_um == 9.0
    assert filled.sizes.neurite_width_um == pytest.approx(2.0, rel=0.15)
    assert filled.sizes.neurite_width_px is None
    usual = with_estimates(MorphologyConfig(), [np.zeros((64, 64), np.uint16)], None)
    assert (usual.sizes.soma_diameter_px, usual.sizes.neurite_width_px) == (22.0, 3.0)


def test_one_wide_cluster_does_not_decide():
    image = np.pad(_disks(20), ((0, 200), (0, 200)), mode="edge")
    y, x = np.mgrid[:600, :600]
    image[np.hypot(y - 500, x - 500) < 50] += 1500
    assert estimate_soma_diameter(image) == pytest.approx(20, rel=0.2)


def test_diameters_between_the_scales_are_told_apart():
    found = [estimate_soma_diameter(_disks(diameter)) for diameter in (20, 21, 22, 23)]
    assert np.all(np.diff(found) > 0.4), found
    np.testing.assert_allclose(found, [20, 21, 22, 23], rtol=0.06)
