"""What prediction costs beside the bare network, and whether a killed worker changes anything.

    python -m benchmarks.bench_predict [--part cost|heads|memory|kill]

Simulated fields (noise with somas and a line), VGG-16 with random weights, untrained heads: the
scores mean nothing, the times do.

cost: a plate through ``hcs predict`` in one process against the same images, ready in memory,
through the bare network; in turns, so that a drifting machine meets both.
heads: what 55 heads cost beside one, measured directly as the time of everything that depends on
their number, against the network's time for the same images.
memory: peak resident memory of the larger of two workers, and of the command, for 10 and 80 plates.
kill: 200 plates through ``hcs predict`` and ``hcs hits``; a worker process is killed half-way, then
the command itself; the tables must equal those of an undisturbed run.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import psutil
import tifffile

from benchmarks._table import WORK, report
from hcs.domain import columns as col
from hcs.domain.config.stages import Backbone, Head, IngestConfig, LocalCluster, PredictConfig
from hcs.domain.splits import Group
from hcs.domain.wells import PlateFormat
from hcs.io import heads as io_heads
from hcs.io.files.atomic import remove, write_bytes
from hcs.io.files.paths import sidecar
from hcs.learn.heads.weights import HeadWeights, initial_weights, predict_heads
from hcs.learn.network.weights import resolve_weights
from hcs.learn.scores.predictions import rows_of_all_heads
from hcs.learn.splits.drawing import make_splits

BASE = WORK / "predict"
ROUNDS = 5


# ── plates and heads ────────────────────────────────────────────────────────────────────────────


def write_plate(name: str, n_wells: int, sites: int, side: int, seed: int) -> Path:
    """Write one plate of simulated fields and ingest it; a sixth of the wells each are controls."""
    from hcs.stages import ingest

    out = BASE / f"{name}.zarr"
    if out.exists():
        return out
    folder = BASE / "tiffs" / name
    folder.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    lines = ["plate,well,role,compound,batch"]
    for number, well in enumerate(PlateFormat.of_size(n_wells).wells()):
        for site in range(1, sites + 1):
            image = rng.normal(300, 15, (side, side))
            y, x = rng.integers(side // 8, side - side // 8, 2)
            image[y - 3 : y + 3, x - 3 : x + 3] += 2500
            image[y, :] += 500
            file = f"{well.name[0]} - {well.column + 1:02d}(fld {site:03d} wv Blue - FITC).tif"
            tifffile.imwrite(folder / file, np.clip(image, 1, 65535).astype(np.uint16))
        role = {0: "negcon", 1: "poscon"}.get(number % 6, "trt")
        compound = f"K{seed % 20}-{number}" if role == "trt" else ""
        lines.append(f"{name},{well.name},{role},{compound},B{seed // 20}")
    (folder / "map.csv").write_text("\n".join(lines) + "\n")
    config = IngestConfig(
        source=str(folder), out=str(out), platemap=str(folder / "map.csv"), plate_name=name,
        plate_wells=n_wells,
    )  # fmt: skip
    ingest.run(config)
    shutil.rmtree(folder)
    return out


def write_models(n_heads: int, image_px: int) -> Path:
    """Write a folder of untrained heads with the splits that they would have had."""
    folder = BASE / f"models{n_heads}-{image_px}"
    groups = [
        Group(name=f"{label}{i}", label=label, donor=None, n_images=1)
        for label in ("ALS", "control")
        for i in range(15)
    ]
    splits = make_splits(
        groups, group_by=col.CLONE, label=col.DIAGNOSIS, positive="ALS", n_splits=max(n_heads, 8),
        train=10, validation=3, test=2, seed=0,
    )  # fmt: skip
    if n_heads < len(splits.splits):
        splits = splits.model_construct(
            **{**dict(splits), "splits": splits.splits[:n_heads]}
        )  # fewer than would test every clone: only the cost is looked at
    parts = [initial_weights(Head(), 512, 2, (0, i, 0)) for i in range(n_heads)]
    stacked = HeadWeights.concatenate(parts)
    names = ("w1", "b1", "w2", "b2")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    arrays = {name: getattr(stacked, name) for name in names}
    mark = io_heads.write_heads(folder / io_heads.HEADS, arrays)
    write_bytes(folder / io_heads.SPLITS, splits.to_json().encode())
    base = Backbone(weights="random")
    found = resolve_weights(base)
    manifest = {
        "images": {
            "channel": None,
            "plane": None,
            "time": None,
            "image_px": image_px,
            "median_level": 63.0,
        },
        "backbone": base,
        "weights": found.description,
        "weights_fingerprint": found.fingerprint,
        "heads_fingerprint": mark,
        "provenance": {"inputs": {"heads": n_heads}},
    }
    io_heads.write_manifest(folder / io_heads.MANIFEST, manifest)
    return folder


# ── cost ────────────────────────────────────────────────────────────────────────────────────────


def cost(n_wells: int = 96, side: int = 512, image_px: int = 256) -> None:
    from hcs.learn.network.backbone import load_embedder
    from hcs.stages import predict
    from hcs.stages.work.images import list_images, normalize

    plate = write_plate("cost", n_wells, 1, side, 0)
    models = write_models(55, image_px)
    base = Backbone(weights="random")
    embedder = load_embedder(base, image_px, 16, resolve_weights(base).fingerprint)
    jobs = list_images((str(plate),), None, "bench").jobs()
    images = np.stack([normalize(job, image_px, 63.0) for job in jobs])
    embedder.features(images[:16])
    rows = []
    for number in range(ROUNDS):
        out = BASE / f"cost{number}.parquet"
        remove(sidecar(out))  # of an earlier start: finished work would be skipped
        started, cpu = time.perf_counter(), time.process_time()
        embedder.features(images)
        bare, bare_cpu = time.perf_counter() - started, time.process_time() - cpu
        started, cpu = time.perf_counter(), time.process_time()
        done = predict.run(PredictConfig(models=str(models), plates=(str(plate),), out=str(out)))
        whole, whole_cpu = time.perf_counter() - started, time.process_time() - cpu
        assert done.n_skipped == 0
        rows.append(
            {
                "round": number + 1, "images": len(images), "bare s": bare, "predict s": whole,
                "added": whole / bare - 1, "added processor time": whole_cpu / bare_cpu - 1,
            }
        )  # fmt: skip
    added = float(np.median([row["added"] for row in rows]))
    verdict = "within" if added <= 0.05 else "beyond"
    cpu_added = float(np.median([row["added processor time"] for row in rows]))
    least = min(row["predict s"] for row in rows) / min(row["bare s"] for row in rows) - 1
    notes = [
        f"least time of each: {least:+.1%} added ({'within' if least <= 0.05 else 'beyond'} 5 %)",
        f"median added {added:+.1%} ({verdict} 5 %), {cpu_added:+.1%} processor time",
        f"{image_px} px, 55 heads, load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores",
    ]
    report("bench_predict_cost", rows, notes)


def heads(image_px: int = 256, n_images: int = 64) -> None:
    from hcs.io.files import parquet
    from hcs.learn.network.backbone import load_embedder
    from hcs.stages.work.study import read_splits

    base = Backbone(weights="random")
    embedder = load_embedder(base, image_px, 16, resolve_weights(base).fingerprint)
    images = np.random.default_rng(0).integers(0, 255, (n_images, image_px, image_px), np.uint8)
    embedder.features(images[:16])
    frame = pd.DataFrame(
        {col.PLATE: "P", col.WELL: "A01", col.SITE: range(n_images), col.CLONE: "ALS1"}
    )
    folders = {n: write_models(n, image_px) for n in (1, 55)}
    loaded = {
        n: (HeadWeights(**io_heads.read_heads(path)), read_splits(path / io_heads.SPLITS))
        for n, path in folders.items()
        if n == 55
    }
    stacked, splits = loaded[55]
    one = stacked.take([0])
    rows = []
    for number in range(ROUNDS):
        started = time.perf_counter()
        features = embedder.features(images).astype(np.float16)
        bare = time.perf_counter() - started
        seconds = {}
        for n, weights in ((1, one), (55, stacked)):
            few = splits.model_construct(**{**dict(splits), "splits": splits.splits[:n]})
            started = time.perf_counter()
            scores = predict_heads(features, weights)
            table = rows_of_all_heads(frame, scores, few, "cnn")
            parquet.write_table(BASE / "part.parquet", table)
            seconds[n] = time.perf_counter() - started
        more = seconds[55] - seconds[1]
        rows.append(
            {
                "round": number + 1, "images": n_images, "network s": bare,
                "one head s": seconds[1], "55 heads s": seconds[55],
                "55 cost more than 1": more / (bare + seconds[1]),
            }
        )  # fmt: skip
    more = float(np.median([row["55 cost more than 1"] for row in rows]))
    notes = [f"median {more:+.2%} ({'within' if more <= 0.02 else 'beyond'} 2 %), {image_px} px"]
    report("bench_predict_heads", rows, notes)


# ── memory ──────────────────────────────────────────────────────────────────────────────────────


def peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def small_plates(count: int) -> list[Path]:
    return [write_plate(f"S{i:03d}", 6, 1, 64, i) for i in range(count)]


def memory() -> None:
    models = write_models(55, 64)
    small_plates(80)
    rows = []
    context = multiprocessing.get_context("spawn")
    for count in (10, 80):
        queue = context.Queue()
        process = context.Process(target=one_memory, args=(str(models), count, queue))
        process.start()
        process.join()
        rows.append(queue.get(timeout=5))
    change = rows[1]["worker MiB"] / rows[0]["worker MiB"] - 1
    own = rows[1]["command MiB"] / rows[0]["command MiB"] - 1
    notes = [f"80 against 10 plates: worker {change:+.1%}, command {own:+.1%}"]
    report("bench_predict_memory", rows, notes)


def one_memory(models: str, count: int, queue: multiprocessing.Queue[Any]) -> None:
    from hcs.compute.client import open_client
    from hcs.stages import predict

    plates = tuple(str(path) for path in small_plates(count))
    with open_client(LocalCluster(n_workers=2)) as client:
        assert client is not None
        out = str(BASE / f"memory{count}.parquet")
        remove(sidecar(out))
        predict.run(PredictConfig(models=models, plates=plates, out=out), client)
        worker = max(client.run(peak_mib).values())
    row = {"plates": count, "images": 6 * count, "worker MiB": worker, "command MiB": peak_mib()}
    queue.put(row)


# ── kill ────────────────────────────────────────────────────────────────────────────────────────


def workers_of(process: subprocess.Popen[bytes]) -> Iterator[psutil.Process]:
    """Worker processes of a running command: the children that hold TensorFlow."""
    for child in psutil.Process(process.pid).children(recursive=True):
        with_memory = child.memory_info().rss > 300 * 2**20
        if with_memory and "resource_tracker" not in " ".join(child.cmdline()):
            yield child


def start(*arguments: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "hcs_cli", *arguments]
    quiet = subprocess.DEVNULL
    return subprocess.Popen(command, stdout=quiet, stderr=quiet, start_new_session=True)


def finished(out: Path) -> int:
    return sum(1 for _ in Path(f"{out}.hcs").glob("units/*.json"))


def wait_for(process: subprocess.Popen[bytes], out: Path, units: int) -> None:
    while finished(out) < units:
        if process.poll() is not None:
            msg = f"the command ended before unit {units}"
            raise SystemExit(msg)
        time.sleep(0.01)


def kill(n_plates: int = 200) -> None:
    models = write_models(55, 64)
    plates = [str(path) for path in small_plates(n_plates)]
    rows = []
    for name in ("whole", "killed"):
        shutil.rmtree(BASE / name, ignore_errors=True)
        (BASE / name).mkdir(parents=True)
    out = BASE / "whole" / "predictions.parquet"
    predict_into = ("predict", str(models), *plates, "--cluster", "local:2", "--out")
    started = time.perf_counter()
    if start(*predict_into, str(out)).wait() != 0:
        raise SystemExit("the undisturbed run failed")
    seconds = time.perf_counter() - started
    total = finished(out)
    out = BASE / "killed" / "predictions.parquet"
    process = start(*predict_into, str(out))
    wait_for(process, out, total // 2)
    victim = next(workers_of(process))
    victim.send_signal(signal.SIGKILL)
    rows.append({"killed": "a worker", "units then": finished(out), "of": total})
    wait_for(process, out, 3 * total // 4)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    rows.append(
        {"killed": "the command with its workers", "units then": finished(out), "of": total}
    )
    if start(*predict_into, str(out)).wait() != 0:
        raise SystemExit("the run after the kill failed")
    hits = ("--min-controls", "2", "--score-over", "batch", "--out")
    start(
        "hits", str(BASE / "whole/predictions.parquet"), *hits, str(BASE / "whole/hits.parquet")
    ).wait()
    target = str(BASE / "killed/hits.parquet")
    process = start("hits", str(BASE / "killed/predictions.parquet"), *hits, target)
    time.sleep(2.0)
    os.killpg(process.pid, signal.SIGKILL)
    there = Path(target).exists()
    process.wait()
    rows.append({"killed": f"hcs hits, its table {'written' if there else 'not yet written'}"})
    start("hits", str(BASE / "killed/predictions.parquet"), *hits, target).wait()
    compared = 0
    for file in sorted((BASE / "whole").glob("*.parquet")):
        left, right = (pd.read_parquet(BASE / name / file.name) for name in ("whole", "killed"))
        pd.testing.assert_frame_equal(left, right, rtol=1e-6, atol=1e-6)
        rows.append({"killed": f"{file.name}: equal", "rows": len(left)})
        compared += 1
    what = f"{n_plates} plates, {6 * n_plates} images, 55 heads, {seconds:.0f} s undisturbed"
    notes = [f"{what}: all {compared} tables equal those of the undisturbed run"]
    report("bench_predict_kill", rows, notes)


PARTS = {"cost": cost, "heads": heads, "memory": memory, "kill": kill}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--part", choices=[*PARTS, "all"], default="all")
    chosen = parser.parse_args().part
    for name, part in PARTS.items():
        if chosen in {name, "all"}:
            part()
            print()
    if chosen == "all":
        shutil.rmtree(BASE, ignore_errors=True)


if __name__ == "__main__":
    main()
