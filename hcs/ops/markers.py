"""Marker channels: the brightness of each soma in them, and the share of positive cells."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hcs.domain.config.stages import FixedLevel, Marker, Otsu
from hcs.domain.constants import MAD_TO_SD
from hcs.domain.tuning.planes import MarkerTuning
from hcs.domain.tuning.sets import DEFAULTS, Tuning
from hcs.ops.filters import estimate_background
from hcs.ops.intensity import plane_statistics
from hcs.ops.somas.cells import CellColumns


def marker_columns(
    plane: NDArray[Any],
    labels: NDArray[Any],
    count: int,
    marker: Marker,
    diameter_px: float,
    tuning: Tuning = DEFAULTS,
    part: str = "Cells",
) -> CellColumns:
    """Measure a marker in every object.

    Parameters
    ----------
    plane
        Shape (Y, X), the marker's channel, in counts.
    labels
        Shape (Y, X): number of the object, 0 outside.
    count
        Number of objects; those without a pixel are not positive.
    marker
        Name and threshold rule.
    diameter_px
        Usual diameter of a cell, for the background.
    tuning
        Constants of the kernels.
    part
        What the objects are, as the columns name it.

    Returns
    -------
    dict
        ``<Part>_<Name>_MeanIntensity`` (counts above background, NaN without pixels) and
        ``<Part>_<Name>_Positive``.

    Raises
    ------
    ImageReadError
        When the plane is not one of numbers.
    """
    plane_statistics(plane)
    values = plane.astype(np.float32)
    signal = values - estimate_background(values, diameter_px, tuning.background)
    inside = labels > 0
    owner = labels[inside]
    area = np.bincount(owner, minlength=count + 1)[1:]
    total = np.bincount(owner, signal[inside], count + 1)[1:]
    mean = np.where(area > 0, total / np.maximum(area, 1), np.nan)
    level = _level(mean[area > 0], signal[~inside], marker, tuning.markers)
    return {
        f"{part}_{marker.name}_MeanIntensity": mean,
        f"{part}_{marker.name}_Positive": mean > level,
    }


def marker_features(
    columns: CellColumns, marker: Marker, count: int, part: str = "Cells"
) -> dict[str, float]:
    """Share of positive objects and their mean brightness; NaN without objects."""
    positive = columns[f"{part}_{marker.name}_Positive"]
    mean = columns[f"{part}_{marker.name}_MeanIntensity"]
    mean = mean[np.isfinite(mean)]
    return {
        f"Image_{marker.name}_PositiveFraction": float(positive.mean()) if count else np.nan,
        f"Image_{marker.name}_PositiveCount": float(positive.sum()),
        f"Image_{marker.name}_MeanIntensity": float(mean.mean()) if mean.size else np.nan,
    }


def _level(
    mean: NDArray[np.float64], around: NDArray[np.float32], marker: Marker, tuning: MarkerTuning
) -> float:
    """Mean brightness above which a cell is positive, in counts above background."""
    rule = marker.threshold
    if isinstance(rule, FixedLevel):
        return rule.level_counts
    if isinstance(rule, Otsu):
        enough = mean.size >= tuning.min_otsu_cells and float(np.ptp(mean)) > 0
        return part_in_two(mean, tuning) if enough else np.inf
    if around.size == 0:
        return np.inf
    sample = around[::4] if around.size > 4 else around
    middle = float(np.median(sample))
    spread = MAD_TO_SD * float(np.median(np.abs(sample - middle)))
    return middle + rule.multiple * max(spread, 1e-6)


def part_in_two(values: NDArray[np.float64], tuning: MarkerTuning = DEFAULTS.markers) -> float:
    """Find the level between negative and positive cells.

    Otsu's method (1979, doi 10.1109/TSMC.1979.4310076) on the inverse hyperbolic sine of the
    values about their median, in spreads: on a linear scale few bright cells push the level above
    the weak positives. Where that level halves the negative cells, few positive ones are set off
    by the widest gap above the median. Cells that do not fall into two groups are all negative,
    since Otsu would call half of them positive.

    Parameters
    ----------
    values
        Mean brightness of every cell, in counts above background.
    tuning
        Constants of the rule.

    Returns
    -------
    float
        Cells above it are positive; infinite where there are not two groups.
    """
    middle = float(np.median(values))
    spread = MAD_TO_SD * float(np.median(np.abs(values - middle)))
    spread = max(spread, 1e-6 * max(float(np.ptp(values)), 1e-9))
    scaled = np.arcsinh((values - middle) / spread)
    cut = _otsu(scaled)
    high = scaled > cut
    share = float(high.mean())
    between = share * (1 - share) * (scaled[high].mean() - scaled[~high].mean()) ** 2
    parted = between >= tuning.min_parted_fraction * scaled.var()
    if parted or np.sinh(cut) >= tuning.min_level_spreads:
        return middle + spread * float(np.sinh(cut))
    # A few positive cells explain less of the variance than the halves of the negative ones do.
    low, high_end = _widest_gap(scaled[scaled > 0])
    gap = (low + high_end) / 2
    if high_end - low >= tuning.min_gap and np.sinh(gap) >= tuning.min_level_spreads:
        return middle + spread * float(np.sinh(gap))
    return np.inf


def _widest_gap(values: NDArray[np.float64]) -> tuple[float, float]:
    """Two neighbors among the values that lie farthest apart."""
    ordered = np.sort(values)
    if ordered.size < 2:
        return 0.0, 0.0
    widest = int(np.argmax(np.diff(ordered)))
    return float(ordered[widest]), float(ordered[widest + 1])


def _otsu(values: NDArray[np.float64]) -> float:
    """Level half-way between the two classes that Otsu's method makes of a few values.

    Exact over the values themselves: a histogram of a dozen cells is mostly empty bins.
    """
    ordered = np.sort(values)
    n_low = np.arange(1, ordered.size)
    sums = np.cumsum(ordered)[:-1]
    low, high = sums / n_low, (ordered.sum() - sums) / (ordered.size - n_low)
    split = int(np.argmax(n_low * (ordered.size - n_low) * np.square(high - low)))
    return float(ordered[split] + ordered[split + 1]) / 2
