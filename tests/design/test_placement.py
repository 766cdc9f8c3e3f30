"""Layouts: every clone gets its wells, rows, columns and edge are balanced, and nothing is told."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hcs.design.layout_bias import predict_from_position
from hcs.design.placement import deal, edge_distance, usable_wells
from hcs.domain.wells import PlateFormat, Well
from hcs.errors import InputError
from hcs.words.positions import say_position

SECRET = "5a" * 32


def dealt(plate_format, groups, class_of, *, seed=0, secret=SECRET, skip_edge=0, exclude=()):
    wells = usable_wells(plate_format, skip_edge, frozenset(exclude))
    return deal(wells, plate_format, groups, class_of, (secret, "P01", seed))


def of_two_classes(n_clones):
    return [f"C{number:03d}" for number in range(n_clones)], [
        ("als", "control")[number % 2] for number in range(n_clones)
    ]


@st.composite
def designs(draw):
    """Any clones with any numbers of wells that fit on some plate."""
    plate_format = draw(st.sampled_from([PlateFormat.WELLS_24, PlateFormat.WELLS_96]))
    counts = draw(st.lists(st.integers(1, 8), min_size=1, max_size=16))
    while sum(counts) > plate_format.n_wells:
        counts.pop()
    classes = draw(
        st.lists(
            st.sampled_from(["als", "control", "carrier", None]),
            min_size=len(counts),
            max_size=len(counts),
        )
    )
    return plate_format, [(f"C{n}", count) for n, count in enumerate(counts)], classes


@settings(max_examples=25, deadline=None)
@given(design=designs(), seed=st.integers(0, 2**31))
def test_every_clone_gets_as_many_wells_as_it_asks_for(design, seed):
    plate_format, groups, classes = design
    layout = dealt(plate_format, groups, classes, seed=seed)
    assert Counter(layout.values()) == dict(groups)
    assert all(plate_format.holds(well) for well in layout)
    assert list(layout) == sorted(layout)
    assert layout == dealt(plate_format, groups, classes, seed=seed)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**31), replicates=st.sampled_from([2, 3, 4, 6]))
def test_rows_columns_and_edge_hold_the_classes_evenly(seed, replicates):
    plate_format = PlateFormat.WELLS_96
    names, classes = of_two_classes(2 * (48 // replicates // 2))
    layout = dealt(plate_format, [(name, replicates) for name in names], classes, seed=seed)
    class_of = dict(zip(names, classes, strict=True))

    def ring(well):
        return min(edge_distance(well, plate_format), 2)

    for level in (lambda w: w.row, lambda w: w.column, ring):
        found = Counter((level(well), class_of[name]) for well, name in layout.items())
        sizes = Counter(level(well) for well in layout)
        for place, size in sizes.items():
            assert abs(found[place, "als"] - size / 2) <= 1.5, (place, size, found)


@pytest.mark.parametrize("plate_format", [PlateFormat.WELLS_96, PlateFormat.WELLS_384])
def test_wells_of_a_clone_stand_apart(plate_format):
    names, classes = of_two_classes(plate_format.n_wells // 4)
    layout = dealt(plate_format, [(name, 4) for name in names], classes)
    for name in names:
        wells = [well for well, found in layout.items() if found == name]
        assert len({well.row for well in wells}) == 4
        assert len({well.column for well in wells}) == 4


def test_wells_left_over_are_spread_too():
    names, classes = of_two_classes(18)
    layout = dealt(PlateFormat.WELLS_96, [(name, 4) for name in names], classes)
    filled = Counter(well.row for well in layout)
    assert set(filled.values()) == {9}


def test_edge_and_excluded_wells_stay_empty():
    names, classes = of_two_classes(14)
    exclude = (Well.parse("C3"), Well.parse("F10"))
    groups = [(name, 4) for name in names]
    layout = dealt(PlateFormat.WELLS_96, groups, classes, skip_edge=1, exclude=exclude)
    assert not set(layout) & set(exclude)
    assert min(edge_distance(well, PlateFormat.WELLS_96) for well in layout) == 1


def test_another_secret_or_seed_deals_otherwise():
    names, classes = of_two_classes(24)
    groups = [(name, 4) for name in names]
    first = dealt(PlateFormat.WELLS_96, groups, classes)
    for other in ({"secret": "5b" * 32}, {"seed": 1}):
        layout = dealt(PlateFormat.WELLS_96, groups, classes, **other)
        same = sum(layout[well] == name for well, name in first.items())
        assert same < 16  # 4 of 96 by chance


@pytest.mark.parametrize(
    ("more", "message"),
    [
        pytest.param({}, "ask for 100 wells", id="too-many"),
        pytest.param({"skip_edge": 4}, "no well .* is left", id="no-well-left"),
        pytest.param({"exclude": (Well.parse("H13"),)}, "H13", id="excluded-outside"),
    ],
)
def test_what_does_not_fit_is_said(more, message):
    names, classes = of_two_classes(25)
    with pytest.raises(InputError, match=message):
        dealt(PlateFormat.WELLS_96, [(name, 4) for name in names], classes, **more)


# ── what position tells ─────────────────────────────────────────────────────────────────────────

PLATE = PlateFormat.WELLS_96


def judged(class_of_well, n_permutations=199, plates=("P01",)):
    placed = [(p, well, str(class_of_well(p, well))) for p in plates for well in PLATE.wells()]
    found = predict_from_position("diagnosis", placed, PLATE, n_permutations=n_permutations, seed=3)
    return say_position(found)


@pytest.mark.parametrize(
    ("rule", "position"),
    [
        pytest.param(lambda _, w: w.row >= 4, "row", id="halves"),
        pytest.param(lambda _, w: w.column % 2, "column", id="every-other-column"),
        pytest.param(lambda _, w: edge_distance(w, PLATE) == 0, "edge distance", id="edge"),
        pytest.param(lambda _, w: w.column // 4, "column", id="three-classes"),
    ],
)
def test_a_layout_by_position_is_found_and_named(rule, position):
    report = judged(rule)
    assert report.verdict == "predictable"
    score = next(item for item in report.scores if item.position == position)
    assert score.auc > 0.95
    assert position in report.sentence
    assert report.p_value <= 0.01


def test_a_diagnosis_of_its_own_on_each_plate_is_found():
    report = judged(lambda plate, _: plate, plates=("P01", "P02"))
    assert report.verdict == "predictable"
    assert "the plate alone reaches an AUC of 1.00" in report.sentence


def test_random_layouts_are_called_predictable_as_rarely_as_chance_has_it():
    called = 0
    for seed in range(60):
        dice = np.random.default_rng(seed).permutation(96) % 2
        names = dict(zip(PLATE.wells(), dice, strict=True))
        called += judged(lambda _, w, n=names: n[w], n_permutations=99).verdict == "predictable"
    assert called <= 8  # 3 expected; more than 8 once in 300


def test_a_balanced_layout_does_not_predict():
    names, classes = of_two_classes(24)
    layout = dealt(PLATE, [(name, 4) for name in names], classes)
    class_of = dict(zip(names, classes, strict=True))
    report = judged(lambda _, w: class_of[layout[w]])
    assert report.verdict == "chance"
    assert "does not predict" in report.sentence


def test_one_class_cannot_be_predicted():
    with pytest.raises(InputError, match="two"):
        judged(lambda _, w: "als")
