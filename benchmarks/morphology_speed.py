"""Speed and memory of the features stage on a simulated plate, beside a peer in the same run."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile

from benchmarks._table import report
from benchmarks.morphology_fields import PIXEL_SIZE_UM, draw_field, plans

if TYPE_CHECKING:
    from distributed import Client

_DRAWN_SEED = 900_000
_N_DRAWN = 9
"""Fields that are drawn; a plate repeats them, since drawing takes longer than measuring."""


def speed(n_fields: int) -> None:
    """Time both feature sets with one and two workers, and a plain pipeline on the same fields."""
    os.environ["OMP_NUM_THREADS"] = "1"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        images = _images()
        plate = _plate(folder, images, n_fields)
        rows = [_plain(images)]
        for feature_set in ("classic", "full"):
            rows.append(_stage(plate, folder, feature_set, n_fields, workers=1))
            rows.append(_stage(plate, folder, feature_set, n_fields, workers=2))
        rows.append(_peak(images[0]))
    report("bench_morphology_speed", rows, ["1024 x 1024 uint16, simulated; seconds a field"])


def _images() -> list[np.ndarray]:
    chosen = [p for p in plans(27, _DRAWN_SEED) if p.width == "usual"][:_N_DRAWN]
    return [draw_field(plan)[0] for plan in chosen]


def _plate(folder: Path, images: list[np.ndarray], n_fields: int) -> str:
    from hcs.domain.config import IngestConfig
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


def _stage(plate: str, folder: Path, feature_set: str, n: int, *, workers: int) -> dict[str, Any]:
    from hcs.compute.client import open_client
    from hcs.domain.config import FeaturesConfig, LocalCluster
    from hcs.stages import features

    def run(client: Client | None, name: str) -> tuple[float, float]:
        given = {"feature_set": feature_set}
        out = str(folder / f"{feature_set}-{workers}-{name}.parquet")
        config = FeaturesConfig.model_validate(
            {"plates": (plate,), "out": out, "morphology": given}
        )
        features.plan_plate(config, features.PlateReader(plate))  # once a plate, not once a field
        wall, cpu = time.perf_counter(), time.process_time()
        features.run(config, client)
        return time.perf_counter() - wall, time.process_time() - cpu

    if workers == 1:
        run(None, "warm")
        wall, cpu = run(None, "timed")
    else:
        with open_client(LocalCluster(n_workers=workers)) as client:
            run(client, "warm")
            wall, cpu = run(client, "timed")
    row = {"what": f"hcs features --set {feature_set}, {workers} worker(s)", "s/field": wall / n}
    return {**row, "CPU s/field": cpu / n} if workers == 1 else row


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
from hcs.domain.config import MorphologyConfig
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
