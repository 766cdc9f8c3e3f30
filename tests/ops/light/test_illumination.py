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
