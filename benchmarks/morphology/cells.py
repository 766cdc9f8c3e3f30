"""Assays of cells and nuclei on real fields: counts, areas and shares of positive cells, and time.

Constants of bodies were chosen on ExampleHuman and the pediatric cells; nuclei, whose constants
come from ``stardist`` and ExampleHuman, are also measured at half and twice their size. Cells that
CellProfiler leaves out at the border of the image are left out here too.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import ndimage
from skimage.io import imread
from skimage.transform import resize

from benchmarks._table import report
from benchmarks.morphology.nuclei import _masks
from hcs.domain.config.stages import MorphologyConfig
from hcs.ops.cells.measure import Channel, FieldCells, measure_cells

_HUMAN = "cytotable/tests/data/cellprofiler/ExampleHuman"
_FACTORS = (0.5, 1.0, 2.0, 4.0)
_MAX_PX = 2500
"""Longest edge of an enlarged image."""


def cells(data: Path) -> None:
    """Compare counts, areas and shares of positive cells with masks and CellProfiler's tables."""
    report("bench_morphology_scaled", list(_scale_nuclei(data)), ["assay nuclei, sizes estimated"])
    rows = [*_human(data), *_pediatric(data), *_widefield(data)]
    report("bench_morphology_cells", rows, ["assay cells, nothing given but the channels"])
    report("bench_morphology_assay_speed", list(_time(data)), ["one core, 1024 x 1024"])


def _measure(
    body: NDArray[Any] | None,
    dna: NDArray[Any] | None,
    planes: Mapping[str, NDArray[Any]] | None = None,
    **settings: object,
) -> FieldCells:
    given = {"assay": {"kind": "cells"}, **settings}
    return measure_cells(
        body,
        dna,
        pixel_size_um=None,
        settings=MorphologyConfig.model_validate(given),
        channels={},
        markers=planes,
    )


def _scale_nuclei(data: Path) -> Iterator[dict[str, Any]]:
    for name, image, mask in _masks(data):
        row: dict[str, Any] = {"images": name, "true": int(np.unique(mask[mask > 0]).size)}
        area = (mask > 0).sum() / row["true"]
        row["diameter px"] = float(np.sqrt(4 / np.pi * area))
        for factor in _FACTORS:
            shape = tuple(round(n * factor) for n in image.shape)
            if max(shape) > _MAX_PX:
                continue
            scaled = resize(image, shape, order=1, preserve_range=True, anti_aliasing=factor < 1)
            found = _measure(None, scaled.astype(image.dtype), assay={"kind": "nuclei"})
            row[f"x{factor:g}"] = int(found.features["Image_Count_Nuclei"])
        yield row


def _human(data: Path) -> Iterator[dict[str, Any]]:
    folder = data / _HUMAN
    dna, ph3, actin = (imread(folder / f"AS_09125_050116030001_D03f00d{k}.tif") for k in range(3))
    nuclei, cells_table = (pd.read_csv(folder / f"{k}.csv") for k in ("Nuclei", "Cells"))
    places = nuclei[["AreaShape_Center_Y", "AreaShape_Center_X"]].round().astype(int).to_numpy()
    positive = float((nuclei["Children_PH3_Count"] > 0).mean())
    for name, body in (("bodies in actin", actin), ("rings", None)):
        for rule in ("otsu", "noise"):
            marker = {"name": "PH3", "channel": "PH3", "threshold": {"kind": rule}}
            found = _measure(
                body,
                dna,
                nuclei="DNA",
                markers=[marker | {"compartment": "nucleus"}],
                planes={"PH3": ph3},
            )
            labels = found.labels["nuclei"]
            inside = ~_at_border(labels)
            at = labels[tuple(places.T)]
            kept = at > 0
            row: dict[str, Any] = {
                "images": f"ExampleHuman, {name}",
                "true": len(nuclei),
                "found": int(inside.sum()),
                "count error %": 100 * (inside.sum() / len(nuclei) - 1),
                "marker": rule,
                "true positive %": 100 * positive,
                "positive %": 100 * float(found.cells["Nuclei_PH3_Positive"][inside].mean()),
            }
            if body is not None:
                true = cells_table["AreaShape_Area"].to_numpy()[kept]
                ours = found.cells["Cells_AreaShape_Area"][at[kept] - 1]
                row["area r"] = float(np.corrcoef(true, ours)[0, 1])
                row["area ratio"] = float(np.median(ours / true))
            yield row


def _pediatric(data: Path) -> Iterator[dict[str, Any]]:
    images = data / "pediatric_brightfield" / "pediatric_cancer_atlas_profiling" / "images"
    dna = imread(next(images.rglob("*ch5sk1*")))
    outlines = imread(next(images.rglob("NucleiOutlines*"))).max(axis=2) > 0
    true = _count_outlined(outlines)
    for name in ("ch2", "ch3", "ch4", "ch6"):
        stain = imread(next(images.rglob(f"*{name}sk1*")))
        seeded, alone = _measure(stain, dna), _measure(stain, None)
        inside = ~_at_border(seeded.labels["nuclei"])
        yield {
            "images": f"pediatric, {name}",
            "true": true,
            "found": int(inside.sum()),
            "count error %": 100 * (inside.sum() / true - 1),
            "without nuclei": int(alone.features["Image_Count_Cells"]),
            "unstained": int(seeded.features["Image_Count_UnstainedCells"]),
        }


def _widefield(data: Path) -> Iterator[dict[str, Any]]:
    dna, tuj1 = (
        imread(data / "isl_tuj1" / f"{name}_widefield.png")[:1024, :1024]
        for name in ("dapi", "tuj1")
    )
    found = _measure(tuj1, dna).features
    yield {
        "images": "isl_tuj1, a corner (no truth)",
        "found": int(found["Image_Count_Cells"]),
        "unstained": int(found["Image_Count_UnstainedCells"]),
    }


def _time(data: Path) -> Iterator[dict[str, Any]]:
    """Time both assays on a crowded field of 1024 pixels, with a ground as cameras have it."""
    dna, tuj1 = (
        imread(data / "isl_tuj1" / f"{name}_widefield.png")[:1024, :1024] // 2 + 100
        for name in ("dapi", "tuj1")
    )
    for kind, body, texture in (
        ("nuclei", None, False),
        ("cells", None, False),
        ("cells", tuj1, False),
        ("cells", tuj1, True),
    ):
        settings = MorphologyConfig.model_validate(
            {"assay": {"kind": kind}, "sizes": {"nucleus_diameter_px": 20.0}}
        )
        channels = {"DNA": Channel(dna, 65535.0, texture)}
        if body is not None:
            channels["TUJ1"] = Channel(body, 65535.0, texture)
        seconds = []
        for _ in range(4):
            start = time.process_time()
            found = measure_cells(
                body, dna, pixel_size_um=None, settings=settings, channels=channels
            )
            seconds.append(time.process_time() - start)
        yield {
            "assay": kind + (", bodies" if body is not None else ""),
            "channels": len(channels),
            "textures": texture,
            "objects": int(found.features["Image_Count_Cells"]),
            "seconds": min(seconds[1:]),
        }


def _at_border(labels: NDArray[Any]) -> NDArray[np.bool_]:
    rim = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    cut = np.zeros(int(labels.max()) + 1, bool)
    cut[rim] = True
    return cut[1:]


def _count_outlined(lines: NDArray[np.bool_], least_px: int = 30) -> int:
    """Count closed regions between outlines; the largest is the ground."""
    regions = ndimage.label(~lines)[0]
    area = np.sort(np.bincount(regions.ravel())[1:])[:-1]
    return int((area > least_px).sum())
