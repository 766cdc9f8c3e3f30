"""Metrics agree with scikit-learn and with hand-worked cases; intervals respect the clones."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics as oracle

from hcs.domain.columns import Role
from hcs.domain.evaluation import Evaluation, Metric, Unit
from hcs.domain.splits import Group
from hcs.errors import InputError, StaleError, UnknownNameError
from hcs.learn.scores.intervals import (
    compare_over_splits,
    mean_interval_over_wells_and_splits,
    resample_counts,
)
from hcs.learn.scores.metrics import evaluate
from hcs.learn.scores.scored import Scored, find_diverged
from hcs.learn.scores.split_scores import calibration, mean_roc, rank, score_split
from hcs.learn.splits.drawing import make_splits
from hcs.words.evaluation import warn_of_diverged, warn_of_gaps

LABELS = {"control": 6, "ALS": 6}


def study_splits(labels=None, n_splits=6, positive="ALS"):
    groups = [
        Group(name=f"{label}-{i}", label=label, donor=None, n_images=8)
        for label, n in (labels or LABELS).items()
        for i in range(n)
    ]
    return make_splits(
        groups,
        group_by="Metadata_Clone",
        label="Metadata_Diagnosis",
        positive=positive,
        n_splits=n_splits,
        train=2,
        validation=2,
        test=2,
        seed=0,
    )


def predictions_of(splits, model="cnn", separation=1.0, seed=0, wells=2, images=8):
    rng = np.random.default_rng(seed)
    frames = []
    for split in splits.splits:
        roles = splits.role_of(split.index)
        for group in splits.groups:
            score = rng.normal(separation * (group.label == splits.positive), 1, images)
            frames.append(
                pd.DataFrame(
                    {
                        "model": model,
                        "split": split.index,
                        "role": roles[group.name].value,
                        "Metadata_Plate": f"P-{group.name}",
                        "Metadata_Well": [f"A{1 + i % wells:02d}" for i in range(images)],
                        "Metadata_Site": range(images),
                        "Metadata_Clone": group.name,
                        "score": 1 / (1 + np.exp(-score)),
                    }
                )
            )
    return pd.concat(frames, ignore_index=True)


def scored(truth, score, *, split=0, group=None, well=None):
    """Test predictions of two classes, class 1 positive."""
    truth, score = np.asarray(truth), np.asarray(score, dtype=float)
    zeros = np.zeros(len(truth), dtype=int)
    return Scored(
        model="cnn",
        split=zeros + split,
        role=zeros + 1,
        group=np.arange(len(truth)) if group is None else np.asarray(group),
        well=zeros if well is None else np.asarray(well),
        image=np.arange(len(truth)),
        truth=truth,
        probability=np.stack([1 - score, score], axis=1),
    )


def scores_of(part):
    return score_split(part, 1, split=0, role=Role.TEST, unit=Unit.IMAGE)


# ── one split ───────────────────────────────────────────────────────────────────────────────────


def test_a_case_worked_by_hand():
    found = scores_of(scored([1, 1, 1, 0, 0], [0.9, 0.5, 0.2, 0.6, 0.1]))
    assert found.n == 5
    assert found.accuracy == pytest.approx(3 / 5)
    assert found.balanced_accuracy == pytest.approx((2 / 3 + 1 / 2) / 2)
    assert found.f1 == pytest.approx(2 * 2 / (2 * 2 + 1 + 1))
    assert found.roc_auc == pytest.approx(4 / 6)
    assert found.pr_auc == pytest.approx((1 + 2 / 3 + 3 / 4) / 3)
    assert found.brier == pytest.approx((0.01 + 0.25 + 0.64 + 0.36 + 0.01) / 5)


@given(
    st.lists(st.tuples(st.booleans(), st.integers(0, 8)), min_size=2, max_size=60).filter(
        lambda rows: len({truth for truth, _ in rows}) == 2
    )
)
@settings(max_examples=100, deadline=None)
def test_two_classes_agree_with_scikit_learn_also_with_ties(rows):
    truth = np.array([row[0] for row in rows], dtype=int)
    score = np.array([row[1] for row in rows]) / 8
    found, calls = scores_of(scored(truth, score)), score >= 0.5
    assert found.accuracy == pytest.approx(oracle.accuracy_score(truth, calls))
    assert found.balanced_accuracy == pytest.approx(oracle.balanced_accuracy_score(truth, calls))
    assert found.f1 == pytest.approx(oracle.f1_score(truth, calls))
    assert found.roc_auc == pytest.approx(oracle.roc_auc_score(truth, score))
    assert found.pr_auc == pytest.approx(oracle.average_precision_score(truth, score))
    assert found.brier == pytest.approx(oracle.brier_score_loss(truth, score))


def test_three_classes_agree_with_scikit_learn():
    rng = np.random.default_rng(3)
    truth = np.repeat([0, 1, 2], 20)
    probability = rng.dirichlet([1, 1, 1], 60)
    base = scored(truth, np.zeros(60))
    part = Scored(**{n: getattr(base, n) for n in Scored.__slots__} | {"probability": probability})
    found, calls = scores_of(part), probability.argmax(axis=1)
    assert found.roc_auc == pytest.approx(
        oracle.roc_auc_score(truth, probability, multi_class="ovr", average="macro")
    )
    assert found.pr_auc == pytest.approx(
        oracle.average_precision_score(np.eye(3)[truth], probability, average="macro")
    )
    assert found.f1 == pytest.approx(oracle.f1_score(truth, calls, average="macro"))
    assert found.balanced_accuracy == pytest.approx(oracle.balanced_accuracy_score(truth, calls))


def test_one_class_alone_has_accuracy_and_brier_only():
    found = scores_of(scored([1, 1], [0.9, 0.1]))
    assert (found.accuracy, found.brier) == (0.5, pytest.approx(0.41))
    assert found.roc_auc is found.pr_auc is found.f1 is found.balanced_accuracy is None


def test_mean_roc_averages_the_curves_of_the_splits():
    rng = np.random.default_rng(1)
    truth, score = rng.integers(0, 2, 80), rng.random(80)
    split = np.repeat([0, 1], 40)
    found = mean_roc(scored(truth, score, split=split), 1)
    grid = np.array(found.fpr)
    curves = []
    for number in (0, 1):
        fpr, tpr, _ = oracle.roc_curve(truth[split == number], score[split == number])
        curves.append(np.interp(grid, fpr, tpr))
    np.testing.assert_allclose(found.tpr_mean, np.mean(curves, axis=0), atol=1e-12)
    np.testing.assert_allclose(found.tpr_sd, np.std(curves, axis=0, ddof=1), atol=1e-12)
    pooled = oracle.roc_curve(truth, score)
    np.testing.assert_allclose(found.tpr_pooled, np.interp(grid, *pooled[:2]), atol=1e-12)
    assert found.n_splits == 2
    assert found.tpr_mean[-1] == 1.0
    assert mean_roc(scored([1, 1], [0.2, 0.4]), 1) is None


def test_calibration_counts_every_image_once():
    bins = list(calibration(scored([0, 1, 1, 1], [0.0, 0.31, 0.39, 1.0]), 1))
    assert [entry.n for entry in bins] == [1, 0, 0, 2, 0, 0, 0, 0, 0, 1]
    assert (bins[3].mean_score, bins[3].positive_share) == (pytest.approx(0.35), 1.0)
    assert bins[1].mean_score is None


def test_ranking_of_all_equal_scores_is_chance():
    assert rank(np.array([True, False, True]), np.full(3, 0.5)).roc_auc() == 0.5


# ── a whole study ───────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def splits():
    return study_splits()


@pytest.fixture(scope="module")
def table(splits):
    return pd.concat(
        [
            predictions_of(splits, "cnn", separation=2.0, seed=1),
            predictions_of(splits, "forest", separation=0.3, seed=2),
        ],
        ignore_index=True,
    )


@pytest.fixture(scope="module")
def evaluation(splits, table):
    return evaluate(table, splits, n_bootstrap=300, seed=5)


def test_summaries_are_means_over_the_splits(evaluation, splits, table):
    test = table[(table["model"] == "cnn") & (table["role"] == "test")]
    label = splits.label_of()
    by_split = [
        oracle.roc_auc_score(part["Metadata_Clone"].map(label) == "ALS", part["score"])
        for _, part in test.groupby("split")
    ]
    found = evaluation.model_named("cnn").summary_of("roc_auc")
    assert (found.mean, found.sd) == (
        pytest.approx(np.mean(by_split)),
        pytest.approx(np.std(by_split, ddof=1)),
    )
    assert found.n == len(splits.splits)
    per_clone = test.groupby(["split", "Metadata_Clone"], as_index=False)["score"].mean()
    calls = (per_clone["score"] >= 0.5) == (per_clone["Metadata_Clone"].map(label) == "ALS")
    by_group = evaluation.model_named("cnn").summary_of(Metric.ACCURACY, Unit.GROUP)
    assert by_group.mean == pytest.approx(calls.mean())
    assert evaluation.model_named("cnn").summary_of("roc_auc", role=Role.VALIDATION).n == 6
    with pytest.raises(UnknownNameError, match="loss"):
        evaluation.model_named("cnn").summary_of("loss")
    with pytest.raises(UnknownNameError, match="'cnn', 'forest'"):
        evaluation.model_named("vgg")


def test_every_clone_has_its_score_over_the_splits_that_tested_it(evaluation, splits, table):
    assert [row.group for row in evaluation.models[0].per_group] == [g.name for g in splits.groups]
    row = evaluation.models[0].per_group[0]
    test = table[
        (table["model"] == "cnn")
        & (table["role"] == "test")
        & (table["Metadata_Clone"] == row.group)
    ]
    assert row.score == pytest.approx(test["score"].mean())
    assert row.accuracy == pytest.approx(((test["score"] >= 0.5) == (row.label == "ALS")).mean())
    assert (row.n_images, row.n_wells, row.n_splits) == (8, 2, test["split"].nunique())
    assert row.ci_low <= row.score <= row.ci_high
    assert row.correct == (row.call == row.label)


def test_confusion_counts_images_and_groups(evaluation, splits):
    image, group = evaluation.models[0].confusion
    assert image.labels == ("ALS", "control")
    assert np.sum(image.counts) == 6 * 4 * 8
    assert np.sum(group.counts) == 6 * 4


def test_models_are_compared_on_the_same_splits(evaluation):
    found = [c for c in evaluation.comparisons if c.metric == "roc_auc" and c.unit == "image"]
    assert len(found) == 1
    assert (found[0].first, found[0].second) == ("cnn", "forest")
    assert found[0].mean_difference > 0
    assert found[0].test_train_ratio == 1.0
    assert found[0].low < found[0].mean_difference < found[0].high


def test_the_file_says_the_same_after_reading(evaluation):
    assert Evaluation.read_json(evaluation.to_json()) == evaluation
    with pytest.raises(InputError, match=r"study/evaluation\.json: 1 fault"):
        Evaluation.read_json('{"format": "x"', "study/evaluation.json")


def test_the_order_of_the_rows_does_not_matter(evaluation, splits, table):
    shuffled = pd.concat(
        [table[table["model"] == m].sample(frac=1, random_state=1) for m in ("cnn", "forest")]
    )
    again = evaluate(shuffled, splits, n_bootstrap=300, seed=5)
    for a, b in zip(evaluation.models, again.models, strict=True):
        assert [r.roc_auc for r in a.per_split] == [r.roc_auc for r in b.per_split]
        for left, right in zip(a.per_group, b.per_group, strict=True):
            assert left.ci_low == pytest.approx(right.ci_low, abs=1e-12)
        assert a.intervals[0].low == pytest.approx(b.intervals[0].low, abs=1e-12)


def test_three_classes_are_judged(tmp_path):
    splits = study_splits({"control": 6, "ALS": 6, "SMA": 6})
    table = predictions_of(splits)
    raw = np.random.default_rng(0).dirichlet([1, 1, 1], len(table))
    for name, column in zip(splits.classes, raw.T, strict=True):
        table[f"score_{name}"] = column
    found = evaluate(table, splits, n_bootstrap=50, seed=0).models[0]
    assert len(found.confusion[0].counts) == 3
    assert found.summary_of("roc_auc").mean == pytest.approx(0.5, abs=0.1)
    with pytest.raises(InputError, match="do not add up to 1"):
        evaluate(table.assign(score_ALS=1.0), splits, n_bootstrap=50, seed=0)


# ── what is missing is said ─────────────────────────────────────────────────────────────────────


def test_a_test_set_of_one_class_is_reported_not_fatal(splits, table):
    lost = set(splits.splits[2].test) & {g.name for g in splits.groups if g.label == "ALS"}
    cut = table[~((table["split"] == 2) & table["Metadata_Clone"].isin(lost))]
    found = evaluate(cut[cut["model"] == "cnn"], splits, n_bootstrap=50, seed=0)
    assert found.models[0].summary_of("roc_auc").n == 5
    assert any(
        "cnn, test, by image: splits 2 lack a class" in text for text in warn_of_gaps(found, splits)
    )


def test_missing_splits_and_clones_are_named(splits, table):
    cut = table[(table["split"] != 4) & (table["Metadata_Clone"] != "ALS-1")]
    found = evaluate(cut, splits, n_bootstrap=50, seed=0)
    assert "cnn: no test prediction in splits 4" in warn_of_gaps(found, splits)
    assert "forest: 'ALS-1' is in test but has no predictions" in warn_of_gaps(found, splits)
    empty = next(row for row in found.models[0].per_group if row.group == "ALS-1")
    assert empty.score is None
    assert empty.n_splits == 0


def test_clones_of_a_single_well_are_named(splits):
    found = evaluate(predictions_of(splits, wells=1), splits, n_bootstrap=50, seed=0)
    assert any("come from a single well each" in text for text in warn_of_gaps(found, splits))


def test_perfect_separation_has_an_interval_and_says_that_it_is_cautious(splits):
    found = evaluate(predictions_of(splits, separation=50.0), splits, n_bootstrap=50, seed=0)
    by_image = found.models[0].intervals[0]
    assert by_image.value == by_image.high == 1.0
    assert 0.3 < by_image.low < 0.9
    warned = warn_of_gaps(found, splits)
    assert any("interval of the ROC AUC by image is cautious" in text for text in warned)


def test_an_interval_says_what_varies_and_how_groups_were_tested(splits, table):
    by_image, by_group = evaluate(table, splits, n_bootstrap=10, seed=0).models[0].intervals
    for found in (by_image, by_group):
        assert (found.varied, found.n_varied, found.design) == ("group", 6, "random splits")
        assert "groups vary (6 in the smallest class)" in found.method
        assert "held the truth in 92 to 100 % of simulated studies" in found.method
    known = {**splits.model_dump(exclude={"proof"})}
    for number, group in enumerate(known["groups"]):
        group["donor"] = f"D{number}"
    with_donors = type(splits).read_json(json.dumps(known))
    assert evaluate(table, with_donors, n_bootstrap=10).models[0].intervals[0].varied == "donor"


def test_clones_are_compared_only_within_a_split(splits):
    """A split whose scores are all higher must not change the AUC by clone."""
    table = predictions_of(splits, separation=1.0, seed=3)
    moved = table.assign(score=(table["score"] + 0.9 * table["split"] / 6) / 2)
    pair = [evaluate(t, splits, n_bootstrap=10).models[0].intervals[1] for t in (table, moved)]
    assert pair[0].value == pytest.approx(pair[1].value, abs=1e-12)
    found = evaluate(table, splits, n_bootstrap=10).models[0]
    assert pair[0].value == pytest.approx(found.summary_of("roc_auc", Unit.GROUP).mean)


def test_few_donors_are_said_to_be_unchecked(splits):
    table = predictions_of(splits)
    found = evaluate(table[table["Metadata_Clone"] != "ALS-1"], splits, n_bootstrap=10)
    assert any("rests on 5 groups in the smallest class" in t for t in warn_of_gaps(found, splits))


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        pytest.param(
            lambda t: t.drop(columns="score"), InputError, "lack the columns", id="column"
        ),
        pytest.param(lambda t: t.assign(score=2.0), InputError, "no score between", id="range"),
        pytest.param(
            lambda t: t.assign(score=np.nan), InputError, "every head of cnn diverged", id="nan"
        ),
        pytest.param(
            lambda t: pd.concat([t, t]), InputError, "more than once in one split", id="twice"
        ),
        pytest.param(lambda t: t.assign(role="new"), InputError, "nothing to judge", id="no-test"),
        pytest.param(lambda t: t.iloc[:0], InputError, "nothing to judge", id="empty"),
        pytest.param(
            lambda t: t.assign(Metadata_Clone="X"), StaleError, r"do not know: \['X'\]", id="group"
        ),
        pytest.param(lambda t: t.assign(split=99), StaleError, r"have splits \[99\]", id="split"),
        pytest.param(
            lambda t: t.assign(role="test"), StaleError, "a role that the splits do not", id="leak"
        ),
    ],
)
def test_unusable_predictions_are_refused(splits, table, change, error, message):
    with pytest.raises(error, match=message):
        evaluate(change(table[table["model"] == "cnn"]), splits, n_bootstrap=10, seed=0)


# ── intervals and tests ─────────────────────────────────────────────────────────────────────────


def test_corrected_t_test_worked_by_hand():
    differences = np.array([0.1, 0.2, 0.3, 0.4])
    found = compare_over_splits(differences, 0.25)
    variance = differences.var(ddof=1)
    t = 0.25 / np.sqrt((1 / 4 + 0.25) * variance)
    assert found.t == pytest.approx(t)
    assert found.t == pytest.approx(2.7386, abs=1e-4)
    assert found.p_value == pytest.approx(2 * stats.t.sf(t, 3))
    uncorrected = stats.ttest_1samp(differences, 0.0)
    assert compare_over_splits(differences, 0.0).p_value == pytest.approx(uncorrected.pvalue)


@pytest.mark.parametrize(
    ("differences", "p_value"),
    [
        pytest.param([0.0, 0.0, 0.0], 1.0, id="identical"),
        pytest.param([0.5, 0.5], None, id="always-the-same"),
        pytest.param([0.5], None, id="one-split"),
        pytest.param([], None, id="no-split"),
    ],
)
def test_corrected_t_test_where_it_degenerates(differences, p_value):
    found = compare_over_splits(np.array(differences, dtype=float), 0.2)
    assert found.p_value == p_value
    assert found.t is None


def test_resampling_draws_as_many_as_there_are():
    counts = resample_counts(5, 1000, "test", 1)
    assert counts.shape == (1000, 5)
    assert (counts.sum(axis=1) == 5).all()
    np.testing.assert_allclose(counts.mean(axis=0), 1, atol=0.15)
    np.testing.assert_allclose(counts.var(axis=0), 0.8, atol=0.15)


def test_a_diverged_head_is_left_out_counted_and_named(splits, table):
    cnn = table[table["model"] == "cnn"].reset_index(drop=True)
    lost = cnn.assign(score=cnn["score"].where(cnn["split"] != 1))
    assert find_diverged(lost, splits) == {"cnn": (1,)}
    judged = evaluate(lost, splits, n_bootstrap=10, seed=0).models[0]
    assert 1 not in {row.split for row in judged.per_split}
    without = evaluate(cnn[cnn["split"] != 1], splits, n_bootstrap=10, seed=0).models[0]
    assert judged == without
    (said,) = warn_of_diverged(find_diverged(lost, splits), splits)
    assert said.startswith(f"cnn: 1 of {len(splits.splits)} heads diverged")
    assert said.endswith("splits 1")
    # A head that scored its training images is none either.
    mute = cnn.assign(score=cnn["score"].where((cnn["split"] != 1) | (cnn["role"] == "train")))
    assert find_diverged(mute, splits) == {}
    with pytest.raises(InputError, match="no score between"):
        evaluate(mute, splits, n_bootstrap=10, seed=0)
    # A single image without a score is no diverged head.
    torn = cnn.assign(score=cnn["score"].where(cnn.index != cnn.index[cnn["role"] == "test"][0]))
    with pytest.raises(InputError, match="no score between"):
        evaluate(torn, splits, n_bootstrap=10, seed=0)


def test_a_clone_interval_covers_its_true_mean_although_wells_differ():
    """Wells shift all of their images: resampling images would miss that."""
    covered, n_clones = 0, 200
    well, split = np.repeat(np.arange(10), 12), np.tile(np.arange(4), 30)
    for seed in range(n_clones):
        rng = np.random.default_rng(seed)
        values = rng.normal(0, 1, 10)[well] + rng.normal(0, 0.3, 4)[split] + rng.normal(0, 1, 120)
        low, high = mean_interval_over_wells_and_splits(values, well, split, 300, "test", seed)
        covered += low <= 0 <= high
    assert 0.92 <= covered / n_clones <= 0.99
