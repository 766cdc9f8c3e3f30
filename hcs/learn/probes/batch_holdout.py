"""Does a score carry over to a batch never seen: train on all other batches, test on this one.

No clone (and no donor) of the test images is trained on, in whatever batch it stands. The interval
of the AUC is for other donors in the same batch; how batches differ takes more batches to know.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import pandas as pd

from hcs.domain.columns import Role
from hcs.domain.probing import BatchFacts
from hcs.learn import counters
from hcs.learn.probes.heads import (
    Cohort,
    HeadScore,
    HeadTest,
    IntArray,
    Recipe,
    mean_or_none,
    score_heads,
)
from hcs.learn.scores.pair_auc import pair_auc, pair_auc_interval
from hcs.learn.scores.scored import JUDGED, Scored
from hcs.learn.scores.split_scores import list_judged_classes

_PARTS: Final = 4
_SEEN: Final = 1
"""Trial number of heads that also saw the batch's other clones."""


def batch_parts(cohort: Cohort, batch: IntArray, held_out: int, seed: int) -> list[HeadTest]:
    """Heads that test one batch.

    Where all donors of the batch stand in it alone, one head trains on all other batches and tests
    the whole batch. Otherwise the batch's donors are cut into parts; a head a part trains on the
    other batches without that part's donors.

    Parameters
    ----------
    cohort
        Images and groups.
    batch
        ``(I,)`` number of each image's batch; −1 where it is unknown, which is never used.
    held_out
        Which batch.
    seed
        Study seed.

    Returns
    -------
    list of HeadTest
        Trial 0: without the batch; trial 1: the same test images by a head that also saw the
        batch's other donors. Heads whose training images lack a class are left out.
    """
    owner = cohort.owner[cohort.group]
    inside, elsewhere = batch == held_out, (batch >= 0) & (batch != held_out)
    owners = np.unique(owner[inside])
    returning = np.intersect1d(owners, owner[elsewhere])
    parts = _parts(cohort, owners, (seed, held_out)) if len(returning) else [owners]
    heads = []
    for number, part in enumerate(parts):
        of_part = np.isin(owner, part)
        test = np.flatnonzero(inside & of_part)
        for trial, known in ((0, elsewhere), (_SEEN, elsewhere | inside)):
            train = np.flatnonzero(known & ~of_part)
            has_all = len(np.unique(cohort.image_labels[train])) == cohort.n_classes
            if has_all and len(test) and (trial == 0 or len(parts) > 1):
                heads.append(HeadTest(number, trial, train, test))
    return heads


def _parts(cohort: Cohort, owners: IntArray, key: tuple[int, int]) -> list[IntArray]:
    """Cut donors into up to four parts with all classes alike in each."""
    first = np.array([cohort.label[cohort.owner == owner][0] for owner in owners], dtype=int)
    fewest = min(int((first == label).sum()) for label in np.unique(first))
    n_parts = max(1, min(_PARTS, fewest))
    part = np.zeros(len(owners), int)
    for label in np.unique(first):
        members = np.flatnonzero(first == label)
        order = counters.permutation(len(members), "batch parts", *key, int(label))
        part[members[order]] = np.arange(len(members)) % n_parts
    return [owners[part == number] for number in range(n_parts)]


def hold_out(
    cohort: Cohort, batch: IntArray, held_out: int, name: str, recipe: Recipe
) -> BatchFacts:
    """Test one batch by heads that never saw it; see :func:`batch_parts`."""
    heads = batch_parts(cohort, batch, held_out, recipe.seed)
    found = list(score_heads(cohort, heads, recipe))
    new = [(h, f) for h, f in zip(heads, found, strict=True) if h.trial != _SEEN]
    seen = [f.auc for h, f in zip(heads, found, strict=True) if h.trial == _SEEN]
    rows = np.flatnonzero(batch == held_out)
    low, high, n_donors = _bound(cohort, new)
    trained = [np.unique(cohort.group[head.train_rows]) for head, _ in new]
    return BatchFacts(
        batch=name,
        n_images=len(rows),
        n_groups=len(np.unique(cohort.group[rows])),
        n_train_groups=min((len(groups) for groups in trained), default=0),
        n_parts=len(new),
        auc=mean_or_none([f.auc for _, f in new]),
        accuracy=mean_or_none([f.accuracy for _, f in new]),
        auc_seen=mean_or_none(seen),
        auc_low=low,
        auc_high=high,
        n_donors=n_donors,
    )


def _bound(
    cohort: Cohort, tested: Sequence[tuple[HeadTest, HeadScore]]
) -> tuple[float | None, float | None, int]:
    """Interval of the AUC over the batch's donors, and how many the smallest class has."""
    parts = [(h.split, h.test_rows, f.probability) for h, f in tested if f.auc is not None]
    known = [(n, rows, p) for n, rows, p in parts if p is not None]
    if not known:
        return None, None, 0
    rows = np.concatenate([rows for _, rows, _ in known])
    scored = Scored(
        model="batch",
        split=np.repeat([number for number, _, _ in known], [len(rows) for _, rows, _ in known]),
        role=np.full(len(rows), JUDGED.index(Role.TEST)),
        group=cohort.group[rows],
        well=rows,
        image=rows,
        truth=cohort.image_labels[rows],
        probability=np.concatenate([p for _, _, p in known]).astype(float),
    )
    chosen = list_judged_classes(cohort.n_classes, cohort.positive)
    pairs = [pair_auc(scored, label, len(cohort.label)) for label in chosen]
    owner = cohort.owner[scored.group]
    classes = range(cohort.n_classes)
    n_donors = min(len(np.unique(owner[scored.truth == label])) for label in classes)
    ends = pair_auc_interval(pairs, cohort.owner, n_donors)
    return (None, None, n_donors) if ends is None else (*ends, n_donors)


def batches_of(names: Sequence[str | None]) -> tuple[IntArray, tuple[str, ...]]:
    """Give each image's batch a number, in order of name; −1 where the name is missing."""
    known = sorted({str(name) for name in names if not pd.isna(name)})
    position = {name: number for number, name in enumerate(known)}
    return np.array([position.get(str(name), -1) for name in names], dtype=int), tuple(known)
