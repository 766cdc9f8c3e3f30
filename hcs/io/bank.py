"""``bank.zarr``: activations of the frozen network for every image and view."""

from __future__ import annotations

from typing import Final

from hcs.io.files.paths import AnyPath
from hcs.io.imageset import ArrayLayout, ImageSet

FEATURES: Final = "features"


def layout(n_images: int, n_views: int, n_features: int, images_per_shard: int) -> ArrayLayout:
    """Array of ``(image, view, feature)`` half-precision activations; view 0 is the image."""
    shape = (n_images, n_views, n_features)
    return ArrayLayout(FEATURES, ("image", "view", "feature"), shape, "float16", images_per_shard)


def open_bank(path: AnyPath) -> ImageSet:
    """Open a feature bank for reading."""
    return ImageSet(str(path), FEATURES, "feature bank")
