from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from hcs.simulate.draws import generator
from hcs.simulate.styles import Texture
from hcs.simulate.texture import brightness, draw_latent

SHAPE = (2500, 700)
STEP_UM = 0.325


def latent(share, seed=0):
    texture = dataclasses.replace(Texture(), bead_share=share)
    return draw_latent(generator(seed, "latent"), SHAPE, texture, STEP_UM)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9, 1.0])
def test_distribution_of_brightness_does_not_depend_on_beading(share):
    light = brightness(latent(share), Texture())
    healthy = brightness(latent(0.0, seed=1), Texture())

    assert light.mean() == pytest.approx(healthy.mean(), rel=0.03)
    levels = [5, 25, 50, 75, 95]
    assert np.percentile(light, levels) == pytest.approx(np.percentile(healthy, levels), rel=0.06)


def test_brightness_has_mean_one_and_no_gaps():
    light = brightness(latent(0.5), Texture())

    assert light.mean() == pytest.approx(1, abs=0.05)
    assert light.min() > Texture().shaft


@pytest.mark.parametrize(
    ("share", "period_um"),
    [pytest.param(1.0, Texture().bead_period_um, id="beads"),
     pytest.param(0.0, Texture().drift_period_um, id="drift")],
)  # fmt: skip
def test_the_period_is_the_stated_one(share, period_um):
    power = np.mean(np.abs(np.fft.rfft(latent(share), axis=1)) ** 2, axis=0)
    frequencies = np.fft.rfftfreq(SHAPE[1], STEP_UM)
    mean_frequency = np.sum(power * frequencies) / np.sum(power)

    assert 1 / mean_frequency == pytest.approx(period_um, rel=0.25)


def test_one_sample_is_enough():
    assert draw_latent(generator(0, "latent"), (0, 2), Texture(), STEP_UM).shape == (0, 2)
    assert np.isfinite(draw_latent(generator(0, "latent"), (3, 2), Texture(), STEP_UM)).all()
