"""Heights and times that vendors' indexes list become places of the plate's planes."""

from __future__ import annotations

import io

import pytest

from hcs.domain.config.layouts import AutoLayout
from hcs.io import layouts
from hcs.io.images.steps import Steps
from hcs.io.layouts.vendors import cellvoyager, operetta
from hcs.io.layouts.vendors.incell import read_xdce

HARMONY = """<?xml version="1.0"?><EvaluationInputData xmlns="http://www.perkinelmer.com/PEHH/V5">
<Plates><Plate><Name>P7</Name><PlateRows>8</PlateRows><PlateColumns>12</PlateColumns></Plate>
</Plates><Images>{images}</Images></EvaluationInputData>"""
IMAGE = """<Image><URL>{url}</URL><Row>1</Row><Col>1</Col><FieldID>{site}</FieldID>
<PlaneID>{z}</PlaneID><TimepointID>{t}</TimepointID><ChannelID>1</ChannelID>
<PositionZ Unit="m">{meters}</PositionZ><MeasurementTimeOffset Unit="s">{seconds}
</MeasurementTimeOffset></Image>"""


def touch(folder, *names):
    for name in names:
        (folder / name).write_bytes(b"II*\0")


def test_harmony(tmp_path):
    images, names = [], []
    for site in (1, 2):
        for z in (1, 2, 3):
            for t in (0, 1):
                names.append(f"r01c01f{site:02d}p{z:02d}-ch1sk{t + 1}fk1fl1.tiff")
                images.append(
                    IMAGE.format(
                        url=names[-1], site=site, z=z, t=t, meters=f"{(z - 2) * 2e-6:g}",
                        seconds=3600 * t + 2 * site,
                    )
                )  # fmt: skip
    touch(tmp_path, *names)
    (tmp_path / "Index.idx.xml").write_text(HARMONY.format(images="".join(images)))
    numbers = layouts.scan(tmp_path, AutoLayout()).plate.numbers
    assert (numbers.z_um, numbers.t_min) == ((0.0, 2.0, 4.0), (0.0, 60.0))


def test_a_harmony_index_of_one_plane_says_nothing():
    text = HARMONY.format(
        images=IMAGE.format(url="a.tiff", site=1, z=1, t=0, meters="2e-05", seconds=0)
    )
    assert operetta.read_index(io.BytesIO(text.encode()), "Index.idx.xml").steps == Steps()


def test_cellvoyager(tmp_path):
    record = (
        '<b:MeasurementRecord b:Type="IMG" b:Column="1" b:Row="1" b:TimePoint="{t}"'
        ' b:FieldIndex="1" b:ZIndex="{z}" b:Ch="1" b:Z="{height}"'
        ' b:Time="2023-09-18T{hour}:00:00.5+02:00">{name}</b:MeasurementRecord>'
    )
    records, names = [], []
    for t in (1, 2, 3):
        for z, height in ((1, 0.0), (2, 3.0), (3, 6.0)):
            names.append(f"P_A01_T{t:04d}F001L01A01Z{z:02d}C01.tif")
            records.append(
                record.format(t=t, z=z, height=height, hour=f"{10 + 2 * t}", name=names[-1])
            )
    touch(tmp_path, *names)
    (tmp_path / "MeasurementData.mlf").write_text(
        f'<b:MeasurementData xmlns:b="http://x">{"".join(records)}</b:MeasurementData>'
    )
    numbers = layouts.scan(tmp_path, AutoLayout()).plate.numbers
    assert (numbers.z_um, numbers.t_min) == ((0.0, 3.0, 6.0), (0.0, 120.0, 240.0))


XDCE = """<?xml version="1.0" encoding="ISO-8859-1"?><ImageStack PlateID="P1">
<AutoLeadAcquisitionProtocol><Wavelengths>{waves}</Wavelengths><Plate columns="12" rows="8"/>
</AutoLeadAcquisitionProtocol><Images/></ImageStack>"""
WAVE = '<Wavelength index="{index}" z_slice="{slices}" z_step="{step}"/>'


@pytest.mark.parametrize(
    ("waves", "z_um"),
    [
        pytest.param([(13, 1.3), (13, 1.3)], 1.3, id="alike"),
        pytest.param([(13, 1.3), (1, 0.0)], 1.3, id="one-of-one-plane"),
        pytest.param([(13, 1.3), (7, 2.0)], None, id="differ"),
        pytest.param([(13, 0.0)], None, id="no-step"),
    ],
)
def test_in_cell(waves, z_um):
    told = "".join(WAVE.format(index=i, slices=n, step=step) for i, (n, step) in enumerate(waves))
    sidecar = read_xdce(io.BytesIO(XDCE.format(waves=told).encode()), "m.xdce")
    assert (sidecar.steps.z_um, sidecar.problems) == (z_um, ())


def test_the_heights_of_a_real_stack(test_data):
    listing = layouts.list_source(test_data / "faim_ipa/CV8000")
    found = cellvoyager.LAYOUT.sidecar(listing).steps.heights_um
    assert found == (0.0, 3.0, 6.0, 9.0)
