"""Planted covariates are found, others are not, by the tests that the study used."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from planted_cohorts import planted
from scipy import stats

from hcs.learn.probes.covariates import covariate_tests, group_accuracies, group_columns
from hcs.words.probes import say_covariate


@pytest.fixture
def accuracy():
    rng = np.random.default_rng(1)
    return pd.Series(rng.uniform(0.4, 1.0, 24), index=[f"C{n:02d}" for n in range(24)])


def test_planted_covariates_are_found(accuracy):
    rng = np.random.default_rng(0)
    columns = pd.DataFrame(
        {
            "Metadata_Duration": accuracy**2 + rng.normal(0, 0.02, 24),
            "Metadata_Passage": rng.permutation(24).astype(float),
            "Metadata_Onset": np.where(accuracy > accuracy.median(), "bulbar", "spinal"),
            "Metadata_Site_of_skin": rng.choice(["a", "b", "c"], 24),
        },
        index=accuracy.index,
    )
    found = {entry.column: entry for entry in covariate_tests("cnn", accuracy, columns)}
    tests = [found[name].test for name in columns]
    assert tests == ["spearman", "spearman", "mann_whitney", "kruskal_wallis"]
    assert found["Metadata_Duration"].p_holm < 0.001
    assert found["Metadata_Onset"].p_holm < 0.001
    assert found["Metadata_Passage"].p_holm > 0.05
    expected = stats.spearmanr(columns["Metadata_Passage"], accuracy)
    assert found["Metadata_Passage"].statistic == pytest.approx(expected.statistic)
    assert "goes with Duration: Spearman r = " in say_covariate(found["Metadata_Duration"]).sentence
    assert "n = 24 clones" in say_covariate(found["Metadata_Duration"]).sentence
    assert "does not go with Passage" in say_covariate(found["Metadata_Passage"]).sentence


def test_values_of_one_class_only_and_too_few(accuracy):
    duration = pd.Series(np.nan, index=accuracy.index)
    duration.iloc[:15] = np.arange(15.0)
    columns = pd.DataFrame({"Metadata_D": duration, "Metadata_E": np.nan})
    columns.loc["C00":"C02", "Metadata_E"] = [1.0, 2.0, 3.0]
    (found,) = covariate_tests("cnn", accuracy, columns)
    assert (found.column, found.n) == ("Metadata_D", 15)


def test_equal_accuracies_have_no_test(accuracy):
    columns = pd.DataFrame({"Metadata_D": np.arange(24.0)}, index=accuracy.index)
    (found,) = covariate_tests("cnn", accuracy * 0 + 1, columns)
    assert found.p_value is None
    assert "equally often" in say_covariate(found).sentence


def test_columns_of_clones_only():
    made = planted(crossed=False)
    clone = made.cohort.group
    frame = made.frame.assign(
        Metadata_Age=[str(40 + c) for c in clone],
        Metadata_Sex=np.where(clone % 3 == 0, "f", "m"),
        Metadata_Same="x",
        Metadata_Varies=np.arange(len(clone)),
        Metadata_Empty="",
    )
    columns = group_columns(frame, made.splits)
    assert set(columns) == {"Metadata_Age", "Metadata_Sex", "Metadata_Batch"}
    assert pd.api.types.is_numeric_dtype(columns["Metadata_Age"])
    assert columns.loc["C03", "Metadata_Age"] == 43


def test_accuracy_is_that_of_test_images():
    made = planted(counts=(3, 1, 1), n_splits=6)
    rows = []
    for split in made.splits.splits:
        for name, role in made.splits.role_of(split.index).items():
            part = made.frame[made.frame["Metadata_Clone"] == name].copy()
            right = 1.0 if part["Metadata_Diagnosis"].iloc[0] == "control" else 0.0
            wrong = name == "C03"
            part["score"] = abs(right - wrong) if role == "test" else 1 - right
            rows.append(part.assign(model="cnn", split=split.index, role=str(role)))
    found = group_accuracies(pd.concat(rows, ignore_index=True), made.splits)["cnn"]
    assert found["C03"] == 0
    assert found.drop("C03").eq(1).all()
    assert len(found) == 12
