"""What the feature bank costs beside the bare network, and how near that is to the machine's best.

    python -m benchmarks.bench_bank [--sizes 256 96] [--rounds 3] [--weights random]

Simulated images (smoothed noise). Each round embeds a stack of its own into a new bank with 3
augmented views, through ``hcs.stages.embed`` in one process, and before and after it runs the bare
compiled forward on the same batch shape as many times as the stage has batches; their mean meets
the same drift of the machine. Then the multiplications and additions of the forward pass per
second over those of a float32 matrix product in the same run.
"""

from __future__ import annotations

import argparse
import os
import shutil
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import ndimage

from benchmarks._table import WORK, report
from hcs.domain import columns as col
from hcs.domain.config.stages import Backbone, EmbedConfig
from hcs.io import imageset, imagewriting
from hcs.io import stack as io_stack

if TYPE_CHECKING:
    from hcs.learn.network.backbone import Embedder

BASE = WORK / "bank"
BATCH, VIEWS = 16, 3
IMAGES = {256: 48, 96: 256}


def write_stack(side: int, n_images: int) -> str:
    """Write a stack of smoothed noise."""
    path = BASE / f"stack{side}.zarr"
    noise = np.random.default_rng(0).normal(size=(n_images, side, side))
    smooth = ndimage.gaussian_filter(noise, (0, 2, 2))
    pixels = np.clip(63 + 40 * smooth / smooth.std(), 0, 255).astype(np.uint8)
    frame = pd.DataFrame(
        {
            col.PLATE: "P1", col.WELL: "A01", col.SITE: np.arange(n_images), col.CLONE: "C1",
            col.FINGERPRINT: [f"f{i}" for i in range(n_images)], imageset.VALID: True,
        }
    )  # fmt: skip
    imagewriting.write_images(path, io_stack.layout(side, 32), frame, pixels, {})
    return str(path)


def forward_flops(base: Any) -> float:  # noqa: ANN401 -- keras ships no types
    """Multiplications and additions of the convolutions of one image."""
    total = 0.0
    for layer in base.layers:
        if layer.__class__.__name__ == "Conv2D":
            _, height, width, channels = layer.output.shape
            total += 2.0 * height * width * channels * float(np.prod(layer.kernel.shape[:3]))
    return total


def matrix_rate() -> float:
    """Operations per second of a float32 matrix product of 3,072², the best of five."""
    from hcs.learn.network.backbone import load_tensorflow

    tf = load_tensorflow()
    side = 3072
    values = tf.random.normal((side, side))
    seconds = []
    for _ in range(5):
        started = time.perf_counter()
        tf.linalg.matmul(values, values).numpy()
        seconds.append(time.perf_counter() - started)
    return 2.0 * side**3 / min(seconds)


def bare(embedder: Embedder, batch: np.ndarray, n_batches: int) -> np.ndarray:
    """Seconds and processor seconds of so many batches."""
    started = np.array([time.perf_counter(), time.process_time()])
    for _ in range(n_batches):
        embedder._forward(batch).numpy()
    return np.array([time.perf_counter(), time.process_time()]) - started


def one_size(side: int, rounds: int, weights: str) -> list[dict[str, Any]]:
    from hcs.learn.network.backbone import build_base, load_embedder, resolve_weights
    from hcs.stages import embed

    n_images = IMAGES.get(side, 64)
    stack = write_stack(side, n_images)
    base = Backbone(weights=weights)
    embedder = load_embedder(base, side, BATCH, resolve_weights(base).fingerprint)
    batch = np.random.default_rng(1).integers(0, 255, (BATCH, side, side), dtype=np.uint8)
    embedder.features(batch)
    flops = forward_flops(build_base(base, side))
    pictures = n_images * (1 + VIEWS)
    n_batches = -(-pictures // BATCH)
    rows = []
    before = bare(embedder, batch, n_batches)
    for number in range(rounds):
        config = EmbedConfig(
            stack=stack, out=str(BASE / f"bank{side}-{number}.zarr"), views=VIEWS, backbone=base,
            batch_images=BATCH,
        )  # fmt: skip
        started = np.array([time.perf_counter(), time.process_time()])
        embed.run(config)
        whole, whole_cpu = np.array([time.perf_counter(), time.process_time()]) - started
        after = bare(embedder, batch, n_batches)
        forward, forward_cpu = (before + after) / 2
        product = matrix_rate()
        rate = flops * n_batches * BATCH / min(before[0], after[0])
        rows.append(
            {
                "px": side, "round": number + 1, "views computed": pictures,
                "bare images/s": n_batches * BATCH / forward,
                "bare at best": n_batches * BATCH / min(before[0], after[0]),
                "stage images/s": pictures / whole,
                "stage / bare": pictures / whole / (n_batches * BATCH / forward),
                "by processor time": pictures / whole_cpu / (n_batches * BATCH / forward_cpu),
                "forward GFLOP/s": rate / 1e9, "matrix GFLOP/s": product / 1e9,
                "forward / matrix": rate / product,
            }
        )  # fmt: skip
        before = after
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[256, 96])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--weights", default="random")
    options = parser.parse_args()
    shutil.rmtree(BASE, ignore_errors=True)
    BASE.mkdir(parents=True)
    rows, notes = [], []
    for side in options.sizes:
        found = one_size(side, options.rounds, options.weights)
        rows += found
        share = float(np.median([row["stage / bare"] for row in found]))
        by_cpu = float(np.median([row["by processor time"] for row in found]))
        best = max(row["stage images/s"] for row in found)
        best /= max(row["bare at best"] for row in found)
        product = float(np.median([row["forward / matrix"] for row in found]))
        notes.append(
            f"{side} px, medians: stage / bare {share:.3f} ({by_cpu:.3f} by processor time), "
            f"the best of each {best:.3f}; forward / matrix product {product:.2f}"
        )
    notes.append(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    report("bench_bank", rows, notes)
    shutil.rmtree(BASE, ignore_errors=True)


if __name__ == "__main__":
    main()
