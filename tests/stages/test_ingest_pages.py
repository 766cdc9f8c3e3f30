"""Files of several planes: every plane is read under its own channel, time and z, or named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from typer.testing import CliRunner

from hcs.domain.columns import Reason
from hcs.domain.config.layouts import RegexLayout
from hcs.domain.config.stages import IngestConfig
from hcs.errors import ImageReadError, InputError
from hcs.io.images import tiff
from hcs.io.plates.reader import PlateReader
from hcs.stages import ingest
from hcs_cli.app import app

STACK = np.random.default_rng(1).integers(1, 4000, (5, 20, 24)).astype(np.uint16)
VENDORS = {
    "imagexpress": "Plate_{well}_s1_w1.tif",
    "incell": "{row} - {column}(fld 1 wv UV - DAPI).tif",
    "cytation": "{well}_02_1_1_DAPI_001.tif",
    "scanr": "{well}--W00001--P00001--Z00000--T00000--DAPI.tif",
    "operetta": "r01c0{column}f01p01-ch1sk1fk1fl1.tiff",
    "cellvoyager": "AP_{well}_T0001F001L01A01Z01C01.tif",
    "cellomics": "AS_1_{well}f00d0.tif",
}


def write_one_directory(path: Path, stack: np.ndarray, description: str) -> None:
    """Write planes behind one another with the directory of the first alone, as ImageJ does."""
    tifffile.imwrite(path, stack[0], metadata=None, description=description, software=None)
    with tifffile.TiffFile(path) as tif:
        start = tif.pages.first.dataoffsets[0]
    with path.open("r+b") as stream:
        stream.seek(start)
        stream.write(stack.tobytes())


WRITERS = {
    "imagej": lambda p, s: tifffile.imwrite(p, s, imagej=True, metadata={"axes": "ZYX"}),
    "ome": lambda p, s: tifffile.imwrite(p, s, ome=True, metadata={"axes": "ZYX"}),
    "shaped": lambda p, s: tifffile.imwrite(
        p, s, metadata={"axes": "ZYX"}, photometric="minisblack"
    ),
    "one-directory-imagej": lambda p, s: write_one_directory(
        p, s, "ImageJ=1.54f\nimages=5\nslices=5\nloop=false\n"
    ),
    "one-directory-shaped": lambda p, s: tifffile.imwrite(
        p, s, metadata={"axes": "ZYX"}, truncate=True, photometric="minisblack"
    ),
    "big-endian": lambda p, s: tifffile.imwrite(
        p, s, metadata={"axes": "ZYX"}, truncate=True, byteorder=">", photometric="minisblack"
    ),
}
SILENT = {
    "plain": lambda p, s: tifffile.imwrite(p, s, metadata=None, photometric="minisblack"),
    "compressed": lambda p, s: tifffile.imwrite(
        p, s, metadata=None, compression="zlib", photometric="minisblack"
    ),
    "one-directory": lambda p, s: tifffile.imwrite(p, s, truncate=True, photometric="minisblack"),
}


def name_file(vendor: str, column: int = 1) -> str:
    return VENDORS[vendor].format(well=f"A0{column}", row="A", column=column)


def take(tmp_path: Path, **more):
    given = {"source": str(tmp_path / "in"), "out": str(tmp_path / "P.zarr"), "verify": True}
    return ingest.run(IngestConfig.model_validate(given | more))


def put(tmp_path: Path, writer, vendor="imagexpress", columns=(1, 2)) -> None:
    (tmp_path / "in").mkdir(exist_ok=True)
    for column in columns:
        writer(tmp_path / "in" / name_file(vendor, column), STACK + column)


@pytest.mark.parametrize("vendor", VENDORS)
def test_pages_of_every_vendor_are_counted(tmp_path, vendor):
    put(tmp_path, WRITERS["imagej"], vendor)
    result = take(tmp_path)
    assert (result.problems, result.summary["z planes"]) == ((), "5")
    reader = PlateReader(result.out)
    for column in (1, 2):
        np.testing.assert_array_equal(reader.level(f"A/{column}/0", 0)[0], STACK + column)


@pytest.mark.parametrize("writer", WRITERS.values(), ids=WRITERS)
def test_pages_that_the_header_explains_become_planes(tmp_path, writer):
    put(tmp_path, writer)
    result = take(tmp_path)
    assert result.problems == ()
    reader = PlateReader(result.out)
    assert reader.axes == ("c", "z", "y", "x")
    np.testing.assert_array_equal(reader.level("A/2/0", 0)[0], STACK + 2)


@pytest.mark.parametrize("writer", SILENT.values(), ids=SILENT)
def test_pages_of_unknown_meaning_are_refused_until_the_user_says_it(tmp_path, writer):
    put(tmp_path, writer)
    with pytest.raises(InputError, match=r"5 pages.*--pages z") as error:
        take(tmp_path)
    assert name_file("imagexpress") in str(error.value)
    for axis, expected in (("z", (1, 5)), ("t", (5, 1))):
        result = take(tmp_path, pages=axis)
        assert result.problems == ()
        reader = PlateReader(result.out)
        assert (reader.n_t, reader.n_z) == expected
        last = {"z_index": expected[1] - 1, "t_index": expected[0] - 1}
        np.testing.assert_array_equal(reader.read_plane("A/1/0", 0, **last), STACK[4] + 1)
    assert len(PlateReader(take(tmp_path, pages="channel").out).channels) == 5


def test_the_command_takes_pages_for_any_layout(tmp_path):
    put(tmp_path, SILENT["plain"])
    command = ["ingest", str(tmp_path / "in"), str(tmp_path / "P.zarr"), "--cluster", "inline"]
    assert CliRunner().invoke(app, command).exit_code == 1
    assert CliRunner().invoke(app, [*command, "--pages", "z"]).exit_code == 0
    assert PlateReader(str(tmp_path / "P.zarr")).n_z == 5


def test_a_dry_run_says_what_pages_become(tmp_path):
    put(tmp_path, WRITERS["ome"])
    given = {"source": str(tmp_path / "in"), "out": str(tmp_path / "P.zarr")}
    shown = ingest.preview(IngestConfig.model_validate(given)).summary
    assert shown["plane 3"] == f"{name_file('imagexpress')} → A01 site 1 1 z 2 (page 3)"


def test_the_projection_is_that_of_all_pages(tmp_path):
    put(tmp_path, WRITERS["one-directory-imagej"])
    reader = PlateReader(take(tmp_path, projection="max").out)
    np.testing.assert_array_equal(reader.read_plane("A/1/0", 0), (STACK + 1).max(axis=0))


def test_a_hyperstack_is_read_by_channel_and_z(tmp_path):
    stack = np.stack([STACK[:3], STACK[:3] + 5000], axis=1)
    (tmp_path / "in").mkdir()
    tifffile.imwrite(
        tmp_path / "in" / name_file("cellomics"), stack, imagej=True, metadata={"axes": "ZCYX"}
    )
    reader = PlateReader(take(tmp_path).out)
    np.testing.assert_array_equal(reader.level("A/1/0", 0)[...], np.moveaxis(stack, 1, 0))


def test_one_file_of_more_pages_than_the_others_is_refused_by_name(tmp_path):
    """Headers are read of a sample at planning; the worker sees the rest."""
    (tmp_path / "in").mkdir()
    for column in range(1, 10):
        tifffile.imwrite(tmp_path / "in" / name_file("imagexpress", column), STACK[0])
    WRITERS["ome"](tmp_path / "in" / name_file("imagexpress", 4), STACK)
    result = take(tmp_path)
    (problem,) = result.problems
    assert (problem.reason, problem.well) == (Reason.UNREAD_PAGES, "A04")
    assert not problem.kept
    assert "5 pages" in problem.message
    assert "--pages z" in problem.message
    with_pages = take(tmp_path, pages="z")
    assert with_pages.problems == ()
    np.testing.assert_array_equal(PlateReader(with_pages.out).level("A/4/0", 0)[0], STACK)


def test_a_thumbnail_is_no_plane_and_another_picture_is_named(tmp_path):
    (tmp_path / "in").mkdir()
    for column in (1, 2):
        with tifffile.TiffWriter(tmp_path / "in" / name_file("imagexpress", column)) as tif:
            tif.write(STACK[column], metadata=None)
            tif.write(STACK[column, ::2, ::2], subfiletype=int(column == 1), metadata=None)
    result = take(tmp_path)
    (problem,) = result.problems
    assert (problem.reason, problem.well, problem.kept) == (Reason.UNREAD_PAGES, "A02", True)
    assert "but for what a problem names" in result.summary["verified"]
    np.testing.assert_array_equal(PlateReader(result.out).read_plane("A/1/0", 0), STACK[1])


def test_a_stack_of_one_directory_that_lost_bytes_is_not_one_plane(tmp_path):
    put(tmp_path, WRITERS["one-directory-imagej"])
    path = tmp_path / "in" / name_file("imagexpress", 2)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ImageReadError, match="5 planes") as error:
        tiff.probe(path)
    assert error.value.reason == Reason.TRUNCATED
    result = take(tmp_path)
    assert {(p.well, p.reason) for p in result.problems} == {("A02", Reason.TRUNCATED)}


@pytest.mark.parametrize("n_left", [1, 3])
def test_a_file_that_lost_its_last_pages_is_named(tmp_path, n_left):
    """In a plate of one well no other field says how many there were."""
    put(tmp_path, SILENT["plain"], columns=(1,))
    path = tmp_path / "in" / name_file("imagexpress")
    with tifffile.TiffFile(path) as tif:
        end = tif.pages[n_left].offset
    path.write_bytes(path.read_bytes()[:end])
    result = take(tmp_path, pages="z")
    (problem,) = result.problems
    assert (problem.reason, problem.well, problem.kept) == (Reason.UNREAD_PAGES, "A01", True)
    assert "pages may be lost" in problem.message
    reader = PlateReader(result.out)
    assert reader.n_z == n_left
    np.testing.assert_array_equal(
        reader.read_plane("A/1/0", 0, z_index=n_left - 1), STACK[n_left - 1] + 1
    )


def test_the_pixel_size_is_that_of_the_finest_channel(tmp_path):
    (tmp_path / "in").mkdir()
    for wave, edge, size_um in ((1, 16, 1.3), (2, 32, 0.65)):
        picture = np.random.default_rng(wave).integers(1, 999, (edge, edge)).astype(np.uint16)
        tifffile.imwrite(
            tmp_path / "in" / f"P_A01_s1_w{wave}.tif",
            picture,
            imagej=True,
            resolution=(1 / size_um, 1 / size_um),
            metadata={"unit": "um"},
        )
    result = take(tmp_path)
    assert result.problems == ()
    reader = PlateReader(result.out)
    assert reader.pixel_size_um == pytest.approx(0.65)
    assert [reader.binning(channel) for channel in (0, 1)] == [2, 1]


def test_wells_whose_column_comes_first_are_read(tmp_path):
    for number, name in enumerate(("01A", "12H", "3c")):
        tifffile.imwrite(tmp_path / f"{name}.tif", np.full((8, 8), number + 1, "uint16"))
    layout = RegexLayout(pattern=r"(?P<well>\d+[A-Za-z])\.tif")
    config = IngestConfig(source=str(tmp_path), out=str(tmp_path / "P.zarr"), layout=layout)
    reader = PlateReader(ingest.run(config).out)
    assert [well.name for well in reader.wells] == ["A01", "C03", "H12"]
    assert reader.read_plane("H/12/0", 0)[0, 0] == 2
