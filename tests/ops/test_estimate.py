"""Sizes read from drawn images, whatever their noise."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from hcs.domain.config.stages import MorphologyConfig, Sizes
from hcs.ops.estimate import estimate_neurite_width
from hcs.ops.resizing import shrink
from hcs.ops.sizes.bodies import trace_sizes
from hcs.ops.sizes.finding import FieldPlanes, find_sizes, with_estimates


def _lines(width, noise, shape=(300, 300)):
    y, x = np.mgrid[: shape[0], : shape[1]].astype(float)
    plane = np.zeros(shape)
    for k, angle in enumerate((0.1, 0.7, 1.3, 2.2)):
        away = (x - 60 - 50 * k) * np.sin(angle) - (y - 150) * np.cos(angle)
        plane = np.maximum(plane, 400 * np.exp(-0.5 * (away * 2.3548 / width) ** 2))
    rng = np.random.default_rng(0)
    return np.clip(plane + 300 + rng.normal(0, noise, shape), 0, None).astype(np.uint16)


def _disks(diameter, noise=10.0):
    y, x = np.mgrid[:400, :400]
    plane = np.zeros((400, 400))
    for cy in range(50, 400, 100):
        for cx in range(50, 400, 100):
            plane[np.hypot(y - cy, x - cx) <= diameter / 2] = 1500
    noisy = ndimage.gaussian_filter(plane, 1) + 200
    return (noisy + np.random.default_rng(0).normal(0, noise, plane.shape)).astype(np.float32)


def _estimate_diameter(*planes):
    return next(iter(trace_sizes(planes).solve()), None)


@pytest.mark.parametrize("noise", [5.0, 25.0])
@pytest.mark.parametrize("width", [2.5, 4.0, 7.0])
def test_width_of_lines(width, noise):
    assert estimate_neurite_width(_lines(width, noise)) == pytest.approx(width, rel=0.15)


@pytest.mark.parametrize("diameter", [8, 12, 20, 36, 60])
def test_diameter_of_disks(diameter):
    assert _estimate_diameter(_disks(diameter)) == pytest.approx(diameter, rel=0.12)


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (40, 40), (200, 200)])
def test_images_without_structure_have_no_sizes(shape):
    flat = np.full(shape, 9, np.uint16)
    assert estimate_neurite_width(flat) is None
    assert _estimate_diameter(flat) is None


def test_sizes_that_are_given_stay_and_others_are_filled_in():
    image = _lines(4.0, 5.0)
    filled = with_estimates(MorphologyConfig(sizes=Sizes(soma_diameter_um=9.0)), [image], 0.5)
    assert filled.sizes.soma_diameter_um == 9.0
    assert filled.sizes.neurite_width_um == pytest.approx(2.0, rel=0.15)
    assert filled.sizes.neurite_width_px is None
    usual = with_estimates(MorphologyConfig(), [np.zeros((64, 64), np.uint16)], None)
    assert (usual.sizes.soma_diameter_px, usual.sizes.neurite_width_px) == (22.0, 3.0)


def test_a_wide_cluster_in_one_field_does_not_decide():
    image = np.pad(_disks(20), ((0, 200), (0, 200)), mode="edge")
    y, x = np.mgrid[:600, :600]
    image[np.hypot(y - 500, x - 500) < 30] += 1500
    others = [_disks(20)] * 3
    assert _estimate_diameter(image, *others) == pytest.approx(20, rel=0.12)


def test_diameters_between_the_scales_are_told_apart():
    found = [_estimate_diameter(_disks(diameter)) for diameter in (20, 21, 22, 23)]
    assert np.all(np.diff(found) > 0.4), found
    np.testing.assert_allclose(found, [20, 21, 22, 23], rtol=0.06)


@pytest.mark.parametrize("factor", [2.0, 3.0, 4.5])
def test_the_diameter_follows_the_scale_of_the_image(factor):
    image = _disks(40)
    assert _estimate_diameter(shrink(image, factor)) == pytest.approx(
        _estimate_diameter(image) / factor, rel=0.08
    )


def _crowd(diameter, gap, shape=(300, 300)):
    """Rows of disks that nearly touch, in clumps of seven."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    plane = np.zeros(shape)
    for cy in range(50, shape[0], 100):
        for cx in range(50, shape[1], 100):
            for turn in range(7):
                away = 0 if turn == 6 else diameter + gap
                angle = turn * np.pi / 3
                place = (cy + away * np.sin(angle), cx + away * np.cos(angle))
                plane[np.hypot(y - place[0], x - place[1]) <= diameter / 2] = 1500
    noise = np.random.default_rng(0).normal(0, 15, shape)
    return (ndimage.gaussian_filter(plane, 1) + 200 + noise).astype(np.float32)


def test_clumps_of_cells_are_no_cells():
    """The clumps are three times as wide as the cells in them."""
    assert _estimate_diameter(_crowd(14, 2)) == pytest.approx(14, rel=0.15)


def test_uneven_light_does_not_change_the_diameter():
    image = _disks(20)
    light = np.linspace(0.4, 1.6, image.shape[1], dtype=np.float32)
    assert _estimate_diameter(image * light) == pytest.approx(20, rel=0.12)


def test_somas_are_sought_at_sizes_that_fit_the_nuclei():
    """Without nuclei the larger bodies of the stain would be taken for its cells."""
    stain = _disks(60)
    stain[::4, ::4] += 1
    nuclear = _disks(12)
    fields = [FieldPlanes(stain, nuclear, "P1", 0.5)]
    found = find_sizes(MorphologyConfig(nuclei="DNA"), fields)
    assert found["nucleus_diameter"].value == pytest.approx(6.5, rel=0.12)
    assert found["soma_diameter"].source == "nuclei"
    assert found["soma_diameter"].value == pytest.approx(
        1.3 * found["nucleus_diameter"].value, rel=0.01
    )
    assert "no bodies of 0.9 to 3 diameters of a nucleus" in found["soma_diameter"].doubts[0]


def test_sizes_are_those_of_all_plates_and_plates_that_differ_are_named():
    fields = [FieldPlanes(_disks(20), None, "P1"), FieldPlanes(_disks(20), None, "P1")]
    alike = find_sizes(MorphologyConfig(), fields)["soma_diameter"]
    assert (alike.doubts, alike.by_plate) == ((), {})
    assert alike.low <= alike.value <= alike.high <= 1.05 * alike.low
    fields.append(FieldPlanes(_disks(40), None, "P2"))
    found = find_sizes(MorphologyConfig(), fields)["soma_diameter"]
    assert set(found.by_plate) == {"P1", "P2"}
    assert found.by_plate["P2"] == pytest.approx(40, rel=0.12)
    assert any("plate P1 alone gives" in doubt for doubt in found.doubts)


def test_planes_of_smaller_pixels_count_in_micrometers():
    image = _disks(40)
    fields = [
        FieldPlanes(image, None, "P1", 0.5),
        FieldPlanes(shrink(image, 2.0), None, "P2", 1.0),
    ]
    found = find_sizes(MorphologyConfig(), fields)["soma_diameter"]
    assert found.value == pytest.approx(20, rel=0.12)
    assert found.by_plate["P1"] == pytest.approx(found.by_plate["P2"], rel=0.03)


def test_somas_hardly_wider_than_neurites_are_doubted():
    """Beads along neurites, without a soma: they were taken for hundreds of cells in silence."""
    y, x = np.mgrid[:256, :256]
    beads = np.zeros((256, 256))
    for row in range(30, 240, 40):
        line = np.exp(-((y - row) ** 2) / (2 * 2.0**2))
        beads += 1500 * line * (0.6 + 0.4 * np.cos(2 * np.pi * x / 9))
    noisy = np.random.default_rng(0).poisson(beads + 200).astype(np.float32)
    found = find_sizes(MorphologyConfig(), [FieldPlanes(noisy)])
    assert found["soma_diameter"].value < 2 * found["neurite_width"].value
    assert "widths of a neurite" in found["soma_diameter"].doubts[-1]
