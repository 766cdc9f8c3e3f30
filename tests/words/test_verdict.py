"""Every sentence of the verdict appears when, and only when, its numbers call for it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hcs.domain.evaluation import AssociationFacts
from hcs.domain.probing import (
    BaselineFacts,
    BatchFacts,
    CovariateFacts,
    CurveFacts,
    CurvePoint,
    Outcome,
    PermutationFacts,
    VariableFacts,
)
from hcs.learn.probes.verdict import Findings, judge
from hcs.words.verdict import say_verdict

LABEL = "Metadata_Diagnosis"
BATCH = "Metadata_Batch"


def permutation(p):
    return PermutationFacts(
        observed=None if p is None else 0.9,
        null=(),
        null_mean=0.5,
        null_low=0.4,
        null_high=0.6,
        p_value=p,
        n_permutations=200,
        n_splits=8,
        epochs=4,
        shuffled="group",
        n_arrangements=1000,
    )


def association(verdict_, variable=BATCH):
    return AssociationFacts(
        variable=variable,
        n_wells=30,
        n_levels=2,
        n_pure_levels=0,
        cramers_v=0.5,
        p_value=0.0001,
        verdict=verdict_,
    )


def variable(verdict_, name=BATCH):
    return VariableFacts(
        variable=name,
        n_images=100,
        n_groups=20,
        n_levels=2,
        balanced_accuracy=0.9,
        chance=0.5,
        null_low=0.4,
        null_high=0.6,
        p_value=0.01,
        n_permutations=99,
        shuffled="between_groups",
        verdict=verdict_,
    )


def baseline(verdict_="chance", auc=0.5):
    return BaselineFacts(
        features=("Image_Intensity_Mean",),
        n_splits=10,
        auc_mean=auc,
        auc_sd=0.1,
        low=None,
        high=None,
        p_value=0.5,
        model="cnn",
        model_auc=0.9,
        verdict=verdict_,
    )


def batch(auc, seen, n_groups=8):
    return BatchFacts(
        batch="B2",
        n_images=50,
        n_groups=n_groups,
        n_train_groups=10,
        n_parts=4,
        auc=auc,
        accuracy=0.5,
        auc_seen=seen,
    )


def point(n):
    return CurvePoint(n_groups=n, n_images=40, epochs=4, auc_mean=0.8, auc_sd=0.1, n_splits=8)


def curve(rising):
    return CurveFacts(
        varied="groups",
        points=(point(5), point(10)),
        gain=0.1,
        gain_low=0.05,
        gain_high=0.2,
        rising=rising,
    )


def covariate(p):
    return CovariateFacts(
        model="cnn",
        column="Metadata_Age",
        test="spearman",
        n=30,
        n_levels=None,
        statistic=0.6,
        p_value=p,
        p_holm=p,
    )


CLEAN = Findings(LABEL, (15, 15), permutation(0.005), baseline())


def said(findings):
    judgement = judge(findings)
    return judgement.outcome, " ".join(say_verdict(judgement, findings))


def test_clean_and_above_chance():
    outcome, text = said(CLEAN)
    assert outcome is Outcome.ABOVE_CHANCE
    assert "more than chance" in text
    assert "No probe found another explanation" in text
    assert "Few clones" not in text
    assert "one laboratory" in text


def test_within_chance_says_nothing_about_the_class():
    outcome, text = said(replace(CLEAN, permutation=permutation(0.2)))
    assert outcome is Outcome.WITHIN_CHANCE
    assert "says nothing about the class" in text
    assert "No probe found" not in text


def test_not_tested():
    outcome, text = said(replace(CLEAN, permutation=permutation(None)))
    assert outcome is Outcome.UNDETERMINED
    assert "could not be tested" in text


@pytest.mark.parametrize(
    ("changes", "outcome", "words"),
    [
        pytest.param(
            {"associations": [association("confounded")], "variables": [variable("predictable")]},
            Outcome.CONFOUNDED,
            "Class and batch cannot be told apart in this layout, and the features do tell",
            id="confounded",
        ),
        pytest.param(
            {"associations": [association("associated")], "variables": [variable("predictable")]},
            Outcome.DOUBTFUL,
            "the class follows the batch in part",
            id="associated-and-told",
        ),
        pytest.param(
            {"associations": [association("associated")], "variables": [variable("chance")]},
            Outcome.ABOVE_CHANCE,
            "No probe found",
            id="associated-but-not-told",
        ),
        pytest.param(
            {"associations": [association("unrelated")], "variables": [variable("predictable")]},
            Outcome.ABOVE_CHANCE,
            "The features also tell batch. The class does not follow it here",
            id="told-but-randomized",
        ),
        pytest.param(
            {"variables": [variable("predictable", LABEL)]},
            Outcome.ABOVE_CHANCE,
            "No probe found",
            id="the-class-itself-is-no-leak",
        ),
        pytest.param(
            {"baseline": baseline("informative", 0.7)},
            Outcome.DOUBTFUL,
            "Background and intensity alone reach AUC 0.70",
            id="intensity",
        ),
        pytest.param(
            {"baseline": baseline("informative", 0.89)},
            Outcome.DOUBTFUL,
            "need not mean any difference in structure",
            id="intensity-does-as-well",
        ),
        pytest.param(
            {"held_out_batches": [batch(0.6, 0.9)]},
            Outcome.DOUBTFUL,
            "does not carry over",
            id="batch-never-seen",
        ),
        pytest.param(
            {"held_out_batches": [batch(0.4, None, n_groups=2)]},
            Outcome.ABOVE_CHANCE,
            "No probe found",
            id="batch-of-two-clones-is-luck",
        ),
    ],
)
def test_what_else_could_explain_the_score(changes, outcome, words):
    found, text = said(replace(CLEAN, **changes))
    assert found is outcome
    assert words in text


def test_limits():
    findings = replace(
        CLEAN,
        groups_per_class=(15, 6),
        learning_curves=[curve(rising=True), curve(rising=False)],
        covariates=[covariate(0.01), covariate(0.5)],
    )
    outcome, text = said(findings)
    assert outcome is Outcome.ABOVE_CHANCE
    assert "Few clones: 6 in the smallest class" in text
    assert text.count("still rises") == 1
    assert text.count("goes with Age") == 1
