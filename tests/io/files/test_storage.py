"""Disks that are full or refuse a name, and the leftovers of killed runs."""

from __future__ import annotations

import errno

import numpy as np
import pytest

from hcs.errors import ImageReadError, InputError, StorageError
from hcs.io.files import atomic, storage
from hcs.io.plates import plate
from hcs.io.runs.locks import locked

LEFTOVERS = [
    pytest.param("A/1/.0.0a1b2c3d.tmp/0/zarr.json", id="field"),
    pytest.param("A/1/.0.0a1b2c3d.old.tmp/zarr.json", id="field-replaced"),
    pytest.param("A/1/.zarr.json.0a1b2c3d.tmp", id="document"),
    pytest.param("tables/images/.table.parquet.0a1b2c3d.tmp", id="table"),
    pytest.param(f"zarr.json.{'0a' * 16}.partial", id="zarr"),
]
KEPT = (
    "A/1/0/zarr.json",
    "A/1/0/labels/.soma.0a1b2c3d.tmp",
    "notes.tmp",
    "A/1/.hidden",
    "a.partial",
)


def touch(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"half")


@pytest.mark.parametrize("leftover", LEFTOVERS)
def test_leftovers_in_a_plate_are_swept_and_nothing_else(tmp_path, leftover):
    for name in (leftover, *KEPT):
        touch(tmp_path / name)
    assert storage.sweep_plate(tmp_path) == 1
    left = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert left == set(KEPT)


def test_the_next_run_sweeps_beside_its_output(tmp_path):
    out = tmp_path / "features.parquet"
    mine = [
        tmp_path / ".features.parquet.0a1b2c3d.tmp",
        tmp_path / "features.parquet.hcs" / "units" / ".A01.json.0a1b2c3d.tmp",
        tmp_path / "features.parquet.hcs" / "parts" / ".A01.parquet.0a1b2c3d.tmp",
    ]
    other = tmp_path / ".hits.parquet.0a1b2c3d.tmp"
    for path in (*mine, other):
        touch(path)
    with locked(out):
        assert not any(path.exists() for path in mine)
    assert other.exists()


def test_a_label_sweeps_what_killed_runs_left_of_any_and_nothing_whole(tmp_path):
    whole = tmp_path / "A/1/0/labels/neurites/0/zarr.json"
    touch(tmp_path / "A/1/0/labels/.soma.0a1b2c3d.tmp/0/zarr.json")
    touch(tmp_path / "A/1/0/labels/.neurites.0a1b2c3d.tmp/0/zarr.json")
    touch(whole)
    plate.write_label(tmp_path, "A/1/0", "soma", np.zeros((8, 8), np.uint32), None)
    assert not list((tmp_path / "A/1/0/labels").glob(".*"))
    assert whole.exists()


def test_an_absent_plate_is_swept_clean():
    assert storage.sweep_plate("nowhere.zarr") == 0
    assert storage.sweep_plate("s3://bucket/P.zarr") == 0


@pytest.mark.parametrize(
    ("number", "told"),
    [
        pytest.param(errno.ENOSPC, "no space is left", id="full"),
        pytest.param(errno.EDQUOT, "quota", id="quota"),
        pytest.param(errno.EROFS, "read-only", id="read-only"),
        pytest.param(errno.EACCES, "denied", id="denied"),
    ],
)
def test_faults_of_the_disk_are_one_sentence(number, told):
    with pytest.raises(StorageError, match=told) as caught, storage.plain_errors("P.zarr"):
        raise OSError(number, "as the system has it", "/plates/P.zarr/A/1/0")
    assert str(caught.value).startswith("/plates/P.zarr/A/1/0: ")


@pytest.mark.parametrize("error", [OSError("odd"), ImageReadError("bad"), InputError("bad")])
def test_other_errors_pass(error):
    with pytest.raises(type(error)) as caught, storage.plain_errors("P.zarr"):
        raise error
    assert caught.value is error


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("P" * 252, id="ascii"),
        pytest.param("ö" * 130, id="two-bytes-a-letter"),
        pytest.param("/".join(["d" * 200] * 21), id="path"),
    ],
)
def test_a_name_that_is_too_long_is_said(tmp_path, name):
    with pytest.raises(StorageError, match="255 bytes a name"), locked(tmp_path / name):
        pass


@pytest.mark.parametrize("there", [True, False], ids=["exists", "to-come"])
def test_a_link_stays_and_what_it_leads_to_is_written(tmp_path, there):
    target, link = tmp_path / "disk" / "hits.json", tmp_path / "hits.json"
    target.parent.mkdir()
    link.symlink_to("disk/hits.json")
    if there:
        target.write_text("old")
    atomic.write_bytes(link, b"new")
    assert (link.is_symlink(), target.read_text()) == (True, "new")
    with atomic.replacing(link) as temporary:
        temporary.write_text("newer")
    assert (link.is_symlink(), target.read_text()) == (True, "newer")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["disk", "hits.json"]
