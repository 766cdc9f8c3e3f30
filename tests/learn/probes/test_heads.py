"""Projections keep distances, and AUCs are those of scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from hcs.learn.probes.heads import enough_epochs, mean_or_none, projection, score_images, sd_or_none


def test_a_projection_keeps_distances():
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(40, 4000)).astype(np.float32)
    matrix = projection(4000, 512, 0)
    short = vectors @ matrix
    long = np.linalg.norm(vectors[:20] - vectors[20:], axis=1)
    ratio = np.linalg.norm(short[:20] - short[20:], axis=1) / long
    assert ratio == pytest.approx(np.ones(20), abs=0.15)
    assert abs(matrix.mean()) * np.sqrt(512) < 0.005
    assert np.array_equal(matrix, projection(4000, 512, 0))
    assert not np.array_equal(matrix, projection(4000, 512, 1))


def test_short_vectors_are_left_alone():
    assert projection(512, 512, 0) is None


@pytest.mark.parametrize(
    ("n_images", "epochs"),
    [pytest.param(4500, 4, id="study"), pytest.param(320, 60, id="small"), pytest.param(3, 64)],
)
def test_epochs_give_enough_steps(n_images, epochs):
    assert enough_epochs(n_images, 32) == epochs


def test_scores():
    rng = np.random.default_rng(1)
    p = rng.dirichlet([1, 1], 30)
    truth = rng.integers(0, 2, 30)
    found = score_images(truth, p, 1)
    assert found.auc == pytest.approx(roc_auc_score(truth, p[:, 1]))
    assert found.accuracy == pytest.approx(((p[:, 1] > 0.5) == truth).mean())
    p3, truth3 = rng.dirichlet([1, 1, 1], 60), rng.integers(0, 3, 60)
    expected = roc_auc_score(truth3, p3, multi_class="ovr")
    assert score_images(truth3, p3, 0).auc == pytest.approx(expected)


def test_what_is_not_defined():
    p = np.full((4, 2), 0.5)
    assert score_images(np.zeros(4, int), p, 1).auc is None
    assert score_images(np.array([0, 1, 0, 1]), p * np.nan, 1).accuracy is None
    assert score_images(np.zeros(0, int), p[:0], 1).auc is None
    assert mean_or_none([None]) is None
    assert mean_or_none([None, 1.0, 0.0]) == 0.5
    assert sd_or_none([1.0, None]) is None
    assert sd_or_none([1.0, 2.0]) == pytest.approx(np.sqrt(0.5))
