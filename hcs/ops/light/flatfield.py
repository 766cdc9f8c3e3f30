"""Turns a vendor's illumination profile into an image that a field is divided by."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hcs.domain.plate import FlatField


def profile_image(profile: FlatField, shape: tuple[int, int]) -> NDArray[np.float32]:
    """Evaluate a polynomial illumination profile on every pixel.

    Parameters
    ----------
    profile
        Coefficients by degree, as Harmony stores them: ``x^d, x^(d-1)·y, …, y^d``.
    shape
        ``(Y, X)`` of the field.

    Returns
    -------
    ndarray
        ``(Y, X)`` float32, about 1 where the illumination is that of the field's middle. An image
        is corrected by dividing by it.
    """
    rows = (np.arange(shape[0]) - profile.origin_px[1]) * profile.scale[1]
    columns = (np.arange(shape[1]) - profile.origin_px[0]) * profile.scale[0]
    image = np.zeros(shape)
    for degree, factors in enumerate(profile.coefficients):
        for power, factor in enumerate(factors):
            image += factor * np.outer(rows**power, columns ** (degree - power))
    return image.astype(np.float32)
