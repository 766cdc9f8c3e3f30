"""What a stranger is told whose folder fits nothing."""

from __future__ import annotations

import re

import numpy as np
import pytest
import tifffile

from hcs.domain.config.stages import AutoLayout, RegexLayout
from hcs.domain.wells import PlateFormat
from hcs.errors import InputError
from hcs.io import layouts
from hcs.io.images import tiff
from hcs.io.layouts.suggest import suggest_pattern

AUTO = AutoLayout()


def touch(folder, *names):
    for name in names:
        (folder / name).write_bytes(b"")
    return folder


@pytest.mark.parametrize(
    ("name", "wells", "found"),
    [
        pytest.param("exp_B07_s2_c1.tif", None, ("B07", 2, "1", 0, 0), id="well"),
        pytest.param("my run (3) C5 field 12 ch2.png", None, ("C05", 12, "2", 0, 0), id="blanks"),
        pytest.param("Well014_Pos3_T0007_Z02.tif", 96, ("B02", 3, "0", 0, 0), id="number"),
        pytest.param("img_W014_P03_C1.tif", 96, ("B02", 3, "1", 0, 0), id="no-row-P"),
        pytest.param("24-05-06_pl7-H12-p003-chan4.tiff", 96, ("H12", 3, "4", 0, 0), id="date"),
    ],
)
def test_the_expression_that_is_proposed_reads_the_name(tmp_path, name, wells, found):
    touch(tmp_path, name)
    plate_format = None if wells is None else PlateFormat.of_size(wells)
    with pytest.raises(InputError) as caught:
        layouts.scan(tmp_path, AUTO, plate_format=plate_format)
    pattern = re.search(r"'regex:(.*)', and", str(caught.value))[1]
    (plane,) = layouts.scan(
        tmp_path, RegexLayout(pattern=pattern), plate_format=plate_format
    ).plate.planes
    assert (plane.well.name, plane.site, plane.channel, plane.z_index, plane.t_index) == found


@pytest.mark.parametrize("name", ["one.tif", "IMG0001.tif", "photo 12.jpg"])
def test_nothing_is_proposed_where_no_well_is_seen(name):
    assert suggest_pattern([name]) is None


@pytest.mark.parametrize(
    ("name", "told"),
    [
        pytest.param("plate.vsi", "1 Olympus VSI file, such as 'plate.vsi'", id="vsi"),
        pytest.param("run.XLEF", "1 Leica XLEF file", id="xlef"),
        pytest.param("001001000.flex", "1 Opera FLEX file", id="flex"),
        pytest.param("P_A01f00d0.DIB", "1 Cellomics DIB file", id="dib"),
    ],
)
def test_containers_of_makers_are_named_with_a_way_out(tmp_path, name, told):
    with pytest.raises(InputError, match="bioformats2raw") as caught:
        layouts.scan(touch(tmp_path, name), AUTO)
    assert told in str(caught.value)


def test_a_container_beside_a_plate_is_a_problem_with_a_way_out(tmp_path):
    touch(tmp_path, "P_A01_s1_w1.tif", "overview.czi")
    (row,) = layouts.scan(tmp_path, AUTO).problems
    assert (row["file"], row["reason"]) == ("overview.czi", "unmatched-file")
    assert "--layout container" in row["message"]


def test_words_that_differ_are_the_channel(tmp_path):
    names = [f"well_{well}_field{n}_{dye}.tif" for well in ("A1", "B2") for n in (1, 2)
             for dye in ("DAPI", "GFP")]  # fmt: skip
    touch(tmp_path, *names)
    pattern = suggest_pattern(sorted(names))
    plate = layouts.scan(tmp_path, RegexLayout(pattern=pattern)).plate
    assert {(p.well.name, p.site, p.channel) for p in plate.planes} == {
        (well, n, dye) for well in ("A01", "B02") for n in (1, 2) for dye in ("DAPI", "GFP")
    }


def test_flex_files_are_read_as_proposed(tmp_path):
    for well in ("002003", "001012"):
        pages = np.stack([np.full((8, 8), n + int(well), np.uint16) for n in (0, 1)])
        tifffile.imwrite(tmp_path / f"{well}004.flex", pages, metadata=None)
    with pytest.raises(InputError, match="--pages channel") as caught:
        layouts.scan(tmp_path, AUTO)
    pattern = re.search(r"'regex:([^']*)'", str(caught.value))[1]
    plate = layouts.scan(tmp_path, RegexLayout(pattern=pattern), page_axis="channel").plate
    found = {
        (p.well.name, p.site, p.channel): int(tiff.read_plane(tmp_path / p.path, p.page)[0, 0])
        for p in plate.planes
    }
    assert found == {
        ("A12", 4, "0"): 1012, ("A12", 4, "1"): 1013, ("B03", 4, "0"): 2003, ("B03", 4, "1"): 2004,
    }  # fmt: skip
