"""Pyramids of images and labels lie where their metadata say, at every level."""

from __future__ import annotations

import os
import warnings
from importlib import import_module

import numpy as np
import pytest
import zarr

from hcs.domain import ngff
from hcs.domain.display import Window
from hcs.domain.plate import Channel
from hcs.domain.wells import PlateFormat
from hcs.io.plates import plate
from hcs.ops.resizing import downsample_mean

PIXEL_UM = 0.4
SHAPES = [pytest.param((1024, 1024), id="whole-blocks"), pytest.param((601, 523), id="cut-blocks")]


def write_field(folder, label):
    """Write a field that is bright where the label is, and the label."""
    out = str(folder / "P.zarr")
    well = PlateFormat.WELLS_96.wells()[0]
    plate.create_plate(out, ngff.plate_attributes("P", PlateFormat.WELLS_96, [well], 1), ["A"])
    plate.write_well(out, well, ["0"])
    pixels = (label > 0).astype(np.uint16) * 1000
    levels = ngff.pyramid((1, *label.shape), 2)
    attributes = ngff.image_attributes(
        "P A01", ("c", "y", "x"), levels, [Channel(name="TUJ1")],
        spacing=ngff.Spacing(PIXEL_UM), windows=[Window(0, 1000, 0, 1000)],
    )  # fmt: skip
    pictures = [(level, downsample_mean(pixels, level.factor)[None]) for level in levels]
    plate.write_image(out, "A/1/0", attributes, pictures, ("c", "y", "x"))
    plate.write_label(out, "A/1/0", "soma", label, PIXEL_UM)
    return out


def read_levels(out, path):
    """Every level with the place in µm of its first pixel and the distance between pixels."""
    group = zarr.open_group(out, path=path, mode="r")
    found = []
    for dataset in group.attrs["ome"]["multiscales"][0]["datasets"]:
        transforms = {item["type"]: item for item in dataset["coordinateTransformations"]}
        scale = np.array(transforms["scale"]["scale"][-2:])
        start = np.array(transforms.get("translation", {"translation": [0, 0]})["translation"][-2:])
        found.append((np.squeeze(group[dataset["path"]][...]), scale, start))
    return found


@pytest.mark.parametrize("shape", SHAPES)
def test_every_pixel_of_a_label_is_the_acquired_one_at_its_place(tmp_path, shape):
    label = np.arange(shape[0] * shape[1], dtype=np.uint32).reshape(shape)
    out = write_field(tmp_path, label)
    levels = read_levels(out, "A/1/0/labels/soma")
    assert len(levels) > 1
    for pixels, scale, start in levels:
        place = np.stack(np.indices(pixels.shape), axis=-1) * scale + start
        source = place / PIXEL_UM
        assert np.abs(source - np.rint(source)).max() < 1e-6  # on a pixel, never between two
        at = np.minimum(np.rint(source).astype(int), np.array(shape) - 1)
        np.testing.assert_array_equal(pixels, label[at[..., 0], at[..., 1]])
        # A block that the edge cuts is stood for by a pixel of its own.
        assert (np.rint(source) - at).max() < scale[0] / PIXEL_UM / 2


@pytest.mark.parametrize("shape", SHAPES)
def test_a_label_lies_over_its_image_at_every_level(tmp_path, shape):
    label = np.zeros(shape, np.uint32)
    label[208:272, 112:208] = 5
    out = write_field(tmp_path, label)
    low, high = np.array([208, 112]) * PIXEL_UM, np.array([271, 207]) * PIXEL_UM
    soma, image = read_levels(out, "A/1/0/labels/soma"), read_levels(out, "A/1/0")
    for (pixels, scale, start), (picture, image_scale, image_start) in zip(
        soma, image, strict=True
    ):
        inside = np.argwhere(pixels == 5)
        for found, true in ((inside.min(axis=0), low), (inside.max(axis=0), high)):
            assert (np.abs(found * scale + start - true) < scale).all()
        weight = np.stack(np.nonzero(picture), axis=-1).mean(axis=0)
        middle = (low + high) / 2
        np.testing.assert_allclose(weight * image_scale + image_start, middle, atol=1e-6)
        # Readers that go by the number of a pixel see one over the other as well.
        np.testing.assert_array_equal(pixels == 5, picture > 500)


def needed(name):
    """Import a package of the test group; only where CI runs must it be there."""
    if not os.environ.get("CI"):
        return pytest.importorskip(name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return import_module(name)


def test_others_read_the_same_places(tmp_path):
    label = np.zeros((600, 600), np.uint32)
    label[100:164, 300:364] = 9
    out = write_field(tmp_path, label)
    ngio = needed("ngio")
    container = ngio.open_ome_zarr_container(f"{out}/A/1/0")
    coarse = container.get_label("soma", path="1")
    assert coarse.dataset.scale == pytest.approx((4 * PIXEL_UM, 4 * PIXEL_UM))
    assert coarse.dataset.translation == pytest.approx((PIXEL_UM, PIXEL_UM))
    inside = np.argwhere(coarse.get_as_numpy() == 9)
    first = inside.min(axis=0) * coarse.dataset.scale + coarse.dataset.translation
    assert (np.abs(first - np.array([100, 300]) * PIXEL_UM) < 4 * PIXEL_UM).all()

    needed("ome_zarr")
    from ome_zarr.io import parse_url
    from ome_zarr.reader import Reader

    nodes = list(Reader(parse_url(f"{out}/A/1/0/labels/soma", mode="r"))())
    transforms = next(
        node.metadata["coordinateTransformations"]
        for node in nodes
        if node.metadata.get("name") == "soma"
    )
    assert transforms[1][1]["translation"] == pytest.approx([PIXEL_UM, PIXEL_UM])
