"""The baseline as a stage: importance on test images, classes compared, new tables scored."""

from __future__ import annotations

import json
import shutil
import warnings

import numpy as np
import pandas as pd
import pytest
from planted_cohorts import planted

from hcs.domain import columns as col
from hcs.domain.config.stages import ForestConfig, ScoreConfig
from hcs.errors import StaleError
from hcs.io.files.parquet import write_table
from hcs.planes.definitions import FEATURES_FORMAT
from hcs.stages import forest, predict

COLUMNS = {
    "Image_Neurite_Beading": 0,
    "Image_Count_Cells": 1,
    "Image_Soma_MeanArea_um2": 2,
    "Image_Neurite_TotalLength_um": 3,
}
"""Feature columns, and which planted vector fills each; the first tells the classes apart."""


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Folder with features and splits of a cohort in which one feature differs."""
    folder = tmp_path_factory.mktemp("forest")
    made = planted(clones=6, images=8, features=4, signal=2.5, clone_spread=0.2, n_splits=6)
    frame = made.frame.copy()
    for name, index in COLUMNS.items():
        frame[name] = np.asarray(made.cohort.features)[:, index]
    frame.to_parquet(folder / "features.parquet")
    (folder / "splits.json").write_text(made.splits.to_json())
    return folder


def config_of(study, **more):
    given = {
        "features": str(study / "features.parquet"),
        "splits": str(study / "splits.json"),
        "out": str(study / "forest"),
        "feature_set": "full",
        "n_trees": 30,
    }
    return ForestConfig.model_validate(given | more)


@pytest.fixture(scope="module")
def finished(study):
    return forest.run(config_of(study))


def test_the_planted_feature_is_the_most_important(study, finished):
    table = pd.read_parquet(study / "forest" / forest.IMPORTANCE)
    assert table["feature"].iloc[0] == "Image_Neurite_Beading"
    assert table["importance_mean"].iloc[0] > 5 * table["importance_mean"].iloc[1]
    assert set(table["n_splits"]) == {6}
    assert finished.summary["most important"].startswith("Image_Neurite_Beading")


def test_classes_are_compared_on_clone_means(study, finished):
    table = pd.read_parquet(study / "forest" / forest.GROUPS).set_index("feature")
    assert set(table["n_positive"]) == {6}
    planted_row = table.loc["Image_Neurite_Beading"]
    assert planted_row["welch_p_holm"] < 0.001
    assert planted_row["student_p_holm"] >= planted_row["student_p"]
    assert planted_row["g_ci_low"] < planted_row["hedges_g"] < planted_row["g_ci_high"]
    assert table["mann_whitney_p_holm"].drop("Image_Neurite_Beading").min() > 0.05


def test_importance_can_be_left_out(study):
    result = forest.run(config_of(study, out=str(study / "quick"), importance_repeats=0))
    assert pd.read_parquet(study / "quick" / forest.IMPORTANCE)["importance_mean"].isna().all()
    assert result.summary["most important"].startswith("not known")
    json.loads((study / "quick" / "manifest.json").read_text())


def test_new_tables_are_scored_as_the_study_was(study, finished, tmp_path, cluster):
    config = ScoreConfig(
        models=str(study / "forest"),
        features=str(study / "features.parquet"),
        out=str(tmp_path / "scores.parquet"),
    )
    here = pd.read_parquet(predict.run_forests(config).out)
    there = pd.read_parquet(predict.run_forests(config, cluster).out)
    pd.testing.assert_frame_equal(here, there)
    of_study = pd.read_parquet(study / "forest" / "predictions.parquet")
    keys = [col.SPLIT, *col.IMAGE_KEY]
    pd.testing.assert_frame_equal(
        here.sort_values(keys, ignore_index=True), of_study.sort_values(keys, ignore_index=True)
    )


def test_a_table_without_a_feature_is_refused(study, finished, tmp_path):
    short = tmp_path / "short.parquet"
    pd.read_parquet(study / "features.parquet").drop(columns="Image_Count_Cells").to_parquet(short)
    config = ScoreConfig(
        models=str(study / "forest"), features=str(short), out=str(tmp_path / "s.parquet")
    )
    with pytest.raises(StaleError, match="Image_Count_Cells"):
        predict.run_forests(config)


def test_pycytominer_takes_the_table_as_it_stands(study):
    pycytominer = pytest.importorskip("pycytominer")
    frame = pd.read_parquet(study / "features.parquet")
    named = [name for name in frame.columns if name.startswith("Image_")]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # theirs
        normalized = pycytominer.normalize(
            str(study / "features.parquet"),
            features=named,
            image_features=True,
            method="mad_robustize",
        )
        selected = pycytominer.feature_select(
            normalized, features=named, image_features=True, operation="variance_threshold"
        )
    assert len(normalized) == len(frame)
    assert set(named) <= set(normalized.columns)
    assert [name for name in selected.columns if name.startswith("Metadata_")]


def test_forests_of_former_definitions_are_refused(study, finished, tmp_path):
    table = tmp_path / "measured.parquet"
    rows = pd.read_parquet(study / "features.parquet")
    write_table(table, rows, {"stage": "features", "features_format": FEATURES_FORMAT})
    models = tmp_path / "forest"
    shutil.copytree(study / "forest", models)
    manifest = json.loads((models / "manifest.json").read_text())
    del manifest["features_format"]
    (models / "manifest.json").write_text(json.dumps(manifest))
    config = ScoreConfig(models=str(models), features=str(table), out=str(tmp_path / "s.parquet"))
    with pytest.raises(StaleError, match="train the forests again"):
        predict.run_forests(config)
