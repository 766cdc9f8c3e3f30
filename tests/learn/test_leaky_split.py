"""Where clones differ and classes do not, one clone on both sides scores; whole clones do not."""

from __future__ import annotations

import numpy as np
import pytest
from planted_cohorts import planted
from sklearn.metrics import roc_auc_score

from hcs.domain.config.stages import Head
from hcs.learn.heads.training import HeadJob, predict_heads, train_heads
from hcs.learn.heads.weights import HeadRecipe

# Keras copies TensorFlow variables in a way that NumPy 2 deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def test_splitting_by_image_finds_a_class_difference_that_is_not_there():
    cohort = planted(clones=10, images=12, features=24, signal=0.0, clone_spread=1.5).cohort
    labels = cohort.label[cohort.group]
    by_class = [np.flatnonzero(cohort.label == value) for value in (0, 1)]

    def mean_auc(shares_clones):
        rng = np.random.default_rng(0)
        jobs, tests = [], []
        for split in range(6):
            if shares_clones:  # as a program does that knows nothing of clones
                tested = rng.random(len(labels)) < 0.25
            else:
                held = np.concatenate([rng.choice(own, 3, replace=False) for own in by_class])
                tested = np.isin(cohort.group, held)
            train, test = np.flatnonzero(~tested), np.flatnonzero(tested)
            jobs.append(HeadJob(split, 0, train, train[:0], 1e-2, 0.9))
            tests.append(test)
        features = cohort.features.astype(np.float32)
        trained = train_heads(
            features[:, None], labels, jobs, HeadRecipe(Head(hidden_units=32), 2, 20, 32, 0)
        )
        scores = [
            predict_heads(features[test], one.weights)[0, :, 1]
            for one, test in zip(trained, tests, strict=True)
        ]
        pairs = zip(tests, scores, strict=True)
        return float(np.mean([roc_auc_score(labels[test], score) for test, score in pairs]))

    leaky, honest = mean_auc(shares_clones=True), mean_auc(shares_clones=False)
    assert leaky > 0.9
    assert 0.3 < honest < 0.7
