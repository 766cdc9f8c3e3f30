"""Text tables as instruments and spreadsheets write them: titles, units, totals, encodings."""

from __future__ import annotations

import pandas as pd
import pytest

from hcs.domain import columns as col
from hcs.errors import FaultsError, InputError
from hcs.io.sheets.platemap import read_platemap, to_frame
from hcs.io.sheets.reading.cells import Dialect


def read(tmp_path, text, name="m.csv", encoding="utf-8", **how):
    (tmp_path / name).write_bytes(text.encode(encoding))
    return read_platemap(tmp_path / name, dialect=Dialect(**how))


def wells(mapped):
    return [(row.well.name, row.compound, row.concentration_um) for row in mapped.rows]


EXPECTED = [("A01", "K", 0.5), ("A02", "L, M", 2.0)]
PLAIN = 'well,compound,concentration_um\nA1,K,0.5\nA2,"L, M",2\n'
SEMICOLONS = "well;compound;concentration_um\nA1;K;0,5\nA2;L, M;2\n"


@pytest.mark.parametrize(
    ("text", "encoding", "note"),
    [
        pytest.param(PLAIN, "utf-8", None, id="plain"),
        pytest.param(SEMICOLONS, "utf-8", None, id="semicolons"),
        pytest.param("sep=;\r\n" + SEMICOLONS, "utf-8-sig", None, id="sep-line"),
        pytest.param('"sep=;"\n' + SEMICOLONS, "utf-8", None, id="quoted-sep-line"),
        pytest.param("sep=|\n" + SEMICOLONS.replace(";", "|"), "utf-8", None, id="sep-bar"),
        pytest.param(SEMICOLONS.replace(";", "\t"), "utf-16", None, id="utf-16"),
        pytest.param(SEMICOLONS.replace(";", "\t"), "utf-16-le", None, id="utf-16-no-mark"),
        pytest.param(SEMICOLONS.replace(";", "\t"), "utf-16-be", None, id="utf-16-be-no-mark"),
        pytest.param("# by Kim; June, July, May\n\n" + SEMICOLONS, "utf-8", "passed over: 1",
                     id="comment"),
        pytest.param("Layout, of, June\nPlate;96;x;y;z\n" + SEMICOLONS, "utf-8", "over: 1, 2",
                     id="titles"),
        pytest.param(PLAIN.replace("_um\n", "\n,,[µM]\n"), "utf-8", "row 2 holds units: µM",
                     id="units"),
        pytest.param(PLAIN + "Mean,,1.25\n,SD,1.06\n", "utf-8", "row 4 ('Mean 1.25') sums up",
                     id="totals"),
        pytest.param(PLAIN + "\nExported by Kim\n", "utf-8", "passed over: 'Exported by Kim'",
                     id="remark"),
    ],
)  # fmt: skip
def test_what_stands_around_a_table_does_not_change_it(tmp_path, text, encoding, note):
    mapped = read(tmp_path, text, encoding=encoding)
    assert wells(mapped) == EXPECTED
    assert note is None or note in "; ".join(mapped.notes)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        pytest.param("Title\n\n" + PLAIN.replace("A2", "A2x"), (5, "well", "A2x"),
                     id="below-titles"),
        pytest.param("sep=;\n" + SEMICOLONS.replace("0,5", "lots"), (3, "concentration_um", "lots"),
                     id="below-sep"),
        pytest.param(PLAIN + "A0O,K,1\n", (4, "well", "A0O"), id="no-remark-without-a-gap"),
        pytest.param(PLAIN + "\nA0O,K,\n", (5, "well", "A0O"), id="no-remark-that-is-short"),
        pytest.param(PLAIN + "\nA0O,K,1\n", (5, "well", "A0O"), id="no-remark-with-all-cells"),
        pytest.param(PLAIN.replace("A1,K", "Mean,K"), (2, "well", "Mean"),
                     id="no-total-between"),
        pytest.param(PLAIN.replace("\nA1", "\nµM,x,1\nA1"), (2, "well", "µM"), id="no-unit-row"),
    ],
)  # fmt: skip
def test_rows_that_are_no_wells_are_faults_at_their_own_row(tmp_path, text, place):
    with pytest.raises(FaultsError) as caught:
        read(tmp_path, text)
    assert [(f.row, f.column, f.value) for f in caught.value.faults] == [place]


def test_units_below_the_header_convert(tmp_path):
    mapped = read(tmp_path, "well,compound,conc\n,,nM\nA1,K,500\n")
    assert wells(mapped) == [("A01", "K", 0.5)]


def test_thousands_beside_decimal_commas_are_refused_and_can_be_stated(tmp_path):
    text = "well;concentration_um\nA1;0,5\nA2;1.000\nA3;10.000\n"
    with pytest.raises(FaultsError, match="is this 1 or 1000 beside '0,5'") as caught:
        read(tmp_path, text)
    assert [(f.row, f.value) for f in caught.value.faults] == [(3, "1.000"), (4, "10.000")]
    stated = read(tmp_path, text, decimal="comma").rows
    assert [row.concentration_um for row in stated] == [0.5, 1000, 10000]
    with pytest.raises(FaultsError, match="--decimal point"):
        read(tmp_path, text, decimal="point")


def test_another_column_proves_the_decimal_sign(tmp_path):
    mapped = read(tmp_path, "well;concentration_um;od\nA1;1,000;0,25\nA2;2,500;0,5\n")
    assert [row.concentration_um for row in mapped.rows] == [1, 2.5]
    assert [row.extra["od"] for row in mapped.rows] == [0.25, 0.5]


def test_a_comma_file_does_not_prove_a_point_against_another_column(tmp_path):
    assert read(tmp_path, "well,conc_um\nA1,1.000\n").rows[0].concentration_um == 1
    with pytest.raises(FaultsError, match="decimals or thousands"):
        read(tmp_path, 'well,conc_um,od\nA1,1.000,"0,5"\nA2,2.000,"0,7"\n')


def test_a_column_of_its_own_that_is_not_clear_stays_text_and_that_is_said(tmp_path):
    mapped = read(tmp_path, "well;code\nA1;1.000\nA2;2.000\n")
    assert [row.extra["code"] for row in mapped.rows] == ["1.000", "2.000"]
    assert "column 'code' stays text" in mapped.notes[0]


def test_a_dash_is_no_compound_but_may_be_a_sign(tmp_path):
    mapped = read(tmp_path, "well,compound,concentration_um,gfp\nA1,-,-,-\nA2,K,1,+\n")
    assert wells(mapped) == [("A01", None, None), ("A02", "K", 1)]
    assert [row.extra["gfp"] for row in mapped.rows] == ["-", "+"]


def test_two_columns_of_one_meaning_that_agree_are_no_fault(tmp_path):
    text = "Metadata_Well,Metadata_well_position,Metadata_clone\nA01,A1,c\nA02,a02,d\n"
    first, _ = read(tmp_path, text).rows
    assert (first.clone, first.extra) == ("c", {"well_position": "A1"})
    with pytest.raises(FaultsError, match="both mean the well"):
        read(tmp_path, text.replace("a02", "A03"))


def test_a_plate_map_in_parquet(tmp_path):
    table = pd.DataFrame(
        {
            "Metadata_well_position": ["A01", "A02", "A03"],
            "Metadata_broad_sample": ["BRD-1", None, "BRD-3"],
            "Metadata_pert_type": ["trt", "control", "control"],
            "Metadata_control_type": [None, "negcon", "poscon_cp"],
            "Metadata_mmoles_per_liter": [0.005, float("nan"), 1.0],
            "Metadata_passage": [3, 4, 5],
        }
    )
    table.to_parquet(tmp_path / "m.parquet")
    frame = to_frame(read_platemap(tmp_path / "m.parquet"))
    assert frame[col.PERT_TYPE].tolist() == ["trt", "negcon", "poscon"]
    assert frame[col.CONCENTRATION_UM].fillna(-1).tolist() == [5, -1, 1000]
    assert frame[col.COMPOUND].fillna("").tolist() == ["BRD-1", "", "BRD-3"]
    assert frame["Metadata_passage"].tolist() == [3, 4, 5]
    (tmp_path / "x.parquet").write_bytes(b"no")
    with pytest.raises(InputError, match=r"parquet file .* cannot be read"):
        read_platemap(tmp_path / "x.parquet")


@pytest.mark.parametrize(
    "text",
    [
        pytest.param('well,clone\nA1,"c\nA2,d\nA3,e\n', id="one"),
        pytest.param('well,clone\nA1,"c\nA2,d\nA3,e"f\n', id="two"),
        pytest.param('sep=;\nwell;clone\nA1;"c\nA2;d\n', id="below-sep"),
    ],
)
def test_a_quotation_mark_that_swallows_rows_is_refused(tmp_path, text):
    with pytest.raises(InputError, match=r"quotation mark in row 2 of .* is not closed"):
        read(tmp_path, text)


def test_a_line_break_inside_quotes_is_text(tmp_path):
    (row, _) = read(tmp_path, 'well,note\nA1,"two\nlines"\nA2,x\n').rows
    assert row.extra == {"note": "two\nlines"}


def test_a_file_that_is_no_text_is_refused(tmp_path):
    with pytest.raises(InputError, match="zero bytes"):
        read(tmp_path, "well,clone\nA1,c\0\n")


@pytest.mark.parametrize("start", [0, 1])
def test_a_column_of_row_numbers_without_a_name_is_passed_over(tmp_path, start):
    text = f",well,clone\n{start},A1,c\n{start + 1},A2,d\n"
    assert [row.extra for row in read(tmp_path, text).rows] == [{}, {}]
    with pytest.raises(FaultsError, match="column 1 has no name"):
        read(tmp_path, text.replace(f"\n{start},", "\n7,"))


@pytest.mark.parametrize("name", ["2-Sep", "Mar-01", "1-Dec"])
def test_names_that_became_dates_are_refused(tmp_path, name):
    with pytest.raises(FaultsError, match="a date") as caught:
        read(tmp_path, f"well,compound\nA1,{name}\nA2,SEPT4\n")
    assert [(f.row, f.value) for f in caught.value.faults] == [(2, name)]


def test_columns_without_a_meaning_and_wells_without_a_type_are_said(tmp_path):
    mapped = read(tmp_path, "well,pert_type,passage,Substance\nA1,trt,3,K\nA2,,4,L\n")
    assert mapped.notes == (
        "columns kept under their own names: passage, Substance",
        "1 wells without pert_type: A02",
    )


def test_cells_at_zero_are_numbers_or_faults(tmp_path):
    found = read(tmp_path, "well;cells_at_zero\nA1;20,5\nA2;-\n").rows
    assert [row.extra["cells_at_zero"] for row in found] == [20.5, None]
    with pytest.raises(FaultsError) as caught:
        read(tmp_path, "well;cells_at_zero\nA1;1.000\nA2;OVER\nA3;some\n")
    assert [(f.row, f.value) for f in caught.value.faults] == [
        (2, "1.000"),
        (3, "OVER"),
        (4, "some"),
    ]
