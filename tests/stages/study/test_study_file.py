"""Study files: paths relative to the file, every fault at once."""

from __future__ import annotations

import pytest
import yaml

from hcs.errors import FaultsError, InputError, NotFoundError
from hcs.stages.study.run import read_study, run
from hcs.stages.work.study import read_splits
from hcs_cli.running import read_yaml

GOOD = {"name": "s", "plates": [{"name": "P1", "source": "tiffs/P1", "platemap": "wells.csv"}]}


def write(folder, content):
    path = folder / "study.yaml"
    path.write_text(content if isinstance(content, str) else yaml.safe_dump(content))
    return str(path)


def test_paths_are_relative_to_the_file(tmp_path):
    study = read_study(write(tmp_path, GOOD))
    assert study.plates[0].source == str(tmp_path / "tiffs/P1")
    assert study.plates[0].platemap == str(tmp_path / "wells.csv")
    assert study.out == str(tmp_path / "study")


def test_weights_that_are_a_file_are_relative_too(tmp_path):
    content = GOOD | {"embed": {"backbone": {"weights": "vgg.npz"}}}
    assert read_study(write(tmp_path, content)).embed.backbone.weights == str(tmp_path / "vgg.npz")


@pytest.mark.parametrize("name", ["imagenet", "random"])
def test_named_weights_stay_names(tmp_path, name):
    content = GOOD | {"embed": {"backbone": {"weights": name}}}
    assert read_study(write(tmp_path, content)).embed.backbone.weights == name


def test_object_store_addresses_stay(tmp_path):
    content = {"name": "s", "plates": [{"name": "P1", "source": "s3://bucket/P1"}]}
    assert read_study(write(tmp_path, content)).plates[0].source == "s3://bucket/P1"


def test_every_fault_at_once(tmp_path):
    content = GOOD | {"embed": {"views": -1}, "train": {"epochs": 0}, "color": "red"}
    with pytest.raises(FaultsError) as caught:
        read_study(write(tmp_path, content))
    assert {fault.column for fault in caught.value.faults} == {
        "embed.views",
        "train.epochs",
        "color",
    }


def test_a_study_without_a_cohort_is_refused(tmp_path):
    content = {"name": "s", "plates": [{"name": "P1", "source": "x", "role": "screen"}]}
    with pytest.raises(FaultsError, match="nothing to train on"):
        read_study(write(tmp_path, content))


@pytest.mark.parametrize(
    ("content", "error"),
    [
        pytest.param("- a\n- b\n", InputError, id="a-list"),
        pytest.param("a: [\n", InputError, id="not-yaml"),
    ],
)
def test_files_that_are_no_study(tmp_path, content, error):
    with pytest.raises(error):
        read_study(write(tmp_path, content))


def test_no_file(tmp_path):
    with pytest.raises(NotFoundError, match="nowhere"):
        read_study(str(tmp_path / "nowhere.yaml"))


def test_a_faulty_plate_is_one_fault_and_not_an_empty_list(tmp_path):
    content = GOOD | {"plates": [GOOD["plates"][0] | {"rolle": "cohort"}]}
    with pytest.raises(FaultsError) as caught:
        read_study(write(tmp_path, content))
    assert [fault.column for fault in caught.value.faults] == ["plates.0.rolle"]
    with pytest.raises(FaultsError, match="at least 1 item"):
        read_study(write(tmp_path, GOOD | {"plates": []}))


@pytest.mark.parametrize("read", [read_study, read_yaml, read_splits], ids=lambda f: f.__name__)
def test_text_that_is_no_utf_8_is_a_sentence(tmp_path, read):
    path = tmp_path / "saved-by-notepad.yaml"
    path.write_bytes("a: 1\nname: Jörg\n".encode("cp1252"))
    with pytest.raises(InputError, match=r"no text in UTF-8 \(line 2\): save it as UTF-8"):
        read(str(path))
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match="is a folder"):
        read(str(tmp_path / "folder"))


def test_all_files_that_are_not_there_are_said_before_weights_are_asked_for(tmp_path):
    study = read_study(write(tmp_path, GOOD))
    with pytest.raises(FaultsError) as caught:
        run(study)
    found = {(fault.column, fault.file) for fault in caught.value.faults}
    assert found == {
        ("plates.0.source", str(tmp_path / "tiffs/P1")),
        ("plates.0.platemap", str(tmp_path / "wells.csv")),
    }


@pytest.mark.parametrize(
    ("name", "said"),
    [
        pytest.param("../../evil", "takes no /", id="up"),
        pytest.param("/tmp/evil", "takes no /", id="absolute"),
        pytest.param("..\\evil", "takes no /", id="up as on Windows"),
        pytest.param("..", "is not . or ..", id="the folder above"),
        pytest.param("a\nb", "no line breaks", id="two lines"),
        pytest.param("x" * 300, "at most 200 bytes", id="too long"),
        pytest.param("", "at least 1 character", id="empty"),
    ],
)
def test_a_name_that_would_be_a_path_is_refused(tmp_path, name, said):
    content = GOOD | {"plates": [GOOD["plates"][0] | {"name": name}]}
    with pytest.raises(FaultsError, match=rf"study\.yaml, column 'plates\.0\.name'.*{said}"):
        read_study(write(tmp_path, content))


def test_names_that_some_disks_do_not_tell_apart_are_refused(tmp_path):
    plate = GOOD["plates"][0]
    with pytest.raises(FaultsError, match=r"\['P1', 'p1'\] stand more than once"):
        read_study(write(tmp_path, GOOD | {"plates": [plate, plate | {"name": "p1"}]}))
