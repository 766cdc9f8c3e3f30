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
from hcs.learn.probes.arrangements import Arrangements
from hcs.learn.probes.heads import Cohort, Recipe
from hcs.learn.probes.permutation import (
    draw_heads,
    judge_permutations,
    score_arrangements,
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
    among = Arrangements(cohort, data.draw(st.sampled_from([1, 50, 400])), 1)
    shuffled = among.label(data.draw(st.integers(0, among.n - 1)))
    assert (
        np.bincount(shuffled, minlength=3).tolist()
        == np.bincount(cohort.label, minlength=3).tolist()
    )
    assert all(len(np.unique(shuffled[owner == one])) == 1 for one in np.unique(owner))


def test_a_donor_with_both_classes_keeps_both():
    cohort = groups_of([0, 1, 0, 1, 0, 1], [0, 0, 1, 1, 2, 2])
    among = Arrangements(cohort, 7, 0)
    assert among.are_all
    seen = {tuple(among.label(n).tolist()) for n in range(among.n)}
    assert all(row[0] != row[1] and row[2] != row[3] and row[4] != row[5] for row in seen)
    assert len(seen) == 8 == among.n_possible


def test_number_zero_is_the_real_labels_and_others_differ():
    cohort = groups_of([0, 1] * 6, range(12))
    among = Arrangements(cohort, 100, 3)
    assert among.label(0).tolist() == cohort.label.tolist()
    rows = {tuple(among.label(n).tolist()) for n in range(1, 101)}
    assert len(rows) > 85
    assert (among.n_possible, among.n, among.are_all) == (math.comb(12, 6), 101, False)


def test_shuffles_are_equally_likely():
    cohort = groups_of([0, 0, 0, 1, 1, 1], range(6))
    among = Arrangements(cohort, 18, 0)  # one too few to take all
    drawn = [tuple(among.label(n).tolist()) for n in range(1, 4001)]
    counts = [drawn.count(row) for row in set(drawn)]
    assert len(counts) == 20
    assert max(abs(count - 200) for count in counts) < 5 * math.sqrt(200)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 2), min_size=2, max_size=6), st.data())
def test_few_arrangements_are_taken_each_once(labels, data):
    owner = data.draw(st.lists(st.integers(0, 5), min_size=len(labels), max_size=len(labels)))
    cohort = replace(groups_of(labels, owner), n_classes=3)
    among = Arrangements(cohort, 1000, 0)
    rows = [tuple(among.label(n).tolist()) for n in range(among.n)]
    assert rows[0] == tuple(labels)
    assert len(set(rows)) == len(rows) == among.n_possible
    if among.n_possible > 2:
        drawn = Arrangements(cohort, among.n_possible - 2, 0)
        assert {tuple(drawn.label(n).tolist()) for n in range(200)} <= set(rows)


def test_arrangements_alike_but_for_names_bound_p():
    assert Arrangements(groups_of([0, 0, 0, 1, 1, 1], range(6)), 200, 0).n_alike == 2
    assert Arrangements(groups_of([0, 0, 1, 1, 1], range(5)), 200, 0).n_alike == 1
    assert Arrangements(groups_of([0, 1, 2], range(3)), 200, 0).n_alike == 6
    assert Arrangements(groups_of([0, 1, 0, 1], [0, 0, 1, 1]), 200, 0).n_alike == 2


@pytest.mark.parametrize("seed", range(6))
def test_with_three_clones_a_class_p_does_not_depend_on_the_seed(seed):
    """Six seeds gave 0.005 to 0.134 where 20 arrangements allow no less than 0.1."""
    made = planted(signal=30.0, clones=3, counts=(1, 1, 1), images=4, features=6)
    among = Arrangements(made.cohort, 200, seed)
    recipe = replace(RECIPE, seed=seed)
    aucs = score_arrangements(among, made.splits.counts, recipe, 9, range(among.n))
    found = judge_permutations(among, aucs, 9, RECIPE.epochs)
    assert (found.n_permutations, found.n_arrangements, found.are_all) == (19, 20, True)
    assert found.p_value in (pytest.approx(0.1), pytest.approx(0.15))  # a tie at the most
    assert "all 19 other arrangements" in say_permutation(found).sentence
    assert "p cannot fall below 0.1" in say_permutation(found).sentence


@pytest.mark.parametrize("per_donor", [pytest.param(1, id="clones"), pytest.param(2, id="donors")])
def test_drawn_splits_are_balanced_and_share_no_donor(per_donor):
    made = planted(clones=8, clones_per_donor=per_donor, counts=(4, 2, 2), images=3)
    cohort = made.cohort
    among = Arrangements(cohort, 50, 0)
    for number in (0, 1, 2):
        label = among.label(number)
        for head in draw_heads(cohort, label, made.splits.counts, 4, 0):
            train = np.unique(cohort.group[head.train_rows])
            test = np.unique(cohort.group[head.test_rows])
            assert not set(cohort.owner[train]) & set(cohort.owner[test])
            assert np.bincount(label[train]).tolist() == [4, 4]
            assert np.bincount(label[test]).tolist() == [2, 2]
            assert head.labels.tolist() == label[cohort.group].tolist()


def test_separable_classes_have_the_smallest_p():
    made = planted(signal=8.0, images=4, features=6)
    among = Arrangements(made.cohort, 29, 0)
    aucs = score_arrangements(among, made.splits.counts, RECIPE, 8, range(30))
    found = judge_permutations(among, aucs, 8, RECIPE.epochs)
    assert found.observed > 0.95
    assert found.p_value == pytest.approx(1 / 30)
    assert found.null_mean == pytest.approx(0.5, abs=0.12)
    assert "more than chance" in say_permutation(found).sentence
    assert "not tuned" in say_permutation(found).sentence


def test_blocks_of_shuffles_give_what_one_block_gives():
    made = planted(signal=1.0, images=4)
    arguments = (Arrangements(made.cohort, 9, 0), made.splits.counts, RECIPE, 8)
    whole = score_arrangements(*arguments, range(4))
    blocks = [score_arrangements(*arguments, block) for block in (range(2), range(2, 4))]
    parts = [auc for block in blocks for auc in block]
    assert parts == pytest.approx(whole, abs=1e-6)


def test_without_a_difference_p_is_uniform(monkeypatch):
    monkeypatch.setattr(permutation, "score_heads", centroid_heads)
    p_values = []
    for seed in range(60):
        made = planted(signal=0.0, clone_spread=1.0, images=3, seed=seed)
        recipe = replace(RECIPE, seed=seed)
        among = Arrangements(made.cohort, 19, seed)
        aucs = score_arrangements(among, made.splits.counts, recipe, 3, range(20))
        p_values.append(judge_permutations(among, aucs, 3, 1).p_value)
    assert 0.35 < np.mean(p_values) < 0.65
    assert np.mean(np.array(p_values) <= 0.05) <= 0.15
    assert np.mean(np.array(p_values) <= 0.5) > 0.3


def test_ties_count_against_the_real_labels_and_nothing_defined_is_said():
    cohort = groups_of([0, 1] * 6, range(12))
    among = Arrangements(cohort, 3, 0)
    assert judge_permutations(among, [0.8, 0.8, 0.5, None], 1, 1).p_value == pytest.approx(0.5)
    nothing = judge_permutations(among, [None, 0.5], 1, 1)
    assert nothing.p_value is None
    assert "cannot be compared" in say_permutation(nothing).sentence
