"""Is a score more than chance: the same training with labels shuffled between clones.

Images are never shuffled, only the labels of whole clones, and clones of one donor stay together.
Everything that depends on the labels is done anew for each shuffle, the drawing of balanced splits
too, so that the real labels are one arrangement among equals.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np

from hcs.domain.columns import Role
from hcs.domain.probing import PermutationFacts
from hcs.domain.splits import RoleCounts
from hcs.learn import counters
from hcs.learn.probes.heads import Cohort, HeadTest, IntArray, Recipe, mean_or_none, score_heads
from hcs.learn.splits.designs import donor_design, even_design
from hcs.ops.chance import bound_null, compare_with_null

_CHANCE: Final = 0.5


def shuffle_labels(cohort: Cohort, number: int, seed: int) -> IntArray:
    """Shuffle the labels between groups.

    Donors of one class exchange their label with donors that have as many groups, so that every
    class keeps its number of groups. A donor with groups of several classes keeps them, and
    exchanges the labels among them.

    Parameters
    ----------
    cohort
        Groups with label and donor.
    number
        Number of the shuffle; 0 gives the labels as they are.
    seed
        Study seed.

    Returns
    -------
    ndarray
        ``(G,)`` classes.
    """
    label = cohort.label.copy()
    if number == 0:
        return label
    pure, mixed = _donors(cohort)
    for owner in mixed:
        members = np.flatnonzero(cohort.owner == owner)
        order = counters.permutation(len(members), "shuffle within", seed, number, owner)
        label[members] = cohort.label[members[order]]
    for size, owners in pure.items():
        order = counters.permutation(len(owners), "shuffle", seed, number, size)
        for owner, giver in zip(owners, np.asarray(owners)[order], strict=True):
            label[cohort.owner == owner] = cohort.label[cohort.owner == giver][0]
    return label


def n_arrangements(cohort: Cohort) -> int:
    """Count the different ways in which :func:`shuffle_labels` can give out the labels."""
    pure, mixed = _donors(cohort)
    exchanged = [
        [int(cohort.label[cohort.owner == owner][0]) for owner in owners]
        for owners in pure.values()
    ]
    exchanged += [cohort.label[cohort.owner == owner].tolist() for owner in mixed]
    return math.prod(_multinomial(labels) for labels in exchanged)


def _multinomial(labels: Sequence[int]) -> int:
    repeats = math.prod(math.factorial(count) for count in Counter(labels).values())
    return math.factorial(len(labels)) // repeats


def _donors(cohort: Cohort) -> tuple[dict[int, list[int]], list[int]]:
    """Donors of one class by their number of groups, and donors of several classes."""
    pure: dict[int, list[int]] = {}
    mixed: list[int] = []
    for owner in np.unique(cohort.owner).tolist():
        labels = cohort.label[cohort.owner == owner]
        if len(np.unique(labels)) > 1:
            mixed.append(owner)
        else:
            pure.setdefault(len(labels), []).append(owner)
    return pure, mixed


def draw_heads(
    cohort: Cohort, counts: RoleCounts, n_splits: int, number: int, seed: int
) -> list[HeadTest]:
    """Heads of one shuffle: balanced splits of its labels, a head each.

    Parameters
    ----------
    cohort
        Images and real labels.
    counts
        Groups per class in each role of a split, as in the study. Validation groups stand aside.
    n_splits
        Number of splits.
    number, seed
        Which shuffle.

    Raises
    ------
    ValueError
        When no placement of donors meets the counts; then the study's own splits could not exist.
    """
    label = shuffle_labels(cohort, number, seed)
    key = ("permutation splits", seed, number)
    shape = (n_splits, len(label))
    train, test = np.zeros(shape, bool), np.zeros(shape, bool)
    if len(np.unique(cohort.owner)) < len(label):
        owners, unit_of = np.unique(cohort.owner, return_inverse=True)
        sizes = np.zeros((len(owners), cohort.n_classes), int)
        np.add.at(sizes, (unit_of, label), 1)
        design = donor_design(sizes, n_splits, counts, key)
        train, test = design[Role.TRAIN][:, unit_of], design[Role.TEST][:, unit_of]
    else:
        for value in range(cohort.n_classes):
            members = np.flatnonzero(label == value)
            design = even_design(len(members), n_splits, counts, (*key, value))
            train[:, members] = design[Role.TRAIN]
            test[:, members] = design[Role.TEST]
    of_images = label[cohort.group]
    return [
        HeadTest(
            split=split,
            trial=number,
            train_rows=cohort.rows_of(np.flatnonzero(train[split])),
            test_rows=cohort.rows_of(np.flatnonzero(test[split])),
            labels=of_images,
        )
        for split in range(n_splits)
    ]


def score_shuffles(
    cohort: Cohort, counts: RoleCounts, recipe: Recipe, n_splits: int, numbers: Iterable[int]
) -> list[float | None]:
    """Mean test AUC of every shuffle; the heads of all of them train as one batch.

    Parameters
    ----------
    cohort, counts, n_splits
        As for :func:`draw_heads`.
    recipe
        How heads are trained.
    numbers
        Numbers of the shuffles; 0 is the real labels.
    """
    by_shuffle = [draw_heads(cohort, counts, n_splits, n, recipe.seed) for n in numbers]
    found = score_heads(cohort, [head for heads in by_shuffle for head in heads], recipe)
    return [mean_or_none([next(found).auc for _ in heads]) for heads in by_shuffle]


def judge_permutations(
    cohort: Cohort, aucs: Sequence[float | None], n_splits: int, epochs: int
) -> PermutationFacts:
    """Judge the AUC of the real labels (first) by those of the shuffles (all others).

    A shuffle whose AUC is not defined counts as one half.
    """
    observed = aucs[0] if aucs else None
    null = np.array([_CHANCE if value is None else value for value in aucs[1:]], dtype=float)
    shuffles_donors = len(np.unique(cohort.owner)) < len(cohort.owner)
    p_value = low = high = mean = None
    if len(null):
        mean = float(null.mean())
        low, high = bound_null(null)
    if observed is not None and len(null):
        p_value = compare_with_null(observed, null)
    return PermutationFacts(
        observed=observed,
        null=tuple(null.tolist()),
        null_mean=mean,
        null_low=low,
        null_high=high,
        p_value=p_value,
        n_permutations=len(null),
        n_splits=n_splits,
        epochs=epochs,
        shuffled="donor" if shuffles_donors else "group",
        n_arrangements=n_arrangements(cohort),
    )
