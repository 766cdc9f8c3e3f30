"""Values of readers in any dialect: read exactly, or every cell that is none is named."""

from __future__ import annotations

import contextlib

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hcs.domain import columns as col
from hcs.errors import FaultsError, InputError
from hcs.io.sheets.reading.cells import Dialect
from hcs.io.sheets.values import read_values

VALUES = [1006.29, 993.0, 0.5, 1500.0]


def table_of(texts, sign=","):
    lines = [f"plate{sign}well{sign}pert_type{sign}RLU"]
    lines += [f"P1{sign}A0{i}{sign}trt{sign}{text}" for i, text in enumerate(texts, start=1)]
    return "\n".join(lines) + "\n"


def read(tmp_path, text, *columns, name="v.csv", **how):
    (tmp_path / name).write_text(text, encoding="utf-8")
    return read_values(tmp_path / name, columns, dialect=Dialect(**how))


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(table_of(["1006.29", "993", "0.5", "1500"]), id="english"),
        pytest.param(table_of(["1006,29", "993", "0,5", "1500"], ";"), id="german"),
        pytest.param(table_of(["1006,29", "993", "0,5", "1500"], "\t"), id="german-tabs"),
        pytest.param(table_of(['"1,006.29"', "993", ".5", '"1,500"']), id="english-thousands"),
        pytest.param(table_of(["1.006,29", "993", "0,5", "1.500"], ";"), id="german-thousands"),
        pytest.param(table_of(["1'006.29", "993", "0.5", "1'500"]), id="swiss"),
        pytest.param(table_of(["1.00629E3", "993.0", "5e-1", "1.5E+03"]), id="powers"),
    ],
)
@pytest.mark.parametrize("columns", [(), ("RLU",)])
def test_values_in_the_dialect_of_their_column(tmp_path, text, columns):
    found = read(tmp_path, text, *columns)
    assert found.columns == ("RLU",)
    assert found.table["RLU"].tolist() == VALUES


@pytest.mark.parametrize("word", ["OVRFLW", ">max", "<min", "#SAT", "inf", "NaN", "-", "n/a"])
def test_a_word_in_the_place_of_a_value_is_named_and_leaves_the_well_without_one(tmp_path, word):
    found = read(tmp_path, table_of(["1006.29", word, "0.5", "1500"]))
    np.testing.assert_equal(found.table["RLU"].to_numpy(), [1006.29, np.nan, 0.5, 1500])
    assert [tuple(item) for item in found.without_number] == [("P1", "A02", "RLU", 3, word)]


def test_a_blank_cell_is_said(tmp_path):
    found = read(tmp_path, table_of(["1006.29", "", "0.5", "1500"]))
    assert found.table["RLU"].isna().tolist() == [False, True, False, False]
    assert found.notes == ("column 'RLU' has no value in rows 3",)
    assert not found.without_number


def test_every_cell_that_is_no_number_is_a_fault(tmp_path):
    text = table_of(["1,5", "many", "2.000", "1O", "7"], ";")
    with pytest.raises(FaultsError) as caught:
        read(tmp_path, text)
    assert [(f.row, f.column, f.value) for f in caught.value.faults] == [
        (3, "RLU", "many"),
        (4, "RLU", "2.000"),
        (5, "RLU", "1O"),
    ]
    assert all(fault.expected for fault in caught.value.faults)


def test_thousands_that_are_not_clear_are_refused_and_can_be_stated(tmp_path):
    text = table_of(["1.006", "993.125", "2.500", "1.500"], ";")
    with pytest.raises(FaultsError, match="decimals or thousands"):
        read(tmp_path, text)
    assert read(tmp_path, text, decimal="point").table["RLU"].tolist() == [1.006, 993.125, 2.5, 1.5]
    assert read(tmp_path, text, decimal="comma").table["RLU"].tolist() == [1006, 993125, 2500, 1500]


def test_totals_below_the_wells_are_no_wells(tmp_path):
    found = read(tmp_path, table_of(["1", "2", "3", "4"]) + "P1,Mean,,2.5\nP1,SD,,1.29\n")
    assert found.table["RLU"].tolist() == [1, 2, 3, 4]
    assert len(found.notes) == 2


def test_columns_with_limits_are_numbers_too(tmp_path):
    text = "plate,well,RLU,focus\nP1,A1,1,2.5\nP1,A2,2,OVER\n"
    (tmp_path / "v.csv").write_text(text)
    found = read_values(tmp_path / "v.csv", ["RLU"], numeric=["focus", "absent"])
    assert found.table["focus"].isna().tolist() == [False, True]
    assert [item.column for item in found.without_number] == ["focus"]


def test_several_numeric_columns_are_asked_about(tmp_path):
    with pytest.raises(InputError, match="numeric are: 'RLU', 'OD'"):
        read(tmp_path, "well;RLU;OD\nA1;1,5;2\nA2;2,5;3\n")


# ── profiles of other programs ──────────────────────────────────────────────────────────────────


def profile(tmp_path, **columns):
    table = pd.DataFrame(
        {col.PLATE: "P1", col.WELL: ["A01", "A02", "A03"], "Cells_Area": [1.0, 2.0, 3.0], **columns}
    )
    table.to_parquet(tmp_path / "p.parquet")
    return tmp_path / "p.parquet"


def test_jump_controls_of_a_profile(tmp_path):
    path = profile(
        tmp_path,
        Metadata_pert_type=["trt", "control", "control"],
        Metadata_control_type=[None, "negcon", "poscon_diverse"],
        Metadata_broad_sample=["BRD-1", None, "BRD-2"],
        Metadata_mmoles_per_liter=[0.005, None, 0.01],
    )
    table = read_values(path, ["Cells_Area"]).table
    assert table[col.PERT_TYPE].tolist() == ["trt", "negcon", "poscon"]
    assert table[col.COMPOUND].fillna("").tolist() == ["BRD-1", "", "BRD-2"]
    assert table[col.CONCENTRATION_UM].fillna(-1).tolist() == [5, -1, 10]


def test_a_control_of_no_known_type_is_a_fault_and_never_a_treated_well(tmp_path):
    path = profile(tmp_path, Metadata_pert_type=["trt", "control", "negcon"])
    with pytest.raises(FaultsError, match="unknown type of well") as caught:
        read_values(path, ["Cells_Area"])
    assert [(f.row, f.value) for f in caught.value.faults] == [(2, "control")]
    (tmp_path / "map.csv").write_text("well,pert_type\nA1,trt\nA2,negcon\nA3,negcon\n")
    table = read_values(path, ["Cells_Area"], plate_map=tmp_path / "map.csv").table
    assert table[col.PERT_TYPE].tolist() == ["trt", "negcon", "negcon"]


def test_a_kind_of_well_that_is_missing_in_a_column_of_texts_is_blank(tmp_path):
    """pandas' own missing value is neither equal to itself nor not."""
    kinds = pd.array(["negcon", None, "trt"], dtype="string")
    found = read_values(profile(tmp_path, Metadata_pert_type=kinds, a=[1.0, 2.0, 3.0]), ["a"])
    assert found.table[col.PERT_TYPE].fillna("").tolist() == ["negcon", "", "trt"]


def test_infinite_and_textual_values_of_a_profile_are_named(tmp_path):
    path = profile(tmp_path, a=[1.0, float("inf"), float("nan")], b=["1,5", "OVRFLW", "2"])
    found = read_values(path, ["a", "b"])
    assert found.table["b"].fillna(-1).tolist() == [1.5, -1, 2]
    assert [(item.well, item.column, item.text) for item in found.without_number] == [
        ("A02", "a", "inf"),
        ("A02", "b", "OVRFLW"),
    ]


def test_plate_names_that_a_spreadsheet_changed_meet_those_of_the_values(tmp_path):
    (tmp_path / "v.csv").write_text("plate,well,RLU\n00012,A1,5\n00013,A1,6\n")
    (tmp_path / "m.csv").write_text("plate,well,clone\n12,A1,c\n13,A1,d\n")
    found = read_values(tmp_path / "v.csv", plate_map=tmp_path / "m.csv")
    assert found.table[col.CLONE].tolist() == ["c", "d"]
    assert not found.unmapped
    assert "plate '12' of the plate map is taken for '00012'" in found.notes[0]


def test_a_column_in_percent_is_said(tmp_path):
    found = read(tmp_path, table_of(["100.5%", "99 %", "0.5%"]))
    assert found.table["RLU"].tolist() == [100.5, 99, 0.5]
    assert found.notes == ("column 'RLU' is in percent",)


def test_a_column_of_mostly_words_of_an_instrument_is_found(tmp_path):
    found = read(tmp_path, table_of(["OVER", "OVER", "5"]))
    assert found.columns == ("RLU",)
    assert len(found.without_number) == 2


def test_one_of_several_likely_columns_is_never_chosen(tmp_path):
    text = "well,RLU,OD\nA1,OVER,1.5\nA2,7,2.5\n"
    with pytest.raises(InputError, match="'RLU', 'OD'"):
        read(tmp_path, text)


LOCALES = {"en": (".", ",", ",;\t"), "de": (",", ".", ";\t"), "fr": (",", "\u202f", ";\t"),
           "ch": (".", "'", ",;\t")}  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(
    values=st.lists(st.integers(0, 9_999_999), min_size=1, max_size=6),
    locale=st.sampled_from(sorted(LOCALES)),
    which=st.integers(0, 2),
    digits=st.integers(0, 3),
    grouped=st.booleans(),
)
def test_a_file_of_any_locale_is_read_exactly_or_refused(
    tmp_path_factory, values, locale, which, digits, grouped
):
    decimal, group, signs = LOCALES[locale]
    numbers = [value / 10**digits for value in values]
    texts = [f"{value:{',' if grouped else ''}.{digits}f}" for value in numbers]
    texts = [t.replace(",", "\0").replace(".", decimal).replace("\0", group) for t in texts]
    sign = signs[which % len(signs)]
    lines = [f"well{sign}x", *(f'A{i}{sign}"{text}"' for i, text in enumerate(texts, start=1))]
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_text("\n".join(lines), encoding="utf-8")
    with contextlib.suppress(FaultsError):
        assert read_values(path, ["x"]).table["x"].tolist() == pytest.approx(numbers, rel=1e-12)


def lapse_of(header, times, sign=","):
    lines = [sign.join(["plate", "well", "pert_type", header, "RLU"])]
    lines += [
        sign.join(["P1", well, "trt", time, str(100 * place + number)])
        for place, time in enumerate(times)
        for number, well in enumerate(("A01", "A02"), start=1)
    ]
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize(
    ("header", "cells", "index", "minutes"),
    [
        pytest.param("time", ["0", "1", "5"], [0, 1, 5], None, id="numbers"),
        pytest.param("Metadata_Time", ["0", "1", "2"], [0, 1, 2], None, id="hcs"),
        pytest.param("Time (h)", ["0", "0.5", "24"], [0, 1, 2], [0, 30, 1440], id="hours"),
        pytest.param("Time [s]", ["30", "60", "90"], [0, 1, 2], [0.5, 1, 1.5], id="seconds"),
        pytest.param("time_min", ["0", "10", "20"], [0, 1, 2], [0, 10, 20], id="minutes"),
        pytest.param("Elapsed time", ["0:00", "0:30", "25:00"], [0, 1, 2], [0, 30, 1500], id="h:m"),
        pytest.param(
            "Time", ["0:00:30", "0:01:00", "1.00:00:00"], [0, 1, 2], [0.5, 1, 1440], id="clock"
        ),
        pytest.param("day", ["0", "3", "7"], [0, 1, 2], [0, 4320, 10080], id="days"),
        pytest.param("time", ["0.5", "1.5", "2.5"], [0, 1, 2], None, id="no-unit"),
    ],
)
@pytest.mark.parametrize("columns", [(), ("RLU",)])
def test_values_of_several_times_keep_them_apart(tmp_path, header, cells, index, minutes, columns):
    found = read(tmp_path, lapse_of(header, cells), *columns)
    assert found.columns == ("RLU",)
    assert found.table["RLU"].tolist() == [1, 2, 101, 102, 201, 202]
    assert found.table[col.TIME].tolist() == [i for i in index for _ in range(2)]
    if minutes is None:
        assert col.TIME_MIN not in found.table
    else:
        assert found.table[col.TIME_MIN].tolist() == [m for m in minutes for _ in range(2)]
    assert f"column {header.removeprefix('Metadata_')!r} holds times" in found.notes[-1]


def read_well_by_well(gap: float, wells: int = 6) -> str:
    rows = [
        f"{plate},A{well:02d},trt,{60 * read + gap * well + shift},{100 * read + well}\n"
        for plate, shift in (("P1", 0), ("P2", 7))
        for read in range(3)
        for well in range(1, wells + 1)
    ]
    return "plate,well,pert_type,time_s,RLU\n" + "".join(rows)


def test_reads_of_a_plate_that_is_read_well_by_well_are_its_time_points(tmp_path):
    found = read(tmp_path, read_well_by_well(gap=2), "RLU")
    table = found.table
    assert (table[col.TIME] == table["RLU"] // 100).all()
    assert table[col.TIME_MIN].iloc[7] == pytest.approx(64 / 60)  # each well keeps its own
    assert "in the order of each well's reads, at 0.033333 to 0.316667, 1.03333 to" in str(
        found.notes
    )


def test_times_of_wells_that_make_no_time_points_are_refused(tmp_path):
    with pytest.raises(FaultsError, match=r"6 wells of plate P1 .* a column Timepoint"):
        read(tmp_path, read_well_by_well(gap=25), "RLU")


def test_a_well_that_stands_twice_at_one_time_is_refused(tmp_path):
    with pytest.raises(FaultsError, match="the well stands in row 2 already"):
        read(tmp_path, lapse_of("time", ["0", "1", "0"]))


def test_a_cell_that_is_no_time_is_a_fault_where_wells_repeat(tmp_path):
    with pytest.raises(FaultsError) as caught:
        read(tmp_path, lapse_of("time", ["0", "later", "2"]))
    assert [(f.row, f.column, f.value) for f in caught.value.faults] == [
        (4, "time", "later"),
        (5, "time", "later"),
    ]


def test_a_column_of_times_of_wells_that_stand_once_is_as_any_other(tmp_path):
    text = "plate,well,pert_type,time,RLU\nP1,A01,trt,0,7\nP1,A02,trt,3,8\n"
    found = read(tmp_path, text, "RLU")
    assert col.TIME not in found.table
    assert found.table["time"].tolist() == [0, 3]
