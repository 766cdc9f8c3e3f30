"""A whole field measured against what was drawn, and against odd images."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from hcs.domain import catalog
from hcs.domain.config.stages import (
    FixedLevel,
    MorphologyConfig,
    NeuriteLevel,
    Neurons,
    NoiseLevel,
    Otsu,
    Sizes,
)
from hcs.errors import ImageReadError
from hcs.ops.morphology import CLASSIC_COLUMNS, CLASSIC_COLUMNS_PX, measure_field
from hcs.ops.neurites.tracing import UNASSIGNED

sys.path.insert(0, str(Path(__file__).parent))
from drawing import Drawing, draw

COUNT, AREA, LENGTH = CLASSIC_COLUMNS_PX


def measure(image, *, pixel_size_um=None, sizes=None, **neurons):
    settings = MorphologyConfig(assay=Neurons(**neurons), sizes=sizes or Sizes())
    return measure_field(image, pixel_size_um=pixel_size_um, settings=settings)


@pytest.fixture(scope="module")
def fields():
    """Twelve fields of three densities and noise levels: (truth, measured)."""
    pairs = []
    for seed, (n_neurons, counts, noise) in enumerate(
        (n, c, s)
        for n in (3, 6, 10)
        for c, s in ((600.0, 8.0), (400.0, 20.0), (400.0, 30.0), (300.0, 20.0))
    ):
        drawing = Drawing(
            shape=(384, 384),
            n_neurons=n_neurons,
            neurite_counts=counts,
            read_noise_counts=noise,
            neurite_length_px=(40.0, 140.0),
        )
        image, truth = draw(drawing, seed)
        pairs.append((truth, measure(image)))
    return pairs


def test_total_length_follows_the_truth(fields):
    drawn = np.array([truth.length_px for truth, _ in fields])
    found = np.array([field.features[LENGTH] for _, field in fields])
    assert np.corrcoef(drawn, found)[0, 1] > 0.99
    assert 0.9 < np.mean(found / drawn) < 1  # where neurites overlap one trace shows two
    corrected = [field.features["Image_Neurite_HiddenCorrectedLength_px"] for _, field in fields]
    assert np.mean(corrected / drawn) == pytest.approx(1, abs=0.05)


def test_count_and_area_follow_the_truth(fields):
    assert sum(t.count for t, _ in fields) == sum(f.features[COUNT] for _, f in fields)
    drawn = np.mean([np.mean(t.areas_in_frame_px2) for t, _ in fields])
    found = np.mean([f.features[AREA] for _, f in fields])
    assert found == pytest.approx(drawn, rel=0.05)


def test_centers_lie_where_somas_were_drawn(fields):
    for truth, field in fields:
        x, y = (field.cells[f"Cells_Location_Center_{axis}_px"] for axis in "XY")
        for center in truth.centers:
            assert np.hypot(y - center[0], x - center[1]).min() < 2.5


def test_rows_labels_and_features_belong_together(fields):
    for _, field in fields:
        count = int(field.features[COUNT])
        numbers = field.cells["Cells_ObjectNumber"]
        np.testing.assert_array_equal(numbers, np.arange(1, count + 1))
        np.testing.assert_array_equal(np.unique(field.soma), np.arange(count + 1))
        assert field.soma.dtype == field.neurites.dtype == np.uint16
        areas = np.bincount(field.soma.ravel(), minlength=count + 1)[1:]
        np.testing.assert_allclose(field.cells["Cells_Soma_Area_px2"], areas)
        assert set(np.unique(field.neurites)) <= {0, *numbers, UNASSIGNED}
        assert not (field.neurites[field.soma > 0]).any()
        assert field.cells["Cells_Neurite_Length_px"].sum() <= field.features[LENGTH] + 1e-6


def test_neurites_belong_to_the_soma_they_grow_from():
    drawing = Drawing(n_neurons=2, n_debris=0, neurite_length_px=(60.0, 110.0), shading=0.0)
    for seed in (0, 2, 3):  # whose two cells lie apart
        image, truth = draw(drawing, seed)
        field = measure(image)
        x, y = (field.cells[f"Cells_Location_Center_{axis}_px"] for axis in "XY")
        for center, drawn in zip(truth.centers, truth.lengths_of_somas_px, strict=True):
            nearest = np.hypot(y - center[0], x - center[1]).argmin()
            found = field.cells["Cells_Neurite_Length_px"][nearest]
            assert found == pytest.approx(drawn, rel=0.12)


def test_units_scale_with_the_pixel():
    image, _ = draw(Drawing(shape=(256, 256), n_neurons=2), 5)
    in_px = measure(image, sizes=Sizes(soma_diameter_px=22.0, neurite_width_px=3.0))
    in_um = measure(
        image,
        pixel_size_um=0.5,
        sizes=Sizes(soma_diameter_um=11.0, neurite_width_um=1.5),
        min_neurite_length_um=7.5,
    )
    assert set(CLASSIC_COLUMNS) <= set(in_um.features)
    assert in_um.features[CLASSIC_COLUMNS[2]] == pytest.approx(in_px.features[LENGTH] * 0.5)
    assert in_um.features[CLASSIC_COLUMNS[1]] == pytest.approx(in_px.features[AREA] * 0.25)


def test_border_cells_are_flagged_and_kept():
    y, x = np.mgrid[:200, :200]
    image = np.full((200, 200), 100.0)
    image[np.hypot(y - 100, x - 100) < 11] = 2000
    image[np.hypot(y - 60, x - 2) < 11] = 2000
    drawn = np.random.default_rng(0).poisson(image).astype(np.uint16)
    field = measure(drawn, sizes=Sizes(soma_diameter_px=22.0))  # one whole cell tells no size
    assert field.features[COUNT] == 2
    assert sorted(field.cells["Cells_Soma_TouchesBorder"]) == [False, True]


def test_bright_debris_is_no_cell_and_no_neurite():
    image, _ = draw(Drawing(n_neurons=0, n_debris=25, shape=(384, 384)), 2)
    field = measure(image)
    assert field.features[COUNT] == 0
    assert field.features[LENGTH] < 40


def test_touching_somas_are_two():
    y, x = np.mgrid[:160, :160]
    body = (np.hypot(y - 80, x - 69) < 11) | (np.hypot(y - 80, x - 90) < 11)
    image = np.random.default_rng(0).poisson(100 + 1500.0 * body).astype(np.uint16)
    assert measure(image).features[COUNT] == 2


def test_noise_alone_has_nothing():
    image = np.random.default_rng(0).poisson(400, (512, 512)).astype(np.uint16)
    field = measure(image)
    assert field.features[COUNT] == 0
    assert field.features[LENGTH] < 40


ODD_IMAGES = [
    pytest.param(np.zeros((256, 256), np.uint16), id="all-zero"),
    pytest.param(np.full((256, 256), 65535, np.uint16), id="saturated"),
    pytest.param(np.full((64, 64), 7, np.uint8), id="constant-64"),
    pytest.param(np.zeros((1, 1), np.uint16), id="one-pixel"),
    pytest.param(np.arange(300, dtype=np.uint16)[None], id="one-pixel-high"),
    pytest.param(np.arange(300, dtype=np.uint16)[:, None] % 50, id="one-pixel-wide"),
    pytest.param(np.eye(64, dtype=np.uint16) * 900, id="one-line-64"),
    pytest.param(np.pad(np.ones((2, 2), np.uint16), 31) * 999, id="one-spot-64"),
    pytest.param(np.random.default_rng(0).random((64, 64)).astype(np.float32), id="float-64"),
    pytest.param(np.random.default_rng(0).random((3, 500)), id="three-rows"),
]


@pytest.mark.parametrize("image", ODD_IMAGES)
@pytest.mark.parametrize("threshold", [NeuriteLevel(), NoiseLevel(), FixedLevel(level_counts=100)])
def test_odd_images_have_defined_results(image, threshold):
    neurite = Otsu() if threshold.kind == "neurites" else threshold
    field = measure(image, soma_threshold=threshold, neurite_threshold=neurite)
    assert field.soma.shape == field.neurites.shape == image.shape
    absent = {"never": False, "cells": field.features[COUNT] == 0}
    absent["neurites"] = not field.neurites.any()
    empty = {row.column(None): row.empty for row in catalog.features()}
    for name, value in field.features.items():
        assert np.isfinite(value) or absent[empty[name]], name
    for name, values in field.cells.items():
        assert np.isfinite(values).all() or empty[name] == "neurites", name


@pytest.mark.parametrize("pixel_size_um", [None, 0.65])
@pytest.mark.parametrize("feature_set", ["classic", "full"])
def test_the_catalogue_lists_what_is_measured(feature_set, pixel_size_um):
    image, _ = draw(Drawing(shape=(128, 128), n_neurons=1), 0)
    field = measure(image, pixel_size_um=pixel_size_um, feature_set=feature_set)
    assert set(field.features) | set(field.cells) == catalog.columns(feature_set, pixel_size_um)


def test_an_empty_image_has_zeros():
    features = measure(np.zeros((128, 128), np.uint16)).features
    assert features[COUNT] == 0
    assert features[LENGTH] == 0
    assert np.isnan(features[AREA])


def test_a_field_without_pixels_is_refused():
    with pytest.raises(ImageReadError):
        measure(np.zeros((0, 5), np.uint16))


def test_the_same_image_gives_the_same_bytes():
    image, _ = draw(Drawing(shape=(256, 256), n_neurons=3), 1)
    first, second = measure(image), measure(image.copy())
    assert first.features == second.features
    np.testing.assert_array_equal(first.neurites, second.neurites)


def test_total_length_is_what_was_traced_and_the_correction_stands_beside():
    image = np.random.default_rng(1).normal(300, 10, (256, 256))
    rows = np.arange(20, 240, 14)
    for row in rows:
        image[row - 1 : row + 2, 20:220] += 300
    found = measure(image.astype(np.uint16), sizes=Sizes(soma_diameter_px=22, neurite_width_px=3))
    traced = found.features[LENGTH]
    assert traced == pytest.approx(200 * len(rows), rel=0.04)
    assert np.count_nonzero(found.neurites) == pytest.approx(traced, rel=0.04)
    assert found.features["Image_Neurite_HiddenCorrectedLength_px"] > 1.1 * traced
