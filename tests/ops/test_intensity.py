"""Gray levels against values worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from hcs.domain.columns import Reason
from hcs.errors import ImageReadError, InputError
from hcs.ops.intensity import plane_statistics, rescale_to_median, value_range
from hcs.ops.resizing import downsample_mean, resize_plane

planes = hnp.arrays(
    st.sampled_from([np.uint8, np.uint16]), hnp.array_shapes(min_dims=2, max_dims=2, max_side=9)
)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        pytest.param([[0, 100, 100, 200]], [[0, 63, 63, 126]], id="median-becomes-63"),
        pytest.param([[100, 100, 100, 500]], [[63, 63, 63, 255]], id="clipped-at-255"),
        pytest.param([[126, 126, 126, 1]], [[63, 63, 63, 0]], id="half-rounds-to-even-0"),
        pytest.param([[126, 126, 126, 3]], [[63, 63, 63, 2]], id="half-rounds-to-even-2"),
    ],
)
@pytest.mark.parametrize("dtype", [np.uint16, np.float32, np.float64])
def test_rescaling_follows_the_rule(values, expected, dtype):
    result = rescale_to_median(np.array(values, dtype))
    assert result.dtype == np.uint8
    np.testing.assert_array_equal(result, expected)


@given(planes.filter(lambda p: np.median(p) >= 1 and p.min() < p.max()))
def test_rescaled_median_is_the_level(plane):
    rescaled = rescale_to_median(plane)
    expected = np.rint(np.clip(plane * (63.0 / np.median(plane)), 0, 255))
    np.testing.assert_array_equal(rescaled, expected)
    if plane.size % 2:
        assert np.median(rescaled) == 63


def test_negative_floats_become_zero():
    np.testing.assert_array_equal(rescale_to_median(np.array([[-5.0, 1.0, 2.0]])), [[0, 63, 126]])


@pytest.mark.parametrize(
    ("plane", "reason"),
    [
        pytest.param(np.zeros((4, 4), np.uint16), Reason.CONSTANT, id="all-zero"),
        pytest.param(np.full((4, 4), 65535, np.uint16), Reason.CONSTANT, id="all-saturated"),
        pytest.param(np.array([[0, 0, 0, 9]], np.uint16), Reason.ZERO_MEDIAN, id="median-zero"),
        pytest.param(np.array([[-2.0, -1.0, 3.0]]), Reason.ZERO_MEDIAN, id="median-negative"),
        pytest.param(np.array([[1.0, np.nan]]), Reason.WRONG_TYPE, id="not-finite"),
        pytest.param(np.zeros((2, 2), np.int16), Reason.WRONG_TYPE, id="signed"),
        pytest.param(np.zeros((2, 2, 3), np.uint8), Reason.WRONG_SHAPE, id="three-axes"),
        pytest.param(np.zeros((0, 3), np.uint8), Reason.WRONG_SHAPE, id="no-pixels"),
    ],
)
def test_impossible_planes_have_a_reason(plane, reason):
    with pytest.raises(ImageReadError) as caught:
        rescale_to_median(plane)
    assert caught.value.reason == reason


@pytest.mark.parametrize("level", [0, -1, 255, 300])
def test_impossible_levels_are_refused(level):
    with pytest.raises(InputError, match="median_level"):
        rescale_to_median(np.array([[1, 2, 3]], np.uint8), median_level=level)


@given(planes)
def test_statistics_equal_numpy(plane):
    statistics = plane_statistics(plane)
    assert statistics.minimum == plane.min()
    assert statistics.maximum == plane.max()
    assert statistics.median == np.median(plane)
    assert statistics.mean == pytest.approx(plane.mean())


@pytest.mark.parametrize(
    ("plane", "share"),
    [
        pytest.param(np.array([[4095, 4095, 1, 2]], np.uint16), 0.5, id="12-bit-camera"),
        pytest.param(np.array([[65535, 1, 1, 2]], np.uint16), 0.25, id="16-bit-camera"),
        pytest.param(np.array([[255, 1, 1, 2]], np.uint8), 0.25, id="8-bit"),
        pytest.param(np.array([[4094, 4094, 1, 2]], np.uint16), 0.0, id="below-the-limit"),
        pytest.param(np.array([[1.0, 0.5]]), 0.0, id="float-has-no-limit"),
    ],
)
def test_saturation_is_counted_at_the_cameras_limit(plane, share):
    assert plane_statistics(plane).saturated_fraction == share


def test_float_statistics():
    statistics = plane_statistics(np.array([[0.5, 1.5], [2.5, 4.5]], np.float32))
    assert (statistics.minimum, statistics.median, statistics.maximum) == (0.5, 2.0, 4.5)
    assert statistics.mean == 2.25


def test_downsampling_averages_blocks_and_ragged_edges():
    plane = np.array([[1, 3, 10], [5, 7, 20], [100, 200, 50]], np.uint16)
    np.testing.assert_array_equal(downsample_mean(plane, 2), [[4, 15], [150, 50]])


@given(planes, st.integers(1, 12))
def test_downsampling_equals_the_mean_of_slices(plane, factor):
    expected = [
        [
            np.rint(plane[y : y + factor, x : x + factor].mean())
            for x in range(0, plane.shape[1], factor)
        ]
        for y in range(0, plane.shape[0], factor)
    ]
    result = downsample_mean(plane, factor)
    assert result.dtype == plane.dtype
    np.testing.assert_array_equal(result, expected)


def test_downsampling_keeps_float_precision():
    plane = np.array([[0.25, 0.5], [0.75, 1.0]], np.float32)
    assert downsample_mean(plane, 2)[0, 0] == np.float32(0.625)


def test_downsampling_by_nothing_is_refused():
    with pytest.raises(InputError, match="factor"):
        downsample_mean(np.zeros((2, 2), np.uint8), 0)


def test_shrinking_is_area_averaging():
    plane = np.array([[0, 90, 30]], np.uint8)
    # Halves of the middle pixel go to both sides: (0 + 45) / 1.5 and (45 + 30) / 1.5.
    np.testing.assert_array_equal(resize_plane(plane, (1, 2)), [[30, 50]])


def test_growing_is_linear():
    plane = np.array([[0.0, 8.0]])
    np.testing.assert_allclose(resize_plane(plane, (1, 4)), [[0, 2, 6, 8]])


@given(planes, st.integers(1, 12), st.integers(1, 12))
def test_resizing_keeps_type_range_and_shape(plane, height, width):
    resized = resize_plane(plane, (height, width))
    assert resized.shape == (height, width)
    assert resized.dtype == plane.dtype
    assert plane.min() <= resized.min() <= resized.max() <= plane.max()


@given(planes, st.integers(1, 4))
def test_shrinking_by_whole_factors_equals_downsampling(plane, factor):
    big = np.kron(plane, np.ones((factor, factor), plane.dtype))
    np.testing.assert_array_equal(resize_plane(big, plane.shape), plane)


def test_resizing_to_nothing_is_refused():
    with pytest.raises(InputError, match="resize"):
        resize_plane(np.zeros((2, 2), np.uint8), (0, 3))


@pytest.mark.parametrize(
    ("shape", "dtype"),
    [
        pytest.param((9, 11), np.uint16, id="small"),
        pytest.param((700, 900), np.uint16, id="sampled"),
        pytest.param((300, 300), np.float32, id="float"),
    ],
)
def test_the_range_of_a_plane(shape, dtype):
    image = (np.random.default_rng(0).gamma(3, 100, shape)).astype(dtype)
    found = value_range(image)
    assert (found.minimum, found.maximum) == (image.min(), image.max())
    spread = image.std() / np.sqrt(min(image.size, 2**16))
    assert found.median == pytest.approx(np.median(image), abs=5 * spread)
    if image.size < 2**16:
        assert found.median == np.median(image)
