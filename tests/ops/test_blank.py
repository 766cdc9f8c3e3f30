"""Black parts of a field count in nothing; zeros that were measured stay what they are."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from hcs.domain.config.stages import MorphologyConfig, Sizes
from hcs.ops import quality
from hcs.ops.blank import fill_blank, find_blank
from hcs.ops.morphology import CLASSIC_COLUMNS_PX, PER_AREA, measure_field
from hcs.ops.sizes.bodies import trace_sizes

sys.path.insert(0, str(Path(__file__).parent))
from drawing import Drawing, draw

COUNT, _, LENGTH = CLASSIC_COLUMNS_PX
SIDE = 384


@pytest.fixture(scope="module")
def field():
    return draw(Drawing(shape=(SIDE, SIDE), n_neurons=5, shading=0.1), seed=4)[0]


def measure(image):
    settings = MorphologyConfig(sizes=Sizes(soma_diameter_px=22, neurite_width_px=3))
    return measure_field(image, pixel_size_um=None, settings=settings).features


def put(image, height, width, top=0, left=0):
    canvas = np.zeros((height, width), image.dtype)
    canvas[top : top + SIDE, left : left + SIDE] = image
    return canvas


CANVASES = {
    "half black": (SIDE, 2 * SIDE),
    "three quarters black": (2 * SIDE, 2 * SIDE),
    "a frame": (SIDE + 80, SIDE + 80, 40, 40),
    "a strip": (SIDE, SIDE + 24, 0, 24),
}


@pytest.mark.parametrize("place", CANVASES.values(), ids=CANVASES)
def test_a_field_on_black_is_measured_as_without(field, place):
    """Half black gave 7,607 um of neurites in place of about 200, without a word."""
    alone, on_black = measure(field), measure(put(field, *place))
    assert on_black[COUNT] == alone[COUNT]
    assert on_black[LENGTH] == pytest.approx(alone[LENGTH], rel=0.05)
    for name in (quality.NOISE, quality.BACKGROUND, *PER_AREA[:2]):
        assert on_black[name] == pytest.approx(alone[name], rel=0.1), name
    # The rim that interpolation may have touched is left out as well.
    blank = 1 - field.size / (place[0] * place[1])
    assert on_black[quality.BLANK] == pytest.approx(blank, abs=0.02)
    assert alone[quality.BLANK] == 0


@pytest.mark.parametrize("place", CANVASES.values(), ids=CANVASES)
def test_the_size_of_somas_on_black_is_that_without(field, place):
    """Two pieces of a field on much black were taken for bodies of 40 px in place of 23."""
    alone, on_black = (
        trace_sizes([fill_blank(image)[0]]).solve()[0] for image in (field, put(field, *place))
    )
    assert on_black == pytest.approx(alone, rel=0.05)


@pytest.mark.parametrize("reshape", [False, True])
def test_a_rotated_field_keeps_its_neurites(field, reshape):
    rotated = ndimage.rotate(field, 10, reshape=reshape, order=1, cval=0)
    share = measure(rotated)[quality.BLANK]
    assert share == pytest.approx((rotated == 0).mean(), abs=0.03)
    inside = measure(rotated)[LENGTH] / (1 if reshape else 1 - share)
    assert inside == pytest.approx(measure(field)[LENGTH], rel=0.1)


def test_zeros_that_were_measured_are_no_blank(field):
    background = np.percentile(field, 60).astype(field.dtype)
    subtracted = np.where(field > background, field - background, 0).astype(field.dtype)
    assert (subtracted == 0).mean() > 0.4
    assert find_blank(ndimage.gaussian_filter(subtracted, 2)) is None
    assert find_blank(subtracted) is None


def test_what_holds_no_image_or_no_black_is_left_alone(field):
    dead = field.copy()
    dead[100:110, 100:110] = 0  # too small to matter
    for image in (field, dead, np.zeros_like(field)):
        filled, blank = fill_blank(image)
        assert filled is image
        assert blank is None


def test_the_same_is_filled_every_time(field):
    image = put(field, SIDE, 2 * SIDE)
    first, second = fill_blank(image)[0], fill_blank(image)[0]
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(first[:, : SIDE - 4], field[:, : SIDE - 4])


def test_gray_levels_of_the_rest_are_those_without_black(field):
    alone, on_black = measure(field), measure(put(field, SIDE, 2 * SIDE))
    names = [name for name in alone if name.startswith(("Image_Intensity", "Image_Texture"))]
    assert len(names) >= 13
    for name in (*names, quality.FOCUS):
        assert on_black[name] == pytest.approx(alone[name], rel=0.03), name


def _dots_and_lines(seed, side=256):
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side]
    image = rng.normal(300, 15, (side, side))
    for _ in range(6):
        cy, cx = rng.uniform(30, side - 30, 2)
        image += 4000 * np.exp(-((y - cy) ** 2 + (x - cx) ** 2) / 50)
        for angle in rng.uniform(0, 2 * np.pi, 2):
            for step in np.linspace(0, 45, 180):
                py, px = int(cy + step * np.sin(angle)), int(cx + step * np.cos(angle))
                if 1 < py < side - 2 and 1 < px < side - 2:
                    line = image[py - 1 : py + 1, px - 1 : px + 1]
                    line[...] = np.maximum(line, 1700)
    return np.clip(image, 0, 65535).astype(np.uint16)


def test_half_of_a_field_has_its_own_length_per_area():
    """Somas that the edge cut became lines: 1.11 of the length was found."""
    settings = MorphologyConfig(sizes=Sizes(soma_diameter_px=14, neurite_width_px=2.2))
    whole = half = 0.0
    for seed in (6, 9, 13, 14):
        image = _dots_and_lines(seed)
        found = measure_field(image, pixel_size_um=None, settings=settings)
        image[:, 128:] = 0
        cut = measure_field(image, pixel_size_um=None, settings=settings).features
        left = np.count_nonzero(found.neurites[:, :128]) / np.count_nonzero(found.neurites)
        whole += found.features[LENGTH] * left / 0.5
        half += cut[LENGTH] / (1 - cut[quality.BLANK])
    assert half == pytest.approx(whole, rel=0.05)
