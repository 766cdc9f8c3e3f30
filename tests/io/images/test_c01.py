"""Cellomics C01: pixels behind a packed bitmap header."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest

from hcs.domain.config.stages import AutoLayout
from hcs.errors import ImageReadError
from hcs.io import layouts
from hcs.io.images import tiff

IMAGE = np.arange(5 * 4, dtype="<u2").reshape(5, 4) * 1000


def c01(path, planes=(IMAGE,), *, bits=16, width=4, height=5, per_meter=1_550_388, cut=0):
    head = struct.pack(
        "<3i2H6i", 40, width, height, len(planes), bits, 0, 0, per_meter, per_meter, 0, 0
    )
    data = head.ljust(52, b"\0") + b"".join(plane.tobytes() for plane in planes)
    packed = b"\0\0\0\x10" + zlib.compress(data[: len(data) - cut])
    path.write_bytes(packed)
    return path


def test_pixels_and_header(tmp_path):
    path = c01(tmp_path / "a.C01")
    info = tiff.probe(path)
    assert (info.shape, info.dtype, info.n_planes) == ((5, 4), np.uint16, 1)
    assert info.pixel_size_um == pytest.approx(0.645, rel=1e-4)
    np.testing.assert_array_equal(tiff.read_plane(path, unread=[]), IMAGE)
    assert tiff.probe(c01(tmp_path / "b.C01", per_meter=2834)).pixel_size_um is None  # 72 dpi


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        pytest.param({"cut": 3}, "truncated", id="cut"),
        pytest.param({"cut": 41}, "truncated", id="header-cut"),
        pytest.param({"bits": 24}, "wrong-type", id="color"),
        pytest.param({"width": 60_000, "height": 60_000}, "unreadable", id="bomb"),
        pytest.param({"width": -4}, "wrong-type", id="negative"),
    ],
)
def test_what_cannot_be_used_is_named_with_its_reason(tmp_path, options, reason):
    with pytest.raises(ImageReadError) as caught:
        tiff.read_plane(c01(tmp_path / "a.C01", **options))
    assert caught.value.reason == reason


def test_a_plate_of_c01_with_a_stack(tmp_path):
    for number, well in enumerate(("A01", "B02")):
        c01(tmp_path / f"P_{well}f00d0.C01", [IMAGE + number, IMAGE + 10 * number + 5])
    plate = layouts.scan(tmp_path, AutoLayout()).plate
    assert plate.layout == "cellomics"
    found = {
        (p.well.name, p.site, p.channel, p.z_index): int(
            tiff.read_plane(tmp_path / p.path, p.page)[0, 0]
        )
        for p in plate.planes
    }
    assert found == {
        ("A01", 0, "0", 0): 0, ("A01", 0, "0", 1): 5,
        ("B02", 0, "0", 0): 1, ("B02", 0, "0", 1): 15,
    }  # fmt: skip
    assert plate.pixel_size_um == pytest.approx(0.645, rel=1e-4)
