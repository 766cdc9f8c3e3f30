"""Bodies around nuclei, rings, and bodies alone, on drawn cells of known places and sizes."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from hcs.ops.cells.blocks import enlarge_labels, pick_labels
from hcs.ops.cells.bodies import draw_rings, outline_bodies
from hcs.ops.cells.lone import estimate_body_diameter, segment_bodies
from hcs.ops.cells.spreading import spread_labels
from hcs.ops.somas.nuclei import segment_nuclei

PLACES = [(40, 40), (40, 74), (110, 50), (100, 120), (30, 140)]
"""The first two touch."""


def disks(places, radius, height, shape=(150, 180)):
    y, x = np.mgrid[: shape[0], : shape[1]]
    plane = np.zeros(shape)
    heights = np.broadcast_to(height, len(places))
    for (cy, cx), one in zip(places, heights, strict=True):
        plane = np.maximum(plane, one * ((y - cy) ** 2 + (x - cx) ** 2 <= radius**2))
    return plane


def photo(clean, seed=0, noise=8.0):
    rng = np.random.default_rng(seed)
    blurred = ndimage.gaussian_filter(clean.astype(float), 1.2)
    return (blurred + rng.normal(200, noise, clean.shape)).clip(0).astype(np.uint16)


def area_at(labels, place):
    return int((labels == labels[place]).sum()) if labels[place] else 0


def test_every_nucleus_gets_its_body_and_touching_bodies_are_parted():
    nuclei = segment_nuclei(photo(disks(PLACES, 8, 1500)))
    body = photo(disks(PLACES, 18, 700), 1)
    found = outline_bodies(body, nuclei, 16.0)
    assert int(nuclei.max()) == len(PLACES) == int(found.labels.max())
    assert found.stained.all()
    assert found.labels[40, 40] != found.labels[40, 74]
    for place in PLACES[2:]:
        assert area_at(found.labels, place) == pytest.approx(np.pi * 18**2, rel=0.2)
    both = area_at(found.labels, PLACES[0]) + area_at(found.labels, PLACES[1])
    assert both == pytest.approx(2 * np.pi * 18**2, rel=0.2)
    assert found.labels[40, 52] == found.labels[40, 40]
    assert found.labels[40, 62] == found.labels[40, 74]
    for place in PLACES:
        assert found.labels[place] == nuclei[place]


def test_a_dim_cell_beside_bright_ones_keeps_its_body():
    nuclei = segment_nuclei(photo(disks(PLACES, 8, 1500)))
    heights = [900, 900, 900, 280, 900]
    found = outline_bodies(photo(disks(PLACES, 18, heights), 1), nuclei, 16.0)
    assert area_at(found.labels, PLACES[3]) == pytest.approx(np.pi * 18**2, rel=0.2)


def test_a_nucleus_without_stain_is_a_cell_of_its_own_size_and_said_to_be_unstained():
    nuclei = segment_nuclei(photo(disks(PLACES, 8, 1500)))
    found = outline_bodies(photo(disks(PLACES[:4], 18, 700), 1), nuclei, 16.0)
    number = nuclei[PLACES[4]]
    assert found.stained.tolist() == [k != number for k in range(1, 6)]
    assert area_at(found.labels, PLACES[4]) == area_at(nuclei, PLACES[4])


@pytest.mark.parametrize("scale", [1, 2, 4])
def test_bodies_hold_at_any_magnification(scale):
    places = [(y * scale, x * scale) for y, x in PLACES]
    shape = (150 * scale, 180 * scale)
    nuclei = segment_nuclei(photo(disks(places, 6 * scale, 1500, shape)))
    found = outline_bodies(photo(disks(places, 14 * scale, 700, shape), 1), nuclei, 12.0 * scale)
    assert int(nuclei.max()) == len(places)
    for place in places:
        assert area_at(found.labels, place) == pytest.approx(np.pi * (14 * scale) ** 2, rel=0.25)


def test_rings_have_their_width_and_meet_half_way():
    nuclei = np.zeros((60, 60), np.uint16)
    nuclei[28:33, 10:15] = 1
    nuclei[28:33, 21:26] = 2
    rings = draw_rings(nuclei, 10.0)
    assert rings[30, 0] == 1
    assert rings[30, 17] == 1
    assert rings[30, 18] == 2
    assert rings[30, 35] == 2
    assert rings[30, 36] == 0


def test_bodies_alone_are_counted_and_sized():
    image = photo(disks(PLACES, 16, 700), 1)
    diameter = estimate_body_diameter(image)
    assert diameter == pytest.approx(32, rel=0.3)
    labels = segment_bodies(image, diameter)
    assert int(labels.max()) == len(PLACES)
    for place in PLACES:
        assert area_at(labels, place) == pytest.approx(np.pi * 16**2, rel=0.25)


@pytest.mark.parametrize("value", [0, 300])
def test_an_even_or_noisy_plane_has_no_cell(value):
    even = np.full((80, 80), value, np.uint16)
    noise = np.random.default_rng(0).normal(300, 10, (80, 80)).astype(np.uint16)
    for plane in (even, noise):
        assert estimate_body_diameter(plane) is None
        assert not segment_bodies(plane, 20.0).any()
    assert not outline_bodies(even, np.zeros((80, 80), np.uint16), 10.0).labels.any()
    one = np.zeros((80, 80), np.uint16)
    one[30:40, 30:40] = 1
    found = outline_bodies(noise, one, 10.0)
    assert not found.stained.any()
    np.testing.assert_array_equal(found.labels, one)


def test_labels_spread_along_even_light_and_not_through_an_edge():
    light = np.zeros((21, 41), np.float32)
    light[:, 25:] = 5.0  # the second cell is brighter: the border is at 25, not half-way at 20
    seeds = np.zeros((21, 41), np.int32)
    seeds[10, 5], seeds[10, 35] = 1, 2
    labels = spread_labels(seeds, np.ones((21, 41), bool), light, 0.3)
    assert (labels[10, :25] == 1).all()
    assert (labels[10, 25:] == 2).all()
    wall = np.ones((21, 41), bool)
    wall[:, 20] = False
    assert not spread_labels(np.where(seeds == 1, 1, 0), wall, light, 0.3)[:, 21:].any()


def test_blocks_keep_small_objects_and_shapes():
    labels = np.zeros((11, 13), np.uint16)
    labels[4, 4] = 7
    coarse = pick_labels(labels, 3, (3, 4))
    assert coarse[1, 1] == 7
    full = enlarge_labels(coarse, 3, labels.shape)
    assert full.shape == labels.shape
    assert (full[3:6, 3:6] == 7).all()
