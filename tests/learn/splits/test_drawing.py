"""Splits are disjoint, balanced, even, distinct and reproducible, or refused with the reason."""

from __future__ import annotations

from collections import Counter

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hcs.domain.splits import ROLES, Group, Splits, leaks
from hcs.errors import SplitError, UnknownNameError
from hcs.learn.splits.drawing import choose_positive, groups_of_images, make_splits

COLUMNS = {"group_by": "Metadata_Clone", "label": "Metadata_Diagnosis"}


def cohort(n_control, n_als, clones_per_donor=1):
    return [
        Group(
            name=f"{label}-{i}", label=label, donor=f"{label}-D{i // clones_per_donor}", n_images=9
        )
        for label, n in (("control", n_control), ("ALS", n_als))
        for i in range(n)
    ]


def make(groups, n_splits=55, train=10, validation=3, test=2, seed=0, positive=None):
    return make_splits(
        groups,
        **COLUMNS,
        positive=positive,
        n_splits=n_splits,
        train=train,
        validation=validation,
        test=test,
        seed=seed,
    )


def assert_fair(made: Splits, *, even: bool) -> None:
    assert leaks(made.groups, made.splits) == []
    label_of = made.label_of()
    for split in made.splits:
        for role in ROLES:
            found = Counter(label_of[name] for name in split.of(role))
            assert found == dict.fromkeys(made.classes, getattr(made.counts, role.value))
    for label in made.classes:
        rows = [row for row in made.proof.appearances if label_of[row.group] == label]
        for values in ([row.test for row in rows], [row.validation for row in rows]):
            assert min(values) >= 1
            if even:
                assert max(values) - min(values) <= 1


def test_the_study_of_15_and_15_clones():
    made = make(cohort(15, 15))
    assert len(made.splits) == 55
    assert made.positive == "ALS"
    assert_fair(made, even=True)
    assert made.proof.n_distinct_splits == 55
    assert made.proof.disjoint_by == ("group", "donor")
    assert (made.proof.least.validation, made.proof.most.validation) == (11, 11)
    assert (made.proof.least.test, made.proof.most.test) == (7, 8)
    assert Splits.read_json(made.to_json()) == made


@st.composite
def single_clone_requests(draw):
    counts = {role: draw(st.integers(1, 4)) for role in ("train", "validation", "test")}
    sizes = [sum(counts.values()) + draw(st.integers(0, 6)) for _ in range(draw(st.integers(2, 3)))]
    smallest = -(-max(sizes) // min(counts["validation"], counts["test"]))
    labels = ["control", "ALS", "SMA"][: len(sizes)]
    groups = [
        Group(name=f"{label}{i}", label=label, donor=None, n_images=1)
        for label, size in zip(labels, sizes, strict=True)
        for i in range(size)
    ]
    return groups, {"n_splits": smallest + draw(st.integers(0, 20)), **counts}


@given(single_clone_requests(), st.integers(0, 2**63 - 1))
@settings(max_examples=150, deadline=None)
def test_any_clone_table_gives_fair_and_even_splits(request_, seed):
    groups, counts = request_
    assert_fair(make(groups, seed=seed, **counts), even=True)


@st.composite
def donor_tables(draw):
    """Donors of one or two clones, sometimes of both classes (isogenic pairs)."""
    groups = []
    for donor in range(draw(st.integers(6, 12))):
        labels = draw(st.sampled_from([["c"], ["d"], ["c", "c"], ["d", "d"], ["c", "d"]]))
        groups += [
            Group(name=f"g{donor}-{k}", label=label, donor=f"D{donor}", n_images=1)
            for k, label in enumerate(labels)
        ]
    return groups


@given(donor_tables(), st.integers(1, 3), st.integers(1, 2), st.integers(1, 2))
@settings(max_examples=20, deadline=None)
def test_any_donor_table_gives_fair_splits_or_a_reason(groups, train, validation, test):
    try:
        made = make(groups, n_splits=12, train=train, validation=validation, test=test)
    except SplitError as error:
        assert "\n  " in str(error)  # noqa: PT017 - either outcome is right
    else:
        assert_fair(made, even=False)


def test_whole_donors_are_placed_evenly_where_their_sizes_allow():
    made = make(cohort(16, 16, clones_per_donor=2), n_splits=24, train=10, validation=4, test=2)
    assert_fair(made, even=True)


def test_isogenic_pairs_stay_together():
    groups = [
        Group(name=f"D{i}-{label}", label=label, donor=f"D{i}", n_images=3)
        for i in range(6)
        for label in ("corrected", "mutant")
    ]
    made = make(groups, n_splits=6, train=4, validation=1, test=1, positive="mutant")
    assert_fair(made, even=True)
    assert made.splits[0].test[0][:2] == made.splits[0].test[1][:2]


@pytest.mark.parametrize(
    ("groups", "request_", "reasons"),
    [
        pytest.param(
            cohort(15, 4), {}, ["class 'ALS' has 4 groups", "needs 15"], id="too-few-clones"
        ),
        pytest.param(
            cohort(15, 15), {"n_splits": 7}, ["7 splits are too few", "8 would do"], id="n-splits"
        ),
        pytest.param(
            cohort(3, 4),
            {},
            ["class 'ALS' has 4", "class 'control' has 3"],
            id="every-class-is-named",
        ),
        pytest.param(cohort(15, 0), {}, ["at least 2 classes"], id="one-class"),
        pytest.param([], {}, ["at least 2 classes"], id="no-groups"),
        pytest.param(
            cohort(15, 15), {"test": 0, "validation": 0}, ["for validation", "for test"], id="zero"
        ),
        pytest.param(
            [*cohort(15, 15), Group(name="ALS-0", label="control", donor="ALS-D0", n_images=1)],
            {},
            ["'ALS-0' has 2 classes: ['ALS', 'control']"],
            id="clone-with-two-classes",
        ),
        pytest.param(
            [*cohort(15, 15), Group(name="ALS-0", label="ALS", donor="other", n_images=1)],
            {},
            ["'ALS-0' has 2 donors"],
            id="clone-with-two-donors",
        ),
        pytest.param(
            cohort(15, 15, clones_per_donor=5),
            {},
            ["no choice of whole donors gives train 10, validation 3 and test 2"],
            id="donors-too-large",
        ),
        pytest.param(
            cohort(15, 15, clones_per_donor=2),
            {},
            ["donor 'ALS-D7' can never stand in test", "with 1 group of theirs"],
            id="one-donor-never-fits",
        ),
        pytest.param(
            cohort(16, 16, clones_per_donor=2),
            {"n_splits": 5, "train": 10, "validation": 4, "test": 2},
            ["5 splits are too few", "8 would do"],
            id="donors-n-splits",
        ),
    ],
)
def test_impossible_requests_are_refused_with_the_reason(groups, request_, reasons):
    with pytest.raises(SplitError) as error:
        make(groups, **request_)
    for reason in reasons:
        assert reason in str(error.value)


def test_same_seed_same_splits_whatever_the_order():
    groups = cohort(15, 15)
    assert make(groups, seed=3).to_json() == make(groups[::-1], seed=3).to_json()
    assert make(groups, seed=3).splits != make(groups, seed=4).splits


def test_the_answer_does_not_drift_between_machines():
    """Written down once; the file of a study must be made again anywhere."""
    made = make(cohort(4, 4), n_splits=4, train=2, validation=1, test=1, seed=7)
    assert [split.test for split in made.splits] == [
        ("ALS-3", "control-1"),
        ("ALS-1", "control-3"),
        ("ALS-0", "control-2"),
        ("ALS-2", "control-0"),
    ]


def test_unavoidable_repeats_are_said(caplog):
    made = make(cohort(3, 3), n_splits=40, train=1, validation=1, test=1)
    assert made.proof.n_distinct_splits <= 36
    assert "equal another one" in caplog.text


@pytest.mark.parametrize(
    ("classes", "positive"),
    [
        pytest.param(["ALS", "control"], "ALS", id="disease-before-control"),
        pytest.param(["Healthy", "sALS"], "sALS", id="case-ignored"),
        pytest.param(["a", "b"], "b", id="no-control-name"),
        pytest.param(["control", "wt"], "wt", id="only-control-names"),
    ],
)
def test_positive_class_is_the_disease(classes, positive):
    assert choose_positive(classes) == positive


def test_unknown_positive_class_names_those_that_exist():
    with pytest.raises(UnknownNameError, match=r"'SMA'.*'ALS', 'control'"):
        make(cohort(15, 15), positive="SMA")


def test_groups_come_from_the_image_table():
    images = pd.DataFrame(
        {
            "Metadata_Clone": ["A", "A", "B", None, "C"],
            "Metadata_Diagnosis": ["ALS", "ALS", "control", "ALS", None],
            "Metadata_Donor": ["d1", "d1", None, "d2", "d3"],
        }
    )
    assert groups_of_images(images, **COLUMNS) == (
        Group(name="A", label="ALS", donor="d1", n_images=2),
        Group(name="B", label="control", donor=None, n_images=1),
    )
    assert groups_of_images(images.iloc[:0], **COLUMNS) == ()
    with pytest.raises(UnknownNameError, match="Metadata_Diagnosis"):
        groups_of_images(images.drop(columns="Metadata_Diagnosis"), **COLUMNS)


def test_numbers_as_clone_names_and_contradictions_reach_the_refusal():
    images = pd.DataFrame(
        {"Metadata_Clone": [1, 1, 2], "Metadata_Diagnosis": ["ALS", "control", "control"]}
    )
    with pytest.raises(SplitError, match="group '1' has 2 classes"):
        make(groups_of_images(images, **COLUMNS))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        pytest.param({"label": "als"}, "classes 'ALS', 'als' differ", id="class"),
        pytest.param({"label": "A LS"}, "classes 'A LS', 'ALS' differ", id="class-with-a-space"),
        pytest.param({"name": "als-1"}, "groups 'ALS-1', 'als-1' differ", id="group"),
        pytest.param({"donor": "als-d1"}, "donors 'ALS-D1', 'als-d1' differ", id="donor"),
    ],
)
def test_names_that_differ_in_case_or_spaces_alone_are_refused(change, said):
    groups = cohort(15, 15)
    groups[-1] = groups[-1].model_copy(update=change)
    with pytest.raises(SplitError, match=said):
        make(groups)
