"""Real images of ``bench_morphology``: neurite masks, nuclei, and neurons to look at."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import ndimage
from skimage.io import imread
from skimage.morphology import skeletonize

from benchmarks._table import WORK, report

_TOLERANCE_PX = 3


def masks(data: Path) -> None:
    """Compare traces with neurite masks: length, share of the mask found, share found in it."""
    from hcs.domain.config import MorphologyConfig, NoiseLevel
    from hcs.ops.morphology import measure_field

    pairs = _pairs(data / "deepneurite" / "data" / "PC3")
    rows = []
    settings = {
        "default": MorphologyConfig(feature_set="classic"),
        "noise x10": MorphologyConfig(
            feature_set="classic", neurite_threshold=NoiseLevel(multiple=10)
        ),
    }
    for name, chosen in settings.items():
        found = []
        for image, mask in pairs:
            field = measure_field(image, pixel_size_um=None, settings=chosen)
            found.append(_overlap(field.neurites > 0, mask))
        table = pd.DataFrame(found, columns=["drawn", "traced", "mask found", "found in mask"])
        totals = table[["drawn", "traced"]].sum()
        hits = (table["mask found"] * table["drawn"]).sum() / totals["drawn"]
        inside = (table["found in mask"] * table["traced"]).sum() / totals["traced"]
        rows.append(
            {
                "settings": name,
                "pairs": len(table),
                "length r": float(np.corrcoef(table["drawn"], table["traced"])[0, 1]),
                "length ratio": float(totals["traced"] / totals["drawn"]),
                "mask found": float(hits),
                "found in mask": float(inside),
            }
        )
    report("bench_morphology_masks", rows, ["real masks, pairs with a mask that is not empty"])


def _pairs(folder: Path) -> list[tuple[NDArray[Any], NDArray[np.bool_]]]:
    pairs = []
    for part in ("train", "val"):
        for file in sorted((folder / part / "image").glob("*.tif")):
            label = folder / part / "label" / file.name
            if label.exists():
                image, mask = imread(file), imread(label) > 0
                image, mask = (
                    plane[..., 0] if plane.ndim > 2 else plane for plane in (image, mask)
                )
                if mask.any():
                    pairs.append((image, mask))
    return pairs


def _overlap(trace: NDArray[np.bool_], mask: NDArray[np.bool_]) -> tuple[float, ...]:
    drawn = skeletonize(mask)
    near_trace = ndimage.distance_transform_edt(~trace) <= _TOLERANCE_PX
    near_mask = ndimage.distance_transform_edt(~mask) <= _TOLERANCE_PX
    n_drawn, n_trace = int(drawn.sum()), int(trace.sum())
    found = float((drawn & near_trace).sum()) / max(n_drawn, 1)
    inside = float((trace & near_mask).sum()) / max(n_trace, 1)
    return float(n_drawn), float(n_trace), found, inside


def nuclei(data: Path) -> None:
    """Compare nuclei with masks, and with CellProfiler's table where that is the truth."""
    from hcs.ops.nuclei import segment_nuclei

    stardist = data / "stardist_img" / "stardist" / "data" / "images"
    neubias = data / "neubias" / "image_data"
    sets = [
        ("stardist", imread(stardist / "img2d.tif"), imread(stardist / "mask2d.tif")),
        (
            "neubias watershed",
            imread(neubias / "watershed" / "xyc_16bit__nuclei_tubulin.tif")[1],
            imread(neubias / "watershed" / "xy_8bit_labels__nuclei.tif"),
        ),
        *(
            (
                f"neubias mitocheck {time}",
                imread(neubias / f"xy_8bit__mitocheck_incenp_{time}.tif"),
                imread(neubias / f"xy_8bit_labels__mitocheck_incenp_{time}.tif"),
            )
            for time in ("t1", "t70")
        ),
        (
            "neubias nup",
            imread(neubias / "xyc_16bit__nup_nuclei.tif")[1],
            imread(neubias / "xyc_16bit__nup_nuclei" / "xy_8bit_labels__nuclei.tif"),
        ),
    ]
    rows = [_against_mask(name, segment_nuclei(image), mask) for name, image, mask in sets]
    rows.append(_against_table(data / "cytotable/tests/data/cellprofiler/ExampleHuman"))
    report("bench_morphology_nuclei", rows, ["real nuclei, diameter estimated from each image"])


def _against_mask(name: str, labels: NDArray[Any], mask: NDArray[Any]) -> dict[str, Any]:
    drawn, found = [], []
    for index in np.unique(mask)[1:]:
        inside = mask == index
        overlap = np.bincount(labels[inside])
        overlap[0] = 0
        if overlap.size > 1 and overlap.max() > 0.4 * inside.sum():
            drawn.append(float(inside.sum()))
            found.append(float((labels == overlap.argmax()).sum()))
    return _row(name, np.unique(mask).size - 1, int(labels.max()), drawn, found)


def _against_table(folder: Path) -> dict[str, Any]:
    from hcs.ops.nuclei import segment_nuclei

    table = pd.read_csv(folder / "Nuclei.csv")
    labels = segment_nuclei(imread(folder / "AS_09125_050116030001_D03f00d0.tif"))
    y, x = (
        np.clip(np.rint(table[f"AreaShape_Center_{axis}"]).astype(int), 0, size - 1)
        for axis, size in zip("YX", labels.shape, strict=True)
    )
    at = labels[y, x]
    once = np.isin(at, [k for k in np.unique(at) if k > 0 and (at == k).sum() == 1])
    areas = np.bincount(labels.ravel())
    rim = np.unique(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]))
    # CellProfiler leaves out what touches the border.
    n_inside = np.setdiff1d(np.unique(labels), rim).size
    drawn = table["AreaShape_Area"].to_numpy(float)[once]
    name = "ExampleHuman (CellProfiler), not at the border"
    return _row(name, len(table), n_inside, list(drawn), list(areas[at[once]].astype(float)))


def _row(
    name: str, n_true: int, n_found: int, drawn: list[float], found: list[float]
) -> dict[str, Any]:
    several = len(drawn) > 2
    return {
        "images": name,
        "true": n_true,
        "found": n_found,
        "count error %": 100 * (n_found / n_true - 1),
        "matched": len(drawn),
        "area r": float(np.corrcoef(drawn, found)[0, 1]) if several else float("nan"),
        "area ratio": float(np.sum(found) / np.sum(drawn)) if drawn else float("nan"),
    }


def neurons(data: Path) -> None:
    """Draw what is found in a real field of neurons beside the field itself."""
    from PIL import Image

    from hcs.domain.config import MorphologyConfig
    from hcs.ops.morphology import measure_field
    from hcs.ops.overlay import draw_overlay

    image = imread(data / "isl_tuj1" / "tuj1_widefield.png")
    dapi = imread(data / "isl_tuj1" / "dapi_widefield.png")
    rows = []
    for name, nuclear in (("TUJ1 alone", None), ("TUJ1 and DAPI", dapi)):
        settings = MorphologyConfig(nuclei=None if nuclear is None else "DAPI")
        found = measure_field(image, pixel_size_um=None, settings=settings, nuclei=nuclear)
        rows.append({"channels": name, **{k: v for k, v in found.features.items() if "Count" in k}})
        part = (slice(400, 1200), slice(600, 1600))
        picture = draw_overlay(image[part], found.soma[part], found.neurites[part])
        plain = draw_overlay(image[part], 0 * found.soma[part], 0 * found.neurites[part])
        WORK.mkdir(parents=True, exist_ok=True)
        file = WORK / f"isl_tuj1_{'nuclei' if nuclear is not None else 'alone'}.png"
        Image.fromarray(np.concatenate([plain, picture], axis=0)).save(file, optimize=True)
    report(
        "bench_morphology_neurons",
        rows,
        [f"real neurons without annotation; pictures in {WORK.name}/"],
    )
