"""Pixels told apart by a classifier: filters, classes of annotated pixels, objects from shares."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.feature import multiscale_basic_features
from skimage.segmentation import watershed

from hcs.domain.config.segmenting import BACKGROUND, OBJECT, RIM
from hcs.ops.filters import FloatPlane

BLOCK_PX: Final = 384
"""Edge of the blocks that are classified at a time."""

_REACH_SIGMAS: Final = 4.0
"""Where scikit-image cuts a Gaussian off."""

_REACH_PX: Final = 4
"""Gradients of gradients look two pixels further, and a Sobel filter one."""

_OBJECT_SHARE: Final = 0.6
_SMOOTH_DIAMETERS: Final = 0.1
_WINDOW_DIAMETERS: Final = 0.3
"""A pixel is of an object from this share on; summits are smoothed and parted by so many diameters.
All three were chosen on StarDist's 2D example image, each half learned on the other."""

_LEAST_AREA: Final = 0.15
"""Smaller pieces, in areas of a disk of the objects' diameter, are debris."""

Classify = Callable[[NDArray[np.float32]], NDArray[Any]]
"""From filters ``(N, F)`` to the share of every class ``(N, K)``."""


def filter_bank(
    planes: NDArray[np.float32], sigma_min_px: float, sigma_max_px: float
) -> NDArray[np.float32]:
    """Describe every pixel by brightness, edges and texture around it, at several scales.

    The filters are those of ilastik (Berg 2019, doi 10.1038/s41592-019-0582-9) and Labkit as
    scikit-image has them.

    Parameters
    ----------
    planes
        Shape (C, Y, X).
    sigma_min_px, sigma_max_px
        Smallest and largest scale; each is twice the one before.

    Returns
    -------
    ndarray
        Shape (Y, X, F).
    """
    found = [
        multiscale_basic_features(plane, sigma_min=sigma_min_px, sigma_max=sigma_max_px, workers=1)
        for plane in planes
    ]
    return np.concatenate(found, axis=-1).astype(np.float32, copy=False)


def classify_pixels(
    planes: NDArray[np.float32],
    sigmas_px: tuple[float, float],
    classify: Classify,
    block_px: int = BLOCK_PX,
) -> NDArray[np.float32]:
    """Give every pixel its share of every class, a block at a time.

    Blocks are described with as much around them as the filters see, so that their size changes no
    result; memory depends on the block.

    Parameters
    ----------
    planes
        Shape (C, Y, X), as they were in training.
    sigmas_px
        Smallest and largest scale of the filters.
    classify
        The classifier.
    block_px
        Edge of a block.

    Returns
    -------
    ndarray
        Shape (K, Y, X).
    """
    height, width = planes.shape[1:]
    halo = int(np.ceil(_REACH_SIGMAS * sigmas_px[1])) + _REACH_PX
    shares: NDArray[np.float32] | None = None
    for rows, columns in _list_blocks(height, width, block_px):
        top, left = max(rows.start - halo, 0), max(columns.start - halo, 0)
        around = planes[:, top : rows.stop + halo, left : columns.stop + halo]
        inner = (
            slice(rows.start - top, rows.stop - top),
            slice(columns.start - left, columns.stop - left),
        )
        described = filter_bank(around, *sigmas_px)[inner]
        found = classify(described.reshape(-1, described.shape[-1]))
        if shares is None:
            shares = np.empty((found.shape[1], height, width), np.float32)
        shares[:, rows, columns] = found.T.reshape(-1, *described.shape[:2])
    return np.zeros((0, height, width), np.float32) if shares is None else shares


def _list_blocks(height: int, width: int, edge: int) -> Iterator[tuple[slice, slice]]:
    for top in range(0, height, edge):
        for left in range(0, width, edge):
            yield slice(top, min(top + edge, height)), slice(left, min(left + edge, width))


def classes_of_objects(labels: NDArray[Any]) -> NDArray[np.uint8]:
    """Classes of pixels where every object is drawn: ground, inside, and rim.

    The rim is the outermost pixel of an object, and ground between two that almost touch: it is
    what parts them.

    Parameters
    ----------
    labels
        Shape (Y, X): 0 background, else the object number.
    """
    numbers = labels.astype(np.int32)
    largest = ndimage.maximum_filter(numbers, 3, mode="nearest")
    least = ndimage.minimum_filter(numbers, 3, mode="nearest")
    above = ndimage.minimum_filter(
        np.where(numbers == 0, np.iinfo(np.int32).max, numbers), 3, mode="nearest"
    )
    inside = numbers > 0
    rim = inside & ((least != numbers) | (largest != numbers))
    gap = ~inside & (largest > 0) & (above != largest)
    return np.where(rim | gap, RIM, np.where(inside, OBJECT, BACKGROUND)).astype(np.uint8)


def separate_objects(
    ground: FloatPlane, inside: FloatPlane, diameter_px: float
) -> NDArray[np.int32]:
    """Cut what is no ground into objects.

    Seeds are summits of the distance to the ground times the share of inside; a watershed from them
    parts what touches.

    Parameters
    ----------
    ground, inside
        Shape (Y, X): share of background, and of the inside of objects.
    diameter_px
        Usual diameter of the objects.

    Returns
    -------
    ndarray
        Shape (Y, X), int32: 0 background, else 1, 2, … without gaps.
    """
    mask = 1.0 - ground >= _OBJECT_SHARE
    away = ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
    height = ndimage.gaussian_filter(
        (away * inside).astype(np.float32), _SMOOTH_DIAMETERS * diameter_px, mode="nearest"
    )
    window = 2 * max(1, round(_WINDOW_DIAMETERS * diameter_px)) + 1
    summit = (ndimage.maximum_filter(height, window, mode="constant") == height) & mask
    seeds = ndimage.label(summit & (height > 0), np.ones((3, 3)))[0]
    found = watershed(-height, seeds, mask=mask)
    areas = np.bincount(found.ravel())
    kept = areas >= _LEAST_AREA * np.pi / 4 * diameter_px**2
    kept[0] = False
    numbers = np.zeros(areas.size, np.int32)
    numbers[kept] = np.arange(1, int(kept.sum()) + 1)
    return np.asarray(numbers[found], np.int32)
