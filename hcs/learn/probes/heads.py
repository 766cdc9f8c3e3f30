"""Heads of the probes: images as short vectors, many heads under one reduced recipe, their AUCs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from hcs.domain.config.stages import Head
from hcs.learn import counters
from hcs.learn.heads.batches import HeadJob
from hcs.learn.heads.training import stream_heads
from hcs.learn.heads.weights import HeadRecipe, predict_heads
from hcs.learn.scores.split_scores import list_judged_classes, rank

F32 = NDArray[np.float32]
FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int_]

_STEPS: Final = 600
_FEWEST_EPOCHS: Final = 4
_MOST_EPOCHS: Final = 64


@dataclass(frozen=True, slots=True)
class Recipe:
    """How every head of the probes is trained; nothing in it is tuned.

    Attributes
    ----------
    head
        Shape and regularization; the last epoch's weights are kept.
    learning_rate, momentum, epochs, batch_size, seed
        As for :func:`hcs.learn.heads.training.stream_heads`.
    """

    head: Head
    learning_rate: float
    momentum: float
    epochs: int
    batch_size: int
    seed: int


@dataclass(frozen=True, slots=True, eq=False)
class Cohort:
    """The images of a study as the probes see them.

    Attributes
    ----------
    features
        ``(I, F)`` vectors of the images themselves.
    group
        ``(I,)`` number of each image's group (clone).
    label, owner
        ``(G,)`` class and donor of each group; a group without donor is a donor of its own.
    n_classes, positive
        Number of classes, and which one the score is the probability of.
    """

    features: F32
    group: IntArray
    label: IntArray
    owner: IntArray
    n_classes: int
    positive: int

    @property
    def image_labels(self) -> IntArray:
        """Class of every image, ``(I,)``."""
        return self.label[self.group]

    def rows_of(self, groups: IntArray) -> NDArray[np.int64]:
        """Rows of all images of some groups."""
        return np.flatnonzero(np.isin(self.group, groups)).astype(np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class HeadTest:
    """One head to train, and the images that it is tested on.

    Attributes
    ----------
    split, trial
        What the head is; with the seed they decide its random numbers.
    train_rows, test_rows
        Rows of the images; no image stands in both.
    labels
        ``(I,)`` classes for this head alone, or None for the cohort's own.
    """

    split: int
    trial: int
    train_rows: NDArray[np.int64]
    test_rows: NDArray[np.int64]
    labels: IntArray | None = None


@dataclass(frozen=True, slots=True)
class HeadScore:
    """ROC AUC and accuracy on the test images; None where they are not defined.

    ``probability`` holds the ``(N, C)`` probabilities behind them where a head gave any.
    """

    auc: float | None
    accuracy: float | None
    probability: NDArray[np.floating] | None = field(default=None, compare=False, repr=False)


def enough_epochs(n_train_images: int, batch_size: int) -> int:
    """Epochs that give about 600 training steps, at least 4 and at most 64.

    A head without tuning ranks the images of a small cohort no better with more steps, and those of
    a large one have seen every image several times by then.
    """
    steps = max(1, -(-n_train_images // batch_size))
    return int(np.clip(round(_STEPS / steps), _FEWEST_EPOCHS, _MOST_EPOCHS))


def projection(n_features: int, max_features: int, seed: int) -> F32 | None:
    """Draw a matrix of signs that shortens vectors and keeps the distances between them.

    Achlioptas 2003, doi 10.1016/S0022-0000(03)00025-4. The matrix knows neither labels nor images,
    so nothing can leak through it.

    Parameters
    ----------
    n_features, max_features
        Length of the vectors, and how long they may be.
    seed
        Study seed.

    Returns
    -------
    ndarray or None
        ``(n_features, max_features)`` float32; None for vectors that are short enough.
    """
    if n_features <= max_features:
        return None
    words = counters.raw_words(-(-n_features * max_features // 64), "projection", seed)
    bits = np.unpackbits(words.astype("<u8").view(np.uint8), count=n_features * max_features)
    signs = (2.0 * bits.reshape(n_features, max_features) - 1.0).astype(np.float32)
    return np.asarray(signs / np.float32(np.sqrt(max_features)))


def score_heads(
    cohort: Cohort, heads: Sequence[HeadTest], recipe: Recipe, epochs: int | None = None
) -> Iterator[HeadScore]:
    """Train heads and score each on its own test images.

    Parameters
    ----------
    cohort
        Images and labels.
    heads
        What to train and test; none gives none.
    recipe
        How.
    epochs
        Instead of the recipe's.

    Yields
    ------
    HeadScore
        In the order of the heads.
    """
    jobs = [
        HeadJob(
            split=entry.split,
            trial=entry.trial,
            train_rows=entry.train_rows,
            validation_rows=np.zeros(0, np.int64),
            learning_rate=recipe.learning_rate,
            momentum=recipe.momentum,
            labels=entry.labels,
        )
        for entry in heads
    ]
    trained = stream_heads(
        cohort.features[:, None],
        cohort.image_labels,
        jobs,
        HeadRecipe(
            recipe.head.model_copy(update={"keep": "last"}),
            cohort.n_classes,
            recipe.epochs if epochs is None else epochs,
            recipe.batch_size,
            recipe.seed,
        ),
    )
    for entry, head in zip(heads, trained, strict=True):
        probability = predict_heads(cohort.features[entry.test_rows], head.weights)[0]
        labels = cohort.image_labels if entry.labels is None else entry.labels
        found = score_images(labels[entry.test_rows], probability, cohort.positive)
        yield replace(found, probability=probability)


def score_images(truth: IntArray, probability: NDArray[np.floating], positive: int) -> HeadScore:
    """Score ``(N, C)`` probabilities; more than two classes: the mean over each against the rest.

    Nothing is defined without images or when the head diverged, no AUC where a class is missing.
    """
    if len(truth) == 0 or not np.isfinite(probability).all():
        return HeadScore(None, None)
    n_classes = probability.shape[1]
    accuracy = float((probability.argmax(axis=1) == truth).mean())
    if len(np.unique(truth)) < n_classes:
        return HeadScore(None, accuracy)
    chosen = list_judged_classes(n_classes, positive)
    areas = [rank(truth == k, probability[:, k].astype(float)).roc_auc() for k in chosen]
    return HeadScore(float(np.mean(areas)), accuracy)


def mean_or_none(values: Sequence[float | None]) -> float | None:
    """Mean of those values that are defined; None when none is."""
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def sd_or_none(values: Sequence[float | None]) -> float | None:
    """Spread (SD with n − 1) of those values that are defined; None for fewer than two."""
    known = [value for value in values if value is not None]
    return float(np.std(known, ddof=1)) if len(known) > 1 else None
