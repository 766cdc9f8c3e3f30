"""What is measured on compartments: CellProfiler's definitions, markers, and honest counts."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage
from skimage.measure import regionprops

from hcs.domain import catalog_cells
from hcs.domain.config.stages import Cells, Marker, MorphologyConfig, Nuclei
from hcs.errors import InputError
from hcs.ops.cells.compartments import Compartment, shape_columns
from hcs.ops.cells.light import light_columns, texture_columns
from hcs.ops.cells.measure import Channel, measure_cells
from hcs.ops.given import NOTHING, Given, number_objects

sys.path.insert(0, str(Path(__file__).parent))
from test_bodies import PLACES, disks, photo


@pytest.fixture(scope="module")
def labels():
    rng = np.random.default_rng(3)
    found = np.zeros((90, 120), np.uint16)
    y, x = np.mgrid[:90, :120]
    for k, (cy, cx) in enumerate([(20, 20), (20, 38), (60, 60), (88, 100), (50, 5)], start=1):
        a, b = rng.uniform(6, 12, 2)
        found[((y - cy) / a) ** 2 + ((x - cx) / b) ** 2 <= 1] = k
    return found


@pytest.fixture(scope="module")
def plane():
    return np.random.default_rng(1).integers(300, 60000, (90, 120)).astype(np.uint16)


def test_shapes_are_those_of_scikit_image(labels):
    found = shape_columns(Compartment("Nuclei", labels, 5), full=True)
    for k, one in enumerate(regionprops(labels)):
        expected = {
            "Area": one.area, "Center_Y": one.centroid[0], "Center_X": one.centroid[1],
            "Perimeter": one.perimeter, "MajorAxisLength": one.axis_major_length,
            "MinorAxisLength": one.axis_minor_length, "Eccentricity": one.eccentricity,
            "Extent": one.extent, "EquivalentDiameter": one.equivalent_diameter_area,
            "FormFactor": 4 * np.pi * one.area / one.perimeter**2,
        }  # fmt: skip
        for name, value in expected.items():
            assert found[f"Nuclei_AreaShape_{name}"][k] == pytest.approx(value), name


def test_brightness_is_of_the_object_alone(labels, plane):
    part = Compartment("Cells", labels, 5)
    found = light_columns(part, "DNA", plane.astype(np.float32), full=True)
    inside = plane[labels == 2].astype(float)
    expected = {
        "MeanIntensity": inside.mean(), "IntegratedIntensity": inside.sum(),
        "StdIntensity": inside.std(), "MinIntensity": inside.min(),
        "MaxIntensity": inside.max(),
    }  # fmt: skip
    for name, value in expected.items():
        assert found[f"Cells_Intensity_{name}_DNA"][1] == pytest.approx(value, rel=1e-5), name
    # CellProfiler's quantile lies at n times the share, between two values.
    ordered, place = np.sort(inside), inside.size * 0.25
    low = int(place)
    quarter = ordered[low] * (1 - place + low) + ordered[low + 1] * (place - low)
    assert found["Cells_Intensity_LowerQuartileIntensity_DNA"][1] == pytest.approx(quarter)


def test_textures_are_those_of_graycomatrix(labels, plane):
    from skimage.feature import graycomatrix

    part = Compartment("Nuclei", labels, 5)
    found = texture_columns(part, "DNA", plane.astype(np.float32), 65535.0)
    gray = np.rint(plane / 257.0).astype(np.uint8)
    crop = np.where(labels == 3, gray, 0)
    pairs = graycomatrix(crop, [3], [0], 256, symmetric=True)[1:, 1:, 0, 0].astype(float)
    share = pairs / pairs.sum()
    i, j = np.mgrid[1:256, 1:256]
    entropy = -(share[share > 0] * np.log2(share[share > 0])).sum()
    at = "Nuclei_Texture_{}_DNA_3_00_256".format
    assert found[at("Contrast")][2] == pytest.approx((share * (i - j) ** 2).sum())
    assert found[at("AngularSecondMoment")][2] == pytest.approx((share**2).sum())
    assert found[at("Entropy")][2] == pytest.approx(entropy)
    assert found[at("SumAverage")][2] == pytest.approx((share * (i + j)).sum())
    assert len(found) == 13 * 4


def measure(assay, *, body=None, nuclei=None, channels=None, given=NOTHING):
    return measure_cells(
        body, nuclei, pixel_size_um=0.5, settings=MorphologyConfig(assay=assay),
        channels=channels or {}, given=given,
    )  # fmt: skip


def test_nuclei_alone_draw_no_neurites_and_count_themselves():
    image = photo(disks(PLACES, 8, 1500))
    found = measure(Nuclei(), nuclei=image, channels={"DNA": Channel(image)})
    assert found.features["Image_Count_Cells"] == found.features["Image_Count_Nuclei"] == 5
    assert found.features["Image_Nuclei_MeanArea_um2"] == pytest.approx(np.pi * 16, rel=0.25)
    assert found.cells["Nuclei_AreaShape_Area"].mean() == pytest.approx(np.pi * 64, rel=0.25)
    assert list(found.labels) == ["nuclei"]
    assert not any("Neurite" in name for name in [*found.features, *found.cells])
    mean = found.features["Image_Mean_Nuclei_Intensity_MeanIntensity_DNA"]
    assert mean == pytest.approx(found.cells["Nuclei_Intensity_MeanIntensity_DNA"].mean())


@pytest.mark.parametrize("with_body", [True, False])
def test_every_nucleus_is_a_cell_of_three_parts(with_body):
    dna = photo(disks(PLACES, 8, 1500))
    body = photo(disks(PLACES[:4], 16, 600), 1)
    found = measure(Cells(ring_px=6), body=body if with_body else None, nuclei=dna)
    assert found.features["Image_Count_Cells"] == 5
    assert found.features["Image_Count_SkippedNuclei"] == 0
    area = {part: found.cells[f"{part}_AreaShape_Area"] for part in ("Cells", "Nuclei")}
    rest = np.nan_to_num(found.cells["Cytoplasm_AreaShape_Area"])
    np.testing.assert_array_equal(area["Cells"], area["Nuclei"] + rest)
    if with_body:
        assert found.features["Image_Count_UnstainedCells"] == 1
        assert np.isnan(found.cells["Cytoplasm_AreaShape_Area"]).sum() == 1


def test_glow_without_an_edge_is_skipped_and_counted():
    places = [(30, 30), (30, 80), (30, 130), (80, 30), (80, 80), (80, 130)]
    glow = np.zeros((150, 180))
    glow[125, 90] = 1
    sharp = disks(places, 8, 1500)
    blurred = ndimage.gaussian_filter(glow, 9) * 2 * np.pi * 81 * 1200
    image = photo(sharp + blurred)
    found = measure(Nuclei(), nuclei=image)
    assert found.features["Image_Count_Cells"] == 6
    assert found.features["Image_Count_Nuclei"] == 7
    assert found.features["Image_Count_SkippedNuclei"] == 1
    assert found.labels["nuclei"][125, 90] == 0


@pytest.mark.parametrize("feature_set", ["classic", "full"])
@pytest.mark.parametrize("parts", [("Nuclei",), ("Cells",), ("Cells", "Nuclei", "Cytoplasm")])
def test_the_catalogue_lists_what_is_measured(feature_set, parts):
    image = photo(disks(PLACES, 8, 1500))
    assay = {"kind": "nuclei" if parts == ("Nuclei",) else "cells", "feature_set": feature_set}
    found = measure_cells(
        image if parts == ("Cells",) else None,
        None if parts == ("Cells",) else image,
        pixel_size_um=0.5,
        settings=MorphologyConfig.model_validate({"assay": assay}),
        channels={"A": Channel(image, 65535.0, True), "B": Channel(image, 65535.0, True)},
    )
    listed = catalog_cells.single_cell_columns(parts, "AB", feature_set, with_texture=True)
    assert set(found.cells) == listed
    means = {name for name in found.features if name.startswith("Image_Mean_")}
    quality = {n for n in found.features if n.startswith(("Image_Quality_", "Image_Intensity_"))}
    counted = catalog_cells.image_columns(parts, 0.5)
    assert set(found.features) - means - quality == counted
    assert {name.removeprefix("Image_Mean_") for name in means} < listed


def marked(rule, compartment=None):
    return Marker.model_validate(
        {"name": "PH3", "channel": "Cy5", "threshold": rule, "compartment": compartment}
    )


@pytest.mark.parametrize("rule", [{"kind": "noise"}, {"kind": "fixed", "level_counts": 150}])
def test_positive_nuclei_are_counted(rule):
    dna = photo(disks(PLACES, 8, 1500))
    plane = photo(disks([PLACES[1]], 8, 400), 2)
    found = measure_cells(
        None, dna, pixel_size_um=None, channels={}, markers={"PH3": plane},
        settings=MorphologyConfig(assay=Cells(ring_px=8), markers=(marked(rule, "nucleus"),)),
    )  # fmt: skip
    assert found.features["Image_PH3_PositiveCount"] == 1
    assert found.features["Image_PH3_PositiveFraction"] == pytest.approx(1 / 5)
    assert found.cells["Nuclei_PH3_Positive"].sum() == 1


def test_a_marker_on_a_part_that_is_not_there_is_refused():
    dna = photo(disks(PLACES, 8, 1500))
    settings = MorphologyConfig(assay=Nuclei(), markers=(marked({"kind": "noise"}, "cytoplasm"),))
    with pytest.raises(InputError, match=r"'PH3' is asked for on the cytoplasm; there is: nucleus"):
        measure_cells(
            None, dna, pixel_size_um=None, channels={}, markers={"PH3": dna}, settings=settings
        )


def test_given_cells_keep_their_numbers_and_nuclei_outside_are_skipped():
    dna = photo(disks(PLACES, 8, 1500))
    drawn = np.zeros(dna.shape, np.int32)
    for number, place in zip((40, 7, 90), PLACES[1:4], strict=True):
        drawn[disks([place], 16, 1) > 0] = number
    given = Given(cells=number_objects(drawn, "drawn"))
    found = measure(Cells(), nuclei=dna, given=given)
    assert found.cells["Cells_ObjectNumber"].tolist() == [7, 40, 90]
    assert found.features["Image_Count_Cells"] == 3
    assert found.features["Image_Count_Nuclei"] == 5
    assert found.features["Image_Count_SkippedNuclei"] == 2
    assert set(np.unique(found.labels["nuclei"])) == {0, 7, 40, 90}
    assert found.cells["Nuclei_AreaShape_Area"] == pytest.approx(np.pi * 64, rel=0.25)


def test_a_field_without_cells_has_zeros_and_no_means():
    dark = np.full((64, 64), 200, np.uint16)
    found = measure(Cells(), body=dark, nuclei=dark, channels={"A": Channel(dark, 65535.0, True)})
    assert found.features["Image_Count_Cells"] == 0
    assert np.isnan(found.features["Image_Cells_MeanArea_um2"])
    assert all(values.size == 0 for values in found.cells.values())


def test_an_object_of_one_pixel_is_round_as_scikit_image_has_it():
    labels = np.zeros((9, 9), np.uint16)
    labels[4, 4] = 1
    found = shape_columns(Compartment("Nuclei", labels, 1), full=True)
    assert regionprops(labels)[0].eccentricity == 0
    assert found["Nuclei_AreaShape_Eccentricity"].tolist() == [0]
