"""The quick way to read a plain TIFF: the same pixels as tifffile's, or a polite refusal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from hcs.errors import ImageReadError
from hcs.io.images import tiff
from hcs.io.images.tiff_plain import read_plain

SHAPE = (48, 40)


def quick(path: Path, shape: tuple[int, int] = SHAPE, dtype: Any = np.uint16) -> Any:
    with path.open("rb") as stream:
        return read_plain(stream, path.stat().st_size, shape, np.dtype(dtype))


@pytest.fixture
def pixels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 65536, SHAPE, dtype=np.uint16)


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({}, id="as-it-comes"),
        pytest.param({"byteorder": ">"}, id="big-endian"),
        pytest.param({"rowsperstrip": 7}, id="strips"),
        pytest.param({"description": "n" * 500, "software": "x"}, id="texts"),
        pytest.param({"resolution": (10_000, 10_000)}, id="resolution"),
        pytest.param({"imagej": True}, id="imagej"),
    ],
)
def test_plain_files_are_read_as_tifffile_reads_them(tmp_path, pixels, options):
    path = tmp_path / "a.tif"
    options = {"photometric": "minisblack", **options} if "imagej" not in options else options
    tifffile.imwrite(path, pixels, **options)
    found = quick(path)
    if "imagej" not in options:  # which has tags of its own: left to the careful way
        assert found is not None
        np.testing.assert_array_equal(found, pixels)
        assert found.dtype == np.uint16
    np.testing.assert_array_equal(tiff.read_plane(path, expected=(SHAPE, "uint16")), pixels)


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({"compression": "zlib"}, id="deflate"),
        pytest.param({"compression": "lzw", "predictor": True}, id="lzw"),
        pytest.param({"tile": (16, 16)}, id="tiles"),
        pytest.param({"photometric": "miniswhite"}, id="white-is-zero"),
        pytest.param({"bigtiff": True}, id="bigtiff"),
        pytest.param({"extratags": [(34361, 4, 1, 7, True)]}, id="unknown-tag"),
        pytest.param({"subfiletype": 1}, id="reduced"),
    ],
)
def test_other_files_are_left_to_the_careful_way(tmp_path, pixels, options):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, pixels, **{"photometric": "minisblack", **options})
    assert quick(path) is None


def test_what_was_not_expected_is_left_to_the_careful_way(tmp_path, pixels):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, pixels)
    assert quick(path, (40, 48)) is None
    assert quick(path, dtype=np.uint8) is None
    assert quick(path, dtype=np.float32) is None
    tifffile.imwrite(path, pixels.astype(np.int16))
    assert quick(path) is None
    tifffile.imwrite(path, np.stack([pixels] * 3, axis=-1), photometric="rgb")
    assert quick(path) is None


def test_a_file_cut_anywhere_is_never_half_read(tmp_path, pixels):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, pixels, metadata=None)
    whole = path.read_bytes()
    for length in range(0, len(whole), 61):
        path.write_bytes(whole[:length])
        assert quick(path) is None


@settings(max_examples=300, deadline=None)
@given(place=st.integers(0, 400), value=st.integers(0, 255))
def test_a_damaged_header_gives_the_pixels_that_tifffile_gives_or_none(
    tmp_path_factory, place, value
):
    """Whatever byte of the header is changed, the quick way agrees with the careful one."""
    path = tmp_path_factory.getbasetemp() / "damaged.tif"
    image = np.arange(24 * 20, dtype=np.uint16).reshape(24, 20)
    tifffile.imwrite(path, image, rowsperstrip=5, metadata=None)
    data = bytearray(path.read_bytes())
    data[place] = value
    path.write_bytes(data)
    found = quick(path, image.shape)
    if found is None:
        return
    try:
        other = tifffile.imread(path, key=0)
    except (ImageReadError, ValueError, tifffile.TiffFileError):
        pytest.fail("the quick way read what tifffile refuses")
    np.testing.assert_array_equal(found, other)
