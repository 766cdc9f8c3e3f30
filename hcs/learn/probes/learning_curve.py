"""Would more clones, or more images, help: the test AUC against the amount of training data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from hcs.domain.columns import Role
from hcs.domain.probing import CurveFacts, CurvePoint
from hcs.domain.splits import Splits
from hcs.learn import counters
from hcs.learn.probes.heads import (
    Cohort,
    HeadTest,
    IntArray,
    Recipe,
    mean_or_none,
    score_heads,
    sd_or_none,
)
from hcs.learn.scores.intervals import compare_over_splits

_POINTS: Final = 5
_MOST_EPOCHS: Final = 8
"""Points with little data get more epochs, so that all take about as many steps; at most this
many times the recipe's."""

Varied = Literal["groups", "images"]


@dataclass(frozen=True, slots=True)
class Amount:
    """How much data one point trains on: groups a class, images a group at most."""

    n_groups: int
    n_images: int


def amounts(varied: Varied, splits: Splits) -> tuple[Amount, ...]:
    """Up to five amounts, evenly spaced on a logarithmic scale, the last one all data.

    Parameters
    ----------
    varied
        ``groups``: from 2 clones a class (1 where there are no more) to all of a split;
        ``images``: from 1 image a clone to all.
    splits
        The study's splits.
    """
    n_groups = splits.counts.train
    n_images = max(1, *(group.n_images for group in splits.groups))
    if varied == "groups":
        return tuple(Amount(n, n_images) for n in _ladder(min(2, n_groups), n_groups))
    return tuple(Amount(n_groups, n) for n in _ladder(1, n_images))


def _ladder(low: int, high: int) -> list[int]:
    return sorted({round(float(step)) for step in np.geomspace(low, high, _POINTS)})


def curve_heads(
    cohort: Cohort, splits: Splits, amount: Amount, n_splits: int, seed: int
) -> list[HeadTest]:
    """Heads of one point: a head a split, trained on a part of its training images.

    Which clones and images are taken is drawn from counters; what a smaller amount takes, a larger
    one takes too. The test clones are always the same.

    Parameters
    ----------
    cohort
        Images; its groups in the order of ``splits.groups``.
    splits
        The study's splits, of which the first ``n_splits`` are used.
    amount
        How much to train on.
    n_splits, seed
        Number of splits, study seed.
    """
    number_of = {group.name: number for number, group in enumerate(splits.groups)}
    heads = []
    for split in splits.splits[:n_splits]:
        members = np.array([number_of[name] for name in split.of(Role.TRAIN)], dtype=int)
        chosen = _some_groups(cohort, members, amount.n_groups, (seed, split.index))
        parts = [_some_rows(cohort, splits, int(group), amount.n_images, seed) for group in chosen]
        tests = np.array([number_of[name] for name in split.of(Role.TEST)], dtype=int)
        heads.append(
            HeadTest(
                split=split.index,
                trial=0,
                train_rows=np.sort(np.concatenate(parts)),
                test_rows=cohort.rows_of(tests),
            )
        )
    return heads


def _some_groups(
    cohort: Cohort, members: IntArray, per_class: int, key: tuple[int, int]
) -> IntArray:
    chosen = []
    for label in range(cohort.n_classes):
        own = np.sort(members[cohort.label[members] == label])
        order = counters.permutation(len(own), "curve groups", *key, label)
        chosen.append(own[order[:per_class]])
    return np.concatenate(chosen)


def _some_rows(cohort: Cohort, splits: Splits, group: int, n_images: int, seed: int) -> IntArray:
    rows = cohort.rows_of(np.array([group]))
    order = counters.permutation(len(rows), "curve images", seed, splits.groups[group].name)
    return rows[order[:n_images]]


def point_epochs(cohort: Cohort, splits: Splits, amount: Amount, recipe: Recipe) -> int:
    """Epochs that give about as many steps as all data would get in the recipe's epochs."""
    sizes = np.bincount(cohort.group, minlength=len(cohort.label))
    everything = splits.counts.train * float(sizes.mean())
    shown = amount.n_groups * float(np.minimum(sizes, amount.n_images).mean())
    steps = [max(1.0, cohort.n_classes * n / recipe.batch_size) for n in (everything, shown)]
    factor = min(float(_MOST_EPOCHS), steps[0] / steps[1])
    return max(1, round(recipe.epochs * factor))


def point_aucs(
    cohort: Cohort, splits: Splits, amount: Amount, n_splits: int, recipe: Recipe
) -> list[float | None]:
    """Test AUC of one point, one a split."""
    heads = curve_heads(cohort, splits, amount, n_splits, recipe.seed)
    epochs = point_epochs(cohort, splits, amount, recipe)
    return [found.auc for found in score_heads(cohort, heads, recipe, epochs)]


def judge_curve(
    varied: Varied,
    found: Sequence[tuple[Amount, int, Sequence[float | None]]],
    splits: Splits,
) -> CurveFacts:
    """Say whether the AUC still rises when the data double.

    Parameters
    ----------
    varied
        What the points differ in.
    found
        Amount, epochs and AUCs by split of every point, the last one with all data.
    splits
        The study's splits.
    """
    points = tuple(
        CurvePoint(
            n_groups=amount.n_groups,
            n_images=amount.n_images,
            epochs=epochs,
            auc_mean=mean_or_none(aucs),
            auc_sd=sd_or_none(aucs),
            n_splits=sum(auc is not None for auc in aucs),
        )
        for amount, epochs, aucs in found
    )
    gain = _gain(varied, found, splits)
    rising = None if gain is None else gain[1] > 0
    return CurveFacts(
        varied=varied,
        points=points,
        gain=None if gain is None else gain[0],
        gain_low=None if gain is None else gain[1],
        gain_high=None if gain is None else gain[2],
        rising=rising,
    )


def _size(varied: Varied, amount: Amount) -> int:
    return amount.n_groups if varied == "groups" else amount.n_images


def _gain(
    varied: Varied,
    found: Sequence[tuple[Amount, int, Sequence[float | None]]],
    splits: Splits,
) -> tuple[float, float, float] | None:
    """All data against the point nearest to half of them: gain with its interval."""
    if len(found) < 2:
        return None
    full = _size(varied, found[-1][0])
    half = min(found[:-1], key=lambda point: abs(np.log(2 * _size(varied, point[0]) / full)))
    pairs = zip(found[-1][2], half[2], strict=True)
    differences = [a - b for a, b in pairs if a is not None and b is not None]
    ratio = splits.counts.test / splits.counts.train
    test = compare_over_splits(np.array(differences, dtype=float), ratio)
    if test.mean is None or test.low is None or test.high is None:
        return None
    return test.mean, test.low, test.high
