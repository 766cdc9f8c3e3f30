"""Real images: neurite masks, and neurons to look at."""

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
    from hcs.domain.config.stages import MorphologyConfig, Neurons, NoiseLevel
    from hcs.ops.morphology import measure_field

    pairs = _pairs(data / "deepneurite" / "data" / "PC3")
    rows = []
    settings = {
        "default": MorphologyConfig(assay=Neurons(feature_set="classic")),
        "noise x10": MorphologyConfig(
            assay=Neurons(feature_set="classic", neurite_threshold=NoiseLevel(multiple=10))
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


def neurons(data: Path) -> None:
    """Draw what is found in a real field of neurons beside the field itself."""
    from PIL import Image

    from hcs.domain.config.stages import MorphologyConfig
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
