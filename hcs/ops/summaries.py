"""One field summarized: means over its cells and neurites, gray levels, texture."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hcs.domain.columns import with_unit
from hcs.domain.constants import MAD_TO_SD
from hcs.domain.tuning.sets import DEFAULTS, Tuning
from hcs.ops.filters import FloatPlane
from hcs.ops.neurites.arbors import Along, beading_of_branches, end_points
from hcs.ops.neurites.tracing import Neurites
from hcs.ops.scales import Scales
from hcs.ops.somas.cells import CellColumns
from hcs.ops.texture import texture

PERCENTILES: Final = (1, 10, 90, 99)
MEANS: Final = (
    ("Soma_Eccentricity", 0),
    ("Soma_FormFactor", 0),
    ("Soma_MeanIntensity", 0),
    ("Neurite_Primary", 0),
    ("Neurite_LongestLength", 1),
    ("Sholl_Maximum", 0),
    ("Sholl_CriticalRadius", 1),
)
"""Columns of single cells whose mean is a feature of the image, with the power of their unit."""


def full_features(
    signal: FloatPlane,
    cells: CellColumns,
    neurites: Neurites,
    along: Along,
    pixel_size_um: float | None,
    tuning: Tuning = DEFAULTS,
) -> dict[str, float]:
    """Features of the neurites and cells of one image beyond the classic ones.

    Parameters
    ----------
    signal
        Shape (Y, X), counts above background.
    cells
        Columns of single cells, full set.
    neurites, along
        The field.
    pixel_size_um
        Edge of a pixel, None where it is not known.
    tuning
        Constants of the kernels.

    Returns
    -------
    dict
        Means over cells or over neurites are NaN where there are none.
    """
    size = 1.0 if pixel_size_um is None else pixel_size_um
    variation, weight = beading_of_branches(neurites, along.light, tuning.neurites)
    n_ends = end_points(neurites, along.rooted, signal.shape, tuning.neurites).size
    found = {
        "Image_Count_BorderCells": float(cells["Cells_Soma_TouchesBorder"].sum()),
        "Image_Neurite_BranchPoints": float(neurites.branch_points.size),
        "Image_Neurite_EndPoints": float(n_ends),
        "Image_Neurite_Crossings": float(neurites.n_crossings),
        with_unit("Image_Neurite_MeanWidth", 1, pixel_size_um): _mean(along.width_px * size),
        "Image_Neurite_MeanIntensity": _mean(along.light),
        "Image_Neurite_Beading": (
            float(variation @ weight / weight.sum()) if weight.sum() > 0 else np.nan
        ),
    }
    for name, power in MEANS:
        unit = with_unit(name, power, pixel_size_um) if power else name
        found[f"Image_{_mean_name(unit)}"] = _mean(cells[f"Cells_{unit}"])
    return found


def gray_features(
    values: FloatPlane,
    signal: FloatPlane,
    scales: Scales,
    blank: NDArray[np.bool_] | None,
    tuning: Tuning = DEFAULTS,
) -> dict[str, float]:
    """Spread, percentiles and texture of the gray levels of one image.

    Parameters
    ----------
    values, signal
        Shape (Y, X): counts, and counts above background.
    scales
        Expected sizes: pairs of pixels lie a neurite's width apart.
    blank
        Shape (Y, X): what holds no image, and counts in nothing; None where there is none.
    tuning
        Constants of the kernels.
    """
    sample, taken = values[::2, ::2], values
    if blank is not None:
        sample, taken = sample[~blank[::2, ::2]], values[~blank]
    median = float(np.median(sample))
    levels = np.percentile(sample, PERCENTILES)
    distance = max(1, round(scales.neurite_width_px))
    textures = texture(signal, distance, tuning.texture, blank)
    return {
        "Image_Intensity_Std": float(taken.std(dtype=np.float64)),
        "Image_Intensity_MAD": MAD_TO_SD * float(np.median(np.abs(sample - median))),
        **{f"Image_Intensity_P{p:02d}": float(v) for p, v in zip(PERCENTILES, levels, strict=True)},
        **{f"Image_Texture_{name}": value for name, value in textures.items()},
    }


def _mean_name(name: str) -> str:
    """``Soma_Eccentricity`` becomes ``Soma_MeanEccentricity``."""
    group, _, rest = name.partition("_")
    return f"{group}_{rest}" if rest.startswith("Mean") else f"{group}_Mean{rest}"


def _mean(values: NDArray[Any]) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else np.nan
