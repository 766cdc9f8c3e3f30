"""What is read of the images of heads: features in memory or on disk, and how they are scaled."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from hcs.learn.heads.batches import HeadJob, Rows
from hcs.learn.heads.weights import Standardization, standardization

__all__ = ["FeatureArray", "Reading", "read_views", "standardize_splits"]


class FeatureArray(Protocol):
    """``(I, V, F)`` half- or single-precision features, as ``features[images, views]``."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Images, views, features."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """float16 or float32."""

    def __len__(self) -> int:
        """Count the images."""

    def __getitem__(self, key: tuple[Any, ...], /) -> NDArray[Any]:
        """Return the features of some images ``(N,)`` in one view, or in one view each."""


class Reading(NamedTuple):
    """Arguments of a kernel: ``(R, V, F)`` rows, ``(2, N)`` rows and views, classes ``(R,)``."""

    rows: NDArray[Any]
    order: Rows
    classes: NDArray[np.int64]


def read_views(
    features: FeatureArray, images: Rows, views: Rows, classes: NDArray[np.int64]
) -> Reading:
    """Read one view of each image: an array as it is, from disk only what is asked for.

    Parameters
    ----------
    features
        ``(I, V, F)``.
    images, views
        ``(N,)`` each; N may be 0.
    classes
        ``(I,)`` of every image.
    """
    if isinstance(features, np.ndarray):
        return Reading(_view_bits(features), np.stack([images, views]), classes)
    rows = features[images, views][:, None]
    places = np.arange(len(images))
    return Reading(_view_bits(rows), np.stack([places, np.zeros_like(places)]), classes[images])


def standardize_splits(features: FeatureArray, jobs: Sequence[HeadJob]) -> list[Standardization]:
    """Standardization of each head by its training images; trials of a split share theirs."""
    known: dict[bytes, Standardization] = {}
    names = [job.train_rows.tobytes() for job in jobs]
    for job, name in zip(jobs, names, strict=True):
        if name not in known:
            known[name] = standardization(features[job.train_rows, 0])
    return [known[name] for name in names]


def _view_bits(rows: NDArray[Any]) -> NDArray[Any]:
    """View half precision as the kernels read it: numba has no float16 on CPUs."""
    return rows.view(np.uint16) if rows.dtype == np.float16 else rows
