"""Whether an image can be trusted: focus, saturation, noise, and unevenness of the background."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from hcs.domain.constants import MAD_TO_SD
from hcs.domain.tuning.planes import QualityTuning
from hcs.domain.tuning.sets import DEFAULTS
from hcs.ops.intensity import PlaneStatistics, plane_statistics

FOCUS: Final = "Image_Quality_FocusScore"
SLOPE: Final = "Image_Quality_PowerLogLogSlope"
SATURATION: Final = "Image_Quality_SaturatedFraction"
NOISE: Final = "Image_Quality_NoiseCounts"
BACKGROUND: Final = "Image_Quality_BackgroundCounts"
GRADIENT: Final = "Image_Quality_BackgroundGradientFraction"
BLANK: Final = "Image_Quality_BlankFraction"
GLARE: Final = "Image_Quality_GlareFraction"
SATURATED_AREA: Final = "Image_Quality_SaturatedAreaFraction"
DEBRIS: Final = "Image_Quality_DebrisAreaFraction"

QUALITY_COLUMNS: Final = (FOCUS, SLOPE, SATURATION, NOISE, BACKGROUND, GRADIENT)
"""Columns of :func:`image_quality`."""


_NOISE_MASK: Final = np.array([1.0, -2.0, 1.0])
"""Second difference; applied along both axes it cancels everything up to linear structure."""


def image_quality(
    image: NDArray[Any],
    statistics: PlaneStatistics | None = None,
    tuning: QualityTuning = DEFAULTS.quality,
    blank: NDArray[np.bool_] | None = None,
) -> dict[str, float]:
    """Quality measures of one plane.

    Parameters
    ----------
    image
        Shape (Y, X), unsigned integer or float, in acquired counts.
    statistics
        Summary of the same plane where it is known already.
    blank
        Shape (Y, X): what holds no image, and was filled; it counts in no variance.
    tuning
        Constants of the kernel.

    Returns
    -------
    dict
        ``Image_Quality_FocusScore``: variance over mean (Groen et al. 1985,
        doi 10.1002/cyto.990060202); higher is sharper between images of like content; 0 when
        the mean is not positive.
        ``Image_Quality_PowerLogLogSlope``: slope of log power against log spatial frequency
        (Bray et al. 2012, doi 10.1177/1087057111420292); lower is blurrier; 0 when constant.
        ``Image_Quality_SaturatedFraction``: share of pixels at the camera's limit.
        ``Image_Quality_NoiseCounts``: standard deviation of the pixel noise, see
        :func:`estimate_noise`.
        ``Image_Quality_BackgroundCounts``: median over tiles of their 10th percentile.
        ``Image_Quality_BackgroundGradientFraction``: range over the image of a plane fitted to
        those tiles, over the background; 0 when the background is not positive.

    Raises
    ------
    ImageReadError
        As :func:`hcs.ops.intensity.plane_statistics`.
    """
    statistics = statistics or plane_statistics(image)
    values = image.astype(np.float32, copy=False)
    background, gradient = _background(values, tuning)
    taken = values if blank is None else values[~blank]
    variance = float(taken.var(dtype=np.float64))
    return {
        FOCUS: variance / statistics.mean if statistics.mean > 0 else 0.0,
        SLOPE: _power_slope(values, tuning),
        SATURATION: statistics.saturated_fraction,
        NOISE: estimate_noise(values),
        BACKGROUND: background,
        GRADIENT: gradient,
    }


def estimate_noise(image: NDArray[np.float32]) -> float:
    """Estimate the standard deviation of the pixel noise, in counts.

    Median absolute value of the image filtered with the product of two second differences, which
    structure hardly passes (Immerkær 1996, doi 10.1006/cviu.1996.0060; the median in place of
    the mean keeps neurites and cells out). Every second row and column is enough.

    Parameters
    ----------
    image
        Shape (Y, X); NaN where there is no image.

    Returns
    -------
    float
        0 when an axis is shorter than 3 pixels, or more than half of the image is flat.
    """
    if min(image.shape) < _NOISE_MASK.size:
        return 0.0
    thirds = [image[offset : image.shape[0] - 2 + offset : 2] for offset in range(3)]
    rows = thirds[0] - 2 * thirds[1] + thirds[2]
    filtered = (rows[:, :-2] - 2 * rows[:, 1:-1] + rows[:, 2:])[:, ::2]
    norm = float(_NOISE_MASK @ _NOISE_MASK)
    middle = float(np.median(np.abs(filtered)))
    if np.isnan(middle):
        known = np.abs(filtered[np.isfinite(filtered)])
        middle = float(np.median(known)) if known.size else 0.0
    return MAD_TO_SD * middle / norm


def _background(image: NDArray[np.float32], tuning: QualityTuning) -> tuple[float, float]:
    """Background level in counts, and the range of its fitted plane over that level."""
    rows = np.array_split(np.arange(image.shape[0]), min(tuning.background_tiles, image.shape[0]))
    columns = np.array_split(
        np.arange(image.shape[1]), min(tuning.background_tiles, image.shape[1])
    )
    design, levels = [], []
    for row in rows:
        for column in columns:
            tile = image[row[0] : row[-1] + 1 : 2, column[0] : column[-1] + 1 : 2].ravel()
            rank = int(
                (tile.size - 1) * tuning.background_percentile / 100
            )  # percentile() takes 0.4 ms
            levels.append(float(np.partition(tile, rank)[rank]))
            design.append((1.0, float(row.mean()), float(column.mean())))
    level = float(np.median(levels))
    if level <= 0:
        return level, 0.0
    coefficients = np.linalg.lstsq(np.array(design), np.array(levels), rcond=None)[0]
    spans = np.array(image.shape) - 1
    return level, float(np.abs(coefficients[1:] * spans).sum()) / level


def _power_slope(image: NDArray[np.float32], tuning: QualityTuning) -> float:
    """Slope of log10 power over log10 frequency of the middle of the image."""
    height, width = (min(n, tuning.spectrum_px) for n in image.shape)
    top, left = (image.shape[0] - height) // 2, (image.shape[1] - width) // 2
    middle = image[top : top + height, left : left + width]
    bins, frequencies = _radial_bins(height, width)
    if frequencies.size < 2:
        return 0.0
    spectrum = fft.rfft2(middle - middle.mean())
    power = np.square(spectrum.real) + np.square(spectrum.imag)
    n_bins = frequencies.size
    sums = np.bincount(bins.ravel(), power.ravel(), minlength=n_bins + 1)[:n_bins]
    counts = np.bincount(bins.ravel(), minlength=n_bins + 1)[:n_bins]
    means = sums / np.maximum(counts, 1)
    kept = means > 0
    if kept.sum() < 2:
        return 0.0
    return float(np.polyfit(np.log10(frequencies[kept]), np.log10(means[kept]), 1)[0])


@lru_cache(maxsize=8)
def _radial_bins(height: int, width: int) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Ring of every entry of a half spectrum, and the frequency (cycles/px) of each ring.

    Rings are one step of the longer axis wide, from the second (the first holds little but
    shading) to the Nyquist frequency; what lies outside is put into one ring beyond the last.
    """
    n = max(height, width)
    radius = np.hypot(fft.fftfreq(height)[:, None], fft.rfftfreq(width)[None, :]) * n
    rings = np.rint(radius).astype(np.intp) - 2
    n_rings = max(n // 2 - 1, 0)
    rings[(rings < 0) | (rings >= n_rings)] = n_rings
    return rings, (np.arange(n_rings) + 2) / n
