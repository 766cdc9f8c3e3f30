"""Plate maps under the names in use; every fault of a file is told at once, by row and column."""

from __future__ import annotations

import openpyxl
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hcs.domain import columns as col
from hcs.domain.plate import PertType, PlateMap, PlateMapRow
from hcs.domain.wells import PlateFormat, Well
from hcs.errors import FaultsError, InputError, NotFoundError
from hcs.io.sheets.platemap import read_platemap, to_frame
from hcs.io.sheets.wellnames import parse_well


def read(tmp_path, text, name="map.csv", encoding="utf-8"):
    path = tmp_path / name
    path.write_bytes(text.encode(encoding))
    return read_platemap(path)


def faults_of(tmp_path, text, name="map.csv"):
    with pytest.raises(FaultsError) as caught:
        read(tmp_path, text, name)
    assert all(fault.file == str(tmp_path / name) for fault in caught.value.faults)
    return [(fault.row, fault.column, fault.value) for fault in caught.value.faults]


FULL = (
    "plate,well,clone,donor,diagnosis,batch,pert_type,compound,concentration_um,passage,site_code\n"
    "P1,A01,c1,d1,ALS,b1,trt,riluzole,2.5,12,007\n"
    "P1,A02,c2,d2,control,b1,negcon,,,14,008\n"
)


def test_every_column_comes_back(tmp_path):
    first, second = read(tmp_path, FULL).rows
    assert first == PlateMapRow(
        well=Well(0, 0), plate="P1", clone="c1", donor="d1", diagnosis="ALS", batch="b1",
        pert_type=PertType.TREATMENT, compound="riluzole", concentration_um=2.5,
        extra={"passage": 12, "site_code": "007"},
    )  # fmt: skip
    assert (second.pert_type, second.compound, second.concentration_um) == ("negcon", None, None)


@pytest.mark.parametrize(
    ("name", "delimiter", "encoding"),
    [
        pytest.param("m.csv", ",", "utf-8", id="csv"),
        pytest.param("m.csv", ";", "utf-8-sig", id="semicolon-and-byte-order-mark"),
        pytest.param("m.tsv", "\t", "utf-8", id="tsv"),
        pytest.param("m.CSV", "\t", "utf-16", id="excel-unicode-text"),
        pytest.param("m.txt", ",", "cp1252", id="windows"),
    ],
)
def test_all_sorts_of_text_read_alike(tmp_path, name, delimiter, encoding):
    text = FULL.replace("riluzole", "rilüzole")
    expected = read(tmp_path, text).rows
    assert read(tmp_path, text.replace(",", delimiter), name, encoding).rows == expected
    assert expected[0].compound == "rilüzole"


def workbook(path, rows):
    book = openpyxl.Workbook()
    book.active.title = "cover"
    sheet = book.create_sheet("map")
    for row in rows:
        sheet.append(row)
    book.save(path)
    return path


def test_a_workbook_reads_as_the_text_does(tmp_path):
    rows = [line.split(",") for line in FULL.splitlines()]
    path = workbook(tmp_path / "map.xlsx", rows)
    assert read_platemap(path).rows == read(tmp_path, FULL).rows


def test_numbers_of_a_workbook(tmp_path):
    rows = [["Row", "Column", "clone", "dose uM"], [], ["B", 3.0, 12.0, 0.1], [2, 4, 13, None]]
    platemap = read_platemap(workbook(tmp_path / "map.xlsx", rows))
    assert [(r.well.name, r.clone, r.concentration_um) for r in platemap.rows] == [
        ("B03", "12", 0.1),
        ("B04", "13", None),
    ]


@pytest.mark.parametrize(
    ("header", "cells", "attribute", "value"),
    [
        pytest.param("Well", "a01", "well", Well(0, 0), id="lower-case"),
        pytest.param("Metadata_Well", "A - 1", "well", Well(0, 0), id="cellprofiler"),
        pytest.param("Image_Metadata_Well", "AF48", "well", Well(31, 47), id="cellprofiler-image"),
        pytest.param("well_position", "P24", "well", Well(15, 23), id="jump"),
        pytest.param("WELL POSITION", '"A1"', "well", Well(0, 0), id="quoted"),
        pytest.param("colrow", "12H", "well", Well(7, 11), id="column-then-row"),
        pytest.param("row,col", "C,3", "well", Well(2, 2), id="operetta-compose"),
        pytest.param("Metadata_Row,Metadata_Col", "3,4", "well", Well(2, 3), id="row-number"),
        pytest.param("row,column", 'B,"""03"""', "well", Well(1, 2), id="quotes-in-quotes"),
        pytest.param("well,Cell Line", "A1,x", "clone", "x", id="cell-line"),
        pytest.param("well,line", "A1,x", "clone", "x", id="line"),
        pytest.param("well,Patient ID", "A1,7", "donor", "7", id="patient"),
        pytest.param("well,Disease", "A1,ALS", "diagnosis", "ALS", id="disease"),
        pytest.param("well,group", "A1,ALS", "diagnosis", "ALS", id="group"),
        pytest.param("well,Barcode", "A1,BR001", "plate", "BR001", id="barcode"),
        pytest.param("well,role", "A1,Negative control", "pert_type", "negcon", id="role"),
        pytest.param("well,control_type", "A1,poscon_diverse", "pert_type", "poscon", id="poscon"),
        pytest.param("well,pert_type,control_type", "A1,control,negcon", "pert_type", "negcon",
                     id="jump-control"),
        pytest.param("well,pert_type,control_type", "A1,trt,NA", "pert_type", "trt", id="jump-trt"),
        pytest.param("well,pert_iname", "A1,DMSO", "compound", "DMSO", id="pert-iname"),
        pytest.param("well,broad_sample", "A1,BRD-1", "compound", "BRD-1", id="broad-sample"),
        pytest.param("well,treatment", "A1,control", "compound", "control", id="treatment"),
        pytest.param("well,Concentration (µM)", "A1,2", "concentration_um", 2.0, id="micro-sign"),
        pytest.param("well,conc_nM", "A1,250", "concentration_um", 0.25, id="nanomolar"),
        pytest.param("well,Dose [mM]", "A1,0.5", "concentration_um", 500.0, id="millimolar"),
        pytest.param("well,mmoles_per_liter", "A1,0.01", "concentration_um", 10.0, id="lincs"),
        pytest.param("well,concentration,unit", "A1,5,nM", "concentration_um", 0.005, id="unit"),
        pytest.param("well,concentration", "A1,10 uM", "concentration_um", 10.0, id="in-the-cell"),
        pytest.param("well,concentration_um", "A1,1e-3", "concentration_um", 0.001, id="exponent"),
        pytest.param("well,Metadata_Sex", "A1,f", "extra", {"Sex": "f"}, id="any-other"),
        pytest.param("well,ok", "A1,TRUE", "extra", {"ok": True}, id="yes-or-no"),
        pytest.param("well,dose", "A1,high", "extra", {"dose": "high"}, id="dose-in-words"),
    ],
)  # fmt: skip
def test_names_in_use(tmp_path, header, cells, attribute, value):
    (row,) = read(tmp_path, f"{header}\n{cells}\n").rows
    assert getattr(row, attribute) == value


def test_a_decimal_comma_where_semicolons_part_columns(tmp_path):
    (row,) = read(tmp_path, "well;conc_um\nA1;0,25\n").rows
    assert row.concentration_um == 0.25
    (row,) = read(tmp_path, 'well,conc_um\nA1,"0,25"\n').rows
    assert row.concentration_um == 0.25


def test_a_unit_that_is_not_molar_stays_beside(tmp_path):
    (row,) = read(tmp_path, "well,drug,concentration,unit\nA1,DMSO,0.125,%\n").rows
    assert row.concentration_um is None
    assert row.extra == {"concentration": 0.125, "concentration_unit": "%"}


def test_a_better_name_wins_and_the_other_column_is_kept(tmp_path):
    (row,) = read(tmp_path, "well,broad_sample,pert_iname\nA1,BRD-1,quinine\n").rows
    assert (row.compound, row.extra) == ("quinine", {"broad_sample": "BRD-1"})


FIVE_FAULTS = (
    "well,clone,concentration,unit,pert_type\n"
    "A01,c1,1,uM,trt\n"
    "Z99,c1,1,uM,trt\n"
    "\n"
    "A1,c2,1,uM,trt\n"
    "A02,c2,lots,uM,trt\n"
    "A03,c2,1,furlong,trt\n"
    "A04,c2,1,uM,maybe\n"
    ",c2,,,\n"
    "A05,c2,-1,uM,trt\n"
    "A06,c2,3,,trt\n"
)


def test_every_fault_at_once_with_its_row_and_column(tmp_path):
    expected = [
        (3, "well", "Z99"),
        (5, "well", "A01"),
        (6, "concentration", "lots"),
        (7, "unit", "furlong"),
        (8, "pert_type", "maybe"),
        (9, "well", ""),
        (10, "concentration", "-1"),
        (11, "concentration", "3"),
    ]
    assert faults_of(tmp_path, FIVE_FAULTS) == expected
    rows = [line.split(",") for line in FIVE_FAULTS.splitlines()]
    with pytest.raises(FaultsError) as caught:
        read_platemap(workbook(tmp_path / "map.xlsx", rows))
    assert [(f.row, f.column, f.value) for f in caught.value.faults] == expected


def test_a_duplicate_names_the_first_row(tmp_path):
    with pytest.raises(FaultsError, match=r"row 4, column 'well': the well stands in row 2"):
        read(tmp_path, "plate,well\nP1,A01\nP2,A01\nP1,a1\n")


@pytest.mark.parametrize("rows", [("P1,A01", ",A01"), (",A01", "P1,A01")])
def test_a_row_without_plate_is_one_of_every_plate(tmp_path, rows):
    assert faults_of(tmp_path, "\n".join(["plate,well", *rows])) == [(3, "well", "A01")]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        pytest.param("plate,clone\nP,c\n", r"no column for the well; there are 'plate', 'clone'"),
        pytest.param("well,clone,Cell_Line\nA1,a,b\n", r"'clone' and 'Cell_Line' both mean"),
        pytest.param("well,x,x\nA1,1,2\n", r"column 'x': the column stands twice"),
        pytest.param("well,Site\nA1,1\n", r"a plate map describes wells"),
        pytest.param("well,conc_nm,conc_um\nA1,1,2\n", r"both mean the concentration"),
        pytest.param("well,,x\nA1,1,2\n", r"column 2 has no name"),
        pytest.param("well,x\nA1,1,2\n", r"2 columns in the header, more cells here"),
        pytest.param("well\n", r"no wells below the header"),
        pytest.param("", r"the file is empty"),
        pytest.param("well,row,column\nA1,A,2\n", r"row and column name another well"),
        pytest.param(
            "well,pert_type,control_type\nA1,trt,negcon\n", r"pert_type says 'trt' \(found 'negcon'"
        ),
        pytest.param(
            "well,pert_type\nA1,control\n", r"unknown type \(found 'control'; expected neg"
        ),
    ],
)
def test_faults_of_the_header_and_between_columns(tmp_path, text, told):
    with pytest.raises(FaultsError, match=told):
        read(tmp_path, text)


def test_files_that_are_no_plate_map(tmp_path):
    with pytest.raises(NotFoundError, match="does not exist"):
        read_platemap(tmp_path / "absent.csv")
    (tmp_path / "a.xls").write_bytes(b"x")
    with pytest.raises(InputError, match=r"is \.xls, expected \.csv, \.tsv, \.xlsx, \.parquet or"):
        read_platemap(tmp_path / "a.xls")
    (tmp_path / "a.xlsx").write_bytes(b"x")
    with pytest.raises(InputError, match=r"workbook .*a\.xlsx cannot be read"):
        read_platemap(tmp_path / "a.xlsx")


def test_the_table_carries_all_columns(tmp_path):
    frame = to_frame(read(tmp_path, FULL))
    assert list(frame.columns) == [
        *col.WELL_KEY, *col.WELL_METADATA, "Metadata_passage", "Metadata_site_code",
    ]  # fmt: skip
    assert list(frame[col.WELL]) == ["A01", "A02"]
    assert frame[col.CONCENTRATION_UM].dtype == "float64"
    assert frame["Metadata_passage"].dtype == "Int64"
    assert frame["Metadata_site_code"].tolist() == ["007", "008"]


def test_the_table_of_an_empty_map():
    frame = to_frame(PlateMap(rows=()))
    assert list(frame.columns) == [*col.WELL_KEY, *col.WELL_METADATA]
    assert len(frame) == 0


LAYER = """<Layer><Name>{name}</Name>{wells}</Layer>"""
CELL = """<Well><Row>{row}</Row><Col>{column}</Col><Value>{value}</Value></Well>"""


def assay_layout(**layers):
    body = "".join(
        LAYER.format(
            name=name.replace("_", " "),
            wells="".join(CELL.format(row=r, column=c, value=v) for (r, c), v in wells.items()),
        )
        for name, wells in layers.items()
    )
    return f'<AssayLayout xmlns="http://www.perkinelmer.com/PEHH/HarmonyV5">{body}</AssayLayout>'


def test_an_assay_layout_of_harmony(tmp_path):
    text = assay_layout(
        Compound={(1, 1): "riluzole", (16, 24): "DMSO", (2, 2): ""},
        Concentration_uM={(1, 1): "2.5"},
        Passage={(16, 24): "7"},
    )
    rows = read(tmp_path, text, "layout.xml").rows
    found = [(r.well.name, r.compound, r.concentration_um, r.extra) for r in rows]
    assert found == [
        ("A01", "riluzole", 2.5, {"Passage": None}),
        ("P24", "DMSO", None, {"Passage": 7}),
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        pytest.param("<AssayLayout>", "not a readable assay layout", id="cut"),
        pytest.param("<Other/>", "XML without layers", id="other-xml"),
        pytest.param(assay_layout(Compound={(1, 1): ""}), "no wells below", id="no-values"),
    ],
)
def test_xml_that_is_no_plate_map(tmp_path, text, told):
    with pytest.raises(InputError, match=told):
        read(tmp_path, text, "layout.xml")


def test_a_real_assay_layout_without_values(test_data):
    with pytest.raises(FaultsError, match="no wells below the header"):
        read_platemap(test_data / "operetta_compose/tests/operetta_plate/Assaylayout/Unnamed.xml")


wells_of_a_plate = st.sets(st.sampled_from(PlateFormat.WELLS_384.wells()), min_size=1, max_size=30)
forms = st.sampled_from(["{r}{c}", "{r}{c:02d}", "{r} - {c}", "{r}{c:03d}", "{c:02d}{r}", "{c}{r}"])


@settings(max_examples=50, deadline=None)
@given(wells=wells_of_a_plate, form=forms, lower=st.booleans(), delimiter=st.sampled_from(",;\t"))
def test_any_set_of_wells_in_any_form_comes_back(tmp_path_factory, wells, form, lower, delimiter):
    lines = [f"well{delimiter}clone"]
    for well in sorted(wells):
        text = form.format(r=well.name[0], c=well.column + 1)
        lines.append(f"{text.lower() if lower else text}{delimiter}c {well.name}")
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_text("\n".join(lines))
    read_back = {row.well: row.clone for row in read_platemap(path).rows}
    assert read_back == {well: f"c {well.name}" for well in wells}


@pytest.mark.parametrize("text", ["", "A0", "A49", "AG1", "A1B", "well", "1", "0A", "A1.5"])
def test_what_is_no_well(text):
    assert parse_well(text) is None


@pytest.mark.parametrize(
    ("file", "n_wells", "compound", "extra"),
    [
        pytest.param("jump_target/JUMP-Target-1_compound_platemap.tsv", 384,
                     "BRD-A86665761-001-01-1", {"solvent": "DMSO"}, id="jump-1-compound"),
        pytest.param("jump_target/JUMP-Target-2_compound_platemap.tsv", 384,
                     "BRD-K09338665-001-07-1", {"solvent": "DMSO"}, id="jump-2-compound"),
        pytest.param("jump_target/JUMP-Target-1_orf_platemap.tsv", 384, "ccsbBroad304_00900", {},
                     id="jump-1-orf"),
        pytest.param("jump_target/JUMP-Target-1_crispr_platemap.tsv", 384, "BRDN0001480888", {},
                     id="jump-1-crispr"),
        pytest.param("operetta_compose/tests/fixtures/drug_layout.csv", 1, "DMSO",
                     {"concentration": 0.125, "concentration_unit": "%"}, id="operetta-percent"),
        pytest.param("operetta_compose/tests/fixtures/drug_layout_utf8-dom.csv", 1, "my_drug",
                     {"my_metadata": "example"}, id="operetta-byte-order-mark"),
        pytest.param("spaom2020/dataset2D/metadata.csv", 96, "control", {}, id="spaom2020"),
    ],
)  # fmt: skip
def test_real_plate_maps(test_data, file, n_wells, compound, extra):
    platemap = read_platemap(test_data / file)
    assert len(platemap.rows) == n_wells
    assert (platemap.rows[0].compound, platemap.rows[0].extra) == (compound, extra)
    assert len(to_frame(platemap)) == n_wells


def test_a_real_plate_map_in_micromolar(test_data):
    (row,) = read_platemap(
        test_data / "operetta_compose/tests/fixtures/drug_layout_utf8-dom.csv"
    ).rows
    assert (row.well.name, row.concentration_um) == ("B03", 0.1)


def test_jump_metadata_joined_to_its_plate_map(test_data, tmp_path):
    folder = test_data / "jump_target"
    wells = pd.read_csv(folder / "JUMP-Target-1_compound_platemap.tsv", sep="\t")
    compounds = pd.read_csv(
        folder / "JUMP-Target-1_compound_metadata.tsv", sep="\t", keep_default_na=False
    )
    wells.merge(compounds, on="broad_sample", how="left").to_csv(tmp_path / "m.csv", index=False)
    frame = to_frame(read_platemap(tmp_path / "m.csv"))
    kinds = frame[col.PERT_TYPE].value_counts().to_dict()
    assert set(kinds) <= {"trt", "negcon", "poscon"}
    assert frame[col.COMPOUND].iloc[0] == "gabapentin-enacarbil"
    assert frame["Metadata_broad_sample"].iloc[0] == "BRD-A86665761-001-01-1"


def test_several_compounds_of_a_well(tmp_path):
    (tmp_path / "m.csv").write_text(
        "well,compound_1,concentration_1_um,compound_2,conc_2_nm,unit\n"
        "A01,drugA,1,drugB,500,\nA02,drugA,3,drugB,500,\nA03,drugA,1,,,\nA04,,,,,\n"
    )
    rows = read_platemap(tmp_path / "m.csv").rows
    assert [row.compound for row in rows] == [
        "drugA + drugB (0.5 µM)", "drugA + drugB (0.5 µM)", "drugA", None,
    ]  # fmt: skip
    assert [row.concentration_um for row in rows] == [1, 3, 1, None]
    frame = to_frame(read_platemap(tmp_path / "m.csv"))
    assert frame["Metadata_Compound_2"].tolist()[:2] == ["drugB", "drugB"]
    assert frame["Metadata_concentration_um_2"].tolist()[:2] == [0.5, 0.5]


def test_faults_of_numbered_compounds(tmp_path):
    (tmp_path / "m.csv").write_text(
        "well,compound_1,conc_1,unit_1,compound_2,compound_2_conc_um,conc_3_um\n"
        "A01,a,many,uM,b,1,2\nA02,a,1,foot,,7,\n"
    )
    with pytest.raises(FaultsError) as caught:
        read_platemap(tmp_path / "m.csv")
    told = str(caught.value)
    for part in ("many", "unknown unit", "foot", "a concentration of no compound", "compound 3"):
        assert part in told
