"""Shuffles keep donors and class counts; planted classes give small p, none gives uniform p."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from planted_cohorts import centroid_heads, planted

from hcs.domain.config.stages import Head
from hcs.learn.probes import permutation
from hcs.learn.probes.heads import Cohort, Recipe
from hcs.learn.probes.permutation import (
    draw_heads,
    judge_permutations,
    n_arrangements,
    score_shuffles,
    shuffle_labels,
)
from hcs.words.probes import say_permutation

RECIPE = Recipe(Head(hidden_units=16, dropout=0.0), 5e-2, 0.9, 12, 16, 0)


def groups_of(label, owner):
    label, owner = np.asarray(label), np.asarray(owner)
    features = np.zeros((len(label), 1), np.float32)
    return Cohort(features, np.arange(len(label)), label, owner, int(label.max()) + 1, 1)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_shuffle_keeps_donors_together_and_class_counts(data):
    sizes = data.draw(st.lists(st.integers(1, 3), min_size=2, max_size=8))
    owner = np.repeat(np.arange(len(sizes)), sizes)
    of_donor = np.array(
        data.draw(st.lists(st.integers(0, 2), min_size=len(sizes), max_size=len(sizes)))
    )
    cohort = groups_of(of_donor[owner], owner)
    cohort = replace(cohort, n_classes=3)
    shuffled = shuffle_labels(cohort, data.draw(st.integers(1, 50)), seed=1)
    assert (
        np.bincount(shuffled, minlength=3).tolist()
        == np.bincount(cohort.label, minlength=3).tolist()
    )
    assert all(len(np.unique(shuffled[owner == one])) == 1 for one in np.unique(owner))


def test_a_donor_with_both_classes_keeps_both():
    cohort = groups_of([0, 1, 0, 1, 0, 1], [0, 0, 1, 1, 2, 2])
    seen = {tuple(shuffle_labels(cohort, n, 0).tolist()) for n in range(60)}
    assert all(row[0] != row[1] and row[2] != row[3] and row[4] != row[5] for row in seen)
    assert len(seen) == 8 == n_arrangements(cohort)


def test_number_zero_is_the_real_labels_and_others_differ():
    cohort = groups_of([0, 1] * 6, range(12))
    assert shuffle_labels(cohort, 0, 3).tolist() == cohort.label.tolist()
    rows = {tuple(shuffle_labels(cohort, n, 3).tolist()) for n in range(1, 101)}
    assert len(rows) > 85
    assert n_arrangements(cohort) == math.comb(12, 6)


def test_all_arrangements_are_equally_likely():
    cohort = groups_of([0, 0, 1, 1], range(4))
    drawn = [tuple(shuffle_labels(cohort, n, 0).tolist()) for n in range(1, 1201)]
    counts = [drawn.count(row) for row in set(drawn)]
    assert len(counts) == 6
    assert max(abs(count - 200) for count in counts) < 5 * math.sqrt(200)


@pytest.mark.parametrize("per_donor", [pytest.param(1, id="clones"), pytest.param(2, id="donors")])
def test_drawn_splits_are_balanced_and_share_no_donor(per_donor):
    made = planted(clones=8, clones_per_donor=per_donor, counts=(4, 2, 2), images=3)
    cohort = made.cohort
    for number in (0, 1, 2):
        label = shuffle_labels(cohort, number, 0)
        for head in draw_heads(cohort, made.splits.counts, 4, number, 0):
            train = np.unique(cohort.group[head.train_rows])
            test = np.unique(cohort.group[head.test_rows])
            assert not set(cohort.owner[train]) & set(cohort.owner[test])
            assert np.bincount(label[train]).tolist() == [4, 4]
            assert np.bincount(label[test]).tolist() == [2, 2]
            assert head.labels.tolist() == label[cohort.group].tolist()


def test_separable_classes_have_the_smallest_p():
    made = planted(signal=8.0, images=4, features=6)
    aucs = score_shuffles(made.cohort, made.splits.counts, RECIPE, 8, range(30))
    found = judge_permutations(made.cohort, aucs, 8, RECIPE.epochs)
    assert found.observed > 0.95
    assert found.p_value == pytest.approx(1 / 30)
    assert found.null_mean == pytest.approx(0.5, abs=0.12)
    assert "more than chance" in say_permutation(found).sentence
    assert "not tuned" in say_permutation(found).sentence


def test_blocks_of_shuffles_give_what_one_block_gives():
    made = planted(signal=1.0, images=4)
    arguments = (made.cohort, made.splits.counts, RECIPE, 8)
    whole = score_shuffles(*arguments, range(4))
    parts = [*score_shuffles(*arguments, range(2)), *score_shuffles(*arguments, range(2, 4))]
    assert parts == pytest.approx(whole, abs=1e-6)


def test_without_a_difference_p_is_uniform(monkeypatch):
    monkeypatch.setattr(permutation, "score_heads", centroid_heads)
    p_values = []
    for seed in range(60):
        made = planted(signal=0.0, clone_spread=1.0, images=3, seed=seed)
        recipe = replace(RECIPE, seed=seed)
        aucs = score_shuffles(made.cohort, made.splits.counts, recipe, 3, range(20))
        p_values.append(judge_permutations(made.cohort, aucs, 3, 1).p_value)
    assert 0.35 < np.mean(p_values) < 0.65
    assert np.mean(np.array(p_values) <= 0.05) <= 0.15
    assert np.mean(np.array(p_values) <= 0.5) > 0.3


def test_few_clones_cannot_reach_a_small_p():
    cohort = groups_of([0, 0, 1, 1], range(4))
    found = judge_permutations(cohort, [1.0] + [0.5] * 99, 1, 1)
    assert found.n_arrangements == 6
    assert "only 6 arrangements" in say_permutation(found).sentence


def test_ties_count_against_the_real_labels_and_nothing_defined_is_said():
    cohort = groups_of([0, 1] * 6, range(12))
    assert judge_permutations(cohort, [0.8, 0.8, 0.5, None], 1, 1).p_value == pytest.approx(0.5)
    nothing = judge_permutations(cohort, [None, 0.5], 1, 1)
    assert nothing.p_value is None
    assert "cannot be compared" in say_permutation(nothing).sentence
