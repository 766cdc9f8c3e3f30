"""How far do background and intensity alone get: a forest that sees no structure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import numpy as np
import pandas as pd

from hcs.domain.columns import Role
from hcs.domain.probing import SIGNIFICANT, BaselineFacts
from hcs.domain.splits import Splits
from hcs.learn.forest import train_forest
from hcs.learn.probes.heads import IntArray, mean_or_none, score_images, sd_or_none
from hcs.learn.scores.intervals import compare_over_splits
from hcs.learn.scores.predictions import roles_of

_INTENSITY: Final = re.compile(r"^Image_(Intensity_|Quality_)")
_STRUCTURE: Final = re.compile(r"^Image_Quality_Debris")
"""Debris is segmented, so it is structure rather than background."""

_TREES: Final = 200
_CHANCE: Final = 0.5


def intensity_columns(table: pd.DataFrame) -> tuple[str, ...]:
    """Choose the numeric columns on intensity, background, noise and focus, in order of name."""
    return tuple(
        name
        for name in sorted(str(column) for column in table.columns)
        if _INTENSITY.match(name)
        and not _STRUCTURE.match(name)
        and pd.api.types.is_numeric_dtype(table[name])
        and table[name].notna().any()
    )


def baseline_auc(
    images: pd.DataFrame, columns: Sequence[str], splits: Splits, split: int, seed: int
) -> float | None:
    """Test AUC by image of a forest on some columns, on one split of the study.

    Parameters
    ----------
    images
        One row an image with the group column and the features; NaN where there is none.
    columns
        Features.
    splits, split
        Which clones train and test.
    seed
        Study seed.

    Returns
    -------
    float or None
        None where a class is missing among the test images.
    """
    roles = roles_of(images, splits, split)
    names = images[splits.group_by].astype(str).map(splits.label_of()).to_numpy()
    features = images[list(columns)].astype(np.float64)
    rows = np.flatnonzero(roles == Role.TRAIN.value)
    forest = train_forest(
        features, names, rows, n_trees=_TREES, min_samples_leaf=5, seed=seed, split=split
    )
    test = roles == Role.TEST.value
    if not test.any():
        return None
    order = [forest.classes_.tolist().index(name) for name in splits.classes]
    probability = forest.predict_proba(features[test])[:, order]
    truth: IntArray = np.array([splits.classes.index(name) for name in names[test]], dtype=int)
    return score_images(truth, probability, splits.classes.index(splits.positive)).auc


def judge_baseline(
    columns: Sequence[str],
    aucs: Sequence[float | None],
    splits: Splits,
    model: tuple[str, float | None] | None,
) -> BaselineFacts:
    """Judge the AUCs over the splits against guessing.

    Parameters
    ----------
    columns
        Features that the forest saw; none means that there were none to see.
    aucs
        One a split.
    splits
        The study's splits.
    model
        Name and mean AUC of the study's model on the same splits.
    """
    known = np.array([value for value in aucs if value is not None], dtype=float)
    ratio = splits.counts.test / splits.counts.train
    test = compare_over_splits(known - _CHANCE, ratio)
    mean = mean_or_none(aucs)
    # Without spread there is no p: every split says the same, a perfect score most of all.
    certain = test.p_value <= SIGNIFICANT if test.p_value is not None else test.n > 1
    informative = certain and (mean or 0.0) > _CHANCE
    name, model_auc = model or (None, None)
    return BaselineFacts(
        features=tuple(columns),
        n_splits=len(known),
        auc_mean=mean,
        auc_sd=sd_or_none(aucs),
        low=None if test.low is None else _CHANCE + test.low,
        high=None if test.high is None else _CHANCE + test.high,
        p_value=test.p_value,
        model=name,
        model_auc=model_auc,
        verdict="untestable" if mean is None else "informative" if informative else "chance",
    )
