"""``hcs train`` with tuning: every split keeps its best trial, whatever shape that head has."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from planted_cohorts import planted

from hcs.compute import budget
from hcs.domain import columns as col
from hcs.domain.config.stages import FixedOptimizer, Head, TrainConfig, TunedOptimizer
from hcs.domain.splits import Splits
from hcs.errors import MemoryBudgetError
from hcs.io import bank, imagewriting
from hcs.io import heads as io_heads
from hcs.io.files.paths import as_path
from hcs.learn.heads.weights import HeadWeights, predict_heads
from hcs.stages import train

# Keras copies TensorFlow variables in a way that NumPy 2 deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

TRIALS = 4


@pytest.fixture(scope="module")
def made():
    return planted(signal=2.0, images=6, features=8, n_splits=6, counts=(3, 1, 2))


def written(folder, made, vectors, splits):
    """Write a bank of vectors and splits, and say how to tune heads on them."""
    (folder / "splits.json").write_text(splits.to_json())
    frame = made.frame.assign(
        field_path="x", fingerprint=[f"f{n}" for n in range(len(made.frame))], valid=True
    )
    vectors = vectors.reshape(len(frame), -1, vectors.shape[-1]).astype(np.float16)
    out = folder / "bank.zarr"
    layout = bank.layout(*vectors.shape[1:], len(frame))
    treated = {"stack": {}, "backbone": {}, "weights": "planted", "weights_fingerprint": "0"}
    imagewriting.write_images(out, layout, frame, vectors, treated)
    optimizer = TunedOptimizer(
        trials=TRIALS, trials_at_once=2, sampler="random", dropout_min=0.0, dropout_max=0.5,
        l2_min=1e-6, l2_max=1e-1, hidden_units=(4, 16),
    )  # fmt: skip
    return TrainConfig(
        bank=str(out), splits=str(folder / "splits.json"), out=str(folder / "models"),
        head=Head(dropout=0.3), optimizer=optimizer, epochs=3, batch_size=8, heads_per_group=2,
    )  # fmt: skip


@pytest.fixture(scope="module")
def config(made, tmp_path_factory):
    """Tune heads on planted vectors."""
    folder = tmp_path_factory.mktemp("train")
    config = written(folder, made, made.cohort.features, made.splits)
    assert train.run(config).n_run == 6  # one split of two trials at once a unit
    return config


def test_every_split_keeps_its_best_trial(config):
    trials = pd.read_parquet(as_path(config.out) / io_heads.TRIALS)
    assert trials.groupby(col.SPLIT).size().tolist() == [TRIALS] * 6
    assert set(trials["hidden_units"]) == {4, 16}
    assert trials["dropout"].between(0, 0.5).all()
    assert trials["l2"].between(1e-6, 1e-1).all()
    order = trials.sort_values(["validation_accuracy", "trial"], ascending=[False, True])
    best = order.groupby(col.SPLIT).first()
    chosen = pd.DataFrame(io_heads.read_manifest(config.out)["hyperparameters"]).set_index(
        col.SPLIT
    )
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
    rows = pd.read_parquet(as_path(config.out) / io_heads.PREDICTIONS)
    for split, part in rows.groupby(col.SPLIT):
        joined = part.set_index(list(col.IMAGE_KEY))[col.SCORE]
        found = joined.loc[pd.MultiIndex.from_frame(made.frame[list(col.IMAGE_KEY)])]
        np.testing.assert_allclose(found, expected[split], atol=1e-6)


def test_a_second_run_does_nothing(config):
    assert train.run(config).n_run == 0


@pytest.fixture
def little_memory(monkeypatch):
    """Leave room for the heads, but not for the features too."""
    room = budget.NETWORK_FLOOR_BYTES + train.DEFAULT_BUDGET_BYTES + 2**20
    monkeypatch.setattr(budget, "worker_memory_bytes", lambda _: room)
    return monkeypatch


def long_views(made, folder, n_views=40, length=300):
    """Write a bank whose views take a few MiB, one of them far less."""
    rng = np.random.default_rng(1)
    shape = (len(made.frame), n_views, length)
    vectors = rng.normal(size=shape).astype(np.float16)
    vectors[..., : made.cohort.features.shape[1]] += made.cohort.features[:, None]
    return written(folder, made, vectors, made.splits).model_copy(
        update={"optimizer": FixedOptimizer(learning_rate=1e-2)}
    )


def test_features_beyond_the_memory_are_read_from_disk(made, tmp_path, little_memory):
    config = long_views(made, tmp_path)
    unpacked = []
    lay_out = train.unpack
    little_memory.setattr(train, "unpack", lambda *given: unpacked.append(given) or lay_out(*given))
    train.run(config)
    (given,) = unpacked
    assert not given[2].parent.exists(), "removed at the end"
    little_memory.undo()
    roomy = config.model_copy(update={"out": str(tmp_path / "roomy")})
    train.run(roomy)
    assert len(unpacked) == 1
    mine, theirs = io_heads.read_heads(config.out), io_heads.read_heads(roomy.out)
    for array in theirs:
        np.testing.assert_allclose(mine[array], theirs[array], atol=1e-6)
    rows = [pd.read_parquet(as_path(each.out) / io_heads.PREDICTIONS) for each in (config, roomy)]
    pd.testing.assert_frame_equal(*rows, atol=1e-6)


def test_a_finished_run_unpacks_nothing(made, tmp_path, little_memory):
    config = long_views(made, tmp_path)
    train.run(config)
    little_memory.setattr(train, "unpack", None)
    left = tmp_path / "models.hcs" / "parts" / "features"
    left.mkdir()  # of a run that was killed at its very end
    assert train.run(config).n_run == 0
    assert not left.exists()


def test_not_even_a_view_fits(made, tmp_path, monkeypatch):
    config = long_views(made, tmp_path)
    monkeypatch.setattr(budget, "worker_memory_bytes", lambda _: 2**30)
    with pytest.raises(MemoryBudgetError, match="avg pooling"):
        train.run(config)


def test_tuning_never_reads_test_clones(made, tmp_path):
    first = made.splits.model_dump(mode="json", exclude={"proof"})
    only = Splits.read_json(json.dumps(first | {"splits": first["splits"][:1]}))
    roles = made.frame[col.CLONE].map(only.role_of(0)).to_numpy()
    poisoned = made.cohort.features.copy()
    poisoned[roles == col.Role.TEST.value] = np.nan
    assert np.isnan(poisoned).any()
    found = []
    for name, vectors in (("clean", made.cohort.features), ("poisoned", poisoned)):
        (tmp_path / name).mkdir()
        config = written(tmp_path / name, made, vectors, only)
        train.run(config)
        trials = pd.read_parquet(as_path(config.out) / io_heads.TRIALS)
        found.append((trials, io_heads.read_heads(config.out)))
    (trials, heads), (their_trials, their_heads) = found
    pd.testing.assert_frame_equal(trials, their_trials)
    for array in heads:
        np.testing.assert_array_equal(heads[array], their_heads[array])
