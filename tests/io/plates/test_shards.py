"""Tests of shards and documents written as bytes: zarr-python must read what it would write."""

from __future__ import annotations

import json

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from zarr.storage import LocalStore, MemoryStore

from hcs.domain import ngff
from hcs.io.files.atomic import replace_folder
from hcs.io.plates import shards

AXES = ("c", "y", "x")


def written(folder, shape, dtype, pixels):
    """Write level 0 of an image as the plate does, and open it with zarr-python."""
    level = ngff.pyramid(shape, np.dtype(dtype).itemsize)[0]
    replace_folder(folder, dict(shards.encode_array(level, pixels, AXES)))
    return level, zarr.open_array(LocalStore(str(folder)), mode="r", zarr_format=3)


@pytest.mark.parametrize(
    ("shape", "dtype"),
    [
        pytest.param((1, 64, 64), "uint16", id="one-chunk"),
        pytest.param((2, 513, 700), "uint8", id="overhanging-chunks"),
        pytest.param((3, 1100, 1030), "float32", id="a-shard-a-plane"),
        pytest.param((1, 1, 1), "uint16", id="one-pixel"),
    ],
)
def test_zarr_python_reads_the_same_pixels(tmp_path, shape, dtype):
    rng = np.random.default_rng(0)
    pixels = (rng.random(shape) * 200).astype(dtype)
    _, array = written(tmp_path / "0", shape, dtype, pixels)
    assert array.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(array[...], pixels)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 3), st.integers(1, 90), st.integers(1, 90), st.integers(0, 2**16 - 1))
def test_any_shape_and_shard_grid_comes_back(channels, height, width, value):
    pixels = (np.arange(channels * height * width, dtype=np.uint32) % (value + 1)).astype(np.uint16)
    pixels = pixels.reshape(channels, height, width)
    chunk = (1, -(-height // 2), -(-width // 3))
    shard = (1, chunk[1] * 2, chunk[2] * 3)
    level = ngff.Level(factor=1, shape=pixels.shape, chunks=chunk, shards=shard)
    objects = {
        key: as_buffer(b"".join(pieces)) for key, pieces in shards.encode_array(level, pixels, AXES)
    }
    array = zarr.open_array(MemoryStore(objects), mode="r", zarr_format=3)
    np.testing.assert_array_equal(array[...], pixels)


def as_buffer(data):
    from zarr.core.buffer import default_buffer_prototype

    return default_buffer_prototype().buffer.from_bytes(data)


@pytest.mark.parametrize(("dtype", "top"), [("uint16", 900), ("uint8", 30), ("float32", 9)])
def test_the_shard_has_the_chunks_that_zarr_python_would_write(tmp_path, dtype, top):
    pixels = np.random.default_rng(1).integers(0, top, (2, 600, 600)).astype(dtype)
    level, _ = written(tmp_path / "ours", pixels.shape, dtype, pixels)
    theirs = zarr.create_array(
        LocalStore(str(tmp_path / "theirs")),
        shape=level.shape,
        dtype=dtype,
        chunks=level.chunks,
        shards=level.shards,
        compressors=shards.codecs(dtype),
        fill_value=0,
        dimension_names=list(AXES),
    )
    theirs[...] = pixels
    for name in ("zarr.json", "c/0/0/0"):
        mine, other = ((tmp_path / side / name).read_bytes() for side in ("ours", "theirs"))
        assert len(mine) == len(other)
    assert json.loads((tmp_path / "ours/zarr.json").read_text()) == json.loads(
        (tmp_path / "theirs/zarr.json").read_text()
    )


def test_a_damaged_index_is_noticed_by_zarr_python(tmp_path):
    pixels = np.arange(64 * 64, dtype=np.uint16).reshape(1, 64, 64)
    _, array = written(tmp_path / "0", pixels.shape, "uint16", pixels)
    file = tmp_path / "0" / "c" / "0" / "0" / "0"
    data = bytearray(file.read_bytes())
    data[-6] ^= 1
    file.write_bytes(data)
    with pytest.raises(ValueError, match=r"(?i)checksum"):
        array[...]


def test_a_folder_is_replaced_whole(tmp_path):
    target = tmp_path / "field"
    replace_folder(target, {"0/c/0": [b"o", b"ld"], "0/c/1": [b"old"], "zarr.json": [b"{}"]})
    replace_folder(target, {"0/c/0": [b"ne", b"w"], "zarr.json": [b"{}"]})
    found = {str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file()}
    assert found == {"field/0/c/0", "field/zarr.json"}
    assert (target / "0/c/0").read_bytes() == b"new"


def test_a_folder_that_cannot_be_written_leaves_the_old_one(tmp_path):
    target = tmp_path / "field"
    replace_folder(target, {"zarr.json": [b"old"]})
    with pytest.raises(TypeError):
        replace_folder(target, {"0/c/0": [b"new"], "zarr.json": None})
    assert (target / "zarr.json").read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["field"]
