"""A study with a fresh view an epoch: the ordinary recipe against embed and train, end to end.

    python -m benchmarks.bench_study [--weights FILE|random] [--splits 12] [--epochs 16] [--px 96]

A simulated cohort, 8 + 8 clones × 12 images. The ordinary recipe: a Keras model with random flips,
rotations, shifts and zooms, the frozen VGG-16 and a new head, fitted once a split; its images are
in memory already. Against it ``hcs embed`` with as many augmented views as epochs, then
``hcs train``, in the same process, files and all. Both have the same splits, epochs, batches, head,
optimizer and ranges of augmentation. The head standardizes its features: the recipe is given the
means and spreads that train computed, for nothing. Keras runs without XLA, which was slower here
(``--xla`` turns it on). The recipe's time is that of its fits alone; ours has everything.

The arithmetic limit is splits × epochs × (train + validation) / (images × views) passes of the
network. The last table carries the times on to a study of full size.
"""

from __future__ import annotations

import argparse
import os
import shutil
import time
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

from benchmarks._table import WORK, report
from hcs.domain import columns as col
from hcs.domain.config.stages import (
    Backbone,
    EmbedConfig,
    FixedOptimizer,
    Head,
    IngestConfig,
    SimulateConfig,
    SplitsConfig,
    StackConfig,
    TrainConfig,
)
from hcs.domain.splits import Splits
from hcs.io import heads as io_heads

BASE = WORK / "study"
HEAD = Head()
OPTIMIZER = FixedOptimizer()
BATCH = 32


def prepare(options: argparse.Namespace) -> None:
    """Simulate, ingest, stack and split the cohort."""
    from hcs.simulate import run as simulation
    from hcs.stages import ingest, splits, stack

    folder = BASE / "cohort"
    simulation.run(
        SimulateConfig(
            out=str(folder), preset="cohort", clones_per_class=8, images_per_clone=12,
            image_px=256, phenotype_strength=options.strength, seed=3,
        )
    )  # fmt: skip
    plates = []
    for source in sorted(path for path in folder.iterdir() if path.is_dir()):
        if source.suffix or source.name.endswith(".hcs"):
            continue
        plates.append(str(BASE / f"{source.name}.zarr"))
        ingest.run(
            IngestConfig(source=str(source), out=plates[-1], platemap=str(folder / "platemap.csv"))
        )
    paths = tuple(plates)
    stack.run(StackConfig(plates=paths, out=str(BASE / "stack.zarr"), image_px=options.px))
    splits.run(
        SplitsConfig(
            plates=paths, out=str(BASE / "splits.json"), n_splits=options.splits,
            train=5, validation=1, test=2,
        )
    )  # fmt: skip


def ours(options: argparse.Namespace) -> dict[str, float]:
    """Embed and train; seconds of each."""
    from hcs.stages import embed, train

    started, cpu = time.perf_counter(), time.process_time()
    embed.run(
        EmbedConfig(
            stack=str(BASE / "stack.zarr"), out=str(BASE / "bank.zarr"), views=options.epochs,
            backbone=Backbone(weights=options.weights),
        )
    )  # fmt: skip
    embedded = time.perf_counter()
    train.run(
        TrainConfig(
            bank=str(BASE / "bank.zarr"), splits=str(BASE / "splits.json"),
            out=str(BASE / "models"), head=HEAD, optimizer=OPTIMIZER, epochs=options.epochs,
            batch_size=BATCH,
        )
    )  # fmt: skip
    trained, spent = time.perf_counter(), time.process_time() - cpu
    return {"embed": embedded - started, "train": trained - embedded, "processor": spent}


def auc_of_heads(splits: Splits) -> list[float]:
    rows = pd.read_parquet(BASE / "models" / io_heads.PREDICTIONS)
    rows = rows[rows[col.ROLE] == col.Role.TEST.value]
    return [
        float(roc_auc_score(part[col.DIAGNOSIS] == splits.positive, part[col.SCORE]))
        for _, part in sorted(rows.groupby(col.SPLIT))
    ]


class Recipe:
    """The ordinary recipe: one Keras model a split, everything inside it."""

    def __init__(self, options: argparse.Namespace, splits: Splits) -> None:
        from hcs.io.stack import open_stack
        from hcs.learn.heads.weights import HeadWeights

        opened = open_stack(BASE / "stack.zarr")
        self.options, self.splits = options, splits
        self.images = opened.read(0, opened.n_images)[..., None]
        self.clones = opened.frame[col.CLONE].astype(str)
        names = self.clones.map(splits.label_of())
        self.labels = (names == splits.positive).to_numpy(np.int64)
        self.scales = HeadWeights(**io_heads.read_heads(BASE / "models"))

    def rows(self, split: int, role: col.Role) -> np.ndarray:
        """Images of a role."""
        return np.flatnonzero(self.clones.map(self.splits.role_of(split)) == role.value)

    def model(self, split: int) -> Any:  # noqa: ANN401 -- keras ships no types
        """Build the whole model."""
        import keras

        from hcs.learn.network.backbone import build_base

        base = build_base(Backbone(weights=self.options.weights), self.options.px)
        layers = keras.layers
        mirrored = {"fill_mode": "reflect"}
        image = keras.Input((self.options.px, self.options.px, 1))
        x = layers.RandomFlip()(image)
        x = layers.RandomRotation(0.5, **mirrored)(x)
        x = layers.RandomTranslation(0.1, 0.1, **mirrored)(x)
        x = layers.RandomZoom(0.1, **mirrored)(x)
        x = layers.GlobalAveragePooling2D()(base(x, training=False))
        assert self.scales.mean is not None
        assert self.scales.scale is not None
        mean, variance = self.scales.mean[split], np.square(self.scales.scale[split])
        x = layers.Normalization(mean=mean, variance=variance)(x)
        l2 = keras.regularizers.L2(HEAD.l2)
        x = layers.Dense(HEAD.hidden_units, "relu", kernel_regularizer=l2)(x)
        x = layers.Dropout(HEAD.dropout)(x)
        model = keras.Model(image, layers.Dense(2, "softmax", kernel_regularizer=l2)(x))
        model.compile(
            keras.optimizers.SGD(OPTIMIZER.learning_rate, OPTIMIZER.momentum),
            "sparse_categorical_crossentropy", metrics=["accuracy"],
            jit_compile=self.options.xla,
        )  # fmt: skip
        return model

    def fit(self, split: int) -> tuple[float, float]:
        """Seconds of building and fitting, and the AUC of the test images."""
        import keras

        keras.utils.set_random_seed(split)
        started = time.perf_counter()
        model = self.model(split)
        train, checked = (self.rows(split, role) for role in (col.Role.TRAIN, col.Role.VALIDATION))
        model.fit(
            self.images[train].astype(np.float32), self.labels[train], batch_size=BATCH,
            epochs=self.options.epochs, verbose=0,
            validation_data=(self.images[checked].astype(np.float32), self.labels[checked]),
        )  # fmt: skip
        seconds = time.perf_counter() - started
        test = self.rows(split, col.Role.TEST)
        scores = model.predict(self.images[test].astype(np.float32), verbose=0)[:, 1]
        keras.backend.clear_session()
        return seconds, float(roc_auc_score(self.labels[test], scores))


def full_size(recipe_pass: float, our_pass: float, head_epoch_row: float) -> list[dict[str, Any]]:
    """Carry both on to 30 clones × 225 images of 256², 55 splits, 64 epochs, 64 views, 20 trials.

    The time of a pass grows with the number of pixels, that of a head with its training images.
    """
    images, train, validation, splits, epochs = 6750, 4500, 1350, 55, 64
    rows = []
    for trials in (1, 20):
        passes = splits * trials * epochs * (train + validation)
        for views in (65, 5):
            usual = passes * recipe_pass
            heads = splits * trials * epochs * train * head_epoch_row
            mine = images * views * our_pass + heads
            rows.append(
                {
                    "carried on to": f"55 splits × {trials} trials × 64 epochs, {views} views",
                    "recipe days": usual / 86400, "embed + train days": mine / 86400,
                    "ratio": usual / mine,
                    "arithmetic limit": passes / (images * views),
                }
            )  # fmt: skip
    return rows


def study(options: argparse.Namespace) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    prepare(options)
    splits = Splits.read_json((BASE / "splits.json").read_text())
    spent = ours(options)
    found = auc_of_heads(splits)
    recipe = Recipe(options, splits)
    n_images, views = len(recipe.images), 1 + options.epochs
    shown = sum(
        len(recipe.rows(split.index, role))
        for split in splits.splits
        for role in (col.Role.TRAIN, col.Role.VALIDATION)
    )
    trained = sum(len(recipe.rows(split.index, col.Role.TRAIN)) for split in splits.splits)
    fits = []
    cpu = time.process_time()
    for split in splits.splits:
        fits.append(recipe.fit(split.index))
        print(f"split {split.index}: {fits[-1][0]:.1f} s, AUC {fits[-1][1]:.3f}", flush=True)
    cpu = time.process_time() - cpu
    usual = sum(seconds for seconds, _ in fits)
    theirs = [auc for _, auc in fits]
    mine = spent["embed"] + spent["train"]
    limit = options.epochs * shown / (n_images * views)
    differences = np.subtract(found, theirs)
    error = differences.std(ddof=1) / np.sqrt(len(differences)) if len(differences) > 1 else np.nan
    rows = [
        {
            "who": "Keras fit a split", "s": usual, "processor s": cpu,
            "passes": options.epochs * shown,
            "mean AUC": float(np.mean(theirs)), "SD": float(np.std(theirs, ddof=1)),
        },
        {
            "who": "embed + train", "s": mine, "processor s": spent["processor"],
            "of which train s": spent["train"],
            "passes": n_images * views, "mean AUC": float(np.mean(found)),
            "SD": float(np.std(found, ddof=1)),
        },
        {"who": "ratio", "s": usual / mine, "processor s": cpu / spent["processor"],
         "passes": limit, "share of limit": usual / mine / limit,
         "mean AUC": float(differences.mean()), "SD": float(error)},
    ]  # fmt: skip
    scale = (256 / options.px) ** 2
    carried = full_size(
        usual / (options.epochs * shown) * scale,
        spent["embed"] / (n_images * views) * scale,
        spent["train"] / (options.epochs * trained),
    )
    return rows, carried


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--weights", default="random")
    parser.add_argument("--splits", type=int, default=12)
    parser.add_argument("--epochs", type=int, default=16)
    parser.add_argument("--px", type=int, default=96)
    parser.add_argument("--strength", type=float, default=0.5, help="Of the planted phenotype.")
    parser.add_argument("--xla", action="store_true", help="Compile the Keras fits with XLA.")
    options = parser.parse_args()
    shutil.rmtree(BASE, ignore_errors=True)
    BASE.mkdir(parents=True)
    rows, carried = study(options)
    real = "random weights" if options.weights == "random" else "real weights"
    what = f"{options.splits} splits of 5, 1 and 2 of 8 + 8 clones × 12 images, {options.px} px"
    notes = [
        f"{what}, {options.epochs} epochs, VGG-16 with {real}, phenotype {options.strength:g}",
        "last row: ratio, limit and share; mean difference of the AUCs and its standard error",
        f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores",
    ]
    report("bench_study", rows, notes)
    print()
    report("bench_study_full_size", carried, ["Extrapolated by pixels and images, not run."])
    shutil.rmtree(BASE, ignore_errors=True)


if __name__ == "__main__":
    main()
