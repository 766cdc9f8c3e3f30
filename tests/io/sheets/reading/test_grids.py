"""Grids of wells: found by their frame, named by their title, refused where these are unclear."""

from __future__ import annotations

import csv
import io

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hcs.domain import columns as col
from hcs.domain.wells import PlateFormat, Well, row_name
from hcs.errors import FaultsError, InputError
from hcs.io.sheets.platemap import read_platemap
from hcs.io.sheets.reading.cells import Dialect
from hcs.io.sheets.values import read_values


def grid(cells, shape=(8, 12), corner="", first=(0, 0)):
    """Rows of a frame of wells; cells by row and column, from 0."""
    rows, columns = range(first[0], shape[0]), range(first[1], shape[1])
    head = [corner, *(str(column + 1) for column in columns)]
    return [head, *([row_name(r), *(cells.get((r, c), "") for c in columns)] for r in rows)]


def every(text, shape=(8, 12)):
    return {(r, c): text.format(r=r, c=c) for r in range(shape[0]) for c in range(shape[1])}


def write_csv(path, rows, delimiter=","):
    sink = io.StringIO()
    csv.writer(sink, delimiter=delimiter).writerows(rows)
    path.write_text(sink.getvalue())
    return path


def write_xlsx(path, rows):
    book = openpyxl.Workbook()
    for row in rows:
        book.active.append(
            [float(c) if c.replace(".", "", 1).isdigit() else c or None for c in row]
        )
    book.save(path)
    return path


MAP = [
    ["Layout of June"],
    [],
    ["compound"],
    *grid({(0, 0): "K", (0, 1): "K", (7, 11): "DMSO"}),
    [],
    ["Concentration (µM)"],
    *grid({(0, 0): "0.5", (0, 1): "2", (7, 11): "0"}),
]


@pytest.mark.parametrize(("write", "name"), [(write_csv, "m.csv"), (write_xlsx, "m.xlsx")])
def test_each_grid_of_a_plate_map_is_a_column_named_by_its_title(tmp_path, write, name):
    mapped = read_platemap(write(tmp_path / name, MAP))
    found = {row.well.name: (row.compound, row.concentration_um) for row in mapped.rows}
    assert found == {"A01": ("K", 0.5), "A02": ("K", 2), "H12": ("DMSO", 0)}
    assert mapped.notes == (
        "grid at rows 4 to 12 is 'compound', 93 of 96 cells empty",
        "grid at rows 15 to 23 is 'Concentration (µM)', 93 of 96 cells empty",
        "rows passed over: 1 ('Layout of June')",
    )


def test_titles_stand_in_the_corner_or_side_by_side(tmp_path):
    left = grid({(0, 0): "K"}, (2, 3), "compound")
    right = grid({(0, 0): "c7", (1, 2): "c8"}, (2, 3), "clone")
    rows = [[*a, "", *b] for a, b in zip(left, right, strict=True)]
    mapped = read_platemap(write_csv(tmp_path / "m.csv", rows))
    found = {row.well.name: (row.compound, row.clone) for row in mapped.rows}
    assert found == {"A01": ("K", "c7"), "B03": (None, "c8")}


def test_faults_of_a_grid_name_the_row_of_the_file(tmp_path):
    rows = [["concentration_um"], *grid({(0, 0): "1", (3, 2): "lots", (7, 0): "-1"})]
    with pytest.raises(FaultsError) as caught:
        read_platemap(write_csv(tmp_path / "m.csv", rows))
    assert [(f.row, f.value) for f in caught.value.faults] == [(6, "lots"), (10, "-1")]


def test_plates_are_named_above_their_grids(tmp_path):
    rows = []
    for plate in ("P1", "P2"):
        rows += [["Plate:", plate], ["clone"], *grid(every(plate + "-{r}-{c}", (2, 3)), (2, 3)), []]
        rows += [["compound"], *grid({(0, 0): f"K{plate}"}, (2, 3)), []]
    mapped = read_platemap(write_csv(tmp_path / "m.csv", rows))
    assert {row.plate for row in mapped.rows} == {"P1", "P2"}
    (first,) = [r for r in mapped.of_plate("P2").rows if r.well == Well(0, 0)]
    assert (first.clone, first.compound) == ("P2-0-0", "KP2")
    assert len(mapped.of_plate("P1").rows) == 6


BROKEN = grid(every("x"))
BROKEN[4] = ["8", *BROKEN[4][1:]]
SKIPPED = grid(every("x"))
SKIPPED[3] = ["D", *SKIPPED[3][1:]]
GAP = [row[:5] + row[6:] for row in grid(every("x"))]
UNNUMBERED = [["", *map(str, range(1, 12)), ""], *grid(every("x"))[1:]]
IN_BETWEEN = [["", *"123", "", *map(str, range(5, 13))], *grid(every("x"))[1:]]
BESIDE = [[*row, "0.5" if i else ""] for i, row in enumerate(grid(every("x")))]
BESIDE[3][-1] = "0.7"


APART = [*grid(every("x"))[:6], [], *grid(every("x"))[6:]]
BETWEEN = [*grid(every("x"))[:6], ["a remark"], *grid(every("x"))[6:]]
SPLIT = [[*row[:7], "", *row[7:]] for row in grid(every("x"))]
SHORT = grid(every("x{c}"))
SHORT[4] = SHORT[4][:5] + SHORT[4][6:]
MISLABELED = grid(every("x"))
MISLABELED[1] = ["Q", *MISLABELED[1][1:]]


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        pytest.param(grid(every("x")), "the grid has no title", id="no-title"),
        pytest.param([["clone"], *grid(every("x")), [], ["clone"], *grid(every("y"))],
                     r"row 13: the grid at rows 2 to 10 is called so too", id="two-of-one-title"),
        pytest.param([["clone"], *BROKEN], r"row 6: a line of this grid has no row \(found '8'; "
                     "expected D", id="row-without-letter"),
        pytest.param([["clone"], *SKIPPED], r"out of order \(found 'D'; expected C", id="order"),
        pytest.param([["clone"], *GAP], r"columns of this grid are out of order \(found '6'",
                     id="column-missing"),
        pytest.param([["clone"], *APART], r"row 9: the line looks .*found 'F'", id="apart"),
        pytest.param([["clone"], *BETWEEN], r"row 9: .*found 'F'", id="remark-between-lines"),
        pytest.param([["clone"], *SPLIT], "cells stand apart from the grid", id="empty-column"),
        pytest.param([["clone"], *SHORT], r"row 6: the line has fewer cells", id="lost-cell"),
        pytest.param([["clone"], *grid(every("x")), [], ["compound"], *MISLABELED],
                     r"row 14: the line looks like one of a grid", id="second-grid-mislabeled"),
        pytest.param([["clone"], *UNNUMBERED], "cells right of this grid have no column",
                     id="last-column-without-number"),
        pytest.param([["clone"], *IN_BETWEEN], "cells right of this grid have no column",
                     id="column-in-between-without-number"),
        pytest.param([["clone"], *BESIDE], "cells right of this grid have no column", id="beside"),
        pytest.param([["clone"], *grid(every("x"), (2, 3)), [], ["well", "compound"], ["A1", "K"]],
                     "there is a grid of wells too", id="grid-and-table"),
        pytest.param([["clone"], *grid(every("x"), (2, 3)), [], ["Plate: P1"], ["compound"],
                      *grid(every("x"), (2, 3))], "names no plate, and others do", id="plates"),
    ],
)  # fmt: skip
def test_what_is_unclear_is_refused(tmp_path, rows, told):
    with pytest.raises(FaultsError, match=told):
        read_platemap(write_csv(tmp_path / "m.csv", rows))


def test_a_known_title_counts_more_than_a_remark_below_it(tmp_path):
    rows = [["Layout of June"], ["clone"], ["as pipetted"], *grid(every("x"), (2, 3))]
    mapped = read_platemap(write_csv(tmp_path / "m.csv", rows))
    assert {row.clone for row in mapped.rows} == {"x"}


def test_lines_that_leave_out_empty_cells_at_their_end(tmp_path):
    text = "clone\n,1,2,3,4\nA,x\nB,x,y\nC,x,y,z,w\n"
    (tmp_path / "m.csv").write_text(text)
    rows = read_platemap(tmp_path / "m.csv").rows
    assert [row.well.name for row in rows] == ["A01", "B01", "B02", "C01", "C02", "C03", "C04"]


def test_part_of_a_plate_is_read_and_said(tmp_path):
    inner = grid(every("x"), (7, 11), first=(1, 1))
    mapped = read_platemap(write_csv(tmp_path / "m.csv", [["clone"], *inner]))
    assert len(mapped.rows) == 60
    assert "wells B02 to G11 only" in mapped.notes[0]


# ── values ──────────────────────────────────────────────────────────────────────────────────────


def values_of(path, *columns):
    found = read_values(path, columns)
    return found, found.table.set_index([col.PLATE, col.WELL])[list(found.columns)]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_an_export_of_a_reader_with_a_preamble(tmp_path, delimiter):
    cells = {key: text.replace(".", "," if delimiter == ";" else ".") for key, text in
             every("{r}.{c:02d}5").items()}  # fmt: skip
    cells[2, 6] = "OVRFLW"
    rows = [
        ["Device: infinite 200Pro"], ["Start Time:", "12.05.2026 10:31:02"], ["Temperature: 25.3"],
        [], *grid(cells, corner="<>"), [], ["End Time:", "12.05.2026 10:33:00"],
    ]  # fmt: skip
    path = write_csv(tmp_path / "P7.csv", rows, delimiter)
    found, table = values_of(path)
    assert found.columns == ("value",)
    assert len(table) == 96
    assert table.loc[("P7", "C12"), "value"] == 2.115
    assert [tuple(item) for item in found.without_number] == [("P7", "C07", "value", 8, "OVRFLW")]
    assert "rows passed over: 1 ('Device" in found.notes[-1]


def test_readings_below_each_other_in_each_row(tmp_path):
    rows = [["Results"], ["", *map(str, range(1, 13)), ""]]
    for r in range(8):
        rows.append([row_name(r), *(f"{r}.{c:02d}" for c in range(12)), "450"])
        rows.append(["", *(f"{r + 10}.{c:02d}" for c in range(12)), "600"])
    path = write_csv(tmp_path / "gen5.csv", rows)
    with pytest.raises(InputError, match="'450', '600'"):
        read_values(path)
    _, table = values_of(path, "450", "600")
    assert table.loc[("gen5", "H12")].tolist() == [7.11, 17.11]


def test_several_plates_and_several_values(tmp_path):
    rows = []
    for plate in range(1, 3):
        rows += [[f"Plate: BR{plate}"], ["Luminescence"], *grid(every(f"{plate}{{r}}{{c}}.5")), []]
        rows += [["OD"], *grid(every(f"{plate}.{{r}}{{c}}")), []]
    _, table = values_of(write_csv(tmp_path / "v.csv", rows), "OD")
    assert len(table) == 192
    assert table.loc[("BR2", "B12"), "OD"] == 2.111
    rows = [["Plate 1"], *grid(every("1.{r}{c}")), [], ["Plate 2"], *grid(every("2.{r}{c}"))]
    _, table = values_of(write_csv(tmp_path / "v.csv", rows))
    assert table.loc[("Plate 2", "B12"), "value"] == 2.111


def test_grids_without_titles_are_asked_about(tmp_path):
    rows = [*grid(every("1.{r}{c}")), [], *grid(every("2.{r}{c}"))]
    with pytest.raises(FaultsError, match=r"row 11: .* no title either .*'Plate: NAME'"):
        read_values(write_csv(tmp_path / "v.csv", rows))


texts = st.text(st.sampled_from("KLMabc -_7.é"), min_size=1, max_size=6).map(str.strip).filter(bool)


@pytest.mark.parametrize("plate_format", list(PlateFormat), ids=lambda f: f.name)
@settings(max_examples=8, deadline=None)
@given(data=st.data())
def test_table_to_grid_and_back(tmp_path_factory, plate_format, data):
    shape = plate_format.value
    places = [(well.row, well.column) for well in plate_format.wells()]
    chosen = data.draw(st.lists(st.sampled_from(places), min_size=1, max_size=40, unique=True))
    clones = {place: "c" + data.draw(texts) for place in chosen}
    amounts = {place: str(data.draw(st.integers(1, 99_999)) / 8) for place in chosen}
    rows = [["clone"], *grid(clones, shape), [], ["concentration_um"], *grid(amounts, shape)]
    path = tmp_path_factory.getbasetemp() / f"{plate_format.name}.csv"
    write_csv(path, rows, data.draw(st.sampled_from(",;\t")))
    mapped = read_platemap(path, dialect=Dialect(decimal="point"))
    found = {(r.well.row, r.well.column): (r.clone, r.concentration_um) for r in mapped.rows}
    assert found == {place: (clones[place], float(amounts[place])) for place in chosen}
