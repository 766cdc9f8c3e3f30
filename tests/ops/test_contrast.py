"""Neurons without a stain: somas found whichever way they stand out, neurites in either sign."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage
from scipy.optimize import linear_sum_assignment

from hcs.domain.config.stages import MorphologyConfig, Neurons, Sizes
from hcs.ops.contrast import brighten
from hcs.ops.morphology import measure_field

SIDE, DIAMETER_PX = 256, 13.5
SIZES = Sizes(soma_diameter_px=DIAMETER_PX, neurite_width_px=2.5)


def _centers(rng, count=12):
    found = []
    while len(found) < count:
        center = rng.uniform(14, SIDE - 14, 2)
        if all(np.hypot(*(center - other)) > 2 * DIAMETER_PX for other in found):
            found.append(center)
    return np.array(found)


def _field(kind, seed, noise=8.0):
    """Draw somas as a hologram (bright), in phase contrast (dark with a bright rim), or dark."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:SIDE, :SIDE]
    field = 1000 + 60 * (y / SIDE - 0.4) ** 2
    centers = _centers(rng)
    for cy, cx in centers:
        away = np.hypot(y - cy, (x - cx) * rng.uniform(0.9, 1.1)) / (DIAMETER_PX / 2)
        body = 1 / (1 + np.exp(np.clip((away - 1) * 8, -50, 50)))
        rim = np.exp(-(((away - 1.25) / 0.22) ** 2))
        height = rng.uniform(0.7, 1.3)
        field = field + height * {"hologram": 100, "phase": -60, "dark": -100}[kind] * body
        field = field + height * (90 if kind == "phase" else 0) * rim
    field = ndimage.gaussian_filter(field, 0.8) + rng.normal(0, noise, field.shape)
    return field.astype(np.uint16), centers


def _recall_precision(labels, centers):
    count = int(labels.max())
    middles = np.array(ndimage.center_of_mass(labels > 0, labels, range(1, count + 1)))
    away = np.linalg.norm(middles[:, None] - centers[None], axis=2)
    near = away <= DIAMETER_PX / 2
    found, drawn = linear_sum_assignment(~near)
    hits = near[found, drawn].sum()
    return hits / len(centers), hits / max(count, 1)


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize(
    ("kind", "contrast"),
    [
        pytest.param("hologram", "mixed", id="hologram"),
        pytest.param("hologram", "bright", id="hologram as bright"),
        pytest.param("phase", "mixed", id="phase contrast"),
        pytest.param("dark", "dark", id="dark"),
        pytest.param("dark", "mixed", id="dark as mixed"),
    ],
)
def test_somas_are_found_without_a_stain(kind, contrast, seed):
    image, centers = _field(kind, seed)
    settings = MorphologyConfig(assay=Neurons(contrast=contrast), sizes=SIZES)
    found = measure_field(image, pixel_size_um=None, settings=settings)
    recall, precision = _recall_precision(found.soma, centers)
    assert recall >= 0.9
    assert precision >= 0.9


def test_as_bright_the_same_somas_are_missed():
    image, centers = _field("phase", 1)
    found = measure_field(image, pixel_size_um=None, settings=MorphologyConfig(sizes=SIZES))
    assert found.features["Image_Count_Cells"] < 0.5 * len(centers)


@pytest.mark.parametrize("sign", [1, -1])
def test_neurites_are_traced_in_either_sign(sign):
    noise = np.random.default_rng(4).normal(1000, 8, (SIDE, SIDE))
    lines = np.zeros_like(noise)
    for row in (60, 130, 200):
        lines[row, 20:220] = 150
        lines[row - 36 : row - 22, 120:134] = 200  # a body beside it
    image = (noise + sign * ndimage.gaussian_filter(lines, 1.1)).astype(np.uint16)
    settings = MorphologyConfig(assay=Neurons(contrast="mixed"), sizes=SIZES)
    found = measure_field(image, pixel_size_um=None, settings=settings)
    assert found.features["Image_Neurite_TotalLength_px"] == pytest.approx(600, rel=0.08)


def test_what_is_dark_is_turned_over_and_bright_planes_stay():
    plane = np.array([[1, 5], [2, 9]], np.float32)
    assert brighten(plane, "bright", 10, 1) is plane
    np.testing.assert_array_equal(brighten(plane, "dark", 10, 1), [[8, 4], [7, 0]])


def test_an_even_plane_shows_nothing():
    settings = MorphologyConfig(assay=Neurons(contrast="mixed"), sizes=SIZES)
    even = np.full((64, 64), 700, np.uint16)
    found = measure_field(even, pixel_size_um=None, settings=settings)
    assert found.features["Image_Count_Cells"] == 0
    assert found.features["Image_Neurite_TotalLength_px"] == 0
