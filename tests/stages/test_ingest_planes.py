"""Channels of unlike planes, sizes and types: kept, padded, recorded, and never measured."""

from __future__ import annotations

import errno
import itertools
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
from typer.testing import CliRunner

from hcs.domain import columns as col
from hcs.domain.columns import Reason
from hcs.domain.config.layouts import RegexLayout
from hcs.domain.config.stages import FeaturesConfig, IngestConfig
from hcs.errors import ImageReadError, InputError
from hcs.io.images import tiff
from hcs.io.plates.reader import PlateReader
from hcs.io.plates.validate import faults_of
from hcs.stages import features, ingest
from hcs_cli.app import app

SHAPE = (24, 20)
PATTERN = r"(?P<well>[A-H]\d\d)_(?P<channel>[A-Z]+)(?:_z(?P<z>\d+))?(?:_t(?P<t>\d+))?\.tif"


def pixels(seed: int, shape=SHAPE, dtype="uint16"):
    return np.random.default_rng(seed).integers(1, 250, shape).astype(dtype)


def write(folder: Path, files: dict[str, np.ndarray]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, picture in files.items():
        tifffile.imwrite(folder / f"{name}.tif", picture)


def take(tmp_path: Path, **more):
    config = {
        "source": str(tmp_path / "in"),
        "out": str(tmp_path / "P.zarr"),
        "layout": RegexLayout(pattern=PATTERN),
        "verify": True,
    }
    return ingest.run(IngestConfig.model_validate(config | more))


def z_and_brightfield(z=(1, 2, 3), wells=("A01", "A02", "B01")):
    """DAPI as a stack, brightfield (TL) as one plane."""
    files = {f"{w}_DAPI_z{n}": pixels(100 * i + n) for i, w in enumerate(wells) for n in z}
    return files | {f"{w}_TL": pixels(1000 + i) for i, w in enumerate(wells)}


def test_a_stack_beside_a_single_plane_is_kept_and_padded(tmp_path):
    files = z_and_brightfield()
    write(tmp_path / "in", files)
    result = take(tmp_path)
    assert result.problems == ()
    assert "z 1 alone (--plane z:0)" in result.summary["channel TL"]
    reader = PlateReader(result.out)
    assert (reader.axes, reader.n_z, reader.n_t) == (("c", "z", "y", "x"), 3, 1)
    dapi, tl = (reader.channel_index(name) for name in ("DAPI", "TL"))
    for z in (1, 2, 3):
        found = reader.read_plane("A/2/0", dapi, z_index=z - 1)
        np.testing.assert_array_equal(found, files[f"A02_DAPI_z{z}"])
    np.testing.assert_array_equal(reader.read_plane("A/2/0", tl), files["A02_TL"])
    assert reader.acquired("A/2/0", dapi).tolist() == [[True, True, True]]
    assert reader.acquired("A/2/0", tl).tolist() == [[True, False, False]]
    asked = {"plates": (result.out,), "out": str(tmp_path / "f.parquet"), "channel": "TL"}
    with pytest.raises(InputError, match=r"could be measured: .*z 2 of channel TL was not"):
        features.run(FeaturesConfig.model_validate(asked | {"plane": "z:1"}))
    with pytest.raises(ImageReadError, match="z 2 of channel TL was not acquired") as error:
        reader.read_plane("A/2/0", tl, z_index=1)
    assert error.value.reason == Reason.NOT_ACQUIRED
    row = reader.images.set_index(col.WELL).loc["A02"]
    assert row["Image_Intensity_MinIntensity_TL"] == files["A02_TL"].min() > 0
    assert faults_of(result.out) == []


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("max", lambda stack: stack.max(axis=0)),
        ("mean", lambda stack: np.rint(stack.mean(axis=0))),
        ("focus", lambda stack: stack[np.argmax([p.var() / p.mean() for p in stack])]),
    ],
)
def test_a_projection_takes_the_planes_that_a_channel_has(tmp_path, how, expected):
    files = z_and_brightfield()
    write(tmp_path / "in", files)
    result = take(tmp_path, projection=how)
    assert result.problems == ()
    reader = PlateReader(result.out)
    assert (reader.axes, reader.n_z) == (("c", "y", "x"), 1)
    stack = np.stack([files[f"B01_DAPI_z{z}"] for z in (1, 2, 3)])
    dapi, tl = (reader.channel_index(name) for name in ("DAPI", "TL"))
    np.testing.assert_array_equal(reader.read_plane("B/1/0", dapi), expected(stack))
    np.testing.assert_array_equal(reader.read_plane("B/1/0", tl), files["B01_TL"])
    assert reader.acquired("B/1/0", tl).tolist() == [[True]]


def test_a_channel_of_the_last_time_point_alone_is_kept_there(tmp_path):
    wells, times = ("A01", "A02"), (0, 5, 10)
    files = {f"{w}_TL_t{t}": pixels(10 * i + t) for i, w in enumerate(wells) for t in times}
    files |= {f"{w}_DAPI_t10": pixels(90 + i) for i, w in enumerate(wells)}
    write(tmp_path / "in", files)
    result = take(tmp_path)
    assert result.problems == ()
    reader = PlateReader(result.out)
    assert (reader.n_t, reader.n_z) == (3, 1)
    dapi, tl = (reader.channel_index(name) for name in ("DAPI", "TL"))
    assert reader.acquired("A/1/0", dapi).tolist() == [[False], [False], [True]]
    found = reader.read_plane("A/2/0", dapi, t_index=2)
    np.testing.assert_array_equal(found, files["A02_DAPI_t10"])
    np.testing.assert_array_equal(reader.read_plane("A/2/0", tl, t_index=1), files["A02_TL_t5"])
    with pytest.raises(ImageReadError, match="time 0 of channel DAPI was not acquired"):
        reader.read_plane("A/1/0", dapi)


def test_a_plane_that_most_fields_have_is_missing_and_named(tmp_path):
    files = z_and_brightfield()
    del files["A02_DAPI_z2"]
    write(tmp_path / "in", files)
    result = take(tmp_path)
    (problem,) = result.problems
    assert (problem.reason, problem.well, problem.kept) == (Reason.MISSING_FILE, "A02", True)
    assert "channel DAPI lacks z 2" in problem.message
    reader = PlateReader(result.out)
    dapi = reader.channel_index("DAPI")
    assert reader.acquired("A/2/0", dapi).tolist() == [[True, False, True]]
    with pytest.raises(ImageReadError, match="missing in the source") as error:
        reader.read_plane("A/2/0", dapi, z_index=1)
    assert error.value.reason == Reason.MISSING_FILE


def test_a_stack_that_lacks_a_plane_is_not_projected(tmp_path):
    files = z_and_brightfield()
    del files["A02_DAPI_z2"]
    write(tmp_path / "in", files)
    result = take(tmp_path, projection="max")
    assert {problem.well for problem in result.problems} == {"A02"}
    assert any("z 2, so it is not projected" in problem.message for problem in result.problems)
    reader = PlateReader(result.out)
    dapi, tl = (reader.channel_index(name) for name in ("DAPI", "TL"))
    with pytest.raises(ImageReadError, match="missing in the source"):
        reader.read_plane("A/2/0", dapi)
    np.testing.assert_array_equal(reader.read_plane("A/2/0", tl), files["A02_TL"])


def test_a_damaged_plane_of_a_stack_is_named_and_the_others_are_kept(tmp_path):
    files = z_and_brightfield()
    write(tmp_path / "in", files)
    bad = tmp_path / "in/A01_DAPI_z3.tif"
    bad.write_bytes(bad.read_bytes()[:-100])
    result = take(tmp_path)
    (problem,) = result.problems
    assert (problem.reason, problem.file, problem.kept) == (Reason.TRUNCATED, bad.name, True)
    reader = PlateReader(result.out)
    dapi = reader.channel_index("DAPI")
    assert reader.acquired("A/1/0", dapi).tolist() == [[True, True, False]]
    assert not reader.level("A/1/0", 0)[dapi, 2].any()


def test_a_field_without_a_channel_that_most_have_keeps_the_others(tmp_path):
    files = z_and_brightfield()
    del files["A02_TL"]
    write(tmp_path / "in", files)
    result = take(tmp_path)
    (problem,) = result.problems
    assert (problem.reason, problem.well, problem.kept) == (Reason.MISSING_CHANNEL, "A02", True)
    assert "channel TL has no image in this field, which" in problem.message
    reader = PlateReader(result.out)
    dapi, tl = (reader.channel_index(name) for name in ("DAPI", "TL"))
    for z in (1, 2, 3):
        found = reader.read_plane("A/2/0", dapi, z_index=z - 1)
        np.testing.assert_array_equal(found, files[f"A02_DAPI_z{z}"])
    with pytest.raises(ImageReadError, match="missing in the source"):
        reader.read_plane("A/2/0", tl)
    assert faults_of(result.out) == []
    asked = {"plates": (result.out,), "out": str(tmp_path / "f.parquet"), "channel": "TL"}
    measured = features.run(FeaturesConfig.model_validate(asked | {"plane": "z:0"}))
    assert [(p.reason, p.well) for p in measured.problems] == [(Reason.MISSING_FILE, "A02")]
    assert pd.read_parquet(measured.out)[col.WELL].tolist() == ["A01", "B01"]


def test_a_channel_that_few_fields_have_is_recorded_as_not_acquired_in_the_others(tmp_path):
    files = z_and_brightfield()
    del files["A02_TL"], files["B01_TL"]
    write(tmp_path / "in", files)
    result = take(tmp_path, projection="max")
    assert [(p.reason, p.well, p.kept) for p in result.problems] == [
        (Reason.MISSING_CHANNEL, "A02", True),
        (Reason.MISSING_CHANNEL, "B01", True),
    ]
    reader = PlateReader(result.out)
    dapi, tl = (reader.channel_index(name) for name in ("DAPI", "TL"))
    highest = np.max([files[f"A02_DAPI_z{z}"] for z in (1, 2, 3)], axis=0)
    np.testing.assert_array_equal(reader.read_plane("A/2/0", dapi), highest)
    np.testing.assert_array_equal(reader.read_plane("A/1/0", tl), files["A01_TL"])
    with pytest.raises(ImageReadError, match="was not acquired"):
        reader.read_plane("A/2/0", tl)
    copy = take(tmp_path, source=result.out, out=str(tmp_path / "Q.zarr"), layout={"kind": "auto"})
    assert {(p.reason, p.well, p.kept) for p in copy.problems} == {
        (p.reason, p.well, p.kept) for p in result.problems
    }
    again = PlateReader(copy.out)
    assert again.acquired("A/2/0", tl).tolist() == [[False]]
    assert again.missing("A/2/0", tl).tolist() == [[False]]


def test_a_channel_whose_only_file_is_damaged_keeps_the_others(tmp_path):
    files = z_and_brightfield()
    write(tmp_path / "in", files)
    (tmp_path / "in/A01_TL.tif").write_bytes(b"II*\0 and no more")
    result = take(tmp_path)
    (problem,) = result.problems
    assert (problem.file, problem.well, problem.kept) == ("A01_TL.tif", "A01", True)
    reader = PlateReader(result.out)
    tl = reader.channel_index("TL")
    assert reader.missing("A/1/0", tl).tolist()[0][0]
    with pytest.raises(ImageReadError, match="missing in the source"):
        reader.read_plane("A/1/0", tl)


def test_channels_of_other_binning_and_depth_lie_on_each_other(tmp_path):
    files = {}
    for i, well in enumerate(("A01", "A02")):
        files[f"{well}_DAPI"] = pixels(i, (32, 40))
        files[f"{well}_TL"] = pixels(10 + i, (16, 20), "uint8")
    write(tmp_path / "in", files)
    result = take(tmp_path)
    assert result.problems == ()
    assert "binned 2 × 2" in result.summary["channel TL"]
    assert "uint8" in result.summary["channel TL"]
    reader = PlateReader(result.out)
    dapi, tl = (reader.channel_index(name) for name in ("DAPI", "TL"))
    assert (reader.binning(dapi), reader.binning(tl)) == (1, 2)
    found = reader.read_plane("A/2/0", tl)
    assert found.dtype == np.uint16
    np.testing.assert_array_equal(found[::2, ::2], files["A02_TL"])
    np.testing.assert_array_equal(found, np.kron(files["A02_TL"], np.ones((2, 2))))
    np.testing.assert_array_equal(reader.read_plane("A/2/0", dapi), files["A02_DAPI"])


def test_a_channel_that_no_binning_fits_is_left_out_and_named(tmp_path):
    files = {}
    for i, well in enumerate(("A01", "A02")):
        files[f"{well}_DAPI"] = pixels(i, (30, 40))
        files[f"{well}_FITC"] = pixels(5 + i, (30, 40))
        files[f"{well}_TL"] = pixels(10 + i, (20, 25))
    write(tmp_path / "in", files)
    result = take(tmp_path)
    (problem,) = result.problems
    assert problem.reason is Reason.WRONG_SHAPE
    assert "channel TL is left out: its 2 images are 20 × 25" in problem.message
    reader = PlateReader(result.out)
    assert reader.channels == ("DAPI", "FITC")
    np.testing.assert_array_equal(reader.read_plane("A/2/0", 1), files["A02_FITC"])


def test_numbers_of_z_are_kept_in_any_counting(tmp_path):
    files = z_and_brightfield(z=(1, 3, 5))
    write(tmp_path / "in", files)
    result = take(tmp_path)
    assert result.problems == ()
    reader = PlateReader(result.out)
    assert reader.n_z == 3
    found = reader.read_plane("A/1/0", reader.channel_index("DAPI"), z_index=2)
    np.testing.assert_array_equal(found, files["A01_DAPI_z5"])
    notes = json.loads(Path(result.out, "zarr.json").read_text())["attributes"]["hcs"]
    assert notes["planes"]["z"] == [1, 3, 5]


def test_heights_and_times_that_names_state_are_kept_with_their_units(tmp_path):
    files = {
        f"A01_z{z}um_{t}h": pixels(number)
        for number, (z, t) in enumerate(itertools.product(("-2.5", "0", "2.5"), (0, 6)))
    }
    write(tmp_path / "in", files)
    pattern = r"(?P<well>[A-H]\d\d)_z(?P<z_um>[-.\d]+)um_(?P<t_h>\d+)h\.tif"
    result = take(tmp_path, layout=RegexLayout(pattern=pattern))
    assert result.problems == ()
    reader = PlateReader(result.out)
    assert (reader.z_positions_um, reader.times_min) == ((-2.5, 0, 2.5), (0, 360))
    found = reader.read_plane("A/1/0", 0, z_index=2, t_index=1)
    np.testing.assert_array_equal(found, files["A01_z2.5um_6h"])


def test_an_expression_numbers_planes_once():
    with pytest.raises(ValueError, match="say the same thing"):
        RegexLayout(pattern=r"(?P<well>A1)_(?P<t>\d)_(?P<t_min>\d)\.tif")


def test_a_second_run_of_a_padded_plate_does_nothing_and_knows_its_padding(tmp_path):
    files = z_and_brightfield()
    del files["A02_DAPI_z2"]
    write(tmp_path / "in", files)
    first = take(tmp_path)
    again = take(tmp_path)
    assert (again.n_run, again.problems) == (0, first.problems)
    write(tmp_path / "in", {"A02_DAPI_z2": pixels(7)})
    mended = take(tmp_path)
    assert (mended.n_run, mended.problems) == (1, ())
    reader = PlateReader(mended.out)
    np.testing.assert_array_equal(reader.read_plane("A/2/0", 0, z_index=1), pixels(7))


def test_verifying_finds_padding_that_is_noted_wrongly(tmp_path):
    write(tmp_path / "in", z_and_brightfield())
    result = take(tmp_path)
    assert result.summary["verified"] == "all pixels as in the source"
    document = Path(result.out, "A/2/0/zarr.json")
    text = document.read_text()
    assert "not_acquired" in text
    document.write_text(text.replace("not_acquired", "acquired_not"))
    (problem,) = take(tmp_path).problems
    assert (problem.reason, problem.file) == (Reason.CHECKSUM, "A/2/0")


@pytest.mark.parametrize("command", ["info", "validate"])
def test_a_plate_that_failed_half_way_says_what_to_run(tmp_path, command):
    write(tmp_path / "in", {"A01_DAPI": pixels(1)})
    file = tmp_path / "in/A01_DAPI.tif"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(InputError, match="no image of"):
        take(tmp_path)
    shown = CliRunner().invoke(app, [command, str(tmp_path / "P.zarr")])
    assert shown.exit_code == 1
    assert "left unfinished by a run of hcs ingest" in shown.output
    assert f"run hcs ingest {tmp_path / 'in'} {tmp_path / 'P.zarr'} again" in shown.output
    write(tmp_path / "in", {"A01_TL": pixels(3)})
    assert take(tmp_path).summary["fields"] == 1
    assert CliRunner().invoke(app, [command, str(tmp_path / "P.zarr")]).exit_code == 0


def test_a_file_that_could_not_be_read_for_a_time_is_tried_again(tmp_path, monkeypatch):
    folder = tmp_path / "in"
    folder.mkdir()
    pixels = np.random.default_rng(4).integers(1, 999, (2, 16, 16), "uint16")
    for site in range(2):
        tifffile.imwrite(folder / f"A01_f{site}.tif", pixels[site])
    pattern = r"(?P<well>[A-H]\d\d)_f(?P<site>\d)\.tif"
    config = IngestConfig(
        source=str(folder), out=str(tmp_path / "P.zarr"), layout=RegexLayout(pattern=pattern)
    )
    open_regular = tiff.open_regular

    def deny(path, *what):
        if str(path).endswith("f1.tif"):
            raise PermissionError(errno.EACCES, "Permission denied")
        return open_regular(path, *what)

    with monkeypatch.context() as patch:
        patch.setattr(tiff, "open_regular", deny)
        for _ in range(2):
            result = ingest.run(config)
            assert [(p.site, p.kept) for p in result.problems] == [(1, False)]
            assert "Permission denied" in result.problems[0].message
    result = ingest.run(config)
    assert (result.n_run, result.problems) == (1, ())
    assert (PlateReader(result.out).read_plane("A/1/1", 0) == pixels[1]).all()
    assert ingest.run(config).n_run == 0
