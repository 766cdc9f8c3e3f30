"""Nuclei that lie out of focus: glow without an edge, which is no cell of this plane."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from hcs.domain.tuning.cells import CellTuning
from hcs.domain.tuning.sets import DEFAULTS
from hcs.ops.cells.kernels import find_edges
from hcs.ops.filters import smooth
from hcs.ops.somas.segment import LabelPlane


def drop_blurred(
    image: NDArray[Any], labels: LabelPlane, tuning: CellTuning = DEFAULTS.cells
) -> LabelPlane:
    """Leave out nuclei whose edge is much softer than that of the others in the field.

    Parameters
    ----------
    image
        Shape (Y, X), the nuclear channel, in counts.
    labels
        Shape (Y, X): nuclei, numbered without gaps.
    tuning
        Constants of the kernel.

    Returns
    -------
    ndarray
        Shape (Y, X), of the labels' type, numbered anew: nuclei whose slope along their outline,
        over their own height, is at least a share of the median nucleus' own.
    """
    count = int(labels.max(initial=0))
    if count < tuning.min_focus_nuclei:
        return labels
    values = smooth(image.astype(np.float32), tuning.focus_blur_px)
    outline = np.flatnonzero(find_edges(labels))
    y, x = np.divmod(outline, labels.shape[1])
    slope = np.hypot(_step(values, y, x, 0), _step(values, y, x, 1))
    numbers = np.arange(1, count + 1)
    steep = ndimage.median(slope, labels.ravel()[outline], numbers)
    ground = float(np.percentile(values[::4, ::4], tuning.focus_ground_percentile))
    area = np.bincount(labels.ravel(), minlength=count + 1)[1:]
    height = np.bincount(labels.ravel(), values.ravel(), count + 1)[1:] / area - ground
    sharp = steep / np.maximum(height, 1e-6)
    kept = sharp >= tuning.min_sharpness * np.median(sharp)
    table = np.zeros(count + 1, labels.dtype)
    table[1:][kept] = np.arange(1, int(kept.sum()) + 1)
    return table[labels]


def _step(
    values: NDArray[np.float32], y: NDArray[np.intp], x: NDArray[np.intp], axis: int
) -> NDArray[np.float32]:
    """Half the difference of the pixels on both sides; the border's pixel stands in beyond it."""
    place = (y, x)[axis]
    last = values.shape[axis] - 1
    before, after = np.maximum(place - 1, 0), np.minimum(place + 1, last)
    ends = ((before, x), (after, x)) if axis == 0 else ((y, before), (y, after))
    difference: NDArray[np.float32] = (values[ends[1]] - values[ends[0]]) / 2
    return difference
