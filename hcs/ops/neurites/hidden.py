"""Length that no trace can show: neurites that run under or close beside another."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from hcs.domain.tuning.lines import NeuriteTuning
from hcs.domain.tuning.sets import DEFAULTS
from hcs.ops.neurites.graph import PixelGraph


def hidden_factor(
    graph: PixelGraph,
    lengths: NDArray[np.float64],
    width_px: float,
    shape: tuple[int, ...],
    tuning: NeuriteTuning = DEFAULTS.neurites,
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
    tuning
        Constants of the kernel.

    Returns
    -------
    ndarray
        Shape (N,), at least 1 and at most 2; near 1 for neurites that lie alone.
    """
    if graph.size == 0:
        return np.ones(0)
    window = max(round(tuning.hidden.window_widths * width_px / tuning.hidden.block_px), 1)
    n_rows, n_columns = (-(-size // tuning.hidden.block_px) for size in shape)
    block = graph.y // tuning.hidden.block_px * n_columns + graph.x // tuning.hidden.block_px
    sums = np.bincount(block, lengths, n_rows * n_columns).reshape(n_rows, n_columns)
    density = (
        ndimage.uniform_filter(sums, min(window, n_rows, n_columns)) / tuning.hidden.block_px**2
    )
    own = tuning.hidden.own_length_windows / (
        min(window, n_rows, n_columns) * tuning.hidden.block_px
    )
    others = np.maximum(density.ravel()[block] - own, 0)
    share = np.minimum(tuning.hidden.merging_widths * width_px * others, tuning.hidden.max_share)
    factor: NDArray[np.float64] = 1 / (1 - share)
    return factor
