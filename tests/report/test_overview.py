from __future__ import annotations

import pandas as pd
import pytest

from hcs.domain.evaluation import Interval, Metric, Unit
from hcs.report import overview
from hcs.report.class_features import choose_columns, class_features, group_means
from hcs.report.study import open_study


def interval(low: float | None, high: float | None) -> Interval:
    return Interval(
        metric=Metric.ROC_AUC, unit=Unit.IMAGE, value=0.5, low=low, high=high, method="bootstrap"
    )


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        pytest.param(0.6, 0.9, "above chance", id="above"),
        pytest.param(0.4, 0.7, "cannot be told from chance", id="within"),
        pytest.param(0.5, 0.7, "cannot be told from chance", id="touches"),
        pytest.param(0.1, 0.4, "below chance", id="below"),
        pytest.param(None, None, "cannot be told from chance", id="no-interval"),
    ],
)
def test_the_verdict_follows_the_interval_not_the_mean(low, high, words):
    assert words in overview.chance(interval(low, high), "clone")


def test_a_real_study_with_trained_weights_has_no_warning(builder):
    builder.write_splits()
    assert list(overview.warnings_of(open_study(builder.folder))) == []


def test_hits_are_wells_counted_once_whatever_the_number_of_classifiers(builder):
    builder.write_hits()
    hits = pd.read_parquet(builder.folder / "hits.parquet")
    twice = pd.concat([hits, hits.assign(model="forest")], ignore_index=True)
    twice.to_parquet(builder.folder / "hits.parquet")
    facts = overview.overview(open_study(builder.folder)).blocks[0].facts
    assert [fact.value for fact in facts] == [str(int(hits["hit"].sum()))]


def test_features_are_means_of_clones_not_of_images(builder):
    builder.write_splits()
    builder.write_features()
    study = open_study(builder.folder)
    table = study.features
    table["Image_Count_Cells"] = [10.0, 20.0] * (len(table) // 2)
    means = group_means(table, "Image_Count_Cells", study)
    assert list(means) == ["control", "ALS"]
    assert {len(values) for values in means.values()} == {6}
    assert all((values == 15.0).all() for values in means.values())


def test_equal_features_give_no_p_and_no_warning(builder):
    builder.write_splits()
    builder.write_features()
    table = pd.read_parquet(builder.folder / "features.parquet")
    table["Image_Count_Cells"] = 7
    table.to_parquet(builder.folder / "features.parquet")
    section = class_features(open_study(builder.folder))
    row = section.blocks[1].rows[0]
    assert row[0] == "Cells per image"
    assert row[-1] == "–"


@pytest.mark.parametrize("unit", ["um", "px"])
def test_columns_are_found_in_either_unit(unit):
    columns = [
        "Metadata_Clone",
        f"Image_Soma_MeanArea_{unit}2",
        f"Image_Neurite_TotalLength_{unit}",
    ]
    assert (
        choose_columns(pd.DataFrame(columns=[*columns, "Image_Soma_MeanArea_other"])) == columns[1:]
    )


def test_one_test_clone_a_class_is_said_to_make_the_auc_all_or_nothing(builder):
    builder.write_splits()
    builder.write_evaluation()
    said = "Each split tests one clone a class"
    study = open_study(builder.folder)
    assert said not in str(overview.overview(study))
    one = study.splits.model_copy(
        update={"counts": study.splits.counts.model_copy(update={"test": 1})}
    )
    study.__dict__["splits"] = one
    assert said in str(overview.overview(study))


@pytest.mark.parametrize(("varied", "said"), [("donor", "7 donors"), ("group", "7 clones")])
def test_an_interval_says_what_it_lets_vary(varied, said):
    found = Interval(
        metric="roc_auc", unit="image", value=0.8, low=0.6, high=0.9,
        varied=varied, n_varied=7, method="",
    )  # fmt: skip
    assert f"interval over {said} in the smallest class: 0.60" in overview.chance(found, "clone")
