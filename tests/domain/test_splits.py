"""A splits file that leaks cannot be built or read, and every leak is named."""

from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from hcs.domain.columns import Role
from hcs.domain.readable_json import readable_json
from hcs.domain.splits import Group, Proof, RoleCounts, Split, Splits, leaks
from hcs.errors import SplitError, UnknownNameError

GROUPS = tuple(
    Group(name=f"{label}{i}", label=label, donor=f"D-{label}{i // 2}", n_images=4)
    for label in ("ALS", "HC")
    for i in range(8)
)
GOOD = {
    "train": ["ALS0", "ALS1", "HC0", "HC1"],
    "validation": ["ALS2", "ALS3", "HC2", "HC3"],
    "test": ["ALS4", "ALS5", "HC4", "HC5"],
}


def file_with(*splits, **changes):
    content = {
        "format": "hcs-splits/1",
        "group_by": "Metadata_Clone",
        "label": "Metadata_Diagnosis",
        "classes": ["ALS", "HC"],
        "positive": "ALS",
        "seed": 0,
        "counts": {"train": 2, "validation": 2, "test": 2},
        "groups": [group.model_dump(mode="json") for group in GROUPS],
        "splits": [{"index": i, **split} for i, split in enumerate(splits)],
        "provenance": {"hcs": "0.1.0"},
    }
    return json.dumps({**content, **changes})


def test_a_fair_file_is_read_and_written_back():
    read = Splits.read_json(file_with(GOOD))
    assert Splits.read_json(read.to_json()) == read
    assert read.proof.disjoint_by == ("group", "donor")
    assert read.proof.appearances[0].train == 1
    assert read.role_of(0)["ALS5"] is Role.TEST
    assert read.role_of(0)["HC7"] is Role.UNUSED
    assert len(read.role_of(0)) == len(GROUPS)
    with pytest.raises(UnknownNameError, match="no split 1"):
        read.role_of(1)


def test_every_leak_of_every_split_is_listed():
    shares_clones = {**GOOD, "test": ["ALS0", "ALS2", "HC4", "HC5"]}
    shares_donors = {**GOOD, "test": ["ALS4", "ALS6", "HC4", "HC5"], "validation": GOOD["test"]}
    shares_donors["validation"] = ["ALS5", "ALS7", "HC2", "HC3"]
    with pytest.raises(SplitError) as error:
        Splits.read_json(file_with(shares_clones, shares_donors), "study/splits.json")
    message = str(error.value)
    assert message.startswith("study/splits.json: 6 faults")
    for leak in (
        "split 0: group 'ALS0' stands in train and test",
        "split 0: group 'ALS2' stands in validation and test",
        "split 0: donor 'D-ALS0' stands in train (ALS0, ALS1) and test (ALS0)",
        "split 1: donor 'D-ALS2' stands in validation (ALS5) and test (ALS4)",
        "split 1: donor 'D-ALS3' stands in validation (ALS7) and test (ALS6)",
    ):
        assert leak in message


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        pytest.param(
            file_with({**GOOD, "test": ["ALS4", "ALS4", "HC4", "HC5"]}),
            "group 'ALS4' stands in test and test",
            id="twice-in-one-role",
        ),
        pytest.param(
            file_with({**GOOD, "test": ["ALS4", "HC4", "HC5"]}),
            "1 groups of class 'ALS' instead of 2",
            id="counts",
        ),
        pytest.param(
            file_with({**GOOD, "test": ["ALS4", "X", "HC4", "HC5"]}),
            "group 'X' is not among the groups",
            id="unknown-group",
        ),
        pytest.param(file_with(GOOD, positive="SMA"), "'SMA' is not one of", id="positive"),
        pytest.param(file_with(GOOD, classes=["HC", "ALS"]), "sorted labels", id="class-order"),
        pytest.param(file_with(GOOD, format="hcs-splits/2"), "format", id="format"),
        pytest.param(file_with(GOOD, extra=1), "extra", id="unknown-key"),
        pytest.param(file_with(), "at least 1 item", id="no-splits"),
        pytest.param("{", "Invalid JSON", id="no-json"),
        pytest.param("[]", "object", id="a-list"),
        pytest.param(file_with({**GOOD, "index": 4}), "not numbered 0, 1, 2", id="numbering"),
        pytest.param(
            file_with(
                GOOD,
                proof=Proof.of(GROUPS, ()).model_dump(mode="json"),
            ),
            "proof does not belong to these splits",
            id="foreign-proof",
        ),
    ],
)
def test_unusable_files_are_refused_with_the_reason(text, reason):
    with pytest.raises(SplitError, match=r"splits\.json: \d+ fault") as error:
        Splits.read_json(text)
    assert reason in str(error.value)


def test_a_leaking_split_cannot_be_built_in_code():
    with pytest.raises(ValidationError, match="'a' stands in train and test"):
        Split(index=0, train=("a",), validation=("b",), test=("a",))
    fair = Splits.read_json(file_with(GOOD))
    donor_leak = Split(index=0, **{**GOOD, "test": ("ALS4", "ALS1", "HC4", "HC5"),
                                   "train": ("ALS0", "ALS6", "HC0", "HC1")})  # fmt: skip
    with pytest.raises(ValidationError, match="donor 'D-ALS0' stands in"):
        Splits(**{**dict(fair), "splits": (donor_leak,)})


def test_groups_without_donor_are_their_own_donors():
    lone = [Group(name=name, label="ALS", n_images=1) for name in "abc"]
    split = Split(index=0, train=("a",), validation=("b",), test=("c",))
    assert leaks(lone, [split]) == []
    assert Proof.of(lone, [split]).disjoint_by == ("group",)
    # Eleven of twelve donors unknown is no proof that no donor is shared.
    some = [lone[0].model_copy(update={"donor": "D1"}), *lone[1:]]
    proof = Proof.of(some, [split])
    assert (proof.disjoint_by, proof.n_unknown_donors) == (("group", "known donor"), len(lone) - 1)
    assert Proof.of([], []).least == RoleCounts(train=0, validation=0, test=0)


def test_the_file_reads_well_in_a_pull_request():
    lines = Splits.read_json(file_with(GOOD, GOOD)).to_json().splitlines()
    assert max(map(len, lines)) <= 100
    assert '    {"name": "ALS0", "label": "ALS", "donor": "D-ALS0", "n_images": 4},' in lines
    assert len(lines) < 80


@pytest.mark.parametrize(
    "value",
    [
        pytest.param({}, id="empty"),
        pytest.param({"a": [], "b": {}, "c": None, "d": True}, id="small"),
        pytest.param({"a": ["name " * 9] * 7, "µ": [1.5, "x"]}, id="wrapped"),
        pytest.param([{"k": list(range(90)), "deep": [[1, 2], {"x": ["y" * 99]}]}], id="nested"),
        pytest.param("text", id="scalar"),
    ],
)
def test_readable_json_is_json(value):
    assert json.loads(readable_json(value)) == value


def test_readable_json_refuses_what_json_cannot_say():
    with pytest.raises(ValueError, match="JSON"):
        readable_json({"x": float("nan")})
