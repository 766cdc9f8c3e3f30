"""Pixels described, classified in blocks, and cut into objects."""

from __future__ import annotations

import numpy as np
import pytest

from hcs.ops.matching import match_objects
from hcs.ops.pixels import classes_of_objects, classify_pixels, filter_bank, separate_objects


def test_blocks_change_no_result():
    planes = np.random.default_rng(0).normal(size=(2, 70, 90)).astype(np.float32)
    whole = classify_pixels(planes, (1.0, 4.0), lambda filters: filters, block_px=200)
    parts = classify_pixels(planes, (1.0, 4.0), lambda filters: filters, block_px=33)
    assert whole.shape == (2 * 3 * 4, 70, 90)
    np.testing.assert_allclose(parts, whole, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(whole, np.moveaxis(filter_bank(planes, 1.0, 4.0), -1, 0))


def test_classes_of_drawn_objects():
    labels = np.zeros((9, 12), np.uint16)
    labels[2:7, 1:6] = 4
    labels[2:7, 6:11] = 9
    classes = classes_of_objects(labels)
    assert classes[0, 0] == 1
    assert classes[4, 3] == 2
    assert classes[4, 5] == classes[4, 6] == classes[2, 3] == 3
    labels[:, 6] = 0
    assert classes_of_objects(labels)[4, 6] == 3, "ground between two that almost touch"


def test_touching_disks_are_parted_and_specks_are_none():
    y, x = np.mgrid[:60, :100]
    disks = [np.hypot(y - 30, x - at) < 14 for at in (30, 54)]
    inside = (disks[0] | disks[1]).astype(np.float32)
    inside[5:7, 90:92] = 1
    found = separate_objects(1 - inside, inside, 28)
    assert found.max() == 2
    assert found[30, 30] != found[30, 54] > 0
    assert found[5, 90] == 0
    assert separate_objects(np.ones((8, 8)), np.zeros((8, 8)), 4).max() == 0


@pytest.mark.parametrize(
    ("found", "f1"),
    [([1, 1, 1, 1, 0, 2, 2, 0], 1.0), ([1, 0, 0, 0, 0, 5, 5, 0], 0.5), ([0] * 8, 0.0)],
)
def test_matches(found, f1):
    drawn = np.array([[7, 7, 7, 0, 0, 300, 300, 0]])
    assert match_objects(drawn, np.array([found])).f1 == pytest.approx(f1)


def test_matches_of_images_add_up():
    one = match_objects(np.array([[1]]), np.array([[0]]))
    both = one + match_objects(np.array([[1]]), np.array([[3]]))
    assert (both.n_drawn, both.n_found, both.n_matched) == (2, 1, 1)
    assert match_objects(np.zeros((1, 1)), np.zeros((1, 1))).f1 == 1
