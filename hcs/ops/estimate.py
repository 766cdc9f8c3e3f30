"""Sizes read from an image when none are given: width of its neurites, diameter of its somas."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

from hcs.domain.config.stages import NoiseLevel
from hcs.domain.constants import FWHM_IN_SDS
from hcs.ops.filters import FloatPlane, estimate_background
from hcs.ops.intensity import downsample_mean
from hcs.ops.neurites.ridges import find_centers, find_ridges
from hcs.ops.quality import estimate_noise

_FIRST_SIGMA_PX: Final = 2.0
_BLUR_RATIO: Final = 1.4
_SIGMA_WIDTHS: Final = 0.5
"""Blur of the second look, in widths of the first."""

_DIFFERENCE_VARIANCE: Final = 1 / 6
"""What taking second differences for curvatures adds to a variance, in pixels squared."""

_MIN_WIDTH_PX: Final = 1.5
_MAX_WIDTH_PX: Final = 20.0
_MIN_CENTERS: Final = 200
"""Fewer pixels on middle lines say nothing about a width."""

_MIN_DIAMETER_PX: Final = 6.0
_SCALE_STEP: Final = 1.19
"""Ratio of one diameter that is tried to the next: the fourth root of 2."""

_BLOB_SIGMAS: Final = 2 * np.sqrt(2)
"""Diameter of a disk over the scale at which its response is greatest (Lindeberg 1998)."""

_WORKING_PX: Final = 8.0
_MIN_RESPONSE: Final = 0.2
"""Weaker blobs, relative to the strongest, do not count."""

_MIN_TOP_NOISE: Final = 1.5
_MIN_TOP: Final = 1e-3
"""The strongest blob is this much stronger than the noise of a pixel (noise alone reaches about
1), and than what rounding leaves of an even plane."""

_WEIGHT_POWER: Final = 1.5
"""Power of the diameter in the weight of a blob. With 2, one cluster of cells outweighed nine
somas; with 1, specks come near to it."""

_CLEAR_MULTIPLE: Final = 8.0
_NOISE_MULTIPLE: Final = 8.0


def estimate_neurite_width(image: NDArray[Any], background_px: float = 20.0) -> float | None:
    """Estimate the width of the neurites in an image.

    The curvature across a line with a Gaussian profile of variance v falls with the variance s of
    a blur as (v + s) to the power -3/2 (Lindeberg 1998, doi 10.1023/A:1008097225773), so that two
    blurs give v at every pixel of the middle lines, whatever the background. The median is taken,
    once at fixed blurs and again at blurs that fit the first answer.

    Parameters
    ----------
    image
        Shape (Y, X), in counts.
    background_px
        Diameter of a soma, for the background.

    Returns
    -------
    float or None
        Full width at half maximum in pixels, with the blur of the optics, between 1.5 and 20;
        None when there are too few lines.
    """
    values = image.astype(np.float32)
    signal = values - estimate_background(values, background_px)
    sigma = _FIRST_SIGMA_PX
    width = None
    for _ in range(2):
        narrow = find_ridges(signal, sigma)
        centers = find_centers(narrow, NoiseLevel(multiple=_CLEAR_MULTIPLE))
        clear = centers.on_line
        if clear.sum() < _MIN_CENTERS:
            return width
        wide_sigma = _BLUR_RATIO * sigma
        wide = find_ridges(signal, wide_sigma).strength[centers.y[clear], centers.x[clear]]
        ratio = np.maximum(wide, 1e-6) / centers.strength[clear] * (sigma / wide_sigma) ** 2
        share = np.minimum(ratio, 1) ** (2 / 3)  # (v + sigma^2) / (v + wide_sigma^2)
        variance = float(
            np.median((share * wide_sigma**2 - sigma**2) / np.maximum(1 - share, 1e-6))
        )
        width = FWHM_IN_SDS * float(np.sqrt(max(variance - _DIFFERENCE_VARIANCE, 0)))
        width = float(np.clip(width, _MIN_WIDTH_PX, _MAX_WIDTH_PX))
        sigma = max(_SIGMA_WIDTHS * width, 1.0)
    return width


def estimate_soma_diameter(image: NDArray[Any], neurite_width_px: float = 3.0) -> float | None:
    """Estimate the diameter of the somas in an image.

    Blobs are maxima over place and scale of the scale-normalized Laplacian (Lindeberg 1998,
    doi 10.1023/A:1008045108935); the answer is the median of their diameters weighted by their
    strength and size, so that neither many specks nor one wide cluster decides.

    Parameters
    ----------
    image
        Shape (Y, X), in counts.
    neurite_width_px
        Width of a neurite: somas have at least two and a half of that.

    Returns
    -------
    float or None
        Diameter in pixels; None when there is no blob.
    """
    values = image.astype(np.float32)
    values -= np.float32(np.median(values))  # cut kernels do not sum to exactly 0
    lowest = max(_MIN_DIAMETER_PX, 2.5 * neurite_width_px)
    highest = min(values.shape) / 6
    if highest <= lowest * _SCALE_STEP:
        return None
    n_scales = int(np.log(highest / lowest) / np.log(_SCALE_STEP)) + 1
    diameters = lowest * _SCALE_STEP ** np.arange(n_scales)
    found = [_blobs(values, float(diameter)) for diameter in diameters]
    responses = [response for response, *_ in found]
    tops = np.array([float(response.max(initial=0)) for response in responses])
    top = float(tops.max(initial=0))
    visible = max(_MIN_TOP_NOISE * estimate_noise(values), _MIN_TOP * float(np.abs(values).max()))
    if top <= visible:
        return None
    floor = _MIN_RESPONSE * top
    sizes, weights = [np.zeros(0)], [np.zeros(0)]
    for index in range(1, n_scales - 1):
        response, y, x = found[index]
        reach = float(diameters[index]) / 2
        below, above = (
            _nearest_response(found[beside], y, x, reach) for beside in (index - 1, index + 1)
        )
        keep = (response > floor) & (response >= below) & (response >= above)
        # The summit of a parabola through three scales: the scales themselves are 19 % apart.
        bend = np.maximum(2 * response - below - above, 1e-12)[keep]
        step = np.clip(0.5 * (above - below)[keep] / bend, -0.5, 0.5)
        size = diameters[index] * _SCALE_STEP**step
        sizes.append(size)
        weights.append(response[keep] * size**_WEIGHT_POWER)
    size, weight = np.concatenate(sizes), np.concatenate(weights)
    if weight.sum() <= 0:
        return None
    order = np.argsort(size)
    middle = int(np.searchsorted(np.cumsum(weight[order]), weight.sum() / 2))
    return float(size[order[middle]])


_Blobs = tuple[NDArray[np.float32], NDArray[np.float64], NDArray[np.float64]]


def _blobs(image: FloatPlane, diameter: float) -> _Blobs:
    """Strength and place (pixels of the full plane) of the blobs of one size."""
    factor = max(1, int(diameter / _WORKING_PX))
    coarse = downsample_mean(image, factor)
    sigma = diameter / factor / _BLOB_SIGMAS
    response = -ndimage.gaussian_laplace(coarse, sigma, mode="nearest") * np.float32(sigma**2)
    window = 2 * max(1, round(diameter / factor / 3)) + 1
    top = ndimage.maximum_filter(response, window, mode="constant", cval=-np.inf)
    y, x = np.nonzero((response == top) & (response > 0))
    middle = (factor - 1) / 2
    at_y, at_x = (np.asarray(place * factor + middle, np.float64) for place in (y, x))
    return response[y, x], at_y, at_x


def _nearest_response(
    blobs: _Blobs,
    y: NDArray[np.float64],
    x: NDArray[np.float64],
    reach_px: float,
) -> NDArray[np.float64]:
    """Strength of the nearest blob of another size within reach, 0 where there is none."""
    response, at_y, at_x = blobs
    if response.size == 0 or y.size == 0:
        return np.zeros(y.size)
    tree = cKDTree(np.stack([at_y, at_x], axis=1))
    found = tree.query(np.stack([y, x], axis=1), distance_upper_bound=reach_px)
    inside = np.isfinite(found[0])
    result = np.zeros(y.size)
    result[inside] = response[np.asarray(found[1])[inside]]
    return result
