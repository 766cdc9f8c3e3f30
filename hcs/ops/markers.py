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
from hcs.ops.scales import Scales
from hcs.ops.somas.cells import CellColumns
from hcs.ops.somas.segment import Somas


def marker_columns(
    plane: NDArray[Any], somas: Somas, marker: Marker, scales: Scales, tuning: Tuning = DEFAULTS
) -> CellColumns:
    """Measure a marker in every soma.

    Parameters
    ----------
    plane
        Shape (Y, X), the marker's channel, in counts.
    somas
        Somas of the field.
    marker
        Name and threshold rule.
    scales
        Expected sizes.
    tuning
        Constants of the kernels.

    Returns
    -------
    dict
        ``Cells_<Name>_MeanIntensity`` (counts above background) and ``Cells_<Name>_Positive``.

    Raises
    ------
    ImageReadError
        When the plane is not one of numbers.
    """
    plane_statistics(plane)
    values = plane.astype(np.float32)
    signal = values - estimate_background(values, scales.soma_diameter_px, tuning.background)
    inside = somas.labels > 0
    owner = somas.labels[inside]
    area = np.maximum(np.bincount(owner, minlength=somas.count + 1), 1)
    mean = (np.bincount(owner, signal[inside], somas.count + 1) / area)[1:]
    level = _level(mean, signal[~inside], marker, tuning.markers)
    return {
        f"Cells_{marker.name}_MeanIntensity": mean,
        f"Cells_{marker.name}_Positive": mean > level,
    }


def marker_features(columns: CellColumns, marker: Marker, count: int) -> dict[str, float]:
    """Share of positive cells and their mean brightness; NaN without cells."""
    positive = columns[f"Cells_{marker.name}_Positive"]
    mean = columns[f"Cells_{marker.name}_MeanIntensity"]
    return {
        f"Image_{marker.name}_PositiveFraction": float(positive.mean()) if count else np.nan,
        f"Image_{marker.name}_PositiveCount": float(positive.sum()),
        f"Image_{marker.name}_MeanIntensity": float(mean.mean()) if count else np.nan,
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
        return _otsu(mean) if enough else np.inf
    if around.size == 0:
        return np.inf
    sample = around[::4] if around.size > 4 else around
    middle = float(np.median(sample))
    spread = MAD_TO_SD * float(np.median(np.abs(sample - middle)))
    return middle + rule.multiple * max(spread, 1e-6)


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
