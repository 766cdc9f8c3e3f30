"""Study files: paths relative to the file, every fault at once."""

from __future__ import annotations

import pytest
import yaml

from hcs.errors import FaultsError, InputError, NotFoundError
from hcs.stages.study.run import read_study

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
