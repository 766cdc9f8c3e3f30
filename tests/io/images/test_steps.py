"""Distances of planes and times: what many statements say together, and when they say nothing."""

from __future__ import annotations

import pytest

from hcs.domain.plate import PlaneNumbers
from hcs.io.images.steps import Places, Steps, agree, place_planes


def noted(*planes):
    places = Places()
    for stack, z, t, height, time in planes:
        places.note(stack, z, t, z_um=height, t_s=time)
    return places.steps()


def test_fields_in_focus_at_different_heights_agree_on_the_distance():
    planes = [("f1", z, 1, 100 + 2.0 * z, 0.0) for z in (1, 2, 3)]
    planes += [("f2", z, 1, 140 + 2.0 * z, 60.0) for z in (1, 2, 3)]
    assert noted(*planes) == Steps(heights_um=(0.0, 2.0, 4.0))


def test_a_channel_of_one_plane_does_not_hide_the_stack_of_another():
    planes = [("dapi", z, 1, 3.0 * z, None) for z in (1, 2, 3)] + [("light", 1, 1, 3.0, None)]
    assert noted(*planes).heights_um == (0.0, 3.0, 6.0)


def test_clocks_of_fields_that_follow_one_another():
    planes = [
        (f"f{n}", 1, t, None, 7.0 * n + 600 * t + 0.5 * n * t) for n in (1, 2) for t in (1, 2)
    ]
    assert noted(*planes).times_s == (0.0, 600.75)


def test_fields_that_contradict_each_other_say_nothing():
    planes = [("f1", z, 1, 1.0 * z, None) for z in (1, 2)]
    planes += [("f2", z, 1, 9.0 * z, None) for z in (1, 2)]
    assert noted(*planes).heights_um == ()
    assert agree([Steps(z_um=1.0), Steps(z_um=2.0)]).z_um is None
    assert agree([Steps(z_um=1.0), Steps()]).z_um == 1.0


def test_equal_heights_are_no_stack():
    assert noted(*[("f1", z, 1, 5.0, 0.0) for z in (1, 2, 3)]) == Steps()


@pytest.mark.parametrize(
    ("numbers", "steps", "z_um", "t_min"),
    [
        pytest.param({}, Steps(2.0, 30.0), (0, 2, 4), (0, 0.5), id="steps"),
        pytest.param({"z": (1, 3, 7)}, Steps(2.0), (0, 4, 12), (), id="numbers-with-gaps"),
        pytest.param({}, Steps(2.0, None, (0, 2.1, 4.1)), (0, 2, 4), (), id="jitter"),
        pytest.param({}, Steps(2.0, None, (0, 2, 9)), (0, 2, 9), (), id="uneven"),
        pytest.param({}, Steps(2.0, None, (0, 2)), (0, 2, 4), (), id="of-another-stack"),
        pytest.param({"t_min": (0, 9)}, Steps(t_s=30.0), (), (0, 9), id="names-win"),
    ],
)
def test_places_of_three_planes_and_two_times(numbers, steps, z_um, t_min):
    placed = place_planes(PlaneNumbers(**numbers), steps, 3, 2)
    assert (placed.z_um, placed.t_min) == (pytest.approx(z_um), pytest.approx(t_min))


def test_one_plane_has_no_place():
    assert place_planes(PlaneNumbers(), Steps(2.0, 30.0), 1, 1) == PlaneNumbers()
