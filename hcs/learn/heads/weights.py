"""What a trained head is: plain stacked arrays, how they start, and what they predict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from hcs.domain.config.stages import Head
from hcs.errors import InputError
from hcs.learn import counters

F32 = NDArray[np.float32]
Standardization = tuple[F32, F32]
"""Mean and scale ``(F,)`` of each feature."""

BATCH_NORMALIZATION_EPSILON: Final = 1e-3
MOVING_SHARE: Final = 0.99
"""Share of the past in the moving moments; this and the epsilon are those of Keras."""
_REFERENCE_FEATURES: Final = 512
_SPREAD_FLOOR: Final = 0.1
_COLUMNS: Final = 2048


@dataclass(frozen=True, slots=True)
class HeadRecipe:
    """What heads that train together have in common."""

    head: Head
    n_classes: int
    epochs: int
    batch_size: int
    seed: int


@dataclass(frozen=True, slots=True)
class HeadWeights:
    """Heads stacked along their first axis: dense → ReLU → dense → softmax.

    Batch normalization is folded into the hidden layer when a head is trained.

    Attributes
    ----------
    w1, b1
        Hidden layer, ``(H, F, U)`` and ``(H, U)``.
    w2, b2
        Output layer, ``(H, U, C)`` and ``(H, C)``.
    mean, scale
        Standardization ``(x - mean) / scale`` before the hidden layer, ``(H, F)`` each, or None.
    """

    w1: F32
    b1: F32
    w2: F32
    b2: F32
    mean: F32 | None = None
    scale: F32 | None = None

    def __len__(self) -> int:
        """Count the heads."""
        return len(self.w1)

    @property
    def n_features(self) -> int:
        """Length of a feature vector."""
        return int(self.w1.shape[1])

    @property
    def n_classes(self) -> int:
        """Number of classes."""
        return int(self.w2.shape[2])

    def take(self, indices: Sequence[int] | NDArray[np.integer]) -> Self:
        """Return the heads with these numbers, in this order."""
        chosen = list(indices)
        return type(self)(
            self.w1[chosen],
            self.b1[chosen],
            self.w2[chosen],
            self.b2[chosen],
            None if self.mean is None else self.mean[chosen],
            None if self.scale is None else self.scale[chosen],
        )

    @classmethod
    def concatenate(cls, parts: Sequence[Self]) -> Self:
        """Stack several groups of heads.

        Where some have fewer hidden units, units that are never active fill them up: what is
        predicted stays the same.

        Raises
        ------
        InputError
            When there are no parts, or only some of them are standardized.
        """
        standardized = {part.mean is not None for part in parts}
        if len(standardized) != 1:
            msg = f"cannot stack {len(parts)} groups of heads, standardized: {standardized}"
            raise InputError(msg)
        units = max(part.b1.shape[1] for part in parts)
        return cls(
            np.concatenate([_widen(part.w1, 2, units) for part in parts]),
            np.concatenate([_widen(part.b1, 1, units) for part in parts]),
            np.concatenate([_widen(part.w2, 1, units) for part in parts]),
            np.concatenate([part.b2 for part in parts]),
            np.concatenate([part.mean for part in parts if part.mean is not None])
            if True in standardized
            else None,
            np.concatenate([part.scale for part in parts if part.scale is not None])
            if True in standardized
            else None,
        )

    def folded(self) -> Self:
        """Return heads that predict the same from features as they are, without mean and scale."""
        if self.mean is None or self.scale is None:
            return self
        slope = 1.0 / self.scale.astype(np.float64)
        w1 = self.w1 * slope[..., None]
        shift = np.einsum("hf,hfu->hu", self.mean.astype(np.float64), w1)
        return type(self)(
            w1.astype(np.float32), (self.b1 - shift).astype(np.float32), self.w2, self.b2
        )


def _widen(array: F32, axis: int, length: int) -> F32:
    missing = length - array.shape[axis]
    if not missing:
        return array
    return np.pad(array, [(0, missing if each == axis else 0) for each in range(array.ndim)])


def initial_weights(
    head: Head, n_features: int, n_classes: int, key: tuple[str | int, ...]
) -> HeadWeights:
    """One untrained head: Glorot-uniform kernels as in Keras, zero biases.

    Glorot & Bengio 2010, https://proceedings.mlr.press/v9/glorot10a.html.

    Parameters
    ----------
    head
        Gives the number of hidden units.
    n_features, n_classes
        Size of a feature vector and number of classes.
    key
        Seed, split and trial; the same key gives the same weights everywhere.
    """

    def draw(name: str, rows: int, columns: int) -> F32:
        limit = np.sqrt(6.0 / (rows + columns))
        draws = counters.uniforms(rows * columns, "head", name, *key)
        kernel = ((2.0 * draws - 1.0) * limit).reshape(1, rows, columns)
        return np.asarray(kernel, np.float32)

    units = head.hidden_units
    return HeadWeights(
        draw("hidden", n_features, units),
        np.zeros((1, units), np.float32),
        draw("output", units, n_classes),
        np.zeros((1, n_classes), np.float32),
    )


def start_head(
    recipe: HeadRecipe, n_features: int, split: int, trial: int, standard: Standardization | None
) -> HeadWeights:
    """One head of a split and trial before training, with its standardization where there is one.

    ``standard`` is what :func:`standardization` gives.
    """
    key = (recipe.seed, split, trial)
    start = initial_weights(recipe.head, n_features, recipe.n_classes, key)
    if standard is None:
        return start
    mean, scale = standard
    return replace(start, mean=mean[None], scale=scale[None])


def standardization(vectors: NDArray[np.floating]) -> Standardization:
    """Mean and scale of each feature over the training images of one split.

    Pooled activations differ in scale by orders of magnitude, so that one learning rate cannot
    suit all of them; the study does not say that it standardized. A feature that hardly varies is
    divided by a tenth of the usual spread instead of its own. Above 512 features the scale also
    grows with the square root of their number: a vector then has the same length whatever the
    pooling, and learning rates mean the same.

    Parameters
    ----------
    vectors
        ``(N, F)`` of the training images, N ≥ 1, never of validation or test images.

    Returns
    -------
    mean, scale : ndarray
        ``(F,)`` float32 each; scale is positive.
    """
    n_features = vectors.shape[1]
    mean, spread = np.empty(n_features), np.empty(n_features)
    for start in range(0, n_features, _COLUMNS):  # in float64 a few columns at a time
        block = vectors[:, start : start + _COLUMNS].astype(np.float64)
        mean[start : start + _COLUMNS] = block.mean(axis=0)
        spread[start : start + _COLUMNS] = block.std(axis=0)
    usual = float(np.sqrt(np.mean(np.square(spread))))
    if usual == 0.0:
        spread, usual = np.ones_like(spread), 1.0
    scale = np.maximum(spread, _SPREAD_FLOOR * usual)
    scale *= max(1.0, np.sqrt(n_features / _REFERENCE_FEATURES))
    return mean.astype(np.float32), scale.astype(np.float32)


def predict_heads(features: NDArray[np.floating], weights: HeadWeights) -> F32:
    """Class probabilities of every image by every head.

    Parameters
    ----------
    features
        ``(N, F)``; N may be 0.
    weights
        ``H`` heads.

    Returns
    -------
    ndarray
        ``(H, N, C)`` float32, summing to 1 over classes; NaN for a head whose training diverged.

    Raises
    ------
    InputError
        When the features are not as long as those that the heads were trained on.
    """
    if features.ndim != 2 or features.shape[1] != weights.n_features:
        msg = (
            f"features of shape {features.shape}; these heads want (N, {weights.n_features}): "
            "were they computed with the same backbone, layer, pooling and image size?"
        )
        raise InputError(msg)
    vectors = features.astype(np.float32, copy=False)
    probabilities = np.empty((len(weights), len(vectors), weights.n_classes), np.float32)
    for index in range(len(weights)):
        inputs = vectors
        if weights.mean is not None and weights.scale is not None:
            inputs = (vectors - weights.mean[index]) / weights.scale[index]
        hidden = np.maximum(inputs @ weights.w1[index] + weights.b1[index], 0.0)
        probabilities[index] = _softmax(hidden @ weights.w2[index] + weights.b2[index])
    return probabilities


def _softmax(logits: F32) -> F32:
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=-1, keepdims=True), np.float32)
