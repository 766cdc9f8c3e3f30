"""Time-lapses of stacks are projected time by time: the same planes in less memory."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import tifffile

from hcs.domain.columns import Reason
from hcs.domain.config.layouts import RegexLayout
from hcs.domain.config.stages import IngestConfig
from hcs.errors import InputError
from hcs.io.images.sources import open_source
from hcs.io.plates.reader import PlateReader
from hcs.stages import ingest
from hcs.stages.work.ingest.fields import FieldReading, read_field
from hcs.stages.work.ingest.reading import count_bytes

PATTERN = r"(?P<well>[A-H]\d\d)_(?P<channel>[A-Z]+)_t(?P<t>\d+)_z(?P<z>\d+)\.tif"


def write_lapse(folder: Path, n_times: int, n_planes: int, side: int) -> np.ndarray:
    """Write one field as a file a plane; returns its pixels ``(t, z, Y, X)``."""
    folder.mkdir()
    pixels = np.random.default_rng(2).integers(1, 999, (n_times, n_planes, side, side), "uint16")
    for t, z in np.ndindex(n_times, n_planes):
        tifffile.imwrite(folder / f"A01_TH_t{t}_z{z}.tif", pixels[t, z])
    return pixels


def config_of(tmp_path: Path, projection: str) -> IngestConfig:
    return IngestConfig(
        source=str(tmp_path / "in"),
        out=str(tmp_path / f"{projection}.zarr"),
        layout=RegexLayout(pattern=PATTERN),
        projection=projection,
    )


def test_every_time_point_is_the_projection_of_its_own_planes(tmp_path):
    pixels = write_lapse(tmp_path / "in", 3, 4, 24)
    (tmp_path / "in" / "A01_TH_t1_z2.tif").write_bytes(b"II*\0 and no more")
    tifffile.imwrite(tmp_path / "in" / "A01_TL_t2_z0.tif", pixels[0, 0])
    result = ingest.run(config_of(tmp_path, "max"))
    _, incomplete = result.problems
    assert incomplete.reason is Reason.MISSING_FILE
    assert "lacks z 2 at time 1, so it is not projected" in incomplete.message
    reader = PlateReader(result.out)
    th, tl = (reader.channel_index(name) for name in ("TH", "TL"))
    for t in (0, 2):
        found = reader.read_plane("A/1/0", th, t_index=t)
        np.testing.assert_array_equal(found, pixels[t].max(axis=0))
    assert reader.missing("A/1/0", th)[:, 0].tolist() == [False, True, False]
    assert reader.acquired("A/1/0", tl)[:, 0].tolist() == [False, False, True]
    np.testing.assert_array_equal(reader.read_plane("A/1/0", tl, t_index=2), pixels[0, 0])


def test_all_stacks_of_a_time_lapse_are_never_in_memory_at_once(tmp_path):
    pixels = write_lapse(tmp_path / "in", 12, 8, 128)
    jobs = {how: ingest._make_plan(config_of(tmp_path, how)).jobs[0] for how in ("keep", "max")}
    assert count_bytes(jobs["max"]) < count_bytes(jobs["keep"]) / 4
    peaks = {}
    for how, job in jobs.items():
        tracemalloc.start()
        read_field(FieldReading(job, job.fields[0], open_source(job.source, job.layout)), [])
        peaks[how] = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peaks[how] < count_bytes(job)
    assert peaks["max"] < pixels.nbytes / 2 < peaks["keep"]


@pytest.mark.parametrize("is_zarr", [False, True], ids=["files", "zarr"])
def test_one_plane_of_every_stack_can_be_kept(tmp_path, is_zarr):
    pixels = write_lapse(tmp_path / "in", 2, 3, 24)
    config = config_of(tmp_path, "keep")
    if is_zarr:
        source = ingest.run(config).out
        config = IngestConfig(source=source, out=str(tmp_path / "Q.zarr"))
    for index in (0, 2):
        chosen = config.model_copy(
            update={"projection": f"z:{index}", "out": f"{tmp_path}/{index}.zarr"}
        )
        result = ingest.run(chosen)
        assert result.problems == ()
        reader = PlateReader(result.out)
        assert (reader.n_t, reader.n_z) == (2, 1)
        for t in range(2):
            np.testing.assert_array_equal(
                reader.read_plane("A/1/0", 0, t_index=t), pixels[t, index]
            )
    absent = config.model_copy(update={"projection": "z:3", "out": f"{tmp_path}/3.zarr"})
    with pytest.raises(InputError, match=r"plane 3 of a stack.*it has z:0, z:1, z:2"):
        ingest.run(absent)


def test_one_plane_is_found_by_its_height(tmp_path):
    (tmp_path / "in").mkdir()
    for height in (0, 4.5, 9):
        name = f"A01_z{height}.tif"
        tifffile.imwrite(tmp_path / "in" / name, np.full((8, 8), int(height * 2) + 1, "uint16"))
    layout = RegexLayout(pattern=r"(?P<well>[A-H]\d\d)_z(?P<z_um>[\d.]+)\.tif")
    given = {"source": str(tmp_path / "in"), "layout": layout}
    config = IngestConfig.model_validate(
        given | {"out": str(tmp_path / "P.zarr"), "projection": "z:4.5um"}
    )
    reader = PlateReader(ingest.run(config).out)
    assert reader.read_plane("A/1/0", 0)[0, 0] == 10
    with pytest.raises(InputError, match=r"has 0, 4\.5, 9 µm"):
        ingest.run(config.model_copy(update={"projection": "z:5um", "out": f"{tmp_path}/Q.zarr"}))
    with pytest.raises(ValueError, match="z:x"):
        IngestConfig.model_validate(given | {"out": "Q.zarr", "projection": "z:x"})
