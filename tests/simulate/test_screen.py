from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hcs.domain.config.stages import SimulateConfig
from hcs.domain.plate import PertType
from hcs.simulate.plans import ALS, CONTROL
from hcs.simulate.screen import LAYOUTS, Compound, draw_compounds, plan_screen


def config(**changes):
    return SimulateConfig(out="unused", preset="screen", **changes)


@pytest.mark.parametrize("n_wells", [24, 96, 384])
def test_a_screen_plate_is_full_and_has_controls(n_wells):
    (plate,) = plan_screen(config(screen_wells=n_wells, screen_plates=1), 1)
    kinds = Counter(item.pert_type for item in plate.wells)

    assert len({item.well for item in plate.wells}) == n_wells
    assert kinds[PertType.NEGCON] == kinds[PertType.POSCON] == LAYOUTS[n_wells].n_controls
    for item in plate.wells:
        diagnosis = None if item.clone is None else item.clone.diagnosis
        wanted = {PertType.POSCON: CONTROL, PertType.EMPTY: None}.get(item.pert_type, ALS)
        assert diagnosis == wanted


@given(
    ec50=st.floats(0.01, 5),
    hill=st.floats(0.5, 3),
    largest=st.floats(0, 1),
    doses=st.lists(st.floats(0, 100), min_size=2, max_size=8),
)
def test_rescue_rises_with_dose_to_half_at_the_ec50(ec50, hill, largest, doses):
    compound = Compound("K", "rescuing", largest, ec50, hill, 0.0)
    rescues = [compound.rescue(dose) for dose in sorted(doses)]

    assert rescues == sorted(rescues)
    assert all(0 <= rescue <= largest for rescue in rescues)
    assert compound.rescue(ec50) == pytest.approx(largest / 2)
    assert compound.rescue(0) == 0


def test_planted_wells_follow_their_compound():
    settings = config(screen_plates=1)
    compounds = {item.name: item for item in draw_compounds(settings, 0)}
    (plate,) = plan_screen(settings, 1)

    treated = [item for item in plate.wells if item.pert_type is PertType.TREATMENT]
    for item in treated:
        compound = compounds[item.compound]
        assert item.rescue == compound.rescue(item.concentration_um)
        assert item.condition.survival == compound.survival(item.concentration_um)
        assert item.condition.disease == pytest.approx(1 - item.rescue)
        assert item.is_hit == (item.rescue >= 0.5 and item.condition.survival >= 0.5)
    for compound in compounds.values():
        doses = sorted(i.concentration_um for i in treated if i.compound == compound.name)
        assert doses == list(LAYOUTS[96].doses_um)
    kinds = Counter(item.kind for item in compounds.values())
    assert kinds == {"rescuing": 3, "partial": 1, "toxic": 1, "inactive": 5}


def test_toxic_compounds_kill_and_do_not_rescue():
    toxic = [c for c in draw_compounds(config(screen_wells=384), 0) if c.kind == "toxic"]

    assert toxic
    for compound in toxic:
        assert compound.rescue(10) == 0
        assert compound.survival(10) < 0.4
        assert compound.survival(0.001) > 0.9


def test_replicate_plates_carry_the_same_compounds_in_other_wells():
    plates = plan_screen(config(screen_plates=4, screen_replicates=2), 3)
    contents = [
        {(item.compound, item.concentration_um) for item in plate.wells} for plate in plates
    ]

    assert contents[0] == contents[1]
    assert contents[2] == contents[3]
    assert contents[0] != contents[2]
    where = [{item.well: item.compound for item in plate.wells} for plate in plates]
    assert where[0] != where[1]
    assert {plate.batch for plate in plates} == {"B03"}


@pytest.mark.parametrize(("strength", "at_least"), [(0.0, 0.0), (1.0, 0.05)])
def test_gradients_follow_the_plate(strength, at_least):
    (plate,) = plan_screen(config(screen_plates=1, gradient_strength=strength), 1)
    light = np.array([item.condition.illumination for item in plate.wells])

    assert np.ptp(light) >= at_least
    assert np.ptp(light) <= 0.3
    if strength == 0:
        assert set(light) == {1.0}


def test_empty_wells_have_neither_cells_nor_compound():
    (plate,) = plan_screen(config(screen_plates=1), 1)

    empty = [item for item in plate.wells if item.pert_type is PertType.EMPTY]
    assert empty
    for item in empty:
        assert item.condition.density == 0
        assert (item.clone, item.compound, item.rescue) == (None, None, None)
