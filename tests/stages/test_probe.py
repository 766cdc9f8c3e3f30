"""``hcs probe`` end to end on a bank with planted truth: found, resumable, written in a format."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from planted_cohorts import centroid_heads, planted

from hcs.domain.config.stages import Head, ProbeConfig
from hcs.domain.probing import Outcome, Probes
from hcs.errors import InputError
from hcs.io import bank, imagewriting
from hcs.io.files import parquet
from hcs.io.files.paths import as_path, sidecar
from hcs.learn.probes import batch_holdout, learning_curve, permutation
from hcs.stages import probe

SMALL = {
    "head": Head(hidden_units=16, dropout=0.0),
    "n_permutations": 23,
    "n_splits": 8,
    "epochs": 6,
    "learning_rate": 5e-2,
    "permutations_per_unit": 8,
    "batch_size": 16,
}


def write_bank(folder, made):
    frame = made.frame.assign(
        field_path="x", fingerprint=[f"f{n}" for n in range(len(made.frame))], valid=True
    )
    frame.loc[frame.index[-1], "valid"] = False
    vectors = made.cohort.features[:, None].astype(np.float16)
    vectors = np.concatenate([vectors, vectors * 0 + 1], axis=1)
    layout = bank.layout(2, vectors.shape[2], 32)
    out = folder / "bank.zarr"
    imagewriting.write_images(out, layout, frame, vectors, {})
    return str(out)


def write_predictions(folder, made):
    rows = []
    for split in made.splits.splits:
        roles = made.frame["Metadata_Clone"].map(made.splits.role_of(split.index)).astype(str)
        control = made.frame["Metadata_Diagnosis"] == "control"
        score = np.where(made.cohort.group == 3, 0.5, np.where(control, 0.9, 0.1))
        part = made.frame.assign(model="cnn", split=split.index, role=roles, score=score)
        rows.append(part)
    parquet.write_table(folder / "models" / "predictions.parquet", pd.concat(rows))
    return str(folder / "models")


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    made = planted(signal=8.0, images=2, features=5, batch_effect=5.0)
    (folder / "splits.json").write_text(made.splits.to_json())
    rng = np.random.default_rng(0)
    features = made.frame.assign(
        Image_Intensity_Mean=rng.normal(size=len(made.frame)),
        Metadata_Age=made.cohort.group * 1.0,
    )
    parquet.write_table(folder / "features.parquet", features)
    config = ProbeConfig(
        bank=write_bank(folder, made),
        splits=str(folder / "splits.json"),
        models=(write_predictions(folder, made),),
        features=str(folder / "features.parquet"),
        out=str(folder / "probes.json"),
        **SMALL,
    )
    return config, probe.run(config)


def read(config):
    return Probes.read_json(as_path(config.out).read_bytes())


def test_what_was_planted_is_found(study):
    config, result = study
    found = read(config)
    assert found.permutation.observed > 0.9
    assert found.permutation.p_value == pytest.approx(1 / 24)
    assert found.permutation.n_permutations == 23
    by_name = {entry.variable: entry for entry in found.variables}
    assert set(by_name) == {
        "row",
        "column",
        "Metadata_Plate",
        "Metadata_Batch",
        "Metadata_Diagnosis",
    }
    assert by_name["Metadata_Batch"].verdict == "predictable"
    assert by_name["Metadata_Diagnosis"].verdict == "predictable"
    assert by_name["Metadata_Plate"].verdict == "untestable"
    assert found.baseline.features == ("Image_Intensity_Mean",)
    assert found.baseline.model_auc > 0.9
    assert [curve.varied for curve in found.learning_curves] == ["groups", "images"]
    assert {entry.batch for entry in found.held_out_batches} == {"B0", "B1"}
    assert min(entry.auc for entry in found.held_out_batches) > 0.7
    assert [entry.column for entry in found.covariates] == ["Metadata_Age"]
    assert found.outcome is not Outcome.WITHIN_CHANCE
    assert found.settings.epochs == 6
    assert found.provenance["stage"] == "probe"
    assert result.summary["verdict 1"].startswith("The score is more than chance")


def test_a_second_run_does_nothing_and_a_larger_one_only_the_rest(study):
    config, first = study
    again = probe.run(config)
    assert (again.n_run, again.n_skipped) == (0, first.n_run)
    before = read(config)
    more = probe.run(config.model_copy(update={"n_permutations": 31}))
    # one further block of shuffles, and the five variables with more shuffles
    assert more.n_run == 6
    assert read(config).permutation.null[:23] == before.permutation.null
    probe.run(config)


def test_lost_units_are_done_again_with_the_same_result(study):
    config, _ = study
    before = read(config).model_dump(exclude={"provenance"})
    records = sorted((sidecar(config.out) / "units").glob("shuffles-*.json"))
    records[1].unlink()
    assert probe.run(config).n_run == 1
    after = read(config).model_dump(exclude={"provenance"})
    before_null, after_null = (x["permutation"].pop("null") for x in (before, after))
    assert after_null == pytest.approx(before_null, abs=1e-6)
    assert after == before


def test_images_that_could_not_be_made_take_no_part(study):
    config, _ = study
    assert read(config).variables[0].n_images == 23


def test_nothing_but_bank_and_splits(study, tmp_path, monkeypatch):
    for module in (permutation, learning_curve, batch_holdout):
        monkeypatch.setattr(module, "score_heads", centroid_heads)
    config, _ = study
    bare = config.model_copy(
        update={"models": (), "features": None, "out": str(tmp_path / "p.json"), "max_features": 3}
    )
    probe.run(bare)
    found = read(bare)
    assert found.baseline.verdict == "untestable"
    assert found.covariates == ()
    assert (found.settings.n_features, found.settings.projected_from) == (3, 5)


def test_a_damaged_file_is_refused():
    with pytest.raises(InputError, match="faults"):
        Probes.read_json('{"format": "hcs-probes/1"}')
