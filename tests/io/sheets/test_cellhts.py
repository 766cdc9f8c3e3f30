"""Files of a cellHTS2 screen: last rule wins, flags by measurement, every fault at once."""

from __future__ import annotations

import pytest

from hcs.domain import columns as col
from hcs.domain.config.screening import HitsOptions
from hcs.domain.plate import PertType
from hcs.errors import FaultsError, InputError, NotFoundError, UnknownNameError
from hcs.io.sheets.cellhts.screen import read_screen
from hcs.io.sheets.values import read_values
from hcs.screen.aggregate import well_values

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
    table = read_screen(folder / "Platelist.txt").table.set_index([col.PLATE, col.WELL])
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
    table = read_screen(folder / "Platelist.txt").table
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
            "which channel is flagged",
            id="flag of no channel",
        ),
        pytest.param("Platelist.txt", PLATES + "F1.txt\t1\t3\n", FaultsError, "before", id="file"),
        pytest.param("Platelist.txt", PLATES + "F3.txt\t1\t2\n", FaultsError, "before", id="plate"),
        pytest.param("F1.txt", LINES + "F\tA1\t3\n", FaultsError, "line 1", id="well twice"),
        pytest.param("GeneIDs.txt", GENES + "1\tB1\tX\n", FaultsError, "1 B01", id="annotation"),
        pytest.param("Plateconf.txt", RULES + "*\tA(\tneg\n", FaultsError, "regular", id="pattern"),
        pytest.param("Plateconf.txt", RULES + "*\tC\tneg\n", FaultsError, "fits no", id="no well"),
        pytest.param(
            "Plateconf.txt",
            RULES.replace("*\t*\tsample", "*\tA.*\tsample"),
            FaultsError,
            "plate 1 B01",
            id="no rule",
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


def test_bytes_of_other_code_pages_are_text(folder):
    (folder / "F1.txt").write_bytes(b"F\xb0C\tA01\t10\nF\xb0C\tA02\t2.5\nF\xb0C\tB01\t7\n")
    table = read_screen(folder / "Platelist.txt").table
    assert table.loc[table[col.PLATE] == "F1", "value"].tolist() == [10, 2.5, 7]


def write_two_channels(folder, log):
    rows = [f"F{n}.txt\t1\t{1 + (n - 1) % 2}\t{1 + (n - 1) // 2}\n" for n in (1, 2, 3, 4)]
    (folder / "Platelist.txt").write_text("Filename\tPlate\tReplicate\tChannel\n" + "".join(rows))
    for n in (3, 4):
        (folder / f"F{n}.txt").write_text(LINES.replace("10", "100").replace("7", "OVRFLW"))
    (folder / "Screenlog.txt").write_text("Plate\tSample\tWell\tFlag\tChannel\n" + log)


def test_channels_are_columns_and_a_flag_counts_for_its_own(folder):
    write_two_channels(folder, "1\t2\tA01\tNA\t2\n1\t1\tA02\tNA\t\n")
    found = read_values(folder / "Platelist.txt", ("channel 1", "channel 2"))
    wells = {name: well_values(found.table, name, HitsOptions()) for name in found.columns}
    usable = {
        name: of.set_index([col.PLATE, col.WELL])[col.USABLE].to_dict()
        for name, of in wells.items()
    }
    assert usable["channel 1"]["F2", "A01"]
    assert not usable["channel 2"]["F2", "A01"]
    assert not usable["channel 1"]["F1", "A02"]
    assert not usable["channel 2"]["F1", "A02"]
    first = wells["channel 2"].set_index([col.PLATE, col.WELL])[col.SCORE]
    assert first["F1", "A01"] == 100
    assert [item.column for item in found.without_number] == ["channel 2", "channel 2"]
    with pytest.raises(InputError, match="'channel 1', 'channel 2'"):
        read_values(folder / "Platelist.txt")


def test_a_list_of_one_channel_takes_the_flags_of_that_channel(folder):
    log = "Plate\tSample\tChannel\tWell\tFlag\n1\t1\t1\tA01\tNA\n1\t1\t2\tA02\tNA\n"
    (folder / "Screenlog.txt").write_text(log)
    with pytest.raises(InputError, match=r"flags channel 2.*column Channel"):
        read_screen(folder / "Platelist.txt")
    listed = [
        line + "\t" + word
        for line, word in zip(PLATES.splitlines(), ("Channel", "2", "2"), strict=True)
    ]
    (folder / "Platelist.txt").write_text("\n".join(listed) + "\n")
    screen = read_screen(folder / "Platelist.txt")
    flags = screen.table.set_index([col.PLATE, col.WELL])[col.FLAGS]
    assert flags[flags != ""].index.tolist() == [("F1", "A02")]
    assert screen.notes == ("1 flags of channel 1, which is not listed",)


def test_older_files_name_batches_and_files(folder):
    (folder / "Plateconf.txt").write_text("Batch\tWell\tContent\n1\t.*\tsample\n1\tA01\tneg\n")
    (folder / "Screenlog.txt").write_text("Filename\tWell\tFlag\tComment\nf2.TXT\tA02\tNA\tdirt\n")
    table = read_screen(folder / "Platelist.txt").table.set_index([col.PLATE, col.WELL])
    assert table.loc["F1", col.PERT_TYPE].tolist() == ["negcon", "trt", "trt", "trt"]
    assert table.loc[table[col.FLAGS] != "", col.FLAGS].to_dict() == {("F2", "A02"): "dirt"}
    (folder / "Screenlog.txt").write_text("Filename\tWell\tFlag\nF9.txt\tA02\tNA\n")
    with pytest.raises(FaultsError, match=r"F9\.txt"):
        read_screen(folder / "Platelist.txt")


def test_words_of_a_configuration_are_explained_by_the_user(folder):
    rules = RULES.replace("sample", "geneS").replace("neg", "geneA").replace("pos", "GeneB")
    (folder / "Plateconf.txt").write_text(rules)
    with pytest.raises(FaultsError, match="--kind geneA=negcon") as caught:
        read_screen(folder / "Platelist.txt")
    assert [fault.value for fault in caught.value.faults] == ["geneS", "geneA", "GeneB"]
    kinds = {"geneA": PertType.NEGCON, "geneB": PertType.POSCON, "geneS": PertType.TREATMENT}
    table = read_screen(folder / "Platelist.txt", kinds).table
    assert table[col.PERT_TYPE].tolist()[:4] == ["negcon", "poscon", "trt", "trt"]
    with pytest.raises(FaultsError, match=r"no such content.*geneX"):
        read_screen(folder / "Platelist.txt", kinds | {"geneX": PertType.NEGCON})


def test_an_annotation_takes_no_column_from_the_screen(folder):
    (folder / "GeneIDs.txt").write_text("Plate\tWell\tCompound\tGeneID\n1\tB01\tC9\tCG1\n")
    table = read_screen(folder / "Platelist.txt").table
    assert table[col.COMPOUND].tolist()[:3] == ["1 A01", "1 A02", "1 B01"]
    assert table["Metadata_Annotation_Compound"].tolist()[2] == "C9"


@pytest.mark.parametrize(
    "name", ["../F1.txt", "/etc/passwd", "a/../../F1.txt", "..\\F1.txt", "C:F1"]
)
def test_files_outside_of_the_folder_of_the_list_are_not_read(folder, name):
    (folder.parent / "F1.txt").write_text(LINES)
    (folder / "Platelist.txt").write_text(f"Filename\tPlate\tReplicate\n{name}\t1\t1\n")
    with pytest.raises(InputError, match="which is no file of its folder"):
        read_screen(folder / "Platelist.txt")


def test_files_in_folders_below_the_list_are_read(folder):
    (folder / "data").mkdir()
    (folder / "data" / "F1.txt").write_text(LINES)
    (folder / "Platelist.txt").write_text("Filename\tPlate\tReplicate\ndata/F1.txt\t1\t1\n")
    (folder / "Screenlog.txt").unlink()
    assert len(read_screen(folder / "Platelist.txt").table) == 4


def test_a_rule_without_end_is_a_fault_of_its_line(folder):
    (folder / "F1.txt").write_text(LINES + "F\tP24\t1\n")
    endless = "((P{1,100}){1,100}){1,100}x|(([A-Z0-9]{0,9}){0,99}){0,99}y"
    (folder / "Plateconf.txt").write_text(f"{RULES}*\t{endless}\tneg\n")
    with pytest.raises(FaultsError, match=r"Plateconf\.txt, row 8"):
        read_screen(folder / "Platelist.txt")


def test_a_wrong_file_is_told_in_a_page_and_not_in_a_book(folder):
    (folder / "F1.txt").write_text("".join(f"F\tQQ{n}\tx\n" for n in range(100_000)))
    with pytest.raises(FaultsError, match="and 99,950 more") as caught:
        read_screen(folder / "Platelist.txt")
    assert len(str(caught.value)) < 20_000
    assert len(caught.value.faults) == 100_000
