"""``hcs predict``: every image keeps its own score, whatever else is in its block; parts join."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from hcs.domain import columns as col
from hcs.domain.config.stages import (
    Backbone,
    Head,
    HitsConfig,
    IngestConfig,
    PredictConfig,
    ScoresOfImages,
)
from hcs.domain.splits import Group
from hcs.errors import InputError
from hcs.io import heads as io_heads
from hcs.io.files import parquet
from hcs.io.files.atomic import write_bytes
from hcs.learn.heads.weights import HeadWeights, initial_weights
from hcs.learn.network.weights import resolve_weights
from hcs.learn.splits.drawing import make_splits
from hcs.stages import hits, ingest, predict

N_HEADS = 4
KEY = [col.SPLIT, *col.IMAGE_KEY]


def write_models(folder: Path) -> Path:
    """Write untrained heads of clones that stand on no plate here."""
    groups = [
        Group(name=f"{label}{i}", label=label, donor=None, n_images=1)
        for label in ("ALS", "control")
        for i in range(4)
    ]
    splits = make_splits(
        groups, group_by=col.CLONE, label=col.DIAGNOSIS, positive="ALS", n_splits=N_HEADS,
        train=2, validation=1, test=1, seed=0,
    )  # fmt: skip
    stacked = HeadWeights.concatenate(
        [initial_weights(Head(hidden_units=8), 512, 2, (0, i, 0)) for i in range(N_HEADS)]
    )
    arrays = {name: getattr(stacked, name) for name in ("w1", "b1", "w2", "b2")}
    folder.mkdir()
    mark = io_heads.write_heads(folder / io_heads.HEADS, arrays)
    write_bytes(folder / io_heads.SPLITS, splits.to_json().encode())
    base = Backbone(weights="random")
    manifest = {
        "images": {
            "channel": None,
            "plane": None,
            "time": None,
            "image_px": 32,
            "median_level": 63.0,
        },
        "backbone": base,
        "weights": "random",
        "weights_fingerprint": resolve_weights(base).fingerprint,
        "classes": splits.classes,
        "positive": splits.positive,
        "heads_fingerprint": mark,
        "provenance": {"inputs": {}},
    }
    io_heads.write_manifest(folder / io_heads.MANIFEST, manifest)
    return folder


@pytest.fixture
def plate(source, tmp_path) -> Path:
    """Ingest twelve wells with two fields each."""
    out = tmp_path / "P1.zarr"
    config = IngestConfig(
        source=str(source.images), out=str(out), platemap=str(source.platemap), plate_name="P1"
    )
    ingest.run(config)
    return out


def test_one_unreadable_image_leaves_the_others_their_scores(plate, tmp_path):
    models = write_models(tmp_path / "models")
    settings = {"models": str(models), "batch_images": 5}
    whole, broken = tmp_path / "whole.parquet", tmp_path / "broken.parquet"
    predict.run(PredictConfig(plates=(str(plate),), out=str(whole), **settings))
    other = tmp_path / "broken" / "P1.zarr"
    shutil.copytree(plate, other)
    pixels = [p for p in (other / "B" / "2" / "0" / "0").rglob("*") if p.is_file()]
    for file in pixels:
        if file.name != "zarr.json":
            file.write_bytes(b"no image")
    result = predict.run(PredictConfig(plates=(str(other),), out=str(broken), **settings))
    (problem,) = result.problems
    assert (problem.well, problem.site) == ("B02", 1)
    expected, found = pd.read_parquet(whole), pd.read_parquet(broken)
    assert len(expected) == 24 * N_HEADS
    assert len(found) == 23 * N_HEADS
    joined = found.merge(expected, on=KEY, suffixes=("", "_whole"), validate="1:1")
    assert len(joined) == len(found)
    np.testing.assert_allclose(joined[col.SCORE], joined[f"{col.SCORE}_whole"], rtol=0, atol=0)
    assert (joined[col.CLONE] == joined[f"{col.CLONE}_whole"]).all()
    assert found[col.SCORE].nunique() > 23
    assert set(found[col.ROLE]) == {"new"}


# ── joining and reading a few plates at a time ──────────────────────────────────────────────────


def part(plate, wells, **columns):
    return pd.DataFrame(
        {
            col.MODEL: "cnn", col.SPLIT: np.int32(0), col.ROLE: "new", col.PLATE: plate,
            col.WELL: wells,
            col.SITE: 1, col.SCORE: np.float32(0.5), **columns,
        }
    )  # fmt: skip


def join(frames, out, provenance):
    """Write parts below one another, a row group each."""
    schemas = (pa.Schema.from_pandas(frame, preserve_index=False) for frame in frames if len(frame))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parquet, "_GROUP_ROWS", 1)
        return parquet.write_stream(out, schemas, frames, provenance)


def test_parts_join_though_columns_are_absent_or_empty_in_some(tmp_path):
    frames = [
        part("P1", ["A01"], Metadata_Compound=None),
        part("P1", []),
        part("P2", ["A01", "A02"], Metadata_Compound=["x", "y"], Metadata_passage=[1.0, 2.0]),
    ]
    out = tmp_path / "all.parquet"
    assert join(frames, out, {"stage": "predict"}) == 3
    joined = parquet.read_table(out)
    assert joined[col.COMPOUND].tolist() == [None, "x", "y"]
    assert joined["Metadata_passage"].isna().tolist() == [True, False, False]
    assert joined[col.SCORE].dtype == np.float32
    assert parquet.read_provenance(out) == {"stage": "predict"}
    assert [len(group) for group in parquet.row_groups(out)] == [1, 2]


def scores(tmp_path, parts):
    """Write parts as one file, a row group each, and score its wells."""
    path = tmp_path / "predictions.parquet"
    join(parts, path, {})
    config = HitsConfig(source=ScoresOfImages(path=str(path)), out=str(tmp_path / "hits.parquet"))
    hits.run(config)
    return pd.read_parquet(tmp_path / "hits.parquet")


def test_a_plate_over_several_pieces_is_one_plate(tmp_path):
    first = pd.concat([part("P1", ["A01"], Metadata_Site=1), part("P2", ["A01"], Metadata_Site=1)])
    second = pd.concat([part("P2", ["A01"], Metadata_Site=2), part("P3", ["A01"])])
    third = part("P3", ["A02"])
    found = scores(tmp_path, [first, second, third]).set_index([col.PLATE, col.WELL])
    assert found[col.N_IMAGES].to_dict() == {
        ("P1", "A01"): 1, ("P2", "A01"): 2, ("P3", "A01"): 1, ("P3", "A02"): 1,
    }  # fmt: skip


def test_a_plate_that_comes_back_is_refused(tmp_path):
    with pytest.raises(InputError, match="come back to plate 'P1' after other plates"):
        scores(tmp_path, [part("P1", ["A01"]), part("P2", ["A01"]), part("P1", ["A02"])])
