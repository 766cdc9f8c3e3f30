"""Files of a cellHTS2 screen: last rule wins, flags by measurement, every fault at once."""

from __future__ import annotations

import pytest

from hcs.domain import columns as col
from hcs.errors import FaultsError, InputError, NotFoundError, UnknownNameError
from hcs.io.sheets.cellhts import read_screen
from hcs.io.sheets.values import read_values

PLATES = "Filename\tPlate\tReplicate\nF1.txt\t1\t1\nF2.txt\t1\t2\n"
RULES = (
    "Wells: 96\nPlates: 1\nPlate\tWell\tContent\n*\t*\tsample\n*\tA0[1-2]\tneg\n1\tA02\tpos\n"
    "2\tB01\tneg\n"
)
LOG = "Plate\tSample\tWell\tFlag\tComment\n1\t2\tB01\tNA\tContamination\n"
SHORT_LOG = "Plate\tWell\tFlag\n1\tB01\tNA\n"
GENES = "Plate\tWell\tGeneID\n1\tA01\tNA\n1\tB01\tCG1\n"
LINES = "F\tA01\t10\nF\tA02\t2.5\nF\tB01\t7\nF\tB02\tNA\n"


@pytest.fixture
def folder(tmp_path):
    """Write a whole small screen."""
    files = {
        "Platelist.txt": PLATES, "Plateconf.txt": RULES, "Screenlog.txt": LOG,
        "GeneIDs.txt": GENES, "F1.txt": LINES, "F2.txt": LINES,
    }  # fmt: skip
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def test_a_whole_screen(folder):
    table = read_screen(folder / "Platelist.txt").set_index([col.PLATE, col.WELL])
    first = table.loc["F1"]
    assert first["value"].tolist()[:3] == [10, 2.5, 7]
    assert first["value"].isna().tolist() == [False, False, False, True]
    assert first[col.PERT_TYPE].tolist() == ["negcon", "poscon", "trt", "trt"]
    assert first[col.COMPOUND].tolist() == ["1 A01", "1 A02", "1 B01", "1 B02"]
    assert first["Metadata_GeneID"].isna().tolist() == [True, True, False, True]
    assert first["Metadata_GeneID"].iloc[2] == "CG1"
    assert table.loc["F2", col.FLAGS].tolist() == ["", "", "Contamination", ""]
    assert first[col.FLAGS].eq("").all()
    assert set(table[col.BATCH]) == {"replicate 1", "replicate 2"}


def test_it_is_recognized_by_its_plate_list(folder):
    found = read_values(folder / "Platelist.txt")
    assert found.columns == ("value",)
    assert len(found.table) == 8


def test_log_annotation_and_configuration_may_be_absent(folder):
    for name in ("Screenlog.txt", "GeneIDs.txt", "Plateconf.txt"):
        (folder / name).unlink()
    table = read_screen(folder / "Platelist.txt")
    assert table[col.PERT_TYPE].eq("trt").all()
    assert table[col.FLAGS].eq("").all()


def test_all_faulty_lines_are_named_at_once(folder):
    (folder / "F1.txt").write_text("F\tA01\tten\nF\tZZ99\t1\nF\tA02\t3\n")
    (folder / "F2.txt").write_text("F A01 10\n")
    with pytest.raises(FaultsError) as caught:
        read_screen(folder / "Platelist.txt")
    assert [(fault.file[-6:], fault.row) for fault in caught.value.faults] == [
        ("F1.txt", 1),
        ("F1.txt", 2),
        ("F2.txt", 1),
    ]


@pytest.mark.parametrize(
    ("name", "text", "error", "words"),
    [
        pytest.param(
            "Plateconf.txt", RULES.replace("pos", "maybe"), FaultsError, "'maybe'", id="content"
        ),
        pytest.param("Plateconf.txt", "Wells: 96\n", FaultsError, "no lines", id="no rules"),
        pytest.param("Screenlog.txt", LOG.replace("B01", "C07"), FaultsError, "1 2 C07", id="log"),
        pytest.param("Screenlog.txt", SHORT_LOG, UnknownNameError, "sample", id="log columns"),
        pytest.param(
            "Platelist.txt", PLATES.replace("F2", "F3"), NotFoundError, "F3.txt", id="absent plate"
        ),
        pytest.param(
            "Platelist.txt",
            "Filename\tPlate\tReplicate\tChannel\nF1.txt\t1\t1\t1\nF2.txt\t1\t1\t2\n",
            InputError,
            "several channels",
            id="channels",
        ),
    ],
)
def test_what_cannot_be_read_is_named(folder, name, text, error, words):
    (folder / name).write_text(text)
    with pytest.raises(error, match=words):
        read_screen(folder / "Platelist.txt")


def test_words_of_a_reader_and_decimal_commas(folder):
    (folder / "F1.txt").write_text("F\tA01\t10,5\nF\tA02\tOVRFLW\nF\tB01\t7\nF\tB02\tinf\n")
    found = read_values(folder / "Platelist.txt")
    first = found.table[found.table[col.PLATE] == "F1"]
    assert first["value"].fillna(-1).tolist() == [10.5, -1, 7, -1]
    assert [tuple(item) for item in found.without_number] == [
        ("F1", "A02", "value", 2, "OVRFLW"),
        ("F1", "B02", "value", 4, "inf"),
    ]
    (folder / "F1.txt").write_text("F\tA01\t10,5\nF\tA02\t1.000\nF\tB01\t7\n")
    with pytest.raises(FaultsError, match=r"1\.000"):
        read_screen(folder / "Platelist.txt")
