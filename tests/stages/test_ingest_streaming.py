"""Fields of many planes go plane by plane: the same pixels, and memory that does not grow."""

from __future__ import annotations

import dataclasses
import itertools
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import tifffile

from hcs.compute.units import Past
from hcs.domain.config.layouts import RegexLayout
from hcs.domain.config.stages import IngestConfig
from hcs.domain.display import Window
from hcs.errors import InputError
from hcs.io.files.atomic import replace_folder
from hcs.io.plates.reader import PlateReader
from hcs.io.plates.validate import faults_of
from hcs.ops import intensity, resizing
from hcs.stages import ingest
from hcs.stages.work.ingest import wells
from hcs.stages.work.ingest.ranges import RunningRange
from hcs.stages.work.ingest.reading import count_bytes, is_streamed

PATTERN = r"(?P<well>[A-H]\d\d)_(?P<channel>[A-Z]+)_t(?P<t>\d+)_z(?P<z>\d+)\.tif"
SIDE = 520
N_T, N_Z = 3, 4


def draw(seed: int, side: int = SIDE) -> np.ndarray:
    return np.random.default_rng(seed).integers(1, 999, (side, side), "uint16")


def write(folder: Path, n_times: int = N_T, n_planes: int = N_Z, side: int = SIDE) -> dict:
    """TH at every time and z, DAPI at the last time's first plane, binned 2 × 2."""
    folder.mkdir()
    pixels = {("TH", t, z): draw(10 * t + z, side) for t, z in np.ndindex(n_times, n_planes)}
    pixels["DAPI", n_times - 1, 0] = draw(99, side // 2)
    for (channel, t, z), picture in pixels.items():
        tifffile.imwrite(folder / f"A01_{channel}_t{t}_z{z}.tif", picture)
    return pixels


def config_of(tmp_path: Path, **more) -> IngestConfig:
    given = {"source": str(tmp_path / "in"), "out": str(tmp_path / "P.zarr")}
    return IngestConfig.model_validate(given | {"layout": RegexLayout(pattern=PATTERN)} | more)


def test_every_plane_of_a_streamed_field_is_as_in_the_source(tmp_path):
    pixels = write(tmp_path / "in")
    (tmp_path / "in/A01_TH_t1_z2.tif").write_bytes(b"II*\0 and no more")
    config = config_of(tmp_path, verify=True)
    assert is_streamed(ingest._make_plan(config).jobs[0])
    result = ingest.run(config)
    (problem,) = result.problems
    assert (problem.file, problem.kept) == ("A01_TH_t1_z2.tif", True)
    reader = PlateReader(result.out)
    assert reader.axes == ("t", "c", "z", "y", "x")
    th, dapi = (reader.channel_index(name) for name in ("TH", "DAPI"))
    for t, z in np.ndindex(N_T, N_Z):
        if (t, z) == (1, 2):
            assert reader.missing("A/1/0", th)[t, z]
            assert not np.asarray(reader.level("A/1/0", 0)[t, th, z]).any()
            continue
        stored = reader.read_plane("A/1/0", th, t_index=t, z_index=z)
        np.testing.assert_array_equal(stored, pixels["TH", t, z])
        small = reader.read_plane("A/1/0", th, 1, t_index=t, z_index=z)
        factor = SIDE // small.shape[0]
        expected = resizing.downsample_mean(pixels["TH", t, z], factor)
        np.testing.assert_array_equal(small, expected)
    assert np.argwhere(reader.acquired("A/1/0", dapi)).tolist() == [[N_T - 1, 0]]
    stored = reader.read_plane("A/1/0", dapi, t_index=N_T - 1)
    np.testing.assert_array_equal(stored[::2, ::2], pixels["DAPI", N_T - 1, 0])
    row = reader.images.iloc[0]
    good = [p for (channel, t, z), p in pixels.items() if channel == "TH" and (t, z) != (1, 2)]
    assert row["Image_Intensity_MinIntensity_TH"] == min(int(p.min()) for p in good)
    assert row["Image_Intensity_MaxIntensity_TH"] == max(int(p.max()) for p in good)
    assert abs(row["Image_Intensity_MedianIntensity_TH"] - np.median(np.stack(good))) < 10
    assert faults_of(result.out) == []
    again = ingest.run(config)
    assert (again.n_run, again.problems) == (0, result.problems)


@pytest.mark.parametrize("how", ["max", "mean", "focus"])
def test_a_streamed_projection_is_that_of_its_own_planes(tmp_path, how):
    n_times = 20
    pixels = write(tmp_path / "in", n_times, 2)
    config = config_of(tmp_path, projection=how)
    assert is_streamed(ingest._make_plan(config).jobs[0])
    reader = PlateReader(ingest.run(config).out)
    th = reader.channel_index("TH")
    for t in range(n_times):
        stack = np.stack([pixels["TH", t, z] for z in range(2)])
        expected = {
            "max": stack.max(axis=0),
            "mean": np.rint(stack.mean(axis=0)),
            "focus": stack[np.argmax([p.var() / p.mean() for p in stack])],
        }[how]
        np.testing.assert_array_equal(reader.read_plane("A/1/0", th, t_index=t), expected)


def test_a_streamed_field_of_which_nothing_can_be_read_is_left_out(tmp_path):
    write(tmp_path / "in")
    for file in (tmp_path / "in").iterdir():
        file.write_bytes(file.read_bytes()[:-2000])
    with pytest.raises(InputError, match="no image of"):
        ingest.run(config_of(tmp_path))
    assert not [path for path in (tmp_path / "P.zarr/A/1").rglob("*") if path.is_file()]


def measure_peak(folder: Path, n_times: int, n_planes: int) -> tuple[int, int]:
    """Peak of writing one field, and what the budget says of it."""
    folder.mkdir()
    write(folder / "in", n_times, n_planes, side=1100)
    job = ingest._make_plan(config_of(folder)).jobs[0]
    wells.write_well(_with_windows(job), Past())  # imports and caches
    tracemalloc.start()
    wells.write_well(_with_windows(job), Past())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak, count_bytes(job)


def _with_windows(job):
    return dataclasses.replace(job, windows=(Window(0, 65535, 0, 999),) * len(job.channels))


def test_memory_does_not_grow_with_time_or_z(tmp_path):
    short, budget = measure_peak(tmp_path / "short", 2, 2)
    long, same = measure_peak(tmp_path / "long", 8, 4)
    plane = 1100 * 1100 * 2
    assert short < budget
    assert long < same
    assert long < short + 2 * plane
    assert same < 10 * plane + 4 * 64 * 275 * 275 * 2


def test_a_range_of_planes_is_that_of_all_below_each_other():
    rng = np.random.default_rng(4)
    for dtype, shape, n in itertools.product(
        ("uint8", "uint16", "float32"), ((300, 7), (41, 90)), (1, 5, 60)
    ):
        planes = (rng.random((n, *shape)) * 200).astype(dtype)
        running = RunningRange(planes.size)
        for plane in planes:
            running.add(plane)
        assert running.find() == intensity.value_range(planes.reshape(-1, shape[1]))
    assert RunningRange(10).find() is None


def test_a_folder_is_written_from_an_iterator_and_left_when_that_fails(tmp_path):
    target = tmp_path / "field"
    replace_folder(target, iter([("0/c/0", [b"o", b"ld"]), ("zarr.json", [b"{}"])]))

    def broken():
        yield "0/c/0", [b"new"]
        raise RuntimeError

    with pytest.raises(RuntimeError):
        replace_folder(target, broken())
    assert (target / "0/c/0").read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["field"]
