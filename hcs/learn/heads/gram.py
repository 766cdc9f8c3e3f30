"""Heads trained on inner products of images: the same heads, cheaper where features outnumber them.

Gradients of the hidden kernel are sums of training vectors, so after any number of steps of SGD
with momentum and L2 it is ``share · W0 + Xᵀ C``: the kernel at the start, faded by L2, and
coefficients ``C``, a row for each training vector (the representer theorem: Schölkopf, Herbrich &
Smola 2001, https://doi.org/10.1007/3-540-44581-1_27). Training moves ``C`` and reads inner
products instead of features; both are as long as there are training vectors.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from hcs.learn.heads.batches import HeadJob, Rows
from hcs.learn.heads.weights import F32, HeadRecipe

__all__ = ["Features", "Gram", "gram_of", "halves_the_work", "shares_of_start"]

Features = NDArray[np.float16] | NDArray[np.float32]

_COLUMNS: Final = 2048


@dataclass(frozen=True, slots=True, eq=False)
class Gram:
    """Inner products of the images of one split, and how to come and go between both forms.

    A training image has one vector for each view that training may show, a validation image one.

    Attributes
    ----------
    products
        ``(T + V, T)`` float32: training vectors, then validation images, with training vectors.
    train_rows, validation_rows
        Their rows of the feature array, in the order of the split.
    scale
        ``(2, F)`` mean and slope of the standardization.
    """

    products: F32
    features: Features
    train_rows: Rows
    validation_rows: Rows
    scale: F32

    @property
    def n_views(self) -> int:
        """Views that training may show: the augmented ones, or the image itself."""
        return _n_shown(self.features)

    def places(self, rows: Rows, views: Rows) -> Rows:
        """Where the vectors of training images stand among the products, by image and view."""
        order = np.argsort(self.train_rows, kind="stable")
        index: Rows = order[np.searchsorted(self.train_rows, rows, sorter=order)]
        return index * self.n_views + (views - 1 if self.features.shape[1] > 1 else 0)

    def labels(self, classes: NDArray[np.integer]) -> NDArray[np.int64]:
        """Class of each vector ``(T + V,)`` from those of all images."""
        trained = np.repeat(classes[self.train_rows], self.n_views)
        return np.concatenate([trained, classes[self.validation_rows]]).astype(np.int64)

    def times(self, kernel: F32) -> F32:
        """Vectors times a hidden kernel ``(F, U)``: ``(T + V, U)``."""
        total = np.zeros((len(self.products), kernel.shape[1]), np.float32)
        for columns, vectors in self._blocks():
            total += vectors @ kernel[columns]
        return total

    def kernel(self, start: F32, coefficients: F32) -> F32:
        """Hidden kernel ``(F, U)`` of ``(T + 1, U)``: coefficients, and the share of the start."""
        n_vectors = len(coefficients) - 1
        with np.errstate(over="ignore", invalid="ignore"):  # a head that diverged
            found: F32 = start * coefficients[-1]
            for columns, vectors in self._blocks():
                found[columns] += vectors[:n_vectors].T @ coefficients[:-1]
        return found

    def _blocks(self) -> Iterator[tuple[slice, F32]]:
        """Standardized vectors ``(T + V, f)``, some columns at a time."""
        yield from _blocks(self.features, self.train_rows, self.validation_rows, self.scale)


def gram_of(features: Features, job: HeadJob, scale: F32) -> Gram:
    """Work out the inner products of a job's images.

    Parameters
    ----------
    features
        ``(I, V, F)``.
    job
        Whose training and validation images.
    scale
        ``(2, F)`` mean and slope of the standardization.
    """
    trained = len(job.train_rows) * _n_shown(features)
    products = np.zeros((trained + len(job.validation_rows), trained), np.float32)
    for _, vectors in _blocks(features, job.train_rows, job.validation_rows, scale):
        known, judged = vectors[:trained], vectors[trained:]
        products[:trained] += known @ known.T  # BLAS does half of it and mirrors that
        products[trained:] += judged @ known.T
    return Gram(products, features, job.train_rows, job.validation_rows, scale)


def halves_the_work(
    features: Features, job: HeadJob, recipe: HeadRecipe, n_heads: int, budget_bytes: int
) -> bool:
    """Whether inner products save at least half of the arithmetic of training, and fit the memory.

    Parameters
    ----------
    features, job, recipe
        As for training; heads of the same images cost the same.
    n_heads
        Heads that share these images, and with them the inner products.
    budget_bytes
        What the inner products may take.
    """
    n_features, units = int(features.shape[2]), recipe.head.hidden_units
    vectors, checked = len(job.train_rows) * _n_shown(features), len(job.validation_rows)
    shown = recipe.epochs * len(job.train_rows)
    judged = recipe.epochs * checked
    if 4 * (vectors + checked) * vectors > budget_bytes:
        return False
    plain = 2 * units * n_features * (2 * shown + judged)
    once = 2 * units * n_features * (2 * vectors + checked)
    shared = n_features * vectors * (vectors + 2 * checked) / n_heads
    return 2 * (2 * units * vectors * (shown + judged) + once + shared) <= plain


def shares_of_start(settings: F32, n_steps: int) -> F32:
    """Share of the kernel at the start after 0 to ``n_steps`` steps, ``(n_steps + 1,)``.

    ``settings`` are learning rate, momentum and L2.
    """
    learning_rate, momentum, l2 = map(float, settings)
    shares = np.ones(n_steps + 1)
    share, velocity = 1.0, 0.0
    for step in range(n_steps):
        velocity = momentum * velocity - learning_rate * 2 * l2 * share
        share += velocity
        shares[step + 1] = share
    with np.errstate(over="ignore"):  # a head that diverges
        return shares.astype(np.float32)


def _n_shown(features: Features) -> int:
    return max(1, int(features.shape[1]) - 1)


def _blocks(
    features: Features, train_rows: Rows, validation_rows: Rows, scale: F32
) -> Iterator[tuple[slice, F32]]:
    shown: Any = slice(1, None) if features.shape[1] > 1 else slice(0, 1)
    for start in range(0, features.shape[2], _COLUMNS):
        columns = slice(start, start + _COLUMNS)
        trained = features[train_rows, shown, columns]
        width = trained.shape[2]
        checked = features[validation_rows, 0, columns]
        vectors = np.concatenate([trained.reshape(-1, width), checked], dtype=np.float32)
        vectors -= scale[0, columns]
        vectors *= scale[1, columns]
        yield columns, vectors
