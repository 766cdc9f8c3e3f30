"""The forest learns from its rows only, is saved without pickle, and predicts blockwise alike."""

from __future__ import annotations

import pickle

import dask.dataframe as dd
import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.linear_model import LogisticRegression

from hcs.errors import InputError, StaleError, UnknownNameError
from hcs.learn.forest import (
    dump_forest,
    forest_importance,
    load_forest,
    predict_table,
    select_features,
    train_forest,
)

CLASSIC_UM = ("Image_Count_Cells", "Image_Soma_MeanArea_um2", "Image_Neurite_TotalLength_um")
CLASSIC_PX = ("Image_Count_Cells", "Image_Soma_MeanArea_px2", "Image_Neurite_TotalLength_px")


@pytest.fixture(scope="module")
def data():
    """400 images; only the first feature tells the classes apart; some values are missing."""
    rng = np.random.default_rng(0)
    labels = np.repeat(["ALS", "control"], 200)
    table = pd.DataFrame(rng.normal(size=(400, 3)), columns=list(CLASSIC_UM))
    table[CLASSIC_UM[0]] += 2.0 * (labels == "ALS")
    table.loc[::17, CLASSIC_UM[1]] = np.nan
    return table, labels, np.arange(400) % 2 == 0


@pytest.fixture(scope="module")
def forest(data):
    return train_forest(*data, n_trees=40, min_samples_leaf=5, seed=3)


def table_with(*columns):
    return pd.DataFrame({name: [1.0] for name in columns})


def test_classic_features_in_either_unit():
    assert select_features(table_with(*CLASSIC_UM, "Image_X"), "classic") == CLASSIC_UM
    assert select_features(table_with(*CLASSIC_PX), "classic") == CLASSIC_PX
    with pytest.raises(InputError, match="both in µm and in px"):
        select_features(table_with(*CLASSIC_UM, *CLASSIC_PX), "classic")
    with pytest.raises(UnknownNameError, match=r"Image_Soma_MeanArea_um2.*Image_Count_Cells") as e:
        select_features(table_with(CLASSIC_UM[0], CLASSIC_UM[2]), "classic")
    assert "Image_Neurite_TotalLength_um'" in str(e.value)


def test_all_features_leave_out_quality_and_identity():
    table = table_with(
        "Image_Count_Cells",
        "Image_Quality_FocusScore",
        "Image_Intensity_Mean",
        "Image_Field_Index",
        "Cells_Soma_Area_um2",
        "Metadata_Site",
    ).assign(Image_Name="a")
    assert select_features(table, "full") == ("Image_Count_Cells", "Image_Intensity_Mean")
    with pytest.raises(UnknownNameError):
        select_features(table_with("Metadata_Site"), "full")


def test_it_separates_what_can_be_separated(data, forest):
    table, labels, train = data
    calls = forest.predict(table[~train])
    assert (calls == labels[~train]).mean() > 0.75
    assert forest.n_jobs == 1


def test_only_training_rows_matter(data, forest):
    """Poison every other row: the forest must not change."""
    table, labels, train = data
    poisoned = table.copy()
    poisoned.loc[~train] = 1e9
    wrong = np.where(train, labels, "nonsense")
    again = train_forest(poisoned, wrong, np.flatnonzero(train), n_trees=40, seed=3)
    assert (again.predict_proba(table) == forest.predict_proba(table)).all()
    assert list(again.classes_) == ["ALS", "control"]


def test_seed_and_split_make_the_forest(data, forest):
    table = data[0]
    same = train_forest(*data, n_trees=40, min_samples_leaf=5, seed=3)
    other = train_forest(*data, n_trees=40, min_samples_leaf=5, seed=3, split=1)
    assert (same.predict_proba(table) == forest.predict_proba(table)).all()
    assert (other.predict_proba(table) != forest.predict_proba(table)).any()


def test_a_feature_that_is_always_missing_is_harmless(data):
    table, labels, train = data
    found = train_forest(table.assign(empty=np.nan), labels, train, n_trees=10, seed=3)
    assert np.isfinite(found.predict_proba(table.assign(empty=np.nan))).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param(lambda t, y, r: (t, y, r & False), "0 rows have", id="no-rows"),
        pytest.param(lambda t, y, r: (t, y, y == "ALS"), "have \\['ALS'\\]", id="one-class"),
        pytest.param(
            lambda t, y, r: (t, pd.Series(y).where(y == "ALS"), r), "no label", id="missing-label"
        ),
        pytest.param(
            lambda t, y, r: (t.replace(t.iloc[0, 0], np.inf), y, r),
            "infinite values in the features \\['Image_Count_Cells'\\]",
            id="infinite",
        ),
    ],
)
def test_unusable_training_data_is_refused(data, change, message):
    with pytest.raises(InputError, match=message):
        train_forest(*change(*data), n_trees=5)


def test_a_saved_forest_predicts_the_same(data, forest):
    again = load_forest(dump_forest(forest))
    assert (again.predict_proba(data[0]) == forest.predict_proba(data[0])).all()
    assert list(again.feature_names_in_) == list(CLASSIC_UM)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(b"", "forest .* cannot be read", id="empty"),
        pytest.param(pickle.dumps({"a": 1}), "forest .* cannot be read", id="pickle"),
        pytest.param(skops.io.dumps(LogisticRegression()), "not a RandomForest", id="other-model"),
        pytest.param(skops.io.dumps(pytest.param), "types that no forest needs", id="foreign-type"),
    ],
)
def test_files_that_are_no_forest_are_refused(content, message):
    with pytest.raises(InputError, match=message):
        load_forest(content, "forest/split-0.skops")


def test_importance_finds_the_informative_feature(data, forest):
    table, labels, train = data
    found = forest_importance(forest, table, labels, ~train, n_repeats=3)
    assert found["feature"][0] == CLASSIC_UM[0]
    assert found["importance_mean"][0] > 0.2
    assert found["importance_mean"][1:].abs().max() < 0.05
    one_class = forest_importance(forest, table, labels, labels == "ALS")
    assert one_class["importance_mean"].isna().all()


@pytest.mark.parametrize("kind", ["pandas", "dask"])
def test_blockwise_prediction_is_the_same(data, forest, kind):
    table = data[0].assign(Metadata_Site=1)[["Metadata_Site", *CLASSIC_UM[::-1]]]
    given = dd.from_pandas(table, npartitions=3, sort=False) if kind == "dask" else table
    found = predict_table(forest, given, rows_per_block=90)
    assert found.shape == (400, 2)
    assert (found == forest.predict_proba(data[0])).all()


def test_blockwise_prediction_on_a_cluster(data, forest):
    from distributed import Client, LocalCluster

    with (
        LocalCluster(
            n_workers=2, threads_per_worker=1, processes=False, dashboard_address=None
        ) as c,
        Client(c),
    ):
        found = predict_table(forest, data[0], rows_per_block=100)
    assert (found == forest.predict_proba(data[0])).all()


def test_prediction_of_nothing_and_of_the_wrong_table(data, forest):
    table, labels, train = data
    assert predict_table(forest, table.iloc[:0]).shape == (0, 2)
    with pytest.raises(StaleError, match="Image_Neurite_TotalLength_um"):
        predict_table(forest, table.drop(columns=CLASSIC_UM[2]))
    nameless = train_forest(table.to_numpy(), labels, train, n_trees=2)
    with pytest.raises(InputError, match="does not know its columns"):
        predict_table(nameless, table)


def test_a_table_of_cells_has_no_classic_set():
    table = pd.DataFrame({"Image_Count_Cells": [3.0], "Image_Mean_Cells_AreaShape_Area": [90.0]})
    with pytest.raises(InputError, match=r"measured with --assay cells or nuclei.*--features full"):
        select_features(table, "classic")
    assert select_features(table, "full") == tuple(table.columns)
