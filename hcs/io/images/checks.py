"""Refuses planes that are too large or not as expected, before memory is taken for them."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from hcs.domain.columns import Reason
from hcs.errors import ImageReadError

Image = npt.NDArray[np.uint8] | npt.NDArray[np.uint16] | npt.NDArray[np.float32]
Shape = tuple[int, int]
Expected = tuple[Shape, npt.DTypeLike] | None
"""Shape ``(Y, X)`` and pixel type that a plane must have."""

_READABLE_TYPES: Final = ("uint8", "uint16", "float32")


def check_plane(
    name: str,
    shape: Shape,
    dtype: np.dtype[Any],
    expected: Expected,
    max_pixels: int,
) -> None:
    """Refuse, before any memory is taken, what is too large or not what was expected."""
    height, width = shape
    if height * width == 0:
        raise ImageReadError(f"{name}: an image of {height} × {width} pixels", Reason.UNREADABLE)
    if height * width > max_pixels:
        msg = f"{name}: claims {height} × {width} pixels, more than {max_pixels} in all"
        raise ImageReadError(msg, Reason.UNREADABLE)
    if dtype.name not in _READABLE_TYPES:
        msg = f"{name}: pixels are {dtype.name}, expected one of {', '.join(_READABLE_TYPES)}"
        raise ImageReadError(msg, Reason.WRONG_TYPE)
    if expected is None:
        return
    expected_type = np.dtype(expected[1])
    if dtype != expected_type:
        msg = f"{name}: pixels are {dtype.name}, expected {expected_type.name}"
        raise ImageReadError(msg, Reason.WRONG_TYPE)
    if shape != tuple(expected[0]):
        wanted = " × ".join(str(length) for length in expected[0])
        msg = f"{name}: image is {height} × {width} pixels, expected {wanted}"
        raise ImageReadError(msg, Reason.WRONG_SHAPE)


def to_native(image: npt.NDArray[Any]) -> Image:
    """Native byte order and own memory, so that the file's buffer can go."""
    native: Image = np.ascontiguousarray(image, dtype=image.dtype.newbyteorder("="))
    return native
