"""What vendors' programs really write: small trees of TIFFs, every plane under its own name."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile

from hcs.domain.config.stages import AutoLayout
from hcs.io import layouts
from hcs.io.images import tiff

AUTO = AutoLayout()


def write(folder, *names):
    """Write an 8 × 8 image a name, all pixels its number in the row of names."""
    for number, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        tifffile.imwrite(path, np.full((8, 8), number, np.uint16))
    return folder


def read(folder, **stated):
    """Scan a folder; returns the result and {(well, site, channel, z, t): number of the file}."""
    result = layouts.scan(folder, AUTO, **stated)
    planes = {
        (p.well.name, p.site, p.channel, p.z_index, p.t_index): int(
            tiff.read_plane(folder / p.path, p.page)[0, 0]
        )
        for p in result.plate.planes
    }
    return result, planes


def reasons(result):
    return [(row["reason"], row["Metadata_Well"], row["Metadata_Site"]) for row in result.problems]


HARMONY = """<?xml version="1.0"?><EvaluationInputData xmlns="http://www.perkinelmer.com/PEHH/{v}">
<Plates><Plate><Name>P7</Name><PlateRows>8</PlateRows><PlateColumns>12</PlateColumns></Plate>
</Plates><Maps><Map>{entries}</Map></Maps><Images>{images}</Images></EvaluationInputData>"""
ENTRY = """<Entry ChannelID="{number}"><ChannelName>{name}</ChannelName>
<ImageResolutionX Unit="m">{meters}</ImageResolutionX>
<ImageResolutionY Unit="m">{meters}</ImageResolutionY></Entry>"""
IMAGE = """<Image><URL>{url}</URL><Row>{row}</Row><Col>{column}</Col><FieldID>{site}</FieldID>
<PlaneID>1</PlaneID><TimepointID>0</TimepointID><ChannelID>{channel}</ChannelID></Image>"""


def harmony(version, *images, meters=("5.9775E-07", "5.9775E-07")):
    entries = "".join(
        ENTRY.format(number=n, name=name, meters=size)
        for n, name, size in zip((1, 2), ("HOECHST", "Alexa 488"), meters, strict=True)
    )
    listed = "".join(
        IMAGE.format(url=url, row=row, column=column, site=site, channel=channel)
        for url, row, column, site, channel in images
    )
    return HARMONY.format(v=version, entries=entries, images=listed)


def harmony_name(row, column, site, channel):
    return f"r{row:02d}c{column:02d}f{site:02d}p01-ch{channel}sk1fk1fl1.tiff"


@pytest.mark.parametrize(
    ("index", "inner"),
    [
        pytest.param("Images/Index.xml", "Images/", id="version-6"),
        pytest.param("index.idx.xml", "Images/", id="version-7-above-Images"),
        pytest.param(
            "index.idx.xml", "Images/{row:02d}{column:02d}/", id="version-7-a-folder-a-well"
        ),
    ],
)
def test_harmony_states_pixels_by_channel_and_may_lie_above_its_images(tmp_path, index, inner):
    keys = [(2, 3, 1, 1), (2, 3, 1, 2), (2, 4, 1, 1), (2, 4, 1, 2)]
    names = [harmony_name(*key) for key in keys]
    write(
        tmp_path,
        *(inner.format(row=k[0], column=k[1]) + n for k, n in zip(keys, names, strict=True)),
    )
    listed = [(name, *key) for name, key in zip(names, keys, strict=True)]
    (tmp_path / index).write_text(harmony("HarmonyV7", *listed))
    result, planes = read(tmp_path)
    assert planes == {
        ("B03", 1, "HOECHST", 0, 0): 0, ("B03", 1, "Alexa 488", 0, 0): 1,
        ("B04", 1, "HOECHST", 0, 0): 2, ("B04", 1, "Alexa 488", 0, 0): 3,
    }  # fmt: skip
    assert result.plate.pixel_size_um == 0.59775
    assert result.problems == ()


def test_an_image_that_harmony_lists_without_a_file_is_a_problem_of_its_field(tmp_path):
    write(tmp_path, harmony_name(2, 3, 1, 1))
    images = [("", 2, 3, 1, 1), ("", 2, 3, 2, 1), ("", 2, 3, 2, 2)]
    (tmp_path / "Index.xml").write_text(harmony("HarmonyV6", *images))
    result, planes = read(tmp_path)
    assert planes == {("B03", 1, "HOECHST", 0, 0): 0}
    assert reasons(result) == [("missing-file", "B03", 2)]
    assert "2 images of well B03, field 2" in result.problems[0]["message"]


@pytest.mark.parametrize(
    ("meters", "size_um", "told"),
    [
        pytest.param(("3e-07", "6e-07"), 0.3, "'Alexa 488' 0.6", id="binned"),
        pytest.param(("3e-07", "4e-07"), None, "the plate gets none", id="no-binning"),
    ],
)
def test_channels_of_different_pixels_are_told(tmp_path, meters, size_um, told):
    names = [harmony_name(2, 3, 1, channel) for channel in (1, 2)]
    write(tmp_path, *names)
    images = [(name, 2, 3, 1, channel) for channel, name in enumerate(names, start=1)]
    (tmp_path / "Index.xml").write_text(harmony("HarmonyV6", *images, meters=meters))
    result, _ = read(tmp_path)
    assert result.plate.pixel_size_um == size_um
    assert told in result.why


def test_an_index_in_the_folder_above_what_was_named_is_told_and_not_read(tmp_path):
    write(tmp_path / "Images", harmony_name(2, 3, 1, 1))
    (tmp_path / "index.idx.xml").write_text(harmony("HarmonyV7"))
    result, planes = read(tmp_path / "Images")
    assert planes == {("B03", 1, "1", 0, 0): 0}
    assert f"name {tmp_path} to use it" in result.why


def test_a_listed_file_is_looked_for_elsewhere_only_where_one_has_its_name(tmp_path):
    names = [f"{folder}/{harmony_name(2, 3, 1, 1)}" for folder in ("a", "b")]
    write(tmp_path, *names, "c/x.tiff")
    (tmp_path / "Index.xml").write_text(
        harmony("HarmonyV7", (harmony_name(2, 3, 1, 1), 2, 3, 1, 1), ("x.tiff", 2, 3, 4, 2))
    )
    result, planes = read(tmp_path)
    assert planes[("B03", 4, "Alexa 488", 0, 0)] == 2
    assert sorted(row["reason"] for row in result.problems) == ["duplicate", "missing-file"]


DAPI = "DAPI 377,447"


def test_mosaics_of_a_cytation_beside_their_tiles_are_left_out_and_said(tmp_path):
    tiles = [f"A{c}_02_1_{site}_{DAPI}_001.tif" for c in (1, 2) for site in (1, 2)]
    mosaics = [f"A{c}_-1_1_1_Stitched[{DAPI}]_001.tif" for c in (1, 2)]
    mosaics += [f"A1_-2_1_1_Tsf[Stitched[{DAPI}]]_001.tif"]
    result, planes = read(write(tmp_path, *tiles, *mosaics))
    assert planes == {
        ("A01", 1, DAPI, 0, 0): 0, ("A01", 2, DAPI, 0, 0): 1,
        ("A02", 1, DAPI, 0, 0): 2, ("A02", 2, DAPI, 0, 0): 3,
    }  # fmt: skip
    assert "3 images that the microscope's program made of others are left out" in result.why
    assert result.problems == ()


def test_projections_of_a_cytation_beside_their_stack_are_left_out_and_said(tmp_path):
    stack = [f"A1_02_1_1Z{z}_{DAPI}_001.tif" for z in (0, 1, 2)]
    result, planes = read(write(tmp_path, *stack, f"A1_-2_1_1_ZProj[{DAPI}]_001.tif"))
    assert planes == {("A01", 1, DAPI, z, 0): z for z in (0, 1, 2)}
    assert "1 images that the microscope's program made" in result.why


def test_a_plate_of_mosaics_alone_is_read_as_such(tmp_path):
    names = [f"A{c}_-1_1_1_Stitched[{DAPI}]_001.tif" for c in (1, 2)]
    result, planes = read(write(tmp_path, *names, f"A1_-2_1_1_Tsf[Stitched[{DAPI}]]_001.tif"))
    assert planes == {("A01", 1, DAPI, 0, 0): 0, ("A02", 1, DAPI, 0, 0): 1}
    assert "1 images that the microscope's program made" in result.why


def test_a_mosaic_whose_tiles_are_gone_is_a_problem(tmp_path):
    names = [f"A1_01_1_1_{DAPI}_001.tif", f"A2_-1_1_1_Stitched[{DAPI}]_001.tif"]
    names.append("A1_-1_2_1_Stitched[GFP 469,525]_001.tif")
    result, planes = read(write(tmp_path, *names))
    assert planes == {("A01", 1, DAPI, 0, 0): 0}
    assert sorted(reasons(result)) == [("unmatched-file", "A01", 1), ("unmatched-file", "A02", 1)]


def test_gen5_of_the_other_order_of_names(tmp_path):
    names = [f"A1_1Z{z}_DAPI_1_001_.tif" for z in (0, 1)] + ["A1_1Z0_GFP_2_001_.tif"]
    _, planes = read(write(tmp_path, *names))
    assert planes == {
        ("A01", 1, "DAPI", 0, 0): 0, ("A01", 1, "DAPI", 1, 0): 1, ("A01", 1, "GFP", 0, 0): 2,
    }  # fmt: skip


def test_previews_beside_their_tiffs_are_left_out(tmp_path):
    write(tmp_path, "AP_A01_T0001F001L01A01Z01C01.tif")
    (tmp_path / "AP_A01_T0001F001L01A01Z01C01.png").write_bytes(b"")
    result, planes = read(tmp_path)
    assert planes == {("A01", 1, "1", 0, 0): 0}
    assert "1 PNG or JPEG images of planes that are TIFFs as well are left out" in result.why


@pytest.mark.parametrize("name", ["P_D03f0d0.tif", "P_D03f00o0.tif", "P_D03f000d0.tiff"])
def test_cellomics_fields_of_any_width(tmp_path, name):
    _, planes = read(write(tmp_path, name))
    assert planes == {("D03", 0, "0", 0, 0): 0}
