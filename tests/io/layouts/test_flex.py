"""FLEX files of an Opera: well, field, channel and plane of each page by the XML within."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile

from hcs.domain.columns import Reason
from hcs.domain.config.stages import AutoLayout, IngestConfig
from hcs.errors import InputError
from hcs.io import layouts
from hcs.io.plates.reader import PlateReader
from hcs.stages import ingest

CHANNELS = ("Exp1Cam1", "Exp2Cam2")


def write_flex(path, row, column, *, planes=2, fields=2, factor="1", xml=True, seed=0):
    """Write a well; pages run over fields, planes and channels. Returns pixels by place."""
    rng = np.random.default_rng(seed)
    held, arrays, images = {}, "", ""
    for site in range(1, fields + 1):
        for z in range(1, planes + 1):
            for name in CHANNELS:
                page = len(held)
                held[site, name, z] = rng.integers(1, 999, (8, 10)).astype("uint16")
                arrays += f'<Array Name="{name}" Width="10" Height="8" Factor="{factor}"/>'
                images += (
                    f'<Image BufferNo="{page}"><Stack>{z}</Stack><Sublayout>{site}</Sublayout>'
                    f"<PositionX>{site}e-4</PositionX><PositionY>-2e-4</PositionY>"
                    f"<PositionZ>{z * 3}e-6</PositionZ><ImageResolutionX>3.2E-007"
                    "</ImageResolutionX><ImageResolutionY>3.2E-007</ImageResolutionY></Image>"
                )
    text = (
        f"<Root><Arrays>{arrays}</Arrays><FLEX><Plate><PlateName>X_7</PlateName><XSize>8</XSize>"
        f'<YSize>12</YSize></Plate><Well><WellCoordinate Row="{row}" Col="{column}"/>'
        f"<Images>{images}</Images></Well></FLEX></Root>"
    )
    tags = [(65200, "s", 0, text, True)] if xml else []
    with tifffile.TiffWriter(path) as tif:
        for page, pixels in enumerate(held.values()):
            tif.write(pixels, metadata=None, extratags=[] if page else tags)
    return held


def run(folder):
    return ingest.run(
        IngestConfig(source=str(folder), out=str(folder.parent / "P.zarr"), verify=True)
    )


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "Meas_01"
    folder.mkdir()
    return folder


def test_every_page_is_where_its_xml_says(source):
    held = {
        "B03": write_flex(source / "002003000.flex", 2, 3, seed=1),
        "H12": write_flex(source / "008012000.flex", 8, 12, seed=2),
    }
    (source / "Meas_01.mea").write_text("<Measurement/>")
    result = run(source)
    assert result.problems == ()
    reader = PlateReader(result.out)
    assert reader.name == "X_7"
    assert reader.plate_format.n_wells == 96
    assert reader.channels == CHANNELS
    assert reader.pixel_size_um == pytest.approx(0.32)
    assert reader.z_positions_um == (0.0, 3.0)
    paths = reader.images.set_index(["Metadata_Well", "Metadata_Site"])["field_path"]
    for well, planes in held.items():
        for (site, name, z), pixels in planes.items():
            stored = reader.read_plane(
                paths[well, site], CHANNELS.index(name), t_index=0, z_index=z - 1
            )
            np.testing.assert_array_equal(stored, pixels)


def test_scaled_values_are_refused_page_by_page(source):
    write_flex(source / "001001000.flex", 1, 1, factor="3.5")
    write_flex(source / "001002000.flex", 1, 2)
    result = run(source)
    assert list(PlateReader(result.out).images["Metadata_Well"].unique()) == ["A02"]
    assert len(result.problems) == 8
    assert {row.reason for row in result.problems} == {Reason.WRONG_TYPE}
    assert "divided by 3.5" in result.problems[0].message


def test_a_file_whose_name_says_another_well_is_not_read(source):
    write_flex(source / "001001000.flex", 1, 1)
    write_flex(source / "001002000.flex", 1, 3)
    (row,) = layouts.scan(source, AutoLayout()).problems
    assert (row["file"], row["reason"]) == ("001002000.flex", "contradictory")


def test_a_file_without_xml_is_named_beside_those_that_have_it(source):
    write_flex(source / "001001000.flex", 1, 1)
    write_flex(source / "001002000.flex", 1, 2, xml=False)
    (row,) = layouts.scan(source, AutoLayout()).problems
    assert (row["file"], row["reason"]) == ("001002000.flex", "unreadable")


def test_files_without_xml_get_an_expression_to_try(source):
    write_flex(source / "001001000.flex", 1, 1, xml=False)
    with pytest.raises(InputError, match="--pages channel"):
        layouts.scan(source, AutoLayout())
