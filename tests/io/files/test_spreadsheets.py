"""CSV files for spreadsheets: formulas of others are text there, and come back as they were."""

from __future__ import annotations

import csv

import pandas as pd
import pytest

from hcs.io.files import parquet
from hcs.io.files.spreadsheets import mark_text
from hcs.io.sheets.platemap import read_platemap

FORMULAS = ['=HYPERLINK("http://x","A")', "@SUM(A1)", "+cmd|' /C calc'!A0", "-2+3+f(1)", "\t=1+1"]
NAMES = ["+DOX", "-", "DMSO", "+/-", "-12.5", "β=2", "N-(2-aminoethyl)", "+1", ""]


@pytest.mark.parametrize("text", FORMULAS)
def test_formulas_are_marked_in_csv_and_kept_in_parquet(tmp_path, text):
    frame = pd.DataFrame({"Metadata_Compound": [text, None, "DMSO"], "score": [-1.5, 2, 3]})
    parquet.write_both(tmp_path / "hits.parquet", frame)
    with (tmp_path / "hits.csv").open(newline="") as stream:
        rows = list(csv.reader(stream))
    assert rows[1:] == [["'" + text, "-1.5"], ["", "2"], ["DMSO", "3"]]
    kept = parquet.read_table(tmp_path / "hits.parquet")
    assert kept["Metadata_Compound"].tolist() == [text, None, "DMSO"]


@pytest.mark.parametrize("text", NAMES)
def test_names_stay_as_they_are(text):
    frame = pd.DataFrame({"Metadata_Compound": [text, None]})
    assert mark_text(frame) is frame


def test_names_of_columns_are_marked_too():
    assert list(mark_text(pd.DataFrame({"=1+1": [1], "a": ["x"]}))) == ["'=1+1", "a"]


def test_a_marked_name_is_read_as_it_was(tmp_path):
    table = pd.DataFrame({"well": ["A1", "A2"], "clone": ['=F("x")', "c2"]})
    mark_text(table).to_csv(tmp_path / "map.csv", index=False)
    found = read_platemap(tmp_path / "map.csv")
    assert [entry.clone for entry in found.rows] == ['=F("x")', "c2"]
