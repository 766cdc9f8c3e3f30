"""``stack.zarr``: normalised 8-bit images of all plates, as an xarray dataset."""

from __future__ import annotations

from typing import Final

from hcs.io.files.paths import AnyPath
from hcs.io.imageset import ArrayLayout, ImageSet

IMAGES: Final = "images"
"""Name of the array. It cannot be ``image``, because that is the name of its first dimension."""


def layout(n_images: int, image_px: int, images_per_shard: int) -> ArrayLayout:
    """Array of ``(image, y, x)`` 8-bit pixels."""
    shape = (n_images, image_px, image_px)
    return ArrayLayout(IMAGES, ("image", "y", "x"), shape, "uint8", images_per_shard)


def open_stack(path: AnyPath) -> ImageSet:
    """Open a stack for reading."""
    return ImageSet(str(path), IMAGES, "stack")
