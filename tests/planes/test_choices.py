"""Tests of choices held against what a plate, or a table, has: by place and by value."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest

from hcs.domain import columns as col
from hcs.domain.config.stages import FeaturesConfig
from hcs.errors import ChoiceError
from hcs.planes.reading import choose, choose_in
from hcs.planes.times import keep_time


@dataclass
class Plate:
    """What a plate says of its planes and times."""

    name: str = "P"
    n_z: int = 1
    n_t: int = 1
    z_positions_um: tuple[float, ...] | None = None
    times_min: tuple[float, ...] | None = None


STATED = Plate("P", 3, 4, (-1.5, 0.0, 1.5), (0.0, 30.0, 60.0, 120.0))


def said(plane=None, time=None):
    config = FeaturesConfig(plates=("x",), out="x", plane=plane, time=time)
    return config.plane, config.time


@pytest.mark.parametrize(
    ("plane", "time", "index", "times", "minutes"),
    [
        ("z:1.5um", "60min", 2, (2,), (60.0,)),
        ("z:-1.5um", "first", 0, (0,), (0.0,)),
        ("z:1", "last", 1, (3,), (120.0,)),
        ("z:0", "all", 0, (0, 1, 2, 3), (0.0, 30.0, 60.0, 120.0)),
        ("z:0", 1, 0, (1,), (30.0,)),
    ],
)
def test_values_and_places_find_the_same_planes(plane, time, index, times, minutes):
    found = choose_in(STATED, *said(plane, time))
    assert found.plane.index == index
    assert (found.times, found.minutes, found.is_timed) == (times, minutes, True)
    assert found.minutes_of(times[-1]) == minutes[-1]


@pytest.mark.parametrize(
    ("plate", "plane", "time", "why"),
    [
        (STATED, None, "last", r"plate P has 3 z-planes \(0 to 2: -1.5, 0, 1.5 µm\): choose one"),
        (STATED, "max", None, r"plate P has 4 time points \(0 to 3: 0, 30, 60, 120 min\)"),
        (STATED, "z:1um", "last", r"1.5 µm\): there is no z:1um"),
        (STATED, "max", "45min", r"120 min\): there is no time 45min"),
        (STATED, "z:3", 4, "there is no z:3; .*there is no time 4"),
        (Plate(n_z=2), "z:1um", None, "of unknown height: z:1um cannot be found"),
        (Plate(n_t=2), None, "1min", "at unknown minutes: 1min cannot be found"),
        (Plate(), "z:1", None, "plate P has one z-plane: there is no z:1"),
    ],
)
def test_what_a_plate_has_not_is_refused_with_what_it_has(plate, plane, time, why):
    with pytest.raises(ChoiceError, match=why):
        choose_in(plate, *said(plane, time))


def test_all_is_offered_where_it_may_be_chosen():
    for every in (True, False):
        with pytest.raises(ChoiceError) as error:
            choose_in(STATED, *said("max"), every=every)
        assert ("study file), all, first" in str(error.value)) is every


def test_plates_that_lack_the_same_are_named_together():
    plates = [Plate(name, n_z=2) for name in ("P", "Q")] + [Plate("R", n_z=3), Plate("S")]
    with pytest.raises(ChoiceError) as error:
        choose(plates, None, None)
    first, second = str(error.value).split("; ")
    assert first.startswith("plates P, Q have 2 z-planes (0 to 1): choose one with --plane")
    assert second.startswith("plate R has 3 z-planes")


def test_many_times_are_named_in_short():
    plate = Plate(n_t=100, times_min=tuple(15.0 * i for i in range(100)))
    with pytest.raises(ChoiceError, match=r"100 time points \(0 to 99: 0, 15, .*, …, 1485 min\)"):
        choose_in(plate, None, None)


def table_of(plates):
    rows = [
        {col.PLATE: plate, col.WELL: "A01", col.SITE: 1, col.TIME: t, col.TIME_MIN: 10.0 * t}
        for plate, times in plates.items()
        for t in times
    ]
    return pd.DataFrame(rows)


@pytest.mark.parametrize(
    ("time", "kept"), [("first", [0, 1]), ("last", [2, 3]), (1, [1, 1]), ("20min", [2, 2])]
)
def test_of_a_table_one_time_point_of_every_plate_is_kept(time, kept):
    table = table_of({"P": (0, 1, 2), "Q": (1, 2, 3)})
    assert keep_time(table, said(time=time)[1], "t")[col.TIME].tolist() == kept


def test_a_table_of_several_times_is_refused_without_a_choice_and_with_a_wrong_one():
    table = table_of({"P": (0,), "Q": (1, 2, 3)})
    with pytest.raises(ChoiceError, match=r"t holds 3 time points of plate Q \(1, 2, 3\): choose"):
        keep_time(table, None, "t")
    with pytest.raises(ChoiceError, match=r"t holds 1 time point of plate P \(0\): there is no"):
        keep_time(table, said(time=2)[1], "t")


def test_a_table_of_one_time_stays_as_it_is():
    table = table_of({"P": (2,), "Q": (0,)})
    pd.testing.assert_frame_equal(keep_time(table, None, "t"), table)
    plain = table.drop(columns=[col.TIME, col.TIME_MIN])
    assert keep_time(plain, said(time="last")[1], "t") is plain
    with pytest.raises(ChoiceError, match="t holds one time point: there is no time 3"):
        keep_time(plain, said(time=3)[1], "t")


@pytest.mark.parametrize("kind", ["float64", "str", "Int64"])
def test_numbers_of_time_points_count_in_any_type(kind):
    table = table_of({"P": (0, 1, 2)})
    table[col.TIME] = table[col.TIME].astype(kind)
    with pytest.raises(ChoiceError, match="t holds 3 time points of plate P"):
        keep_time(table, None, "t")
    assert keep_time(table, said(time="last")[1], "t")[col.TIME].tolist() == [2]


@pytest.mark.parametrize("times", [("0h", "24h"), (0.5, 1.5), (0.0, np.nan)])
def test_times_that_are_no_numbers_are_never_mixed(times):
    table = table_of({"P": (0, 1)}).assign(**{col.TIME: list(times)})
    with pytest.raises(ChoiceError, match="image P A01 1 has 2 values of Metadata_Time"):
        keep_time(table, None, "t")


def test_a_time_that_a_plate_map_states_stays_as_it_is():
    table = table_of({"P": (0,), "Q": (0,)}).assign(**{col.TIME: ["24h", "48h"]})
    assert keep_time(table, None, "t") is table
