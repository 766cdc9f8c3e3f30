"""What belongs to one nucleus: necks, steps in brightness, holes, loose parts, and its size."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from hcs.ops.somas.nuclei import estimate_nuclear_diameter, segment_nuclei
from hcs.ops.somas.nuclei_pieces import elliptic_diameter, fill_holes, join_pieces, largest_parts


def _disks(places, radius, shape=(80, 80)):
    y, x = np.mgrid[: shape[0], : shape[1]]
    return np.any([np.hypot(y - cy, x - cx) <= radius for cy, cx in places], axis=0)


def _halves(mask, column):
    return np.where(mask, np.where(np.arange(mask.shape[1]) < column, 1, 2), 0).astype(np.int32)


def _joined(mask, signal=None):
    depth = ndimage.distance_transform_edt(mask).astype(np.float32)
    signal = np.where(mask, 100, 0) if signal is None else signal
    return np.unique(join_pieces(_halves(mask, 40), signal.astype(np.float32), depth)).size - 1


@pytest.mark.parametrize(
    ("apart", "expected"),
    [pytest.param(6, 1, id="no-neck"), pytest.param(18, 2, id="neck")],
)
def test_a_neck_sets_pieces_apart(apart, expected):
    assert _joined(_disks([(40, 40 - apart / 2), (40, 40 + apart / 2)], 11)) == expected


@pytest.mark.parametrize(
    ("factor", "expected"), [pytest.param(1.3, 1, id="even"), pytest.param(2.5, 2, id="step")]
)
def test_a_step_in_brightness_sets_pieces_apart(factor, expected):
    mask = _disks([(40, 40)], 12)
    signal = np.where(_halves(mask, 40) == 2, 100 * factor, 100)
    assert _joined(mask, signal) == expected


def test_pieces_are_joined_through_a_third():
    mask = _disks([(40, 40)], 14)
    thirds = np.where(mask, 1 + np.arange(80) // 36 + np.arange(80) // 44, 0).astype(np.int32)
    depth = ndimage.distance_transform_edt(mask).astype(np.float32)
    assert np.unique(join_pieces(thirds, mask.astype(np.float32), depth)).size == 2


def test_only_holes_within_one_object_are_filled():
    labels = np.zeros((12, 20), np.int32)
    labels[1:6, 1:6] = 1
    labels[3, 3] = 0  # a hole in one object
    labels[7:12, 1:6] = 2
    labels[11, 3] = 0  # reaches the border
    labels[1:6, 8:11], labels[1:6, 11:14] = 3, 4
    labels[3, 10:12] = 0  # a gap between two objects
    filled = fill_holes(labels)
    assert filled[3, 3] == 1
    assert filled[11, 3] == 0
    assert (filled[3, 10:12] == 0).all()


def test_loose_parts_are_dropped():
    labels = np.zeros((10, 30), np.int32)
    labels[2:4, 2:4] = 1
    labels[2:8, 8:14] = 1
    labels[2:4, 20:22] = 2
    kept = largest_parts(labels)
    assert np.bincount(kept.ravel()).tolist() == [300 - 36 - 4, 36, 4]
    assert kept[2, 2] == 0


def test_the_diameter_is_that_of_lone_nuclei():
    mask = _disks([(15, 40), (55, 35), (55, 52)], 9)
    mask[30:36, :12] = mask[30:36, 68:] = True  # cut by the border
    assert elliptic_diameter(mask) == pytest.approx(18, abs=0.5)
    assert elliptic_diameter(_disks([(40, 40), (40, 57)], 9)) is None


@pytest.mark.parametrize("image", [np.zeros((32, 32)), np.full((32, 32), 7, np.uint16)])
def test_a_plane_without_structure_has_no_diameter(image):
    assert estimate_nuclear_diameter(image) is None


def test_a_large_textured_nucleus_is_one():
    rng = np.random.default_rng(0)
    texture = ndimage.gaussian_filter(rng.standard_normal((300, 300)), 3)
    texture *= 0.2 / texture.std()
    mask = _disks([(150, 150)], 90, (300, 300)) & ~_disks([(140, 170)], 15, (300, 300))
    plane = ndimage.gaussian_filter(mask * (1 + texture) * 1000, 1.5) + 100
    labels = segment_nuclei(rng.poisson(plane).astype(np.uint16))
    assert labels.max() == 1
    assert labels[140, 170] == 1
    assert np.count_nonzero(labels) == pytest.approx(np.pi * 90**2, rel=0.05)


def test_a_sliver_at_the_border_is_a_nucleus_and_the_same_inside_is_not():
    mask = _disks([(50, 50), (120, 120), (50, 120)], 12, (170, 170))
    mask[100:109, :3] = True
    mask[140:149, 60:63] = True
    plane = ndimage.gaussian_filter(mask * 1500.0, 1.0) + 200
    labels = segment_nuclei(np.random.default_rng(1).poisson(plane).astype(np.uint16), 24.0)
    assert labels[104, 0] > 0
    assert labels[144, 61] == 0
