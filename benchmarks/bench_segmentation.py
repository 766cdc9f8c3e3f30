"""A pixel classifier on images that it never saw, beside our own segmentation.

    HCS_TEST_DATA=… python -m benchmarks.bench_segmentation

Every row is learned on one image (or half) and reported on another: F1 of objects that overlap by
more than half of their union, and the error of the count. ``objects``: all pixels of the drawn
objects were given; ``strokes``: one row of pixels in twenty. The constants of the separation were
chosen on StarDist's image, so its rows are not held out from these; all others are. Neurites have
no objects: there the shares of the drawn lines found, and of the found in the drawn, are compared.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from scipy import ndimage
from skimage.segmentation import expand_labels
from sklearn.ensemble import RandomForestClassifier

from benchmarks._table import report
from hcs.domain.config.segmenting import OBJECT, PixelOptions
from hcs.domain.config.stages import MorphologyConfig
from hcs.learn.pixels import draw_pixels, order_shares, train_pixels, weigh_pixels
from hcs.ops.matching import Match, match_objects
from hcs.ops.morphology import measure_field
from hcs.ops.pixels import classes_of_objects, classify_pixels, filter_bank, separate_objects
from hcs.ops.somas.nuclei import segment_nuclei

OPTIONS = PixelOptions()
SIGMAS = (OPTIONS.sigma_min_px, OPTIONS.sigma_max_px)
STROKE_EVERY = 20

Picture = NDArray[Any]
Pair = tuple[Picture, Picture]


def main() -> None:
    data = Path(os.environ.get("HCS_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))
    rows = []
    for name, learned, (image, drawn) in _list_nuclei(data):
        own = segment_nuclei(image)
        row: dict[str, Any] = {"learned → reported": name, "drawn": _count(drawn)}
        row |= _say("built in", match_objects(drawn, own))
        for kind, thin in (("objects", None), ("strokes", STROKE_EVERY)):
            found, seconds = _segment(learned, image, thin)
            row |= _say(kind, match_objects(drawn, found))
        rows.append(row | {"s a Mpx": seconds / image.size * 1e6})
    report("bench_segmentation", rows, ["F1 at IoU 0.5, error of the count; one core"])
    report("bench_segmentation_neurites", _compare_neurites(data), ["3 px tolerance"])


def _list_nuclei(data: Path) -> list[tuple[str, list[Pair], Pair]]:
    """Name, what is learned on, and what is reported on."""
    stardist, neubias = data / "stardist_img" / "stardist" / "data" / "images", data / "neubias"
    folder = neubias / "image_data"
    whole = (_read(stardist / "img2d.tif"), _read(stardist / "mask2d.tif"))
    left, right = (tuple(p[:, half] for p in whole) for half in (np.s_[:256], np.s_[256:]))
    early, late = (
        (
            _read(folder / f"xy_8bit__mitocheck_incenp_{t}.tif"),
            _read(folder / f"xy_8bit_labels__mitocheck_incenp_{t}.tif"),
        )
        for t in ("t1", "t70")
    )
    water = folder / "watershed"
    tubulin = (
        _read(water / "xyc_16bit__nuclei_tubulin.tif")[1],
        _read(water / "xy_8bit_labels__nuclei.tif"),
    )
    top, bottom = (tuple(p[half] for p in tubulin) for half in (np.s_[:107], np.s_[107:]))
    return [
        ("stardist left → right", [left], right),
        ("stardist right → left", [right], left),
        ("mitocheck t1 → t70", [early], late),
        ("mitocheck t70 → t1", [late], early),
        ("nuclei_tubulin top → bottom", [top], bottom),
        ("nuclei_tubulin bottom → top", [bottom], top),
        ("stardist, mitocheck → nuclei_tubulin", [whole, early, late], tubulin),
        *_list_brightfield(data / "pediatric_brightfield" / "pediatric_cancer_atlas_profiling"),
    ]


def _list_brightfield(folder: Path) -> list[tuple[str, list[Pair], Pair]]:
    """Nuclei in brightfield, which CellProfiler outlined in the stained channel."""
    pixels = _read(folder / "images" / "orig" / "r03c03f03p01-ch1sk1fk1fl1.tiff")
    drawn = _read(folder / "images" / "outlines" / "NucleiOutlines_BR00143976_C03_3.tiff")
    outlines = drawn.max(axis=-1) > 0
    inside = ndimage.binary_fill_holes(outlines) & ~outlines
    labels = expand_labels(ndimage.label(inside)[0], 1)
    halves = [(pixels[:, half], labels[:, half]) for half in (np.s_[:540], np.s_[540:])]
    return [
        ("brightfield left → right", halves[:1], halves[1]),
        ("brightfield right → left", halves[1:], halves[0]),
    ]


def _read(path: Path) -> Picture:
    return np.squeeze(tifffile.imread(path))


def _count(labels: Picture) -> int:
    return int(np.unique(labels[labels > 0]).size)


def _say(name: str, match: Match) -> dict[str, Any]:
    error = (match.n_found - match.n_drawn) / max(match.n_drawn, 1)
    return {f"{name} F1": round(match.f1, 3), f"{name} count": f"{error:+.0%}"}


def _scale(image: Picture) -> NDArray[np.float32]:
    low, high = np.percentile(image, [1.0, 99.8])
    return ((image - low) / max(high - low, 1e-6)).astype(np.float32)[None]


def _learn(pictures: list[Pair]) -> RandomForestClassifier:
    """Train on pictures with the classes of their pixels, 0 being unlabeled."""
    filters, classes, weights = [], [], []
    for number, (image, drawn) in enumerate(pictures):
        bank = filter_bank(_scale(image), *SIGMAS)
        places = draw_pixels(drawn, OPTIONS.pixels_per_class, "bench", number)
        filters.append(bank.reshape(-1, bank.shape[-1])[places])
        classes.append(drawn.ravel()[places])
        weights.append(weigh_pixels(drawn, places))
    return train_pixels(*map(np.concatenate, (filters, classes, weights)), OPTIONS, 0)


def _segment(learned: list[Pair], image: Picture, thin: int | None) -> tuple[Picture, float]:
    pictures, areas = [], []
    for picture, labels in learned:
        classes = classes_of_objects(labels)
        if thin is not None:
            classes = np.where(np.arange(len(classes))[:, None] % thin == thin // 2, classes, 0)
        pictures.append((picture, classes.astype(np.uint8)))
        found = np.bincount(labels.ravel())[1:]
        areas.append(found[found > 0])
    forest = _learn(pictures)
    diameter = float(np.sqrt(4 / np.pi * np.median(np.concatenate(areas))))
    started = time.perf_counter()
    shares = classify_pixels(_scale(image), SIGMAS, forest.predict_proba)
    found = separate_objects(*order_shares(shares, forest.classes_.tolist()), diameter)
    return found, time.perf_counter() - started


def _compare_neurites(data: Path) -> list[dict[str, Any]]:
    """Learn neurites on every third pair of a device, report on the others."""
    from benchmarks.morphology.real import _overlap, _pairs

    pairs = _pairs(data / "deepneurite" / "data" / "PC3")
    learned, held_out = pairs[::3], [p for i, p in enumerate(pairs) if i % 3]
    forest = _learn([(image, np.where(mask, 2, 1).astype(np.uint8)) for image, mask in learned])

    def classify(image: Picture) -> NDArray[np.bool_]:
        shares = classify_pixels(_scale(image), SIGMAS, forest.predict_proba)
        return shares[forest.classes_.tolist().index(OBJECT)] > 0.5

    def trace(image: Picture) -> NDArray[np.bool_]:
        return measure_field(image, pixel_size_um=None, settings=MorphologyConfig()).neurites > 0

    return [_judge(name, find, held_out, _overlap) for name, find in _finders(trace, classify)]


def _finders(
    trace: Callable[[Picture], NDArray[np.bool_]], classify: Callable[[Picture], NDArray[np.bool_]]
) -> list[tuple[str, Callable[[Picture], NDArray[np.bool_]]]]:
    from skimage.morphology import skeletonize

    return [("built in", trace), ("classifier", lambda image: skeletonize(classify(image)))]


def _judge(
    name: str,
    find: Callable[[Picture], NDArray[np.bool_]],
    pairs: list[Pair],
    overlap: Callable[..., tuple[float, ...]],
) -> dict[str, Any]:
    found = np.array([overlap(find(image), mask) for image, mask in pairs])
    drawn, traced = found[:, 0], found[:, 1]
    recall = float((found[:, 2] * drawn).sum() / drawn.sum())
    precision = float((found[:, 3] * traced).sum() / max(traced.sum(), 1))
    return {
        "neurites of": name,
        "pairs": len(pairs),
        "mask found": recall,
        "found in mask": precision,
        "F1": 2 * recall * precision / (recall + precision),
        "length ratio": float(traced.sum() / drawn.sum()),
    }


if __name__ == "__main__":
    main()
