"""No clone and no batch of the test images is trained on; what does not carry over is seen."""

from __future__ import annotations

import numpy as np
import pytest
from planted_cohorts import planted

from hcs.domain.config.stages import Head
from hcs.learn.probes.batch_holdout import batch_parts, batches_of, hold_out
from hcs.learn.probes.heads import Recipe
from hcs.words.probes import say_batch

RECIPE = Recipe(Head(hidden_units=16, dropout=0.0), 5e-2, 0.9, 12, 16, 0)


def batch_of(made):
    return batches_of(made.frame["Metadata_Batch"].tolist())[0]


@pytest.mark.parametrize(
    ("crossed", "per_donor"),
    [
        pytest.param(True, 1, id="crossed"),
        pytest.param(False, 1, id="nested"),
        pytest.param(False, 2, id="donors-in-both-batches"),
    ],
)
def test_no_donor_and_no_batch_is_shared(crossed, per_donor):
    made = planted(clones=8, crossed=crossed, clones_per_donor=per_donor, counts=(4, 2, 2))
    batch = batch_of(made)
    owner = made.cohort.owner[made.cohort.group]
    tested = []
    heads = batch_parts(made.cohort, batch, 1, 0)
    assert heads
    for head in heads:
        assert not set(owner[head.train_rows]) & set(owner[head.test_rows])
        assert set(batch[head.test_rows]) == {1}
        if head.trial == 0:
            assert set(batch[head.train_rows]) == {0}
            tested += head.test_rows.tolist()
    assert sorted(tested) == np.flatnonzero(batch == 1).tolist()
    assert any(head.trial == 1 for head in heads) == (crossed or per_donor > 1)


def test_a_class_difference_carries_over():
    made = planted(signal=5.0, clones=8, counts=(4, 2, 2))
    found = hold_out(made.cohort, batch_of(made), 0, "B0", RECIPE)
    assert found.auc > 0.9
    assert found.auc_seen > 0.9
    assert (found.n_groups, found.n_parts) == (16, 4)
    assert found.n_donors == 8
    assert 0.5 < found.auc_low < found.auc < found.auc_high <= 1
    assert "for other donors in this batch (8 in the smallest class)" in say_batch(found).sentence
    assert "never seen in training" in say_batch(found).sentence


def test_what_turns_around_in_a_batch_does_not_carry_over():
    made = planted(signal=0.0, clones=8, counts=(4, 2, 2), images=16)
    batch, label = batch_of(made), made.cohort.image_labels
    made.cohort.features[:, 0] += np.where(batch == 0, 4.0, -4.0) * label
    made.cohort.features[:, 1] += 6.0 * batch
    found = hold_out(made.cohort, batch, 1, "B1", RECIPE)
    assert found.auc < 0.2
    assert found.auc_seen > found.auc + 0.3


def test_one_class_elsewhere_cannot_train():
    made = planted(crossed=False)
    found = hold_out(made.cohort, made.cohort.image_labels, 1, "B1", RECIPE)
    assert found.auc is None
    assert found.n_parts == 0
    assert "cannot be held out" in say_batch(found).sentence


def test_missing_names_have_no_batch():
    numbers, names = batches_of(["b", None, "a", float("nan")])
    assert (numbers.tolist(), names) == ([1, -1, 0, -1], ("a", "b"))
