"""Ingest: plates as DESIGN says, resumable, every fault named and nothing shifted."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
from small_plates import field, name_of
from typer.testing import CliRunner

from hcs.domain import columns as col
from hcs.domain.columns import Reason
from hcs.domain.config.stages import IngestConfig
from hcs.errors import FaultsError, ImageReadError, LockedError, NotFoundError
from hcs.io.files.parquet import read_problems
from hcs.io.plates.overview import read_overview
from hcs.io.plates.reader import PlateReader
from hcs.io.plates.validate import faults_of
from hcs.io.runs.locks import locked
from hcs.stages import ingest
from hcs_cli.app import app


def config_of(source, tmp_path, **more):
    given = {
        "source": str(source.images),
        "out": str(tmp_path / "P1.zarr"),
        "platemap": str(source.platemap),
        "plate_name": "P1",
        "plate_wells": 24,
        "verify": True,
    }
    return IngestConfig.model_validate(given | more)


def reasons_of(result):
    return sorted(problem.reason for problem in result.problems)


def test_pixels_and_metadata_arrive_as_acquired(source, tmp_path, cluster):
    result = ingest.run(config_of(source, tmp_path, pixel_size_um=0.65), cluster)
    assert result.problems == ()
    reader = PlateReader(result.out)
    assert (reader.name, reader.plate_format.n_wells) == ("P1", 24)
    assert reader.channels == ("Blue - FITC",)
    assert reader.pixel_size_um == pytest.approx(0.65)
    assert len(reader.images) == 24
    row = reader.images.query("Metadata_Well == 'B03' and Metadata_Site == 2").iloc[0]
    assert (row[col.CLONE], row[col.DIAGNOSIS], row[col.FIELD_PATH]) == (
        "C06",
        "control",
        "B/3/1",
    )
    expected = tifffile.imread(source.images / name_of("B", 3, 2))
    np.testing.assert_array_equal(reader.read_plane("B/3/1", 0), expected)


def test_plate_is_valid_and_declares_every_row_and_column(source, tmp_path):
    result = ingest.run(config_of(source, tmp_path))
    assert faults_of(result.out) == []
    plate = json.loads(Path(result.out, "zarr.json").read_text())["attributes"]["ome"]["plate"]
    assert plate["version"] == "0.5"
    assert [row["name"] for row in plate["rows"]] == ["A", "B", "C", "D"]
    assert [column["name"] for column in plate["columns"]] == ["1", "2", "3", "4", "5", "6"]
    assert len(plate["wells"]) == 12
    well = json.loads(Path(result.out, "A/1/zarr.json").read_text())["attributes"]["ome"]["well"]
    assert well == {"version": "0.5", "images": [{"path": "0"}, {"path": "1"}]}


def test_no_pixel_size_is_invented(source, tmp_path):
    result = ingest.run(config_of(source, tmp_path))
    assert PlateReader(result.out).pixel_size_um is None
    image = json.loads(Path(result.out, "A/1/0/zarr.json").read_text())["attributes"]["ome"]
    assert all("unit" not in axis for axis in image["multiscales"][0]["axes"])


def test_ngio_opens_the_plate_and_its_tables(source, tmp_path):
    ngio = pytest.importorskip("ngio")
    result = ingest.run(config_of(source, tmp_path, pixel_size_um=0.5))
    plate = ngio.open_ome_zarr_plate(result.out)
    assert sorted(plate.list_tables()) == ["images", "wells"]
    assert len(plate.get_table("images").dataframe) == 24
    image = plate.get_image("A", 1, "0")
    assert image.get_image().shape == (1, 64, 64)
    assert image.get_image().pixel_size.x == pytest.approx(0.5)


def test_ome_zarr_py_reads_the_plate(source, tmp_path):
    reader = pytest.importorskip("ome_zarr.reader")
    from ome_zarr.io import parse_url

    result = ingest.run(config_of(source, tmp_path))
    nodes = list(reader.Reader(parse_url(result.out, mode="r"))())
    assert any(isinstance(spec, reader.Plate) for node in nodes for spec in node.specs)


def test_second_run_does_nothing(source, tmp_path):
    first = ingest.run(config_of(source, tmp_path))
    before = {path: path.stat().st_mtime_ns for path in Path(first.out).rglob("c/**/*")}
    second = ingest.run(config_of(source, tmp_path))
    assert (second.n_run, second.n_skipped) == (0, 12)
    after = {path: path.stat().st_mtime_ns for path in Path(first.out).rglob("c/**/*")}
    assert after == before


def test_only_changed_fields_are_written_again(source, tmp_path):
    result = ingest.run(config_of(source, tmp_path))
    shards = {
        path: path.stat().st_mtime_ns for path in Path(result.out).rglob("c/**/*") if path.is_file()
    }
    changed = source.images / name_of("A", 2, 1)
    tifffile.imwrite(changed, field(99))
    again = ingest.run(config_of(source, tmp_path))
    assert (again.n_run, again.n_skipped) == (1, 11)
    now = {
        path: path.stat().st_mtime_ns for path in Path(result.out).rglob("c/**/*") if path.is_file()
    }
    touched = {
        path.relative_to(result.out).parts[:3] for path in now if shards.get(path) != now[path]
    }
    assert touched == {("A", "2", "0")}
    np.testing.assert_array_equal(PlateReader(result.out).read_plane("A/2/0", 0), field(99))


def test_the_overview_follows_fields_that_change_and_fields_that_come(source, tmp_path):
    """It ends as that of a plate which is written at once, byte for byte."""
    config = config_of(source, tmp_path)
    ingest.run(config)
    tifffile.imwrite(source.images / name_of("A", 2, 1), field(99))
    tifffile.imwrite(source.images / name_of("B", 3, 7), field(98))
    ingest.run(config)
    at_once = ingest.run(config.model_copy(update={"out": str(tmp_path / "at_once.zarr")}))
    wells = sorted(Path(at_once.out, "overview").iterdir())
    assert len(wells) == 13
    for path in wells:
        assert path.read_bytes() == Path(config.out, "overview", path.name).read_bytes(), path.name


def test_the_overview_grows_with_the_plate(source, tmp_path):
    config = config_of(source, tmp_path)
    ingest.run(config)
    before = read_overview(config.out, 0)
    tifffile.imwrite(source.images / name_of("P", 24, 1), field(99))
    ingest.run(config.model_copy(update={"plate_wells": 384}))
    after = read_overview(config.out, 0)
    assert after.shape[:2] == (16, 24)
    assert after[15, 23].any()
    rows, columns = before.shape[:2]
    np.testing.assert_array_equal(after[:rows, :columns], before)


def test_a_deleted_plate_is_written_again(source, tmp_path):
    result = ingest.run(config_of(source, tmp_path))
    shutil.rmtree(result.out)
    assert ingest.run(config_of(source, tmp_path)).n_run == 12


def test_a_missing_field_shifts_nobody(source, tmp_path):
    (source.images / name_of("A", 1, 1)).unlink()
    result = ingest.run(config_of(source, tmp_path))
    images = PlateReader(result.out).images
    paths = images[images[col.WELL] == "A01"][[col.SITE, col.FIELD_PATH]]
    assert paths.to_numpy().tolist() == [[2, "A/1/1"]]


FAULTS = [
    pytest.param(Reason.TRUNCATED, id="truncated"),
    pytest.param(Reason.UNREADABLE, id="text-named-tif"),
    pytest.param(Reason.WRONG_TYPE, id="8-bit"),
    pytest.param(Reason.WRONG_SHAPE, id="other-shape"),
]


def spoil(path: Path, reason: Reason) -> None:
    """Put a faulty image in the place of a good one."""
    if reason is Reason.TRUNCATED:
        path.write_bytes(path.read_bytes()[:-3000])
    elif reason is Reason.UNREADABLE:
        path.write_text("Dear diary, today the microscope\n")
    elif reason is Reason.WRONG_TYPE:
        tifffile.imwrite(path, field(5, dtype="uint8"))
    else:
        tifffile.imwrite(path, field(5, shape=(64, 80)))


@pytest.mark.parametrize("reason", FAULTS)
def test_one_bad_image_is_named_and_the_rest_goes_on(source, tmp_path, reason):
    bad = source.images / name_of("B", 2, 1)
    spoil(bad, reason)
    result = ingest.run(config_of(source, tmp_path))
    assert reasons_of(result) == [reason]
    problem = result.problems[0]
    assert (problem.well, problem.site, problem.kept) == ("B02", 1, False)
    assert bad.name in problem.file
    assert len(PlateReader(result.out).images) == 23
    listed = read_problems(result.out)
    assert listed[["reason", col.WELL]].to_numpy().tolist() == [[reason, "B02"]]
    assert faults_of(result.out) == []


def test_problems_are_still_known_when_nothing_is_left_to_do(source, tmp_path):
    spoil(source.images / name_of("B", 2, 1), Reason.TRUNCATED)
    first = ingest.run(config_of(source, tmp_path))
    second = ingest.run(config_of(source, tmp_path))
    assert second.n_run == 0
    assert second.problems == first.problems


def test_strict_stops_at_the_first_bad_image(source, tmp_path):
    spoil(source.images / name_of("B", 2, 1), Reason.WRONG_TYPE)
    with pytest.raises(ImageReadError, match="uint8"):
        ingest.run(config_of(source, tmp_path, strict=True))


def test_a_duplicate_field_is_named_and_the_first_file_kept(source, tmp_path):
    original = source.images / name_of("A", 1, 1)
    shutil.copy(original, source.images / "A - 01(fld 1 wv Blue - FITC).tif")
    result = ingest.run(config_of(source, tmp_path))
    assert reasons_of(result) == [Reason.DUPLICATE]
    assert len(PlateReader(result.out).images) == 24


def test_wells_of_map_and_images_that_do_not_meet(source, tmp_path):
    lines = source.platemap.read_text().splitlines()
    kept = [line for line in lines if not line.startswith("A1,")]
    source.platemap.write_text("\n".join([*kept, "D6,C99,D99,ALS,B1"]) + "\n")
    result = ingest.run(config_of(source, tmp_path))
    found = {(problem.reason, problem.well, problem.kept) for problem in result.problems}
    assert found == {(Reason.NO_IMAGES, "D06", False), (Reason.NOT_IN_MAP, "A01", True)}
    assert len(PlateReader(result.out).images) == 24


def test_all_faults_of_a_plate_in_one_run_of_the_command(source, tmp_path):
    for column, fault in enumerate(FAULTS, start=1):
        spoil(source.images / name_of("A", column, 1), fault.values[0])
    shutil.copy(
        source.images / name_of("B", 1, 1), source.images / "B - 01(fld 1 wv Blue - FITC).tif"
    )
    lines = source.platemap.read_text().splitlines()
    kept = [line for line in lines if not line.startswith("C4,")]
    source.platemap.write_text("\n".join([*kept, "D6,C99,D99,ALS,B1"]) + "\n")
    out = str(tmp_path / "P1.zarr")
    command = ["ingest", str(source.images), out, "--platemap", str(source.platemap)]
    done = CliRunner().invoke(app, [*command, "--plate-name", "P1", "--cluster", "inline"])
    assert done.exit_code == 3
    named = {
        (Reason.TRUNCATED, "A01"), (Reason.UNREADABLE, "A02"), (Reason.WRONG_TYPE, "A03"),
        (Reason.WRONG_SHAPE, "A04"), (Reason.DUPLICATE, "B01"), (Reason.NO_IMAGES, "D06"),
        (Reason.NOT_IN_MAP, "C04"),
    }  # fmt: skip
    listed = read_problems(out)
    assert set(zip(listed["reason"], listed[col.WELL], strict=True)) == named
    shown = done.stderr.replace("\n", " ")
    assert all(reason in shown and well in shown for reason, well in named)
    assert len(PlateReader(out).images) == 20
    assert faults_of(out) == []


def test_a_constant_image_is_kept_and_named(source, tmp_path):
    tifffile.imwrite(source.images / name_of("A", 1, 1), np.full((64, 64), 7, np.uint16))
    result = ingest.run(config_of(source, tmp_path))
    assert reasons_of(result) == [Reason.CONSTANT]
    assert result.problems[0].kept


def test_a_channel_that_a_field_lacks_is_recorded_never_measured(source, tmp_path):
    for site in (1, 2):
        tifffile.imwrite(source.images / name_of("A", 1, site, "UV - DAPI"), field(3))
    result = ingest.run(config_of(source, tmp_path))
    lacking = [item for item in result.problems if item.reason is Reason.MISSING_CHANNEL]
    assert len(lacking) == 22
    assert all("UV - DAPI" in item.message and item.kept for item in lacking)
    reader = PlateReader(result.out)
    assert (len(reader.images), reader.channels) == (24, ("Blue - FITC", "UV - DAPI"))
    with_all = [path for path in reader.images["field_path"] if reader.acquired(path, 1).all()]
    assert with_all == ["A/1/0", "A/1/1"]
    lacking_rows = reader.images.set_index(col.WELL).loc["A02"]
    assert lacking_rows["Image_Intensity_MedianIntensity_UV - DAPI"].isna().all()


def test_all_faults_of_the_plate_map_come_at_once(source, tmp_path):
    source.platemap.write_text("well,concentration_um\nZZZ,1\nA1,much\nA01,2\n")
    with pytest.raises(FaultsError) as caught:
        ingest.run(config_of(source, tmp_path))
    assert len(caught.value.faults) == 3


def test_no_source_folder(tmp_path):
    with pytest.raises(NotFoundError, match="nowhere"):
        ingest.run(IngestConfig(source=str(tmp_path / "nowhere"), out=str(tmp_path / "P.zarr")))


def test_two_runs_into_one_plate_at_a_time_are_refused(source, tmp_path):
    config = config_of(source, tmp_path)
    with locked(config.out), pytest.raises(LockedError, match="another run"):
        ingest.run(config)


def test_workers_and_one_process_write_the_same_bytes(source, tmp_path, cluster):
    alone = ingest.run(config_of(source, tmp_path))
    other = config_of(source, tmp_path).model_copy(update={"out": str(tmp_path / "P2.zarr")})
    ingest.run(other, cluster)
    files = sorted(
        path.relative_to(alone.out) for path in Path(alone.out).rglob("*") if path.is_file()
    )
    for path in files:
        if path.name == "zarr.json" and len(path.parts) == 1:
            continue  # the plate's own attributes hold the time of the run
        assert Path(alone.out, path).read_bytes() == Path(other.out, path).read_bytes(), path


def test_shards_pyramid_and_file_count(tmp_path):
    folder = tmp_path / "one"
    folder.mkdir()
    image = np.random.default_rng(0).integers(1, 60000, (600, 700)).astype(np.uint16)
    tifffile.imwrite(folder / name_of("A", 1, 1), image)
    result = ingest.run(IngestConfig(source=str(folder), out=str(tmp_path / "P.zarr")))
    files = [path for path in Path(result.out, "A/1/0").rglob("*") if path.is_file()]
    assert len(files) == 5
    reader = PlateReader(result.out)
    overview = reader.read_plane("A/1/0", 0, level=1)
    assert max(overview.shape) <= 256
    assert overview[0, 0] == pytest.approx(image[:4, :4].mean(), abs=0.5)
    array = reader.level("A/1/0", 0)
    assert array.shards[-2:] == (600, 700)
    assert all(s % c == 0 for s, c in zip(array.shards, array.chunks, strict=True))


def test_provenance_names_version_config_and_inputs(source, tmp_path):
    result = ingest.run(config_of(source, tmp_path))
    made = json.loads(Path(result.out, "zarr.json").read_text())["attributes"]["hcs"]["ingest"]
    assert made["software"] == "hcs"
    assert made["config"]["plate_name"] == "P1"
    assert set(made["inputs"]) == {"source", "platemap"}


def test_images_table_reads_with_pandas_alone(source, tmp_path):
    result = ingest.run(config_of(source, tmp_path))
    frame = pd.read_parquet(Path(result.out, "tables/images/table.parquet"))
    assert {"Metadata_Plate", "Metadata_Well", "Metadata_Site"} <= set(frame.columns)


def z_stack(folder, n=3):
    """Two wells of two channels and three planes; the middle plane is sharp."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(4)
    sharp = rng.integers(100, 4000, (40, 50)).astype(np.uint16)
    flat = np.full_like(sharp, 2000) + rng.integers(0, 9, sharp.shape).astype(np.uint16)
    stack = np.stack([sharp if z == 1 else flat for z in range(n)])
    for well in ("C - 3", "D - 4"):
        for channel in ("DAPI", "FITC"):
            for z, plane in enumerate(stack, start=1):
                name = f"{well}(fld 1 wv UV - {channel} z {z}).tif"
                tifffile.imwrite(folder / name, plane)
    return stack


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        pytest.param("max", lambda stack: stack.max(axis=0), id="max"),
        pytest.param(
            "mean", lambda stack: np.rint(stack.mean(axis=0)).astype(np.uint16), id="mean"
        ),
        pytest.param("focus", lambda stack: stack[1], id="focus"),
    ],
)
def test_z_stacks_become_one_plane(tmp_path, how, expected):
    stack = z_stack(tmp_path / "z")
    config = IngestConfig(
        source=str(tmp_path / "z"), out=str(tmp_path / "Z.zarr"), projection=how, verify=True
    )
    result = ingest.run(config)
    assert result.problems == ()
    reader = PlateReader(result.out)
    assert reader.axes == ("c", "y", "x")
    np.testing.assert_array_equal(reader.read_plane("D/4/0", 1), expected(stack))
    columns = [name for name in reader.images.columns if "BestFocus" in name]
    assert len(columns) == (2 if how == "focus" else 0)
    assert all((reader.images[name] == 1).all() for name in columns)


def test_z_stacks_are_kept_unless_asked(tmp_path):
    stack = z_stack(tmp_path / "z")
    result = ingest.run(IngestConfig(source=str(tmp_path / "z"), out=str(tmp_path / "Z.zarr")))
    reader = PlateReader(result.out)
    assert reader.axes == ("c", "z", "y", "x")
    np.testing.assert_array_equal(reader.level("C/3/0", 0)[0], stack)


def test_verifying_finds_a_shard_that_was_changed_and_the_next_run_mends_it(source, tmp_path):
    config = config_of(source, tmp_path)
    clean = ingest.run(config)
    assert clean.problems == ()
    assert clean.summary["verified"] == "all pixels as in the source"
    shard = Path(clean.out, "B/3/1/0/c/0/0/0")
    data = bytearray(shard.read_bytes())
    data[len(data) // 3] ^= 0x10
    shard.write_bytes(data)
    shards = sorted(
        Path(clean.out).glob("[AC]/*/*/0/c/0/0/0"), key=lambda path: path.stat().st_size
    )
    sizes = [path.stat().st_size for path in shards]
    place = next(i for i in range(1, len(sizes)) if sizes[i] == sizes[i - 1])
    shards[place].write_bytes(shards[place - 1].read_bytes())  # whole, but another's
    swapped = "/".join(shards[place].relative_to(clean.out).parts[:3])
    damaged = ingest.run(config)
    assert damaged.n_run == 0, "no size says it"
    assert {problem.file for problem in damaged.problems} == {"B/3/1", swapped}
    assert reasons_of(damaged) == [Reason.CHECKSUM, Reason.CHECKSUM]
    mended = ingest.run(config)
    assert (mended.problems, mended.n_run) == ((), 2)


def test_wells_that_the_microscope_skipped_are_not_missed(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    tifffile.imwrite(folder / "C - 03(fld 01 wv UV - DAPI).tif", np.eye(40, dtype=np.uint16))
    (folder / "run.xdce").write_text(
        '<?xml version="1.0" encoding="ISO-8859-1"?><ImageStack PlateID="P7"><A>'
        '<Plate columns="6" rows="4"/><PlateMap><AcquisitionMap><Exclude col="1" row="1"/>'
        "</AcquisitionMap></PlateMap></A><Images>"
        '<Image filename="C - 03(fld 01 wv UV - DAPI).tif"><Well label="C - 3"/>'
        '<OffsetFromWellCenter unit="\u00b5m" x="-12.5" y="7"/>'
        '<Identifier field_index="0" time_index="0" wave_index="0" z_index="0"/>'
        '<ExcitationFilter name="UV"/><EmissionFilter name="DAPI"/></Image></Images></ImageStack>',
        encoding="latin-1",
    )
    platemap = tmp_path / "map.csv"
    platemap.write_text("well,clone\nC03,a\nA01,b\nA02,c\n")
    result = ingest.run(
        IngestConfig(source=str(folder), out=str(tmp_path / "P.zarr"), platemap=str(platemap))
    )
    assert [problem.well for problem in result.problems] == ["A02"]
    assert result.summary["wells that the microscope skipped"] == 1
    row = PlateReader(result.out).images.iloc[0]
    assert (row[col.POSITION_X_UM], row[col.POSITION_Y_UM]) == (-12.5, 7.0)


def test_an_image_that_is_not_all_numbers_is_named_and_the_rest_goes_on(tmp_path):
    folder = tmp_path / "floats"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for column in (1, 2, 3):
        pixels = rng.gamma(2, 50, (32, 32)).astype(np.float32)
        if column == 2:
            pixels[3, 4] = np.nan
        tifffile.imwrite(folder / f"A - {column}(fld 1).tif", pixels)
    result = ingest.run(IngestConfig(source=str(folder), out=str(tmp_path / "P.zarr")))
    (problem,) = result.problems
    assert (problem.well, problem.reason) == ("A02", Reason.WRONG_TYPE)
    assert "not finite" in problem.message
    assert PlateReader(result.out).images[col.WELL].tolist() == ["A01", "A03"]
