"""Number dialects: a column is read exactly, or every cell that is unclear is named."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hcs.io.sheets.reading.numbers import find_decimal, is_beyond, is_error, read_numbers
from hcs.io.sheets.reading.typed import Stored

DIALECTS = [
    pytest.param(["0.5", "1.000", "10.000"], [0.5, 1, 10], id="point-proven"),
    pytest.param(["0,5", "1,000", "10,000"], [0.5, 1, 10], id="comma-proven"),
    pytest.param(["1,006.29", "993.39", "1,032"], [1006.29, 993.39, 1032], id="english-thousands"),
    pytest.param(["1.006,29", "993,39", "1.032"], [1006.29, 993.39, 1032], id="german-thousands"),
    pytest.param(["1,234,567", "1,000", "2.500"], [1234567, 1000, 2.5], id="two-signs-prove"),
    pytest.param(["1'000.5", "12'500"], [1000.5, 12500], id="swiss"),
    pytest.param(["1 000,5", "12 500"], [1000.5, 12500], id="french-plain-space"),
    pytest.param(["1\u202f000,5", "12\u00a0500"], [1000.5, 12500], id="french-narrow-space"),
    pytest.param(["1e-05", "1.234E3", "1.000"], [1e-5, 1234, 1], id="exponents"),
    pytest.param(["−5", "+.25", "-0,5".replace(",", ".")], [-5, 0.25, -0.5], id="signs"),
    pytest.param(["12", "007", "1000"], [12, 7, 1000], id="whole"),
    pytest.param(["100.6%", "99.3%"], [100.6, 99.3], id="percent"),
    pytest.param(["1234.567"], [1234.567], id="four-digits-are-no-group"),
    pytest.param(["0.500"], [0.5], id="no-group-begins-with-zero"),
    pytest.param([Stored("1.000", 1.0), "0,5"], [1, 0.5], id="stored-number-is-exact"),
    pytest.param(["", "NaN", "n/a", "-", "7"], [None, None, None, None, 7], id="missing"),
]


@pytest.mark.parametrize(("cells", "values"), DIALECTS)
def test_a_column_is_read_in_its_own_dialect(cells, values):
    found = read_numbers(cells)
    assert list(found.values) == values
    assert not found.unread


REFUSED = [
    pytest.param(["0,5", "1.000", "10.000"], ["1.000", "10.000"], id="thousand-beside-comma"),
    pytest.param(["0.5", "1,000"], ["1,000"], id="thousand-beside-point"),
    pytest.param(["1,000", "2,500"], ["1,000", "2,500"], id="comma-alone"),
    pytest.param(["1.000", "2.500"], ["1.000", "2.500"], id="point-alone"),
    pytest.param(["0.5", "0,25", "3"], ["0.5", "0,25"], id="both-signs"),
    pytest.param(["1.234.567", "0.5"], ["1.234.567", "0.5"], id="one-sign-for-two-things"),
    pytest.param(["1.5.2", "3"], ["1.5.2"], id="version"),
    pytest.param(["12,34,567"], ["12,34,567"], id="lakh"),
    pytest.param(["5", "many", "1O"], ["many", "1O"], id="words"),
    pytest.param(["5 RLU", "7"], ["5 RLU"], id="unit-in-the-cell"),
    pytest.param(["50%", "7", "8"], ["50%"], id="percent-among-numbers"),
    pytest.param(["50%", "60%", "0.7"], ["0.7"], id="number-among-percent"),
]


@pytest.mark.parametrize(("cells", "unread"), REFUSED)
def test_what_is_unclear_is_named_cell_by_cell(cells, unread):
    found = read_numbers(cells)
    assert [cells[item.place] for item in found.unread] == unread
    assert all(item.message and item.expected for item in found.unread)


@pytest.mark.parametrize(
    ("cells", "known", "values"),
    [
        pytest.param(["1.000"], {"point": True}, [1], id="commas-part-the-columns"),
        pytest.param(["1,000"], {"point": True}, [None], id="comma-in-a-comma-file"),
        pytest.param(["1.000"], {"hint": "."}, [1], id="other-columns-have-points"),
        pytest.param(["1.000"], {"hint": ","}, [None], id="other-columns-have-commas"),
        pytest.param(["1.000"], {"hint": ",", "point": True}, [None], id="hint-against-file"),
        pytest.param(["1.000", "0,5"], {"stated": ","}, [1000, 0.5], id="user-says-comma"),
        pytest.param(["1,000", "2.5"], {"stated": "."}, [1000, 2.5], id="user-says-point"),
        pytest.param(["0.5", "2"], {"stated": ","}, [None, 2], id="user-is-contradicted"),
        pytest.param(["1.234.567"], {"stated": "."}, [None], id="groups-contradict-the-user"),
    ],
)
def test_what_else_is_known_decides_where_the_column_does_not(cells, known, values):
    assert list(read_numbers(cells, **known).values) == values


@pytest.mark.parametrize(
    "word",
    ["OVRFLW", "OVER", "Overflow", "over range", ">max", "> Max", "<min", ">4.0", "<0,01", "#SAT",
     "saturated", "inf", "-Inf", "∞", "1.#INF", "#DIV/0!", "#N/A", "####", "****", "?????",
     "Masked", "out of range", "UNDER", "O.O.R."],
)  # fmt: skip
def test_words_of_instruments_are_no_numbers_and_no_faults(word):
    found = read_numbers(["7", word])
    assert found.values == (7, None)
    assert found.beyond == (1,)
    assert not found.unread


@pytest.mark.parametrize("word", ["DMSO", "A01", "over the moon", "nd2", "10 uM", "#1", "x"])
def test_other_words_are_not_taken_for_those_of_instruments(word):
    assert not is_beyond(word)
    assert not is_error(word)


def test_other_columns_prove_the_decimal_sign_where_they_agree():
    assert find_decimal([["A", "B"], ["0,5", "1"]]) == ","
    assert find_decimal([["0,5"], ["1.5"]]) is None
    assert find_decimal([["1.000"], ["12"]]) is None
    assert find_decimal([["1,2-dichlorobenzene", "0,5", "water"]]) is None


LOCALES = {
    "en": (".", ","),
    "de": (",", "."),
    "fr": (",", "\u202f"),
    "ch": (".", "'"),
    "se": (",", " "),
}


def write_number(value, locale, *, grouped):
    decimal, group = LOCALES[locale]
    text = f"{value:,.{0 if value == int(value) else 3}f}" if grouped else repr(value)
    text = text.removesuffix(".0")
    return text.replace(",", "\0").replace(".", decimal).replace("\0", group)


@settings(max_examples=150, deadline=None)
@given(
    values=st.lists(
        st.one_of(
            st.integers(-5_000_000, 5_000_000).map(float),
            st.integers(-5_000_000, 5_000_000).map(lambda n: n / 1000),
        ),
        min_size=1,
        max_size=12,
    ),
    locale=st.sampled_from(sorted(LOCALES)),
    grouped=st.booleans(),
    says=st.booleans(),
)
def test_a_column_of_any_locale_is_read_exactly_or_refused(values, locale, grouped, says):
    cells = [write_number(value, locale, grouped=grouped) for value in values]
    found = read_numbers(cells, stated=LOCALES[locale][0] if says else None)
    unread = {item.place for item in found.unread}
    for place, (value, read) in enumerate(zip(values, found.values, strict=True)):
        assert place in unread or math.isclose(read, value, rel_tol=1e-12, abs_tol=1e-12)
    if says:  # whoever says the sign has every number read
        assert not unread


def test_of_a_clash_the_odd_cells_are_named_and_not_all():
    cells = ["1002.51", "97.5", "3.25", "12", "1 000,5", "88.1"]
    found = read_numbers(cells)
    assert [item.place for item in found.unread] == [4]
    assert len(read_numbers(["1.5", "2,5"]).unread) == 2
