"""Each probe's facts become one sentence, to the letter: readers quote them."""

from __future__ import annotations

import pytest

from hcs.domain.evaluation import AssociationFacts
from hcs.domain.probing import (
    BaselineFacts,
    BatchFacts,
    CovariateFacts,
    CurveFacts,
    CurvePoint,
    PermutationFacts,
    VariableFacts,
)
from hcs.words import probes
from hcs.words.english import join_words, list_some, make_plural
from hcs.words.positions import say_associations


def curve(gain):
    low, high = (None, None) if gain is None else (gain - 0.02, gain + 0.02)
    point = {"n_images": 40, "epochs": 4, "auc_sd": 0.1, "n_splits": 8}
    return CurveFacts(
        varied="groups",
        points=(
            CurvePoint(n_groups=2, auc_mean=0.7, **point),
            CurvePoint(n_groups=10, auc_mean=0.8, **point),
        ),
        gain=gain,
        gain_low=low,
        gain_high=high,
        rising=None if low is None else low > 0,
    )


def batch(auc=0.6, auc_seen=0.9, n_parts=4):
    return BatchFacts(
        batch="B2",
        n_images=50,
        n_groups=8,
        n_train_groups=10,
        n_parts=n_parts,
        auc=auc,
        accuracy=0.5,
        auc_seen=auc_seen,
    )


PERMUTATION = PermutationFacts(
    observed=0.9,
    null=(0.5,),
    null_mean=0.5,
    null_low=0.4,
    null_high=0.6,
    p_value=0.005,
    n_permutations=200,
    n_splits=8,
    epochs=4,
    shuffled="donor",
    n_arrangements=6,
)
VARIABLE = VariableFacts(
    variable="Metadata_Batch",
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
    verdict="predictable",
)
BASELINE = BaselineFacts(
    features=("Image_Intensity_Mean",),
    n_splits=10,
    auc_mean=0.7,
    auc_sd=0.1,
    low=None,
    high=None,
    p_value=0.03,
    model="cnn",
    model_auc=0.9,
    verdict="chance",
)
COVARIATE = CovariateFacts(
    model="cnn",
    column="Metadata_Age_Years",
    test="spearman",
    n=30,
    n_levels=None,
    statistic=0.6,
    p_value=0.01,
    p_holm=0.2,
)


@pytest.mark.parametrize(
    ("say", "facts", "sentence"),
    [
        pytest.param(
            probes.say_permutation,
            PERMUTATION,
            "AUC 0.90 with the real labels, 0.40 to 0.60 (middle 95%) with labels shuffled between "
            "donors: more than chance, p = 0.005 (200 shuffles; real and shuffled labels alike "
            "with 8 splits and 4 epochs, not tuned). There are only 6 arrangements of the labels: "
            "p cannot fall below 0.17.",
            id="permutation",
        ),
        pytest.param(
            probes.say_variable,
            VARIABLE,
            "The network's features tell the batch of clones never seen: balanced accuracy 0.90 "
            "over 2 levels, 0.40 to 0.60 by chance, p = 0.01.",
            id="variable",
        ),
        pytest.param(
            probes.say_baseline,
            BASELINE,
            "Background and intensity alone (1 measurements, no structure) reach AUC 0.70 ± 0.10 "
            "on 10 splits, p = 0.03 against guessing; the cnn has 0.90.",
            id="baseline",
        ),
        pytest.param(
            probes.say_curve,
            curve(0.05),
            "Test AUC 0.70 with 2 and 0.80 with 10 clones a class; the last doubling brings +0.05 "
            "(+0.03 to +0.07): the curve still rises, more clones would help.",
            id="curve-rises",
        ),
        pytest.param(
            probes.say_curve,
            curve(None),
            "The study is too small for a learning curve over clones a class.",
            id="curve-of-a-small-study",
        ),
        pytest.param(
            probes.say_batch,
            batch(),
            "Batch B2, never seen in training: AUC 0.60 (0.90 when other clones of it were seen);"
            " too few donors were tested for an interval.",
            id="batch",
        ),
        pytest.param(
            probes.say_batch,
            batch(auc=None),
            "Batch B2 holds one class only, so its AUC is not defined.",
            id="batch-of-one-class",
        ),
        pytest.param(
            probes.say_batch,
            batch(n_parts=0),
            "Batch B2 cannot be held out: the other batches lack a class or clones.",
            id="batch-that-cannot-be-held-out",
        ),
        pytest.param(
            probes.say_covariate,
            COVARIATE,
            "cnn: accuracy per clone does not go with Age Years: Spearman r = 0.60, n = 30 clones, "
            "p = 0.01, Holm-adjusted 0.2.",
            id="covariate",
        ),
    ],
)
def test_sentences(say, facts, sentence):
    said = say(facts)
    assert said.sentence == sentence
    assert said.model_dump(exclude={"sentence"}) == facts.model_dump()


@pytest.mark.parametrize(
    ("verdict", "n_pure", "words"),
    [
        ("confounded", 8, "Class and plate row are confounded: each row holds one class only (8"),
        ("confounded", 7, "Class and plate row are confounded: 7 of 8 rows hold one class only"),
        ("associated", 7, "The class follows the plate row: 7 of 8 rows hold one class only"),
        ("unrelated", 0, "The class does not follow the plate row: Cramér's V = 0.90"),
    ],
)
def test_associations(verdict, n_pure, words):
    facts = AssociationFacts(
        variable="row",
        n_wells=96,
        n_levels=8,
        n_pure_levels=n_pure,
        cramers_v=0.9,
        p_value=0.0005,
        verdict=verdict,
    )
    assert say_associations([facts])[0].sentence.startswith(words)


def test_lists_and_plurals():
    assert [join_words("abc"[:n]) for n in range(4)] == ["", "a", "a and b", "a, b and c"]
    assert list_some(range(5), most=3) == "0, 1, 2 and 2 more"
    plurals = [make_plural(word) for word in ("row", "batch", "class", "study")]
    assert plurals == ["rows", "batches", "classes", "studies"]
