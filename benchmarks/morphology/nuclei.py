"""Real nuclei: counts and areas against masks and CellProfiler's table.

A pair is one nucleus on both sides when its center lies in one found nucleus, that one's center
lies in it (in its bounding box where there is only a table), and no other center does on either
side. Areas are compared over these pairs, and also over all that overlap best, where one side may
hold two nuclei.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from skimage.io import imread
from skimage.measure import regionprops_table

from benchmarks._table import report

_SPECK_PX = 500
"""The mask of one image holds 121 specks of noise of at most 82 px beside 13 nuclei of 2,600 px and
more."""


@dataclass(frozen=True)
class _Objects:
    """Centers, areas and windows (low y, low x, high y, high x) of nuclei; index 0 is number 1."""

    y: NDArray[np.float64]
    x: NDArray[np.float64]
    area: NDArray[np.float64]
    box: NDArray[np.float64]


def nuclei(data: Path) -> None:
    """Compare nuclei with masks, and with CellProfiler's table where that is the truth."""
    from hcs.ops.somas.nuclei import segment_nuclei

    rows = [_against_mask(*given, segment_nuclei(given[1])) for given in _masks(data)]
    rows.append(_against_table(data / "cytotable/tests/data/cellprofiler/ExampleHuman"))
    notes = ["real nuclei, diameter estimated from each image"]
    report("bench_morphology_nuclei", rows, notes)


def _masks(data: Path) -> Iterator[tuple[str, NDArray[Any], NDArray[Any]]]:
    stardist = data / "stardist_img" / "stardist" / "data" / "images"
    yield "stardist", imread(stardist / "img2d.tif"), imread(stardist / "mask2d.tif")
    neubias = data / "neubias" / "image_data"
    yield (
        "neubias watershed",
        imread(neubias / "watershed" / "xyc_16bit__nuclei_tubulin.tif")[1],
        imread(neubias / "watershed" / "xy_8bit_labels__nuclei.tif"),
    )
    for time in ("t1", "t70"):
        image, mask = (f"xy_8bit{kind}__mitocheck_incenp_{time}.tif" for kind in ("", "_labels"))
        yield f"neubias mitocheck {time}", imread(neubias / image), imread(neubias / mask)
    yield (
        "neubias nup",
        imread(neubias / "xyc_16bit__nup_nuclei.tif")[1],
        imread(neubias / "xyc_16bit__nup_nuclei" / "xy_8bit_labels__nuclei.tif"),
    )
    mask = imread(neubias / "xy_8bit_labels__noisy_nuclei.tif")
    specks = np.bincount(mask.ravel()) < _SPECK_PX
    image = imread(neubias / "xy_8bit__nuclei_PLK1_control.tif")
    yield "neubias PLK1 control", image, np.where(specks[mask], 0, mask)


def _objects(labels: NDArray[Any]) -> _Objects:
    found = regionprops_table(labels, properties=("centroid", "area", "bbox"))
    box = np.stack([found[f"bbox-{k}"] for k in range(4)], axis=1).astype(float)
    return _Objects(found["centroid-0"], found["centroid-1"], found["area"], box)


def _find_labels(labels: NDArray[Any], objects: _Objects) -> NDArray[np.intp]:
    y, x = (
        np.clip(np.rint(along).astype(np.intp), 0, size - 1)
        for along, size in zip((objects.y, objects.x), labels.shape, strict=True)
    )
    return labels[y, x].astype(np.intp)


def _renumber_mask(mask: NDArray[Any]) -> NDArray[np.int32]:
    return np.unique(mask, return_inverse=True)[1].reshape(mask.shape).astype(np.int32)


def _against_mask(
    name: str, _image: NDArray[Any], mask: NDArray[Any], labels: NDArray[Any]
) -> dict[str, Any]:
    drawn = _renumber_mask(mask)
    true, found = _objects(drawn), _objects(labels)
    holds = np.zeros((true.area.size, found.area.size), bool)
    at = _find_labels(drawn, found)
    holds[at[at > 0] - 1, np.flatnonzero(at)] = True
    shared = np.zeros((true.area.size + 1, found.area.size + 1))
    np.add.at(shared, (drawn.ravel(), labels.ravel()), 1)
    shared = shared[1:, 1:]
    best, of = shared.argmax(axis=1), shared.argmax(axis=0)
    overlap = [(t, f) for t, f in enumerate(best) if shared[t, f] > 0 and of[f] == t]
    pairs = _one_to_one(_find_labels(labels, true), holds)
    return _row(name, found.area.size, true, found, pairs, overlap)


def _against_table(folder: Path) -> dict[str, Any]:
    from hcs.ops.somas.nuclei import segment_nuclei

    table = pd.read_csv(folder / "Nuclei.csv").filter(regex="^AreaShape")
    table.columns = table.columns.str.removeprefix("AreaShape_")
    box = table[[f"BoundingBox{end}_{axis}" for end in ("Minimum", "Maximum") for axis in "YX"]]
    true = _Objects(
        *(table[k].to_numpy(float) for k in ("Center_Y", "Center_X", "Area")), box.to_numpy()
    )
    labels = segment_nuclei(imread(folder / "AS_09125_050116030001_D03f00d0.tif"))
    found = _objects(labels)
    low, high = true.box[:, None, :2], true.box[:, None, 2:]
    center = np.stack([found.y, found.x], axis=1)
    holds = ((center >= low) & (center < high)).all(axis=2)
    at = _find_labels(labels, true)
    overlap = [(t, f - 1) for t, f in enumerate(at) if f > 0 and (at == f).sum() == 1]
    # CellProfiler's pipeline leaves out what touches the border.
    end = np.array(labels.shape)
    inside = (found.box[:, :2] > 0).all(axis=1) & (found.box[:, 2:] < end).all(axis=1)
    name = "ExampleHuman (CellProfiler), not at the border"
    return _row(name, int(inside.sum()), true, found, _one_to_one(at, holds), overlap)


def _one_to_one(at: NDArray[np.intp], holds: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Pairs from the found number at each true center and from what each true object holds."""
    return [
        (t, f - 1)
        for t, f in enumerate(at)
        if f > 0 and (at == f).sum() == 1 and holds[t].sum() == 1 and holds[t, f - 1]
    ]


def _row(
    name: str,
    n_found: int,
    true: _Objects,
    found: _Objects,
    pairs: list[tuple[int, int]],
    overlap: list[tuple[int, int]],
) -> dict[str, Any]:
    n_true = true.area.size
    areas = {}
    for kind, chosen in (("one to one", pairs), ("best overlap", overlap)):
        t, f = np.array(chosen, int).reshape(-1, 2).T
        drawn, ours = true.area[t], found.area[f]
        r = float(np.corrcoef(drawn, ours)[0, 1]) if t.size > 2 else float("nan")
        areas[kind] = t.size, r, float(ours.sum() / drawn.sum()) if t.size else float("nan")
    return {
        "images": name,
        "true": n_true,
        "found": n_found,
        "count error %": 100 * (n_found / n_true - 1),
        "one to one": areas["one to one"][0],
        "area r": areas["one to one"][1],
        "area ratio": areas["one to one"][2],
        "best overlap": areas["best overlap"][0],
        "area r, best overlap": areas["best overlap"][1],
    }
