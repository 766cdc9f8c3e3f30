"""Somas on drawn bodies: areas, neighbors, and what is no soma."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError
from scipy import ndimage

from hcs.domain.config.stages import FixedLevel, MorphologyConfig, NeuriteLevel, NoiseLevel, Sizes
from hcs.errors import InputError
from hcs.ops.neurites.ridges import find_centers, find_ridges
from hcs.ops.scales import Scales
from hcs.ops.somas.segment import segment_somas


def _segment(clean, noise=10.0, soma_threshold=None):
    rng = np.random.default_rng(0)
    blurred = ndimage.gaussian_filter(clean.astype(float), 1.0)
    signal = (blurred + rng.normal(0, noise, clean.shape)).astype(np.float32)
    scales = Scales.of(MorphologyConfig(), None)
    centers = find_centers(find_ridges(signal, scales.ridge_sigma_px), NoiseLevel())
    return segment_somas(signal, centers.brightness, scales, soma_threshold or NeuriteLevel())


def _body(y0, x0, a, b, angle_deg=0.0, shape=(160, 160)):
    y, x = np.mgrid[: shape[0], : shape[1]]
    turn = np.deg2rad(angle_deg)
    u = (x - x0) * np.cos(turn) + (y - y0) * np.sin(turn)
    v = (y - y0) * np.cos(turn) - (x - x0) * np.sin(turn)
    return (u / a) ** 2 + (v / b) ** 2 <= 1


@pytest.mark.parametrize("radius", [8, 10, 12, 15, 18])
def test_disks_have_their_area(radius):
    body = _body(80, 80, radius, radius)
    somas = _segment(1500 * body)
    assert somas.count == 1
    assert (somas.labels > 0).sum() == pytest.approx(body.sum(), rel=0.06)


@pytest.mark.parametrize("angle_deg", [0, 30, 45, 90])
def test_ellipses_have_their_area_at_any_angle(angle_deg):
    body = _body(80, 80, 14, 9, angle_deg)
    assert (_segment(1500 * body).labels > 0).sum() == pytest.approx(body.sum(), rel=0.06)


def test_a_faint_soma_beside_a_bright_one_keeps_its_outline():
    bright, faint = _body(80, 45, 11, 11), _body(80, 110, 11, 11)
    somas = _segment(4000 * bright + 300 * faint)
    areas = np.bincount(somas.labels.ravel())[1:]
    assert somas.count == 2
    np.testing.assert_allclose(areas, bright.sum(), rtol=0.07)


def test_neurites_do_not_enlarge_the_soma():
    body = _body(80, 80, 11, 11)
    y, x = np.mgrid[:160, :160]
    arms = (np.abs(y - 80) <= 1.5) | (np.abs(x - 80) <= 1.5)
    somas = _segment(np.maximum(1500 * body, 700 * arms))
    assert (somas.labels > 0).sum() == pytest.approx(body.sum(), rel=0.1)


def test_touching_somas_are_separated():
    body = _body(80, 69, 11, 11) | _body(80, 90, 11, 11)
    somas = _segment(1500 * body)
    areas = np.bincount(somas.labels.ravel())[1:]
    assert somas.count == 2
    assert areas.min() > 0.85 * areas.max()


def test_crossing_neurites_are_no_soma():
    y, x = np.mgrid[:160, :160]
    lines = sum(
        500.0 * (np.abs((x - 80) * np.sin(t) - (y - 80) * np.cos(t)) < 1.5)
        for t in np.deg2rad([0, 40, 80, 120])
    )
    assert _segment(lines).count == 0


def test_a_small_spot_is_no_soma():
    assert _segment(5000 * _body(80, 80, 4, 4)).count == 0


def test_a_soma_that_the_edge_cuts_is_outlined_up_to_the_edge():
    body = _body(80, 3, 11, 11)
    somas = _segment(1500 * body)
    assert (somas.labels[:, 0] > 0).sum() == pytest.approx(body[:, 0].sum(), abs=3)
    assert (somas.labels > 0).sum() == pytest.approx(body.sum(), rel=0.1)


def test_thresholds_decide_what_is_seen():
    plane = 1500 * _body(80, 45, 11, 11) + 200 * _body(80, 110, 11, 11)
    assert _segment(plane, soma_threshold=FixedLevel(level_counts=600)).count == 1
    assert _segment(plane, soma_threshold=FixedLevel(level_counts=80)).count == 2
    assert _segment(plane, soma_threshold=NoiseLevel()).count == 2


def test_many_cells_are_numbered_without_gaps():
    plane = np.zeros((400, 400))
    for y in range(40, 400, 60):
        for x in range(40, 400, 60):
            plane += 1500 * _body(y, x, 10, 10, shape=(400, 400))
    somas = _segment(plane)
    assert somas.count == 36
    np.testing.assert_array_equal(np.unique(somas.labels), np.arange(37))


def test_scales_are_taken_in_the_unit_that_is_given():
    in_um = MorphologyConfig(sizes=Sizes(soma_diameter_um=10))
    in_px = MorphologyConfig(sizes=Sizes(soma_diameter_px=30))
    assert Scales.of(in_um, 0.5).soma_diameter_px == 20
    assert Scales.of(in_px, 0.5).soma_diameter_px == 30
    assert Scales.of(in_px, None).soma_diameter_px == 30
    with pytest.raises(InputError, match=r"soma diameter in µm \(--soma-um 10\).*--soma-px"):
        Scales.of(in_um, None)
    with pytest.raises(ValidationError, match="in µm or in px, not in both: soma_diameter"):
        Sizes(soma_diameter_um=10, soma_diameter_px=30)
