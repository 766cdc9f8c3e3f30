"""Roles of scored images: a head has seen a clone it trained on, and all clones of that donor."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from hcs.domain import columns as col
from hcs.domain.splits import Group
from hcs.learn.scores.predictions import prediction_rows, roles_of, rows_of_all_heads
from hcs.learn.splits.drawing import make_splits
from hcs.screen.aggregate import well_scores


@pytest.fixture(scope="module")
def splits():
    """Six clones a class, two of one donor each time."""
    groups = [
        Group(name=f"{label}{i}", label=label, donor=f"D-{label}{i // 2}", n_images=4)
        for label in ("ALS", "control")
        for i in range(6)
    ]
    return make_splits(
        groups,
        group_by=col.CLONE,
        label=col.DIAGNOSIS,
        positive="ALS",
        n_splits=8,
        train=2,
        validation=2,
        test=2,
        seed=0,
    )


def plate(*wells):
    """One image a well: clone and donor, either may be None."""
    clones, donors = zip(*wells, strict=True)
    return pd.DataFrame(
        {
            col.PLATE: "S1",
            col.WELL: [f"A{i + 1:02d}" for i in range(len(wells))],
            col.SITE: 1,
            col.CLONE: pd.array(clones, dtype="string"),
            col.DONOR: pd.array(donors, dtype="string"),
        }
    )


def test_a_clone_of_the_study_has_its_role_in_every_split(splits):
    names = [group.name for group in splits.groups]
    images = plate(*[(name, None) for name in names])
    for split in splits.splits:
        expected = splits.role_of(split.index)
        found = roles_of(images, splits, split.index)
        assert dict(zip(names, found, strict=True)) == {k: v.value for k, v in expected.items()}


def test_another_clone_of_a_donor_counts_as_seen_where_the_donor_was(splits):
    images = plate(("unheard-of", "D-ALS0"), ("unheard-of", "nobody"), (None, None), ("x", None))
    for split in splits.splits:
        roles = splits.role_of(split.index)
        of_donor = {roles["ALS0"].value, roles["ALS1"].value}
        found = roles_of(images, splits, split.index)
        order = ("train", "validation", "test", "unused")
        assert found[0] == min(of_donor, key=order.index)
        assert found[1:].tolist() == ["new"] * 3


def test_all_heads_at_once_give_the_rows_of_each(splits):
    images = plate(("ALS0", None), ("new", None), ("control3", None))
    rng = np.random.default_rng(0)
    scores = rng.dirichlet([1, 1], (len(splits.splits), 3)).astype(np.float32)
    together = rows_of_all_heads(images, scores, splits, "cnn")
    one_by_one = pd.concat(
        [
            prediction_rows(images, scores[position], splits, split.index, "cnn")
            for position, split in enumerate(splits.splits)
        ],
        ignore_index=True,
    )
    pd.testing.assert_frame_equal(together, one_by_one)


def test_no_images_give_no_rows(splits):
    images = plate(("ALS0", None)).iloc[:0]
    scores = np.zeros((len(splits.splits), 0, 2), np.float32)
    rows = rows_of_all_heads(images, scores, splits, "cnn")
    assert len(rows) == 0
    assert {col.MODEL, col.SPLIT, col.ROLE, col.SCORE, col.PLATE} <= set(rows)


def test_only_heads_that_never_saw_clone_or_donor_count_for_a_well(splits):
    images = plate(("ALS0", None), ("unheard-of", "D-ALS0"), ("new", "nobody"))
    # Heads that trained or tuned on the clone or its donor know the answer: they say 1.
    roles = np.stack([roles_of(images, splits, split.index) for split in splits.splits])
    seen = np.isin(roles, ["train", "validation"])
    assert seen[:, :2].any(axis=0).all()
    assert (~seen[:, :2]).any(axis=0).all()
    score = np.where(seen, 1.0, 0.25)
    scores = np.stack([score, 1 - score], axis=2).astype(np.float32)
    wells = well_scores(rows_of_all_heads(images, scores, splits, "cnn"))
    assert wells[col.SCORE].tolist() == [0.25] * 3
    assert wells[col.OUT_OF_FOLD].all()
    assert wells[col.N_SPLITS_USED].tolist() == (~seen).sum(axis=0).tolist()
    assert wells[col.N_SPLITS].tolist() == [len(splits.splits)] * 3
