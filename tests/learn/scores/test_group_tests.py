"""Group comparisons on clone means agree with worked examples and with simulation."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from hcs.errors import UnknownNameError
from hcs.learn.scores.group_tests import compare_groups, effect_size, group_means, holm

COLUMNS = {"group_by": "Metadata_Clone", "label": "Metadata_Diagnosis"}


def test_images_are_averaged_by_clone():
    images = pd.DataFrame(
        {
            "Metadata_Clone": ["a", "a", "b", None],
            "Metadata_Diagnosis": ["ALS", "ALS", "control", "ALS"],
            "x": [1.0, 3.0, np.nan, 100.0],
        }
    )
    found = group_means(images, ["x"], **COLUMNS)
    assert found["Metadata_Clone"].tolist() == ["a", "b"]
    np.testing.assert_array_equal(found["x"], [2.0, np.nan])


def test_effect_size_of_a_worked_case():
    """Means 6 and 3, pooled SD sqrt(2.5): d = 1.897; J(8) = 0.9027."""
    a, b = np.array([4.0, 5, 6, 7, 8]), np.array([1.0, 2, 3, 4, 5])
    found = effect_size(a, b)
    assert found.cohen_d == pytest.approx(3 / np.sqrt(2.5))
    assert found.hedges_g == pytest.approx(0.9027 * 3 / np.sqrt(2.5), abs=1e-3)
    small_sample, scale = found.hedges_g / found.cohen_d, np.sqrt(2 / 5)
    delta = found.g_ci_low / small_sample / scale, found.g_ci_high / small_sample / scale
    assert stats.nct.cdf(3.0, 8, delta[0]) == pytest.approx(0.975, abs=1e-6)
    assert stats.nct.cdf(3.0, 8, delta[1]) == pytest.approx(0.025, abs=1e-6)
    assert effect_size(b, a).hedges_g == pytest.approx(-found.hedges_g)


def test_the_interval_excludes_zero_exactly_when_the_t_test_is_significant():
    for seed in range(30):
        rng = np.random.default_rng(seed)
        a, b = rng.normal(0.8, 1, 15), rng.normal(0, 1, 15)
        found = effect_size(a, b)
        significant = stats.ttest_ind(a, b).pvalue < 0.05
        assert (found.g_ci_low > 0 or found.g_ci_high < 0) == significant


def test_the_interval_covers_the_true_effect():
    true, covered = 0.5, 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        found = effect_size(rng.normal(true, 1, 15), rng.normal(0, 1, 15))
        covered += found.g_ci_low <= true <= found.g_ci_high
    assert 0.91 <= covered / 200 <= 0.99


def test_holm_of_a_worked_case():
    found = holm(np.array([0.01, 0.04, np.nan, 0.03, 0.005]))
    np.testing.assert_allclose(found, [0.03, 0.06, np.nan, 0.06, 0.02])
    assert holm(np.array([0.9, 0.8])).tolist() == [1.0, 1.0]
    assert holm(np.array([])).shape == (0,)


def test_all_tests_of_a_table():
    rng = np.random.default_rng(0)
    means = pd.DataFrame(
        {
            "Metadata_Clone": range(30),
            "Metadata_Diagnosis": ["ALS"] * 15 + ["control"] * 15,
            "changed": np.r_[rng.normal(2, 1, 15), rng.normal(0, 1, 15)],
            "same": rng.normal(0, 1, 30),
            "constant": 1.0,
        }
    )
    features = ["changed", "same", "constant"]
    found = compare_groups(means, features, "Metadata_Diagnosis", "ALS").set_index("feature")
    als, control = means["changed"][:15], means["changed"][15:]
    row = found.loc["changed"]
    assert row["student_p"] == pytest.approx(stats.ttest_ind(als, control).pvalue)
    assert row["welch_p"] == pytest.approx(stats.ttest_ind(als, control, equal_var=False).pvalue)
    assert row["mann_whitney_p"] == pytest.approx(stats.mannwhitneyu(als, control).pvalue)
    assert row["student_p_holm"] == pytest.approx(2 * row["student_p"])
    assert row["difference"] == pytest.approx(als.mean() - control.mean())
    assert (row["n_positive"], row["n_other"], row["other"]) == (15, 15, "control")
    assert found.loc["constant", ["student_p", "hedges_g"]].isna().all()
    assert found.loc["constant", "mean_other"] == 1.0


def test_three_classes_are_compared_with_the_positive_one():
    means = pd.DataFrame({"y": list("aabbcc"), "x": [1.0, 2, 3, 5, 8, 13]})
    found = compare_groups(means, ["x"], "y", "a")
    assert found["other"].tolist() == ["b", "c"]
    with pytest.raises(UnknownNameError, match="'d'"):
        compare_groups(means, ["x"], "y", "d")


def test_too_few_clones_give_nan_without_a_warning():
    means = pd.DataFrame({"y": ["a", "b"], "x": [1.0, np.nan]})
    found = compare_groups(means, ["x"], "y", "a").iloc[0]
    assert np.isnan(found["student_p"])
    assert (found["n_positive"], found["n_other"]) == (1, 0)
