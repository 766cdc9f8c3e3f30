"""Features on disk read like the bank that they come from."""

from __future__ import annotations

import shutil
from collections import namedtuple

import numpy as np
import pandas as pd
import pytest

from hcs.domain import columns as col
from hcs.errors import InputError
from hcs.io import bank, imageset, imagewriting
from hcs.io.unpacked import unpack

N, VIEWS, LENGTH = 10, 3, 7


@pytest.fixture
def opened(tmp_path):
    features = np.random.default_rng(0).normal(size=(N, VIEWS, LENGTH)).astype(np.float16)
    out = tmp_path / "bank.zarr"
    frame = pd.DataFrame(
        {
            col.PLATE: "P1", col.WELL: "A01", col.SITE: np.arange(N),
            col.FINGERPRINT: [f"f{i}" for i in range(N)], imageset.VALID: True,
        }
    )  # fmt: skip
    imagewriting.write_images(out, bank.layout(VIEWS, LENGTH, 4), frame, features, {})
    return bank.open_bank(out)


def test_rows_of_a_study_read_as_from_the_bank(opened, tmp_path):
    rows = np.array([0, 1, 3, 8, 9])
    made = unpack(opened, rows, tmp_path / "flat" / "features")
    expected = opened.read(0, N)[rows]
    assert (made.shape, len(made), made.dtype) == (expected.shape, 5, np.float16)
    images, views = np.array([4, 0, 2, 2]), np.array([2, 1, 0, 1])
    np.testing.assert_array_equal(made[images, views], expected[images, views])
    np.testing.assert_array_equal(made[images, 0], expected[images, 0])
    with (tmp_path / "flat" / "features").open("r+b") as file:
        file.truncate(4 * VIEWS * LENGTH * 2)
    with pytest.raises(InputError, match="ends before image 4"):
        made[images, views]


def test_a_whole_file_is_kept_and_what_was_left_beside_it_is_swept(opened, tmp_path):
    rows, path = np.arange(N), tmp_path / "flat" / "features"
    unpack(opened, rows, path)
    before = path.stat().st_mtime_ns
    unpack(opened, rows, path)
    assert path.stat().st_mtime_ns == before
    (path.parent / "other.partial").write_bytes(b"half")
    path.unlink()
    unpack(opened, rows, path)
    assert [each.name for each in path.parent.iterdir()] == ["features"]


def test_no_room_is_said_before_anything_is_written(opened, tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(1, 1, N * VIEWS * LENGTH * 2 - 1))
    with pytest.raises(InputError, match=r"free to unpack them at .*take fewer views"):
        unpack(opened, np.arange(N), tmp_path / "flat" / "features")
    assert list((tmp_path / "flat").iterdir()) == []
