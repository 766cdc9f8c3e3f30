"""Label images on a coarser grid and back."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def pick_labels(
    labels: NDArray[np.integer], factor: int, shape: tuple[int, ...]
) -> NDArray[np.int32]:
    """Label of every block: the largest number in it, so that no small object is lost.

    Parameters
    ----------
    labels
        Shape (Y, X).
    factor
        Edge of a block.
    shape
        Blocks along y and x, as :func:`hcs.ops.resizing.downsample_mean` makes them.

    Returns
    -------
    ndarray
        Of the given shape, int32.
    """
    pads = [(0, max(0, s * factor - n)) for s, n in zip(shape, labels.shape, strict=True)]
    y, x = shape
    whole = np.pad(labels, pads)[: y * factor, : x * factor]
    picked: NDArray[np.int32] = (
        whole.reshape(y, factor, x, factor).max(axis=(1, 3)).astype(np.int32)
    )
    return picked


def enlarge_labels(
    coarse: NDArray[np.int32], factor: int, shape: tuple[int, ...]
) -> NDArray[np.int32]:
    """Repeat every block's label over its pixels; what lies beyond the last block repeats it.

    Parameters
    ----------
    coarse
        Shape of blocks.
    factor
        Edge of a block.
    shape
        (Y, X) of the full plane.

    Returns
    -------
    ndarray
        Of the given shape, int32.
    """
    index = [
        np.minimum(np.arange(n) // factor, m - 1) for n, m in zip(shape, coarse.shape, strict=True)
    ]
    full: NDArray[np.int32] = coarse[np.ix_(*index)]
    return full
