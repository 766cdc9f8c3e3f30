"""Texture of a plane: how gray levels follow each other at one distance."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from skimage.feature import graycomatrix, graycoprops

from hcs.domain.tuning.planes import TextureTuning
from hcs.domain.tuning.sets import DEFAULTS
from hcs.ops.filters import FloatPlane

NAMES: Final = ("Contrast", "Correlation", "Energy", "Homogeneity", "Entropy")


def texture(
    signal: FloatPlane,
    distance_px: int,
    tuning: TextureTuning = DEFAULTS.texture,
    blank: NDArray[np.bool_] | None = None,
) -> dict[str, float]:
    """Haralick's measures of a plane, averaged over four directions.

    Haralick et al. 1973, doi 10.1109/TSMC.1973.4309314, on 32 gray levels between the 1st and the
    99.5th percentile; every second row is enough.

    Parameters
    ----------
    signal
        Shape (Y, X), in counts.
    distance_px
        Distance of the two pixels of a pair.
    tuning
        Constants of the kernel.
    blank
        Shape (Y, X): pixels that take part in no pair.

    Returns
    -------
    dict
        ``Contrast``, ``Correlation``, ``Energy``, ``Homogeneity`` and ``Entropy`` (bits). A plane
        without contrast, or smaller than the distance, has contrast 0, correlation 1, energy 1,
        homogeneity 1 and entropy 0.
    """
    sample = signal[::2, ::2] if blank is None else signal[::2, ::2][~blank[::2, ::2]]
    if sample.size == 0:
        return dict(zip(NAMES, (0.0, 1.0, 1.0, 1.0, 0.0), strict=True))
    low, high = np.percentile(sample, (tuning.low_percentile, tuning.high_percentile))
    flat = dict(zip(NAMES, (0.0, 1.0, 1.0, 1.0, 0.0), strict=True))
    if not high > low:
        return flat
    scaled = (signal[::2] - np.float32(low)) * np.float32(tuning.levels / (high - low))
    gray = np.clip(scaled, 0, tuning.levels - 1).astype(np.uint8)
    n_levels = tuning.levels
    if blank is not None:  # a level of its own, whose pairs are then dropped
        gray[blank[::2]] = n_levels
        n_levels += 1
    across, down = distance_px, max(1, round(distance_px / 2))
    n_rows, n_columns = gray.shape
    if n_rows <= down or n_columns <= across:
        return flat
    # Every second row is there: half a step down is a whole one on the plane.
    steps = ((0, across), (down, 0), (down, across), (down, -across))
    counts = [
        graycomatrix(gray, [np.hypot(*step)], [np.arctan2(*step)], n_levels, symmetric=True)
        for step in steps
    ]
    pairs = np.concatenate(counts, axis=3)[: tuning.levels, : tuning.levels]
    found = {name: float(graycoprops(pairs, name.lower()).mean()) for name in NAMES}
    return found | {"Entropy": found["Entropy"] / np.log(2)}
