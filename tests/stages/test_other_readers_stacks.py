"""Time-lapses, ragged stacks and projected plates in ome-zarr-models, ngio, ome-zarr-py, napari."""

from __future__ import annotations

import os
import sys
import warnings
from importlib import import_module

import numpy as np
import pytest
import tifffile

from hcs.domain.config.stages import ConvertConfig, IngestConfig
from hcs.stages import convert, ingest

SHAPE = (320, 280)
PATTERN = r"(?P<well>[A-H]\d\d)_(?P<channel>[a-z]+)\.(?:ome\.)?tif"
PIXEL_UM, Z_UM, T_S = 0.5, 2.0, 300.0


def needed(name):
    """Import a package of the test group; only where CI runs must it be there."""
    if not os.environ.get("CI"):
        return pytest.importorskip(name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # napari's own settings warn while they are imported
        return import_module(name)


def planes(*shape, level):
    """Draw planes that differ from one another, a hundred counts each."""
    number = np.arange(int(np.prod(shape))).reshape(*shape, 1, 1)
    ramp = np.tile(np.arange(SHAPE[1]) % 50, (SHAPE[0], 1))
    return (level + 100 * number + ramp).astype(np.uint16)


KINDS = {
    "lapse": {"axes": "TYX", "dapi": planes(3, level=200), "light": planes(3, level=9000)},
    "ragged": {"axes": "ZYX", "dapi": planes(3, level=200), "light": planes(1, level=9000)},
    "projected": {"axes": "ZYX", "dapi": planes(3, level=200), "light": planes(1, level=9000)},
    "both": {"axes": "TZYX", "dapi": planes(2, 3, level=200), "light": planes(2, 3, level=9000)},
}


@pytest.fixture(scope="module", params=list(KINDS))
def made(request, tmp_path_factory):
    """Write a plate of two wells; the second one has the same planes plus one."""
    kind = KINDS[request.param]
    folder = tmp_path_factory.mktemp(request.param)
    (folder / "tiffs").mkdir()
    for number, well in enumerate(("A01", "B02")):
        for channel in ("dapi", "light"):
            pixels = kind[channel] + np.uint16(number)
            axes = kind["axes"] if len(pixels) > 1 else "YX"
            metadata = {"axes": axes, "PhysicalSizeZ": Z_UM, "TimeIncrement": T_S}
            pixels = pixels if len(pixels) > 1 else pixels[0]
            path = folder / "tiffs" / f"{well}_{channel}.ome.tif"
            tifffile.imwrite(path, pixels, metadata=metadata)
    config = {
        "source": str(folder / "tiffs"), "out": str(folder / "P.zarr"), "plate_wells": 96,
        "layout": {"kind": "regex", "pattern": PATTERN}, "pixel_size_um": PIXEL_UM,
        "projection": "max" if request.param == "projected" else "keep",
    }  # fmt: skip
    result = ingest.run(IngestConfig.model_validate(config))
    assert result.problems == ()
    return result.out, request.param


def expected_planes(kind, well):
    """What the plate holds of the second well, ``(c, …, Y, X)`` by channel."""
    dapi, light = (KINDS[kind][channel] + np.uint16(well) for channel in ("dapi", "light"))
    if kind == "projected":
        return np.stack([dapi.max(axis=0), light[0]])
    if kind == "ragged":  # padded: one plane of light, the others were not acquired
        light = np.concatenate([light, np.zeros_like(dapi[1:])])
    return np.stack([dapi, light])


def lay_axes(kind, pixels):
    """Put time first, as in the plate: from ``(c, t, …)``."""
    return np.moveaxis(pixels, 0, 1) if kind in {"lapse", "both"} else pixels


def test_ome_zarr_models(made, monkeypatch, capsys):
    from ome_zarr_models import _cli

    monkeypatch.setattr(sys, "argv", ["ome-zarr-models", "validate", made[0]])
    _cli.main()
    assert "Valid" in capsys.readouterr().out


def test_ngio_reads_every_plane_and_its_place(made):
    ngio = needed("ngio")
    out, kind = made
    image = ngio.open_ome_zarr_plate(out).get_image("B", 2, "0").get_image()
    np.testing.assert_array_equal(image.get_as_numpy(), lay_axes(kind, expected_planes(kind, 1)))
    size = image.pixel_size
    assert (size.y, size.x) == (PIXEL_UM, PIXEL_UM)
    if kind in {"ragged", "both"}:
        assert size.z == Z_UM
    if kind in {"lapse", "both"}:
        assert (size.t, str(image.time_unit)) == (T_S, "second")


def test_ome_zarr_py_reads_every_plane(made):
    from ome_zarr.io import parse_url
    from ome_zarr.reader import Reader

    out, kind = made
    (node,) = list(Reader(parse_url(f"{out}/B/2/0", mode="r"))())
    expected = lay_axes(kind, expected_planes(kind, 1))
    np.testing.assert_array_equal(np.asarray(node.data[0]), expected)
    assert len(node.data) == 2
    full = next(iter(Reader(parse_url(out, mode="r"))())).data[0]
    assert full.shape == (*expected.shape[:-2], 8 * SHAPE[0], 12 * SHAPE[1])
    tile = np.asarray(full[..., SHAPE[0] : 2 * SHAPE[0], SHAPE[1] : 2 * SHAPE[1]])
    np.testing.assert_array_equal(tile, expected)


def test_napari_shows_every_channel_between_its_own_values(made, capsys):
    napari_ome_zarr = needed("napari_ome_zarr")
    out, kind = made
    field = f"{out}/B/2/0"
    ((pixels, shown, layer),) = napari_ome_zarr.napari_get_reader(field)(field)
    assert (layer, pixels[0].shape[-2:]) == ("image", SHAPE)
    dapi, light = shown["contrast_limits"]
    top = {"lapse": 449, "ragged": 449, "projected": 449, "both": 749}[kind]
    assert 200 <= dapi[0] < dapi[1] <= top + 1
    assert dapi[1] > top - 100
    assert 9000 <= light[0] < light[1] <= 9600
    spatial = [PIXEL_UM, PIXEL_UM]
    steps = {"lapse": [T_S], "ragged": [Z_UM], "projected": [], "both": [T_S, Z_UM]}[kind]
    assert shown["scale"] == pytest.approx([*steps, *spatial])
    capsys.readouterr()


def test_the_plate_converted_to_0_4_is_read_alike(made, tmp_path, monkeypatch, capsys):
    """OMERO and older programs take 0.4 only: the same pixels, names and spacing there."""
    import ngio
    from ome_zarr.io import parse_url
    from ome_zarr.reader import Reader
    from ome_zarr_models import _cli

    out, kind = made
    config = ConvertConfig(plate=out, out=str(tmp_path / "old.zarr"))
    assert convert.run(config).problems == ()
    field = f"{config.out}/B/2/0"
    for inside in (config.out, field):
        monkeypatch.setattr(sys, "argv", ["ome-zarr-models", "validate", inside])
        _cli.main()
    expected = np.squeeze(lay_axes(kind, expected_planes(kind, 1)))
    (node,) = list(Reader(parse_url(field, mode="r"))())
    np.testing.assert_array_equal(np.squeeze(np.asarray(node.data[0])), expected)
    image = ngio.open_ome_zarr_plate(config.out).get_image("B", 2, "0").get_image()
    np.testing.assert_array_equal(np.squeeze(image.get_as_numpy()), expected)
    assert image.pixel_size.x == pytest.approx(PIXEL_UM)
    ((pixels, shown, layer),) = needed("napari_ome_zarr").napari_get_reader(field)(field)
    assert layer == "image"
    np.testing.assert_array_equal(np.squeeze(np.asarray(pixels[0])), expected)
    steps = {"lapse": [T_S], "ragged": [Z_UM], "projected": [], "both": [T_S, Z_UM]}[kind]
    assert [step for step in shown["scale"] if step != 1] == pytest.approx(
        [*steps, PIXEL_UM, PIXEL_UM]
    )
    capsys.readouterr()
