"""Pixels that were lost or changed on the disk are named, in plates, labels and image sets."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import zarr
from zarr.storage import LocalStore

from hcs.domain import columns as col
from hcs.domain import ngff
from hcs.domain.wells import PlateFormat, Well
from hcs.errors import ImageReadError
from hcs.io import bank, imageset, imagewriting
from hcs.io.files.atomic import replace_folder
from hcs.io.plates import labels, overview, shards
from hcs.io.plates.pixels import read_pixels
from hcs.io.plates.plate import create_plate

AXES = ("c", "y", "x")


def open_field(folder):
    """Write a field of 2 channels with 4 chunks each in one shard, and open it."""
    pixels = np.random.default_rng(0).integers(0, 900, (2, 40, 40)).astype(np.uint16)
    level = ngff.Level(1, pixels.shape, (1, 20, 20), pixels.shape)
    replace_folder(folder / "0", dict(shards.encode_array(level, pixels, AXES)))
    array = zarr.open_array(LocalStore(str(folder)), path="0", mode="r", zarr_format=3)
    return array, pixels, folder / "0/c/0/0/0"


@pytest.mark.parametrize("part", range(4))
def test_no_flipped_bit_changes_a_pixel_without_a_word(tmp_path, part):
    array, pixels, file = open_field(tmp_path)
    data = file.read_bytes()
    everything = (slice(None),) * 3
    for place in range(part, len(data), 101):
        changed = bytearray(data)
        changed[place] ^= 1 << (place % 8)
        file.write_bytes(changed)
        with pytest.raises(ImageReadError) as caught:
            read_pixels(str(tmp_path), array, everything, "hcs ingest of it")
        assert caught.value.reason == col.Reason.CHECKSUM
    assert f"{file} is damaged (its bytes are not those that were written)" in str(caught.value)
    assert "remove it and run hcs ingest of it" in str(caught.value)
    file.write_bytes(data)
    np.testing.assert_array_equal(read_pixels(str(tmp_path), array, everything, None), pixels)


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        pytest.param(lambda file: file.unlink(), "is lost; hcs ingest", id="gone"),
        pytest.param(lambda file: file.write_bytes(b""), "is lost; hcs ingest", id="empty"),
        pytest.param(lambda file: file.write_bytes(b"x" * 9), "is damaged", id="cut"),
    ],
)
def test_a_lost_file_is_named(tmp_path, damage, told):
    array, _, file = open_field(tmp_path)
    damage(file)
    with pytest.raises(ImageReadError, match=told) as caught:
        read_pixels(str(tmp_path), array, (0, slice(None), slice(None)), "hcs ingest")
    assert str(file) in str(caught.value)


def write_label(out, times=None):
    """Write a label of one plane, or of some of three times."""
    create_plate(out, {}, [])
    found = labels.LabelImages(1, 1 if times is None else 3, "features")
    for time in times or (0,):
        found.add("soma", np.full((40, 40), time + 1, np.uint16), time)
    found.write(out, "A/1/0", None)
    return zarr.open_group(str(out), mode="r"), out / "A/1/0/labels/soma/0/c"


def test_a_lost_label_of_hcs_is_never_a_field_without_cells(tmp_path):
    root, chunks = write_label(tmp_path)
    image = "A/1/0/labels/soma"
    assert (labels.read_label(root, str(tmp_path), image, "0", 0) == 1).all()
    (chunks / "0/0").unlink()
    for time in (0, None):
        with pytest.raises(ImageReadError, match="c/0/0 is lost; hcs features writes it again"):
            labels.read_label(root, str(tmp_path), image, "0", time)


def test_times_that_were_not_measured_are_not_lost(tmp_path):
    root, chunks = write_label(tmp_path, times=(0, 2))
    image = "A/1/0/labels/soma"
    whole = labels.read_label(root, str(tmp_path), image, "0")
    assert whole.reshape(3, -1).max(axis=1).tolist() == [1, 0, 3]
    (chunks / "2/0/0").unlink()
    with pytest.raises(ImageReadError, match="c/2/0/0 is lost"):
        labels.read_label(root, str(tmp_path), image, "0")


@pytest.mark.parametrize("view", [None, 1])
def test_a_changed_bit_of_a_bank_is_named_by_its_shard(tmp_path, view):
    out = tmp_path / "bank.zarr"
    frame = pd.DataFrame(
        {
            col.PLATE: "P1", col.WELL: [f"{row}01" for row in "ABCDEF"], col.SITE: 1,
            imageset.VALID: True, col.FINGERPRINT: list("abcdef"),
        }
    )  # fmt: skip
    features = np.random.default_rng(1).random((6, 2, 8)).astype(np.float16)
    imagewriting.write_images(out, bank.layout(2, 8, 4), frame, features, {})
    file = out / "P1/features/c/1/0/0"
    data = bytearray(file.read_bytes())
    data[20] ^= 4
    file.write_bytes(data)
    opened = bank.open_bank(out)
    wanted = features[:4] if view is None else features[:4, view]
    np.testing.assert_array_equal(opened.take(np.arange(4), view), wanted)
    with pytest.raises(ImageReadError, match=r"c/1/0/0 is damaged.* hcs embed") as caught:
        opened.take(np.arange(6), view)
    assert caught.value.reason == col.Reason.CHECKSUM
    file.write_bytes(b"")
    with pytest.raises(ImageReadError, match="c/1/0/0 is lost"):
        opened.take(np.array([5]), view)


def test_an_overview_without_checksums_is_made_anew(tmp_path):
    create_plate(tmp_path, {}, [])
    picture = np.full((1, overview.WELL_PX, overview.WELL_PX), 7, np.uint16)

    def write():
        overview.create_overview(tmp_path, PlateFormat.WELLS_6, 1, "uint16")
        overview.write_well_overview(tmp_path, Well(0, 1), picture)

    write()
    document = tmp_path / "overview/zarr.json"
    found = json.loads(document.read_text())
    former = json.loads(document.read_text())
    former["codecs"][0]["configuration"]["codecs"].pop()  # as hcs wrote it before
    document.write_text(json.dumps(former))
    write()
    assert json.loads(document.read_text())["codecs"] == found["codecs"]
    assert (overview.read_overview(tmp_path, 0)[0, 1] == 7).all()
