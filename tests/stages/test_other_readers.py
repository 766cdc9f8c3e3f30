"""Plates that others open: every format, in ome-zarr-models, ngio, ome-zarr-py and napari."""

from __future__ import annotations

import os
import sys
import warnings
from importlib import import_module

import numpy as np
import pandas as pd
import pytest
import tifffile
from small_plates import name_of

from hcs.domain import columns as col
from hcs.domain.config.stages import IngestConfig
from hcs.domain.wells import PlateFormat, Well
from hcs.io.plates import plate
from hcs.io.plates.reader import PlateReader
from hcs.stages import ingest

SHAPE = (300, 280)
PIXEL_UM = 0.65
CHANNELS = ("Blue - FITC", "UV - DAPI")
FORMATS = (24, 96, 384, 1536)


def needed(name):
    """Import a package of the test group; only where CI runs must it be there."""
    if not os.environ.get("CI"):
        return pytest.importorskip(name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # napari's own settings warn while they are imported
        return import_module(name)


def pixels_of(well: Well, site: int, channel: int) -> np.ndarray:
    """Draw an image that no other well, site and channel has."""
    image = np.full(SHAPE, 1000 + 100 * well.row + well.column, np.uint16)
    image[:40, :40] += np.uint16(10_000 * channel + 7 * site)
    return image


def corners(plate_format: PlateFormat) -> list[Well]:
    last = Well(plate_format.n_rows - 1, plate_format.n_columns - 1)
    return [Well(0, 0), Well(0, last.column), Well(1, 2), Well(last.row, 0), last]


@pytest.fixture(scope="module", params=FORMATS, ids=[f"{n}-wells" for n in FORMATS])
def made(request, tmp_path_factory):
    """Write a plate with two channels, two fields a well, labels and a plate map."""
    plate_format = PlateFormat.of_size(request.param)
    folder = tmp_path_factory.mktemp(f"plate{request.param}")
    (folder / "tiffs").mkdir()
    lines = ["well,clone,diagnosis"]
    for number, well in enumerate(corners(plate_format)):
        for site in (1, 2):
            for index, channel in enumerate(CHANNELS):
                name = name_of(well.path.split("/")[0], well.column + 1, site, channel)
                tifffile.imwrite(folder / "tiffs" / name, pixels_of(well, site, index))
        lines.append(f"{well.name},C{number},{('ALS', 'control')[number % 2]}")
    (folder / "wells.csv").write_text("\n".join(lines) + "\n")
    config = IngestConfig.model_validate(
        {
            "source": str(folder / "tiffs"), "out": str(folder / "P1.zarr"), "plate_name": "P1",
            "platemap": str(folder / "wells.csv"), "plate_wells": request.param,
            "pixel_size_um": PIXEL_UM,
        }
    )  # fmt: skip
    result = ingest.run(config)
    assert result.problems == ()
    for path in PlateReader(result.out).images[col.FIELD_PATH]:
        labels = np.zeros(SHAPE, np.uint32)
        labels[:40, :40] = 7
        plate.write_label(result.out, path, "soma", labels, PIXEL_UM)
    return result.out, plate_format


def test_ome_zarr_models_validates(made, monkeypatch, capsys):
    from ome_zarr_models import _cli

    monkeypatch.setattr(sys, "argv", ["ome-zarr-models", "validate", made[0]])
    _cli.main()
    assert "Valid" in capsys.readouterr().out
    monkeypatch.setattr(
        sys, "argv", ["ome-zarr-models", "validate", made[0] + "/A/1/0/labels/soma"]
    )
    _cli.main()


def test_ngio_opens_plate_images_labels_and_tables(made):
    import ngio

    out, plate_format = made
    opened = ngio.open_ome_zarr_plate(out)
    assert sorted(opened.wells_paths()) == sorted(well.path for well in corners(plate_format))
    assert sorted(opened.list_tables()) == ["images", "wells"]
    wells = opened.get_table("wells").dataframe
    images = opened.get_table("images").dataframe
    assert isinstance(wells, pd.DataFrame)
    assert sorted(wells[col.WELL]) == sorted(well.name for well in corners(plate_format))
    assert len(images) == 10
    last = corners(plate_format)[-1]
    container = opened.get_image(last.path.split("/")[0], last.column + 1, "1")
    image = container.get_image()
    assert image.shape == (2, *SHAPE)
    assert image.pixel_size.x == pytest.approx(PIXEL_UM)
    assert list(image.channel_labels) == list(CHANNELS)
    np.testing.assert_array_equal(image.get_as_numpy()[1], pixels_of(last, 2, 1))
    assert container.list_labels() == ["soma"]
    assert container.get_label("soma").get_as_numpy().max() == 7


def test_ome_zarr_py_stitches_the_plate(made):
    from ome_zarr.io import parse_url
    from ome_zarr.reader import Plate, Reader

    out, plate_format = made
    nodes = list(Reader(parse_url(out, mode="r"))())
    found = [node for node in nodes if any(isinstance(spec, Plate) for spec in node.specs)]
    assert len(found) == 1
    full, overview = found[0].data
    shape = (plate_format.n_rows * SHAPE[0], plate_format.n_columns * SHAPE[1])
    assert full.shape == (2, *shape)
    assert overview.shape[-2:] == (plate_format.n_rows * 150, plate_format.n_columns * 140)
    check_tiles(full, plate_format)


def check_tiles(stitched, plate_format):
    """Hold the first field of every well, and a well without images, to where they must be."""
    for well in corners(plate_format):
        y, x = well.row * SHAPE[0], well.column * SHAPE[1]
        for channel in range(2):
            tile = np.asarray(stitched[channel, y : y + SHAPE[0], x : x + SHAPE[1]])
            np.testing.assert_array_equal(tile, pixels_of(well, 1, channel))
    assert not np.asarray(stitched[:, : SHAPE[0], SHAPE[1] : SHAPE[1] + 50]).any()


def test_napari_ome_zarr_reads_without_a_window(made, capsys):
    napari_ome_zarr = needed("napari_ome_zarr")

    out, plate_format = made
    reader = napari_ome_zarr.napari_get_reader(out)
    assert reader is not None
    layers = reader(out)
    assert [kind for _, _, kind in layers] == ["image", "labels"]
    (full, overview), shown, _ = layers[0]
    shape = (plate_format.n_rows * SHAPE[0], plate_format.n_columns * SHAPE[1])
    assert full.shape == (2, *shape)
    assert overview.shape[0] == 2
    assert shown["channel_axis"] == 0
    assert [name.rsplit(": ")[-1] for name in shown["name"]] == list(CHANNELS)
    assert shown["scale"] == pytest.approx([PIXEL_UM, PIXEL_UM])
    assert set(shown["units"]) == {"micrometer"}
    check_tiles(full, plate_format)
    labels = layers[1][0][0]
    assert labels.shape == shape
    assert np.asarray(labels[:40, :40]).min() == 7
    assert layers[1][1]["scale"] == pytest.approx([PIXEL_UM, PIXEL_UM])
    capsys.readouterr()


def test_napari_ome_zarr_reads_one_field(made, capsys):
    napari_ome_zarr = needed("napari_ome_zarr")

    field = made[0] + "/A/1/0"
    layers = napari_ome_zarr.napari_get_reader(field)(field)
    (full, _), shown, kind = layers[0]
    assert (kind, full.shape) == ("image", (2, *SHAPE))
    assert shown["scale"] == pytest.approx([PIXEL_UM, PIXEL_UM])
    assert len(shown["contrast_limits"]) == 2
    capsys.readouterr()


def test_no_reader_needed_a_window(made):
    assert not [name for name in sys.modules if name.startswith(("PyQt", "PySide"))]
