"""Distances of planes and times arrive in the plate as the source states them, or not at all."""

from __future__ import annotations

import json
import os
import warnings
from importlib import import_module

import numpy as np
import pytest
import tifffile

from hcs.domain.config.stages import IngestConfig
from hcs.io.plates.reader import PlateReader
from hcs.stages import ingest

SIDE = 32


def stack(*shape):
    return np.random.default_rng(0).integers(100, 900, (*shape, SIDE, SIDE), np.uint16)


def run(
    folder, pattern=r"(?P<well>[A-H]\d\d)_f(?P<site>\d)(?:_z(?P<z>\d+))?\.(?:ome\.)?tif", **more
):
    config = {
        "source": str(folder / "tiffs"),
        "out": str(folder / "P.zarr"),
        "layout": {"kind": "regex", "pattern": pattern},
    }
    result = ingest.run(IngestConfig.model_validate(config | more))
    return result, read_scale(folder / "P.zarr/A/1/0")


def read_scale(field):
    """Scale and unit of every axis, of level 0."""
    entry = json.loads((field / "zarr.json").read_text())["attributes"]["ome"]["multiscales"][0]
    scale = entry["datasets"][0]["coordinateTransformations"][0]["scale"]
    return {
        axis["name"]: (pytest.approx(step), axis.get("unit"))
        for axis, step in zip(entry["axes"], scale, strict=True)
    }


def write(folder, pixels, name="A01_f1.tif", **how):
    (folder / "tiffs").mkdir(exist_ok=True)
    tifffile.imwrite(folder / "tiffs" / name, pixels, **how)


def test_imagej_spacing_and_interval(tmp_path):
    metadata = {"axes": "TZYX", "spacing": 2.5, "unit": "um", "finterval": 90.0, "fps": 7.0}
    write(tmp_path, stack(3, 4), imagej=True, metadata=metadata, resolution=(1 / 0.65, 1 / 0.65))
    _, scale = run(tmp_path)
    assert scale == {
        "t": (90.0, "second"),
        "c": (1.0, None),
        "z": (2.5, "micrometer"),
        "y": (0.65, "micrometer"),
        "x": (0.65, "micrometer"),
    }
    reader = PlateReader(str(tmp_path / "P.zarr"))
    assert reader.z_positions_um == pytest.approx((0.0, 2.5, 5.0, 7.5))
    assert reader.times_min == pytest.approx((0.0, 1.5, 3.0))


def test_a_spacing_in_pixels_is_none(tmp_path):
    write(tmp_path, stack(3), imagej=True, metadata={"axes": "ZYX", "spacing": 2.5})
    _, scale = run(tmp_path)
    assert scale["z"] == (1.0, None)
    assert PlateReader(str(tmp_path / "P.zarr")).z_positions_um is None


def ome(**more):
    return {"axes": "TZYX", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5, **more}


def test_ome_sizes_with_units(tmp_path):
    metadata = ome(
        PhysicalSizeZ=800.0, PhysicalSizeZUnit="nm", TimeIncrement=5.0, TimeIncrementUnit="min"
    )
    write(tmp_path, stack(2, 3), "A01_f1.ome.tif", metadata=metadata)
    _, scale = run(tmp_path)
    assert (scale["z"], scale["t"]) == ((0.8, "micrometer"), (300.0, "second"))


@pytest.mark.parametrize(
    ("deltas", "unit", "expected", "minutes"),
    [
        pytest.param((0, 600, 1201), "s", (600.5, "second"), (0, 10, 20.016667), id="even"),
        pytest.param((7, 17, 27), "min", (600.0, "second"), (0, 10, 20), id="later-start"),
        pytest.param((0, 600, 3600), "s", (1.0, None), (0, 10, 60), id="uneven"),
        pytest.param((0, 0, 0), "s", (1.0, None), None, id="no-clock"),
    ],
)
def test_times_of_single_planes(tmp_path, deltas, unit, expected, minutes):
    times = [float(value) for value in deltas for _ in range(2)]
    plane = {"DeltaT": times, "DeltaTUnit": [unit] * 6}
    write(tmp_path, stack(3, 2), "A01_f1.ome.tif", metadata=ome(Plane=plane))
    _, scale = run(tmp_path)
    assert scale["t"] == expected
    found = PlateReader(str(tmp_path / "P.zarr")).times_min
    assert found == (None if minutes is None else pytest.approx(minutes, abs=1e-5))


def test_heights_of_single_planes_that_are_uneven_make_no_scale(tmp_path):
    heights = [50.0, 48.0, 40.0]
    plane = {"PositionZ": heights, "PositionZUnit": ["µm"] * 3}
    metadata = {"axes": "ZYX", "PhysicalSizeZ": 2.0, "Plane": plane}
    write(tmp_path, stack(3), "A01_f1.ome.tif", metadata=metadata)
    _, scale = run(tmp_path)
    assert scale["z"] == (1.0, None)
    reader = PlateReader(str(tmp_path / "P.zarr"))
    assert reader.z_positions_um == pytest.approx((0.0, 2.0, 10.0))


def test_planes_in_files_of_their_own_lie_where_their_numbers_say(tmp_path):
    for number in (1, 3, 5):
        metadata = {"axes": "YX", "PhysicalSizeZ": 1.5}
        write(tmp_path, stack(), f"A01_f1_z{number}.ome.tif", metadata=metadata)
    _, scale = run(tmp_path)
    assert scale["z"] == (3.0, "micrometer")
    reader = PlateReader(str(tmp_path / "P.zarr"))
    assert reader.z_positions_um == pytest.approx((0.0, 3.0, 6.0))


def test_fields_that_contradict_each_other_have_no_spacing(tmp_path):
    for site, step in ((1, 1.0), (2, 2.0)):
        metadata = {"axes": "ZYX", "PhysicalSizeZ": step}
        write(tmp_path, stack(3), f"A01_f{site}.ome.tif", metadata=metadata)
    assert run(tmp_path)[1]["z"] == (1.0, None)


def test_a_projected_plate_has_no_third_axis(tmp_path):
    write(tmp_path, stack(3), imagej=True, metadata={"axes": "ZYX", "spacing": 2, "unit": "um"})
    _, scale = run(tmp_path, projection="max")
    assert set(scale) == {"c", "y", "x"}


def test_an_ome_tiff_plate_and_ngio(tmp_path):
    xml = """<?xml version="1.0" encoding="UTF-8"?>
    <OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Plate ID="Plate:0" Name="P"
    Rows="8" Columns="12"><Well ID="Well:0" Row="0" Column="0"><WellSample ID="WellSample:0"
    Index="0"><ImageRef ID="Image:0"/></WellSample></Well></Plate><Image ID="Image:0"><Pixels
    ID="Pixels:0" DimensionOrder="XYZCT" Type="uint16" SizeX="32" SizeY="32" SizeZ="2" SizeC="1"
    SizeT="3" PhysicalSizeX="0.5" PhysicalSizeY="0.5" PhysicalSizeZ="4" TimeIncrement="2"
    TimeIncrementUnit="h"><Channel ID="Channel:0:0" Name="DAPI" SamplesPerPixel="1"/><TiffData
    /></Pixels></Image></OME>"""
    write(tmp_path, stack(3, 2), "any.ome.tif", description=xml.encode(), metadata=None)
    result = ingest.run(IngestConfig(source=str(tmp_path / "tiffs"), out=str(tmp_path / "P.zarr")))
    assert result.problems == ()
    scale = read_scale(tmp_path / "P.zarr/A/1/0")
    assert (scale["z"], scale["t"]) == ((4.0, "micrometer"), (7200.0, "second"))
    if not os.environ.get("CI"):
        ngio = pytest.importorskip("ngio")
    else:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ngio = import_module("ngio")
    image = ngio.open_ome_zarr_container(str(tmp_path / "P.zarr/A/1/0")).get_image()
    assert (image.pixel_size.z, image.pixel_size.t) == (4.0, 7200.0)
    assert str(image.time_unit) == "second"
