"""Names of plates that spreadsheets change: recognized where clear, else asked about."""

from __future__ import annotations

import pytest

from hcs.domain.plate import PlateMap, PlateMapRow
from hcs.domain.wells import Well
from hcs.errors import InputError
from hcs.io.sheets.platenames import select_plate


def plate_map(*names):
    rows = tuple(PlateMapRow(well=Well(0, i), plate=name) for i, name in enumerate(names))
    return PlateMap(rows=rows, source="m.csv")


def columns_of(mapped):
    return [row.well.column for row in mapped.rows]


@pytest.mark.parametrize(
    ("names", "plate", "columns"),
    [
        pytest.param(["12", "13", None], "12", [0, 2], id="exact"),
        pytest.param(["12", "13", None], "00012", [0, 2], id="leading-zeros-lost"),
        pytest.param(["00012", "13"], "12", [0], id="leading-zeros-lost-in-the-folder"),
        pytest.param(["12.0", "13.0"], "0012", [0], id="a-column-of-floats"),
        pytest.param(["1E+11", "x"], "1E11", [0], id="code-that-looks-like-a-power"),
        pytest.param(["100000", "x"], "1E5", [0], id="code-taken-for-a-number"),
        pytest.param(["12", "12b"], "012b", [], id="no-number"),
        pytest.param(["12"], "120", [], id="other-number"),
        pytest.param([None, None], "anything", [0, 1], id="no-plates"),
    ],
)
def test_rows_of_a_plate(names, plate, columns):
    found = select_plate(plate_map(*names), plate)
    assert columns_of(found) == columns
    is_exact = plate in names or names == [None, None]
    assert bool(found.notes) != is_exact


@pytest.mark.parametrize(
    ("names", "plate", "others"),
    [
        pytest.param(["1.1E+11"], "110000012345", [], id="digits-lost"),
        pytest.param(["1,1E+11"], "110000012345", [], id="digits-lost-with-a-comma"),
        pytest.param(["1.1E+11"], "110000000000", [], id="digits-hidden"),
        pytest.param(["1234567890123450000"], "1234567890123456789", [], id="beyond-15-digits"),
        pytest.param(["12", "012"], "00012", [], id="two-of-the-map"),
        pytest.param(["12"], "00012", ["00012", "0012"], id="two-plates"),
    ],
)
def test_what_may_be_another_plate_is_refused_with_both_named(names, plate, others):
    with pytest.raises(InputError) as caught:
        select_plate(plate_map(*names), plate, others)
    assert repr(plate) in str(caught.value)
    assert repr(names[0]) in str(caught.value)


def test_a_plate_that_exists_is_not_taken_for_another():
    both = ["00012", "12"]
    assert columns_of(select_plate(plate_map("12"), "12", both)) == [0]
    found = select_plate(plate_map("12"), "00012", both)
    assert columns_of(found) == []
    assert found.notes == ("it describes '12', and not '00012'",)
