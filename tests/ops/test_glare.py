"""Glare and saturated areas: cells beside them stay what they are, and their share is said."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from hcs.domain.config.stages import MorphologyConfig, Sizes
from hcs.ops import quality
from hcs.ops.morphology import CLASSIC_COLUMNS_PX, measure_field

sys.path.insert(0, str(Path(__file__).parent))
from drawing import Drawing, draw

COUNT, _, LENGTH = CLASSIC_COLUMNS_PX
SIDE = 320
SIZES = Sizes(soma_diameter_px=22, neurite_width_px=3)


def measure(image):
    settings = MorphologyConfig(sizes=SIZES)
    return measure_field(image, pixel_size_um=None, settings=settings).features


def _away(y, x):
    rows, columns = np.mgrid[:SIDE, :SIDE]
    return np.hypot(rows - y, columns - x)


@pytest.fixture(scope="module")
def field():
    return draw(Drawing(shape=(SIDE, SIDE), n_neurons=4, shading=0.1, n_debris=0), seed=6)[0]


@pytest.mark.parametrize("sigma_px", [70, 120])
def test_a_glare_gives_no_cells(field, sigma_px):
    """It gave 11 cells for 4."""
    clear = measure(field)
    dome = 30_000 * np.exp(-(_away(160, 160) ** 2) / (2 * sigma_px**2))
    lit = measure((field + dome).astype(np.uint16))
    assert lit[COUNT] == clear[COUNT]
    assert lit[LENGTH] == pytest.approx(clear[LENGTH], rel=0.15)
    assert 0.05 < lit[quality.GLARE] < 0.9


def test_a_glare_whose_noise_hides_all_gives_nothing():
    rng = np.random.default_rng(3)
    dome = 40_000 * np.exp(-(_away(160, 160) ** 2) / (2 * 60**2))
    found = measure(rng.poisson(300 + dome).astype(np.uint16))
    assert found[COUNT] == 0
    assert found[quality.GLARE] > 0.1


def test_fields_without_glare_have_none(field):
    crowd = draw(Drawing(shape=(SIDE, SIDE), n_neurons=14, touching_pairs=4), seed=2)[0]
    for image in (field, crowd):
        assert measure(image)[quality.GLARE] == 0
        assert measure(image)[quality.SATURATED_AREA] == 0


def test_a_saturated_area_is_no_cell_and_saturated_somas_are(field):
    clear = measure(field)
    bright = field.astype(float) * 25
    burnt = np.clip(bright, 0, 65535).astype(np.uint16)
    assert measure(burnt)[COUNT] == clear[COUNT]
    assert measure(burnt)[quality.SATURATED_AREA] == 0
    bubble = np.where(_away(0, 0) < 110, 65535, field).astype(np.uint16)
    beside = np.where(_away(0, 0) < 110, np.median(field), field).astype(np.uint16)
    assert measure(bubble)[COUNT] == measure(beside)[COUNT]
    assert measure(bubble)[quality.SATURATED_AREA] == pytest.approx(
        np.pi / 4 * 110**2 / SIDE**2, rel=0.15
    )
