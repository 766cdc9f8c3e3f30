from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hcs.domain.config.stages import SimulateConfig
from hcs.simulate.cohort import draw_clones, plan_cohort
from hcs.simulate.draws import generator
from hcs.simulate.plans import ALS, CONTROL, severity
from hcs.simulate.run import DEFAULT_NEURONS_PER_MM2
from hcs.simulate.variation import Condition, Setting, bead_share, styles_of


def config(**changes):
    return SimulateConfig(out="unused", preset="cohort", **changes)


@given(
    clones=st.integers(1, 15),
    images=st.integers(1, 60),
    fields=st.integers(1, 9),
    batches=st.integers(1, 3),
    seed=st.integers(0, 1000),
)
@settings(max_examples=40, deadline=None)
def test_every_clone_gets_exactly_its_images(clones, images, fields, batches, seed):
    plates = plan_cohort(
        config(
            clones_per_class=clones,
            images_per_clone=images,
            fields_per_well=fields,
            batches=batches,
            seed=seed,
        )
    )
    counts: Counter[str] = Counter()
    for plate in plates:
        wells = [item.well for item in plate.wells]
        assert len(set(wells)) == len(wells)
        assert all(plate.plate_format.holds(well) for well in wells)
        assert all(1 <= item.n_sites <= fields for item in plate.wells)
        counts.update({item.clone.name: 0 for item in plate.wells})
        for item in plate.wells:
            counts[item.clone.name] += item.n_sites
    assert set(counts.values()) == {images}
    assert len(counts) == 2 * clones


def test_every_batch_is_a_plate_with_all_clones():
    plates = plan_cohort(config(clones_per_class=6, images_per_clone=12, batches=2))

    assert [(plate.name, plate.batch) for plate in plates] == [("P01", "B01"), ("P02", "B02")]
    for plate in plates:
        assert len({item.clone.name for item in plate.wells}) == 12


def test_a_large_cohort_has_all_clones_on_every_plate():
    plates = plan_cohort(config(clones_per_class=15, images_per_clone=225, batches=3))

    for plate in plates:
        assert len({item.clone.name for item in plate.wells}) == 30
        assert plate.plate_format.n_wells <= 96


@pytest.mark.parametrize("seed", range(8))
def test_position_does_not_follow_diagnosis(seed):
    for plate in plan_cohort(config(clones_per_class=8, images_per_clone=24, seed=seed)):
        sick = np.array([item.clone.diagnosis == ALS for item in plate.wells], dtype=float)
        row = np.array([item.well.row for item in plate.wells], dtype=float)
        column = np.array([item.well.column for item in plate.wells], dtype=float)
        assert abs(np.corrcoef(sick, row)[0, 1]) <= 0.25
        assert abs(np.corrcoef(sick, column)[0, 1]) <= 0.25


def test_names_do_not_tell_the_diagnosis():
    firsts = [
        sum(c.diagnosis == ALS for c in draw_clones(config(clones_per_class=15, seed=seed))[:15])
        for seed in range(40)
    ]
    assert 6 < np.mean(firsts) < 9


def test_only_diseased_clones_have_an_illness():
    clones = draw_clones(config(clones_per_class=15))

    assert Counter(clone.diagnosis for clone in clones) == {CONTROL: 15, ALS: 15}
    assert len({clone.donor for clone in clones}) == 30
    for clone in clones:
        sick = clone.diagnosis == ALS
        assert (clone.duration_years is not None) == sick
        assert (clone.onset is not None) == sick
        assert (clone.disease > 0) == sick


def test_longer_illness_is_a_stronger_phenotype():
    strengths = [severity(years) for years in (0.3, 2, 5, 15)]
    assert strengths == sorted(strengths)


def setting(**changes):
    return Setting(**{"seed": 1, "clone_variation": 1.0, "batch_variation": 1.0,
                      "neurons_per_mm2": DEFAULT_NEURONS_PER_MM2, **changes})  # fmt: skip


def test_disease_changes_the_share_of_beading_and_nothing_else():
    healthy, optics = styles_of(setting(), "C001", "B01", Condition(disease=0.0))
    sick, sick_optics = styles_of(setting(), "C001", "B01", Condition(disease=1.0))

    assert optics == sick_optics
    assert healthy.texture.bead_share < 0.2
    assert sick.texture.bead_share > 0.8
    changed = [name for name in healthy.__slots__ if getattr(healthy, name) != getattr(sick, name)]
    assert changed == ["texture"]
    changed = [
        name
        for name in healthy.texture.__slots__
        if getattr(healthy.texture, name) != getattr(sick.texture, name)
    ]
    assert changed == ["bead_share"]


def test_the_null_preset_draws_diseased_clones_like_healthy_ones():
    null = SimulateConfig(out="unused", preset="null")
    for plate in plan_cohort(null):
        assert {item.condition.disease for item in plate.wells} == {0.0}


@given(healthy=st.floats(0, 0.2), steps=st.lists(st.floats(0, 3), min_size=2, max_size=6))
def test_beading_rises_with_disease(healthy, steps):
    shares = [bead_share(healthy, step) for step in sorted(steps)]
    assert shares == sorted(shares)
    assert all(0 <= share <= 1 for share in shares)


def test_clones_and_batches_differ_and_variation_zero_makes_them_equal():
    def styles(**changes):
        return [
            styles_of(setting(**changes), clone, batch, Condition())
            for clone in ("C001", "C002")
            for batch in ("B01", "B02")
        ]

    varied = styles()
    assert len(set(varied)) == 4
    same_clone = [neurons.soma_radius_um for neurons, _ in varied[:2]]
    assert same_clone[0] == same_clone[1]
    equal = styles(clone_variation=0.0, batch_variation=0.0)
    assert len({optics for _, optics in equal}) == 1
    assert len({neurons.soma_radius_um for neurons, _ in equal}) == 1


def test_streams_of_different_names_differ():
    draws = {float(generator(0, *names).random()) for names in (("a",), ("b",), ("a", 1), ("a1",))}
    assert len(draws) == 4
