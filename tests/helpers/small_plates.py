"""Small real images and their vendor names, for tests of every room."""

from __future__ import annotations

import numpy as np


def field(seed: int, shape: tuple[int, int] = (64, 64), dtype: str = "uint16") -> np.ndarray:
    """Draw a noisy field with two bright somas and a line between them."""
    rng = np.random.default_rng(seed)
    image = rng.normal(300, 10, shape)
    image[20:30, 10:20] += 2000
    image[20:30, 45:55] += 2000
    image[24:26, 20:45] += 600
    top = np.iinfo(dtype).max
    return np.clip(image if dtype == "uint16" else image / 16, 1, top).astype(dtype)


def name_of(row: str, column: int, site: int, channel: str = "Blue - FITC") -> str:
    """Name a file as an IN Cell Analyzer does."""
    return f"{row} - {column:02d}(fld {site:03d} wv {channel}).tif"
