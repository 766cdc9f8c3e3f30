"""What segmentation sees of a field: the signal over its ground, where lines run, how bright."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.filters import threshold_otsu

from hcs.domain.config.stages import MorphologyConfig, Neurons
from hcs.domain.tuning.sets import Tuning
from hcs.ops.contrast import average_deviation, brighten, median_ground
from hcs.ops.filters import FloatPlane, distance_inside, estimate_background
from hcs.ops.glare import find_glare
from hcs.ops.neurites.ridges import Centers, Ridges, find_centers, find_ridges
from hcs.ops.resizing import downsample_mean
from hcs.ops.saturated import blank_out
from hcs.ops.scales import Scales

_BLOCKS_PER_WIDTH, _MOST = 4, 0.5
"""Blocks along the disk that bodies are wide enough for; a block is one when most of it is."""


@dataclass(frozen=True, slots=True)
class Sight:
    """A field as segmentation sees it.

    Attributes
    ----------
    signal
        Shape (Y, X), counts over the ground, in which neurites and cells are bright.
    bodies
        The same in which somas are one piece; the signal itself unless the contrast is mixed.
    ridges, centers
        Lines of the signal.
    body_counts
        Height below which there is no soma.
    glare
        Shape (Y, X): bright haze, taken off; None where there is none.
    saturated
        Shape (Y, X): areas at the camera's limit that are larger than cells, left out.
    """

    signal: FloatPlane
    bodies: FloatPlane
    ridges: Ridges
    centers: Centers
    body_counts: float
    glare: NDArray[np.bool_] | None = None
    saturated: NDArray[np.bool_] | None = None


def look(
    values: FloatPlane,
    assay: Neurons,
    scales: Scales,
    tuning: Tuning,
    saturated: NDArray[np.bool_] | None = None,
) -> Sight:
    """Prepare a field, by its contrast.

    Parameters
    ----------
    values
        Shape (Y, X), in counts.
    assay
        Contrast and threshold of lines.
    scales
        Expected sizes.
    tuning
        Constants of the kernels.
    saturated
        Shape (Y, X): where nothing is seen.
    """
    contrast, soma, width = assay.contrast, scales.soma_diameter_px, scales.neurite_width_px
    reach = tuning.contrast.neurite_reach_widths * width
    if contrast == "mixed":
        deviation = values - median_ground(values, soma, tuning.contrast)
        bright = average_deviation(deviation, reach, tuning.contrast)
    else:
        deviation = bright = brighten(values, contrast, soma, reach, tuning.contrast)
    background = estimate_background(bright, soma, tuning.background)
    signal = bright - background
    glare = None if contrast == "mixed" else find_glare(bright, background, soma, tuning)
    if glare is not None:
        signal = blank_out(signal - glare.haze, glare.blinding)
    signal = blank_out(signal, saturated)

    def trace(plane: FloatPlane, hidden: NDArray[np.bool_] | None) -> tuple[Ridges, Centers]:
        ridges = find_ridges(plane, scales.ridge_sigma_px, tuning.neurites)
        if hidden is not None:
            ridges = replace(ridges, strength=np.where(hidden, 0, ridges.strength))
        return ridges, find_centers(ridges, assay.neurite_threshold, tuning.neurites)

    if contrast != "mixed":
        ridges, centers = trace(signal, None)
        mask = None if glare is None else glare.mask
        return Sight(signal, signal, ridges, centers, centers.brightness, mask, saturated)
    reach = tuning.contrast.soma_reach_diameters * soma
    bodies = blank_out(average_deviation(deviation, reach, tuning.contrast), saturated)
    level = _separate_bodies(bodies, tuning)
    # A deviation has no sign and its noise no mean of 0: lines are sought in the plane itself, and
    # outside of bodies, whose rims would be the usual line.
    deviation = blank_out(deviation, saturated)
    inside = _find_wide(bodies > level, tuning.contrast.body_width_diameters * soma)
    traced = [trace(sign * deviation, inside) for sign in (np.float32(1), np.float32(-1))]
    ridges, centers = max(traced, key=_sum_lines)
    return Sight(signal, bodies, ridges, centers, level, None, saturated)


def _find_wide(mask: NDArray[np.bool_], width_px: float) -> NDArray[np.bool_]:
    """Surroundings of the parts of a mask into which a disk of a width fits; in blocks."""
    factor = max(1, int(width_px / _BLOCKS_PER_WIDTH))
    coarse = downsample_mean(mask.astype(np.float32), factor) > _MOST
    radius = width_px / factor / 2
    core = distance_inside(coarse) > radius
    if not core.any():
        return np.zeros_like(mask)
    near = ndimage.distance_transform_edt(~core) <= radius + 1
    wide: NDArray[np.bool_] = np.repeat(np.repeat(near, factor, 0), factor, 1)
    return wide[: mask.shape[0], : mask.shape[1]]


def _sum_lines(traced: tuple[Ridges, Centers]) -> float:
    """How much of what is seen are lines, over what noise reaches."""
    centers = traced[1]
    return float(centers.strength[centers.on_line].sum()) / max(centers.high, 1e-9)


def _separate_bodies(bodies: FloatPlane, tuning: Tuning) -> float:
    """Height between neurites and somas where both have bright rims (Otsu 1979)."""
    seen = bodies[::2, ::2]
    seen = seen[seen > 0]
    if seen.size == 0 or float(np.ptp(seen)) == 0:
        return 0.0
    return tuning.contrast.body_level * float(threshold_otsu(seen))


def show_objects(
    plane: NDArray[Any], settings: MorphologyConfig, pixel_size_um: float | None
) -> NDArray[Any]:
    """Turn a plane into one from which sizes of bright objects can be estimated.

    Parameters
    ----------
    plane
        Shape (Y, X), in counts.
    settings
        Contrast, and sizes as far as they are known.
    pixel_size_um
        Edge of a pixel, None where it is not known.

    Returns
    -------
    ndarray
        The plane itself where objects are bright.
    """
    assay = settings.assay
    if not isinstance(assay, Neurons) or assay.contrast == "bright":
        return plane
    soma = Scales.of(settings, pixel_size_um).soma_diameter_px
    return brighten(plane.astype(np.float32), assay.contrast, soma, 1.0, settings.tuning.contrast)
