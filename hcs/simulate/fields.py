"""One field from its plan to pixels and truth: the piece of work that runs anywhere."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hcs.simulate import neurons, optics, render
from hcs.simulate.draws import generator
from hcs.simulate.neurons import FieldTruth
from hcs.simulate.styles import NeuronStyle, OpticsStyle


@dataclass(frozen=True, slots=True)
class FieldJob:
    """Everything that determines one image; equal jobs give equal bytes.

    Attributes
    ----------
    seed
        Seed of the whole simulation.
    plate, well, site
        Which image; with the seed they name its random numbers.
    image_px, pixel_size_um
        Edge of the square image and size of a pixel.
    neurons, optics
        How the well looks.
    """

    seed: int
    plate: str
    well: str
    site: int
    image_px: int
    pixel_size_um: float
    neurons: NeuronStyle
    optics: OpticsStyle


def render_field(job: FieldJob) -> tuple[NDArray[np.uint16], FieldTruth]:
    """Draw one image.

    Geometry, light and camera draw from streams of their own, so the cells of an image stay where
    they are when only texture or optics change.

    Parameters
    ----------
    job
        The image.

    Returns
    -------
    image : ndarray
        Shape (image_px, image_px), uint16; no pixel is 0, so the median is positive.
    truth : FieldTruth
        What a perfect measurement would find.
    """
    names = (job.plate, job.well, job.site)
    size, pixel = job.image_px, job.pixel_size_um
    shapes = generator(job.seed, "geometry", *names)
    somas = neurons.draw_somas(shapes, job.neurons, size, pixel)
    paths = neurons.draw_neurites(shapes, somas, job.neurons, size, pixel)
    light = generator(job.seed, "light", *names)
    blur = job.optics.blur_px
    image = render.render_neurites(light, paths, job.neurons, (size, pixel), blur)
    render.add_somas(light, image, somas, job.neurons, pixel, blur)
    camera = generator(job.seed, "camera", *names)
    optics.add_debris(camera, image, job.optics, pixel)
    exposed = optics.expose(camera, image, job.optics, pixel)
    return exposed, neurons.measure_truth(somas, paths, size)
