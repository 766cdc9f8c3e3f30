"""Names and metadata files of every vendor beside IN Cell: reading a name gives back its field."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hcs.domain.config.stages import AutoLayout
from hcs.domain.plate import Channel
from hcs.domain.wells import PlateFormat, Well, row_name
from hcs.errors import InputError
from hcs.io import layouts
from hcs.io.layouts.base import NameFields
from hcs.io.layouts.vendors import cellvoyager, imagexpress, operetta

AUTO = AutoLayout()
wells = st.builds(Well, st.integers(0, 31), st.integers(0, 47))
small_wells = st.builds(Well, st.integers(0, 15), st.integers(0, 23))
plates = st.none() | st.sampled_from(["P1", "AS_09125_050116030001", "a b", "2024-01-03_x", "µ"])


def touch(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    return folder


def parse(kind, name):
    return layouts.list_vendors()[kind].parse(name)


def reasons(result):
    return {row["file"]: row["reason"] for row in result.problems}


@given(
    well=wells, site=st.integers(1, 999), z=st.integers(1, 99), channel=st.integers(1, 12),
    t=st.integers(1, 500), fast=st.booleans(),
)  # fmt: skip
def test_operetta(well, site, z, channel, t, fast):
    kinetics = f"sk1fk{t}" if fast else f"sk{t}fk1"
    place = f"r{well.row + 1:02d}c{well.column + 1:02d}f{site:02d}p{z:02d}"
    name = f"{place}-ch{channel}{kinetics}fl1.tiff"
    expected = NameFields(well, site, str(channel), z, t, channel)
    assert parse("operetta", f"Images/{name}") == expected


@given(
    well=wells, site=st.none() | st.integers(1, 200), channel=st.none() | st.integers(1, 20),
    t=st.none() | st.integers(1, 99), z=st.none() | st.integers(1, 99), plate=plates,
    guid=st.none() | st.uuids(), bare=st.booleans(), padded=st.booleans(), in_name=st.booleans(),
)  # fmt: skip
def test_imagexpress(well, site, channel, t, z, plate, guid, bare, padded, in_name):
    name = "" if plate is None else f"{plate}_"
    short = not padded and (site, channel) != (None, None)
    name += f"{row_name(well.row)}{well.column + 1}" if short else well.name
    name += "" if site is None else f"_s{site}"
    name += "" if z is None or not in_name else f"_z{z}"
    name += "" if channel is None else f"_w{channel}"
    if guid is not None:
        name += str(guid).upper() if bare else f"_[{guid}]"
    folders = "" if t is None else f"TimePoint_{t}/"
    folders += "" if z is None or in_name else f"ZStep_{z}/"
    label = None if channel is None else str(channel)
    expected = NameFields(well, site, label, z, t, channel, plate)
    bare_well = (site, channel) == (None, None)
    assert parse("imagexpress", f"{folders}{name}.TIF") == (None if bare_well else expected)


@given(
    well=wells, site=st.integers(1, 999), z=st.integers(1, 99), channel=st.integers(1, 99),
    t=st.integers(1, 999), plate=plates, suffix=st.sampled_from(["tif", "png"]),
)  # fmt: skip
def test_cellvoyager(well, site, z, channel, t, plate, suffix):
    prefix = "" if plate is None else f"{plate}_"
    name = f"{prefix}{well.name}_T{t:04d}F{site:03d}L01A02Z{z:02d}C{channel:02d}.{suffix}"
    parts = ("timeline 1", "action 2")
    expected = NameFields(well, site, str(channel), z, t, channel, plate, parts=parts)
    assert parse("cellvoyager", name) == expected


@given(
    well=small_wells, site=st.integers(0, 99), channel=st.integers(0, 12), plate=plates,
    width=st.integers(1, 3),
)  # fmt: skip
def test_cellomics(well, site, channel, plate, width):
    prefix = "" if plate is None else f"{plate}_"
    name = f"{prefix}{well.name}f{site:0{width}d}d{channel}.tif"
    expected = NameFields(well, site, str(channel), plate=plate)
    assert parse("cellomics", name) == expected


@given(
    well=wells, number=st.integers(1, 1536), site=st.integers(1, 999), z=st.integers(0, 99),
    t=st.integers(0, 999), channel=st.sampled_from(["DAPI", "Alexa 488", "Trans-CSU", "CY5--2"]),
    ome=st.booleans(),
)  # fmt: skip
def test_scanr(well, number, site, z, t, channel, ome):
    name = f"{row_name(well.row)}{well.column + 1}--W{number:05d}--P{site:05d}--Z{z:05d}--T{t:05d}"
    name += f"--{channel}.{'ome.tif' if ome else 'tif'}"
    assert parse("scanr", name) == NameFields(well, site, channel, z, t)


@given(
    well=wells, step=st.integers(-1, 12), order=st.integers(1, 6), site=st.integers(1, 99),
    z=st.none() | st.integers(0, 60), t=st.integers(1, 999),
    channel=st.sampled_from(["DAPI", "Bright Field", "Phase_Contrast", "Confocal RFP"]),
)  # fmt: skip
def test_cytation(well, step, order, site, z, t, channel):
    plane = "" if z is None else f"Z{z}"
    name = f"{row_name(well.row)}{well.column + 1}_{step:02d}_{order}_{site}{plane}"
    expected = NameFields(well, site, channel, z, t, max(step, 0) * 100 + order)
    assert parse("cytation", f"{name}_{channel}_{t:03d}.tif") == expected


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        pytest.param("operetta", "r01c01f01p01-ch1sk2fk2fl1.tiff", id="two-time-axes"),
        pytest.param("operetta", "r01c01f01p01-ch1sk1fk1fl2.tiff", id="lifetime"),
        pytest.param("operetta", "r00c01f01p01-ch1sk1fk1fl1.tiff", id="row-zero"),
        pytest.param("imagexpress", "P_A01.tif", id="bare-well"),
        pytest.param("imagexpress", "Well014_T0007_Z02.tif", id="plane-that-looks-like-a-well"),
        pytest.param("imagexpress", "P_A01_s1_s2_w1.tif", id="two-sites"),
        pytest.param("imagexpress", "P_A00_s1_w1.tif", id="column-zero"),
        pytest.param("cellvoyager", "W0029F0001T0001Z000C1.tif", id="well-only-numbered"),
        pytest.param("scanr", "--W00001--P00001--Z00000--T00000--DAPI.tif", id="no-well"),
        pytest.param("cellomics", "P_D03f00d0.DIB", id="not-tiff"),
        pytest.param("cytation", "A1ROI_01_1_1Z0_DAPI_001.tif", id="region-without-number"),
    ],
)
def test_names_that_are_left_to_be_reported(kind, name):
    assert parse(kind, name) is None


def test_the_wavelength_is_one_digit_before_a_guid_that_begins_with_digits():
    fields = parse("imagexpress", "A_Plate_A01_w2247376DD-6ADD-442D-AE47-F54A05F3EA94.tif")
    assert (fields.channel, fields.well.name, fields.plate) == ("2", "A01", "A_Plate")


def test_thumbnails_and_corrections_are_no_problem(tmp_path):
    source = touch(
        tmp_path / "ix", "P_A01_s1_w1.tif", "P_A01_s1_w1_thumb.tif",
        "P_A01_s1_w1_thumb247376DD-6ADD-442D-AE47-F54A05F3EA94.tif",
    )  # fmt: skip
    assert layouts.scan(source, AUTO).problems == ()
    source = touch(
        tmp_path / "cv", "P_D08_T0001F001L01A01Z01C01.tif", "DC_sCMOS_CAM3.tif", "SC_BP_CH02.tif"
    )
    assert layouts.scan(source, AUTO).problems == ()


def test_two_vendors_in_one_folder_are_a_question(tmp_path):
    source = touch(
        tmp_path, *(f"P_A{c:02d}_s1_w1.tif" for c in range(1, 9)), "r01c01f01p01-ch1sk1fk1fl1.tiff"
    )
    with pytest.raises(InputError, match=r"two layouts fit.*imagexpress 8 of 9, operetta 1 of 9"):
        layouts.scan(source, AUTO)


def test_projections_beside_their_stack_are_left_out_and_told(tmp_path):
    names = [f"TimePoint_1/ZStep_{z}/P_A01_s1_w1.tif" for z in (0, 1, 2)]
    names.append("TimePoint_1/ZStep_0/P_A01_s1_w2.tif")
    result = layouts.scan(touch(tmp_path, *names), AUTO)
    found = [(p.channel, p.z_index, p.path[12:19]) for p in result.plate.planes]
    assert found == [("1", 0, "ZStep_1"), ("1", 1, "ZStep_2"), ("2", 0, "ZStep_0")]
    assert "1 projections" in result.why


INDEX = """<?xml version="1.0"?><EvaluationInputData xmlns="http://www.perkinelmer.com/PEHH/HarmonyV5">
<Plates><Plate><PlateID>B1</PlateID><Name>My plate</Name><PlateRows>8</PlateRows>
<PlateColumns>12</PlateColumns></Plate></Plates>
<Wells><Well><id>0303</id><Row>3</Row><Col>3</Col><Image id="0303K1F1P1R1"/></Well></Wells>
{maps}<Images>{images}</Images></EvaluationInputData>"""
IMAGE = """<Image Version="1"><id>x</id><URL{buffer}>{url}</URL><Row>3</Row><Col>3</Col>
<FieldID>{site}</FieldID><PlaneID>{z}</PlaneID><TimepointID>0</TimepointID>
<ChannelID>{channel}</ChannelID>{more}</Image>"""
OLD = """<ChannelName>DAPI</ChannelName>
<MainEmissionWavelength Unit="nm">456</MainEmissionWavelength>
<ImageResolutionX Unit="m">6.5E-07</ImageResolutionX>
<ImageResolutionY Unit="m">6.5E-07</ImageResolutionY>"""
NEW = """<Maps><Map><Entry ChannelID="1"><ChannelName>DAPI</ChannelName>
<MainEmissionWavelength Unit="nm">456</MainEmissionWavelength></Entry></Map></Maps>"""


def image(url="a.tiff", site=1, z=1, channel=1, more=OLD, buffer=""):
    return IMAGE.format(url=url, site=site, z=z, channel=channel, more=more, buffer=buffer)


def index(*images, maps=""):
    return INDEX.format(maps=maps, images="".join(images)).encode()


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(index(image()), id="channels-in-images"),
        pytest.param(index(image(more=""), maps=NEW), id="channels-once"),
    ],
)
def test_the_index_of_harmony(data):
    sidecar = operetta.read_index(io.BytesIO(data), "Images/Index.xml")
    assert (sidecar.plate_name, sidecar.plate_format) == ("My plate", PlateFormat.WELLS_96)
    assert sidecar.channels == (Channel(name="DAPI", emission_nm=456),)
    assert sidecar.channel_names == {"1": "DAPI"}
    assert sidecar.listed == (("Images/a.tiff", NameFields(Well(2, 2), 1, "1", z=1, t=1, order=1)),)
    assert sidecar.pixel_size_um == (0.65 if b"Resolution" in data else None)


def test_the_index_names_what_names_do_not_and_what_is_absent(tmp_path):
    touch(tmp_path, "001001-1-001001001.tif")
    (tmp_path / "Index.idx.xml").write_bytes(
        index(image("001001-1-001001001.tif"), image("gone.tif", site=2), image("../x.tif", site=3))
    )
    result = layouts.scan(tmp_path, AUTO)
    assert [(p.well.name, p.channel) for p in result.plate.planes] == [("C03", "DAPI")]
    assert reasons(result) == {"gone.tif": "missing-file", "../x.tif": "outside-source"}


def test_pages_of_a_columbus_export(tmp_path):
    touch(tmp_path, "001001-1.tif")
    entries = [
        image("001001-1.tif", z=z, channel=1, buffer=f' BufferNo="{z - 1}"') for z in (1, 2, 3)
    ]
    (tmp_path / "ImageIndex.ColumbusIDX.xml").write_bytes(index(*entries))
    plate = layouts.scan(tmp_path, AUTO).plate
    assert [(p.page, p.z_index) for p in plate.planes] == [(0, 0), (1, 1), (2, 2)]


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(index(image())[:-40], id="cut"),
        pytest.param(index(image().replace("<Row>3", "<Row>?")), id="row-no-number"),
        pytest.param(index(image().replace("ChannelID", "Chan")), id="no-channel"),
        pytest.param(b"", id="empty"),
    ],
)
def test_a_damaged_index_is_one_problem(tmp_path, data):
    touch(tmp_path, "r03c03f01p01-ch1sk1fk1fl1.tiff")
    (tmp_path / "Index.idx.xml").write_bytes(data)
    result = layouts.scan(tmp_path, AUTO)
    assert len(result.plate.planes) == 1
    assert reasons(result) == {"Index.idx.xml": "unreadable"}


HTD = b"""\
"HTSInfoFile", Version 1.0\r
"Description", "2t\xb5x"\r
"XWells", 24\r
"YWells", 16\r
"NWavelengths", 2\r
"WaveName1", "DAPI"\r
"WaveName2", "Texas, Red"\r
"EndFile"\r
"""


def test_the_description_of_metaxpress():
    sidecar = imagexpress.read_htd(HTD, "P.HTD")
    assert sidecar.plate_format is PlateFormat.WELLS_384
    assert sidecar.channel_names == {"1": "DAPI", "2": "Texas, Red"}
    damaged = imagexpress.read_htd(b"\x00\x01", "P.HTD")
    assert damaged.problems[0]["reason"] == "unreadable"


MRF = """<bts:MeasurementDetail xmlns:bts="http://x" bts:ColumnCount="12" bts:RowCount="8">
<bts:MeasurementSamplePlate bts:Name="P"/><bts:MeasurementChannel bts:Ch="1"
bts:HorizontalPixelDimension="0.325" bts:VerticalPixelDimension="0.325"/></bts:MeasurementDetail>"""


def test_numbered_wells_of_a_cq1(tmp_path):
    touch(tmp_path, "Image/W0029F0001T0001Z001C1.tif", "Projection/W0029F0001T0001Z000C1.tif")
    with pytest.raises(InputError, match="no layout fits"):
        layouts.scan(tmp_path, AUTO)
    (tmp_path / "MeasurementDetail.mrf").write_text(MRF)
    result = layouts.scan(tmp_path, AUTO)
    assert [(p.well.name, p.path) for p in result.plate.planes] == [
        ("C05", "Image/W0029F0001T0001Z001C1.tif")
    ]
    assert (result.plate.name, result.plate.pixel_size_um) == ("P", 0.325)


def test_errors_that_a_cellvoyager_noted(tmp_path):
    record = (
        '<b:MeasurementRecord b:Type="{}" b:Column="8" b:Row="4" b:TimePoint="1" b:FieldIndex="2"'
        ' b:ZIndex="1" b:Ch="1">{}</b:MeasurementRecord>'
    )
    touch(tmp_path, "P_D08_T0001F001L01A01Z01C01.tif")
    (tmp_path / "MeasurementData.mlf").write_text(
        '<b:MeasurementData xmlns:b="http://x">'
        + record.format("ERR", "AF failed")
        + record.format("IMG", "P_D08_T0001F002L01A01Z01C01.tif")
        + "</b:MeasurementData>"
    )
    result = layouts.scan(tmp_path, AUTO)
    found = [(row["reason"], row["Metadata_Well"], row["Metadata_Site"]) for row in result.problems]
    assert found == [("missing-file", "D08", 2)] * 2
    assert "AF failed" in result.problems[0]["message"]


@pytest.mark.parametrize(
    ("source", "kind", "plate_format", "counts", "channels", "pixel_size_um"),
    [
        pytest.param(
            "operetta_compose/tests/operetta_plate", "operetta", PlateFormat.WELLS_384, (1, 2, 2),
            ["Fluorescein (FITC)"], 1.195952162, id="operetta",
        ),
        pytest.param(
            "faim_ipa/ImageXpress_exported/9987_Plate_3420", "imagexpress", PlateFormat.WELLS_96,
            (1, 1, 1), ["DAPI"], 1.3672, id="imagexpress-one-file",
        ),
        pytest.param(
            "faim_ipa/ImageXpress_exported/9987_Plate_3434", "imagexpress", PlateFormat.WELLS_96,
            (2, 4, 24), ["DAPI", "FITC", "Texas Red"], 1.3672, id="imagexpress-z",
        ),
        pytest.param(
            "faim_ipa/ImageXpress_exported/9987_Plate_3435", "imagexpress", PlateFormat.WELLS_96,
            (2, 4, 16), ["DAPI", "FITC"], 1.3672, id="imagexpress-time",
        ),
        pytest.param(
            "faim_ipa/CV8000", "cellvoyager", PlateFormat.WELLS_96, (3, 12, 96),
            ["405 BP445/45", "488 BP525/50"], 0.325, id="cellvoyager",
        ),
        pytest.param(
            "cytotable/tests/data/cellprofiler/ExampleHuman", "cellomics", PlateFormat.WELLS_24,
            (1, 1, 3), ["0", "1", "2"], None, id="cellomics",
        ),
    ],
)  # fmt: skip
def test_real_plates(test_data, source, kind, plate_format, counts, channels, pixel_size_um):
    plate = layouts.scan(test_data / source, AUTO).plate
    assert (plate.layout, plate.plate_format) == (kind, plate_format)
    fields = {(p.well, p.site) for p in plate.planes}
    assert (len({p.well for p in plate.planes}), len(fields), len(plate.planes)) == counts
    assert [channel.name for channel in plate.channels] == channels
    assert plate.pixel_size_um == pixel_size_um


def test_the_measurement_file_of_a_real_run_agrees_with_its_names(test_data):
    listing = layouts.list_source(test_data / "faim_ipa/CV8000")
    sidecar = cellvoyager.LAYOUT.sidecar(listing)
    assert len(sidecar.listed) == 96
    for path, stated in sidecar.listed:
        read = cellvoyager.LAYOUT.parse(path)
        assert (read.well, read.site, read.channel, read.z, read.t) == (
            stated.well, stated.site, stated.channel, stated.z, stated.t,
        )  # fmt: skip


def test_stage_positions_and_profiles_of_harmony(tmp_path):
    text = (
        "{Background: {Character: Flat, Mean: 90, Profile: {Coefficients: [[9.0]], Origin: [1, 1],"
        " Scale: [1, 1]}}, Channel: 1, ChannelName: DAPI, cytoplasm, Foreground:"
        " {Character: NonFlat, Profile: {Coefficients: [[1.1],[0.1, -2e-1]], Dims: [9, 9], Origin:"
        " [539.5,539.5],"
        " Scale: [0.0009, 0.0009], Type: Polynomial}}, Version: Acapella:2013}"
    )
    flat = "{Background: {Character: Null}, Channel: 2, Foreground: {Character: Null}}"
    image = (
        "<Image><URL>r01c02f03p01-ch1sk1fk1fl1.tiff</URL><Row>1</Row><Col>2</Col>"
        "<FieldID>3</FieldID><PlaneID>1</PlaneID><ChannelID>1</ChannelID>"
        '<ChannelName>DAPI</ChannelName><PositionX Unit="m">-0.00025</PositionX>'
        '<PositionY Unit="m">0.0005</PositionY></Image>'
    )
    xml = (
        f"<EvaluationInputData><Maps><Map><Entry ChannelID='1'><ChannelName>DAPI</ChannelName>"
        f"<FlatfieldProfile>{text}</FlatfieldProfile></Entry><Entry ChannelID='2'>"
        f"<FlatfieldProfile>{flat}</FlatfieldProfile></Entry></Map></Maps>"
        f"<Images>{image}</Images></EvaluationInputData>"
    )
    found = operetta.read_index(io.BytesIO(xml.encode()), "Index.xml")
    (profile,) = found.flat_fields
    assert (profile.channel, profile.coefficients) == ("DAPI", ((1.1,), (0.1, -0.2)))
    assert (profile.origin_px, profile.scale) == ((539.5, 539.5), (0.0009, 0.0009))
    (place,) = found.positions
    assert (place.well.name, place.site, place.x_um, place.y_um) == ("A02", 3, -250.0, 500.0)


@given(
    well=st.builds(Well, st.integers(0, 7), st.integers(0, 11)), site=st.integers(1, 999),
    z=st.integers(0, 99), prefix=st.sampled_from(["", "--"]),
)  # fmt: skip
def test_scanr_numbers_wells_row_by_row(well, site, z, prefix):
    number = well.row * 12 + well.column + 1
    name = f"{prefix}W{number:05d}--P{site:05d}--Z{z:05d}--T00000--DAPI.tif"
    layout = layouts.list_vendors()["scanr"].on_plate(PlateFormat.WELLS_96)
    assert layout.parse(name) == NameFields(well, site, "DAPI", z, 0)
    assert parse("scanr", name) is None


@given(
    well=st.builds(Well, st.integers(0, 15), st.integers(0, 23)), site=st.integers(1, 999),
    z=st.integers(1, 99), t=st.integers(1, 999), channel=st.integers(1, 9),
)  # fmt: skip
def test_cq1_numbers_wells_row_by_row(well, site, z, t, channel):
    number = well.row * 24 + well.column + 1
    name = f"W{number:04d}F{site:04d}T{t:04d}Z{z:03d}C{channel}.tif"
    layout = layouts.list_vendors()["cellvoyager"].on_plate(PlateFormat.WELLS_384)
    assert layout.parse(name) == NameFields(well, site, str(channel), z, t, channel)


@given(well=wells, region=st.integers(1, 99), site=st.integers(1, 99))
def test_regions_of_a_cytation_keep_their_images_apart(well, region, site):
    name = f"{row_name(well.row)}{well.column + 1}ROI{region}_01_1_{site}_DAPI_001.tif"
    fields = parse("cytation", name)
    assert (fields.well, fields.site) == (well, region * 10_000 + site)


def test_numbered_wells_ask_for_the_plate(tmp_path):
    source = touch(tmp_path, *(f"W{n:05d}--P00001--Z00000--T00000--DAPI.tif" for n in (1, 13)))
    with pytest.raises(InputError, match="--plate-wells"):
        layouts.scan(source, AUTO)
    found = layouts.scan(source, AUTO, plate_format=PlateFormat.WELLS_96).plate
    assert [plane.well.name for plane in found.planes] == ["A01", "B01"]
