"""Tests of the picture of a whole plate."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import tifffile
from PIL import Image
from typer.testing import CliRunner

from hcs.domain.config.stages import IngestConfig
from hcs.domain.wells import PlateFormat
from hcs.errors import UnknownNameError
from hcs.io.plates.overview import WELL_PX, read_overview
from hcs.io.plates.reader import PlateReader
from hcs.ops.mosaic import shrink
from hcs.report.charts.plate_picture import draw_plate
from hcs.stages import ingest
from hcs_cli.app import app


@pytest.fixture
def plate(tmp_path):
    """A 24-well plate: A01 dark, D06 bright, two channels, four fields each of 300 × 280 px."""
    source = tmp_path / "tiffs"
    source.mkdir()
    rng = np.random.default_rng(0)
    for well, level in (("A - 1", 200), ("D - 6", 3000)):
        for site in range(1, 5):
            for wave in ("DAPI", "FITC"):
                pixels = rng.poisson(level, (300, 280)).astype(np.uint16)
                tifffile.imwrite(source / f"{well}(fld {site} wv UV - {wave}).tif", pixels)
    out = str(tmp_path / "P.zarr")
    ingest.run(IngestConfig(source=str(source), out=out, plate_wells=24))
    return out


def test_the_overview_is_the_fields_in_small(plate):
    reader = PlateReader(plate)
    stored = read_overview(plate, 1)
    assert stored.shape == (4, 6, WELL_PX, WELL_PX)
    fields = [shrink(reader.read_plane(f"D/6/{number}", 1, 1), WELL_PX // 2) for number in range(4)]
    np.testing.assert_array_equal(stored[3, 5], np.block([fields[:2], fields[2:]]))
    assert not stored[1].any()


def test_a_plate_without_overview_gives_the_same_picture(plate, tmp_path):
    draw_plate(plate, str(tmp_path / "own.png"), "UV - FITC")
    shutil.rmtree(tmp_path / "P.zarr/overview")
    draw_plate(plate, str(tmp_path / "other.png"), "UV - FITC")
    own, other = (np.asarray(Image.open(tmp_path / f"{name}.png")) for name in ("own", "other"))
    assert np.abs(own.astype(int) - other).max() <= 1


def test_a_damaged_overview_is_drawn_from_the_fields(plate, tmp_path):
    draw_plate(plate, str(tmp_path / "own.png"), "UV - FITC")
    file = tmp_path / "P.zarr/overview/c.0.0.0.0.0"
    file.write_bytes(file.read_bytes()[:-1])
    assert read_overview(plate, 1) is None
    assert draw_plate(plate, str(tmp_path / "other.png"), "UV - FITC")["fields drawn"] == 8


def test_a_damaged_field_of_a_plate_without_overview_is_counted(plate, tmp_path):
    shutil.rmtree(tmp_path / "P.zarr/overview")
    file = tmp_path / "P.zarr/A/1/0/1/c/0/0/0"
    file.write_bytes(file.read_bytes()[:-1])
    said = draw_plate(plate, str(tmp_path / "plate.png"), "UV - FITC")
    assert (said["fields drawn"], said["fields that cannot be read"]) == (7, 1)


def test_wells_lie_where_they_are(plate, tmp_path):
    out = tmp_path / "plate.png"
    said = draw_plate(plate, str(out), "UV - FITC")
    assert said["fields drawn"] == 8
    picture = np.asarray(Image.open(out))[28:, 28:]
    rows, columns = PlateFormat.WELLS_24.value
    tiles = [
        [block.mean() for block in np.array_split(strip, columns, axis=1)]
        for strip in np.array_split(picture, rows)
    ]
    assert tiles[0][0] < 40, "A01 is dark"
    assert tiles[3][5] > 200, "D06 is bright"
    assert tiles[1][2] == pytest.approx(225, abs=8), "a well without images is gray"


def test_the_command_draws_and_asks_for_a_channel(plate, tmp_path):
    out = tmp_path / "plate.png"
    said = CliRunner().invoke(app, ["info", plate, "--overview", str(out)])
    assert said.exit_code == 1
    assert "--channel" in said.output
    said = CliRunner().invoke(
        app, ["info", plate, "--overview", str(out), "--channel", "UV - DAPI"]
    )
    assert said.exit_code == 0, said.output
    assert out.exists()


def test_an_unknown_channel(plate, tmp_path):
    with pytest.raises(UnknownNameError, match="TRITC"):
        draw_plate(plate, str(tmp_path / "x.png"), "TRITC")
