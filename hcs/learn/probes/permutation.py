"""Is a score more than chance: the same training with labels shuffled between clones.

Images are never shuffled, only the labels of whole clones, and clones of one donor stay together
(:mod:`hcs.learn.probes.arrangements`). Everything that depends on the labels is done anew for each
arrangement, the placing of its clones in balanced splits too, so that the real labels are one
arrangement among equals. What does not depend on the labels, the plan of the splits and the random
numbers of training, is the same for all: else p would depend on the luck of one training.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np

from hcs.domain.columns import Role
from hcs.domain.probing import PermutationFacts
from hcs.domain.splits import RoleCounts
from hcs.learn.probes.arrangements import Arrangements
from hcs.learn.probes.heads import Cohort, HeadTest, IntArray, Recipe, mean_or_none, score_heads
from hcs.learn.splits.designs import donor_design, even_design
from hcs.ops.chance import bound_null, compare_with_null

_CHANCE: Final = 0.5


def draw_heads(
    cohort: Cohort, label: IntArray, counts: RoleCounts, n_splits: int, seed: int
) -> list[HeadTest]:
    """Heads of one arrangement: balanced splits of its labels, a head each.

    Parameters
    ----------
    cohort
        Images and real labels.
    label
        Classes ``(G,)`` of the arrangement.
    counts
        Groups per class in each role of a split, as in the study. Validation groups stand aside.
    n_splits
        Number of splits.
    seed
        Study seed.

    Raises
    ------
    ValueError
        When no placement of donors meets the counts; then the study's own splits could not exist.
    """
    key = ("permutation splits", seed)
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
            trial=0,
            train_rows=cohort.rows_of(np.flatnonzero(train[split])),
            test_rows=cohort.rows_of(np.flatnonzero(test[split])),
            labels=of_images,
        )
        for split in range(n_splits)
    ]


def score_arrangements(
    among: Arrangements,
    counts: RoleCounts,
    recipe: Recipe,
    n_splits: int,
    numbers: Iterable[int],
) -> list[float | None]:
    """Mean test AUC of some arrangements; the heads of all of them train as one batch.

    Parameters
    ----------
    among
        The arrangements of a cohort with images.
    counts, n_splits
        As for :func:`draw_heads`.
    recipe
        How heads are trained.
    numbers
        Numbers of the arrangements; 0 is the real labels.
    """
    cohort = among.cohort
    by_shuffle = [
        draw_heads(cohort, among.label(number), counts, n_splits, recipe.seed) for number in numbers
    ]
    found = score_heads(cohort, [head for heads in by_shuffle for head in heads], recipe)
    return [mean_or_none([next(found).auc for _ in heads]) for heads in by_shuffle]


def judge_permutations(
    among: Arrangements, aucs: Sequence[float | None], n_splits: int, epochs: int
) -> PermutationFacts:
    """Judge the AUC of the real labels (first) by those of the other arrangements.

    One whose AUC is not defined counts as one half. p is never below what the design allows:
    the share of arrangements that are the real one but for the names of the classes.
    """
    cohort = among.cohort
    observed = aucs[0] if aucs else None
    null = np.array([_CHANCE if value is None else value for value in aucs[1:]], dtype=float)
    shuffles_donors = len(np.unique(cohort.owner)) < len(cohort.owner)
    p_value = low = high = mean = None
    if len(null):
        mean = float(null.mean())
        low, high = bound_null(null)
    if observed is not None and len(null):
        floor = among.n_alike / among.n_possible
        p_value = max(compare_with_null(observed, null), floor)
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
        n_arrangements=among.n_possible,
        n_alike=among.n_alike,
        are_all=among.are_all,
    )
