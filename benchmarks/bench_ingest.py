"""How near ingest comes to reading, encoding and writing alone, and how other libraries do.

    python -m benchmarks.bench_ingest [--large 384] [--small 2000] [--no-overview] [--add]
        [--peers PYTHON[,PYTHON]]

On the same simulated TIFFs (noise, spots, uncompressed) in one run, each in a process of its own:

- floor: read every TIFF with tifffile, encode, and write the very files that a plate has (shards,
  overview, documents), with the same codec and one thread, and nothing else. The overview is worked
  out beforehand. No plate map, no checks, no statistics, no records of finished work.
- hcs: the whole stage, one thread, no cluster; then on two worker processes, without and with the
  time that these take to start. Floor and hcs have the memory settings of our workers (see
  ``hcs.compute.client.worker_environment``).
- ome-writers, iohub: ``ingest_peers.py`` under the first given Python in which they are installed;
  their imports and first calls are not counted. They write no pyramid.
- ngio, ngff-zarr: the same once, on a share of the files.

Files are read from the page cache; before every run the disk is let finish. All but the last two
take turns, three times; medians, and ratios of neighbors in time. Then: files a field, and the
time to read and draw the overview of a plate of 384 wells × 9 fields. ``--add`` keeps the rows of
the sizes that are not run.
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

from benchmarks._table import RESULTS, WORK, report
from hcs.compute.client import open_client, worker_environment
from hcs.domain import columns as col
from hcs.domain import ngff
from hcs.domain.config.stages import IngestConfig, LocalCluster
from hcs.domain.display import Window
from hcs.domain.plate import Channel
from hcs.domain.wells import PlateFormat
from hcs.io.plates import overview as plate_overview
from hcs.io.plates import plate, plate_tables, shards
from hcs.ops import mosaic, resizing
from hcs.report.charts.plate_picture import draw_plate
from hcs.stages import ingest

ROUNDS = 3
TARGETS = {2048: 0.8, 512: 0.5}
PEERS = ("ngio", "ngff-zarr", "ome-writers", "iohub")
FAST_PEERS = ("ome-writers", "iohub")
"""Take part in every round with all of the files; the others are many times slower."""
PEER_FIELDS = {2048: 24, 512: 100}
AXES = ("c", "y", "x")

Work = Callable[[Path, Path], float | tuple[float, ...]]
"""Writes a plate from a source; returns seconds, or those of two ways to look at one run."""


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
            resizing.downsample_mean(tifffile.imread(file), level.factor)[None]
            for level in levels[1:]
        ]
        for file in files
    ]
    document = shards.group_document({"ome": {}})
    started = time.perf_counter()
    for number, (file, overview) in enumerate(zip(files, overviews, strict=True)):
        pictures = [tifffile.imread(file)[None], *overview]
        for index, (level, pixels) in enumerate(zip(levels, pictures, strict=True)):
            for key, pieces in shards.encode_array(level, pixels, AXES):
                target = f"{out}/{number}/{index}/{key}"
                os.makedirs(os.path.dirname(target), exist_ok=True)
                with open(target, "wb", buffering=0) as stream:
                    stream.writelines(pieces)
        with open(f"{out}/{number}/zarr.json", "wb") as stream:
            stream.write(document)
    return time.perf_counter() - started


def whole_stage(source: Path, out: Path) -> float:
    """Run the stage in this process; returns seconds."""
    started = time.perf_counter()
    ingest.run(IngestConfig(source=str(source), out=str(out), plate_wells=384))
    return time.perf_counter() - started


def two_workers(source: Path, out: Path) -> tuple[float, float]:
    """Run the stage on a local cluster; returns seconds without and with the cluster's start."""
    born = time.perf_counter()
    with open_client(LocalCluster(n_workers=2)) as client:
        started = time.perf_counter()
        config = IngestConfig(source=str(source), out=str(out), plate_wells=384)
        ingest.run(config, client)
        ended = time.perf_counter()
    return ended - started, ended - born


def _put(work: Work, arguments: tuple[Path, Path], queue: Any) -> None:  # noqa: ANN401
    queue.put(work(*arguments))


def clear(out: Path) -> None:
    """Remove what a run wrote, and let the disk finish, so that no run pays for the last one."""
    for leftover in (out, Path(f"{out}.warm"), Path(f"{out}.hcs")):
        shutil.rmtree(leftover, ignore_errors=True)
    os.sync()


def in_fresh_process(work: Work, source: Path, out: Path) -> tuple[float, ...]:
    clear(out)
    context = multiprocessing.get_context("spawn")
    queue: Any = context.Queue()
    process = context.Process(target=_put, args=(work, (source, out), queue))
    process.start()
    found = queue.get()
    process.join()
    return found if isinstance(found, tuple) else (found,)


def files_a_field(plate: Path, count: int) -> float:
    return sum(len(files) for _, _, files in os.walk(plate)) / count


def peer(name: str, pythons: list[str], source: Path, out: Path) -> dict[str, Any] | None:
    """Run one library under the first Python that has it."""
    script = Path(__file__).with_name("ingest_peers.py")
    clear(out)
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


FLOOR, ONE, TWO, TWO_AND_START = "floor", "hcs", "hcs, two workers", "the same and their start"
WORKS: dict[str, tuple[Work, tuple[str, ...]]] = {
    FLOOR: (floor, (FLOOR,)),
    ONE: (whole_stage, (ONE,)),
    TWO: (two_workers, (TWO, TWO_AND_START)),
}


def rounds(
    source: Path, out: Path, count: int, pythons: list[str]
) -> tuple[dict[str, list[float]], float]:
    """Let the floor, hcs and the fast peers take turns; returns seconds, and files a field."""
    times: dict[str, list[float]] = {}
    files = 0.0
    for file in source.iterdir():
        file.read_bytes()  # all read from the page cache
    for _ in range(ROUNDS):
        for work, names in WORKS.values():
            for name, seconds in zip(names, in_fresh_process(work, source, out), strict=True):
                noted(times, name, seconds)
        files = files_a_field(out, count)
        for name in FAST_PEERS if pythons else ():
            found = peer(name, pythons, source, out)
            if found is not None:
                noted(times, name, found["seconds"])
    return times, files


def noted(times: dict[str, list[float]], name: str, seconds: float) -> None:
    """Keep a time, and print it at once: what a run that is cut short has measured is not lost."""
    times.setdefault(name, []).append(seconds)
    print(f"{name}: {seconds:.2f} s", flush=True)


def compared(times: dict[str, list[float]], side: int, count: int) -> list[str]:
    """Ratios of neighbors in time, as sentences."""

    def ratios(slow: str, fast: str) -> tuple[float, str]:
        found = [a / b for a, b in zip(times[slow], times[fast], strict=True)]
        told = ", ".join(f"{value:.2f}" for value in found)
        return statistics.median(found), f"{statistics.median(found):.2f} (rounds {told})"

    reached, told = ratios(FLOOR, ONE)
    verdict = "reached" if reached >= TARGETS[side] else "missed"
    notes = [f"{count} × {side}²: {told} of the floor, target {TARGETS[side]}, {verdict}"]
    for name in FAST_PEERS:
        notes += [
            f"{side}²: {mine}: {ratios(name, mine)[1]} × as fast as {name}"
            for mine in (ONE, TWO, TWO_AND_START)
            if name in times
        ]
    return notes


def bench_size(side: int, count: int, pythons: list[str], notes: list[str]) -> list[dict[str, Any]]:
    base = WORK / "ingest"
    source, out = base / f"tiffs{side}", base / "plate.zarr"
    write_tiffs(source, count, side)
    times, files = rounds(source, out, count, pythons)
    notes += compared(times, side, count)
    rows = [row(side, name, count, statistics.median(seconds)) for name, seconds in times.items()]
    for found in rows[1:]:
        found["of the floor"] = rows[0]["seconds"] / found["seconds"]
    rows[1]["files a field"] = files
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
    clear(out)
    return rows


def bench_overview(notes: list[str]) -> list[dict[str, Any]]:
    """Open a plate of 384 wells × 9 fields of 512² and draw it, in a fresh process."""
    out = WORK / "ingest" / "overview.zarr"
    shutil.rmtree(out, ignore_errors=True)
    rng = np.random.default_rng(0)
    pixels = rng.poisson(300, (1, 512, 512)).astype(np.uint16)
    levels = ngff.pyramid(pixels.shape, 2)
    small = resizing.downsample_mean(pixels[0], levels[1].factor)[None]
    wells = PlateFormat.WELLS_384.wells()
    attributes = ngff.plate_attributes("overview", PlateFormat.WELLS_384, wells, 9)
    plate.create_plate(out, attributes, sorted({well.path.split("/")[0] for well in wells}))
    plate_overview.create_overview(out, PlateFormat.WELLS_384, 1, "uint16")
    described = ngff.image_attributes(
        "field",
        AXES,
        levels,
        [Channel(name="TUJ1")],
        spacing=ngff.Spacing(0.65),
        windows=[Window(0, 500, 0, 500)],
    )
    rows = []
    for well in wells:
        for site in range(9):
            path = f"{well.path}/{site}"
            pictures = [(levels[0], pixels), (levels[1], small)]
            plate.write_image(out, path, described, pictures, AXES)
            key = {col.PLATE: "overview", col.WELL: well.name, col.SITE: site + 1}
            rows.append({**key, col.FIELD_PATH: path, col.FINGERPRINT: path})
        plate.write_well(out, well, [str(site) for site in range(9)])
        picture = mosaic.lay_out([small] * 9, plate_overview.WELL_PX)
        plate_overview.write_well_overview(out, well, picture)
    plate_tables.write_plate_table(out, plate_tables.IMAGES, pd.DataFrame(rows))
    times = [in_fresh_process(overview, out, out.with_suffix(".png"))[0] for _ in range(ROUNDS)]
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
    parser.add_argument("--no-overview", action="store_true")
    parser.add_argument("--add", action="store_true", help="keep the rows of the other sizes")
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
    rows += [] if given.no_overview else bench_overview(notes)
    if given.add:
        earlier_rows, earlier_notes = others({found["field"] for found in rows})
        rows, notes = earlier_rows + rows, earlier_notes + notes
    report("bench_ingest", rows, notes)


def others(sizes: set[str]) -> tuple[list[dict[str, Any]], list[str]]:
    """Rows and notes of the last table about other sizes than these."""
    record = json.loads((RESULTS / "bench_ingest.json").read_text(encoding="utf-8"))
    rows = [found for found in record["rows"] if found["field"] not in sizes]
    kept = {found["field"] for found in rows}
    return rows, [note for note in record["notes"] if any(size in note for size in kept)]


if __name__ == "__main__":
    main()
