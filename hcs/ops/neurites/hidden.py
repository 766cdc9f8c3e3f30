"""Length that no trace can show: neurites that run under or close beside another."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from hcs.ops.neurites.graph import PixelGraph

_MERGING_WIDTHS: Final = 0.86
"""Two neurites nearer than this many widths leave one trace; fitted on drawn fields."""

_WINDOW_WIDTHS: Final = 60.0
"""Edge of the window in which the density of neurites is read."""

_OWN_LENGTH: Final = 1.1
"""Length of a neurite inside the window around one of its pixels, in edges of the window."""

_BLOCK_PX: Final = 8
_MAX_SHARE: Final = 0.5
"""Where more than that would be hidden, the correction stops: the image shows too little."""


def hidden_factor(
    graph: PixelGraph, lengths: NDArray[np.float64], width_px: float, shape: tuple[int, ...]
) -> NDArray[np.float64]:
    """Length that stands for each unit of traced length, by the density of traces around it.

    Lines strewn at random with the length density D (length over area) pass within the distance r
    of a point at the rate 2 r D in the plane (Santalo 1976, doi 10.1017/CBO9780511617331). Two
    lines nearer to each other than resolution leave one trace; of the true length D a share
    proportional to D is hidden in this way, as counts coincide in a particle counter. Traces show
    ``D (1 - c D)``, which is solved here for the true length.

    Parameters
    ----------
    graph
        The skeleton.
    lengths
        Traced length of every pixel, shape (N,), in pixels.
    width_px
        Width of a neurite.
    shape
        (Y, X) of the plane.

    Returns
    -------
    ndarray
        Shape (N,), at least 1 and at most 2; near 1 for neurites that lie alone.
    """
    if graph.size == 0:
        return np.ones(0)
    window = max(round(_WINDOW_WIDTHS * width_px / _BLOCK_PX), 1)
    n_rows, n_columns = (-(-size // _BLOCK_PX) for size in shape)
    block = graph.y // _BLOCK_PX * n_columns + graph.x // _BLOCK_PX
    sums = np.bincount(block, lengths, n_rows * n_columns).reshape(n_rows, n_columns)
    density = ndimage.uniform_filter(sums, min(window, n_rows, n_columns)) / _BLOCK_PX**2
    own = _OWN_LENGTH / (min(window, n_rows, n_columns) * _BLOCK_PX)
    others = np.maximum(density.ravel()[block] - own, 0)
    share = np.minimum(_MERGING_WIDTHS * width_px * others, _MAX_SHARE)
    factor: NDArray[np.float64] = 1 / (1 - share)
    return factor
