"""Stack: the study's normalization, coordinates that stay with their images, no black images."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile
import xarray as xr
from small_plates import field, name_of

from hcs.domain import columns as col
from hcs.domain.columns import Reason
from hcs.domain.config.stages import IngestConfig, StackConfig
from hcs.errors import InputError, UnknownNameError
from hcs.io import imagewriting
from hcs.io import stack as io_stack
from hcs.io.files.parquet import read_problems
from hcs.io.stack import open_stack
from hcs.stages import ingest, stack


@pytest.fixture
def plate(source, tmp_path):
    """Ingest the plate."""
    out = str(tmp_path / "P1.zarr")
    ingest.run(
        IngestConfig(
            source=str(source.images), out=out, platemap=str(source.platemap), plate_name="P1"
        )
    )
    return out


def config_of(plate, tmp_path, **more):
    given = {"plates": (plate,), "out": str(tmp_path / "stack.zarr"), "image_px": 32}
    return StackConfig.model_validate(given | more)


def test_every_image_has_the_studys_median(plate, tmp_path, cluster):
    result = stack.run(config_of(plate, tmp_path, image_px=64, images_per_shard=5), cluster)
    pixels = open_stack(result.out).read(0, 24)
    assert pixels.shape == (24, 64, 64)
    assert pixels.dtype == np.uint8
    np.testing.assert_array_equal(np.median(pixels, axis=(1, 2)), 63)
    assert pixels.max() == 255


def test_coordinates_say_which_image_it_is(plate, tmp_path, source):
    result = stack.run(config_of(plate, tmp_path, image_px=64))
    opened = open_stack(result.out)
    row = opened.frame.query("Metadata_Well == 'B03' and Metadata_Site == 2")
    assert row[[col.CLONE, col.DONOR, col.DIAGNOSIS]].to_numpy().tolist() == [
        ["C06", "D06", "control"]
    ]
    original = tifffile.imread(source.images / name_of("B", 3, 2)).astype(float)
    expected = np.clip(np.rint(original * 63 / np.median(original)), 0, 255)
    found = opened.read(row.index[0], row.index[0] + 1)[0]
    np.testing.assert_allclose(found, expected, atol=1)


def test_xarray_opens_it(plate, tmp_path):
    result = stack.run(config_of(plate, tmp_path))
    dataset = open_stack(result.out).open_tree()["P1"]
    assert dataset["images"].dims == ("image", "y", "x")
    assert {"plate", "well", "site", "clone", "donor", "diagnosis", "batch"} <= set(dataset.coords)


def test_a_zero_median_is_named_and_left_out(source, plate, tmp_path):
    dark = field(3)
    dark[: dark.shape[0] // 2 + 2] = 0
    tifffile.imwrite(source.images / name_of("A", 1, 1), dark)
    ingest.run(IngestConfig(source=str(source.images), out=plate, plate_name="P1"))
    result = stack.run(config_of(plate, tmp_path))
    assert [(item.reason, item.well, item.site) for item in result.problems] == [
        (Reason.ZERO_MEDIAN, "A01", 1)
    ]
    opened = open_stack(result.out)
    assert opened.n_images == 23
    assert opened.read(0, 23).reshape(23, -1).max(axis=1).min() > 0


def test_a_plate_that_holds_nothing_usable_is_refused(tmp_path):
    folder = tmp_path / "dark"
    folder.mkdir()
    dark = np.zeros((64, 64), np.uint16)
    dark[0, 0] = 9
    tifffile.imwrite(folder / name_of("A", 1, 1), dark)
    out = str(tmp_path / "P.zarr")
    ingest.run(IngestConfig(source=str(folder), out=out))
    config = config_of(out, tmp_path)
    with pytest.raises(InputError, match="the median is 0"):
        stack.run(config)
    assert read_problems(config.out)["reason"].tolist() == [Reason.ZERO_MEDIAN]


def test_unknown_channel_names_those_that_exist(plate, tmp_path):
    with pytest.raises(UnknownNameError, match="no channel 'TH'; plate P1 has 'Blue - FITC'"):
        stack.run(config_of(plate, tmp_path, channel="TH"))


def test_second_run_does_nothing_and_other_settings_redo_all(plate, tmp_path):
    stack.run(config_of(plate, tmp_path, images_per_shard=8))
    again = stack.run(config_of(plate, tmp_path, images_per_shard=8))
    assert (again.n_run, again.n_skipped) == (0, 3)
    other = stack.run(config_of(plate, tmp_path, images_per_shard=8, median_level=80))
    assert other.n_run == 3


def test_only_blocks_with_changed_images_are_done_again(source, plate, tmp_path):
    stack.run(config_of(plate, tmp_path, images_per_shard=8))
    tifffile.imwrite(source.images / name_of("A", 1, 1), field(77))
    ingest.run(
        IngestConfig(
            source=str(source.images), out=plate, platemap=str(source.platemap), plate_name="P1"
        )
    )
    again = stack.run(config_of(plate, tmp_path, images_per_shard=8))
    assert (again.n_run, again.n_skipped) == (1, 2)


def test_a_block_larger_than_a_shard_is_refused(plate, tmp_path):
    result = stack.run(config_of(plate, tmp_path, images_per_shard=8))
    layout = io_stack.layout(32, 8)
    with pytest.raises(InputError, match="is no shard of 8 images"):
        imagewriting.write_shard(result.out, layout, "P1", 0, np.zeros((9, 32, 32), np.uint8))


def test_columns_come_in_one_order_whatever_the_file_system_lists(plate, tmp_path, monkeypatch):
    result = stack.run(config_of(plate, tmp_path))
    usual = open_stack(result.out).frame
    opened = xr.open_zarr

    def backwards(*args, **kwargs):
        dataset = opened(*args, **kwargs)
        return dataset[list(dataset.variables)[::-1]]

    monkeypatch.setattr(xr, "open_zarr", backwards)
    assert list(open_stack(result.out).frame.columns) == list(usual.columns)
