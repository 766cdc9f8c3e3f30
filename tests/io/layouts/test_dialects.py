"""What vendors' programs really write: small trees of TIFFs, every plane under its own name."""

from __future__ import annotations

import json

import imagecodecs
import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st

from hcs.domain.config.stages import AutoLayout
from hcs.domain.wells import PlateFormat, Well, row_name
from hcs.errors import InputError
from hcs.io import layouts
from hcs.io.images import tiff
from hcs.io.layouts.base import NameFields

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


RECORD = """<b:MeasurementRecord b:Type="IMG" b:Row="{row}" b:Column="{column}" b:TimePoint="{t}"
b:FieldIndex="1" b:ZIndex="{z}" b:TimelineIndex="{timeline}" b:ActionIndex="{action}"
b:Ch="{channel}" {more}>{file}</b:MeasurementRecord>"""
PROTOCOL = """<b:Setting xmlns:b="http://x">{}</b:Setting>"""


def records(*rows):
    """Text of an .mlf: rows are (file, channel, z) with others as in the name of the file."""
    given = {"row": 1, "column": 1, "t": 1, "timeline": 1, "action": 1, "more": ""}
    listed = "".join(RECORD.format(**(given | row)) for row in rows)
    return f'<b:MeasurementData xmlns:b="http://x">{listed}</b:MeasurementData>'


def protocol(*targets):
    channels = "".join(
        f'<b:Channel b:Ch="{number}" b:Target="{target}"/>'
        for number, target in enumerate(targets, start=1)
    )
    return PROTOCOL.format(channels)


def cv_name(well="A01", t=1, timeline=1, action=1, z=1, channel=1, ending="tif"):
    place = f"T{t:04d}F001L{timeline:02d}A{action:02d}Z{z:02d}C{channel:02d}"
    return f"AP_{well}_{place}.{ending}"


def test_a_well_in_two_timelines_is_no_duplicate(tmp_path):
    names = [cv_name(t=t, timeline=line) for line in (1, 2) for t in (1, 2)]
    result, planes = read(write(tmp_path, *names))
    assert planes == {
        ("A01", 1, "1 timeline 1", 0, 0): 0, ("A01", 1, "1 timeline 1", 0, 1): 1,
        ("A01", 1, "1 timeline 2", 0, 0): 2, ("A01", 1, "1 timeline 2", 0, 1): 3,
    }  # fmt: skip
    assert "channels are told apart by timeline 1, timeline 2" in result.why
    assert result.problems == ()


def test_wells_that_timelines_share_out_keep_their_channels(tmp_path):
    names = [
        cv_name("A01", timeline=1),
        cv_name("A02", timeline=2),
        cv_name("A02", timeline=2, z=2),
    ]
    _, planes = read(write(tmp_path, *names))
    assert planes == {
        ("A01", 1, "1", 0, 0): 0, ("A02", 1, "1", 0, 0): 1, ("A02", 1, "1", 1, 0): 2,
    }  # fmt: skip


def test_one_channel_of_two_actions_is_two(tmp_path):
    names = [cv_name(action=1), cv_name(action=2), cv_name(action=3, channel=2)]
    _, planes = read(write(tmp_path, *names))
    assert planes == {
        ("A01", 1, "1 action 1", 0, 0): 0, ("A01", 1, "1 action 2", 0, 0): 1,
        ("A01", 1, "2", 0, 0): 2,
    }  # fmt: skip


@pytest.mark.parametrize("ending", ["tif", "png"])
def test_projections_that_a_cq3000_numbers_as_channels_are_no_channels(tmp_path, ending):
    stack = [cv_name(z=z, ending=ending) for z in (1, 2, 3)]
    projected = cv_name(channel=2, ending=ending)
    write(tmp_path, *stack, projected)
    if ending == "png":  # records say .tif whatever was written
        for number, name in enumerate([*stack, projected]):
            data = imagecodecs.png_encode(np.full((8, 8), number, np.uint16))
            (tmp_path / name).write_bytes(data)
    listed = [{"file": cv_name(z=z), "channel": 1, "z": z} for z in (1, 2, 3)]
    more = 'b:ZImageProcessing="Maximum"'
    listed.append({"file": cv_name(channel=2), "channel": 2, "z": 1, "more": more})
    (tmp_path / "MeasurementData.mlf").write_text(records(*listed))
    (tmp_path / "Protocol.mes").write_text(protocol("DAPI", "DAPI"))
    result, planes = read(tmp_path)
    assert planes == {("A01", 1, "DAPI", z, 0): z for z in (0, 1, 2)}
    assert "1 images that the microscope's program made of others are left out" in result.why
    assert result.problems == ()


def test_projections_without_their_stack_are_channels_by_kind(tmp_path):
    kinds = ("Maximum", "Minimum", "Maximum")
    names = [cv_name(channel=n) for n in (1, 2, 3)]
    write(tmp_path, *names)
    listed = [
        {"file": name, "channel": n, "z": 1, "more": f'b:ZImageProcessing="{kind}"'}
        for n, (name, kind) in enumerate(zip(names, kinds, strict=True), start=1)
    ]
    (tmp_path / "MeasurementData.mlf").write_text(records(*listed))
    (tmp_path / "Protocol.mes").write_text(protocol("DAPI", "DAPI", "GFP"))
    _, planes = read(tmp_path)
    assert planes == {
        ("A01", 1, "DAPI maximum", 0, 0): 0, ("A01", 1, "DAPI minimum", 0, 0): 1,
        ("A01", 1, "GFP", 0, 0): 2,
    }  # fmt: skip


def test_projections_in_a_folder_of_their_own(tmp_path):
    stack = [f"Image/W0002F0001T0001Z{z:03d}C1.tif" for z in (1, 2)]
    write(tmp_path, *stack, "Projection/W0002F0001T0001Z001C1.tif")
    _, planes = read(tmp_path, plate_format=PlateFormat.WELLS_96)
    assert planes == {("A02", 1, "1", 0, 0): 0, ("A02", 1, "1", 1, 0): 1}


@given(row=st.integers(0, 31), column=st.integers(0, 47))
def test_wells_of_1536_by_their_place_within_96(row, column):
    outer = f"{'ABCDEFGH'[row // 4]}{column // 4 + 1:02d}"
    inner = f"{'abcd'[row % 4]}{column % 4 + 1}"
    fields = layouts.list_vendors()["cellvoyager"].parse(cv_name(f"{outer}.{inner}"))
    assert fields.well == Well(row, column)


def test_a_plate_of_1536_agrees_with_its_records(tmp_path):
    name = cv_name("B02.c4")
    write(tmp_path, name)
    (tmp_path / "MeasurementData.mlf").write_text(
        records({"file": name, "row": 7, "column": 8, "channel": 1, "z": 1})
    )
    result, planes = read(tmp_path)
    assert planes == {("G08", 1, "1", 0, 0): 0}
    assert result.problems == ()


def htd(wells=(), sites=(), waves=("DAPI", "FITC")):
    """Text of an .HTD of 96 wells: wells as (row, column), sites as rows of truth values."""
    lines = ['"HTSInfoFile", Version 1.0', '"XWells", 12', '"YWells", 8', '"Sites", TRUE']
    for row in range(8):
        flags = ", ".join(str((row, column) in wells).upper() for column in range(12))
        lines.append(f'"WellsSelection{row + 1}", {flags}')
    for row, flags in enumerate(sites, start=1):
        lines.append(f'"SiteSelection{row}", {", ".join(str(flag).upper() for flag in flags)}')
    lines += [f'"WaveName{n}", "{name}"' for n, name in enumerate(waves, start=1)]
    return "\r\n".join([*lines, '"EndFile"'])


def test_wells_and_sites_that_an_htd_selects_and_that_are_not_there_are_problems(tmp_path):
    names = [f"P_B0{c}_s{site}_w1.TIF" for c, site in ((2, 1), (2, 2), (3, 1))]
    write(tmp_path, *names)
    grid = ((True, False), (True, True))  # three sites of four
    (tmp_path / "P.HTD").write_text(htd({(1, 1), (1, 2), (4, 5)}, grid))
    result, planes = read(tmp_path)
    assert planes == {
        ("B02", 1, "DAPI", 0, 0): 0, ("B02", 2, "DAPI", 0, 0): 1, ("B03", 1, "DAPI", 0, 0): 2,
    }  # fmt: skip
    assert reasons(result) == [
        ("missing-file", "B02", 3), ("missing-file", "B03", 2), ("missing-file", "B03", 3),
        ("missing-file", "E06", None),
    ]  # fmt: skip
    assert len(result.plate.excluded) == 96 - 3


def test_names_that_end_in_their_well_need_the_htd(tmp_path):
    write(tmp_path, "P_B02.TIF", "P_B03.TIF")
    with pytest.raises(InputError, match="no layout fits"):
        read(tmp_path)
    (tmp_path / "P.HTD").write_text(htd({(1, 1), (1, 2)}, waves=("DAPI",)))
    result, planes = read(tmp_path)
    assert planes == {("B02", 1, "DAPI", 0, 0): 0, ("B03", 1, "DAPI", 0, 0): 1}
    assert (result.plate.name, result.problems) == ("P", ())


def test_sites_that_count_the_whole_grid_are_not_called_absent(tmp_path):
    write(tmp_path, "P_B02_s1_w1.TIF", "P_B02_s3_w1.TIF", "P_B02_s4_w1.TIF")
    (tmp_path / "P.HTD").write_text(htd({(1, 1)}, ((True, False), (True, True))))
    result, _ = read(tmp_path)
    assert result.problems == ()


def test_wavelengths_beyond_nine_have_their_names(tmp_path):
    guid = "247376DD-6ADD-442D-AE47-F54A05F3EA94"
    names = [f"P_A1_s1_w{n}{guid}.tif" for n in range(1, 13)]
    write(tmp_path, *names)
    waves = [f"dye {n}" for n in range(1, 13)]
    (tmp_path / "P.HTD").write_text(htd(waves=waves))
    result, planes = read(tmp_path)
    assert planes == {("A01", 1, f"dye {n}", 0, 0): n - 1 for n in range(1, 13)}
    assert [channel.name for channel in result.plate.channels] == waves


def test_steps_of_folders_and_of_names(tmp_path):
    names = [f"TimePoint_{t}/ZStep_{z}/P_A01_w1.TIF" for t in (1, 2) for z in (0, 1, 2)]
    _, planes = read(write(tmp_path / "folders", *names))
    assert planes == {
        ("A01", 1, "1", 0, 0): 1, ("A01", 1, "1", 1, 0): 2,
        ("A01", 1, "1", 0, 1): 4, ("A01", 1, "1", 1, 1): 5,
    }  # fmt: skip
    _, planes = read(write(tmp_path / "names", *(f"P_A01_s1_z{z}_w1.TIF" for z in (1, 2, 3))))
    assert planes == {("A01", 1, "1", z, 0): z for z in (0, 1, 2)}


COLUMNS = "Row,Column,Field,Wavelength,Timepoint,ZIndex,ImageSubFolderPath,ImageFileName"


def jdce(waves, mode="Confocal"):
    wavelengths = [
        {
            "Index": index, "ImagingMode": mode,
            "EmissionFilter": {"Name": name, "Unit": "nm", "Wavelength": 455},
            "ExcitationFilter": {"Name": "x", "Unit": "nm", "Wavelength": 385},
        }
        for index, name in enumerate(waves)
    ]  # fmt: skip
    protocol = {
        "ObjectiveCalibration": {"Unit": "µm", "PixelWidth": 0.34, "PixelHeight": 0.34},
        "Plate": {"Name": "Run 7", "Rows": 16, "Columns": 24},
        "Wavelengths": wavelengths,
    }
    stack = {"AutoLeadAcquisitionProtocol": protocol, "ImageMetadataFiles": ["images.csv"]}
    return json.dumps({"ImageStack": stack})


@pytest.mark.parametrize(
    ("mode", "depths"),
    [
        pytest.param("Confocal", (0, 1), id="stack"),
        pytest.param("Max Intensity Projection", (0,), id="projection"),
    ],
)
def test_a_run_of_hcs_ai_is_what_its_table_lists(tmp_path, mode, depths):
    keys = [(c, w, z) for c in (3, 10) for w in (0, 1) for z in depths]
    names = [f"img/{n}/a{n}.tif" for n, _ in enumerate(keys)]
    write(tmp_path, *names)
    lines = [f"2,{c},4,{w},0,{z},img\\{n},a{n}.tif" for n, (c, w, z) in enumerate(keys)]
    (tmp_path / "images.csv").write_text("\r\n".join([COLUMNS, *lines, "2,4,0,0,0,0,img,gone.tif"]))
    (tmp_path / "run.jdce").write_text("\ufeff" + jdce(("DAPI", "FITC"), mode))
    result, planes = read(tmp_path)
    assert planes == {
        (f"B{c:02d}", 4, ("DAPI", "FITC")[w], z, 0): n for n, (c, w, z) in enumerate(keys)
    }
    plate = result.plate
    assert (plate.name, plate.layout, plate.pixel_size_um) == ("Run 7", "imagexpress", 0.34)
    assert (plate.plate_format, plate.channels[0].emission_nm) == (PlateFormat.WELLS_384, 455)
    assert reasons(result) == [("missing-file", "B04", 0)]


@pytest.mark.parametrize(
    ("text", "table"),
    [
        pytest.param("{", COLUMNS, id="cut"),
        pytest.param(jdce(("DAPI",)), "Row,Column", id="no-columns"),
        pytest.param(jdce(("DAPI",)), None, id="no-table"),
        pytest.param("[]", COLUMNS, id="no-object"),
    ],
)
def test_a_damaged_jdce_is_one_problem(tmp_path, text, table):
    write(tmp_path, "P_A01_s1_w1.tif")
    (tmp_path / "run.jdce").write_text(text)
    if table is not None:
        (tmp_path / "images.csv").write_text(f"{table}\n1,1")
    result, planes = read(tmp_path)
    assert planes == {("A01", 1, "1", 0, 0): 0}
    assert [row["reason"] for row in result.problems] == ["unreadable"]


@pytest.mark.parametrize(
    ("name", "well"),
    [
        pytest.param("D0004BS7-1uM--A2--A2--W0002--P003--T0001--Z001--C01.tif", "A02", id="twice"),
        pytest.param("plate--c--B1--W013--P03--T0001--C01.tif", "B01", id="agrees-with-its-number"),
        pytest.param("plate--c--B12--W0002--P3--C01.tif", "A02", id="compound-B12"),
        pytest.param("myplate_01--fsk--0.008--W0014--P003--T0001--C01.tif", "B02", id="number"),
        pytest.param("W001--P03.tif", "A01", id="short"),
    ],
)
def test_wells_of_embl_names(tmp_path, name, well):
    _, planes = read(write(tmp_path, name), plate_format=PlateFormat.WELLS_96)
    channel = "1" if "C01" in name else "0"
    assert planes == {(well, 3, channel, 0, 0): 0}


@given(
    well=st.builds(Well, st.integers(0, 7), st.integers(0, 11)), site=st.integers(1, 99),
    t=st.integers(0, 999), z=st.integers(0, 99), channel=st.integers(0, 12), named=st.booleans(),
)  # fmt: skip
def test_embl_gives_back_the_field(well, site, t, z, channel, named):
    text = f"{row_name(well.row)}{well.column + 1}"
    before = f"{text}--{text}" if named else "compound--3uM"
    number = well.row * 12 + well.column + 1
    name = f"p--{before}--W{number:04d}--P{site:03d}--T{t:04d}--Z{z:03d}--C{channel:02d}.ome.jpeg"
    layout = layouts.list_vendors()["embl"].on_plate(PlateFormat.WELLS_96)
    expected = NameFields(well, site, str(channel), z, t, channel)
    assert layout.parse(name) == expected


def test_incucyte_scans_are_times_in_minutes(tmp_path):
    stamps = ("2023y12m31d_23h30m", "2024y01m01d_00h00m", "2024y01m01d_02h30m")
    names = [f"VID9_{c}_B{n}_2_{stamp}.tif" for c in ("Phase", "Green") for n in (3, 12)
             for stamp in stamps]  # fmt: skip
    result, planes = read(write(tmp_path, *names))
    keys = [
        (f"B{n:02d}", 2, c, 0, t) for c in ("Phase", "Green") for n in (3, 12) for t in range(3)
    ]
    assert planes == {key: number for number, key in enumerate(keys)}
    assert (result.plate.name, result.plate.layout) == ("VID9", "incucyte")
    assert result.plate.numbers.t_min == (0, 30, 180)


def test_incucyte_folders_of_channels_and_times_since_the_start(tmp_path):
    names = [f"{c}/A172_A7_1_{stamp}.tif" for c in ("Phase", "Red") for stamp in
             ("00d00h00m", "01d04h00m")]  # fmt: skip
    result, planes = read(write(tmp_path, *names))
    assert planes == {
        ("A07", 1, "Phase", 0, 0): 0, ("A07", 1, "Phase", 0, 1): 1,
        ("A07", 1, "Red", 0, 0): 2, ("A07", 1, "Red", 0, 1): 3,
    }  # fmt: skip
    assert result.plate.numbers.t_min == (0, 28 * 60)


def test_a_plate_of_jpeg_is_read_and_said_to_be_lossy(tmp_path):
    for number, well in enumerate(("A1", "A2")):
        name = f"p--{well}--{well}--W{number + 1:04d}--P001--T0000--Z001--C01.ome.jpeg"
        data = imagecodecs.jpeg8_encode(np.full((16, 16), 50 * number + 10, np.uint8), level=95)
        (tmp_path / name).write_bytes(data)
    result, planes = read(tmp_path)
    assert planes == {("A01", 1, "1", 0, 0): 10, ("A02", 1, "1", 0, 0): 60}
    assert "compression has changed their intensities" in result.why
    assert "exports are often scaled for display" in result.why


def harmony_run(folder, row, *, name):
    write(folder / "Images", harmony_name(row, 1, 1, 1))
    index = harmony("HarmonyV6", (harmony_name(row, 1, 1, 1), row, 1, 1, 1))
    (folder / "Images" / "Index.xml").write_text(index.replace("P7", name))


def test_two_runs_in_one_folder_do_not_become_one_plate(tmp_path):
    harmony_run(tmp_path / "x" / "first", 1, name="P1")
    harmony_run(tmp_path / "x" / "second", 2, name="P2")
    with pytest.raises(InputError, match=r"2 runs .*'x/first', 'x/second': name one"):
        read(tmp_path)
    for asked, well in (("x/first", "A01"), ("second", "B01"), ("P2", "B01")):
        result, planes = read(tmp_path, plate_name=asked)
        assert planes == {(well, 1, "HOECHST", 0, 0): 0}
        assert "1 other runs" in result.why
        assert (result.plate.name, result.problems) == (asked, ())
    with pytest.raises(InputError, match="2 runs"):
        read(tmp_path, plate_name="third")


@pytest.mark.parametrize("folder", ["a", "TimePoint_1"])
def test_runs_of_metaxpress_are_told_from_its_own_folders(tmp_path, folder):
    for name in (folder, "TimePoint_2"):
        write(tmp_path / name, "P_B02_s1_w1.TIF")
        (tmp_path / name / "P.HTD").write_text(htd({(1, 1)}))
    if folder == "a":  # two runs lie beside each other
        (tmp_path / "TimePoint_2").rename(tmp_path / "b")
        with pytest.raises(InputError, match="'a', 'b'"):
            read(tmp_path)
    else:
        _, planes = read(tmp_path)
        assert [key[-1] for key in planes] == [0, 1]


@pytest.mark.parametrize("folders", [("day1", "day2"), ("Masks", "images"), ("", "copy")])
def test_folders_that_hold_the_same_planes_are_a_question(tmp_path, folders):
    names = [f"A{column}_01_1_{site}_DAPI_001.tif" for column in (1, 2) for site in (1, 2)]
    write(tmp_path, *(f"{folder}/{name}".lstrip("/") for folder in folders for name in names))
    with pytest.raises(InputError, match=f"'{folders[0] or '.'}' and '{folders[1]}' hold 4 planes"):
        read(tmp_path)


def test_folders_of_wells_are_one_plate_and_a_copy_is_a_problem(tmp_path):
    names = [f"{well}/{well}_01_1_{site}_DAPI_001.tif" for well in ("A1", "B2") for site in (1, 2)]
    result, planes = read(write(tmp_path, *names, "old/A1_01_1_1_DAPI_001.tif"))
    assert {key[:2] for key in planes} == {("A01", 1), ("A01", 2), ("B02", 1), ("B02", 2)}
    assert reasons(result) == [("duplicate", "A01", 1)]
