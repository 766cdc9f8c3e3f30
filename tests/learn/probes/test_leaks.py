"""A planted batch effect is told, none is not, and a clone is never taken for a batch."""

from __future__ import annotations

import numpy as np
import pytest
from planted_cohorts import planted

from hcs.learn.probes.leaks import Layout, probe_variable
from hcs.words.probes import say_variable


def layout(made, level=None):
    wells = made.frame.groupby(["Metadata_Plate", "Metadata_Well"], sort=False).ngroup().to_numpy()
    if level is None:
        level = (made.frame["Metadata_Batch"] == "B1").to_numpy(int)
    return Layout(wells, made.cohort.owner[made.cohort.group], level)


def probed(made, level=None, n_permutations=99, seed=0):
    return probe_variable(
        "Metadata_Batch",
        made.cohort.features,
        layout(made, level),
        n_permutations=n_permutations,
        seed=seed,
    )


@pytest.mark.parametrize(
    ("crossed", "how"),
    [
        pytest.param(True, "within_groups", id="each-clone-in-both-batches"),
        pytest.param(False, "between_groups", id="each-clone-in-one-batch"),
    ],
)
def test_a_batch_effect_is_told(crossed, how):
    found = probed(planted(batch_effect=5.0, crossed=crossed))
    assert found.verdict == "predictable"
    assert found.shuffled == how
    assert found.balanced_accuracy > 0.85
    # Two levels exchanged are as easy to tell, so a shuffle that exchanges them ties.
    assert found.p_value <= 0.03
    assert found.null_low < 0.5 < found.null_high
    assert "tell the batch" in say_variable(found).sentence


@pytest.mark.parametrize("crossed", [True, False])
def test_without_an_effect_false_alarms_are_rare_though_clones_differ(crossed):
    p_values = [
        probed(planted(clone_spread=2.0, crossed=crossed, images=4, seed=s), seed=s).p_value
        for s in range(40)
    ]
    assert np.mean(np.array(p_values) <= 0.05) <= 0.15
    assert 0.3 < np.mean(p_values) < 0.7


def test_a_clone_that_is_recognized_is_no_batch():
    """Clones differ much and stand in one batch each: folds by well would tell all batches."""
    found = [
        probed(planted(clone_spread=4.0, crossed=False, images=4, seed=s), n_permutations=9)
        for s in range(8)
    ]
    assert np.mean([entry.balanced_accuracy for entry in found]) < 0.65


def test_clones_that_fill_one_level_each_cannot_be_told_from_it():
    made = planted()
    found = probed(made, level=made.cohort.group)
    assert found.verdict == "untestable"
    assert "same thing" in say_variable(found).sentence
    assert found.balanced_accuracy is None


def test_one_level_and_none():
    made = planted()
    assert "one batch" in say_variable(probed(made, level=np.zeros(len(made.frame), int))).sentence
    assert (
        "no known batch" in say_variable(probed(made, level=np.full(len(made.frame), -1))).sentence
    )


def test_three_levels_and_unknown_ones():
    made = planted(clones=9, images=4)
    level = made.cohort.group % 3
    made.cohort.features[:, 2] += 6.0 * (level == 1)
    made.cohort.features[:, 3] += 6.0 * (level == 2)
    level = np.where(made.cohort.group == 0, -1, level)
    found = probed(made, level=level)
    assert (found.n_levels, found.n_groups) == (3, 17)
    assert found.balanced_accuracy > 0.9
    assert found.chance == pytest.approx(1 / 3)


def test_more_features_than_images():
    made = planted(features=300, images=4, batch_effect=30.0)
    assert probed(made).verdict == "predictable"
