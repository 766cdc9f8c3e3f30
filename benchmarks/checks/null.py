"""Nothing planted, nothing found; and what a split that ignores clones would have claimed.

    python -m benchmarks.checks.null [--weights FILE|random] [--clones 10] [--images 80] [--px 128]
        [--clone-variation 1 3]

Simulates a ``null`` cohort (clones and batches differ, classes do not; how much clones differ is
``--clone-variation``), runs ``hcs run`` on it, and
reads the AUC with its interval from ``evaluation.json``. Then trains the same head on the same bank
under splits drawn by image, so that every clone stands on both sides: a leak that hcs itself
refuses to build, read or train on, made here only to show its size.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from sklearn.metrics import roc_auc_score

from benchmarks._table import WORK, report
from hcs.domain import columns as col
from hcs.domain.config.stages import FixedOptimizer, Head
from hcs.domain.evaluation import Evaluation, Metric, Unit
from hcs.domain.splits import Splits
from hcs.io import bank
from hcs.learn.heads.training import HeadJob, stream_heads
from hcs.learn.heads.weights import HeadRecipe, predict_heads

BASE = WORK / "null"
HEAD, OPTIMIZER, BATCH = Head(), FixedOptimizer(), 32


def hcs(*arguments: str) -> None:
    done = subprocess.run([sys.executable, "-m", "hcs_cli", *arguments], check=False)
    if done.returncode not in {0, 3}:
        raise SystemExit(done.returncode)


def study(options: argparse.Namespace, variation: float) -> None:
    """Simulate the cohort and run the study."""
    hcs(
        "simulate", str(BASE), "--preset", "null", "--seed", str(options.seed),
        "--clones-per-class", str(options.clones), "--images-per-clone", str(options.images),
        "--clone-variation", str(variation),
    )  # fmt: skip
    path = BASE / "study.yaml"
    settings = yaml.safe_load(path.read_text())
    settings["stack"] = {"image_px": options.px}
    backbone = {"weights": options.weights, "precision": options.precision}
    settings["embed"] = {"views": options.views, "backbone": backbone}
    settings["train"] = {"epochs": options.epochs}
    path.write_text(yaml.safe_dump(settings, sort_keys=False))
    hcs("run", str(path))


def leaky_aucs(options: argparse.Namespace) -> list[float]:
    """AUC of test images whose clones the head was trained on, one a split."""
    splits = Splits.read_json((BASE / "study" / "splits.json").read_text())
    opened = bank.open_bank(str(BASE / "study" / "bank.zarr"))
    features = opened.read(0, opened.n_images)
    labels = (opened.frame[col.DIAGNOSIS] == splits.positive).to_numpy(np.int64)
    rng = np.random.default_rng(options.seed)
    share = (splits.counts.validation + splits.counts.test) / options.clones
    tested = [rng.random(len(labels)) < share for _ in range(options.leaky_splits)]
    jobs = [
        HeadJob(index, 0, np.flatnonzero(~test), np.zeros(0, np.int64),
                OPTIMIZER.learning_rate, OPTIMIZER.momentum)
        for index, test in enumerate(tested)
    ]  # fmt: skip
    recipe = HeadRecipe(HEAD, 2, options.epochs, BATCH, options.seed)
    trained = stream_heads(features, labels, jobs, recipe)
    return [
        float(roc_auc_score(labels[test], predict_heads(features[test, 0], one.weights)[0, :, 1]))
        for test, one in zip(tested, trained, strict=True)
    ]


def judged(variation: float) -> list[dict[str, Any]]:
    """Read what the study says of its classifiers."""
    found = Evaluation.read_json((BASE / "study" / "evaluation.json").read_text())
    rows = []
    for model in found.models:
        (auc,) = (
            each for each in model.intervals
            if (each.metric, each.unit) == (Metric.ROC_AUC, Unit.IMAGE)
        )  # fmt: skip
        rows.append(
            {"clone variation": variation, "classifier": model.model, "split by": "clone",
             "AUC": auc.value, "low": auc.low, "high": auc.high}
        )  # fmt: skip
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--weights", default="random")
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--clones", type=int, default=10)
    parser.add_argument("--images", type=int, default=80)
    parser.add_argument("--px", type=int, default=128)
    parser.add_argument("--views", type=int, default=4)
    parser.add_argument("--epochs", type=int, default=64)
    parser.add_argument("--leaky-splits", type=int, default=10)
    parser.add_argument("--clone-variation", type=float, nargs="+", default=[1.0])
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    if options.weights != "random":
        options.weights = str(Path(options.weights).resolve())
    started, rows = time.time(), []
    for variation in options.clone_variation:
        study(options, variation)
        leaky = leaky_aucs(options)
        rows += judged(variation)
        rows.append(
            {"clone variation": variation, "classifier": "cnn", "split by": "image (a leak)",
             "AUC": float(np.mean(leaky)), "low": min(leaky), "high": max(leaky)}
        )  # fmt: skip
        shutil.rmtree(BASE, ignore_errors=True)
    seconds = time.time() - started
    what = (
        f"simulated, nothing planted: {2 * options.clones} clones × {options.images} images, "
        f"{options.px} px, {options.views} augmented views, {options.epochs} epochs"
    )
    means = (
        "by clone: AUC over the study and its 95 % interval, which resamples donors; by image: "
        f"mean, lowest and highest of {options.leaky_splits} splits"
    )
    report("check_null", rows, [what, means, f"{seconds:.0f} s in all"])


if __name__ == "__main__":
    main()
