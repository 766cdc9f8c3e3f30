"""Workbooks: merged ranges, formulas, sheets, errors, dates, percent, hidden rows."""

from __future__ import annotations

import datetime as dt
import zipfile

import openpyxl
import pytest

from hcs.errors import FaultsError, InputError, UnknownNameError
from hcs.io.sheets.platemap import read_platemap
from hcs.io.sheets.reading.cells import Dialect

HEADER = ["well", "compound", "concentration_um"]


def save(path, sheets, change=None):
    """Write a workbook of sheets, each a list of rows."""
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    if change:
        change(book)
    book.save(path)
    return path


def rows_of(path, **how):
    rows = read_platemap(path, dialect=Dialect(**how)).rows
    return [(row.well.name, row.compound, row.concentration_um) for row in rows]


def test_merged_cells_hold_their_value_in_every_row_and_column(tmp_path):
    def merge(book):
        sheet = book["map"]
        sheet.merge_cells("B2:B4")
        sheet.merge_cells("C3:C4")
        sheet.merge_cells("B5:C5")

    rows = [HEADER, ["A1", "K", 1], ["A2", None, 2.5], ["A3"], ["A4", None, None], ["A5", "L", 3]]
    path = save(tmp_path / "m.xlsx", {"map": rows}, merge)
    mapped = read_platemap(path)
    assert [(r.well.name, r.compound, r.concentration_um) for r in mapped.rows] == [
        ("A01", "K", 1), ("A02", "K", 2.5), ("A03", "K", 2.5), ("A04", None, None), ("A05", "L", 3),
    ]  # fmt: skip
    assert mapped.notes == ("merged cells are filled with their value: B2:B4, C3:C4",)


def test_a_formula_without_a_saved_result_is_a_fault_that_names_the_cell(tmp_path):
    rows = [HEADER, ["A1", "K", "=1/2"], ["A2", "K", "=C2*2"], ["A3", "K", 1]]
    path = save(tmp_path / "m.xlsx", {"map": rows})
    with pytest.raises(FaultsError, match=r"open it in a spreadsheet program and save") as caught:
        read_platemap(path)
    assert [(f.row, f.column, f.value) for f in caught.value.faults] == [
        (2, "C2", "=1/2"),
        (3, "C3", "=C2*2"),
    ]


def put_results(path, results, *, recalculate):
    """Put results of formulas into a saved workbook, as programs do."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    sheet = parts["xl/worksheets/sheet1.xml"].decode()
    for formula, (kind, result) in results.items():
        written = f"<f>{formula}</f><v>{result}</v>"
        for empty in (
            f"<f>{formula}</f><v></v>",
            f"<f>{formula}</f><v />",
            f"<f>{formula}</f><v/>",
        ):
            sheet = sheet.replace(empty, written)
        at = sheet.index(written)
        start = sheet.rindex("<c ", 0, at)
        sheet = sheet[: start + 3] + kind + sheet[start + 3 :]
    parts["xl/worksheets/sheet1.xml"] = sheet.encode()
    if not recalculate:
        book = parts["xl/workbook.xml"].decode()
        parts["xl/workbook.xml"] = book.replace('fullCalcOnLoad="1"', "").encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    return path


def test_saved_results_of_formulas_are_read(tmp_path):
    rows = [HEADER, ["A1", '=IF(1,"","x")', "=1/4"], ["A2", "K", "=0*1"]]
    path = save(tmp_path / "m.xlsx", {"map": rows})
    put_results(
        path,
        {"1/4": ("", 0.25), "0*1": ("", 0), 'IF(1,"","x")': ('t="str" ', "")},
        recalculate=False,
    )
    assert rows_of(path) == [("A01", None, 0.25), ("A02", "K", 0)]


def test_a_library_that_saves_0_for_every_formula_is_not_believed(tmp_path):
    rows = [HEADER, ["A1", "K", "=1/4"], ["A2", "K", 3]]
    path = put_results(save(tmp_path / "m.xlsx", {"map": rows}), {"1/4": ("", 0)}, recalculate=True)
    with pytest.raises(FaultsError, match=r"'C2': the workbook holds no result of this formula"):
        read_platemap(path)


MAP, OTHER = [HEADER, ["A1", "K", 1]], [HEADER, ["B1", "L", 2]]


def test_the_only_sheet_that_holds_a_plate_map_is_read_and_said(tmp_path):
    notes = [["Plate layout of June"], ["Ask Kim"]]
    path = save(tmp_path / "m.xlsx", {"Notes": notes, "map": MAP, "empty": []})
    assert rows_of(path) == [("A01", "K", 1)]
    assert read_platemap(path).notes == ("sheet 'map' is read, and not 'Notes'",)


def test_which_of_several_sheets_is_asked_and_can_be_said(tmp_path):
    path = save(tmp_path / "m.xlsx", {"P1": MAP, "P2": OTHER})
    with pytest.raises(InputError, match=r"Say --sheet NAME .*; there are 'P1', 'P2'"):
        read_platemap(path)
    assert rows_of(path, sheet="p2") == [("B01", "L", 2)]
    with pytest.raises(UnknownNameError, match=r"no sheet 'P3'; .* has 'P1', 'P2'"):
        rows_of(path, sheet="P3")
    (tmp_path / "m.csv").write_text("well\nA1\n")
    with pytest.raises(InputError, match="has no sheets"):
        rows_of(tmp_path / "m.csv", sheet="P1")


def test_errors_and_dates_in_the_place_of_values_are_faults(tmp_path):
    day = dt.datetime(2026, 3, 1)
    rows = [
        [*HEADER, "seeded", "passage"],
        ["A1", "#N/A", "#DIV/0!", day, 3],
        ["A2", day, 1, day, day],
    ]
    with pytest.raises(FaultsError) as caught:
        read_platemap(save(tmp_path / "m.xlsx", {"map": rows}))
    assert sorted((f.row, f.column, f.value) for f in caught.value.faults) == [
        (2, "compound", "#N/A"),
        (2, "concentration_um", "#DIV/0!"),
        (3, "compound", "2026-03-01"),
        (3, "passage", "2026-03-01"),
    ]


def test_a_column_of_dates_stays(tmp_path):
    rows = [["well", "seeded"], ["A1", dt.date(2026, 3, 1)], ["A2", dt.date(2026, 3, 2)]]
    found = read_platemap(save(tmp_path / "m.xlsx", {"map": rows})).rows
    assert [row.extra["seeded"] for row in found] == ["2026-03-01", "2026-03-02"]


def test_a_percent_format_is_a_percentage(tmp_path):
    def percent(book):
        for cell in book["map"]["C"][1:]:
            cell.number_format = "0.0%"

    rows = [["well", "compound", "concentration"], ["A1", "DMSO", 0.00125], ["A2", "DMSO", 0.1]]
    found = read_platemap(save(tmp_path / "m.xlsx", {"map": rows}, percent)).rows
    assert [(row.concentration_um, row.extra) for row in found] == [
        (None, {"concentration": 0.125, "concentration_unit": "%"}),
        (None, {"concentration": 10, "concentration_unit": "%"}),
    ]


def test_a_format_that_shows_zeros_or_a_unit_is_read_as_it_shows(tmp_path):
    def shape(book):
        for row in book["map"].iter_rows(min_row=2):
            row[1].number_format = "00000"
            row[2].number_format = '0.0 "nM"'
            row[3].number_format = "000"
            row[4].number_format = "#,##0.000"

    rows = [["well", "plate", "concentration_um", "site_code", "count"], ["A1", 12, 500, 7, 1000]]
    (row,) = read_platemap(save(tmp_path / "m.xlsx", {"map": rows}, shape)).rows
    assert (row.plate, row.concentration_um) == ("00012", 0.5)
    assert row.extra == {"site_code": "007", "count": 1000}


def test_hidden_rows_and_columns_are_read_and_said(tmp_path):
    def hide(book):
        book["map"].row_dimensions[3].hidden = True
        book["map"].column_dimensions["C"].hidden = True

    path = save(tmp_path / "m.xlsx", {"map": [*MAP, ["A2", "L", 2]]}, hide)
    assert rows_of(path) == [("A01", "K", 1), ("A02", "L", 2)]
    assert read_platemap(path).notes == (
        "hidden rows are read like the others: 3",
        "hidden columns are read like the others: C",
    )


def test_text_that_looks_like_a_number_is_judged_and_a_number_is_not(tmp_path):
    rows = [HEADER, ["A1", "K", 1.5], ["A2", "K", "0,5"], ["A3", "K", "1.000"]]
    with pytest.raises(FaultsError) as caught:
        read_platemap(save(tmp_path / "m.xlsx", {"map": rows}))
    assert [(f.row, f.value) for f in caught.value.faults] == [(4, "1.000")]


def test_a_merged_range_as_large_as_the_sheet_is_refused(tmp_path):
    path = save(tmp_path / "m.xlsx", {"map": MAP})
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    merged = b'</sheetData><mergeCells count="1"><mergeCell ref="A1:XFD1048576"/></mergeCells>'
    name = "xl/worksheets/sheet1.xml"
    parts[name] = parts[name].replace(b"</sheetData>", merged)
    with zipfile.ZipFile(path, "w") as archive:
        for entry, data in parts.items():
            archive.writestr(entry, data)
    with pytest.raises(InputError, match="17,179,869,184 cells in merged ranges"):
        read_platemap(path)


@pytest.mark.timeout(30)
def test_a_stray_cell_in_the_last_corner_is_refused_and_not_walked_to(tmp_path):
    """Formulas were looked for in 17 billion cells before the span was refused."""
    book = openpyxl.Workbook()
    book.active["A1"], book.active["A2"], book.active["XFD1048576"] = "well", "A01", "x"
    book.save(tmp_path / "map.xlsx")
    with pytest.raises(InputError, match="delete what stands far outside the table"):
        read_platemap(tmp_path / "map.xlsx")
