"""``bank.zarr``: activations of the frozen network for every image and view, one array a plate."""

from __future__ import annotations

from typing import Final

from hcs.io.files.paths import AnyPath
from hcs.io.imageset import ArrayLayout, ImageSet

FEATURES: Final = "features"

_KIND: Final = "embed"


def layout(n_views: int, n_features: int, images_per_shard: int) -> ArrayLayout:
    """Arrays of ``(image, view, feature)`` half-precision activations; view 0 is the image."""
    dims = ("image", "view", "feature")
    return ArrayLayout(_KIND, FEATURES, dims, (n_views, n_features), "float16", images_per_shard)


def open_bank(path: AnyPath) -> ImageSet:
    """Open a feature bank for reading."""
    return ImageSet(str(path), FEATURES, "feature bank", _KIND)
