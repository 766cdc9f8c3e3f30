"""Illumination of a plate: found where it is planted, left alone where there is none."""

from __future__ import annotations

import numpy as np
import pytest

from hcs.ops.light.illumination import Illumination, estimate_illumination, judge_illumination

SHAPE = (256, 320)


def _light(depth):
    y, x = np.meshgrid(np.linspace(-1, 1, SHAPE[0]), np.linspace(-1, 1, SHAPE[1]), indexing="ij")
    return 1 - depth * ((y - 0.2) ** 2 + x**2)


def _fields(count, depth, seed=0):
    rng = np.random.default_rng(seed)
    for _ in range(count):
        plane = np.full(SHAPE, 400.0)
        for y, x in rng.uniform(0, 1, (25, 2)) * SHAPE:
            plane[int(y) : int(y) + 12, int(x) : int(x) + 12] += 2000
        yield rng.poisson(plane * _light(depth)).astype(np.uint16)


def test_planted_light_is_found_and_taken_out():
    found = estimate_illumination(_fields(24, 0.25))
    assert found.helps
    flat = found.plane(SHAPE)
    planted = _light(0.25) / _light(0.25).mean()
    assert np.abs(flat / planted - 1).max() < 0.1
    assert flat.dtype == np.float32


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        pytest.param(list(_fields(24, 0.0)), "even", id="even-light"),
        pytest.param(list(_fields(5, 0.25)), "few", id="too-few-fields"),
        pytest.param([next(_fields(1, 0.0))] * 12, "one object", id="fields-that-are-one-picture"),
        pytest.param([np.zeros(SHAPE, np.uint16)] * 12, "dark", id="no-light"),
        pytest.param([], "none", id="no-fields"),
    ],
)
def test_nothing_is_corrected_without_reason(fields, why):
    found = estimate_illumination(fields)
    assert not found.helps, why
    assert found.plane(SHAPE) is None


def test_fields_of_another_shape_are_left_as_they_are():
    found = estimate_illumination(_fields(24, 0.25))
    assert found.plane((100, 100)) is None
    assert Illumination().plane(SHAPE) is None


def test_the_mean_light_stays():
    flat = estimate_illumination(_fields(24, 0.25)).plane(SHAPE)
    assert flat.mean() == pytest.approx(1, abs=0.02)


def test_a_vendors_profile_is_used_where_it_fits():
    assert judge_illumination(_light(0.25), _fields(12, 0.25)).helps
    assert judge_illumination(_light(0.25), _fields(2, 0.25)).helps
    assert not judge_illumination(_light(0.25), _fields(12, 0.0)).helps
    flat = judge_illumination(_light(0.25), _fields(12, 0.25)).plane(SHAPE)
    assert np.abs(flat / (_light(0.25) / _light(0.25).mean()) - 1).max() < 0.1


def _cells(rng, places, height, size=SHAPE):
    y, x = np.mgrid[: size[0], : size[1]]
    return sum(
        height * np.exp(-((y - cy) ** 2 + (x - cx) ** 2) / (2 * 7.0**2)) for cy, cx in places
    ) + np.zeros(size)


def _plates():
    """Plates without any uneven light, of kinds that gave figures such as 3130 %."""
    rng = np.random.default_rng(5)
    middle = [(SHAPE[0] / 2, SHAPE[1] / 2)]

    def noise(level=100, sd=5):
        return rng.normal(level, sd, SHAPE)

    def anywhere(n):
        return rng.uniform(0, 1, (n, 2)) * SHAPE

    def crowd(n):
        return rng.normal(0.5, 0.12, (n, 2)) * SHAPE

    kinds = {
        "empty": noise,
        "sparse": lambda: noise() + _cells(rng, anywhere(2), 3000),
        "one bright cell in the middle": lambda: noise() + _cells(rng, middle, 60_000),
        "cells in the middle": lambda: noise() + _cells(rng, crowd(25), 3000),
        "zero background": lambda: noise(-3, 4) + _cells(rng, anywhere(12), 5000),
        "zero background in 8 bits": lambda: noise(-3, 4) + _cells(rng, anywhere(12), 150),
        "all zero but one cell": lambda: _cells(rng, middle, 5000) * (noise() > 95),
        "saturated": lambda: noise() + 70_000,
    }
    for kind, make in kinds.items():
        top, dtype = (255, np.uint8) if "8 bits" in kind else (65535, np.uint16)
        planes = [np.clip(make(), 0, top).astype(dtype) for _ in range(12)]
        yield pytest.param(planes, id=kind)


@pytest.mark.parametrize("planes", list(_plates()))
def test_no_plate_gives_a_figure_that_light_cannot_have(planes):
    found = estimate_illumination(planes)
    assert 0 <= found.range_fraction <= 1.2
    assert not found.helps
    assert found.why


def test_the_range_is_over_the_mean():
    found = estimate_illumination(_fields(24, 0.25))
    light = _light(0.25)
    assert found.range_fraction == pytest.approx(np.ptp(light) / light.mean(), rel=0.1)
    assert found.why == ""


def test_a_refusal_says_why():
    rng = np.random.default_rng(2)
    clipped = [np.clip(rng.normal(-3, 4, SHAPE), 0, 255).astype(np.uint8) for _ in range(12)]
    bright = [plane + np.uint8(0) for plane in clipped]
    for plane in bright:
        plane[::2] += 9
    assert "of its pixels are 0" in estimate_illumination(bright).why
    assert "too few" in estimate_illumination(_fields(3, 0.25)).why
    assert "even within 5%" in estimate_illumination(_fields(12, 0.0)).why
