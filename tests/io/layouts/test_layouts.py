"""A folder becomes a plate: the layout is recognized or refused, and no file is lost in silence."""

from __future__ import annotations

import shutil
import typing
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from upath import UPath

from hcs.domain import columns as col
from hcs.domain.config import stages as config
from hcs.domain.config.stages import AutoLayout, InCellLayout, RegexLayout
from hcs.domain.wells import PlateFormat, Well
from hcs.errors import FaultsError, InputError, NotFoundError
from hcs.io import layouts
from hcs.io.files.patterns import UserPattern
from hcs.io.layouts import listing

AUTO = AutoLayout()


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    return folder


def incell(well="A - 01", site=1, channel="Blue - FITC", rest="") -> str:
    return f"{well}(fld {site:03d} wv {channel}{rest}).tif"


def reasons(result) -> dict[str, str]:
    return {row["file"]: row["reason"] for row in result.problems}


def test_a_folder_of_in_cell_names(tmp_path):
    names = [
        incell(f"{r} - {c:02d}", s, w)
        for r in "AH"
        for c in (1, 12)
        for s in (1, 2)
        for w in ("UV - DAPI", "Blue - FITC")
    ]
    result = layouts.scan(touch(tmp_path / "P7", *names), AUTO)
    plate = result.plate
    assert (plate.name, plate.layout, plate.plate_format) == ("P7", "incell", PlateFormat.WELLS_96)
    assert [channel.name for channel in plate.channels] == ["Blue - FITC", "UV - DAPI"]
    assert len(plate.planes) == len(names)
    assert result.problems == ()
    assert "incell" in result.why
    assert "16 of 16" in result.why
    assert plate.planes == tuple(sorted(plate.planes, key=lambda p: (p.well, p.site, p.channel)))


def test_a_missing_field_shifts_nothing(tmp_path):
    names = [incell("A - 01", s) for s in (1, 2, 4)] + [incell("A - 03", s) for s in (1, 2, 3, 4)]
    plate = layouts.scan(touch(tmp_path, *names), AUTO).plate
    assert [(p.well.name, p.site) for p in plate.planes] == [
        ("A01", 1), ("A01", 2), ("A01", 4), ("A03", 1), ("A03", 2), ("A03", 3), ("A03", 4),
    ]  # fmt: skip


def test_z_and_time_are_ranked_and_their_numbers_kept(tmp_path):
    names = [incell(rest=f" z {z} time {t} - 5ms") for z in (1, 3) for t in (1, 2)]
    plate = layouts.scan(touch(tmp_path, *names), AUTO).plate
    assert [(p.t_index, p.z_index) for p in plate.planes] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert (plate.numbers.z, plate.numbers.t) == ((1, 3), (1, 2))


def test_two_waves_of_one_name_stay_apart(tmp_path):
    names = [incell(rest=f" wix {wave}") for wave in (0, 5)]
    plate = layouts.scan(touch(tmp_path, *names), AUTO).plate
    assert [channel.name for channel in plate.channels] == ["Blue - FITC 0", "Blue - FITC 5"]
    one = layouts.scan(touch(tmp_path / "one", names[1]), AUTO).plate
    assert [channel.name for channel in one.channels] == ["Blue - FITC"]


def test_duplicates_name_both_files_and_the_first_is_kept(tmp_path):
    names = ["A - 1(fld 1 wv UV - DAPI).tif", "A - 01(fld 01 wv UV - DAPI).tif"]
    result = layouts.scan(touch(tmp_path, *names), AUTO)
    assert [p.path for p in result.plate.planes] == [names[1]]
    (row,) = result.problems
    assert set(row) == set(col.PROBLEM_COLUMNS)
    assert (row["file"], row["reason"], row["kept"]) == (names[0], "duplicate", False)
    assert (row[col.PLATE], row[col.WELL], row[col.SITE]) == (tmp_path.name, "A01", 1)
    assert names[1] in row["message"]


def test_unmatched_images_are_listed_and_other_files_are_not(tmp_path):
    source = touch(
        tmp_path, incell(), incell("B - 01"), "notes.tif", "a b/overview.png", "wells.csv",
        "thumbs/A - 01.tif", "._" + incell(), ".hidden/x.tif", "out.zarr/A/1/x.tif",
    )  # fmt: skip
    result = layouts.scan(source, AUTO)
    assert reasons(result) == {"notes.tif": "unmatched-file", "a b/overview.png": "unmatched-file"}
    assert result.plate.unmatched == ("a b/overview.png", "notes.tif")


def test_links_that_a_user_put_into_the_source_are_followed_and_said(tmp_path):
    elsewhere = touch(tmp_path / "elsewhere", incell("B - 02"), "deep/" + incell("B - 03"))
    source = touch(tmp_path / "source", incell())
    (source / incell("C - 01")).symlink_to(elsewhere / incell("B - 02"))
    (source / "folder").symlink_to(elsewhere, target_is_directory=True)
    result = layouts.scan(source, AUTO)
    found = {p.path: p.well.name for p in result.plate.planes}
    assert found == {
        incell(): "A01",
        incell("C - 01"): "C01",
        "folder/" + incell("B - 02"): "B02",
        "folder/deep/" + incell("B - 03"): "B03",
    }
    assert "2 links are followed" in result.why
    assert result.problems == ()


def test_links_in_circles_and_to_nothing_are_said(tmp_path):
    source = touch(tmp_path / "source", incell(), "sub/" + incell("A - 02"))
    (source / incell("C - 02")).symlink_to(source / incell("C - 02"))
    (source / incell("C - 03")).symlink_to(tmp_path / "gone.tif")
    (source / "up").symlink_to(tmp_path, target_is_directory=True)
    (source / "here").symlink_to(source, target_is_directory=True)
    (source / "sub" / "again").symlink_to(source / "sub", target_is_directory=True)
    result = layouts.scan(source, AUTO)
    assert [p.well.name for p in result.plate.planes] == ["A01", "A02"]
    assert reasons(result) == dict.fromkeys(
        [incell("C - 02"), incell("C - 03"), "up"], "unreadable"
    )


def test_a_folder_of_nothing_but_links_is_read(tmp_path):
    write(tmp_path / "store" / "a.tif")
    source = tmp_path / "source"
    source.mkdir()
    (source / incell("B - 07")).symlink_to(tmp_path / "store" / "a.tif")
    plate = layouts.scan(source, AUTO).plate
    assert [(p.well.name, p.path) for p in plate.planes] == [("B07", incell("B - 07"))]


def test_a_source_that_is_itself_a_link_is_fine(tmp_path):
    touch(tmp_path / "real", incell())
    (tmp_path / "link").symlink_to(tmp_path / "real", target_is_directory=True)
    assert len(layouts.scan(tmp_path / "link", AUTO).plate.planes) == 1


def test_long_and_unicode_names(tmp_path):
    channel = "Bläu µ – 日本 " + "x" * 150
    plate = layouts.scan(touch(tmp_path / "Π 1", incell(channel=channel)), AUTO).plate
    assert plate.planes[0].channel == channel.strip()
    assert plate.name == "Π 1"


@pytest.mark.parametrize(
    ("names", "told"),
    [
        pytest.param(
            ["one.tif", "two.tif"], r"no layout fits.*one\.tif.*--layout regex", id="none"
        ),
        pytest.param([], "no image files", id="empty"),
        pytest.param(["a.csv"], "no image files", id="no-images"),
    ],
)
def test_auto_refuses_when_nothing_fits(tmp_path, names, told):
    with pytest.raises(InputError, match=f"(?s){told}"):
        layouts.scan(touch(tmp_path, *names), AUTO)


def test_auto_refuses_when_two_fit(tmp_path, monkeypatch):
    other = layouts.regex.NamedGroups(UserPattern(r"(?P<well>\w\d)\.tif"), kind="other")
    both = {"incell": layouts.list_vendors()["incell"], "other": other}
    monkeypatch.setattr(layouts, "list_vendors", lambda: both)
    source = touch(tmp_path, incell(), "B2.tif")
    with pytest.raises(InputError, match=r"two layouts fit.*incell 1 of 2, other 1 of 2"):
        layouts.scan(source, AUTO)
    (source / "B2.tif").unlink()
    assert layouts.scan(source, AUTO).plate.layout == "incell"


def test_a_source_that_is_absent_or_a_file(tmp_path):
    with pytest.raises(NotFoundError, match="does not exist"):
        layouts.scan(tmp_path / "absent", AUTO)
    with pytest.raises(InputError, match="is a file"):
        layouts.scan(touch(tmp_path, "a.tif") / "a.tif", AUTO)


def test_wells_outside_the_plate_are_all_told_at_once(tmp_path):
    source = touch(
        tmp_path, incell("A - 01"), incell("I - 01"), incell("A - 13"), incell("ZZ - 99")
    )
    with pytest.raises(FaultsError) as caught:
        layouts.scan(source, AUTO, plate_format=PlateFormat.WELLS_96)
    assert [fault.value for fault in caught.value.faults] == ["A13", "I01", "ZZ99"]
    with pytest.raises(FaultsError) as caught:
        layouts.scan(source, AUTO)
    assert [fault.value for fault in caught.value.faults] == ["ZZ99"]


def test_several_plates_in_one_folder_need_a_name(tmp_path):
    source = touch(tmp_path, "P1_" + incell(), "P2_" + incell("B - 02"), "P2_" + incell("B - 03"))
    with pytest.raises(InputError, match=r"plates 'P1', 'P2'"):
        layouts.scan(source, AUTO)
    with pytest.raises(InputError, match=r"none is 'P3'"):
        layouts.scan(source, AUTO, plate_name="P3")
    result = layouts.scan(source, AUTO, plate_name="P2")
    assert [p.well.name for p in result.plate.planes] == ["B02", "B03"]
    assert "1 files of 1 other plates" in result.why


def test_one_plate_can_be_renamed(tmp_path):
    source = touch(tmp_path, "P1_" + incell())
    assert layouts.scan(source, AUTO).plate.name == "P1"
    assert layouts.scan(source, AUTO, plate_name="mine").plate.name == "mine"


COLUMN_ROW = r"(?P<column>\d\d)(?P<row>[A-H])\.tif"


def write(path, pages=1, axes=None, **metadata):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = np.ones((pages, 5, 4), np.uint8) if pages > 1 else np.ones((5, 4), np.uint8)
    if axes:
        metadata["axes"] = axes
    options = {"imagej": True} if axes else {}
    tifffile.imwrite(path, image, photometric="minisblack", metadata=metadata, **options)


def test_a_regular_expression_with_column_and_row(tmp_path):
    for name in ("01A.tif", "12H.tif"):
        write(tmp_path / "images" / name)
    touch(tmp_path, "images/cover.tif")
    result = layouts.scan(tmp_path, RegexLayout(pattern=COLUMN_ROW), plate_name="P")
    assert [(p.path, p.well.name, p.site) for p in result.plate.planes] == [
        ("images/01A.tif", "A01", 1),
        ("images/12H.tif", "H12", 1),
    ]
    assert reasons(result) == {"images/cover.tif": "unmatched-file"}
    text = layouts.describe(result)
    assert "images/12H.tif → H12 field 1" in text
    assert "unmatched-file: images/cover.tif" in text


def test_one_well_for_names_that_do_not_tell_it(tmp_path):
    for name in ("dapi_widefield.tif", "tuj1_widefield.tif"):
        write(tmp_path / name)
    layout = RegexLayout(pattern=r"(?P<channel>\w+)_widefield\.tif", well="B2")
    plate = layouts.scan(tmp_path, layout).plate
    found = [(p.well.name, p.site, p.channel) for p in plate.planes]
    assert found == [("B02", 1, "dapi"), ("B02", 1, "tuj1")]


def test_pages_that_say_what_they_are_become_planes(tmp_path):
    write(tmp_path / "01A.tif", 2, "CYX")
    write(tmp_path / "01B.tif", 3, "ZYX")
    plate = layouts.scan(tmp_path, RegexLayout(pattern=COLUMN_ROW)).plate
    found = [(p.well.name, p.channel, p.z_index, p.page) for p in plate.planes]
    assert found == [
        ("A01", "0", 0, 0), ("A01", "1", 0, 1),
        ("B01", "0", 0, 0), ("B01", "0", 1, 1), ("B01", "0", 2, 2),
    ]  # fmt: skip


def test_pages_that_do_not_say_what_they_are(tmp_path):
    write(tmp_path / "01A.tif", 3)
    write(tmp_path / "01B.tif")
    result = layouts.scan(tmp_path, RegexLayout(pattern=COLUMN_ROW))
    assert reasons(result) == {"01A.tif": "unread-pages"}
    asked = layouts.scan(tmp_path, RegexLayout(pattern=COLUMN_ROW), page_axis="z")
    assert not asked.problems
    assert [p.z_index for p in asked.plate.planes] == [0, 1, 2, 0]


def test_a_damaged_file_keeps_its_place_until_its_pixels_are_read(tmp_path):
    touch(tmp_path, "01A.tif")
    write(tmp_path / "01B.tif")
    plate = layouts.scan(tmp_path, RegexLayout(pattern=COLUMN_ROW)).plate
    assert [p.path for p in plate.planes] == ["01A.tif", "01B.tif"]


def test_a_regular_expression_that_matches_nothing_shows_names(tmp_path):
    with pytest.raises(InputError, match=r"(?s)found\n  x\.tif.*whole name"):
        layouts.scan(touch(tmp_path, "x.tif"), RegexLayout(pattern=r"(?P<well>\w\d\d)"))


def test_the_pixel_size_of_the_header_is_used_and_told(tmp_path):
    tifffile.imwrite(
        tmp_path / incell(),
        np.ones((5, 4), np.uint16),
        resolution=(10_000 / 0.65, 10_000 / 0.65),
        resolutionunit="CENTIMETER",
    )
    result = layouts.scan(tmp_path, InCellLayout())
    assert result.plate.pixel_size_um == pytest.approx(0.65, rel=1e-4)
    assert "pixel size" in result.why
    assert layouts.scan(tmp_path, AUTO, pixel_size_um=0.3).plate.pixel_size_um == 0.3


def test_the_metadata_file_of_a_real_run(test_data, tmp_path):
    shutil.copy(test_data / "incell6000/test_data.xdce", tmp_path / "run.xdce")
    touch(tmp_path, "C - 03(fld 01 wv UV - DAPI).tif", "D - 03(fld 02 wv Red - Cy5).tif")
    result = layouts.scan(tmp_path, AUTO)
    plate = result.plate
    assert (plate.name, plate.plate_format) == ("test_plate", PlateFormat.WELLS_384)
    assert plate.pixel_size_um == 0.1625
    assert [(c.name, c.emission_nm) for c in plate.channels] == [
        ("UV - DAPI", 455),
        ("Red - Cy5", 706),
    ]
    assert set(reasons(result).values()) == {"missing-file"}
    assert len(result.problems) == 14


def xdce(**wells):
    """Metadata of an IN Cell run: file name → (well, field from 0)."""
    images = "".join(
        f'<Image filename="{name}"><Well label="{well}"/><Identifier field_index="{site}"/></Image>'
        for name, (well, site) in wells.items()
    )
    return f"<ImageStack><Images>{images}</Images></ImageStack>"


def test_the_xdce_is_right_where_names_say_otherwise(tmp_path):
    name, agrees, extra = (f"{w}(fld 01 wv UV - DAPI).tif" for w in ("C - 04", "C - 05", "C - 06"))
    touch(tmp_path, name, agrees, extra, "x1.tif")
    listed = {name: ("D - 3", 1), agrees: ("C - 5", 0), "x1.tif": ("E - 1", 4)}
    (tmp_path / "a.xdce").write_text(xdce(**listed))
    result = layouts.scan(tmp_path, AUTO)
    found = {p.path: (p.well.name, p.site) for p in result.plate.planes}
    assert found == {name: ("D03", 2), agrees: ("C05", 1), "x1.tif": ("E01", 5)}
    told = f"1 file names say otherwise than a.xdce, which is followed: {name!r} is well D03 there"
    assert told in result.why
    assert reasons(result) == {extra: "unmatched-file"}


def test_files_that_an_agreeing_xdce_does_not_list_are_read_by_their_names(tmp_path):
    names = [f"C - 0{n}(fld 01 wv UV - DAPI).tif" for n in (4, 5)]
    touch(tmp_path, *names)
    (tmp_path / "a.xdce").write_text(xdce(**{names[0]: ("C - 4", 0)}))
    result = layouts.scan(tmp_path, AUTO)
    assert [p.well.name for p in result.plate.planes] == ["C04", "C05"]
    assert result.problems == ()


def test_names_and_an_index_that_disagree_are_faults(tmp_path):
    name = "r03c04f01p01-ch1sk1fk1fl1.tiff"
    touch(tmp_path, name)
    (tmp_path / "Index.xml").write_text(
        f"<D><Images><Image><URL>{name}</URL><Row>4</Row><Col>3</Col><FieldID>2</FieldID>"
        "<PlaneID>1</PlaneID><ChannelID>1</ChannelID></Image></Images></D>"
    )
    with pytest.raises(FaultsError) as caught:
        layouts.scan(tmp_path, AUTO)
    found = [(fault.value, fault.expected) for fault in caught.value.faults]
    assert found == [("C04", "D03"), ("1", "2")]


def test_a_source_that_is_not_local(tmp_path):
    folder = UPath("memory://bucket/plates/P9")
    write(tmp_path / "a.tif")
    for name in (incell(), "sub/" + incell("B - 02"), "x.tif", "o.zarr/y.tif"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes((tmp_path / "a.tif").read_bytes())
    result = layouts.scan(folder, AUTO)
    assert result.plate.name == "P9"
    assert [p.path for p in result.plate.planes] == [incell(), "sub/" + incell("B - 02")]
    assert layouts.scan("memory://bucket/plates/P9", AUTO).plate == result.plate


def test_every_vendor_has_a_configuration_and_the_other_way_round():
    union = typing.get_args(typing.get_args(config.Layout)[0])
    kinds = {model.model_fields["kind"].default for model in union}
    assert kinds == {"auto", "regex", "omezarr", *layouts.list_vendors()}


@pytest.mark.parametrize("kind", sorted(k for k, v in layouts.list_vendors().items() if v.example))
def test_every_vendor_reads_its_own_example_and_no_other_vendor_does(kind):
    vendors = layouts.list_vendors()
    assert vendors[kind].parse(vendors[kind].example) is not None
    for other, layout in vendors.items():
        if other != kind:
            assert layout.parse(vendors[kind].example) is None


@settings(max_examples=30, deadline=None)
@given(
    fields=st.sets(
        st.tuples(st.integers(0, 15), st.integers(0, 23), st.integers(1, 60), st.integers(0, 2)),
        min_size=1,
        max_size=40,
    )
)
def test_any_set_of_fields_comes_back(fields, tmp_path_factory):
    folder = tmp_path_factory.mktemp("any")
    waves = ["UV - DAPI", "Blue - FITC", "Red - Cy5"]
    expected = {(Well(r, c), site, waves[w]) for r, c, site, w in fields}
    for well, site, wave in expected:
        touch(folder, incell(f"{well.name[0]} - {well.column + 1}", site, wave))
    result = layouts.scan(folder, AUTO, plate_format=PlateFormat.WELLS_384)
    assert {(p.well, p.site, p.channel) for p in result.plate.planes} == expected
    assert result.problems == ()


def test_listing_is_sorted(tmp_path):
    found = listing.list_source(touch(tmp_path, "b.tif", "a/z.tif", "c.csv"))
    assert (found.images, found.others) == (("a/z.tif", "b.tif"), ("c.csv",))


def numbered(*names):
    return {f"{name}_s{site}.tif": (name, site) for name in names for site in (1, 2)}


def test_a_regular_expression_may_number_its_wells(tmp_path):
    touch(tmp_path, *numbered("W001", "W014", "W096"))
    layout = RegexLayout(pattern=r"W(?P<well_number>\d+)_s(?P<site>\d)\.tif")
    with pytest.raises(InputError, match="--plate-wells"):
        layouts.scan(tmp_path, layout)
    plate = layouts.scan(tmp_path, layout, plate_format=PlateFormat.WELLS_96).plate
    assert [p.well.name for p in plate.planes] == ["A01", "A01", "B02", "B02", "H12", "H12"]


@pytest.mark.parametrize(
    ("names", "pattern", "told"),
    [
        pytest.param(
            ("W001", "W014"), r"(?P<well>W\d+)_s\d\.tif", r"'W001'.*well_number", id="W001"
        ),
        pytest.param(("W1", "W2"), r"(?P<well>\w\d)_s\d\.tif", r"'W1'.*well_number", id="W1"),
        pytest.param(("001", "014"), r"(?P<well>\d{3})_s\d\.tif", r"'001'.*well_number", id="001"),
        pytest.param(
            ("dishA1",), r"(?P<well>\w+)_s\d\.tif", r"'dishA1'.*row and column", id="no-well"
        ),
    ],
)
def test_what_is_captured_as_a_well_and_is_none_is_explained(tmp_path, names, pattern, told):
    touch(tmp_path, *numbered(*names))
    with pytest.raises(InputError, match=f"(?s)captures {told}"):
        layouts.scan(tmp_path, RegexLayout(pattern=pattern))


def test_a_row_w_of_1536_is_one(tmp_path):
    touch(tmp_path, *numbered("W1", "W48"))
    layout = RegexLayout(pattern=r"(?P<well>W\d+)_s(?P<site>\d)\.tif")
    plate = layouts.scan(tmp_path, layout, plate_format=PlateFormat.WELLS_1536).plate
    assert {p.well.name for p in plate.planes} == {"W01", "W48"}


def test_a_channel_that_is_called_1_does_not_read_as_a_count(tmp_path):
    touch(tmp_path, "P_A01_s1_w1.tif")
    assert '1 channels: "1"' in layouts.describe(layouts.scan(tmp_path, AUTO))


def test_a_large_folder_is_recognized_by_all_of_its_names_though_some_rule_others_out(tmp_path):
    rows = "ABCDEFGHIJKLMNOP"
    names = [f"{row} - {c:02d}(fld {s:03d} wv UV - DAPI).tif" for row in rows for c in range(1, 25)
             for s in (1, 2, 3)]  # fmt: skip
    strange = [f"thing {number}.tif" for number in range(40)]
    for name in names + strange:
        (tmp_path / name).write_bytes(b"II*\0")
    result = layouts.scan(tmp_path, AUTO)
    assert len(result.plate.planes) == 384 * 3
    assert sum(row["reason"] == "unmatched-file" for row in result.problems) == 40
    assert "incell (GE IN Cell): 1152 of 1192 image files" in result.why


def test_two_vendors_in_a_large_folder_are_still_a_question(tmp_path):
    for number in range(1000):
        name = f"A - 01(fld {number:03d} wv UV - DAPI).tif"
        (tmp_path / name).write_bytes(b"II*\0")
    for number in range(1, 130):
        (tmp_path / f"r01c01f{number:02d}p01-ch1sk1fk1fl1.tiff").write_bytes(b"II*\0")
    with pytest.raises(InputError, match="two layouts fit"):
        layouts.scan(tmp_path, AUTO)
