"""Planes come back exactly as stored; every damaged or unsuitable file is named with a reason."""

from __future__ import annotations

import contextlib
import logging
import pickle
import struct
import tracemalloc
import zlib

import imagecodecs
import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from hcs.domain.plate import Plane
from hcs.domain.wells import Well
from hcs.errors import ImageReadError
from hcs.io.images import tiff
from hcs.io.images.sources import open_source
from hcs.io.images.tiff_header import PagePosition

IMAGE = np.arange(40 * 30, dtype=np.uint16).reshape(40, 30) * 50


def write(path, image=IMAGE, **options):
    tifffile.imwrite(path, image, **{"photometric": "minisblack", **options})
    return path


def reason_of(path, **options) -> str:
    with pytest.raises(ImageReadError) as caught:
        tiff.read_plane(path, **options)
    assert str(path) in str(caught.value)
    assert pickle.loads(pickle.dumps(caught.value)).reason == caught.value.reason
    return caught.value.reason


SMOOTH = np.add.outer(np.arange(0, 200, 2), np.arange(0, 50, 1)).astype(np.uint8)
COLORS = np.stack([SMOOTH, SMOOTH.max() - SMOOTH, SMOOTH], axis=-1)


def jpeg(path, image=SMOOTH):
    path.write_bytes(imagecodecs.jpeg8_encode(image, level=95))
    return path


def claim(path, edge):
    """Make every JPEG frame header of a file claim an image of this edge."""
    data = path.read_bytes()
    at = data.index(b"\xff\xc0") + 5
    path.write_bytes(data[:at] + edge.to_bytes(2, "big") * 2 + data[at + 4 :])
    return path


@pytest.mark.parametrize(
    "options",
    [
        pytest.param({}, id="raw"),
        pytest.param({"byteorder": ">"}, id="big-endian"),
        pytest.param({"compression": "lzw"}, id="lzw"),
        pytest.param({"compression": "lzw", "predictor": True}, id="lzw-predictor"),
        pytest.param({"compression": "zlib", "rowsperstrip": 7}, id="deflate-uneven-strips"),
        pytest.param({"compression": "packbits"}, id="packbits"),
        pytest.param({"compression": "zstd"}, id="zstd"),
        pytest.param({"compression": "zlib", "tile": (16, 16)}, id="tiles"),
        pytest.param({"rowsperstrip": 1}, id="one-row-strips"),
        pytest.param({"bigtiff": True}, id="bigtiff"),
        pytest.param({"imagej": True}, id="imagej"),
        pytest.param({"ome": True}, id="ome"),
    ],
)
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_a_plane_comes_back_as_stored(tmp_path, options, dtype):
    if options.get("imagej") and dtype == "uint8":
        options = {"imagej": True}
    image = (IMAGE % 251).astype(dtype)
    path = write(tmp_path / "a b µ.tif", image, **options)
    read = tiff.read_plane(path, expected=((40, 30), dtype))
    assert read.dtype == np.dtype(dtype)
    assert read.dtype.isnative
    np.testing.assert_array_equal(read, image)


def test_pages_of_a_stack(tmp_path):
    stack = np.stack([IMAGE, IMAGE[::-1]])
    path = tmp_path / "stack.tif"
    tifffile.imwrite(path, stack, imagej=True, metadata={"axes": "CYX"})
    np.testing.assert_array_equal(tiff.read_plane(path, 1), IMAGE[::-1])
    assert tiff.probe(path).positions == (PagePosition(0), PagePosition(1))
    assert reason_of(path, page=2) == "wrong-shape"


def test_a_stack_that_does_not_say_what_its_pages_are(tmp_path):
    path = write(tmp_path / "stack.tif", np.stack([IMAGE, IMAGE]))
    info = tiff.probe(path)
    assert (info.n_planes, info.positions) == (2, ())


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_png(tmp_path, dtype):
    image = (IMAGE % 250).astype(dtype)
    path = tmp_path / "a.png"
    path.write_bytes(imagecodecs.png_encode(image))
    np.testing.assert_array_equal(tiff.read_plane(path, expected=(image.shape, dtype)), image)
    assert (tiff.probe(path).shape, tiff.probe(path).dtype) == ((40, 30), np.dtype(dtype))
    assert reason_of(path, page=1) == "wrong-shape"


def empty_file(path):
    path.touch()
    return path


def text_file(path):
    path.write_text("well,clone\nA01,x\n")
    return path


def cut(path, share):
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    return path


def png(path, image):
    path.write_bytes(imagecodecs.png_encode(image))
    return path


def absent_strip(path):
    write(path, rowsperstrip=10, compression="zlib")
    with tifffile.TiffFile(path, mode="r+b") as tif:
        tif.pages[0].tags["StripByteCounts"].overwrite([0, 1, 1, 1])
    return path


def short_strip(path):
    """A Deflate strip that decodes to one row where ten belong."""
    write(path, rowsperstrip=10, compression="zlib")
    with tifffile.TiffFile(path) as tif:
        offset, count = tif.pages[0].dataoffsets[1], tif.pages[0].databytecounts[1]
    data = bytearray(path.read_bytes())
    row = zlib.compress(IMAGE[10].tobytes())
    assert len(row) <= count
    data[offset : offset + count] = row.ljust(count, b"\0")
    path.write_bytes(data)
    return path


RAMP = np.stack([np.linspace(0, 65535, 256).astype(np.uint16)] * 3)
SCRAMBLED = RAMP[:, ::-1].copy()


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        pytest.param(lambda p: p, "unreadable", id="absent"),
        pytest.param(empty_file, "truncated", id="empty"),
        pytest.param(text_file, "unreadable", id="text-named-tif"),
        pytest.param(lambda p: cut(write(p), 0.6), "truncated", id="raw-cut"),
        pytest.param(lambda p: cut(write(p, compression="lzw"), 0.6), "truncated", id="lzw-cut"),
        pytest.param(
            lambda p: cut(write(p, compression="zlib", rowsperstrip=4), 0.9),
            "truncated",
            id="last-strips-cut",
        ),
        pytest.param(lambda p: cut(write(p), 0.005), "truncated", id="header-cut"),
        pytest.param(absent_strip, "truncated", id="absent-strip"),
        pytest.param(short_strip, "truncated", id="short-strip"),
        pytest.param(
            lambda p: write(p, np.zeros((9, 9, 3), np.uint8), photometric="rgb"),
            "wrong-type",
            id="rgb",
        ),
        pytest.param(lambda p: write(p, IMAGE.astype(np.uint32)), "wrong-type", id="uint32"),
        pytest.param(lambda p: write(p, IMAGE.astype(np.int16)), "wrong-type", id="int16"),
        pytest.param(lambda p: write(p, IMAGE.astype(np.float64)), "wrong-type", id="float64"),
        pytest.param(lambda p: write(p, IMAGE > 9), "wrong-type", id="bilevel"),
        pytest.param(
            lambda p: write(p, photometric="miniswhite"), "wrong-type", id="white-is-zero"
        ),
        pytest.param(
            lambda p: write(p, IMAGE.astype(np.uint8), photometric="palette", colormap=SCRAMBLED),
            "wrong-type",
            id="palette",
        ),
        pytest.param(
            lambda p: write(p, IMAGE.astype(np.uint8), compression="jpeg2000"),
            "wrong-type",
            id="jpeg2000",
        ),
        pytest.param(lambda p: jpeg(p, COLORS), "wrong-type", id="jpeg-of-colors"),
        pytest.param(lambda p: cut(jpeg(p), 0.7), "truncated", id="jpeg-cut"),
        pytest.param(lambda p: cut(jpeg(p), 0.05), "truncated", id="jpeg-header-cut"),
        pytest.param(lambda p: claim(jpeg(p), 60_000), "unreadable", id="jpeg-bomb"),
        pytest.param(
            lambda p: claim(write(p, SMOOTH, compression="jpeg"), 60_000),
            "unreadable",
            id="jpeg-bomb-in-a-strip",
        ),
        pytest.param(lambda p: png(p, np.zeros((9, 9, 3), np.uint8)), "wrong-type", id="png-rgb"),
        pytest.param(lambda p: cut(png(p, IMAGE), 0.7), "truncated", id="png-cut"),
        pytest.param(lambda p: cut(png(p, IMAGE), 0.05), "truncated", id="png-header-cut"),
    ],
)
def test_what_cannot_be_used_is_named_with_its_reason(tmp_path, make, reason):
    assert reason_of(make(tmp_path / "image.tif")) == reason


def test_an_image_whose_zero_is_white_is_told_as_such(tmp_path):
    with pytest.raises(ImageReadError, match="largest value means black"):
        tiff.read_plane(write(tmp_path / "white.tif", photometric="miniswhite"))


def test_absent_strips_are_counted(tmp_path):
    with pytest.raises(ImageReadError, match="3 of 4 strips are there"):
        tiff.read_plane(absent_strip(tmp_path / "a.tif"))


def test_a_lookup_table_for_display_is_no_color(tmp_path):
    image = (IMAGE % 256).astype(np.uint8)
    path = write(tmp_path / "lut.tif", image, photometric="palette", colormap=RAMP)
    np.testing.assert_array_equal(tiff.read_plane(path), image)


@pytest.mark.parametrize(
    ("expected", "reason", "told"),
    [
        pytest.param(((40, 30), "uint8"), "wrong-type", "uint16, expected uint8", id="type"),
        pytest.param(((40, 31), "uint16"), "wrong-shape", "40 × 30 pixels, expected 40 × 31"),
    ],
)
def test_expectations_are_compared(tmp_path, expected, reason, told):
    path = write(tmp_path / "a.tif")
    assert reason_of(path, expected=expected) == reason
    with pytest.raises(ImageReadError, match=told):
        tiff.read_plane(path, expected=expected)


def with_size(path, width, height):
    """Let a small TIFF claim to be large."""
    with tifffile.TiffFile(path, mode="r+b") as tif:
        tif.pages[0].tags["ImageWidth"].overwrite(width)
        tif.pages[0].tags["ImageLength"].overwrite(height)
    return path


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_a_billion_by_a_billion_pixels_take_no_memory(tmp_path, compression):
    big = np.zeros((70_000, 1), np.uint8)  # so that the size tags are 32-bit wide
    path = write(tmp_path / "huge.tif", big, compression=compression)
    with_size(path, 65_535, 10**9)
    tracemalloc.start()
    assert reason_of(path) == "unreadable"
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak_bytes < 20e6


def test_a_huge_png_takes_no_memory(tmp_path):
    path = png(tmp_path / "huge.png", IMAGE)
    data = bytearray(path.read_bytes())
    data[16:24] = struct.pack(">II", 10**9, 10**9)
    path.write_bytes(data)
    assert reason_of(path) == "unreadable"


def test_a_strip_that_expands_beyond_its_rows_is_bounded(tmp_path):
    path = write(tmp_path / "bomb.tif", IMAGE, compression="zlib", rowsperstrip=40)
    bomb = zlib.compress(bytes(200_000_000), 9)
    with tifffile.TiffFile(path, mode="r+b") as tif:
        end = path.stat().st_size
        tif.pages[0].tags["StripOffsets"].overwrite([end])
        tif.pages[0].tags["StripByteCounts"].overwrite([len(bomb)])
    with path.open("ab") as stream:
        stream.write(bomb)
    tracemalloc.start()
    assert reason_of(path) == "unreadable"
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak_bytes < 5e6


ORIGINALS = {"raw": {}, "lzw": {"compression": "lzw", "rowsperstrip": 9}, "ome": {"ome": True}}


@pytest.fixture(scope="module")
def originals(tmp_path_factory):
    folder = tmp_path_factory.mktemp("originals")
    return {name: write(folder / f"{name}.tif", **o).read_bytes() for name, o in ORIGINALS.items()}


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_damaged_bytes_give_an_image_or_one_kind_of_error(originals, tmp_path_factory, data):
    content = bytearray(originals[data.draw(st.sampled_from(sorted(originals)))])
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    keep = data.draw(st.integers(0, len(content)) | st.just(len(content)))
    path = tmp_path_factory.getbasetemp() / "damaged.tif"
    path.write_bytes(content[:keep])
    for read in (tiff.read_plane, tiff.probe):
        with contextlib.suppress(ImageReadError):
            read(path)


def test_tifffile_writes_nothing_to_the_screen(tmp_path, capfd):
    path = cut(write(tmp_path / "a.tif", compression="lzw"), 0.6)
    reason_of(path)
    logging.getLogger("tifffile").error("a strip is odd")
    captured = capfd.readouterr()
    assert captured.out == captured.err == ""


def tagged(path, per_unit, unit, **options):
    return write(path, resolution=(per_unit, per_unit), resolutionunit=unit, **options)


@pytest.mark.parametrize(
    ("make", "pixel_size_um"),
    [
        pytest.param(write, None, id="no-resolution"),
        pytest.param(lambda p: tagged(p, 10_000 / 0.65, "CENTIMETER"), 0.65, id="cm"),
        pytest.param(lambda p: tagged(p, 1550.3, "CENTIMETER"), None, id="cm-of-the-sensor"),
        pytest.param(lambda p: tagged(p, 72, "INCH"), None, id="dots-per-inch"),
        pytest.param(lambda p: tagged(p, 1 / 0.65, "NONE"), None, id="no-unit"),
        pytest.param(
            lambda p: write(p, resolution=(15_000, 9_000), resolutionunit="CENTIMETER"),
            None,
            id="not-square",
        ),
        pytest.param(
            lambda p: write(
                p, imagej=True, resolution=(1 / 0.325, 1 / 0.325), metadata={"unit": "um"}
            ),
            0.325,
            id="imagej-micron",
        ),
        pytest.param(
            lambda p: write(
                p, imagej=True, resolution=(1 / 0.325, 1 / 0.325), metadata={"unit": "pixel"}
            ),
            None,
            id="imagej-pixel",
        ),
        pytest.param(
            lambda p: write(
                p,
                ome=True,
                metadata={
                    "PhysicalSizeX": 162.5,
                    "PhysicalSizeXUnit": "nm",
                    "PhysicalSizeY": 162.5,
                    "PhysicalSizeYUnit": "nm",
                },
            ),
            0.1625,
            id="ome-nm",
        ),
        pytest.param(
            lambda p: write(p, ome=True, metadata={"PhysicalSizeX": 10.4, "PhysicalSizeY": 10.4}),
            10.4,
            id="ome-of-a-weak-objective",
        ),
        pytest.param(
            lambda p: write(p, imagej=True, resolution=(0.2, 0.2), metadata={"unit": "um"}),
            5.0,
            id="imagej-of-a-weak-objective",
        ),
    ],
)
def test_pixel_size_is_read_where_stated_and_never_invented(tmp_path, make, pixel_size_um):
    found = tiff.probe(make(tmp_path / "a.tif")).pixel_size_um
    assert found == (None if pixel_size_um is None else pytest.approx(pixel_size_um, rel=1e-4))


def test_channel_names_of_ome(tmp_path):
    path = tmp_path / "a.ome.tif"
    tifffile.imwrite(
        path,
        np.stack([IMAGE, IMAGE]),
        photometric="minisblack",
        metadata={"axes": "CYX", "Channel": {"Name": ["DAPI", "NF-H"]}},
    )
    info = tiff.probe(path)
    assert info.channel_names == ("DAPI", "NF-H")
    assert info.positions == (PagePosition(0), PagePosition(1))


def test_real_files(test_data):
    metaxpress = test_data / "faim_ipa/ImageXpress_exported/9987_Plate_3420/TimePoint_1"
    assert tiff.probe(metaxpress / "9987_B02.TIF").pixel_size_um == 1.3672
    harmony = test_data / "operetta_compose/tests/operetta_plate/Images"
    info = tiff.probe(harmony / "r03c03f01p01-ch1sk1fk1fl1.tiff")
    # The tag says 6.45 µm, the sensor's pitch; Harmony's index file says 1.196 µm.
    assert (info.shape, info.pixel_size_um) == ((1080, 1080), None)
    two_channels = test_data / "spaom2020/dataset2D/images/01A.tif"
    assert tiff.probe(two_channels).positions == (PagePosition(0), PagePosition(1))
    tuj1 = tiff.read_plane(test_data / "isl_tuj1/tuj1_widefield.png")
    assert (tuj1.shape, tuj1.dtype, np.median(tuj1)) == ((2175, 2882), np.uint16, 0)


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(jpeg, id="jpeg"),
        pytest.param(lambda p: jpeg(p, np.stack([SMOOTH] * 3, axis=-1)), id="jpeg-gray-as-rgb"),
        pytest.param(lambda p: write(p, SMOOTH, compression="jpeg"), id="tiff-of-strips"),
        pytest.param(
            lambda p: write(p, SMOOTH, compression="jpeg", tile=(32, 32)), id="tiff-of-tiles"
        ),
    ],
)
def test_jpeg_is_read_and_known_to_be_lossy(tmp_path, make):
    path = make(tmp_path / "image.tif")
    info = tiff.probe(path)
    assert (info.shape, info.dtype, info.is_lossy) == (SMOOTH.shape, np.uint8, True)
    difference = tiff.read_plane(path).astype(int) - SMOOTH
    assert abs(difference).max() <= 4
    assert not tiff.probe(write(tmp_path / "b.tif", SMOOTH)).is_lossy


@pytest.mark.parametrize(
    "options", [{}, {"contiguous": False}, {"imagej": True}], ids=["one-series", "apart", "imagej"]
)
def test_planes_of_a_file_that_stays_open_are_those_of_one_that_is_opened_anew(tmp_path, options):
    stack = np.random.default_rng(8).integers(1, 999, (6, 8, 9)).astype("uint16")
    for number in range(2):
        with tifffile.TiffWriter(tmp_path / f"{number}.tif", imagej="imagej" in options) as out:
            if options.get("contiguous", True):
                out.write(stack + number, photometric="minisblack")
            else:
                for plane in stack + number:
                    out.write(plane, photometric="minisblack", contiguous=False)
    kept = tiff.KeptOpen()
    for number, page in [(0, 5), (0, 0), (1, 2), (0, 3), (0, 3)]:
        found = kept.read_plane(tmp_path / f"{number}.tif", page)
        np.testing.assert_array_equal(found, stack[page] + number)
    with pytest.raises(ImageReadError) as caught:
        kept.read_plane(tmp_path / "0.tif", 6)
    assert caught.value.reason == "wrong-shape"
    kept.close()


def test_the_directories_of_a_long_file_are_walked_once(tmp_path, monkeypatch):
    stack = np.zeros((300, 4, 4), "uint16")
    tifffile.imwrite(tmp_path / "long.tif", stack, photometric="minisblack", metadata=None)
    opened = []
    monkeypatch.setattr(
        "hcs.io.images.tiff._open_file",
        lambda path, real=tiff._open_file: opened.append(path) or real(path),
    )
    channel = {"well": Well.parse("A1"), "site": 0, "path": "long.tif", "file_pages": 300}
    with contextlib.closing(open_source(str(tmp_path), "regex")) as source:
        for page in range(300):
            source.read(Plane(page=page, z_index=page, **channel), (4, 4), "uint16")
    assert len(opened) == 1


def test_a_damaged_file_that_would_stay_open_is_named_at_every_plane(tmp_path):
    (tmp_path / "bad.tif").write_bytes(b"II*\0 and no more")
    kept = tiff.KeptOpen()
    for page in (1, 2):
        with pytest.raises(ImageReadError, match=r"bad\.tif"):
            kept.read_plane(tmp_path / "bad.tif", page)
    kept.close()
