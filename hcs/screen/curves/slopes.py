"""Growth of a well over a time-lapse: the slope of every feature per hour, and its error."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from hcs.domain import columns as col

PER_HOUR: Final = "_per_h"
ERROR: Final = "_per_h_se"
DOUBLINGS: Final = "Image_Count_Cells_doublings"
N_TIMES: Final = "Metadata_Growth_n_times"
FIRST: Final = "Metadata_Growth_from_min"
LAST: Final = "Metadata_Growth_to_min"

_NO_GROWTH: Final = ("Image_Quality_", "Image_BestFocusPlane_", "Image_Position_")
"""What says how an image was taken."""


@dataclass(frozen=True, slots=True)
class Slope:
    """A straight line over time.

    Attributes
    ----------
    per_hour
        Slope; NaN with fewer than two time points.
    error
        Its standard error; NaN with fewer than three.
    n_times
        Time points with a value.
    """

    per_hour: float
    error: float
    n_times: int


def fit_slope(
    hours: NDArray[np.float64], sites: NDArray[np.int64], values: NDArray[np.float64]
) -> Slope:
    """Fit a straight line to the values of one well over time.

    Fields of a well differ, and one that is missing at some times must not look like growth: each
    field has a level of its own (two-way layout of fields and times), and the line is fitted to the
    effects of the times. With no field missing these are the means of the well. The error is that
    of ordinary least squares over time points, not over fields, which share a time point.

    Parameters
    ----------
    hours, sites, values
        Shape (N,): time, field and value of every image; NaN values are left out.

    Returns
    -------
    Slope
        NaN where there are too few time points.
    """
    known = np.isfinite(values) & np.isfinite(hours)
    hours, sites, values = hours[known], sites[known], values[known]
    times, at = np.unique(hours, return_inverse=True)
    if times.size < 2:
        return Slope(np.nan, np.nan, int(times.size))
    _, of = np.unique(sites, return_inverse=True)
    n_sites = int(of.max()) + 1
    design = np.zeros((values.size, times.size + n_sites))
    design[np.arange(values.size), at] = 1
    design[np.arange(values.size), times.size + of] = 1
    if np.linalg.matrix_rank(design) < times.size + n_sites - 1:
        return Slope(np.nan, np.nan, int(times.size))  # fields that share no time say nothing
    effects = np.linalg.lstsq(design, values, rcond=None)[0][: times.size]
    away = times - times.mean()
    slope = float(away @ effects / (away @ away))
    left = effects - effects.mean() - slope * away
    free = times.size - 2
    error = float(np.sqrt(left @ left / free / (away @ away))) if free else np.nan
    return Slope(slope, error, int(times.size))


def choose_growing(names: Sequence[str]) -> list[str]:
    """Columns of images that may grow: features, but not what says how an image was taken."""
    return [name for name in names if name.startswith("Image_") and not name.startswith(_NO_GROWTH)]


def measure_growth(images: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """Fit the growth of every well.

    Parameters
    ----------
    images
        One row an image and time point, with ``Metadata_Time_min``.
    columns
        Features.

    Returns
    -------
    DataFrame
        One row a well: number of time points, first and last minute; of every feature
        ``<feature>_per_h`` and ``<feature>_per_h_se``; and the doublings of cells per hour, the
        slope of log2 of the count, where no count is 0.
    """
    rows = []
    for key, well in images.groupby(list(col.WELL_KEY), sort=True):
        hours = well[col.TIME_MIN].to_numpy(np.float64) / 60
        sites = well[col.SITE].to_numpy(np.int64)
        known = well[col.TIME_MIN].dropna()
        row: dict[str, object] = dict(zip(col.WELL_KEY, key, strict=True))
        row |= {N_TIMES: int(known.nunique()), FIRST: known.min(), LAST: known.max()}
        for name in columns:
            found = fit_slope(hours, sites, well[name].to_numpy(np.float64))
            row |= {f"{name}{PER_HOUR}": found.per_hour, f"{name}{ERROR}": found.error}
        if col.N_CELLS in columns:
            counts = well[col.N_CELLS].to_numpy(np.float64)
            alive = bool((counts > 0).all())
            logs = np.log2(counts) if alive else np.full(counts.size, np.nan)
            found = fit_slope(hours, sites, logs)
            row |= {f"{DOUBLINGS}{PER_HOUR}": found.per_hour, f"{DOUBLINGS}{ERROR}": found.error}
        rows.append(row)
    return pd.DataFrame(rows)
