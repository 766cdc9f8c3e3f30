"""What the kernels read of one head's images: features in memory, on disk, or inner products."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from hcs.learn.heads.batches import Rows
from hcs.learn.heads.gram import Gram
from hcs.learn.heads.weights import F32

__all__ = ["ByGram", "FeatureArray", "InMemory", "Inputs", "OnDisk", "Reading"]


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


class Inputs(Protocol):
    """What a head reads, epoch by epoch."""

    @property
    def scale(self) -> F32:
        """``(2, F)`` mean and slope of the standardization."""

    @property
    def products(self) -> F32:
        """``(R, U)`` of the rows with the kernel at the start, or ``(0, U)``."""

    def epoch(self, images: Rows, views: Rows) -> Reading:
        """Training images in the order of an epoch, and the view that it shows of each."""

    def judged(self) -> Reading:
        """Return the validation images."""


@dataclass(frozen=True, slots=True, eq=False)
class InMemory:
    """Features as they are."""

    features: NDArray[Any]
    classes: NDArray[np.int64]
    validation_rows: Rows
    scale: F32
    products: F32

    def epoch(self, images: Rows, views: Rows) -> Reading:
        """Return the whole array."""
        return Reading(_bits(self.features), np.stack([images, views]), self.classes)

    def judged(self) -> Reading:
        """Return the whole array."""
        return self.epoch(self.validation_rows, np.zeros_like(self.validation_rows))


@dataclass(frozen=True, slots=True, eq=False)
class OnDisk:
    """Features that do not fit in memory: one view of each image is fetched for an epoch."""

    features: FeatureArray
    classes: NDArray[np.int64]
    checked: Reading
    scale: F32
    products: F32

    def epoch(self, images: Rows, views: Rows) -> Reading:
        """Fetch the views."""
        return fetched(self.features, images, views, self.classes)

    def judged(self) -> Reading:
        """Return what was fetched once."""
        return self.checked


def fetched(
    features: FeatureArray, images: Rows, views: Rows, classes: NDArray[np.int64]
) -> Reading:
    """Fetch one view of each image."""
    rows = features[images, views][:, None]
    places = np.arange(len(images))
    return Reading(_bits(rows), np.stack([places, np.zeros_like(places)]), classes[images])


@dataclass(frozen=True, slots=True, eq=False)
class ByGram:
    """Inner products instead of features."""

    gram: Gram
    classes: NDArray[np.int64]
    scale: F32
    products: F32

    def epoch(self, images: Rows, views: Rows) -> Reading:
        """Return the inner products, and where the images stand among them."""
        return self._at(self.gram.places(images, views))

    def judged(self) -> Reading:
        """Return the inner products, and where the validation images stand among them."""
        n_judged, n_vectors = self.gram.products.shape
        return self._at(np.arange(n_vectors, n_judged))

    def _at(self, places: Rows) -> Reading:
        rows = self.gram.products[:, None]
        return Reading(rows, np.stack([places, np.zeros_like(places)]), self.classes)


def _bits(rows: NDArray[Any]) -> NDArray[Any]:
    """View half precision as the kernels read it: numba has no float16 on CPUs."""
    return rows.view(np.uint16) if rows.dtype == np.float16 else rows
