"""A field's stamp follows its pixels and not its labels, on a disk and on an object store."""

from __future__ import annotations

import uuid

import pytest
from upath import UPath

from hcs.io.plates.stamps import ABSENT, stamp_field

FIELD = "B/2/0"


@pytest.fixture(params=["disk", "store"])
def root(request, tmp_path) -> str:
    return str(tmp_path) if request.param == "disk" else f"memory://{uuid.uuid4().hex}.zarr"


def put(root: str, name: str, data: bytes) -> None:
    file = UPath(root) / FIELD / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)


def test_labels_are_no_part_of_a_field_and_pixels_are(root):
    put(root, "0/c/0", b"pixels")
    before = stamp_field(root, FIELD)
    put(root, "labels/soma/zarr.json", b"{}")
    assert stamp_field(root, FIELD) == before
    put(root, "0/c/0", b"other pixels")
    assert stamp_field(root, FIELD) != before
    assert stamp_field(root, f"{FIELD}/labels") not in {ABSENT, before}


def test_a_field_without_files_is_absent(root):
    assert stamp_field(root, FIELD) == ABSENT
