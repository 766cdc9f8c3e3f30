"""Well names and plate formats: one well has many spellings, and each means that well alone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hcs.domain.wells import PlateFormat, Well, row_index, row_name
from hcs.errors import InputError

any_well = st.builds(Well, st.integers(0, 31), st.integers(0, 47))


@given(any_well)
def test_a_name_gives_back_its_well(well):
    assert Well.parse(well.name) == well


@given(
    well=any_well,
    padding=st.integers(1, 3),
    separator=st.sampled_from(["", " ", "-", "_", " - ", " -", "  "]),
    lower=st.booleans(),
    around=st.sampled_from(["", " ", "\t"]),
)
def test_every_spelling_gives_the_same_well(well, padding, separator, lower, around):
    text = f"{row_name(well.row)}{separator}{well.column + 1:0{padding}d}"
    assert Well.parse(around + (text.lower() if lower else text) + around) == well


@given(st.integers(0, 26 * 27 - 1))
def test_rows_go_on_after_z(row):
    assert row_index(row_name(row)) == row
    assert row_index(row_name(row).lower()) == row


@pytest.mark.parametrize(
    ("row", "name"),
    [
        pytest.param(0, "A", id="first"),
        pytest.param(25, "Z", id="last-letter"),
        pytest.param(26, "AA", id="first-of-two-letters"),
        pytest.param(31, "AF", id="last-of-1536"),
        pytest.param(52, "BA", id="second-of-two-letters"),
    ],
)
def test_row_names(row, name):
    assert row_name(row) == name


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "A",
        "1",
        "A0",
        "A00",
        "A100",
        "AAA1",
        "1A",
        "A1B",
        "A--1",
        "A1.5",
        "Ä1",
        "A-",
        "A１",
    ],
)
def test_what_is_no_well_is_refused_and_shown(text):
    with pytest.raises(InputError) as caught:
        Well.parse(text)
    assert repr(text) in str(caught.value)


@pytest.mark.parametrize("name", ["", "1", "AAA", "A1", "ß"])
def test_what_is_no_row_is_refused(name):
    with pytest.raises(InputError, match="not one or two letters"):
        row_index(name)


def test_paths_have_no_padding():
    assert (Well(0, 0).path, Well(31, 47).path) == ("A/1", "AF/48")


def test_wells_sort_row_by_row():
    names = ["B01", "A10", "A02", "AA01", "Z01"]
    assert [w.name for w in sorted(map(Well.parse, names))] == ["A02", "A10", "B01", "Z01", "AA01"]


@pytest.mark.parametrize(
    ("n_wells", "last"),
    [(6, "B03"), (12, "C04"), (24, "D06"), (48, "F08"), (96, "H12"), (384, "P24"), (1536, "AF48")],
)
def test_plate_formats(n_wells, last):
    plate_format = PlateFormat.of_size(n_wells)
    wells = plate_format.wells()
    assert len(wells) == len(set(wells)) == plate_format.n_wells == n_wells
    assert wells[-1].name == last
    assert list(wells) == sorted(wells)
    assert all(plate_format.holds(well) for well in wells)
    assert not plate_format.holds(Well(plate_format.n_rows, 0))
    assert not plate_format.holds(Well(0, plate_format.n_columns))
    assert len(plate_format.row_names) == plate_format.n_rows
    assert plate_format.column_names[-1] == str(plate_format.n_columns)


def test_an_unknown_plate_size_lists_those_that_exist():
    with pytest.raises(InputError, match="no plate format has 97 wells; there are 6, 12, 24"):
        PlateFormat.of_size(97)


@given(st.sets(any_well, max_size=5))
def test_the_smallest_format_holds_all_wells(wells):
    plate_format = PlateFormat.smallest_for(wells)
    assert all(plate_format.holds(well) for well in wells)
    smaller = [f for f in PlateFormat if f.n_wells < plate_format.n_wells]
    assert not any(all(f.holds(well) for well in wells) for f in smaller)


def test_wells_beyond_every_plate_are_named():
    with pytest.raises(InputError, match="wells A49, AG01 lie outside"):
        PlateFormat.smallest_for({Well(0, 48), Well(32, 0), Well(0, 0)})
