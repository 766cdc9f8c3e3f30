"""``hcs train`` with tuning: every split keeps its best trial, whatever shape that head has."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from planted_cohorts import planted

from hcs.domain import tables as t
from hcs.domain.config import Head, TrainConfig, TunedOptimizer
from hcs.io import bank, imageset, runs
from hcs.io import heads as io_heads
from hcs.learn.headweights import HeadWeights, predict_heads
from hcs.stages import train

# Keras copies TensorFlow variables in a way that NumPy 2 deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

TRIALS = 4


@pytest.fixture(scope="module")
def made():
    return planted(signal=2.0, images=6, features=8, n_splits=6, counts=(3, 1, 2))


@pytest.fixture(scope="module")
def config(made, tmp_path_factory):
    """Write a bank of planted vectors and its splits, and tune heads on them."""
    folder = tmp_path_factory.mktemp("train")
    (folder / "splits.json").write_text(made.splits.to_json())
    frame = made.frame.assign(
        field_path="x", fingerprint=[f"f{n}" for n in range(len(made.frame))], valid=True
    )
    vectors = made.cohort.features[:, None].astype(np.float16)
    out = folder / "bank.zarr"
    layout = bank.layout(len(frame), 1, vectors.shape[2], len(frame))
    treated = {"stack": {}, "weights": "planted", "weights_fingerprint": "0"}
    imageset.prepare(out, layout, frame, treated, runs.Ledger.of(out))
    imageset.write_block(out, bank.FEATURES, 0, vectors)
    imageset.write_provenance(out, {"config": {"backbone": {}}})
    optimizer = TunedOptimizer(
        trials=TRIALS, trials_at_once=2, sampler="random", dropout_min=0.0, dropout_max=0.5,
        l2_min=1e-6, l2_max=1e-1, hidden_units=(4, 16),
    )  # fmt: skip
    config = TrainConfig(
        bank=str(out), splits=str(folder / "splits.json"), out=str(folder / "models"),
        head=Head(dropout=0.3), optimizer=optimizer, epochs=3, batch_size=8, heads_per_group=2,
    )  # fmt: skip
    assert train.run(config).n_run == 6  # one split of two trials at once a unit
    return config


def test_every_split_keeps_its_best_trial(config):
    trials = pd.read_parquet(runs.as_path(config.out) / io_heads.TRIALS)
    assert trials.groupby(t.SPLIT).size().tolist() == [TRIALS] * 6
    assert set(trials["hidden_units"]) == {4, 16}
    assert trials["dropout"].between(0, 0.5).all()
    assert trials["l2"].between(1e-6, 1e-1).all()
    order = trials.sort_values(["validation_accuracy", "trial"], ascending=[False, True])
    best = order.groupby(t.SPLIT).first()
    chosen = pd.DataFrame(io_heads.read_manifest(config.out)["hyperparameters"]).set_index(t.SPLIT)
    pd.testing.assert_frame_equal(chosen[best.columns.tolist()], best, check_dtype=False)
    assert (chosen["epoch"] == 2).all()


def test_heads_of_several_widths_predict_what_stands_in_the_table(config, made):
    weights = HeadWeights(**io_heads.read_heads(config.out))
    widths = [row["hidden_units"] for row in io_heads.read_manifest(config.out)["hyperparameters"]]
    assert weights.w1.shape == (6, 8, max(widths))
    active = [np.any(weights.w2[index] != 0, axis=1).sum() for index in range(6)]
    assert active == widths
    features = made.cohort.features.astype(np.float16)
    positive = made.splits.classes.index(made.splits.positive)
    expected = predict_heads(features, weights)[..., positive]
    rows = pd.read_parquet(runs.as_path(config.out) / io_heads.PREDICTIONS)
    for split, part in rows.groupby(t.SPLIT):
        joined = part.set_index(list(t.IMAGE_KEY))[t.SCORE]
        found = joined.loc[pd.MultiIndex.from_frame(made.frame[list(t.IMAGE_KEY)])]
        np.testing.assert_allclose(found, expected[split], atol=1e-6)


def test_a_second_run_does_nothing(config):
    assert train.run(config).n_run == 0
