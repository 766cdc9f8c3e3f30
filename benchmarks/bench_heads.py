"""Many heads at once against Keras fits one after the other, and the memory of both.

    python -m benchmarks.bench_heads [--part pooled|flattened|all] [--heads 55]

Random vectors, 4,500 for training and 1,350 for validation as in the study, two classes; the head
of the study (256 units, dropout, L2, momentum SGD, batches of 32) for both. Each side runs in a
process of its own, in turns: Keras, hcs, Keras. Keras runs with and without XLA; its quicker way
counts. Keras' time is a few fits of a few epochs, carried on to all fits and epochs: the first
epoch, which compiles, once a fit, and the shortest of the others for every further one. The pooled
heads of hcs are trained for all their epochs, the flattened ones for a few, carried on (an epoch is
like another); what it compiles, once in all, is timed by one epoch of a few images before. Every
row says what was run.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import resource
import tempfile
import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from benchmarks._table import report
from hcs.domain.config.stages import Head

TRAIN, VALIDATION = 4500, 1350
HEAD = Head(hidden_units=256, dropout=0.5, l2=1e-4)


@dataclass(frozen=True)
class Case:
    """What is trained by both, and how much of it is run."""

    name: str
    n_features: int
    n_heads: int
    epochs: int
    run_heads: int
    run_epochs: int
    keras_fits: int
    keras_epochs: int


CASES = {
    "pooled": Case("pooled", 512, 55, 64, 55, 64, 2, 4),
    "flattened": Case("flattened", 8 * 8 * 512, 55, 64, 4, 4, 1, 2),
}


def data(case: Case) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    labels = np.arange(TRAIN + VALIDATION) % 2
    features = np.empty((len(labels), 1, case.n_features), np.float16)
    for start in range(0, len(labels), 100):  # a whole draw would be the peak of the memory
        shape = features[start : start + 100].shape
        features[start : start + 100] = rng.standard_normal(shape, np.float32)
    features[:, 0, :8] += labels[:, None]
    return features, labels


def memory_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def at_once(case: Case, _jit: bool) -> dict[str, float]:
    """Train the heads together; compiling, which is done once in all, is timed apart."""
    os.environ["NUMBA_CACHE_DIR"] = tempfile.mkdtemp()  # compiled anew, as on a new machine
    from hcs.learn.heads.training import HeadJob, stream_heads
    from hcs.learn.heads.weights import HeadRecipe
    from hcs.learn.network.backbone import load_tensorflow

    load_tensorflow()
    features, labels = data(case)
    rows = [np.random.default_rng(i).permutation(len(labels)) for i in range(case.run_heads)]
    jobs = [HeadJob(i, 0, r[:TRAIN], r[TRAIN:], 1e-3, 0.9) for i, r in enumerate(rows)]
    few = HeadJob(0, 0, np.arange(64), np.arange(64, 96), 1e-3, 0.9)
    small = np.ascontiguousarray(features[:96, :, :512])
    before = memory_mib()
    spent = []
    for given, wanted, epochs in ((small, [few], 1), (features, jobs, case.run_epochs)):
        started = time.perf_counter()
        recipe = HeadRecipe(HEAD, 2, epochs, 32, 0)
        for _ in stream_heads(given, labels[: len(given)], wanted, recipe):
            pass
        spent.append(time.perf_counter() - started)
    return {
        "compiling": spent[0],
        "seconds": spent[1],
        "MiB": memory_mib() - before,
        "data MiB": features.nbytes / 2**20,
    }


def keras_fits(case: Case, jit: bool) -> dict[str, float]:
    """Fit a few heads one after the other; return the first and the shortest other epoch."""
    from hcs.learn.network.backbone import load_tensorflow

    load_tensorflow()
    import keras

    features, labels = data(case)
    vectors = features[:, 0].astype(np.float32)
    before = memory_mib()
    first, others = [], []
    for _ in range(case.keras_fits):
        started = time.perf_counter()
        regularizer = keras.regularizers.L2(HEAD.l2)
        model = keras.Sequential(
            [
                keras.Input((case.n_features,)),
                keras.layers.Dense(HEAD.hidden_units, "relu", kernel_regularizer=regularizer),
                keras.layers.Dropout(HEAD.dropout),
                keras.layers.Dense(2, "softmax", kernel_regularizer=regularizer),
            ]
        )
        optimizer = keras.optimizers.SGD(1e-3, 0.9)
        loss = "sparse_categorical_crossentropy"
        model.compile(optimizer, loss, metrics=["accuracy"], jit_compile=jit)
        marks = [started]
        note = keras.callbacks.LambdaCallback(
            on_epoch_end=lambda *_, marks=marks: marks.append(time.perf_counter())
        )
        model.fit(
            vectors[:TRAIN], labels[:TRAIN], batch_size=32, epochs=case.keras_epochs, verbose=0,
            validation_data=(vectors[TRAIN:], labels[TRAIN:]), callbacks=[note],
        )  # fmt: skip
        spent = np.diff(marks)
        first.append(spent[0])
        others.append(spent[1:].min())
    return {"first": min(first), "other": min(others), "MiB": memory_mib() - before}


def apart(work: Any, case: Case, jit: bool = False) -> dict[str, float]:  # noqa: ANN401
    """Run in a fresh process, so that its peak memory is its own."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        found: dict[str, float] = pool.apply(work, (case, jit))
        return found


def one(case: Case) -> tuple[list[dict[str, Any]], str]:
    fits = {jit: apart(keras_fits, case, jit) for jit in (False, True)}
    ours = apart(at_once, case)
    quick = min(fits, key=lambda jit: fits[jit]["other"])
    again = apart(keras_fits, case, quick)
    epoch = min(fits[quick]["other"], again["other"])
    compiling = min(fits[quick]["first"], again["first"]) - epoch
    keras_all = case.n_heads * (compiling + case.epochs * epoch)
    head_epochs = case.run_heads * case.run_epochs
    ours_all = ours["compiling"] + ours["seconds"] * (case.n_heads * case.epochs / head_epochs)
    carried = "" if head_epochs == case.n_heads * case.epochs else ", carried on"
    rows: list[dict[str, Any]] = [
        {
            "case": case.name, "who": f"Keras fit{', XLA' if quick else ''}",
            "run": f"{2 * case.keras_fits} fits × {case.keras_epochs} epochs, carried on",
            "s a head-epoch": epoch, "s a fit to compile": compiling,
            f"s for {case.n_heads} × {case.epochs}": keras_all, "memory MiB": again["MiB"],
        },
        {
            "case": case.name, "who": "hcs",
            "run": f"{case.run_heads} heads × {case.run_epochs} epochs{carried}",
            "s a head-epoch": ours["seconds"] / head_epochs, "s to compile once": ours["compiling"],
            f"s for {case.n_heads} × {case.epochs}": ours_all, "memory MiB": ours["MiB"],
        },
    ]  # fmt: skip
    slow = fits[not quick]["other"]
    ratio = keras_all / ours_all
    note = (
        f"{case.name}: {ratio:.1f} × faster ({epoch / rows[1]['s a head-epoch']:.1f} × without "
        f"Keras' compiling); Keras {'without' if quick else 'with'} XLA took {slow:.3g} s an "
        f"epoch; half-precision features of {ours['data MiB']:.0f} MiB not counted as memory"
    )
    return rows, note


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--part", choices=[*CASES, "all"], default="all")
    parser.add_argument("--heads", type=int, default=55, help="Pooled heads that are run.")
    options = parser.parse_args()
    chosen = options.part
    rows, notes = [], []
    for name, usual in CASES.items():
        if chosen in {name, "all"}:
            case = replace(usual, run_heads=options.heads) if name == "pooled" else usual
            found, note = one(case)
            rows += found
            notes.append(note)
    notes.append(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    report("bench_heads", rows, notes)


if __name__ == "__main__":
    main()
