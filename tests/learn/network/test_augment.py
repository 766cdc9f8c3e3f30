"""Augmented views: the same everywhere, and what their names say."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hcs.domain.config.stages import Augmentation
from hcs.errors import InputError
from hcs.learn.network.augment import IDENTITY, apply_views, pixel_matrix, view_parameters

SIDE = 32
NOTHING = Augmentation(
    rotation_deg=0, shift_fraction=0, zoom_fraction=0, flip_horizontal=False, flip_vertical=False
)


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (5, SIDE, SIDE), dtype=np.uint8)


def matrix(a=(1, 0, 0), b=(0, 1, 0)):
    return np.array([[*a, *b, 0, 0]], float)


def test_view_0_is_the_image_itself(images):
    matrices = view_parameters(Augmentation(), 1, range(5), [0])
    np.testing.assert_array_equal(apply_views(images, matrices[:, 0]), images)


def test_a_view_is_the_same_wherever_it_is_made(images):
    names = [f"P1/A0{index}/0" for index in range(5)]
    together = view_parameters(Augmentation(), 1, names, range(4))
    alone = view_parameters(Augmentation(), 1, names[3:4], [2])
    np.testing.assert_array_equal(alone[0, 0], together[3, 2])
    all_views = apply_views(images, together[:, 2])
    np.testing.assert_array_equal(apply_views(images[3:4], alone[:, 0])[0], all_views[3])


def test_seed_image_and_view_all_count():
    base = view_parameters(Augmentation(), 1, ["a", "b"], [1, 2])
    other = view_parameters(Augmentation(), 2, ["a", "b"], [1, 2])
    rows = np.concatenate([base.reshape(4, 8), other.reshape(4, 8)])
    assert len(np.unique(rows, axis=0)) == 8


def test_no_augmentation_is_the_identity(images):
    matrices = view_parameters(NOTHING, 1, range(5), [3])
    np.testing.assert_array_equal(matrices[:, 0], np.tile(IDENTITY, (5, 1)))


@settings(max_examples=30)
@given(
    st.builds(
        Augmentation,
        rotation_deg=st.floats(0, 180),
        shift_fraction=st.floats(0, 1),
        zoom_fraction=st.floats(0, 0.9),
        flip_horizontal=st.booleans(),
        flip_vertical=st.booleans(),
    ),
    st.integers(0, 2**62),
)
def test_parameters_stay_within_their_ranges(augmentation, seed):
    a0, a1, a2, b0, b1, b2, c0, c1 = view_parameters(augmentation, seed, ["x"], [7])[0, 0]
    reach = augmentation.shift_fraction
    assert max(abs(a2), abs(b2)) <= reach
    area = a0 * b1 - a1 * b0
    low, high = 1 - augmentation.zoom_fraction, 1 + augmentation.zoom_fraction
    assert low - 1e-9 <= abs(area) ** -0.5 <= high + 1e-9
    assert (a0 * a1 + b0 * b1) == pytest.approx(0, abs=1e-9 * abs(area))  # no shear
    flips = augmentation.flip_horizontal or augmentation.flip_vertical
    assert area > 0 or flips
    assert (c0, c1) == (0, 0)


def test_zoom_is_as_wide_as_asked():
    augmentation = NOTHING.model_copy(update={"zoom_fraction": 0.5})
    zoom = 1 / view_parameters(augmentation, 0, range(400), [1])[:, 0, 0]
    assert 0.5 < zoom.min() < 0.52
    assert 1.48 < zoom.max() < 1.5
    assert zoom.mean() == pytest.approx(1, abs=0.03)


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        pytest.param(matrix((-1, 0, 0)), lambda image: image[:, ::-1], id="flip-horizontal"),
        pytest.param(matrix(b=(0, -1, 0)), lambda image: image[::-1], id="flip-vertical"),
        pytest.param(matrix((0, -1, 0), (1, 0, 0)), np.rot90, id="turn"),
        pytest.param(
            matrix((1, 0, 0.25)),
            lambda image: np.concatenate([image[:, 8:], image[:, :-9:-1]], axis=1),
            id="shift-mirrored-at-the-edge",
        ),
    ],
)
def test_exact_maps(one, expected, images):
    np.testing.assert_array_equal(apply_views(images[:1], one)[0], expected(images[0]))


def test_zooming_in_spreads_the_center():
    image = np.zeros((1, SIDE, SIDE), np.uint8)
    image[0, 12:20, 12:20] = 200
    larger = apply_views(image, matrix((0.5, 0, 0), (0, 0.5, 0)))
    assert larger[0, 10, 10] == 200
    assert (larger > 100).sum() == pytest.approx(4 * (image > 100).sum(), rel=0.1)


def test_the_same_resampling_as_keras(images):
    import keras

    from hcs.learn.network.backbone import load_tensorflow

    load_tensorflow()
    matrices = view_parameters(Augmentation(zoom_fraction=0.3), 1, range(5), [1])[:, 0]
    pixels = np.stack([pixel_matrix(each, SIDE) for each in matrices])
    parameters = pixels.reshape(5, 9)[:, :8].astype(np.float32)
    expected = keras.ops.image.affine_transform(
        images[..., None].astype(np.float32), parameters, "bilinear", fill_mode="reflect"
    )
    difference = apply_views(images, matrices) - np.asarray(expected[..., 0])
    assert np.abs(difference).max() < 0.51


def test_no_images_no_views():
    assert view_parameters(Augmentation(), 0, [], [0, 1]).shape == (0, 2, 8)
    empty = np.empty((0, SIDE, SIDE), np.uint8)
    assert apply_views(empty, np.empty((0, 8))).shape == empty.shape


@pytest.mark.parametrize(
    ("images", "matrices", "message"),
    [
        pytest.param(np.zeros((2, 4, 5), np.uint8), np.zeros((2, 8)), "square", id="oblong"),
        pytest.param(np.zeros((2, 4, 4)), np.zeros((2, 8)), "uint8", id="type"),
        pytest.param(np.zeros((2, 4, 4), np.uint8), np.zeros((1, 8)), "for 2 images", id="count"),
    ],
)
def test_wrong_input_is_refused(images, matrices, message):
    with pytest.raises(InputError, match=message):
        apply_views(images, matrices)
