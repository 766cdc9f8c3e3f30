"""Cohorts of feature vectors with a planted difference between classes, batches and clones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from hcs.domain.splits import Group
from hcs.learn.probes.heads import Cohort, HeadScore
from hcs.learn.splits.drawing import make_splits


@dataclass(frozen=True)
class Planted:
    """A cohort, its splits, and one row an image with the usual metadata."""

    cohort: Cohort
    splits: object
    frame: pd.DataFrame


def planted(
    *,
    clones=6,
    images=8,
    features=16,
    signal=0.0,
    clone_spread=0.5,
    batch_effect=0.0,
    crossed=True,
    clones_per_donor=1,
    seed=0,
    counts=(3, 1, 1),
    n_splits=12,
):
    """Draw clones of two classes; ``signal`` and ``batch_effect`` shift one feature each.

    Crossed: half of every clone's wells stand in each of two batches. Else every clone stands in
    one batch, chosen so that each class is in both.
    """
    rng = np.random.default_rng(seed)
    n_groups = 2 * clones
    label = np.arange(n_groups) % 2
    names = [f"C{number:02d}" for number in range(n_groups)]
    donors = [f"D{number // (2 * clones_per_donor)}-{number % 2}" for number in range(n_groups)]
    group = np.repeat(np.arange(n_groups), images)
    image = np.tile(np.arange(images), n_groups)
    batch = (image * 2 // images) if crossed else (group // 2) % 2
    vectors = rng.normal(size=(n_groups * images, features))
    vectors += clone_spread * rng.normal(size=(n_groups, features))[group]
    vectors[:, 0] += signal * label[group]
    vectors[:, 1] += batch_effect * batch
    order = rng.permutation(n_groups)
    well_number = order[group] * 2 + image * 2 // images
    wells = [f"{chr(65 + n % 8)}{n // 8 + 1:02d}" for n in well_number]
    frame = pd.DataFrame(
        {
            "Metadata_Plate": "P1",
            "Metadata_Well": wells,
            "Metadata_Site": image,
            "Metadata_Clone": [names[g] for g in group],
            "Metadata_Donor": [donors[g] for g in group],
            "Metadata_Diagnosis": np.array(["control", "als"])[1 - label[group]],
            "Metadata_Batch": [f"B{b}" for b in batch],
        }
    )
    classes = ("als", "control")
    groups = [
        Group(
            name=names[g],
            label=classes[label[g]],
            donor=donors[g] if clones_per_donor > 1 else None,
            n_images=images,
        )
        for g in range(n_groups)
    ]
    frame["Metadata_Diagnosis"] = [classes[label[g]] for g in group]
    splits = make_splits(
        groups,
        group_by="Metadata_Clone",
        label="Metadata_Diagnosis",
        positive="control",
        n_splits=n_splits,
        train=counts[0],
        validation=counts[1],
        test=counts[2],
        seed=seed,
    )
    owner = np.unique(donors, return_inverse=True)[1] if clones_per_donor > 1 else None
    cohort = Cohort(
        features=vectors.astype(np.float32),
        group=group,
        label=label,
        owner=np.arange(n_groups) if owner is None else owner,
        n_classes=2,
        positive=1,
    )
    return Planted(cohort, splits, frame)


def centroid_heads(cohort, heads, recipe, epochs=None):
    """Stand-in for the heads: the difference of class means, thousands of times quicker."""
    for head in heads:
        labels = cohort.image_labels if head.labels is None else head.labels
        x, y = cohort.features[head.train_rows], labels[head.train_rows]
        score = cohort.features[head.test_rows] @ (x[y == 1].mean(0) - x[y == 0].mean(0))
        truth = labels[head.test_rows] == 1
        above = (score[truth][:, None] > score[~truth][None]).mean()
        yield HeadScore(float(above), None)
