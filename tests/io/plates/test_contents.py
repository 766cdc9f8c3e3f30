"""What a plate's channels hold is said as it is, with what was not acquired."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile

from hcs.domain import columns as col
from hcs.domain.config.stages import IngestConfig
from hcs.errors import InputError
from hcs.io.plates import plate_tables
from hcs.io.plates.contents import describe_channels
from hcs.io.plates.reader import PlateReader
from hcs.stages import ingest

RAMP = np.tile(np.arange(32, dtype=np.uint16) * 10, (32, 1))


def make(folder, files, pattern):
    (folder / "tiffs").mkdir()
    for name, (pixels, metadata) in files.items():
        tifffile.imwrite(folder / "tiffs" / name, pixels, metadata=metadata)
    layout = {"kind": "regex", "pattern": pattern}
    config = {"source": str(folder / "tiffs"), "out": str(folder / "P.zarr"), "layout": layout}
    ingest.run(IngestConfig.model_validate(config))
    return describe_channels(PlateReader(str(folder / "P.zarr")))


def test_a_ragged_plate_with_a_binned_channel(tmp_path):
    stack = {"axes": "ZYX", "PhysicalSizeZ": 2.0}
    files = {
        "A01_dapi.ome.tif": (np.stack([RAMP + 100] * 3), stack),
        "A01_light.ome.tif": (RAMP[:16, :16] + 5000, {"axes": "YX"}),
    }
    found = make(tmp_path, files, r"(?P<well>[A-H]\d\d)_(?P<channel>\w+)\.ome\.tif")
    assert found == {
        "channel dapi": "3 of 3 z planes; shown from 100 to 410 in blue",
        "channel light": "1 of 3 z planes; binned 2 × 2, its pixels are repeated; "
        "shown from 5000 to 5150 in green",
        "z": "3 planes from 0 to 4 µm",
    }


def test_a_time_lapse_without_a_clock(tmp_path):
    files = {f"A01_t{t}_dapi.tif": (RAMP + 100, {"axes": "YX"}) for t in (1, 2, 3)}
    files["A01_t3_gfp.tif"] = (RAMP + 900, {"axes": "YX"})
    found = make(tmp_path, files, r"(?P<well>[A-H]\d\d)_t(?P<t>\d)_(?P<channel>\w+)\.tif")
    assert found["channel dapi"].startswith("3 of 3 times; shown")
    assert found["channel gfp"].startswith("1 of 3 times; shown")
    assert found["time"] == "3 points, their distance is not known"


def test_stacks_at_some_times_only(tmp_path):
    files = {f"A01_t1_z{z}.tif": (RAMP + 100, {"axes": "YX"}) for z in (1, 2)}
    files["A01_t2_z1.tif"] = (RAMP, {"axes": "YX"})
    found = make(tmp_path, files, r"(?P<well>[A-H]\d\d)_t(?P<t>\d)_z(?P<z>\d)\.tif")
    assert found["channel 0"].startswith("2 of 2 z planes at 2 of 2 times; 3 planes in all; shown")


@pytest.mark.parametrize("pixels", [pytest.param(RAMP + 7, id="one-plane")])
def test_a_plain_plate_says_how_it_is_shown(tmp_path, pixels):
    found = make(tmp_path, {"A01.tif": (pixels, None)}, r"(?P<well>[A-H]\d\d)\.tif")
    assert found == {"channel 0": "shown from 7 to 317 in gray"}


@pytest.mark.parametrize(
    "entry",
    [
        pytest.param({"Field_Path": "../../../etc"}, id="up"),
        pytest.param({"Field_Path": "A/../../x"}, id="up in the middle"),
        pytest.param({"Field_Path": "/etc"}, id="absolute"),
        pytest.param({"Field_Path": None}, id="nothing"),
        pytest.param({"Metadata_Well": "../x"}, id="a well that is a path"),
    ],
)
def test_a_table_of_images_that_leads_out_of_its_plate_is_refused(tmp_path, entry):
    make(tmp_path, {"A01_dapi.tif": (RAMP, None)}, r"(?P<well>[A-H]\d\d)_(?P<channel>\w+)\.tif")
    plate = tmp_path / "P.zarr"
    names = {"Field_Path": col.FIELD_PATH, "Metadata_Well": col.WELL}
    frame = plate_tables.read_plate_table(plate, "images")
    for name, value in entry.items():
        frame[names[name]] = value
    plate_tables.write_plate_table(plate, "images", frame)
    with pytest.raises(InputError, match=r"P\.zarr (holds|lacks).*run the command again"):
        _ = PlateReader(str(plate)).images
