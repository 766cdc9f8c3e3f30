"""A pixel classifier trained from strokes or drawn objects, and run over plates."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
import zarr

from hcs.domain.config.segmenting import SegmentConfig, SegmentTrainConfig
from hcs.domain.config.stages import FeaturesConfig, IngestConfig
from hcs.errors import ImageReadError, InputError, StaleError
from hcs.io.plates.reader import PlateReader
from hcs.stages import features, ingest
from hcs.stages.segment import apply, train

DIAMETER = 12


def draw(seed, n=6, exposure=1.0):
    """Draw disks that are dark inside, which no threshold finds, and their label image."""
    rng = np.random.default_rng(seed)
    image, label = rng.normal(400, 12, (96, 96)), np.zeros((96, 96), np.uint16)
    y, x = np.mgrid[:96, :96]
    for number in range(1, n + 1):
        cy, cx = 16 + 32 * ((number - 1) // 3), 16 + 32 * ((number - 1) % 3)
        away = np.hypot(y - cy - rng.integers(-4, 5), x - cx - rng.integers(-4, 5))
        label[away < DIAMETER / 2] = number
        image[away < DIAMETER / 2] -= 120
    return np.clip(image * exposure, 1, 65535).astype(np.uint16), label


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A plate of six wells with a field each, and the truth."""
    folder = tmp_path_factory.mktemp("plates")
    (folder / "tiffs").mkdir()
    truth = {}
    for index, well in enumerate(["A01", "A02", "A03", "B01", "B02", "B03"]):
        image, truth[well] = draw(index, n=9 - index)
        tifffile.imwrite(folder / "tiffs" / f"{well}.tif", image)
    out = folder / "P1.zarr"
    layout = {"kind": "regex", "pattern": r"(?P<row>[A-H])(?P<column>\d+)\.tif"}
    given = {"source": str(folder / "tiffs"), "out": str(out), "plate_name": "P1"}
    ingest.run(IngestConfig.model_validate(given | {"layout": layout}))
    return out, truth


def write_masks(folder, masks):
    folder.mkdir(exist_ok=True)
    for well, mask in masks.items():
        tifffile.imwrite(folder / f"{well}_mask.tif", mask)
    return {"kind": "folder", "path": str(folder)}


def learn(plate, tmp_path, annotations, **more):
    given = {"plates": (str(plate),), "annotations": annotations, "out": str(tmp_path / "model")}
    pixels = {"sigma_max_px": 4.0, "n_trees": 20, "pixels_per_class": 500}
    return train.run(SegmentTrainConfig.model_validate(given | {"pixels": pixels} | more))


def segment(plate, tmp_path, **more):
    given = {"model": str(tmp_path / "model"), "plates": (str(plate),), "name": "bodies"}
    given |= {"out": str(tmp_path / "segmented.parquet")} | more
    return apply.run(SegmentConfig.model_validate(given))


def strokes_of(label):
    strokes = np.zeros(label.shape, np.uint8)
    strokes[:, 46:50] = np.where(label[:, 46:50] == 0, 1, 0)
    strokes[2:94:4][label[2:94:4] > 0] = 2
    return strokes


def learn_objects(made, tmp_path, wells=("A01", "A02")):
    plate, truth = made
    source = write_masks(tmp_path / "drawn", {well: truth[well] for well in wells})
    return learn(plate, tmp_path, {"kind": "objects", "source": source})


@pytest.mark.parametrize("kind", ["objects", "strokes"])
def test_counts_of_fields_that_it_never_saw(made, tmp_path, kind, copy_of):
    plate, truth = copy_of(made[0]), made[1]
    drawn = {"A01": truth["A01"], "B02": truth["B02"]}
    masks = drawn if kind == "objects" else {k: strokes_of(v) for k, v in drawn.items()}
    annotations = {"kind": kind, "source": write_masks(tmp_path / "drawn", masks)}
    if kind == "strokes":
        annotations["diameter_px"] = DIAMETER
    result = learn(plate, tmp_path, annotations)
    assert result.summary["annotated images"] == 2
    assert "of pixels" in result.summary["recognized on images left out"]
    found = segment(plate, tmp_path)
    table = pd.read_parquet(found.out).set_index("Metadata_Well")
    assert table[apply.COUNT].to_dict() == {well: int(m.max()) for well, m in truth.items()}
    label = PlateReader(str(plate)).read_label("A/3/0", "bodies")
    assert label.max() == truth["A03"].max()
    overlap = ((label > 0) & (truth["A03"] > 0)).sum() / ((label > 0) | (truth["A03"] > 0)).sum()
    assert overlap > 0.8
    again = segment(plate, tmp_path)
    assert (again.n_run, again.n_skipped) == (0, 6)


@pytest.fixture
def copy_of(tmp_path):
    import shutil

    return lambda plate: Path(shutil.copytree(plate, tmp_path / "P1.zarr"))


def test_features_measure_what_it_found(made, tmp_path, copy_of):
    plate = copy_of(made[0])
    learn_objects((plate, made[1]), tmp_path)
    segment(plate, tmp_path)
    sizes = {"soma_diameter_px": DIAMETER, "neurite_width_px": 2}
    labels = {"cells": {"kind": "plate", "name": "bodies"}}
    config = {"plates": (str(plate),), "out": str(tmp_path / "f.parquet"), "write_labels": False}
    config["morphology"] = {"labels": labels, "sizes": sizes}
    images = pd.read_parquet(features.run(FeaturesConfig.model_validate(config)).out)
    assert images["Image_Count_Cells"].tolist() == [int(m.max()) for m in made[1].values()]


def test_what_was_lost_is_segmented_again_to_the_same(made, tmp_path, copy_of):
    plate = copy_of(made[0])
    learn_objects((plate, made[1]), tmp_path)
    segment(plate, tmp_path)
    one = PlateReader(str(plate)).read_label("B/3/0", "bodies")
    zarr.open_array(f"{plate}/B/3/0/labels/bodies/0", mode="r+")[:] = 0
    for file in (tmp_path / "segmented.parquet.hcs").rglob("*B03*"):
        file.unlink()
    result = segment(plate, tmp_path)
    assert (result.n_run, result.n_skipped) == (1, 5)
    np.testing.assert_array_equal(PlateReader(str(plate)).read_label("B/3/0", "bodies"), one)


def test_trained_again_only_where_annotations_changed(made, tmp_path):
    learn_objects(made, tmp_path)
    annotations = {"kind": "objects", "source": {"kind": "folder", "path": str(tmp_path / "drawn")}}
    assert learn(made[0], tmp_path, annotations).n_run == 0
    write_masks(tmp_path / "drawn", {"A03": made[1]["A03"]})
    result = learn(made[0], tmp_path, annotations)
    assert (result.n_run, result.summary["annotated images"]) == (1, 3)


def test_what_is_no_annotation_is_named(made, tmp_path):
    plate, truth = made
    source = write_masks(tmp_path / "drawn", {"A01": truth["A01"], "A02": strokes_of(truth["A02"])})
    with pytest.raises(ImageReadError, match="label images of whole objects are given as obj"):
        learn(plate, tmp_path, {"kind": "strokes", "source": source, "diameter_px": 9}, strict=True)
    one = write_masks(tmp_path / "one", {"A01": (truth["A01"] > 0) * np.uint8(2)})
    with pytest.raises(InputError, match=r"no pixel is annotated as background \(1\)"):
        learn(plate, tmp_path, {"kind": "strokes", "source": one, "diameter_px": 9})


def test_labels_of_others_and_of_features_stay(made, tmp_path, copy_of):
    plate = copy_of(made[0])
    learn_objects((plate, made[1]), tmp_path)
    zarr.open_group(str(plate), mode="r+").require_group("A/1/0/labels/bodies")
    with pytest.raises(InputError, match="was not written by hcs segment"):
        segment(plate, tmp_path)
    config = {"plates": (str(plate),), "out": str(tmp_path / "f.parquet")}
    features.run(FeaturesConfig.model_validate(config))
    with pytest.raises(InputError, match="give the new label another name"):
        segment(plate, tmp_path, name="soma")


def test_a_forest_of_another_run_is_refused(made, tmp_path):
    learn_objects(made, tmp_path)
    file = tmp_path / "model" / "forest.skops"
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(StaleError, match="train it again"):
        segment(made[0], tmp_path)


def test_other_pixels_and_channels_are_refused(made, tmp_path, copy_of):
    plate = copy_of(made[0])
    learn_objects((plate, made[1]), tmp_path)
    with pytest.raises(InputError, match="was trained on 1 channels"):
        segment(plate, tmp_path, channels=("a", "b"))
    manifest = tmp_path / "model" / "manifest.json"
    found = json.loads(manifest.read_text()) | {"pixel_size_um": 0.5}
    manifest.write_text(json.dumps(found))
    document = plate / "A" / "1" / "0" / "zarr.json"
    described = json.loads(document.read_text())
    for axis in described["attributes"]["ome"]["multiscales"][0]["axes"][-2:]:
        axis["unit"] = "micrometer"
    document.write_text(json.dumps(described))
    with pytest.raises(InputError, match=r"trained on pixels of 0\.5 µm, plate P1 has 1 µm"):
        segment(plate, tmp_path)


def test_pixels_of_unknown_size_are_doubted(made, tmp_path, copy_of):
    learn_objects(made, tmp_path)
    plate = copy_of(made[0])
    assert segment(plate, tmp_path).problems == ()
    manifest = next(tmp_path.glob("model/*.json"))
    read = json.loads(manifest.read_text())
    manifest.write_text(json.dumps(read | {"pixel_size_um": 0.5}))
    (problem,) = segment(plate, tmp_path, out=str(tmp_path / "other.parquet")).problems
    assert (problem.reason, problem.kept) == ("doubtful", True)
    assert "trained on pixels of 0.5 µm, plate P1 has no pixel size" in problem.message


def test_an_annotated_image_that_could_not_be_read_is_tried_again(made, tmp_path, copy_of):
    plate = copy_of(made[0])
    files = (file for file in (Path(plate) / "A/1/0/0").rglob("*") if file.is_file())
    chunk = max(files, key=lambda file: file.stat().st_size)
    whole = chunk.read_bytes()
    chunk.write_bytes(whole[: len(whole) // 2])
    source = write_masks(tmp_path / "drawn", {well: made[1][well] for well in ("A01", "A02")})
    pixels = {"sigma_max_px": 4.0, "n_trees": 5, "normalize": "image"}  # no range of the plate
    annotations = {"kind": "objects", "source": source}
    first = learn(plate, tmp_path, annotations, pixels=pixels)
    assert first.summary["annotated images"] == 1
    assert len(first.problems) == 1
    chunk.write_bytes(whole)
    second = learn(plate, tmp_path, annotations, pixels=pixels)
    assert second.summary["annotated images"] == 2
    assert second.problems == ()
    assert second.n_run == 1
