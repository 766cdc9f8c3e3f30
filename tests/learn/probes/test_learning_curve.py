"""Subsets are nested, test clones stay the same, and the planted curve rises."""

from __future__ import annotations

import numpy as np
import pytest
from planted_cohorts import planted

from hcs.domain.columns import Role
from hcs.domain.config.stages import Head
from hcs.learn.probes.heads import Recipe
from hcs.learn.probes.learning_curve import (
    Amount,
    amounts,
    curve_heads,
    judge_curve,
    point_aucs,
    point_epochs,
)
from hcs.words.probes import say_curve

RECIPE = Recipe(Head(hidden_units=16, dropout=0.0), 5e-2, 0.9, 12, 16, 0)


@pytest.fixture(scope="module")
def made():
    return planted(
        clones=13,
        images=4,
        signal=2.0,
        clone_spread=1.0,
        features=24,
        counts=(8, 1, 4),
        n_splits=16,
    )


def test_amounts_end_with_everything(made):
    groups = amounts("groups", made.splits)
    assert (groups[0], groups[-1]) == (Amount(2, 4), Amount(8, 4))
    images = amounts("images", made.splits)
    assert [a.n_images for a in images] == [1, 2, 3, 4] or images[-1] == Amount(8, 4)
    assert groups[-1] == images[-1]


def test_smaller_sets_are_part_of_larger_ones_and_tests_are_the_same(made):
    small = curve_heads(made.cohort, made.splits, Amount(2, 2), 4, 0)
    large = curve_heads(made.cohort, made.splits, Amount(4, 3), 4, 0)
    full = curve_heads(made.cohort, made.splits, Amount(8, 4), 4, 0)
    for split, (s, m, f) in enumerate(zip(small, large, full, strict=True)):
        assert set(s.train_rows) < set(m.train_rows) < set(f.train_rows)
        assert s.test_rows.tolist() == m.test_rows.tolist() == f.test_rows.tolist()
        assert not set(f.train_rows) & set(f.test_rows)
        assert len(s.train_rows) == 2 * 2 * 2
        of_split = {f"C{g:02d}" for g in made.cohort.group[f.train_rows]}
        assert of_split == set(made.splits.splits[split].of(Role.TRAIN))


def test_less_data_get_more_epochs_up_to_a_limit(made):
    assert point_epochs(made.cohort, made.splits, Amount(8, 4), RECIPE) == 12
    assert point_epochs(made.cohort, made.splits, Amount(4, 4), RECIPE) == 24
    assert point_epochs(made.cohort, made.splits, Amount(1, 1), RECIPE) == 48


def test_the_curve_rises_where_clones_differ(made):
    points = [
        (amount, 4, point_aucs(made.cohort, made.splits, amount, 16, RECIPE))
        for amount in (Amount(1, 4), Amount(8, 4))
    ]
    found = judge_curve("groups", points, made.splits)
    assert found.points[1].auc_mean > found.points[0].auc_mean + 0.05
    assert found.points[0].n_splits == 16


def test_words_follow_the_numbers(made):
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 0.01, 16)
    rising = judge_curve(
        "groups",
        [(Amount(4, 4), 8, (0.6 + noise).tolist()), (Amount(8, 4), 4, (0.9 - noise).tolist())],
        made.splits,
    )
    assert rising.rising
    assert rising.gain == pytest.approx(0.3, abs=0.02)
    assert "more clones would help" in say_curve(rising).sentence
    flat = judge_curve(
        "images",
        [(Amount(8, 2), 8, (0.8 + noise).tolist()), (Amount(8, 4), 4, (0.8 - noise).tolist())],
        made.splits,
    )
    assert flat.rising is False
    assert "images a clone" in say_curve(flat).sentence
    none = judge_curve("images", [(Amount(8, 1), 4, [0.5])], made.splits)
    assert none.rising is None
    assert "too small" in say_curve(none).sentence
