"""A forest that tells pixels apart (Breiman 2001, doi 10.1023/A:1010933404324): drawn, trained."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import balanced_accuracy_score

from hcs.domain.config.segmenting import BACKGROUND, OBJECT, PixelOptions
from hcs.errors import InputError
from hcs.learn.counters import raw_words

_FOLDS = 5
"""Images are left out one by one, or in so many groups where there are more."""


def draw_pixels(classes: NDArray[np.uint8], per_class: int, *key: str | int) -> NDArray[np.int64]:
    """Draw annotated pixels of an image, at most so many of each class.

    Parameters
    ----------
    classes
        Shape (Y, X): 0 unlabeled, else the class.
    per_class
        At most so many of each.
    *key
        Names the draw.

    Returns
    -------
    ndarray
        Places in the flattened image, by class and then by place.
    """
    flat = classes.ravel()
    places = []
    for kind in np.unique(flat[flat > 0]).tolist():
        found = np.flatnonzero(flat == kind)
        if found.size > per_class:
            order = np.argsort(raw_words(found.size, "pixels", *key, int(kind)), kind="stable")
            found = np.sort(found[order[:per_class]])
        places.append(found)
    return np.concatenate(places) if places else np.zeros(0, np.int64)


def weigh_pixels(classes: NDArray[np.uint8], drawn: NDArray[np.int64]) -> NDArray[np.float32]:
    """Weigh drawn pixels so that every class has the share that it was annotated with.

    Without, a class of few pixels would be found too often: in brightfield 121 objects for 19.

    Parameters
    ----------
    classes
        Shape (Y, X): 0 unlabeled, else the class.
    drawn
        As :func:`draw_pixels` gave it.
    """
    flat = classes.ravel()
    there, taken = (np.bincount(each, minlength=256) for each in (flat, flat[drawn]))
    return (there / np.maximum(taken, 1)).astype(np.float32)[flat[drawn]]


def train_pixels(
    filters: NDArray[np.float32],
    classes: NDArray[np.uint8],
    weights: NDArray[np.float32],
    options: PixelOptions,
    seed: int,
) -> RandomForestClassifier:
    """Train a forest on pixels.

    Parameters
    ----------
    filters
        Shape (N, F).
    classes, weights
        Shape (N,).
    options, seed
        Of the forest.

    Raises
    ------
    InputError
        When no pixel is of the ground, or none is of an object.
    """
    there = set(np.unique(classes).tolist())
    absent = {BACKGROUND: "background (1)", OBJECT: "objects (2)"}
    if lacking := [words for kind, words in absent.items() if kind not in there]:
        msg = f"no pixel is annotated as {' nor '.join(lacking)}: draw some of each"
        raise InputError(msg)
    forest = RandomForestClassifier(
        n_estimators=options.n_trees,
        min_samples_leaf=options.min_samples_leaf,
        n_jobs=1,
        random_state=int(raw_words(1, "pixel-forest", seed)[0] >> np.uint64(32)),
    )
    return forest.fit(filters, classes, sample_weight=weights)


def hold_out_images(
    filters: NDArray[np.float32],
    classes: NDArray[np.uint8],
    weights: NDArray[np.float32],
    images: Sequence[int] | NDArray[np.int64],
    options: PixelOptions,
    seed: int,
) -> float:
    """Balanced accuracy on pixels of images that the forest was not trained on.

    Parameters
    ----------
    filters, classes, weights
        As of :func:`train_pixels`.
    images
        Shape (N,): number of the image of every pixel.
    options, seed
        Of the forests.

    Returns
    -------
    float
        Mean share of each class that is recognized; NaN with one image, or where the others lack a
        class.
    """
    images = np.asarray(images)
    names = np.unique(images)
    folds = np.searchsorted(names, images) % min(_FOLDS, max(names.size, 1))
    if names.size < 2:
        return float("nan")
    said = np.zeros_like(classes)
    for fold in np.unique(folds).tolist():
        out = folds == fold
        try:
            forest = train_pixels(filters[~out], classes[~out], weights[~out], options, seed)
        except InputError:
            return float("nan")
        said[out] = forest.predict(filters[out])
    return float(balanced_accuracy_score(classes, said))


def order_shares(
    shares: NDArray[np.float32], known: Sequence[int]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Share of the ground and of the inside of objects, of a forest's classes ``(K, …)``."""
    return shares[list(known).index(BACKGROUND)], shares[list(known).index(OBJECT)]
