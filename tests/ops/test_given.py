"""Given label images: numbers are kept, and what is no label image is refused."""

from __future__ import annotations

import numpy as np
import pytest

from hcs.domain.config.measuring import Cells, MorphologyConfig, Nuclei
from hcs.errors import ImageReadError
from hcs.ops.cells.measure import Channel, measure_cells
from hcs.ops.given import Given, number_objects
from hcs.ops.somas.cells import take_somas


def two_squares(dtype, first, second):
    plane = np.zeros((16, 16), dtype)
    plane[2:6, 2:6] = first
    plane[9:14, 9:14] = second
    return plane


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "int32", "uint32", "int64"])
def test_numbers_with_gaps_are_kept_in_any_integer_type(dtype):
    found = number_objects(two_squares(dtype, 3, 77), "x")
    assert found.numbers.tolist() == [3, 77]
    assert np.bincount(found.labels.ravel())[1:].tolist() == [16, 25]


def test_numbers_beyond_16_bit_come_back_as_they_were():
    plane = two_squares(np.int64, 70_000, 3_000_000_000)
    found = number_objects(plane, "x")
    assert found.numbers.tolist() == [70_000, 3_000_000_000]
    back = found.restore(found.labels)
    assert back.dtype == np.uint32
    np.testing.assert_array_equal(back, plane)


def test_the_mark_of_no_owner_is_no_object_number():
    found = number_objects(two_squares(np.uint32, 5, 65_535), "x")
    skeleton = np.array([[0, 1, 2, 65_535]], np.uint16)
    assert found.restore(skeleton, kept=65_535).tolist() == [[0, 5, 65_535, 2**32 - 1]]


def test_more_than_65535_objects():
    plane = np.zeros((600, 600), np.uint32)
    plane[::2, ::2] = np.arange(1, 90_001).reshape(300, 300)
    found = number_objects(plane, "x")
    assert found.count == 90_000
    np.testing.assert_array_equal(found.restore(found.labels), plane)


def test_no_objects():
    assert number_objects(np.zeros((4, 4), np.int32), "x").count == 0


@pytest.mark.parametrize(
    ("plane", "words"),
    [
        pytest.param(two_squares(np.uint8, 255, 255), "binary mask", id="binary"),
        pytest.param(two_squares(bool, 1, 1), "binary mask", id="bool"),
        pytest.param(two_squares(np.int16, -1, 2), "number -1", id="negative"),
        pytest.param(two_squares(np.float32, 1, 2), "pixels are float32", id="float"),
        pytest.param(
            np.random.default_rng(0).integers(100, 300, (32, 32)), "photograph", id="image"
        ),
        pytest.param(two_squares(np.uint8, 1, 2) + 1, "is the background", id="background"),
        pytest.param(
            np.tile(np.kron([[1, 2], [0, 0]], np.ones((4, 4), int)), (4, 1)),
            "classes",
            id="classes",
        ),
    ],
)
def test_what_is_no_label_image_is_refused(plane, words):
    if words == "is the background":
        plane = np.pad(plane, 8, constant_values=1)
    with pytest.raises(ImageReadError, match=words):
        number_objects(plane, "x")


def test_more_objects_than_16_bits_number_are_all_measured():
    plane = np.zeros((560, 560), np.uint32)
    plane[::2, ::2] = np.arange(1, 78_401).reshape(280, 280)
    image = np.where(plane > 0, 500, 100).astype(np.uint16)
    given = Given(nuclei=number_objects(plane * 3, "x"))
    settings = MorphologyConfig(assay=Nuclei(feature_set="classic"))
    channels = {"DAPI": Channel(image)}
    found = measure_cells(
        None, None, pixel_size_um=None, settings=settings, channels=channels, given=given
    )
    assert found.features["Image_Count_Cells"] == 78_400
    np.testing.assert_array_equal(found.cells["Nuclei_ObjectNumber"], 3 * np.arange(1, 78_401))
    assert (found.cells["Nuclei_Intensity_MeanIntensity_DAPI"] == 500).all()
    with pytest.raises(ImageReadError, match="measure so many with --assay cells or nuclei"):
        take_somas(number_objects(plane, "x"))


@pytest.mark.parametrize(
    ("assay", "kind", "part"),
    [
        pytest.param(Nuclei(), "nuclei", "Nuclei", id="nuclei"),
        pytest.param(Cells(), "cells", "Cells", id="cells"),
        pytest.param(Cells(ring_px=1), "nuclei", "Cells", id="rings"),
        pytest.param(Cells(), "nuclei", "Cells", id="bodies"),
    ],
)
def test_no_number_beyond_16_bits_wraps_around_in_any_assay(request, assay, kind, part):
    count = 70_225
    plane = np.zeros((530, 530), np.uint32)
    plane[::2, ::2] = np.arange(1, count + 1).reshape(265, 265)
    image = np.where(plane > 0, plane % 60_000 + 1, 0).astype(np.uint16)
    settings = MorphologyConfig.model_validate(
        {"assay": assay.model_dump(), "sizes": {"nucleus_diameter_px": 2}}
    )
    found = measure_cells(
        image if "bodies" in request.node.callspec.id else None,
        None,
        pixel_size_um=None,
        settings=settings,
        channels={"X": Channel(image)},
        given=Given(**{kind: number_objects(plane, "x")}),
    )
    first = "Nuclei" if kind == "nuclei" else "Cells"
    at = image[::2, ::2].ravel()
    np.testing.assert_array_equal(found.cells[f"{first}_Intensity_MeanIntensityEdge_X"], at)
    assert np.isfinite(found.cells[f"{part}_AreaShape_Area"]).all()
    assert np.unique(found.labels[part.lower()]).size == count + 1
