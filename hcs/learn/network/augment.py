"""Augmented views of images: random rotation, shift, zoom and flip as one affine resampling.

A view depends on the study seed, the image and the view number alone, so it is the same wherever
and whenever it is made.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from skimage.transform import AffineTransform, warp

from hcs.domain.config.stages import Augmentation
from hcs.errors import InputError
from hcs.learn import counters

Matrices = NDArray[np.float64]

IDENTITY: Final = np.array([1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0])
"""The image itself, in the layout of :func:`view_parameters`."""


def view_parameters(
    augmentation: Augmentation,
    seed: int,
    image_ids: Sequence[str | int],
    views: Sequence[int],
) -> Matrices:
    """Draw the affine map of every (image, view).

    Parameters
    ----------
    augmentation
        Ranges: rotation within ± degrees, shift along both axes within ± a fraction of the side,
        zoom within 1 ± a fraction (the same along both axes, so that cells keep their shape),
        each flip in half of the views.
    seed
        Of the study.
    image_ids
        What tells one image from another, such as ``P1/A01/0``; never its place in a batch.
    views
        View numbers; 0 is the image itself.

    Returns
    -------
    ndarray
        ``(N, V, 8)`` float64. The first six numbers ``a0 a1 a2 b0 b1 b2`` say from where a pixel
        is read: ``x' = a0 x + a1 y + a2``, ``y' = b0 x + b1 y + b2``, in units of the image's
        side with the origin at its center; so they fit any image size. The last two are 0, as in
        ``keras.ops.image.affine_transform``.
    """
    matrices = np.empty((len(image_ids), len(views), 8))
    for row, image in enumerate(image_ids):
        for column, view in enumerate(views):
            matrices[row, column] = (
                IDENTITY if view == 0 else _matrix(augmentation, (seed, image, view))
            )
    return matrices


def apply_views(images: NDArray[np.uint8], matrices: Matrices) -> NDArray[np.uint8]:
    """Resample one view of each image: bilinear, mirrored beyond the edge.

    Parameters
    ----------
    images
        ``(N, Y, X)`` uint8, square.
    matrices
        ``(N, 8)``, one of :func:`view_parameters` an image.

    Returns
    -------
    ndarray
        ``(N, Y, X)`` uint8; exactly the image itself for the identity. Empty for no images.

    Raises
    ------
    InputError
        When images are not square uint8, or there is not one matrix an image.
    """
    if images.ndim != 3 or images.dtype != np.uint8 or images.shape[1] != images.shape[2]:
        msg = f"images {images.shape} {images.dtype} are not square uint8 images (N, Y, X)"
        raise InputError(msg)
    if matrices.shape != (len(images), 8):
        msg = f"matrices {matrices.shape} are not one affine map (8,) for {len(images)} images"
        raise InputError(msg)
    views = np.empty_like(images)
    for index, (image, matrix) in enumerate(zip(images, matrices, strict=True)):
        views[index] = image if np.array_equal(matrix, IDENTITY) else _warp(image, matrix)
    return views


def pixel_matrix(matrix: Matrices, side_px: int) -> Matrices:
    """Turn one map in units of the side into a 3 × 3 map of (x, y) pixel coordinates."""
    center = (side_px - 1) / 2
    linear = np.array([[matrix[0], matrix[1]], [matrix[3], matrix[4]]])
    shift = np.array([matrix[2], matrix[5]]) * side_px
    pixels = np.eye(3)
    pixels[:2, :2] = linear
    pixels[:2, 2] = center + shift - linear @ np.array([center, center])
    return pixels


def _matrix(augmentation: Augmentation, key: tuple[str | int, ...]) -> Matrices:
    angle, shift_x, shift_y, zoom, flip_x, flip_y, _, _ = counters.few_uniforms("view", *key)
    theta = np.deg2rad(augmentation.rotation_deg) * (2 * angle - 1)
    scale = 1.0 / (1.0 + augmentation.zoom_fraction * (2 * zoom - 1))
    mirror_x = -1.0 if augmentation.flip_horizontal and flip_x < 0.5 else 1.0
    mirror_y = -1.0 if augmentation.flip_vertical and flip_y < 0.5 else 1.0
    cosine, sine = np.cos(theta) * scale, np.sin(theta) * scale
    reach = augmentation.shift_fraction
    return np.array(
        [
            cosine * mirror_x,
            -sine * mirror_y,
            reach * (2 * shift_x - 1),
            sine * mirror_x,
            cosine * mirror_y,
            reach * (2 * shift_y - 1),
            0.0,
            0.0,
        ]
    )


def _warp(image: NDArray[np.uint8], matrix: Matrices) -> NDArray[np.uint8]:
    # scikit-image's affine warp is quicker here than SciPy's or Keras', and lets other threads run.
    transform = AffineTransform(matrix=pixel_matrix(matrix, image.shape[0]))
    resampled = warp(
        image.astype(np.float32), transform, order=1, mode="symmetric", preserve_range=True
    )
    return np.asarray(np.clip(np.rint(resampled), 0, 255), np.uint8)
