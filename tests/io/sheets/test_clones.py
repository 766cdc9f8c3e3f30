"""Clone tables are read as plate maps are: the same missing values, numbers and units."""

from __future__ import annotations

import openpyxl
import pytest

from hcs.errors import FaultsError
from hcs.io.sheets.clones import read_clonetable
from hcs.io.sheets.reading.cells import Dialect


def read(tmp_path, text):
    path = tmp_path / "clones.csv"
    path.write_text(text, encoding="utf-8")
    return read_clonetable(path)


def test_what_people_write_for_nothing_is_nothing(tmp_path):
    one, two = read(tmp_path, "clone,donor,sex,wells\nC1,NA,n/a,3\nC2,D2,f,\n")
    assert (one.donor, one.extra, one.n_wells) == (None, {"sex": None}, 3)
    assert (two.donor, two.extra, two.n_wells) == ("D2", {"sex": "f"}, None)


@pytest.mark.parametrize(
    ("text", "um"),
    [
        pytest.param("clone,compound,conc\nC1,x,500 nM\n", 0.5, id="unit-in-the-cell"),
        pytest.param("clone;compound;concentration_um\nC1;x;0,5\n", 0.5, id="decimal-comma"),
        pytest.param("clone,compound,concentration_nm\nC1,x,5e2\n", 0.5, id="exponent"),
        pytest.param("clone,compound,concentration_um\nC1,x,NA\n", None, id="none"),
    ],
)
def test_concentrations_are_read_in_um(tmp_path, text, um):
    (entry,) = read(tmp_path, text)
    assert entry.concentration_um == um


def test_every_fault_is_listed_under_the_files_own_names(tmp_path):
    table = "Line,Role,drug,Conc\nC1,helper,x,1 mg/ml\n,negcon,,\nC3,,x,-1 uM\nC4,,,\nC4,,,\n"
    with pytest.raises(FaultsError) as raised:
        read(tmp_path, table)
    said = str(raised.value)
    for what in ("unknown type", "not molar", "a row without clone", "no concentration", "row 5"):
        assert what in said
    for column in ("Line", "Role", "Conc"):
        assert column in said


def test_the_sheet_of_a_workbook_can_be_named(tmp_path):
    book = openpyxl.Workbook()
    for title, clone in (("old", "C1"), ("new", "C2")):
        page = book.create_sheet(title)
        page.append(["clone", "donor"])
        page.append([clone, "D1"])
    book.remove(book["Sheet"])
    book.save(tmp_path / "clones.xlsx")
    found = read_clonetable(tmp_path / "clones.xlsx", Dialect("new"))
    assert [entry.clone for entry in found] == ["C2"]
