"""Texture of a plane: how gray levels follow each other at one distance."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from hcs.ops.filters import FloatPlane

LEVELS: Final = 32
_LOW_PERCENTILE, _HIGH_PERCENTILE = 1.0, 99.5
NAMES: Final = ("Contrast", "Correlation", "Energy", "Homogeneity", "Entropy")


def texture(signal: FloatPlane, distance_px: int) -> dict[str, float]:
    """Haralick's measures of a plane, averaged over four directions.

    Haralick et al. 1973, doi 10.1109/TSMC.1973.4309314, on 32 gray levels between the 1st and the
    99.5th percentile; every second row is enough.

    Parameters
    ----------
    signal
        Shape (Y, X), in counts.
    distance_px
        Distance of the two pixels of a pair.

    Returns
    -------
    dict
        ``Contrast``, ``Correlation``, ``Energy``, ``Homogeneity`` and ``Entropy`` (bits). A plane
        without contrast, or smaller than the distance, has contrast 0, correlation 1, energy 1,
        homogeneity 1 and entropy 0.
    """
    low, high = np.percentile(signal[::2, ::2], (_LOW_PERCENTILE, _HIGH_PERCENTILE))
    flat = dict(zip(NAMES, (0.0, 1.0, 1.0, 1.0, 0.0), strict=True))
    if not high > low:
        return flat
    scaled = (signal[::2] - np.float32(low)) * np.float32(LEVELS / (high - low))
    gray = np.clip(scaled, 0, LEVELS - 1).astype(np.uint16)
    across, down = distance_px, max(1, round(distance_px / 2))
    n_rows, n_columns = gray.shape
    if n_rows <= down or n_columns <= across:
        return flat
    pairs = (
        (gray[:, :-across], gray[:, across:]),
        (gray[:-down], gray[down:]),
        (gray[:-down, :-across], gray[down:, across:]),
        (gray[down:, :-across], gray[:-down, across:]),
    )
    found = [_measures(one, other) for one, other in pairs]
    return {name: float(np.mean([item[name] for item in found])) for name in NAMES}


def _measures(one: NDArray[np.uint16], other: NDArray[np.uint16]) -> dict[str, float]:
    counts = np.bincount((one * np.uint16(LEVELS) + other).ravel(), minlength=LEVELS**2)
    share = counts.reshape(LEVELS, LEVELS).astype(np.float64)
    share = (share + share.T) / (2 * share.sum())
    level = np.arange(LEVELS)
    apart = np.square(level[:, None] - level[None, :])
    marginal = share.sum(axis=0)
    mean = float(marginal @ level)
    variance = float(marginal @ np.square(level - mean))
    product = float(level @ share @ level) - mean**2
    present = share[share > 0]
    values = (
        float((share * apart).sum()),
        product / variance if variance > 0 else 1.0,
        float(np.sqrt(np.square(share).sum())),
        float((share / (1 + apart)).sum()),
        float(-(present * np.log2(present)).sum()),
    )
    return dict(zip(NAMES, values, strict=True))
