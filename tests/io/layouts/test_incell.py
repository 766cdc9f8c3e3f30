"""IN Cell names in every form that the instrument wrote, and its metadata file."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hcs.domain.plate import Channel
from hcs.domain.wells import PlateFormat, Well
from hcs.io.layouts.base import NameFields
from hcs.io.layouts.vendors.incell import LAYOUT, read_xdce


def fields(well, **others) -> NameFields:
    return NameFields(Well.parse(well), **others)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        pytest.param(
            "A - 01(fld 001 wv Blue - FITC).tif",
            fields("A1", site=1, channel="Blue - FITC"),
            id="padded",
        ),
        pytest.param(
            "A - 1(fld 1 wv Blue - FITC).tif",
            fields("A1", site=1, channel="Blue - FITC"),
            id="unpadded",
        ),
        pytest.param("A - 13(fld 2).tif", fields("A13", site=2), id="no-wave"),
        pytest.param(
            "C - 6(fld 1 wv TL - Bright field - open z 01).tif",
            fields("C6", site=1, channel="TL - Bright field - open", z=1),
            id="open-and-z",
        ),
        pytest.param(
            "B - 02(fld 01 wv DAPI - DAPI wix 5).tif",
            fields("B2", site=1, channel="DAPI - DAPI", order=5),
            id="wave-index",
        ),
        pytest.param(
            "D - 05(wv TL-Brightfield - Cy3).tif",
            fields("D5", channel="TL-Brightfield - Cy3"),
            id="no-field",
        ),
        pytest.param(
            "A - 01(fld 1 wv UV - DAPI z 3 time 2 - 2636ms).tif",
            fields("A1", site=1, channel="UV - DAPI", z=3, t=2),
            id="z-and-time",
        ),
        pytest.param(
            "F - 001(fld 1 wv UV - DAPI).tif",
            fields("F1", site=1, channel="UV - DAPI"),
            id="three-digit-column",
        ),
        pytest.param(
            "Plate1_HA41_B - 01(fld 3 wv UV - DAPI).TIF",
            fields("B1", site=3, channel="UV - DAPI", plate="Plate1_HA41"),
            id="plate-prefix",
        ),
        pytest.param(
            "AF - 48(fld 9 wv UV - DAPI).tiff",
            fields("AF48", site=9, channel="UV - DAPI"),
            id="last-row-of-1536",
        ),
        pytest.param(
            "A_01_f2_c1_xUV_mDAPI_z3_t2.tif",
            fields("A1", site=2, channel="UV - DAPI", order=1, z=3, t=2),
            id="software-7.2",
        ),
        pytest.param(
            "my_plate_A_01_f2_c1_xUV_mDAPI.tif",
            fields("A1", site=2, channel="UV - DAPI", order=1, plate="my_plate"),
            id="software-7.2-plate-prefix",
        ),
        pytest.param(
            "run 1/A - 01(fld 001 wv Blue - FITC).tif",
            fields("A1", site=1, channel="Blue - FITC"),
            id="subfolder",
        ),
    ],
)
def test_every_form_of_name_is_read(name, expected):
    assert LAYOUT.parse(name) == expected


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("A01_s1_w1.tif", id="imagexpress"),
        pytest.param("r03c03f01p01-ch1sk1fk1fl1.tiff", id="harmony"),
        pytest.param("A - 0(fld 1 wv UV - DAPI).tif", id="column-zero"),
        pytest.param("A - 01(fld x wv UV - DAPI).tif", id="field-no-number"),
        pytest.param("A - 01(fld 99999999999 wv UV - DAPI).tif", id="field-too-large"),
        pytest.param("A - 01(fld 1 wv UV - DAPI).tif.bak", id="backup"),
        pytest.param("A - 01.tif", id="no-brackets"),
    ],
)
def test_other_names_are_not_taken(name):
    assert LAYOUT.parse(name) is None


filter_name = st.sampled_from(["Blue", "UV", "Green", "Red", "TL", "FITC", "DAPI", "Cy3", "dsRed"])
numbers = st.integers(1, 2000)


@st.composite
def named(draw):
    """A field and the name that the instrument gives it."""
    well = Well(draw(st.integers(0, 31)), draw(st.integers(0, 47)))
    site = draw(st.none() | numbers)
    channel = draw(st.none() | st.tuples(filter_name, filter_name).map(" - ".join))
    order = draw(st.none() | st.integers(0, 12)) if channel else None
    z, t = draw(st.none() | numbers), draw(st.none() | numbers)
    pad = draw(st.integers(1, 3))
    parts = [] if site is None else [f"fld {site:0{pad}d}"]
    parts += [] if channel is None else [f"wv {channel}"]
    parts += [] if order is None else [f"wix {order}"]
    parts += [] if z is None else [f"z {z:0{pad}d}"]
    parts += [] if t is None else [f"time {t} - {t * 7}ms"]
    row, column = well.name.rstrip("0123456789"), well.column + 1
    plate = draw(st.none() | st.sampled_from(["Plate1", "Plate1_HA41", "2024-01-03 x", "µ"]))
    prefix = "" if plate is None else f"{plate}_"
    name = f"{prefix}{row} - {column:0{pad}d}({' '.join(parts)}).tif"
    return name, NameFields(well, site, channel, z, t, order, plate)


@given(named())
def test_reading_a_name_gives_back_the_field(case):
    name, expected = case
    assert LAYOUT.parse(name) == expected


@given(
    well=st.builds(Well, st.integers(0, 31), st.integers(0, 47)),
    site=numbers,
    order=st.integers(1, 12),
    filters=st.tuples(filter_name, filter_name),
    z=st.none() | numbers,
    t=st.none() | numbers,
)
def test_reading_a_name_of_software_7_2_gives_back_the_field(well, site, order, filters, z, t):
    row, column = well.name.rstrip("0123456789"), well.column + 1
    name = f"{row}_{column:02d}_f{site}_c{order}_x{filters[0]}_m{filters[1]}"
    name += "" if z is None else f"_z{z}"
    name += "" if t is None else f"_t{t}"
    expected = NameFields(well, site, " - ".join(filters), z, t, order)
    assert LAYOUT.parse(f"{name}.tif") == expected


def test_the_metadata_file_of_a_real_run(test_data):
    with (test_data / "incell6000/test_data.xdce").open("rb") as stream:
        sidecar = read_xdce(stream, "run/test_data.xdce")
    assert sidecar.plate_name == "test_plate"
    assert sidecar.plate_format is PlateFormat.WELLS_384
    assert sidecar.pixel_size_um == 0.1625
    assert sidecar.channels[1] == Channel(name="Blue - FITC", excitation_nm=488, emission_nm=525)
    assert len(sidecar.listed) == 16
    assert len(sidecar.excluded) == 360
    first = sidecar.positions[0]
    assert (first.well.name, first.site) == ("C03", 1)
    assert (first.x_um, first.y_um) == (-1248.487, 1295.458)
    assert not sidecar.problems
    for path, stated in sidecar.listed:
        read = LAYOUT.parse(path)
        assert (read.well, read.site, read.channel) == (stated.well, stated.site, stated.channel)


XDCE = """<?xml version="1.0" encoding="ISO-8859-1" standalone="no"?>
<ImageStack PlateID="P1"><AutoLeadAcquisitionProtocol>
<ObjectiveCalibration pixel_height="0.325" pixel_width="0.325" unit="µm"/>
<Camera><Binning value="{binning}"/></Camera>
<Plate columns="12" rows="8"/></AutoLeadAcquisitionProtocol>
<Images><Image filename="{file}"><Well label="C - 3"><Row number="3"/><Column number="3"/></Well>
<Identifier field_index="4" time_index="0" wave_index="1" z_index="2"/>
<ExcitationFilter name="UV"/><EmissionFilter name="DAPI"/></Image></Images></ImageStack>"""


def xdce(binning="1 X 1", file="x.tif") -> io.BytesIO:
    return io.BytesIO(XDCE.format(binning=binning, file=file).encode("iso-8859-1"))


def test_identifiers_count_from_zero():
    ((path, stated),) = read_xdce(xdce(), "r/m.xdce").listed
    assert path == "r/x.tif"
    assert stated == fields("C3", site=5, channel="UV - DAPI", order=1, z=3, t=1)


def test_a_binned_camera_leaves_the_pixel_size_open():
    assert read_xdce(xdce(), "m.xdce").pixel_size_um == 0.325
    binned = read_xdce(xdce(binning="2 X 2"), "m.xdce")
    assert binned.pixel_size_um is None
    assert "2 X 2" in binned.notes[0]


@pytest.mark.parametrize("file", ["../../x.tif", "/etc/x.tif", "C:\\x.tif", "..\\x.tif"])
def test_names_that_leave_the_source_are_problems(file):
    sidecar = read_xdce(xdce(file=file), "m.xdce")
    assert not sidecar.listed
    assert sidecar.problems[0]["reason"] == "outside-source"


def test_a_damaged_metadata_file_is_a_problem_and_nothing_else():
    sidecar = read_xdce(io.BytesIO(xdce().read()[:400]), "m.xdce")
    assert (sidecar.plate_name, sidecar.listed) == (None, ())
    assert sidecar.problems[0]["reason"] == "unreadable"
