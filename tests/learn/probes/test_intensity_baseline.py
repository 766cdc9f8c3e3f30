"""Intensity that follows the class is told; intensity that does not is not."""

from __future__ import annotations

import numpy as np
import pytest
from planted_cohorts import planted

from hcs.learn.probes import intensity_baseline
from hcs.learn.probes.intensity_baseline import baseline_auc, intensity_columns, judge_baseline
from hcs.words.probes import say_baseline


def with_intensity(made, shift, seed=0):
    rng = np.random.default_rng(seed)
    n = len(made.frame)
    return made.frame.assign(
        Image_Intensity_Median=rng.normal(size=n) + shift * made.cohort.image_labels,
        Image_Quality_NoiseCounts=rng.normal(size=n),
        Image_Quality_DebrisAreaFraction=rng.normal(size=n),
        Image_Intensity_Empty=np.nan,
        Image_Count_Cells=made.cohort.image_labels,
    )


@pytest.fixture
def few_trees(monkeypatch):
    monkeypatch.setattr(intensity_baseline, "_TREES", 20)


def judged(shift):
    made = planted(images=12, clones=8, counts=(4, 2, 2), n_splits=8)
    images = with_intensity(made, shift)
    columns = intensity_columns(images)
    aucs = [baseline_auc(images, columns, made.splits, split, 0) for split in range(8)]
    return judge_baseline(columns, aucs, made.splits, ("cnn", 0.9))


def test_only_intensity_and_quality_count():
    images = with_intensity(planted(), 0)
    assert intensity_columns(images) == ("Image_Intensity_Median", "Image_Quality_NoiseCounts")


@pytest.mark.usefixtures("few_trees")
def test_stain_that_follows_the_class():
    found = judged(4.0)
    assert found.verdict == "informative"
    assert found.auc_mean > 0.9
    assert "part of any score" in say_baseline(found).sentence
    assert "the cnn has 0.90" in say_baseline(found).sentence


@pytest.mark.usefixtures("few_trees")
def test_stain_that_does_not():
    found = judged(0.0)
    assert found.verdict == "chance"
    assert found.low < 0.5 < found.high


def test_nothing_measured():
    found = judge_baseline((), [], planted().splits, None)
    assert found.verdict == "untestable"
    assert "no measurements" in say_baseline(found).sentence
