"""Can the network's features tell plate, row, column or batch: what a classifier could lean on.

The question is put to clones that the classifier has never seen, since whoever recognizes a clone
also knows where it stood.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.covariance import ledoit_wolf

from hcs.domain.probing import LEAST_OWNERS, SIGNIFICANT, VariableFacts
from hcs.learn import counters
from hcs.learn.probes.heads import F32, FloatArray, IntArray
from hcs.ops.chance import bound_null, compare_with_null

_FOLDS: Final = 10
_SHUFFLES_AT_ONCE: Final = 25

Shuffled = Literal["between_groups", "within_groups"]


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """Where images come from, as numbers.

    Attributes
    ----------
    well, owner
        ``(I,)`` well, and donor (or clone where no donor is known).
    level
        ``(I,)`` level of the variable, the same for all images of a well; −1 where unknown.
    """

    well: IntArray
    owner: IntArray
    level: IntArray


def probe_variable(
    variable: str, features: F32, layout: Layout, *, n_permutations: int, seed: int
) -> VariableFacts:
    """Ask whether features tell the levels of one variable.

    Linear discriminant analysis with equal priors and the shrunken covariance of Ledoit and Wolf
    2004 (doi 10.1016/S0047-259X(03)00096-4), in up to ten folds that keep donors together. The
    covariance is taken over all training images whatever their level, so that it is computed once
    a fold for all shuffles.

    Parameters
    ----------
    variable
        Name, for the answer.
    features
        ``(I, F)``.
    layout
        Wells, donors and levels of the images.
    n_permutations
        Shuffles of the levels: between donors where every donor has one level, else between the
        wells of each donor.
    seed
        Study seed.

    Returns
    -------
    VariableFacts
        ``untestable`` where fewer than two levels have two donors each: donor and level cannot be
        told apart then.
    """
    eligible = _eligible(layout)
    if len(eligible) < 2:
        return _untestable(variable, layout)
    rows = np.flatnonzero(np.isin(layout.level, eligible))
    wells, first, well = np.unique(layout.well[rows], return_index=True, return_inverse=True)
    level = np.searchsorted(eligible, layout.level[rows][first])
    owner = np.unique(layout.owner[rows][first], return_inverse=True)[1]
    nested = all(len(np.unique(level[owner == one])) == 1 for one in range(owner.max() + 1))
    shuffles = np.stack(
        [level]
        + [
            _shuffle_levels(level, owner, nested, (seed, variable, n))
            for n in range(n_permutations)
        ]
    )
    right = _right_by_level(features[rows], well, owner, shuffles, len(eligible), seed)
    scores = _score_levels(right, np.bincount(well, minlength=len(wells)), shuffles)
    how: Shuffled = "between_groups" if nested else "within_groups"
    return _judge(variable, scores, (len(rows), int(owner.max()) + 1, len(eligible)), how)


def _eligible(layout: Layout) -> IntArray:
    """Levels that at least two donors have."""
    levels = np.unique(layout.level[layout.level >= 0])
    owners = [len(np.unique(layout.owner[layout.level == one])) for one in levels]
    return levels[np.asarray(owners, int) >= LEAST_OWNERS]


def _shuffle_levels(
    level: IntArray, owner: IntArray, nested: bool, key: tuple[int, str, int]
) -> IntArray:
    """Exchange levels between donors, or between the wells of each donor: ``(W,)``."""
    seed, variable, number = key
    if nested:
        _, first, member = np.unique(owner, return_index=True, return_inverse=True)
        order = counters.permutation(len(first), "levels", variable, seed, number)
        return level[first][order][member]
    words = counters.raw_words(len(level), "levels", variable, seed, number)
    places = np.argsort(owner, kind="stable")
    givers = np.lexsort((words, owner))
    moved = np.empty_like(level)
    moved[places] = level[givers]
    return moved


def _right_by_level(
    features: F32,
    well: IntArray,
    owner: IntArray,
    shuffles: IntArray,
    n_levels: int,
    seed: int,
) -> FloatArray:
    """Images of every well that are put into the well's level: ``(shuffles, wells)``."""
    n_wells = shuffles.shape[1]
    fold_of_owner = counters.permutation(int(owner.max()) + 1, "folds", seed) % _FOLDS
    fold = fold_of_owner[owner]
    right = np.zeros(shuffles.shape)
    images = np.bincount(well, minlength=n_wells).astype(float)
    for number in np.unique(fold):
        test_well = fold == number
        test = np.flatnonzero(test_well[well])
        train = np.flatnonzero(~test_well[well])
        mean, whitening = _find_whitening(features[train])
        sums = np.zeros((n_wells, whitening.shape[1]))
        np.add.at(sums, well[train], (features[train] - mean) @ whitening)
        tested = (features[test] - mean) @ whitening
        known = np.where(test_well, 0.0, images)
        for start in range(0, len(shuffles), _SHUFFLES_AT_ONCE):
            some = shuffles[start : start + _SHUFFLES_AT_ONCE]
            called = _call_levels(tested, sums, known, some, n_levels)
            for row, calls in enumerate(called):
                hit = calls == some[row][well[test]]
                right[start + row] += np.bincount(well[test], hit, n_wells)
    return right


def _find_whitening(train: F32) -> tuple[F32, FloatArray]:
    """Mean, and the matrix that makes the shrunken covariance of the training images unity."""
    mean = train.mean(axis=0)
    covariance, _ = ledoit_wolf(train - mean, assume_centered=True)
    values, vectors = np.linalg.eigh(covariance)
    scale = 1.0 / np.sqrt(np.maximum(values, 1e-9 * max(float(values[-1]), 1e-30)))
    return mean, vectors * scale


def _call_levels(
    tested: NDArray[np.floating],
    sums: FloatArray,
    images: FloatArray,
    shuffles: IntArray,
    n_levels: int,
) -> IntArray:
    """Nearest level mean of every tested image for every shuffle, ``(shuffles, images)``."""
    member = (shuffles[:, None, :] == np.arange(n_levels)[None, :, None]).astype(float)
    count = member @ images
    centers = (member @ sums) / np.maximum(count, 1.0)[..., None]
    score = np.einsum("if,plf->pil", tested, centers, optimize=True)
    score -= 0.5 * (centers**2).sum(axis=-1)[:, None, :]
    score = np.where(count[:, None, :] > 0, score, -np.inf)
    return np.asarray(score.argmax(axis=-1))


def _score_levels(right: FloatArray, images: IntArray, shuffles: IntArray) -> FloatArray:
    """Mean over the levels of the share of images put right, ``(shuffles,)``."""
    scores = np.zeros(len(shuffles))
    for number, level in enumerate(shuffles):
        present = np.unique(level)
        hits = np.bincount(level, right[number])[present]
        scores[number] = (hits / np.bincount(level, images)[present]).mean()
    return scores


def _judge(
    variable: str, scores: FloatArray, sizes: tuple[int, int, int], how: Shuffled
) -> VariableFacts:
    n_images, n_groups, n_levels = sizes
    observed, null = float(scores[0]), scores[1:]
    low, high = bound_null(null)
    p_value = compare_with_null(observed, null)
    return VariableFacts(
        variable=variable,
        n_images=n_images,
        n_groups=n_groups,
        n_levels=n_levels,
        balanced_accuracy=observed,
        chance=1 / n_levels,
        null_low=low,
        null_high=high,
        p_value=p_value,
        n_permutations=len(null),
        shuffled=how,
        verdict="predictable" if p_value <= SIGNIFICANT else "chance",
    )


def _untestable(variable: str, layout: Layout) -> VariableFacts:
    known = layout.level >= 0
    return VariableFacts(
        variable=variable,
        n_images=int(known.sum()),
        n_groups=len(np.unique(layout.owner[known])),
        n_levels=len(np.unique(layout.level[known])),
        balanced_accuracy=None,
        chance=None,
        null_low=None,
        null_high=None,
        p_value=None,
        n_permutations=0,
        shuffled=None,
        verdict="untestable",
    )
