from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hcs.simulate.draws import generator
from hcs.simulate.neurons import Paths, Somas, draw_neurites, draw_somas, measure_truth
from hcs.simulate.styles import NeuronStyle

FRAME = 64


def straight(y, x, direction, n_steps):
    """One neurite along a straight line; a step is half a pixel."""
    along = 0.5 * np.arange(n_steps + 1)
    return Paths(
        y=(y + np.sin(direction) * along)[None, :],
        x=(x + np.cos(direction) * along)[None, :],
        heading=np.full((1, n_steps + 1), direction),
        n_samples=np.array([n_steps + 1]),
        order=np.array([1]),
    )


def round_somas(*centers, radius=8.0):
    y, x = np.array(centers, dtype=float).reshape(-1, 2).T
    full = np.full(y.shape, radius)
    return Somas(y, x, full, full, np.zeros(y.shape))


@pytest.mark.parametrize(
    ("path", "somas", "expected"),
    [
        pytest.param(straight(30, 10, 0, 60), round_somas(), 30.0, id="inside"),
        pytest.param(straight(30, 10, 0.3, 60), round_somas(), 30.0, id="inclined"),
        pytest.param(straight(30, 50, 0, 60), round_somas(), 13.5, id="leaves-at-the-right-edge"),
        pytest.param(straight(-20, 5.2, np.pi / 2, 60), round_somas(), 10.5, id="enters-on-top"),
        pytest.param(straight(90, 5, 0, 60), round_somas(), 0.0, id="outside"),
        pytest.param(straight(30, 10, 0, 60), round_somas((30, 25)), 14.0, id="crosses-a-soma"),
        pytest.param(straight(30, 25, 0, 60), round_somas((30, 25)), 22.0, id="from-its-border-on"),
        pytest.param(straight(30, 25, 0, 4), round_somas((30, 25)), 0.0, id="within-a-soma"),
        pytest.param(
            straight(30, 10, 0, 60), round_somas((30, 20), (30, 24)), 10.0, id="overlapping-somas"
        ),
    ],
)
def test_length_of_a_straight_neurite_is_the_known_one(path, somas, expected):
    truth = measure_truth(somas, path, FRAME)

    assert truth.total_neurite_length_px == pytest.approx(expected, abs=0.02)


@pytest.mark.parametrize(
    ("center", "count", "area"),
    [
        pytest.param((30, 30), 1, np.pi * 64, id="whole"),
        pytest.param((-0.5, 30), 1, np.pi * 64 / 2, id="half"),
        pytest.param((63.499, -0.5), 1, np.pi * 64 / 4, id="quarter"),
        pytest.param((-3, 30), 0, None, id="center-outside"),
    ],
)
def test_cells_are_counted_by_center_and_measured_in_the_frame(center, count, area):
    truth = measure_truth(round_somas(center), straight(90, 5, 0, 4), FRAME)

    assert truth.n_cells == count
    if area is None:
        assert truth.mean_soma_area_px2 is None
    else:
        assert truth.mean_soma_area_px2 == pytest.approx(area, rel=0.01)
        assert bool(truth.touches_border[0]) == (area < 200)


def test_depth_of_an_ellipse_is_zero_on_its_border_and_positive_inside():
    somas = Somas(*(np.array([value]) for value in (10.0, 20.0, 4.0, 9.0, 0.7)))
    turn = np.linspace(0, 2 * np.pi, 50)
    v, u = 4 * np.sin(turn), 9 * np.cos(turn)
    y = 10 + np.cos(0.7) * v - np.sin(0.7) * u
    x = 20 + np.sin(0.7) * v + np.cos(0.7) * u

    assert somas.depth_px(0, y, x) == pytest.approx(np.zeros(50), abs=1e-9)
    assert somas.depth_px(0, np.array([10.0]), np.array([20.0]))[0] > 0
    assert somas.area_px2[0] == pytest.approx(np.pi * 36)


@given(seed=st.integers(0, 2**32), image_px=st.sampled_from([64, 96, 128]))
@settings(max_examples=25, deadline=None)
def test_a_drawn_field_keeps_its_promises(seed, image_px):
    style = NeuronStyle()
    rng = generator(seed, "field")
    somas = draw_somas(rng, style, image_px, 0.65)
    paths = draw_neurites(rng, somas, style, image_px, 0.65)
    truth = measure_truth(somas, paths, image_px)

    # one meaning of a count: no soma from outside reaches into the frame
    outside = (np.minimum(somas.y, somas.x) < -0.5) | (
        np.maximum(somas.y, somas.x) >= image_px - 0.5
    )
    reach = np.maximum(somas.semi_x, somas.semi_y)[outside]
    gap = np.maximum.reduce(
        [-0.5 - somas.y, somas.y - image_px + 0.5, -0.5 - somas.x, somas.x - image_px + 0.5]
    )[outside]
    assert np.all(gap >= reach - 1e-9)
    assert truth.n_cells == int((~outside).sum())
    assert np.all(truth.soma_area_px2 <= somas.area_px2[~outside] + 1e-9)
    # every step has the same length, so arc length is a count of steps
    steps = np.hypot(np.diff(paths.y, axis=1), np.diff(paths.x, axis=1))[paths.valid[:, 1:]]
    assert steps == pytest.approx(np.full(steps.shape, 0.5))
    assert 0 <= truth.total_neurite_length_px <= steps.sum() + 1e-6


def test_neurites_start_on_the_border_of_a_soma():
    rng = generator(1, "field")
    style = dataclasses.replace(NeuronStyle(), branches_per_neurite=0.0)
    somas = draw_somas(rng, style, 256, 0.65)
    paths = draw_neurites(rng, somas, style, 256, 0.65)

    nearest = np.max(
        [somas.depth_px(index, paths.y[:, 0], paths.x[:, 0]) for index in range(somas.y.size)],
        axis=0,
    )
    assert nearest.min() == pytest.approx(0, abs=1e-6)
    assert np.all(paths.order == 1)


def test_density_zero_is_an_empty_field():
    rng = generator(1, "field")
    style = dataclasses.replace(NeuronStyle(), neurons_per_mm2=0.0)
    somas = draw_somas(rng, style, FRAME, 0.65)
    truth = measure_truth(somas, draw_neurites(rng, somas, style, FRAME, 0.65), FRAME)

    assert (truth.n_cells, truth.total_neurite_length_px) == (0, 0.0)
    assert truth.mean_soma_area_px2 is None
