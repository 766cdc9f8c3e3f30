"""Lost output is noticed: the same command restores just that, and says how much it did."""

from __future__ import annotations

import shutil

import pytest
import small_studies


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("inputs")
    small_studies.write_inputs(folder)
    return folder


@pytest.fixture(scope="module")
def finished(inputs, tmp_path_factory):
    """Run a stage once and give its folder, the same for all tests."""
    folders = {}

    def folder_of(stage):
        if stage not in folders:
            folders[stage] = tmp_path_factory.mktemp(stage) / "out"
            small_studies.prepare(stage, inputs, folders[stage])
            small_studies.run_stage(stage, inputs, folders[stage])
        return folders[stage]

    return folder_of


def times(out):
    """When each file of the output was written; problems and records are written by every run."""
    return {
        str(path.relative_to(out)): path.stat().st_mtime_ns
        for path in out.rglob("*")
        if path.is_file() and not any(part.endswith(".hcs") for part in path.parts)
    }


@pytest.mark.parametrize("stage", small_studies.STAGES)
def test_a_second_run_writes_nothing(inputs, finished, stage):
    out = finished(stage)
    before = times(out)
    again = small_studies.run_stage(stage, inputs, out)
    assert again.n_run == 0
    assert again.n_skipped > 0
    # What a plate or a store says of itself is compared and written where it differs.
    assert times(out) == before


@pytest.mark.parametrize(
    ("stage", "lost", "n_run"),
    [
        pytest.param("ingest", "P1.zarr/A/2", 1, id="a well"),
        pytest.param("ingest", "P1.zarr/A", 3, id="a row of wells"),
        pytest.param("ingest", "P1.zarr/B/1/1/0/c/0/0/0", 1, id="a chunk of a plate"),
        pytest.param("ingest", "P1.zarr/B/1/1/0/zarr.json", 1, id="what an array is"),
        pytest.param("ingest", "P1.zarr/tables/wells", 0, id="the plate map"),
        pytest.param("features", "P1.zarr/B/3/0/labels", 1, id="labels of a field"),
        pytest.param("features", "P1.zarr/tables/features", 0, id="features in the plate"),
        pytest.param("features", "features_cells.parquet", 0, id="cells"),
        pytest.param("features", "features.parquet.hcs/parts/P1-A01.cells.parquet", 1, id="part"),
        pytest.param("splits", "splits.json", 1, id="splits"),
        pytest.param("stack", "stack.zarr/P1/images/c/1/0/0", 1, id="a shard of a stack"),
        pytest.param("stack", "stack.zarr/P1", 3, id="a plate of a stack"),
        pytest.param("stack", "stack.zarr/tables", 0, id="what the images of a stack are"),
        pytest.param("stack", "stack.zarr/zarr.json", 3, id="what a stack is"),
        pytest.param("embed", "bank.zarr/P1/features/c/0/0/0", 1, id="a shard of a bank"),
        pytest.param("train", "models/heads.zarr/w1/c/1/0/0", 0, id="a chunk of heads"),
        pytest.param("train", "models/manifest.json", 0, id="the manifest of models"),
        pytest.param("train", "models", 0, id="all models, but not their parts"),
        pytest.param("train", "models.hcs/parts/head-0002.npz", 1, id="a head"),
        pytest.param("train", "models.hcs", 4, id="the records of heads"),
        pytest.param("forest", "forest/split-0001.skops", 0, id="a forest"),
        pytest.param("forest", "forest.hcs/parts/split-0001.skops", 1, id="a part of forests"),
        pytest.param("predict", "predictions.parquet", 0, id="scores"),
        pytest.param(
            "predict", "predictions.parquet.hcs/parts/P1-A02.scores.npz", 1, id="a well's"
        ),
        pytest.param("hits", "hits.csv", 1, id="hits as CSV"),
        pytest.param("hits", "plate_quality.parquet", 1, id="quality of plates"),
        pytest.param("evaluate", "evaluation.json", 1, id="the judgement"),
    ],
)
def test_what_was_lost_is_restored_and_no_more(inputs, finished, stage, lost, n_run):
    out = finished(stage)
    before, files = small_studies.read_output(out), times(out)
    path = out / lost
    assert path.exists(), sorted(p.name for p in path.parent.iterdir())
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
    again = small_studies.run_stage(stage, inputs, out)
    assert again.n_run == n_run
    assert path.exists()
    assert small_studies.find_differences(before, small_studies.read_output(out)) == []
    assert set(times(out)) == set(files)
    assert small_studies.run_stage(stage, inputs, out).n_run == 0
