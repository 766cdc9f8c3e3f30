"""Pixels drawn for a forest: the same anywhere, weighed as annotated, held out by image."""

from __future__ import annotations

import numpy as np
import pytest

from hcs.domain.config.segmenting import PixelOptions
from hcs.errors import InputError
from hcs.learn.pixels import draw_pixels, hold_out_images, train_pixels, weigh_pixels

OPTIONS = PixelOptions(n_trees=10)


def test_drawn_pixels_are_those_of_the_key_and_weigh_as_annotated():
    classes = np.zeros((40, 50), np.uint8)
    classes[:30] = 1
    classes[32, :20] = 2
    drawn = draw_pixels(classes, 100, "P1", "A/1/0")
    np.testing.assert_array_equal(drawn, draw_pixels(classes, 100, "P1", "A/1/0"))
    assert not np.array_equal(drawn, draw_pixels(classes, 100, "P1", "A/2/0"))
    found = classes.ravel()[drawn]
    assert np.bincount(found).tolist() == [0, 100, 20]
    weights = weigh_pixels(classes, drawn)
    assert np.bincount(found, weights).tolist() == [0, 1500, 20]
    assert draw_pixels(np.zeros((4, 4), np.uint8), 9, "x").size == 0


def test_images_are_held_out_whole():
    rng = np.random.default_rng(0)
    classes = rng.integers(1, 3, 400).astype(np.uint8)
    images = np.repeat(np.arange(4), 100)
    weights = np.ones(400, np.float32)
    told = np.stack([classes + rng.normal(0, 0.2, 400), rng.normal(size=400)], 1)
    filters = told.astype(np.float32)
    assert hold_out_images(filters, classes, weights, images, OPTIONS, 0) > 0.95
    # What is the same within an image and tells nothing beyond it must not look like skill.
    leaky = np.stack([images + 0.3 * classes * (-1) ** images, images], 1).astype(np.float32)
    assert hold_out_images(leaky, classes, weights, images, OPTIONS, 0) < 0.7
    assert np.isnan(hold_out_images(filters, classes, weights, np.zeros(400), OPTIONS, 0))


def test_a_lacking_class_is_named():
    with pytest.raises(InputError, match=r"no pixel is annotated as objects \(2\)"):
        train_pixels(np.zeros((3, 1), np.float32), np.ones(3, np.uint8), np.ones(3), OPTIONS, 0)
