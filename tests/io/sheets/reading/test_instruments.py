"""Exports as instruments write them: preambles, several plates, layouts, readings below each other.

The shapes are those that EnVision, Kaleido, MARS and Gen5 write; the numbers are made up.
"""

from __future__ import annotations

import pytest

from hcs.domain import columns as col
from hcs.domain.wells import row_name
from hcs.errors import FaultsError, InputError
from hcs.io.sheets.platemap import read_platemap
from hcs.io.sheets.values import read_values


def frame(value, shape=(8, 12), sign=",", head="{:d}", end=""):
    """Lines of a grid; `value` gives the cell of a row and a column."""
    lines = [sign + sign.join(head.format(c + 1) for c in range(shape[1])) + end]
    for r in range(shape[0]):
        cells = sign.join(value(r, c) for c in range(shape[1]))
        lines.append(f"{row_name(r)}{sign}{cells}{end}")
    return lines


def read(tmp_path, lines, *columns, name="export.csv"):
    (tmp_path / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    found = read_values(tmp_path / name, columns)
    return found, found.table.set_index([col.PLATE, col.WELL])


def number(plate, r, c):
    return plate * 10_000 + r * 100 + c


def envision():
    lines = []
    for plate in (1, 2):
        for title, shown in (("Calculated results: Calc 1: Crosstalk", "{}.000"),
                             ("Results for US LUM 384(1) - channel 0 (CPS)", "{}")):  # fmt: skip
            lines += [
                "Plate information ", "Plate,Repeat,Barcode,Measured height,Measurement date,",
                f'{plate},1,"=""BR0{plate}""",N/A,8/22/2026 12:16:31 PM,', "",
                "Background information", "Plate,Label,Result,Signal,", f"{plate},US LUM 384,0,4,",
                "", title,
                *frame(lambda r, c, p=plate, s=shown: s.format(number(p, r, c)), (16, 24),
                       head="{:02d}", end=","), "",
            ]  # fmt: skip
    lines += ["Basic assay information ", "Assay ID: ,,,,2900", "Protocol Name: ,,,,LUM", "",
              "Platemap:", "Plate,,,,1", "Group,,,,1", "",
              *frame(lambda _r, _c: "- ", (16, 24), head="{:02d}", end=","), "",
              " - - Undefined", "", "Exported with a workstation"]  # fmt: skip
    return lines


def test_two_plates_with_raw_and_calculated_results_and_an_empty_layout(tmp_path):
    raw = "Results for US LUM 384(1) - channel 0 (CPS)"
    with pytest.raises(InputError, match="Calculated results: Calc 1: Crosstalk"):
        read(tmp_path, envision())
    found, table = read(tmp_path, envision(), raw)
    assert len(table) == 2 * 384
    assert table.loc[("BR02", "P24"), raw] == number(2, 15, 23)
    assert table.loc[("BR01", "A02"), raw] == number(1, 0, 1)
    assert not found.without_number


def test_a_barcode_in_a_table_above_the_grid(tmp_path):
    lines = ["EnSight Results from", "Protocol Name,foo", "", "Result for Luminescence 1",
             "Barcode,Repeat,Loop no,Ems wl,", "V-2026,1,,,", "",
             *frame(lambda r, c: str(number(3, r, c)), end=","), "", "Measurement Information",
             "Barcode,,V-2026", "Number of Rows,,12", "Plate Type Coordinates [mm]", ",,X,Y", "",
             "Platemap", *frame(lambda _r, _c: "-", end=","), "", "Exported"]  # fmt: skip
    found, table = read(tmp_path, lines)
    assert found.columns == ("Result for Luminescence 1",)
    assert table.loc[("V-2026", "H12"), found.columns[0]] == number(3, 7, 11)
    assert len(table) == 96


def test_a_title_with_an_empty_line_below(tmp_path):
    lines = ["User: Kim,Path: C:\\Data,Test run no.: 445", "Test name: x,Date: 5/14/2026", "",
             "ID1: x,ID2: Plate 1,ID3: y,", "Absorbance", "", "Raw Data (450 1)", "",
             *frame(lambda r, c: f"0.{number(1, r, c)}")]  # fmt: skip
    found, table = read(tmp_path, lines)
    assert found.columns == ("Raw Data (450 1)",)
    assert table.loc[("export", "B03"), "Raw Data (450 1)"] == 0.10102


def gen5(plate="Plate 1"):
    lines = ["", "Software Version\t3.12", "", f"Plate Number\t{plate}", "Date\t10/10/2026",
             "Procedure Details", "Plate Type\t96 WELL PLATE", "Read\tLUM", "\tFull Plate",
             "\tIntegration Time: 0:01.00 (MM:SS.ss)", "", "Layout"]  # fmt: skip
    lines += [line + ("\tWell ID" if i else "") for i, line in
              enumerate(frame(lambda r, c: f"SPL{r * 12 + c}", sign="\t"))]  # fmt: skip
    lines += ["", "Results", "\t" + "\t".join(map(str, range(1, 13)))]
    for r in range(8):
        raw = "\t".join("OVRFLW" if (r, c) == (2, 6) else str(number(1, r, c)) for c in range(12))
        norm = "\t".join(f"{number(1, r, c)}.5" for c in range(12))
        lines += [f"{row_name(r)}\t{raw}\tLUM:Lum", f"\t{norm}\tNormLum"]
    return lines


def test_a_layout_and_readings_below_each_other(tmp_path):
    with pytest.raises(InputError, match="'LUM:Lum', 'NormLum'"):
        read(tmp_path, gen5(), name="gen5.txt")
    found, table = read(tmp_path, gen5(), "LUM:Lum", "NormLum", name="gen5.txt")
    first = table.loc[("gen5", "H12")]
    assert first[["LUM:Lum", "NormLum"]].tolist() == [10711, 10711.5]
    assert first["Metadata_Layout"] == "SPL95"
    assert [(item.well, item.column, item.text) for item in found.without_number] == [
        ("C07", "LUM:Lum", "OVRFLW")
    ]
    _, table = read(tmp_path, [*gen5("Plate 1"), *gen5("Plate 2")], "NormLum", name="gen5.txt")
    assert table.loc[("Plate 2", "A01"), "NormLum"] == 10000.5


def test_a_list_with_a_name_beside_the_well(tmp_path):
    lines = ["Well,Well ID,RLU", "A1,SPL1,10.5", "A2,SPL2,11.5", "A3,,12"]
    found, table = read(tmp_path, lines)
    assert found.columns == ("RLU",)
    assert table.loc[("export", "A02"), "RLU"] == 11.5
    assert table.loc[("export", "A02"), "Metadata_Well ID"] == "SPL2"


def test_labels_on_both_sides_and_below(tmp_path):
    grid = frame(lambda r, c: f"c{r}{c}", (2, 3))
    lines = [",,,,", "TYPE,6-well,,,", "BARCODE,PL-1,,,", "clone,,,,", grid[0] + ",",
             *(f"{line},{line[0]}" for line in grid[1:]), grid[0] + ","]  # fmt: skip
    (tmp_path / "m.csv").write_text("\n".join(lines))
    rows = read_platemap(tmp_path / "m.csv").rows
    assert [(row.plate, row.well.name, row.clone) for row in rows][::5] == [
        ("PL-1", "A01", "c00"),
        ("PL-1", "B03", "c12"),
    ]


def test_text_that_is_kept_from_spreadsheets(tmp_path):
    lines = ["plate,well,clone", '="00012",A1,="007"']
    (tmp_path / "m.csv").write_text("\n".join(lines))
    (row,) = read_platemap(tmp_path / "m.csv").rows
    assert (row.plate, row.clone) == ("00012", "007")


def test_rows_without_letters_are_refused_with_what_is_expected(tmp_path):
    lines = ["Plate:\tPlate1\t1.3\tPlateFormat\tEndpoint", "\tTemperature\t1\t2\t3\t4\t5\t6"]
    lines += [f"\t26.2\t{r}.1\t{r}.2\t{r}.3\t{r}.4\t{r}.5\t{r}.6" for r in range(4)]
    with pytest.raises(FaultsError, match="grids framed by A, B … and 1, 2"):
        read(tmp_path, lines, name="softmax.txt")


def test_a_list_with_number_and_barcode_of_the_plate_and_remarks_below(tmp_path):
    """An EnVision's list: the barcode names the plate, what follows the blank line is no well."""
    rows = "".join(f"{n},{code},{well},{10 * n + i}.5\n" for n, code in ((1, "B7"), (2, "B9"))
                   for i, well in enumerate(("A01", "A02", "H12")))  # fmt: skip
    path = tmp_path / "list.csv"
    path.write_text(
        "Plate information\nPlate,Repeat,Barcode,Height\n1,1,B7,14.2\n\nResults\n\n"
        f"Plate,Barcode,Well,Signal\n{rows}\nBasic assay information\n"
        "Assay ID:,200\nName:,Lum 1 s\n"
    )
    found = read_values(path, ("Signal",))
    wells = found.table.set_index([col.PLATE, col.WELL])["Signal"].to_dict()
    assert wells == {
        (code, well): 10 * n + i + 0.5
        for n, code in ((1, "B7"), (2, "B9"))
        for i, well in enumerate(("A01", "A02", "H12"))
    }
    assert sum("below the table is passed over" in note for note in found.notes) == 3


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        pytest.param("1,,A01,5\n2,,A01,6\n", {"1", "2"}, id="no-barcodes"),
        pytest.param("1,X,A01,5\n1,X,A02,6\n", {"X"}, id="one-plate"),
        pytest.param("1,X,A01,5\n1,Y,A01,6\n", None, id="number-of-two-barcodes"),
        pytest.param("7,X,A01,5\n9,Y,A01,6\n", None, id="no-count"),
        pytest.param("P,X,A01,5\nQ,Y,A01,6\n", None, id="two-names"),
    ],
)
def test_which_column_names_the_plate(tmp_path, rows, expected):
    path = tmp_path / "list.csv"
    path.write_text("Plate,Barcode,Well,Signal\n" + rows)
    if expected is None:
        with pytest.raises(FaultsError, match="both mean the plate"):
            read_values(path, ("Signal",))
        return
    assert set(read_values(path, ("Signal",)).table[col.PLATE]) == expected
