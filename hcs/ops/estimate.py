"""Width of the neurites of an image, read from it when none is given."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hcs.domain.config.stages import NoiseLevel
from hcs.domain.constants import FWHM_IN_SDS
from hcs.ops.filters import estimate_background
from hcs.ops.neurites.ridges import find_centers, find_ridges

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

_CLEAR_MULTIPLE: Final = 8.0


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
