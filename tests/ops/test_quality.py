"""Quality measures against images of known noise, blur and shading."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from hcs.ops import quality


def _scene(seed: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return 500 + 300 * ndimage.gaussian_filter(rng.normal(size=(256, 256)), 1.0)


@pytest.mark.parametrize("sigma", [2.0, 10.0, 60.0])
def test_noise_is_estimated_beside_structure(sigma):
    rng = np.random.default_rng(0)
    image = np.full((300, 300), 1000.0)
    image[100:140, 50:250] += 800
    noisy = image + rng.normal(0, sigma, image.shape)
    assert quality.estimate_noise(noisy.astype(np.float32)) == pytest.approx(sigma, rel=0.05)


def test_linear_shading_is_no_noise():
    y, x = np.mgrid[:50, :50]
    assert quality.estimate_noise((3 * y + 2 * x).astype(np.float32)) == 0


def test_blur_lowers_focus_and_slope():
    sharp = _scene()
    blurred = ndimage.gaussian_filter(sharp, 3.0)
    first = quality.image_quality(sharp.astype(np.uint16))
    second = quality.image_quality(np.rint(blurred).astype(np.uint16))
    assert second[quality.FOCUS] < first[quality.FOCUS]
    assert second[quality.SLOPE] < first[quality.SLOPE] - 0.3


def test_white_noise_has_a_flat_spectrum():
    noise = np.random.default_rng(0).normal(1000, 50, (256, 256))
    assert quality.image_quality(noise)[quality.SLOPE] == pytest.approx(0, abs=0.05)


def test_shading_is_found_as_range_over_level():
    y = np.linspace(900, 1100, 200)[:, None] * np.ones((1, 200))
    result = quality.image_quality(y.astype(np.uint16))
    assert result[quality.BACKGROUND] == pytest.approx(1000, rel=0.02)
    assert result[quality.GRADIENT] == pytest.approx(0.2, rel=0.05)


@pytest.mark.parametrize(
    "image",
    [
        pytest.param(np.zeros((64, 64), np.uint16), id="all-zero"),
        pytest.param(np.full((64, 64), 65535, np.uint16), id="saturated"),
        pytest.param(np.ones((1, 1), np.uint8), id="one-pixel"),
        pytest.param(np.arange(40, dtype=np.uint16)[None], id="one-pixel-high"),
        pytest.param(np.arange(40, dtype=np.uint16)[:, None], id="one-pixel-wide"),
    ],
)
def test_odd_images_have_finite_quality(image):
    result = quality.image_quality(image)
    assert tuple(result) == quality.QUALITY_COLUMNS
    assert all(np.isfinite(value) for value in result.values())
