"""Folders of masks: found by the image's name or by well and site, every doubt named."""

from __future__ import annotations

import imagecodecs
import numpy as np
import pytest
import tifffile

from hcs.errors import FaultsError, ImageReadError, InputError, NotFoundError
from hcs.io.masks import Place, match_masks, read_mask

PLACES = [
    Place("A/1/0", "A01", 1, ("raw/s1 A01 DAPI.tif", "raw/s1 A01 GFP.tif")),
    Place("A/1/1", "A01", 2, ("raw/s2 A01 DAPI.tif",)),
    Place("B/2/0", "B02", 1, ()),
]


def match(folder, *names, n_t=1, alone=True):
    for name in names:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).touch()
    found = match_masks(folder, "P1", PLACES, n_t, alone=alone)
    return {key: file.rsplit("/", 1)[1] for key, file in found.files.items()}, found.unmatched


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("s1 A01 DAPI.tif", "A/1/0"),
        ("s1 A01 GFP_cp_masks.png", "A/1/0"),
        ("s2 A01 DAPI_Object Identities.tiff", "A/1/1"),
        ("A01_2.tif", "A/1/1"),
        ("a1_s2_mask.png", "A/1/1"),
        ("A01f1_labels.tif", "A/1/0"),
        ("P1_A01_2_masks.TIF", "A/1/1"),
        ("B02.tif", "B/2/0"),
        ("B02_seg.tif", "B/2/0"),
    ],
)
def test_a_mask_is_found_by_its_name(tmp_path, name, path):
    assert match(tmp_path, name) == ({(path, 0): name}, ())


@pytest.mark.parametrize("name", ["A01.tif", "A011.tif", "C05_1.tif", "A01_7.tif", "A01_1_t0.tif"])
def test_what_could_be_of_several_fields_or_of_none_is_named(tmp_path, name):
    found, unmatched = match(tmp_path, "B02.tif", name, "notes.txt")
    assert list(found) == [("B/2/0", 0)]
    assert unmatched == (name,)


def test_a_time_lapse_says_its_times(tmp_path):
    found, unmatched = match(
        tmp_path, "A01_1_t0.tif", "A01_1_t2.tif", "A01_1.tif", "B02_t9.tif", n_t=3
    )
    assert set(found) == {("A/1/0", 0), ("A/1/0", 2)}
    assert unmatched == ("A01_1.tif", "B02_t9.tif")


def test_an_image_beside_its_mask_is_no_mask(tmp_path):
    found, _ = match(tmp_path, "s2 A01 DAPI.tif", "s2 A01 DAPI_masks.tif")
    assert found == {("A/1/1", 0): "s2 A01 DAPI_masks.tif"}


def test_all_fields_with_two_masks_are_named(tmp_path):
    names = ["s1 A01 DAPI_mask.tif", "s1 A01 GFP_mask.tif", "B02_1.tif", "B02.tif"]
    with pytest.raises(FaultsError, match="folder of their own") as caught:
        match(tmp_path, *names)
    assert len(caught.value.faults) == 2


def test_folders(tmp_path):
    with pytest.raises(NotFoundError, match="no such folder"):
        match_masks(tmp_path / "none", "P1", PLACES, alone=True)
    with pytest.raises(InputError, match=r"none of its 1 images, as x\.tif"):
        match(tmp_path, "x.tif")
    with pytest.raises(InputError, match="has no folder P1"):
        match(tmp_path, alone=False)
    assert match(tmp_path, "P1/B02.tif", alone=False)[0] == {("B/2/0", 0): "B02.tif"}


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int32", "uint32", "int64"])
def test_tiffs_of_any_integers(tmp_path, dtype):
    plane = np.arange(48, dtype=dtype).reshape(6, 8)
    tifffile.imwrite(tmp_path / "m.tif", plane[None], compression="zlib")
    np.testing.assert_array_equal(read_mask(tmp_path / "m.tif", (6, 8)), plane)


def test_pngs(tmp_path):
    plane = (np.arange(48, dtype=np.uint16) * 1000).reshape(6, 8)
    (tmp_path / "m.png").write_bytes(imagecodecs.png_encode(plane))
    np.testing.assert_array_equal(read_mask(tmp_path / "m.png"), plane)
    gray = np.repeat(plane.astype(np.uint8)[..., None], 3, -1)
    (tmp_path / "g.png").write_bytes(imagecodecs.png_encode(gray))
    np.testing.assert_array_equal(read_mask(tmp_path / "g.png"), gray[..., 0])


def test_what_is_no_mask_is_refused(tmp_path):
    plane = np.ones((6, 8), np.uint16)
    tifffile.imwrite(tmp_path / "m.tif", plane)
    with pytest.raises(ImageReadError, match="6 × 8 pixels, its field has 12 × 16"):
        read_mask(tmp_path / "m.tif", (12, 16))
    data = (tmp_path / "m.tif").read_bytes()
    (tmp_path / "cut.tif").write_bytes(data[:-20])
    with pytest.raises(ImageReadError, match=r"cut\.tif: bytes of its pixels are missing"):
        read_mask(tmp_path / "cut.tif")
    tifffile.imwrite(tmp_path / "z.tif", np.stack([plane] * 5))
    with pytest.raises(ImageReadError, match="one plane"):
        read_mask(tmp_path / "z.tif")
    color = np.random.default_rng(0).integers(0, 255, (6, 8, 3), np.uint8)
    (tmp_path / "c.png").write_bytes(imagecodecs.png_encode(color))
    with pytest.raises(ImageReadError, match="in color"):
        read_mask(tmp_path / "c.png")
    (tmp_path / "x.png").write_bytes(b"no png")
    with pytest.raises(ImageReadError, match="no whole mask image"):
        read_mask(tmp_path / "x.png")
