"""OME-TIFF plates: each page is the plane that the OME-XML says, in whichever file it lies."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile

from hcs.domain.config.stages import AutoLayout
from hcs.domain.wells import PlateFormat
from hcs.errors import InputError, UnknownNameError
from hcs.io import layouts
from hcs.io.images import tiff

AUTO = AutoLayout()
OME = """<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">{plate}{images}</OME>"""
PLATE = """<Plate ID="Plate:0" Name="P1" Rows="8" Columns="12">{wells}</Plate>"""
WELL = """<Well ID="Well:{id}" Row="{row}" Column="{column}">{samples}</Well>"""
SAMPLE = (
    """<WellSample ID="WellSample:{id}" Index="{id}"><ImageRef ID="Image:{id}"/></WellSample>"""
)
IMAGE = """<Image ID="Image:{id}"><Pixels ID="Pixels:{id}" DimensionOrder="{order}" Type="uint16"
 SizeX="4" SizeY="5" SizeC="2" SizeZ="3" SizeT="1" PhysicalSizeX="325" PhysicalSizeXUnit="nm"
 PhysicalSizeY="0.325"><Channel ID="Channel:{id}:0" Name="DAPI" EmissionWavelength="460"/>
<Channel ID="Channel:{id}:1" Name="NF-H"/>{data}</Pixels></Image>"""
WHOLE = "<TiffData/>"


def plate(*samples):
    """Wells with one sample a given image number: (row, column, (image, …))."""
    wells = "".join(
        WELL.format(id=i, row=r, column=c, samples="".join(SAMPLE.format(id=n) for n in numbers))
        for i, (r, c, numbers) in enumerate(samples)
    )
    return PLATE.format(wells=wells)


def image(number=0, data=WHOLE, order="XYZCT"):
    return IMAGE.format(id=number, data=data, order=order)


def write(path, xml, n_pages=6):
    """Every page holds its own number."""
    pages = np.broadcast_to(np.arange(n_pages)[:, None, None], (n_pages, 5, 4)).astype(np.uint16)
    tifffile.imwrite(path, pages, photometric="minisblack", metadata=None, description=xml.encode())


def found(result):
    return [
        (p.path, p.page, p.well.name, p.site, p.channel, p.z_index) for p in result.plate.planes
    ]


@pytest.mark.parametrize(
    ("order", "pages"),
    [
        pytest.param("XYZCT", {"DAPI": [0, 1, 2], "NF-H": [3, 4, 5]}, id="z-runs-fastest"),
        pytest.param("XYCZT", {"DAPI": [0, 2, 4], "NF-H": [1, 3, 5]}, id="channel-runs-fastest"),
    ],
)
def test_one_file_a_field(tmp_path, order, pages):
    for n, name in enumerate(("x.ome.tif", "y.ome.tif")):
        xml = OME.format(plate=plate((2, 4 + n, (0,))), images=image(order=order))
        write(tmp_path / name, xml)
    result = layouts.scan(tmp_path, AUTO)
    plane_of = {(row[2], row[4], row[5]): row[1] for row in found(result)}
    assert plane_of == {
        (well, channel, z): page
        for well in ("C05", "C06")
        for channel, numbers in pages.items()
        for z, page in enumerate(numbers)
    }
    chosen = result.plate
    assert (chosen.name, chosen.plate_format) == ("P1", PlateFormat.WELLS_96)
    assert chosen.pixel_size_um == 0.325
    assert [(c.name, c.emission_nm) for c in chosen.channels] == [("DAPI", 460), ("NF-H", None)]
    last = chosen.planes[-1]
    assert (tiff.read_plane(tmp_path / last.path, last.page) == last.page).all()


def part(file, page, c, z):
    return (
        f'<TiffData IFD="{page}" FirstC="{c}" FirstZ="{z}" PlaneCount="1">'
        f'<UUID FileName="{file}">u</UUID></TiffData>'
    )


def test_a_companion_set(tmp_path):
    data = "".join(part(f"c{c}.ome.tif", z, c, z) for c in (0, 1) for z in (0, 1, 2))
    other = part("d.ome.tif", 0, 0, 0) + part("../d.ome.tif", 0, 1, 0)
    xml = OME.format(plate=plate((0, 0, (0, 1))), images=image(0, data) + image(1, other))
    (tmp_path / "p.companion.ome").write_text(xml)
    only = OME.format(plate='<BinaryOnly MetadataFile="p.companion.ome" UUID="u"/>', images="")
    for c in (0, 1):
        write(tmp_path / f"c{c}.ome.tif", only, 3)
    result = layouts.scan(tmp_path, AUTO)
    assert found(result)[:3] == [("c0.ome.tif", z, "A01", 1, "DAPI", z) for z in (0, 1, 2)]
    assert len(result.plate.planes) == 6
    reasons = {(row["file"], row["reason"], row["Metadata_Site"]) for row in result.problems}
    assert reasons == {
        ("d.ome.tif", "missing-file", 2), ("../d.ome.tif", "outside-source", 2),
    }  # fmt: skip


def test_ome_tiff_without_a_plate_is_not_taken_for_one(tmp_path):
    write(tmp_path / "a.ome.tif", OME.format(plate="", images=image()))
    with pytest.raises(InputError, match="no layout fits"):
        layouts.scan(tmp_path, AUTO)


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda xml: xml.replace("</OME>", ""), id="xml-cut"),
        pytest.param(lambda xml: xml.replace('Row="0"', 'Row="A"'), id="row-no-number"),
        pytest.param(lambda xml: xml.replace("<TiffData", '<TiffData FirstC="9"'), id="no-plane"),
    ],
)
def test_damaged_metadata_are_a_problem(tmp_path, damage):
    good = OME.format(plate=plate((0, 0, (0,))), images=image())
    write(tmp_path / "a.ome.tif", good)
    write(tmp_path / "b.ome.tif", OME.format(plate=plate((0, 1, (0,))), images=image()))
    (tmp_path / "z.companion.ome").write_text(damage(good))
    result = layouts.scan(tmp_path, AUTO)
    assert {p.well.name for p in result.plate.planes} == {"A01", "A02"}
    assert [(row["file"], row["reason"]) for row in result.problems] == [
        ("z.companion.ome", "unreadable")
    ]


def test_a_damaged_file_is_a_problem(tmp_path):
    write(tmp_path / "a.ome.tif", OME.format(plate=plate((0, 0, (0,))), images=image()))
    (tmp_path / "b.ome.tif").write_bytes(b"II")
    result = layouts.scan(tmp_path, AUTO)
    reasons = [(row["file"], row["reason"]) for row in result.problems]
    assert reasons == [("b.ome.tif", "truncated")]


RUN = """<PlateAcquisition ID="PlateAcquisition:{id}"{name}>{references}</PlateAcquisition>"""


def run(number, *samples, name=""):
    references = "".join(f'<WellSampleRef ID="WellSample:{sample}"/>' for sample in samples)
    return RUN.format(id=number, name=f' Name="{name}"' if name else "", references=references)


def two_runs(folder, *, sizes=("325", "325")):
    """A well of two fields, taken twice; images 0 and 1, then 2 and 3."""
    runs = run(0, 0, 1, name="live") + run(1, 2, 3)
    described = plate((0, 1, (0, 1, 2, 3))).replace("</Plate>", f"{runs}</Plate>")
    images = "".join(
        image(n, f'<TiffData IFD="0" PlaneCount="6"><UUID FileName="f{n}.ome.tif"/></TiffData>')
        .replace('"325"', f'"{sizes[n // 2]}"')
        .replace('"0.325"', f'"{float(sizes[n // 2]) / 1000}"')
        for n in range(4)
    )
    (folder / "p.companion.ome").write_text(OME.format(plate=described, images=images))
    for n in range(4):
        write(folder / f"f{n}.ome.tif", "")
    return folder


def test_fields_that_were_taken_twice_are_channels_of_their_run(tmp_path):
    result = layouts.scan(two_runs(tmp_path), AUTO)
    first = {(p.site, p.channel): p.path for p in result.plate.planes if p.z_index == 0}
    assert first == {
        (1, "DAPI acquisition live"): "f0.ome.tif", (1, "NF-H acquisition live"): "f0.ome.tif",
        (2, "DAPI acquisition live"): "f1.ome.tif", (2, "NF-H acquisition live"): "f1.ome.tif",
        (1, "DAPI acquisition 1"): "f2.ome.tif", (1, "NF-H acquisition 1"): "f2.ome.tif",
        (2, "DAPI acquisition 1"): "f3.ome.tif", (2, "NF-H acquisition 1"): "f3.ome.tif",
    }  # fmt: skip
    assert result.plate.missing == ()
    assert result.problems == ()


def test_one_run_can_be_chosen(tmp_path):
    source = two_runs(tmp_path, sizes=("325", "650"))
    with pytest.raises(InputError, match=r"0 \(0\.325 µm\), 1 \(0\.65 µm\); choose one with"):
        layouts.scan(source, AUTO)
    with pytest.raises(UnknownNameError, match=r"no acquisition 7; .* has 0, 1"):
        layouts.scan(source, AUTO, acquisition=7)
    result = layouts.scan(source, AUTO, acquisition=1)
    assert {(p.site, p.channel, p.path) for p in result.plate.planes} == {
        (1, "DAPI", "f2.ome.tif"), (1, "NF-H", "f2.ome.tif"),
        (2, "DAPI", "f3.ome.tif"), (2, "NF-H", "f3.ome.tif"),
    }  # fmt: skip
    assert result.plate.pixel_size_um == 0.65
    assert (result.plate.missing, result.problems) == ((), ())


def test_two_plates_of_one_xml_ask_for_a_name(tmp_path):
    first, second = plate((0, 1, (0,))), plate((1, 2, (1,)), (1, 3, (2,)))
    second = second.replace("P1", "P2").replace("Plate:0", "Plate:1")
    images = "".join(
        image(n, f'<TiffData IFD="0" PlaneCount="6"><UUID FileName="f{n}.ome.tif"/></TiffData>')
        for n in range(3)
    )
    (tmp_path / "p.companion.ome").write_text(OME.format(plate=first + second, images=images))
    for n in range(2):  # f2 is absent, and no problem of P1
        write(tmp_path / f"f{n}.ome.tif", "")
    with pytest.raises(InputError, match=r"plates 'P1', 'P2', and none is named: use --plate-name"):
        layouts.scan(tmp_path, AUTO)
    one = layouts.scan(tmp_path, AUTO, plate_name="P1")
    assert {(p.path, p.well.name) for p in one.plate.planes} == {("f0.ome.tif", "A02")}
    assert (one.plate.name, one.plate.missing, one.problems) == ("P1", (), ())
    two = layouts.scan(tmp_path, AUTO, plate_name="P2")
    assert {(p.path, p.well.name) for p in two.plate.planes} == {("f1.ome.tif", "B03")}
    assert {row["file"] for row in two.problems} == {"f2.ome.tif"}


def test_a_plate_in_the_xml_wins_over_what_files_are_called(tmp_path):
    xml = OME.format(plate=plate((1, 2, (0,))), images=image())
    write(tmp_path / "P_A01_s1_w1.ome.tif", xml)
    result = layouts.scan(tmp_path, AUTO)
    assert (result.plate.layout, {p.well.name for p in result.plate.planes}) == ("ometiff", {"B03"})


def test_ome_tiff_without_a_plate_is_what_its_name_says(tmp_path):
    write(tmp_path / "P_A02_s1_w1.ome.tif", OME.format(plate="", images=image()))
    result = layouts.scan(tmp_path, AUTO)
    assert {(p.well.name, p.channel, p.z_index, p.page) for p in result.plate.planes} == {
        ("A02", f"1 {name}", z, 3 * c + z) for c, name in enumerate(("DAPI", "NF-H"))
        for z in range(3)
    }  # fmt: skip
    assert result.plate.pixel_size_um == 0.325
