"""Small inputs of every stage, and every stage run on them: a few images and seconds each."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import tifffile
from planted_cohorts import planted
from small_plates import field, name_of

from hcs.domain import columns as col
from hcs.domain.config.stages import (
    Backbone,
    EmbedConfig,
    EvaluateConfig,
    FeaturesConfig,
    FixedOptimizer,
    ForestConfig,
    Head,
    HitsConfig,
    IngestConfig,
    PredictConfig,
    ScoresOfImages,
    SplitsConfig,
    StackConfig,
    TrainConfig,
)
from hcs.domain.results import StageResult
from hcs.io import bank, imageset, imagewriting
from hcs.io import heads as io_heads
from hcs.io.files import parquet
from hcs.learn.heads.weights import HeadWeights, initial_weights
from hcs.learn.network.weights import resolve_weights
from hcs.stages import (
    embed,
    evaluate,
    features,
    forest,
    hits,
    ingest,
    predict,
    splits,
    stack,
    train,
)

PX = 32
WELLS = ("A", "B")
COLUMNS = range(1, 4)
SITES = (1, 2)
FEATURES = {
    "Image_Neurite_Beading": 0,
    "Image_Count_Cells": 1,
    "Image_Soma_MeanArea_um2": 2,
    "Image_Neurite_TotalLength_um": 3,
}
NETWORK = ("embed", "predict")
"""Stages that need TensorFlow."""

TIMES = ("provenance", "forests")
"""What says when and how long: the files of forests hold the time, the manifest their checksums."""

STAGES = (
    "ingest", "features", "splits", "stack", "embed", "train", "forest", "predict", "hits",
    "evaluate",
)  # fmt: skip


def write_inputs(folder: Path, *, with_network: bool = True) -> None:
    """Write the inputs of all stages, once."""
    if (folder / "done").exists():
        return
    shutil.rmtree(folder, ignore_errors=True)
    _write_images(folder)
    run_stage("ingest", folder, folder)
    run_stage("stack", folder, folder)
    _write_vectors(folder)
    run_stage("forest", folder, folder)
    shutil.rmtree(folder / "forest.hcs")
    if with_network:
        write_models(folder / "network")
    (folder / "done").touch()


def _write_images(folder: Path) -> None:
    """Six wells of two fields each, four clones of two classes among them."""
    (folder / "images").mkdir(parents=True)
    lines = ["well,clone,donor,diagnosis,batch,role"]
    for number, (row, column) in enumerate((r, c) for r in WELLS for c in COLUMNS):
        for site in SITES:
            path = folder / "images" / name_of(row, column, site)
            tifffile.imwrite(path, field(1000 * number + site))
        sick = "ALS" if number % 2 else "control"
        lines.append(f"{row}{column},C{number:02d},D{number:02d},{sick},B1,trt")
    (folder / "wells.csv").write_text("\n".join(lines) + "\n")


def _write_vectors(folder: Path) -> None:
    """Bank, features, splits and scores of a planted cohort."""
    made = planted(clones=4, images=4, features=6, signal=2.5, n_splits=4, counts=(2, 1, 1))
    splits_file = folder / "cohort.json"
    splits_file.write_text(made.splits.to_json())
    frame = made.frame
    marks = [f"f{number}" for number in range(len(frame))]
    described = frame.assign(**{col.FINGERPRINT: marks, imageset.VALID: True})
    vectors = np.repeat(made.cohort.features[:, None], 2, axis=1).astype(np.float16)
    treated = {"stack": {}, "backbone": {}, "weights": "planted", "weights_fingerprint": "0"}
    imagewriting.write_images(
        folder / "cohort.zarr", bank.layout(2, 6, 10), described, vectors, treated
    )
    for name, index in FEATURES.items():
        frame[name] = made.cohort.features[:, index]
    parquet.write_table(folder / "cohort.parquet", frame)


def write_models(folder: Path) -> None:
    """Write untrained heads on the frozen network."""
    folder.mkdir()
    made = planted(clones=4, n_splits=4, counts=(2, 1, 1))
    heads = [initial_weights(Head(hidden_units=8), 512, 2, (0, i, 0)) for i in range(4)]
    stacked = HeadWeights.concatenate(heads)
    arrays = {name: getattr(stacked, name) for name in ("w1", "b1", "w2", "b2")}
    mark = io_heads.write_heads(folder / io_heads.HEADS, arrays)
    (folder / io_heads.SPLITS).write_text(made.splits.to_json())
    base = Backbone(weights="random")
    manifest = {
        "images": {
            "channel": None,
            "plane": None,
            "time": None,
            "image_px": PX,
            "median_level": 63.0,
        },
        "backbone": base,
        "weights": "random",
        "weights_fingerprint": resolve_weights(base).fingerprint,
        "classes": made.splits.classes,
        "positive": made.splits.positive,
        "heads_fingerprint": mark,
        "provenance": {"inputs": {}},
    }
    io_heads.write_manifest(folder / io_heads.MANIFEST, manifest)


def prepare(stage: str, inputs: Path, out: Path) -> None:
    """Make the folder ready that a stage writes into."""
    out.mkdir(parents=True)
    if stage == "features":  # which writes labels into the plate
        shutil.copytree(inputs / "P1.zarr", out / "P1.zarr")


def run_stage(stage: str, inputs: Path, out: Path, **settings: Any) -> StageResult:
    """Run one stage on the inputs, into a folder."""
    config = config_of(stage, inputs, out).model_copy(update=settings)
    run: Any = {
        "ingest": ingest.run, "features": features.run, "splits": splits.run, "stack": stack.run,
        "embed": embed.run, "train": train.run, "forest": forest.run, "predict": predict.run,
        "hits": hits.run, "evaluate": evaluate.run,
    }[stage]  # fmt: skip
    return run(config)


def config_of(stage: str, inputs: Path, out: Path) -> Any:
    """Settings of one stage: as few images, trees and epochs as show what it does."""
    plate = (str((out if stage == "features" else inputs) / "P1.zarr"),)
    cohort = {"splits": str(inputs / "cohort.json")}
    backbone = Backbone(weights="random", layer="block1_conv1")
    configs: dict[str, Any] = {
        "ingest": lambda: IngestConfig(
            source=str(inputs / "images"), out=str(out / "P1.zarr"), plate_name="P1",
            platemap=str(inputs / "wells.csv"), pixel_size_um=1.0,
        ),
        "features": lambda: FeaturesConfig(plates=plate, out=str(out / "features.parquet")),
        "splits": lambda: SplitsConfig(
            plates=plate, out=str(out / "splits.json"), n_splits=3, train=1, validation=1, test=1,
        ),
        "stack": lambda: StackConfig(
            plates=plate, out=str(out / "stack.zarr"), image_px=PX, images_per_shard=5,
        ),
        "embed": lambda: EmbedConfig(
            stack=str(inputs / "stack.zarr"), out=str(out / "bank.zarr"), backbone=backbone,
            views=1, batch_images=4,
        ),
        "train": lambda: TrainConfig(
            bank=str(inputs / "cohort.zarr"), **cohort, out=str(out / "models"),
            head=Head(hidden_units=4), optimizer=FixedOptimizer(learning_rate=1e-2), epochs=2,
            batch_size=8,
        ),
        "forest": lambda: ForestConfig(
            features=str(inputs / "cohort.parquet"), **cohort, out=str(out / "forest"),
            feature_set="full", n_trees=5, importance_repeats=1,
        ),
        "predict": lambda: PredictConfig(
            models=str(inputs / "network"), plates=plate, out=str(out / "predictions.parquet"),
            batch_images=4,
        ),
        "hits": lambda: HitsConfig(
            source=ScoresOfImages(path=str(inputs / "forest" / io_heads.PREDICTIONS)),
            out=str(out / "hits.parquet"),
        ),
        "evaluate": lambda: EvaluateConfig(
            models=(str(inputs / "forest"),), out=str(out / "evaluation.json"), n_bootstrap=50,
        ),
    }  # fmt: skip
    return configs[stage]()


def read_output(out: Path) -> dict[str, Any]:
    """Read everything that a stage wrote, without the times at which it did.

    Returns
    -------
    dict
        By path: arrays, tables, or what JSON says; else bytes.
    """
    import json

    import zarr

    found: dict[str, Any] = {}
    for path in sorted(out.rglob("*")):
        inside = path.relative_to(out)
        beside = any(part.endswith(".hcs") for part in inside.parts)
        if not path.is_file() or beside or "c" in inside.parts[:-1]:
            continue
        if path.suffix == ".parquet":
            found[str(inside)] = pd.read_parquet(path)
        elif path.suffix == ".json":
            document = json.loads(path.read_text())
            found[str(inside)] = timeless(document)
            if path.name == "zarr.json" and document.get("node_type") == "array":
                found[f"{inside} values"] = zarr.open_array(path.parent, mode="r")[...]
        elif path.suffix == ".skops":
            found[str(inside)] = list_nodes(path)
        else:
            found[str(inside)] = path.read_bytes()
    return found


def list_nodes(path: Path) -> list[tuple[bytes, bytes]]:
    """Nodes and values of all trees of a forest, whose file also says when it was written."""
    from hcs.learn.forest import load_forest

    states = [tree.tree_.__getstate__() for tree in load_forest(path.read_bytes(), path.name)]
    return [(state["nodes"].tobytes(), state["values"].tobytes()) for state in states]


def timeless(value: Any) -> Any:
    """Leave out when, where and how long."""
    if isinstance(value, dict):
        kept = {key: timeless(item) for key, item in value.items() if key not in TIMES}
        if isinstance(said := kept.get("hcs"), dict):  # of a plate: stages say there how they ran
            kept["hcs"] = {key: item for key, item in said.items() if key not in STAGES}
        return kept
    return [timeless(item) for item in value] if isinstance(value, list) else value


def find_differences(one: dict[str, Any], two: dict[str, Any]) -> list[str]:
    """Name the outputs that differ between two runs."""
    different = sorted(one.keys() ^ two.keys())
    for name in sorted(one.keys() & two.keys()):
        left, right = one[name], two[name]
        if isinstance(left, pd.DataFrame):
            same = left.equals(right)
        elif isinstance(left, np.ndarray):
            same = np.array_equal(left, right, equal_nan=left.dtype.kind == "f")
        else:
            same = left == right
        if not same:
            different.append(name)
    return different
