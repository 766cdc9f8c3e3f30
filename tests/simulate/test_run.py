from __future__ import annotations

import hashlib

import numpy as np
import pandas as pd
import pytest
import tifffile
import yaml
from pydantic import ValidationError

from hcs.domain import columns as col
from hcs.domain.config.stages import InCellLayout, SimulateConfig
from hcs.domain.config.studies import StudyConfig
from hcs.errors import InputError
from hcs.io import layouts
from hcs.io.sheets import platemap
from hcs.simulate.run import run
from hcs.simulate.studyfile import split_counts

SMALL = {
    "preset": "cohort",
    "image_px": 48,
    "clones_per_class": 3,
    "images_per_clone": 4,
    "fields_per_well": 2,
    "batches": 2,
}


def config(out, **changes):
    return SimulateConfig.model_validate({"out": str(out), **SMALL, **changes})


def digests(folder):
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*.tif"))
    }


@pytest.fixture(scope="module")
def cohort(tmp_path_factory):
    out = tmp_path_factory.mktemp("simulated") / "cohort"
    return out, run(config(out))


def test_what_is_written(cohort):
    out, result = cohort

    assert result.summary["images"] == 24
    assert result.n_run == 12
    assert len(digests(out)) == 24
    name = next(path.name for path in (out / "P01").iterdir())
    assert name[1:4] == " - "
    assert name.endswith(" wv Blue - FITC).tif")
    image = tifffile.imread(next((out / "P01").iterdir()))
    assert (image.dtype, image.shape) == (np.uint16, (48, 48))


def test_the_layout_of_in_cell_finds_every_image(cohort):
    out, _ = cohort
    found = [layouts.scan(out / name, InCellLayout()) for name in ("P01", "P02")]

    assert sum(len(item.plate.planes) for item in found) == 24
    assert not any(item.problems for item in found)
    assert found[0].plate.channels[0].name == "Blue - FITC"


def test_the_plate_map_is_read_back_without_fault(cohort):
    out, _ = cohort
    rows = platemap.read_platemap(str(out / "platemap.csv")).rows

    assert len(rows) == 12
    assert {row.diagnosis for row in rows} == {"control", "ALS"}
    assert {row.plate for row in rows} == {"P01", "P02"}
    assert all({"sex", "age_years", "passage"} <= set(row.extra) for row in rows)


def test_truth_has_one_row_an_image_and_one_a_cell(cohort):
    out, _ = cohort
    images = pd.read_parquet(out / "truth_images.parquet")
    cells = pd.read_parquet(out / "truth_cells.parquet")

    assert len(images) == 24
    assert not images.duplicated(list(col.IMAGE_KEY)).any()
    assert len(cells) == images["n_cells"].sum()
    assert np.allclose(images["total_neurite_length_um"], 0.65 * images["total_neurite_length_px"])
    means = cells.groupby(list(col.IMAGE_KEY))["soma_area_px2"].mean()
    known = images.set_index(list(col.IMAGE_KEY))["mean_soma_area_px2"].dropna()
    assert np.allclose(means.reindex(known.index), known)


def test_the_study_file_is_a_valid_study(cohort):
    out, _ = cohort
    study = StudyConfig.model_validate(yaml.safe_load((out / "study.yaml").read_text()))

    assert [plate.name for plate in study.plates] == ["P01", "P02"]
    assert all((out / plate.source).is_dir() for plate in study.plates)
    assert (study.splits.train, study.splits.validation, study.splits.test) == (1, 1, 1)
    assert study.truth == "."


def test_another_run_draws_the_same_bytes(cohort, tmp_path):
    out, _ = cohort
    run(config(tmp_path / "again"))

    assert digests(tmp_path / "again") == digests(out)


def test_two_workers_draw_the_same_bytes(cohort, tmp_path, cluster):
    out, _ = cohort
    result = run(config(tmp_path / "spread"), cluster)

    assert result.n_run == 12
    assert digests(tmp_path / "spread") == digests(out)
    truths = [
        pd.read_parquet(folder / "truth_cells.parquet") for folder in (out, tmp_path / "spread")
    ]
    pd.testing.assert_frame_equal(*truths)


def test_finished_images_are_left_alone_and_lost_ones_drawn_again(tmp_path):
    out = tmp_path / "cohort"
    run(config(out))
    before = digests(out)
    (out / next(iter(before))).unlink()
    second = run(config(out))

    assert (second.n_run, second.n_skipped) == (1, 11)
    assert digests(out) == before
    assert run(config(out)).n_run == 0


def test_other_settings_leave_no_image_of_the_earlier_ones(tmp_path):
    out = tmp_path / "cohort"
    run(config(out))
    run(config(out, batches=1, clones_per_class=2))

    assert {name.split("/")[0] for name in digests(out)} == {"P01"}
    assert len(digests(out)) == 16
    assert not (out / "study.yaml").exists()  # two clones a class are too few for splits


def test_a_folder_with_other_things_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="holds no simulation"):
        run(config(tmp_path))


def test_demo_adds_a_screen_and_its_truth(tmp_path):
    out = tmp_path / "demo"
    result = run(config(out, preset="demo", screen_wells=24, batches=1))
    wells = pd.read_parquet(out / "truth_wells.parquet")
    compounds = pd.read_parquet(out / "truth_compounds.parquet")

    assert result.summary["plates"] == 2
    treated = wells[wells[col.PERT_TYPE] == "trt"]
    assert len(treated) == 15
    assert treated["is_hit"].notna().all()
    assert set(treated[col.COMPOUND]) == set(compounds[col.COMPOUND])
    images = pd.read_parquet(out / "truth_images.parquet")
    empty = images[images[col.PERT_TYPE] == "empty"]
    assert (empty["n_cells"] == 0).all()
    study = StudyConfig.model_validate(yaml.safe_load((out / "study.yaml").read_text()))
    assert [plate.role for plate in study.plates] == ["cohort", "screen"]


def test_a_screen_alone_has_no_study_file(tmp_path):
    out = tmp_path / "screen"
    run(config(out, preset="screen", screen_wells=24, screen_plates=1))

    assert not (out / "study.yaml").exists()
    assert len(platemap.read_platemap(str(out / "platemap.csv")).rows) == 24


def test_truth_features_do_not_tell_the_diagnosis(tmp_path):
    """The planted difference is none of count, soma area and length."""
    out = tmp_path / "cohort"
    run(config(out, clones_per_class=16, clone_variation=0.0, batch_variation=0.0, image_px=64))
    images = pd.read_parquet(out / "truth_images.parquet")
    by_clone = images.groupby([col.DIAGNOSIS, col.CLONE])[
        ["n_cells", "total_neurite_length_px", "mean_soma_area_px2"]
    ].mean()
    control, sick = by_clone.loc["control"], by_clone.loc["ALS"]
    error = np.sqrt((control.var() + sick.var()) / 16)

    assert (np.abs(control.mean() - sick.mean()) < 3 * error).all()


@pytest.mark.parametrize(
    ("clones", "expected"),
    [(2, None), (3, (1, 1, 1)), (6, (3, 1, 2)), (8, (4, 2, 2)), (15, (10, 3, 2))],
)
def test_split_counts_are_near_the_study(clones, expected):
    assert split_counts(clones) == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param({}, {"preset": "demo", "clones_per_class": 6}, id="demo"),
        pytest.param({"clones_per_class": 9}, {"clones_per_class": 9}, id="given-counts"),
        pytest.param({"preset": "cohort"}, {"clones_per_class": 8}, id="cohort"),
        pytest.param({"preset": "null"}, {"phenotype_strength": 0.0}, id="null"),
    ],
)
def test_presets_set_what_is_not_given(given, expected):
    settings = SimulateConfig.model_validate({"out": "unused", **given})
    assert {name: getattr(settings, name) for name in expected} == expected


def test_null_with_a_phenotype_is_refused():
    with pytest.raises(ValidationError, match="no class difference"):
        SimulateConfig(out="unused", preset="null", phenotype_strength=1.0)
