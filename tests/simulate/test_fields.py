from __future__ import annotations

import dataclasses
import pickle

import numpy as np
import pytest

from hcs.simulate.draws import generator
from hcs.simulate.fields import FieldJob, render_field
from hcs.simulate.optics import expose
from hcs.simulate.render import PAD_PX, splat
from hcs.simulate.styles import NeuronStyle, OpticsStyle, Texture


def job(**changes):
    plain = FieldJob(3, "P01", "A01", 1, 128, 0.65, NeuronStyle(), OpticsStyle())
    return dataclasses.replace(plain, **changes)


def test_the_same_job_gives_the_same_bytes_after_a_journey():
    image, truth = render_field(job())
    again, truth_again = render_field(pickle.loads(pickle.dumps(job())))

    assert image.tobytes() == again.tobytes()
    assert truth.total_neurite_length_px == truth_again.total_neurite_length_px


@pytest.mark.parametrize(
    "changes",
    [{"seed": 4}, {"plate": "P02"}, {"well": "A02"}, {"site": 2}],
    ids=["seed", "plate", "well", "site"],
)
def test_another_name_is_another_image(changes):
    assert not np.array_equal(render_field(job())[0], render_field(job(**changes))[0])


def test_disease_changes_light_but_neither_place_nor_truth():
    beaded = dataclasses.replace(NeuronStyle(), texture=Texture(bead_share=0.9))
    image, truth = render_field(job())
    sick_image, sick_truth = render_field(job(neurons=beaded))

    assert not np.array_equal(image, sick_image)
    assert truth.total_neurite_length_px == sick_truth.total_neurite_length_px
    assert np.array_equal(truth.soma_area_px2, sick_truth.soma_area_px2)


def test_mean_and_median_of_the_image_do_not_tell_the_disease():
    def statistics(share):
        style = dataclasses.replace(NeuronStyle(), texture=Texture(bead_share=share))
        images = [render_field(job(site=site, neurons=style))[0] for site in range(1, 13)]
        return np.array([(image.mean(), np.median(image)) for image in images])

    healthy, sick = statistics(0.05), statistics(0.9)
    assert sick.mean(axis=0) == pytest.approx(healthy.mean(axis=0), rel=0.03)


@pytest.mark.parametrize("density", [0.0, 110.0], ids=["empty", "filled"])
def test_the_median_is_above_the_camera_offset(density):
    style = dataclasses.replace(NeuronStyle(), neurons_per_mm2=density)
    image, _ = render_field(job(neurons=style))

    assert image.dtype == np.uint16
    assert image.shape == (128, 128)
    assert np.median(image) > OpticsStyle().offset_counts
    assert image.min() > 0


def test_splat_keeps_weight_and_place():
    image = splat(np.array([3.25, 3.25]), np.array([5.5, 5.5]), np.array([1.0, 2.0]), 10)

    assert image.sum() == pytest.approx(3)
    rows, columns = np.indices(image.shape)
    assert np.sum(rows * image) / 3 == pytest.approx(3.25)
    assert np.sum(columns * image) / 3 == pytest.approx(5.5)


def test_noise_is_that_of_photons_and_camera():
    optics = dataclasses.replace(OpticsStyle(), unevenness=0.0, vignetting=0.0)
    light = np.zeros((200 + 2 * PAD_PX,) * 2, dtype=np.float32)
    image = expose(generator(0, "camera"), light, optics, 0.65).astype(float)

    gain, electrons = optics.gain_counts, optics.background_electrons
    assert image.mean() == pytest.approx(optics.offset_counts + gain * electrons, rel=0.01)
    expected = gain**2 * electrons + optics.read_noise_counts**2
    assert image.var() == pytest.approx(expected, rel=0.05)
