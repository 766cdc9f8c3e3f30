"""What was found drawn over the pixels: outlines of somas, traces of neurites."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

_LOW_PERCENTILE, _HIGH_PERCENTILE = 1.0, 99.6
_GAMMA: Final = 0.6
_SOMA: Final = (255, 170, 0)
_NUCLEUS: Final = (70, 130, 255)
_ASSIGNED: Final = (0, 220, 120)
_UNASSIGNED: Final = (230, 60, 200)
_UNASSIGNED_LABEL: Final = 65535


def draw_overlay(
    image: NDArray[Any],
    soma: NDArray[Any],
    neurites: NDArray[Any],
    nuclei: NDArray[Any] | None = None,
) -> NDArray[np.uint8]:
    """Draw labels over a plane.

    Parameters
    ----------
    image
        Shape (Y, X), in counts; shown in gray from its 1st to its 99.6th percentile.
    soma, neurites
        Shape (Y, X): label images as :func:`hcs.ops.morphology.measure_field` gives them.
    nuclei
        Shape (Y, X): labels of nuclei, or None.

    Returns
    -------
    ndarray
        Shape (Y, X, 3), uint8: somas outlined in orange, nuclei in blue, neurites in green where
        they lead to a soma and in magenta where they do not.
    """
    values = image.astype(np.float32)
    low, high = np.percentile(values, (_LOW_PERCENTILE, _HIGH_PERCENTILE))
    gray = np.clip((values - low) / max(float(high - low), 1e-6), 0, 1) ** _GAMMA
    picture = np.repeat((gray * 255).astype(np.uint8)[..., None], 3, axis=2)
    picture[(neurites > 0) & (neurites != _UNASSIGNED_LABEL)] = _ASSIGNED
    picture[neurites == _UNASSIGNED_LABEL] = _UNASSIGNED
    if nuclei is not None:
        picture[outlines(nuclei)] = _NUCLEUS
    picture[outlines(soma)] = _SOMA
    return picture


def outlines(labels: NDArray[Any]) -> NDArray[np.bool_]:
    """Pixels of objects that have a neighbor of another label, shape (Y, X)."""
    padded = np.pad(labels, 1, mode="edge")
    middle = padded[1:-1, 1:-1]
    edge = np.zeros(labels.shape, bool)
    for beside in (padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:]):
        edge |= beside != middle
    edge &= middle > 0
    return edge
