"""``stack.zarr``: normalized 8-bit images, one array a plate."""

from __future__ import annotations

from typing import Final

from hcs.io.files.paths import AnyPath
from hcs.io.imageset import ArrayLayout, ImageSet

IMAGES: Final = "images"
"""Name of the array. It cannot be ``image``, because that is the name of its first dimension."""

_KIND: Final = "stack"


def layout(image_px: int, images_per_shard: int) -> ArrayLayout:
    """Arrays of ``(image, y, x)`` 8-bit pixels."""
    item = (image_px, image_px)
    return ArrayLayout(_KIND, IMAGES, ("image", "y", "x"), item, "uint8", images_per_shard)


def open_stack(path: AnyPath) -> ImageSet:
    """Open a stack for reading."""
    return ImageSet(str(path), IMAGES, "stack", _KIND)
