"""Tests of barcode tables: one plate map for many plates."""

from __future__ import annotations

import openpyxl
import pytest

from hcs.errors import FaultsError
from hcs.io.sheets.platemap import read_platemap

MAPS = "plate_map_name,well_position,compound,conc_um\nM1,A01,x,1\nM1,A02,y,2\nM2,A01,z,3\n"


def files(
    tmp_path, maps=MAPS, barcodes="Assay_Plate_Barcode,Plate_Map_Name\nB1,M1\nB2,M2\nB3,M1\n"
):
    (tmp_path / "maps.csv").write_text(maps)
    (tmp_path / "barcodes.csv").write_text(barcodes)
    return tmp_path / "maps.csv", tmp_path / "barcodes.csv"


def test_every_plate_gets_the_rows_of_its_map(tmp_path):
    mapped = read_platemap(*files(tmp_path))
    found = [(row.plate, row.well.name, row.compound) for row in mapped.rows]
    assert found == [
        ("B1", "A01", "x"), ("B1", "A02", "y"), ("B2", "A01", "z"), ("B3", "A01", "x"),
        ("B3", "A02", "y"),
    ]  # fmt: skip
    assert [row.well.name for row in mapped.of_plate("B2").rows] == ["A01"]


def test_a_file_of_one_map_is_named_after_it(tmp_path):
    maps, barcodes = files(
        tmp_path, "well,compound\nA01,x\n", "barcode,platemap,notes\nB7,MAPS,first\n"
    )
    (row,) = read_platemap(maps, barcodes).rows
    assert (row.plate, row.compound) == ("B7", "x")


def test_without_a_barcode_table_the_name_of_the_map_is_a_column(tmp_path):
    maps, _ = files(tmp_path, "plate_map_name,well,compound\nM1,A01,x\n")
    (row,) = read_platemap(maps).rows
    assert (row.plate, row.extra) == (None, {"plate_map_name": "M1"})


@pytest.mark.parametrize(
    ("maps", "barcodes", "told"),
    [
        pytest.param(
            MAPS,
            "barcode,platemap\nB1,M9\nB2,M8\n",
            ["carries a map that", "M9", "M8", "M1, M2"],
            id="unknown-maps",
        ),
        pytest.param(
            MAPS,
            "barcode,platemap\nB1,M1\nB1,M2\nB3,\n",
            ["carries 'M1' in row 2", "cell is empty"],
            id="plate-twice-and-empty",
        ),
        pytest.param(
            MAPS, "plate_id,notes\nB1,M1\n", ["no column for the plate map"], id="columns"
        ),
        pytest.param(
            "plate,plate_map_name,well\nP,M1,A01\n",
            "barcode,platemap\nB1,M1\n",
            ["names plates itself"],
            id="plates-in-the-map",
        ),
        pytest.param(
            "plate_map_name,well\nM1,A01\nM1,A1\n",
            "barcode,platemap\nB1,M1\n",
            ["stands in row 2 already"],
            id="well-twice-in-one-map",
        ),
    ],
)
def test_every_fault_is_told(tmp_path, maps, barcodes, told):
    with pytest.raises(FaultsError) as caught:
        read_platemap(*files(tmp_path, maps, barcodes))
    for part in told:
        assert part in str(caught.value)


def test_jump_tables_as_they_stand(test_data, tmp_path):
    folder = test_data / "jump_target"
    (tmp_path / "barcode_platemap.csv").write_text(
        "Assay_Plate_Barcode,Plate_Map_Name\nBR1,JUMP-Target-1_compound_platemap\n"
        "BR2,JUMP-Target-1_compound_platemap\n"
    )
    mapped = read_platemap(
        folder / "JUMP-Target-1_compound_platemap.tsv", tmp_path / "barcode_platemap.csv"
    )
    assert len(mapped.rows) == 2 * 384
    assert len(mapped.of_plate("BR2").rows) == 384


def test_the_sheet_of_the_barcode_table_can_be_named(tmp_path):
    (tmp_path / "map.csv").write_text("plate_map_name,well,clone\nL1,A01,C1\nL2,A01,C2\n")
    book = openpyxl.Workbook()
    for title, layout in (("draft", "L1"), ("final", "L2")):
        page = book.create_sheet(title)
        page.append(["Assay_Plate_Barcode", "Plate_Map_Name"])
        page.append(["P1", layout])
    book.remove(book["Sheet"])
    book.save(tmp_path / "barcodes.xlsx")
    found = read_platemap(tmp_path / "map.csv", tmp_path / "barcodes.xlsx", barcodes_sheet="final")
    assert [(row.plate, row.clone) for row in found.rows] == [("P1", "C2")]
