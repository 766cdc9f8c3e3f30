"""How near ingest comes to reading, encoding and writing alone, and how other libraries do.

    python -m benchmarks.bench_ingest [--large 384] [--small 2000] [--peers PYTHON[,PYTHON]]

On the same simulated TIFFs (noise, spots, uncompressed) in one run, each in a process of its own:

- floor: read every TIFF with tifffile, encode, and write the very files that a plate has (shards,
  overview, documents), with the same codec and one thread, and nothing else. The overview is worked
  out beforehand. No plate map, no checks, no statistics, no records of finished work.
- hcs: the whole stage, one thread, no cluster; then on two worker processes. Floor and hcs have the
  memory settings of our workers (see ``hcs.compute.client.worker_environment``).
- ngio, ngff-zarr, ome-writers, iohub: ``ingest_peers.py`` under each given Python, in which they
  are installed, on a share of the files. ome-writers and iohub write no pyramid.

Floor and hcs take turns, three times; the median of the ratios counts. Then: files a field, and the
time to read and draw the overview of a plate of 384 wells × 9 fields.
"""

# The floor works with plain strings, as path objects would slow it down.
# ruff: noqa: PTH103, PTH120, PTH123
from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import shutil
import statistics
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import tifffile

from benchmarks._table import WORK, report
from hcs.compute.client import open_client, worker_environment
from hcs.domain import ngff, tables
from hcs.domain.config import IngestConfig, LocalCluster
from hcs.domain.plate import Channel
from hcs.domain.wells import PlateFormat
from hcs.io import plate, plate_tables, shards
from hcs.ops import intensity
from hcs.report.plate_picture import draw_plate
from hcs.stages import ingest

ROUNDS = 3
TARGETS = {2048: 0.8, 512: 0.5}
PEERS = ("ngio", "ngff-zarr", "ome-writers", "iohub")
FAST_PEERS = ("ome-writers",)
"""Take part in every round with all of the files; the others are many times slower."""
PEER_FIELDS = {2048: 48, 512: 200}
AXES = ("c", "y", "x")


def name_of(number: int) -> str:
    well, site = PlateFormat.WELLS_384.wells()[number % 384], number // 384 + 1
    return f"{well.name[0]} - {well.column + 1:02d}(fld {site:03d} wv Blue - FITC).tif"


def write_tiffs(folder: Path, count: int, side: int) -> None:
    """Write fields of 12-bit noise over spots; they compress about as neurons do."""
    if folder.exists() and len(list(folder.iterdir())) == count:
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    noise = rng.normal(300, 15, (side, side))
    y, x = np.mgrid[:side, :side]
    for number in range(count):
        cy, cx = (number * 53) % side, (number * 91) % side
        spot = 2000 * np.exp(-((y - cy) ** 2 + (x - cx) ** 2) / (side / 20) ** 2 / 2)
        image = np.roll(noise, (number * 37) % side, axis=number % 2) + spot
        tifffile.imwrite(folder / name_of(number), np.clip(image, 1, 65535).astype(np.uint16))


def floor(source: Path, out: Path) -> float:
    """Read, encode, write; returns seconds."""
    files = sorted(source.iterdir())
    levels = ngff.pyramid((1, *tifffile.imread(files[0]).shape), 2)
    overviews = [
        [
            intensity.downsample_mean(tifffile.imread(file), level.factor)[None]
            for level in levels[1:]
        ]
        for file in files
    ]
    document = shards.group_document({"ome": {}})
    started = time.perf_counter()
    for number, (file, overview) in enumerate(zip(files, overviews, strict=True)):
        pictures = [tifffile.imread(file)[None], *overview]
        for index, (level, pixels) in enumerate(zip(levels, pictures, strict=True)):
            for key, data in shards.encode_array(level, pixels, AXES):
                target = f"{out}/{number}/{index}/{key}"
                os.makedirs(os.path.dirname(target), exist_ok=True)
                with open(target, "wb") as stream:
                    stream.write(data)
        with open(f"{out}/{number}/zarr.json", "wb") as stream:
            stream.write(document)
    return time.perf_counter() - started


def whole_stage(source: Path, out: Path) -> float:
    """Run the stage in this process; returns seconds."""
    started = time.perf_counter()
    ingest.run(IngestConfig(source=str(source), out=str(out), plate_wells=384))
    return time.perf_counter() - started


def two_workers(source: Path, out: Path) -> float:
    """Run the stage on a local cluster that is there already; returns seconds."""
    with open_client(LocalCluster(n_workers=2)) as client:
        started = time.perf_counter()
        config = IngestConfig(source=str(source), out=str(out), plate_wells=384)
        ingest.run(config, client)
        return time.perf_counter() - started


def _put(work: Callable[..., float], arguments: tuple[Path, Path], queue: Any) -> None:  # noqa: ANN401
    queue.put(work(*arguments))


def in_fresh_process(work: Callable[..., float], source: Path, out: Path) -> float:
    context = multiprocessing.get_context("spawn")
    queue: Any = context.Queue()
    process = context.Process(target=_put, args=(work, (source, out), queue))
    process.start()
    seconds = float(queue.get())
    process.join()
    shutil.rmtree(f"{out}.hcs", ignore_errors=True)
    return seconds


def files_a_field(plate: Path, count: int) -> float:
    return sum(len(files) for _, _, files in os.walk(plate)) / count


def peer(name: str, pythons: list[str], source: Path, out: Path) -> dict[str, Any] | None:
    """Run one library under the first Python that has it."""
    script = Path(__file__).with_name("ingest_peers.py")
    for leftover in (out, Path(f"{out}.warm")):
        shutil.rmtree(leftover, ignore_errors=True)
    for python in pythons:
        done = subprocess.run(
            [python, str(script), name, str(source), str(out)],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode == 0:
            found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
            return found
    return None


def bench_size(side: int, count: int, pythons: list[str], notes: list[str]) -> list[dict[str, Any]]:
    base = WORK / "ingest"
    source, out = base / f"tiffs{side}", base / "plate.zarr"
    write_tiffs(source, count, side)
    works = {"floor": floor, "hcs": whole_stage, "hcs, two workers": two_workers}
    times: dict[str, list[float]] = {name: [] for name in works}
    files = 0.0
    for _ in range(ROUNDS):
        for name, work in works.items():
            shutil.rmtree(out, ignore_errors=True)
            times[name].append(in_fresh_process(work, source, out))
        files = files_a_field(out, count)
        for name in FAST_PEERS if pythons else ():
            found = peer(name, pythons, source, out)
            if found is not None:
                times.setdefault(name, []).append(found["seconds"])
    ratios = [a / b for a, b in zip(times["floor"], times["hcs"], strict=True)]
    ratio, target = statistics.median(ratios), TARGETS[side]
    told = ", ".join(f"{value:.2f}" for value in ratios)
    for name in FAST_PEERS:
        for mine in ("hcs", "hcs, two workers"):
            if name in times:
                faster = [a / b for a, b in zip(times[name], times[mine], strict=True)]
                notes.append(
                    f"{side}²: {mine} is {statistics.median(faster):.2f} × as fast as {name}"
                )
    verdict = "reached" if ratio >= target else "missed"
    notes.append(
        f"{count} × {side}²: {ratio:.2f} of the floor (rounds {told}), target {target}, {verdict}"
    )
    rows = [row(side, name, count, statistics.median(seconds)) for name, seconds in times.items()]
    rows[1] |= {"of the floor": ratio, "files a field": files}
    rows[2] |= {"of the floor": rows[0]["seconds"] / rows[2]["seconds"], "files a field": files}
    some = base / f"some{side}"
    write_tiffs(some, PEER_FIELDS[side], side)
    for name in sorted(set(PEERS) - times.keys()) if pythons else ():
        found = peer(name, pythons, some, out)
        if found is None:
            notes.append(f"{side}²: {name} did not run under the given Pythons")
            continue
        rows.append(row(side, name, found["fields"], found["seconds"]))
        rows[-1]["of the floor"] = rows[0]["ms a field"] / rows[-1]["ms a field"]
        rows[-1]["files a field"] = files_a_field(out, found["fields"])
    shutil.rmtree(out, ignore_errors=True)
    return rows


def bench_overview(notes: list[str]) -> list[dict[str, Any]]:
    """Open a plate of 384 wells × 9 fields of 512² and draw it, in a fresh process."""
    out = WORK / "ingest" / "overview.zarr"
    shutil.rmtree(out, ignore_errors=True)
    rng = np.random.default_rng(0)
    pixels = rng.poisson(300, (1, 512, 512)).astype(np.uint16)
    levels = ngff.pyramid(pixels.shape, 2)
    small = intensity.downsample_mean(pixels[0], levels[1].factor)[None]
    wells = PlateFormat.WELLS_384.wells()
    attributes = ngff.plate_attributes("overview", PlateFormat.WELLS_384, wells, 9)
    plate.create_plate(out, attributes, sorted({well.path.split("/")[0] for well in wells}))
    described = ngff.image_attributes(
        "field", AXES, levels, [Channel(name="TUJ1")], pixel_size_um=0.65, window=(0, 500)
    )
    rows = []
    for well in wells:
        for site in range(9):
            path = f"{well.path}/{site}"
            pictures = [(levels[0], pixels), (levels[1], small)]
            plate.write_image(out, path, described, pictures, AXES)
            key = {tables.PLATE: "overview", tables.WELL: well.name, tables.SITE: site + 1}
            rows.append({**key, tables.FIELD_PATH: path, tables.FINGERPRINT: path})
        plate.write_well(out, well, [str(site) for site in range(9)])
    plate_tables.write_plate_table(out, plate_tables.IMAGES, pd.DataFrame(rows))
    times = [in_fresh_process(overview, out, out.with_suffix(".png")) for _ in range(ROUNDS)]
    shutil.rmtree(out)
    verdict = "reached" if statistics.median(times) < 2 else "missed"
    notes.append(
        f"overview of 3,456 fields: {statistics.median(times):.2f} s, target 2 s, {verdict}"
    )
    return [row(512, "overview", len(rows), statistics.median(times))]


def overview(source: Path, out: Path) -> float:
    started = time.perf_counter()
    draw_plate(str(source), str(out))
    return time.perf_counter() - started


def row(side: int, name: str, count: int, seconds: float) -> dict[str, Any]:
    return {
        "field": f"{side}²",
        "writer": name,
        "fields": count,
        "seconds": seconds,
        "ms a field": seconds / count * 1e3,
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--large", type=int, default=384)
    parser.add_argument("--small", type=int, default=2000)
    parser.add_argument("--peers", default="", help="Pythons that have the other libraries")
    given = parser.parse_args()
    pythons = [python for python in given.peers.split(",") if python]
    # The C library reads these when a process starts, so they hold for the processes of this one.
    os.environ.update(
        {key: value for key, value in worker_environment(1).items() if key.startswith("MALLOC")}
    )
    notes: list[str] = []
    rows = bench_size(2048, given.large, pythons, notes) if given.large else []
    rows += bench_size(512, given.small, pythons, notes) if given.small else []
    rows += bench_overview(notes)
    report("bench_ingest", rows, notes)


if __name__ == "__main__":
    main()
