"""Nuclei: bright blobs on a dark ground, split where they touch."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.filters import threshold_otsu
from skimage.segmentation import watershed

from hcs.ops.estimate import estimate_soma_diameter
from hcs.ops.filters import smooth
from hcs.ops.quality import estimate_noise

_MAX_LABEL: Final = 65534
_USUAL_DIAMETER_PX: Final = 16.0
_BLUR_DIAMETERS: Final = 1 / 24
_EDGE_DIAMETERS: Final = 0.1
"""Scale of the Laplacian whose sign changes at the edge of a nucleus, in its diameters."""

_FLOOR_OTSU: Final = 0.5
"""No nucleus is fainter than this share of Otsu's level."""

_NOISE_MULTIPLE: Final = 6.5
"""No nucleus is fainter than this many standard deviations of the blurred noise above ground."""

_GROUND_PERCENTILE: Final = 5
_SEED_BLUR_DIAMETERS: Final = 0.17
_SEED_DIAMETERS: Final = 0.5
"""Two summits of the distance to the edge lie at least about this many diameters apart."""

_HEIGHT_PERCENTILE: Final = 75
_OUTLINE_FRACTION: Final = 0.5
"""The edge of a blurred nucleus lies where it has half of its height; the root moves it out."""

_MIN_AREA_FRACTION: Final = 0.12
"""Smaller objects, in areas of a disk of the usual diameter, are debris."""


def segment_nuclei(image: NDArray[Any], diameter_px: float | None = None) -> NDArray[np.uint16]:
    """Find nuclei and separate those that touch.

    A nucleus reaches up to where the Laplacian of the square root of the plane changes its sign
    (Marr and Hildreth 1980, doi 10.1098/rspb.1980.0020), whatever its brightness, which the root
    evens out; what then still touches is split along the watershed of the distance to the edge.

    Parameters
    ----------
    image
        Shape (Y, X), the nuclear channel, in counts.
    diameter_px
        Usual diameter of a nucleus; None to estimate it from the image.

    Returns
    -------
    ndarray
        Shape (Y, X), uint16: number of the nucleus, 0 outside; no numbers in an image without
        structure.
    """
    nothing = np.zeros(image.shape, np.uint16)
    if min(image.shape) < 3:
        return nothing
    values = image.astype(np.float32)
    diameter = diameter_px or estimate_soma_diameter(values, 2.0) or _USUAL_DIAMETER_PX
    sigma = max(diameter * _BLUR_DIAMETERS, 0.7)
    blurred = smooth(values, sigma)
    signal = blurred - np.float32(np.percentile(blurred[::2, ::2], _GROUND_PERCENTILE))
    # A Gaussian blur leaves 1 / (2 sqrt(pi) sigma) of white noise.
    noise = _NOISE_MULTIPLE * estimate_noise(values) / (2 * np.sqrt(np.pi) * sigma)
    if float(signal.max()) <= max(noise, 1e-6):
        return nothing
    floor = max(_FLOOR_OTSU * float(threshold_otsu(signal)), noise)
    root = np.sqrt(np.maximum(signal, 0))
    inside = ndimage.gaussian_laplace(root, diameter * _EDGE_DIAMETERS, mode="nearest") < 0
    mask = ndimage.binary_fill_holes(ndimage.binary_opening(inside & (signal > floor)))
    if not mask.any():
        return nothing
    labels = _split(mask, diameter)
    labels[signal <= _OUTLINE_FRACTION * _heights(signal, labels)[labels]] = 0
    area = np.bincount(labels.ravel())
    large = area >= _MIN_AREA_FRACTION * np.pi / 4 * diameter**2
    large[0] = False
    count = min(int(large.sum()), _MAX_LABEL)
    numbers = np.zeros(area.size, np.uint16)
    numbers[np.flatnonzero(large)[:count]] = np.arange(1, count + 1)
    result: NDArray[np.uint16] = numbers[labels]
    return result


def _heights(signal: NDArray[np.float32], labels: NDArray[np.int32]) -> NDArray[np.float64]:
    """Height of every nucleus, by its number."""
    index = np.arange(int(labels.max()) + 1)
    found: NDArray[np.float64] = ndimage.labeled_comprehension(
        signal, labels, index, lambda v: float(np.percentile(v, _HEIGHT_PERCENTILE)), float, 0.0
    )
    return found


def _split(mask: NDArray[np.bool_], diameter: float) -> NDArray[np.int32]:
    """Label the mask, one label for every summit of the distance to its edge."""
    depth = ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1].astype(np.float32)
    relief = smooth(depth, diameter * _SEED_BLUR_DIAMETERS)
    window = 2 * max(1, round(diameter * _SEED_DIAMETERS / 2)) + 1
    summit = (ndimage.maximum_filter(relief, window, mode="constant") == relief) & mask
    markers = ndimage.label(summit, np.ones((3, 3)))[0].astype(np.int32)
    labels: NDArray[np.int32] = watershed(-relief, markers, mask=mask)
    return labels
