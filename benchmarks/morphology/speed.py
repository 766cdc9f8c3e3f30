"""Speed and memory of the features stage on a simulated plate, beside a peer in the same run."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile

from benchmarks._table import report
from benchmarks.morphology.cellprofiler import cellprofiler
from benchmarks.morphology.fields import PIXEL_SIZE_UM, draw_field, plans

if TYPE_CHECKING:
    from distributed import Client

_SETS = ("classic", "full")
_ROUNDS = 3
_DRAWN_SEED = 900_000
_N_DRAWN = 9
"""Fields that are drawn; a plate repeats them, since drawing takes longer than measuring."""


def speed(n_fields: int, peer: str | None = None) -> None:
    """Time both feature sets with one and two workers, and plain pipelines, in turns.

    ``peer`` is a Python that has CellProfiler 4.2. Figures are medians over the rounds.
    """
    from hcs.compute.client import open_client
    from hcs.domain.config.stages import LocalCluster

    os.environ["OMP_NUM_THREADS"] = "1"
    with tempfile.TemporaryDirectory() as name, open_client(LocalCluster(n_workers=2)) as client:
        images = _images()
        stage = _Stage(_plate(Path(name), images, n_fields), Path(name), n_fields)
        for feature_set in _SETS:
            for where in (None, client):
                stage.time_run(feature_set, where)  # compiles, and finds the plate's sizes
        rounds = [_round(stage, images[part::_ROUNDS], client, peer) for part in range(_ROUNDS)]
        rows = [*_medians(rounds), _peak(images[0])]
    notes = [f"1024 x 1024 uint16, simulated; seconds a field, medians of {_ROUNDS} rounds"]
    report("bench_morphology_speed", rows, notes)


def _round(
    stage: _Stage, images: list[np.ndarray], client: Client, peer: str | None
) -> list[dict[str, Any]]:
    rows = [_plain(images)]
    if peer is not None:
        rows.append(cellprofiler(peer, images))
    for feature_set in _SETS:
        one, two = stage.time_run(feature_set, None), stage.time_run(feature_set, client)
        two["times one worker"] = one["s/field"] / two["s/field"]
        # What the clock would show if each worker had a core of its own.
        two["by CPU"] = one["CPU s/field"] / two.pop("busier")
        rows += [one, two]
    return rows


def _medians(rounds: list[list[dict[str, Any]]]) -> Iterator[dict[str, Any]]:
    for turns in zip(*rounds, strict=True):
        row = dict(turns[0])
        for name, value in row.items():
            if isinstance(value, float):
                row[name] = median(turn[name] for turn in turns)
        yield row


def _images() -> list[np.ndarray]:
    chosen = [p for p in plans(27, _DRAWN_SEED) if p.width == "usual"][:_N_DRAWN]
    return [draw_field(plan)[0] for plan in chosen]


def _plate(folder: Path, images: list[np.ndarray], n_fields: int) -> str:
    from hcs.domain.config.stages import IngestConfig
    from hcs.stages import ingest

    tiffs = folder / "tiffs"
    tiffs.mkdir()
    for index in range(n_fields):
        row, column = divmod(index // 4, 12)
        file = f"{'ABCDEFGH'[row]} - {column + 1:02d}(fld {index % 4 + 1:03d} wv Blue - FITC).tif"
        tifffile.imwrite(tiffs / file, images[index % len(images)])
    out = str(folder / "P.zarr")
    ingest.run(IngestConfig(source=str(tiffs), out=out, pixel_size_um=PIXEL_SIZE_UM))
    return out


@dataclass
class _Stage:
    """The features stage on one plate; each run writes new tables and the labels again."""

    plate: str
    folder: Path
    n_fields: int
    n_runs: int = 0

    def time_run(self, feature_set: str, client: Client | None) -> dict[str, Any]:
        """Run it here or on two workers; a row of the table."""
        from hcs.domain.config.stages import FeaturesConfig
        from hcs.planes.reading import choose
        from hcs.stages import features
        from hcs.stages.work.measuring.plans import plan_plate
        from hcs.stages.work.measuring.sizes import settle_sizes
        from hcs.stages.work.plates import open_plates

        self.n_runs += 1
        out = str(self.folder / f"{self.n_runs}.parquet")
        config = FeaturesConfig.model_validate(
            {
                "plates": (self.plate,),
                "out": out,
                "morphology": {"assay": {"kind": "neurons", "feature_set": feature_set}},
            }
        )
        readers = open_plates(config.plates)  # sizes and light: once a plate, not a field
        chosen = choose(readers, config.plane, config.time, every=True)
        settled = settle_sizes(config, readers, chosen)
        plan_plate(settled.config, readers[0], chosen[readers[0].name])
        before, wall = _seconds(client), time.perf_counter()
        features.run(config, client)
        wall, after = time.perf_counter() - wall, _seconds(client)
        spent = [(after[place] - before[place]) / self.n_fields for place in before]
        row = {
            "what": f"hcs features --set {feature_set}, {len(spent)} worker(s)",
            "s/field": wall / self.n_fields,
            "CPU s/field": sum(spent),
        }
        return row if client is None else {**row, "busier": max(spent)}


def _seconds(client: Client | None) -> dict[str, float]:
    """Processor time so far of every worker, or of this process when there are none."""
    if client is None:
        return {"here": time.process_time()}
    found: dict[str, float] = client.run(time.process_time)
    return found


def _plain(images: list[np.ndarray]) -> dict[str, Any]:
    """Plain scikit-image: background, somas, tubeness, skeleton, measures, label TIFFs."""
    with tempfile.TemporaryDirectory() as name:
        wall, cpu = time.perf_counter(), time.process_time()
        for index, image in enumerate(images):
            _plain_field(image, Path(name) / f"{index}.tif")
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    n = len(images)
    return {"what": "plain scikit-image", "s/field": wall / n, "CPU s/field": cpu / n}


def _plain_field(image: np.ndarray, file: Path) -> None:
    import skan
    from scipy import ndimage
    from skimage import filters, measure, morphology, segmentation

    values = image.astype(np.float32)
    opened = ndimage.grey_opening(ndimage.gaussian_filter(values, 2), size=(9, 9))
    bodies = opened > filters.threshold_otsu(opened)
    distance = ndimage.distance_transform_edt(bodies)
    seeds = measure.label(morphology.h_maxima(distance, 1))
    somas = segmentation.watershed(-distance, seeds, mask=bodies)
    ridges = filters.sato(values, sigmas=[1.5], black_ridges=False)
    ridges[bodies] = 0
    lines = morphology.skeletonize(ridges > filters.threshold_otsu(ridges[ridges > 0]))
    skan.summarize(skan.Skeleton(lines), separator="-")
    measure.regionprops_table(
        somas, image, properties=("label", "area", "mean_intensity", "eccentricity", "perimeter")
    )
    tifffile.imwrite(file, np.stack([somas, lines]).astype(np.uint16), compression="zlib")


def _peak(image: np.ndarray) -> dict[str, Any]:
    """Peak memory of measuring one field over that of the imports alone."""
    with tempfile.TemporaryDirectory() as name:
        file = Path(name) / "image.npy"
        np.save(file, image)
        base, peak = (
            int(
                subprocess.run(
                    [sys.executable, "-c", _PEAK_CODE, str(file), mode],
                    capture_output=True,
                    text=True,
                    check=True,
                ).stdout
            )
            for mode in ("load", "measure")
        )
    copies = (peak - base) * 1024 / image.nbytes
    return {"what": "peak memory of full, in copies of a field", "copies": copies}


_PEAK_CODE = """
import sys
import numpy as np
from hcs.domain.config.stages import MorphologyConfig
from hcs.ops.morphology import measure_field
image = np.load(sys.argv[1])
small = image[:64, :64]
measure_field(small, pixel_size_um=0.65, settings=MorphologyConfig())
if sys.argv[2] == "measure":
    measure_field(image, pixel_size_um=0.65, settings=MorphologyConfig())
# Not ru_maxrss, which a process takes over from the one that started it.
lines = open("/proc/self/status").read().splitlines()
sys.stdout.write(next(line.split()[1] for line in lines if line.startswith("VmHWM")))
"""
