"""Training in the study's own mode, whose features are larger than the memory.

    python -m benchmarks.memory.heads [--images 225] [--views 64] [--splits 8] [--epochs 2]

Writes a bank as ``hcs embed`` does for the preset ``imamura2021`` (30 clones × 225 images, the
image and 64 views, flattened 8 × 8 × 512 half-precision features, 29 GB), of drawn numbers of which
most are 0 as after ReLU, and runs ``hcs train`` on it in a process of its own. Peak memory from the
operating system, against the size of the features; the time to lay them out and that of a
head-epoch. The disk needs about 40 GB.
"""

from __future__ import annotations

import argparse
import logging
import multiprocessing
import resource
import shutil
import time
from typing import Any

import numpy as np
import pandas as pd

from benchmarks._table import WORK, report
from hcs.domain import columns as col
from hcs.domain.config.stages import FixedOptimizer, Head, TrainConfig
from hcs.domain.splits import Group
from hcs.io import bank, imageset, imagewriting
from hcs.io.unpacked import UnpackedFeatures
from hcs.learn.splits.drawing import make_splits

BASE = WORK / "memory_heads"
CLONES, LENGTH, SHARD = 15, 8 * 8 * 512, 4
GIB = 2**30


def write_bank(options: argparse.Namespace) -> None:
    """Write bank and splits."""
    n = 2 * CLONES * options.images
    clone = np.repeat(np.arange(2 * CLONES), options.images)
    label = np.array(["als", "control"])[clone % 2]
    frame = pd.DataFrame(
        {
            col.PLATE: "P1", col.WELL: "A01", col.SITE: np.arange(n), col.DIAGNOSIS: label,
            col.CLONE: [f"C{number:02d}" for number in clone],
            col.FINGERPRINT: [f"f{number}" for number in range(n)], imageset.VALID: True,
        }
    )  # fmt: skip
    groups = [
        Group(name=f"C{number:02d}", label=str(part[col.DIAGNOSIS].iloc[0]), n_images=len(part))
        for number, part in frame.groupby(clone)
    ]
    splits = make_splits(
        groups,
        group_by=col.CLONE,
        label=col.DIAGNOSIS,
        positive="als",
        n_splits=options.splits,
        train=10,
        validation=3,
        test=2,
        seed=0,
    )
    BASE.mkdir(parents=True, exist_ok=True)
    (BASE / "splits.json").write_text(splits.to_json())
    out = BASE / "bank.zarr"
    layout = bank.layout(1 + options.views, LENGTH, SHARD)
    treated = {"stack": {}, "backbone": {}, "weights": "drawn", "weights_fingerprint": "0"}
    placed = imagewriting.place_images(out, frame)
    imagewriting.prepare(out, layout, placed, treated)
    rng = np.random.default_rng(0)
    for start in range(0, n, SHARD):
        size = min(SHARD, n - start) * (1 + options.views) * LENGTH
        drawn = np.maximum(rng.standard_normal(size, np.float32) - 1, 0).astype(np.float16)
        block = drawn.reshape(-1, 1 + options.views, LENGTH)
        block[clone[start : start + SHARD] % 2 == 1, :, :64] += np.float16(0.5)
        imagewriting.write_shard(out, layout, "P1", start // SHARD, block)
    imagewriting.write_table(out, placed, {})


def train(options: argparse.Namespace, queue: multiprocessing.Queue[Any]) -> None:
    """Run ``hcs train`` and report its time and its peak memory."""
    from hcs.stages import train as stage

    laying, reading = [], []
    stage.unpack = timed(stage.unpack, laying)
    UnpackedFeatures.__getitem__ = timed(UnpackedFeatures.__getitem__, reading)  # type: ignore[method-assign]
    config = TrainConfig(
        bank=str(BASE / "bank.zarr"), splits=str(BASE / "splits.json"), out=str(BASE / "models"),
        head=Head(), optimizer=FixedOptimizer(), epochs=options.epochs,
    )  # fmt: skip
    started = time.perf_counter()
    stage.run(config)
    seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    queue.put((seconds, sum(laying), sum(reading), peak))


def timed(work: Any, seconds: list[float]) -> Any:  # noqa: ANN401
    """Note how long each call takes."""

    def wrapped(*given: Any) -> Any:  # noqa: ANN401
        started = time.perf_counter()
        made = work(*given)
        seconds.append(time.perf_counter() - started)
        return made

    return wrapped


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--images", type=int, default=225, help="A clone.")
    parser.add_argument("--views", type=int, default=64)
    parser.add_argument("--splits", type=int, default=8)
    parser.add_argument("--epochs", type=int, default=2)
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO)
    write_bank(options)
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    process = context.Process(target=train, args=(options, queue))
    process.start()
    seconds, laying_out, reading, peak = queue.get()
    process.join()
    n_bytes = 2 * CLONES * options.images * (1 + options.views) * LENGTH * 2
    row = {
        "features GiB": n_bytes / GIB, "peak memory GiB": peak / GIB,
        "s to lay out": laying_out, "heads": options.splits, "epochs": options.epochs,
        "s to read, all threads": reading,
        "s a head-epoch": (seconds - laying_out) / options.splits / options.epochs,
    }  # fmt: skip
    report("bench_memory_heads", [row], ["drawn features; compiling, loading and scores included"])
    shutil.rmtree(BASE, ignore_errors=True)


if __name__ == "__main__":
    main()
