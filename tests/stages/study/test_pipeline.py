"""The whole way on real files: tiny simulated plates, a real Dask cluster, the real VGG-16.

Images are 64 px and weights random, so scores mean nothing here; files, roles and resumption do.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from skimage.io import imread

from hcs.domain import columns as col
from hcs.domain.columns import Role
from hcs.domain.config.stages import ExplainConfig, ExportConfig, ReportConfig, SimulateConfig
from hcs.domain.evaluation import Evaluation
from hcs.domain.probing import Probes
from hcs.domain.splits import Splits
from hcs.errors import WeightsError
from hcs.io.bank import open_bank
from hcs.io.stack import open_stack
from hcs.report import write_report
from hcs.simulate import run as simulation
from hcs.stages import explain, export
from hcs.stages.study import run as study


@pytest.fixture(scope="module")
def settings(tmp_path_factory, cluster):
    """Simulate a demo with tiny images and shrink its study file."""
    base = tmp_path_factory.mktemp("pipeline")
    simulated = SimulateConfig(
        out=str(base / "images"), preset="demo", image_px=96, clones_per_class=3, images_per_clone=4
    )
    simulation.run(simulated, cluster)
    content = yaml.safe_load((base / "images/study.yaml").read_text())
    content["out"] = str(base / "study")
    content["splits"] |= {"n_splits": 4, "train": 1, "validation": 1, "test": 1}
    content["stack"] = {"image_px": 64}
    content["embed"] = {"views": 1, "batch_images": 8, "backbone": {"weights": "random"}}
    content["train"] = {"epochs": 3}
    content["forest"] = {"n_trees": 20}
    content["probes"] = {"n_permutations": 9, "n_splits": 4, "epochs": 1}
    path = base / "study.yaml"
    content["plates"] = [
        plate | {"source": f"images/{plate['source']}", "platemap": "images/platemap.csv"}
        for plate in content["plates"]
    ]
    content["truth"] = "images"
    path.write_text(yaml.safe_dump(content))
    return study.read_study(str(path))


@pytest.fixture(scope="module")
def finished(settings, cluster):
    """Run the study once."""
    return study.run(settings, cluster)


@pytest.fixture(scope="module")
def out(finished) -> Path:
    """Folder of the finished study."""
    return Path(finished.out)


def test_every_output_is_there(out):
    expected = {
        "features.parquet", "features_cells.parquet", "splits.json", "stack.zarr", "bank.zarr",
        "models", "forest", "evaluation.json", "predictions.parquet", "hits.parquet", "hits.csv",
        "plate_quality.parquet", "problems.parquet", "planted.json", "study.json", "plates",
        "probes.json",
    }  # fmt: skip
    assert expected <= {path.name for path in out.iterdir()}


def test_no_clone_stands_on_two_sides(out):
    splits = Splits.read_json((out / "splits.json").read_text())
    for model in ("models", "forest"):
        rows = pd.read_parquet(out / model / "predictions.parquet")
        for number, part in rows.groupby(col.SPLIT):
            roles = part.groupby(col.CLONE)[col.ROLE].unique()
            assert all(len(found) == 1 for found in roles)
            expected = splits.role_of(int(number))
            assert {name: found[0] for name, found in roles.items()} == expected


def test_both_models_are_judged_on_the_same_splits(out):
    judged = Evaluation.read_json((out / "evaluation.json").read_text())
    assert [model.model for model in judged.models] == ["cnn", "forest"]
    assert {model.n_splits for model in judged.models} == {4}
    assert len(judged.comparisons) >= 1


def test_view_0_of_the_bank_is_the_image_itself(out):
    from hcs.domain.config.stages import Backbone
    from hcs.learn.network.backbone import Embedder

    images = open_stack(out / "stack.zarr").read(0, 5)
    features = Embedder(Backbone(weights="random"), 64, 8).features(images)
    stored = open_bank(out / "bank.zarr").read(0, 5)
    np.testing.assert_allclose(stored[:, 0], features, rtol=2e-3, atol=1e-3)
    assert not np.allclose(stored[:, 1], stored[:, 0], rtol=1e-2)


def test_the_score_is_doubted_on_the_workers_too(out, finished):
    found = Probes.read_json((out / "probes.json").read_text())
    assert found.permutation.n_permutations == 9
    assert found.verdict
    assert "verdict 1" in finished.summary


def test_new_plates_are_scored_by_every_head(out):
    rows = pd.read_parquet(out / "predictions.parquet")
    screen = rows[rows[col.PLATE] == "S01"]
    assert set(screen[col.SPLIT]) == {0, 1, 2, 3}
    assert screen[col.SCORE].between(0, 1).all()
    assert set(rows[col.ROLE]) <= {role.value for role in Role}


def test_hits_have_a_row_for_every_screened_well(out):
    rows = pd.read_parquet(out / "predictions.parquet")
    hits = pd.read_parquet(out / "hits.parquet")
    assert len(hits) == rows[col.WELL].nunique()
    assert {"score", "robust_z", "rescue", "hit", "reasons"} <= set(hits.columns)
    quality = pd.read_parquet(out / "plate_quality.parquet")
    assert quality[col.PLATE].tolist() == ["S01"]
    assert "z_prime" in quality


def test_planted_is_compared_with_found(out):
    rows = json.loads((out / "planted.json").read_text())
    assert {"cells an image", "total neurite length an image", "hit wells"} <= {
        row["quantity"] for row in rows
    }


def test_a_second_run_does_no_work(settings, finished, cluster):
    again = study.run(settings, cluster)
    assert again.n_run == 0
    assert again.n_skipped == finished.n_run + finished.n_skipped


def test_the_report_is_one_page(out):
    page = out / "report.html"
    write_report(ReportConfig(study=str(out), out=str(page)))
    text = page.read_text()
    assert "simulated" in text.lower()
    assert "random" in text.lower()


def test_a_head_explains_itself(out, settings):
    plate = out / "plates" / "P01.zarr"
    wells = pd.read_parquet(plate / "tables/images/table.parquet")[col.WELL]
    folder = out / "explain"
    result = explain.run(
        ExplainConfig(
            models=str(out / "models"), plate=str(plate), well=wells.iloc[0], out=str(folder)
        )
    )
    pictures = sorted(folder.glob("*.png"))
    assert len(pictures) == result.summary["pictures"] > 0
    assert imread(pictures[0]).shape == (64, 3 * 64, 3)


def test_an_exported_head_predicts_as_the_engine_does(out):
    import keras

    path = out / "head.keras"
    export.run(ExportConfig(models=str(out / "models"), out=str(path), split=2))
    model = keras.models.load_model(path, safe_mode=True)
    images = open_stack(out / "stack.zarr")
    pixels = images.read(0, images.n_images)
    scores = model.predict(pixels[..., None].astype(np.float32), verbose=0)
    rows = pd.read_parquet(out / "models/predictions.parquet").query("split == 2")
    splits = Splits.read_json((out / "splits.json").read_text())
    positive = splits.classes.index(splits.positive)
    frame = images.frame[list(col.IMAGE_KEY)].assign(exported=scores[:, positive])
    joined = frame.merge(rows, on=list(col.IMAGE_KEY))
    np.testing.assert_allclose(joined["exported"], joined[col.SCORE], atol=2e-3)


def test_other_weights_than_those_of_training_are_refused(out):
    from hcs.domain.config.stages import PredictConfig
    from hcs.stages import predict

    manifest = json.loads((out / "models/manifest.json").read_text())
    assert manifest["backbone"]["weights"] == "random"
    (out / "other").mkdir(exist_ok=True)
    for name in ("splits.json",):
        (out / "other" / name).write_text((out / "models" / name).read_text())
    manifest["weights_fingerprint"] = "0" * 20
    (out / "other/manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(WeightsError, match="other weights"):
        predict.run(
            PredictConfig(
                models=str(out / "other"),
                plates=(str(out / "plates/S01.zarr"),),
                out=str(out / "p.parquet"),
            )
        )
