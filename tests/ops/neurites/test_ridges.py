"""Ridges on drawn lines: where they lie, what noise does, what a bead does."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from hcs.domain.config.stages import FixedLevel, NoiseLevel, Otsu
from hcs.ops.neurites.ridges import center_lines, find_centers, find_ridges

NOTHING = np.zeros((200, 200), bool)


def _line(offset=0.0, beads=0.0, height=300.0):
    y, x = np.mgrid[:200, :200].astype(float)
    along = 1 + beads * np.sin(2 * np.pi * x / 14)
    return height * along * np.exp(-0.5 * ((y - 100 - offset) / 1.4) ** 2)


def _traced(plane, threshold, bodies=NOTHING):
    ridges = find_ridges(plane, 1.5)
    return center_lines(ridges, find_centers(ridges, threshold), bodies)


def _noisy(plane, sigma=15.0):
    rng = np.random.default_rng(0)
    return (plane + rng.normal(0, sigma, plane.shape)).astype(np.float32)


@pytest.mark.parametrize("threshold", [NoiseLevel(), Otsu(), FixedLevel(level_counts=60)])
@pytest.mark.parametrize("offset", [0.0, 0.3, 0.5])
def test_the_middle_line_lies_on_the_line(threshold, offset):
    lines = _traced(_noisy(_line(offset)), threshold)
    y, x = np.nonzero(lines[:, 5:-5])
    on_line = np.abs(y - 100 - offset) <= 2
    assert on_line.mean() > 0.97
    assert np.unique(x[on_line]).size > 180


def test_beads_do_not_break_the_line():
    lines = _traced(_noisy(_line(beads=0.6)), NoiseLevel())
    assert np.unique(np.nonzero(lines[97:104, 5:-5])[1]).size > 175


def test_noise_alone_has_almost_no_lines():
    noise = _noisy(np.zeros((400, 400)))
    lines = _traced(noise, NoiseLevel(), np.zeros((400, 400), bool))
    assert lines.sum() < 60


def test_flat_planes_have_no_lines():
    flat = np.full((200, 200), 7, np.float32)
    ridges = find_ridges(flat, 1.5)
    centers = find_centers(ridges, NoiseLevel())
    assert not center_lines(ridges, centers, NOTHING).any()
    assert centers.brightness == 0


def test_the_edge_of_a_wide_body_is_no_line():
    y, x = np.mgrid[:200, :200]
    body = ndimage.gaussian_filter(500.0 * (np.hypot(y - 100, x - 100) < 50), 4.0)
    lines = _traced(_noisy(body, 5.0), NoiseLevel(multiple=8))
    assert lines.sum() < 40


def test_strength_does_not_depend_on_direction():
    y, x = np.mgrid[:101, :101] - 50.0
    heights = []
    for angle in np.deg2rad([0, 20, 45, 70, 90]):
        away = x * np.sin(angle) - y * np.cos(angle)
        plane = (100 * np.exp(-0.5 * (away / 1.5) ** 2)).astype(np.float32)
        heights.append(find_ridges(plane, 1.5).strength[50, 50])
    assert np.ptp(heights) < 0.03 * np.mean(heights)


def test_brightness_is_that_of_the_lines():
    ridges = find_ridges(_noisy(_line(height=300.0)), 1.5)
    blurred_peak = 300 * 1.4 / np.hypot(1.4, 1.5)
    assert find_centers(ridges, NoiseLevel()).brightness == pytest.approx(blurred_peak, rel=0.1)
