"""Containers of microscope makers: each plane in its place, or named; wells are never guessed."""

from __future__ import annotations

import re
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
import tifffile
from containers import Field, make_planes, write_czi, write_lif, write_nd2
from hypothesis import given, settings
from hypothesis import strategies as st

from hcs.domain import columns as col
from hcs.domain.columns import Reason
from hcs.domain.config.layouts import ContainerLayout, RegexLayout
from hcs.domain.config.stages import IngestConfig
from hcs.errors import InputError, MissingExtraError
from hcs.io.plates.reader import PlateReader
from hcs.stages import ingest


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    return folder


def run(source, **given):
    return ingest.run(
        IngestConfig(source=str(source), out=str(source.parent / "P.zarr"), verify=True, **given)
    )


def stack_of(field):
    """Axes T, Z, C, Y, X of a LIF."""
    c, t, z = field.size
    return np.stack(
        [[[field.planes[k, i, j] for k in range(c)] for j in range(z)] for i in range(t)]
    )


def assert_holds(result, fields, *, channels=("DAPI", "GFP")):
    """Every plane of every field, by (well, site), lies there with equal pixels."""
    reader = PlateReader(result.out)
    assert tuple(reader.channels) == channels
    found = reader.images.set_index(["Metadata_Well", "Metadata_Site"])["field_path"].to_dict()
    assert set(found) == set(fields)
    for key, field in fields.items():
        for (c, t, z), pixels in field.planes.items():
            stored = reader.read_plane(found[key], c, t_index=t, z_index=z)
            np.testing.assert_array_equal(stored, pixels, err_msg=f"{key} {(c, t, z)}")
    return reader


SIZE = (2, 2, 3)


def write(kind, source):
    """Write wells A1 (two fields) and B2 with 2 channels, 2 times and 3 planes."""
    fields = [make_planes(seed, SIZE) for seed in range(3)]
    if kind == "czi":
        made = [
            Field(planes, array=array, name=name, place_um=(100.0, -50.0))
            for planes, array, name in zip(
                fields, ("A1", "A1", "B2"), ("P1", "P2", "P1"), strict=True
            )
        ]
        write_czi(source / "plate 7.czi", made)
    elif kind == "nd2":
        made = [
            Field(planes, name=name, place_um=(100.0, -50.0))
            for planes, name in zip(fields, ("A1", "A1", "B2"), strict=True)
        ]
        write_nd2(source / "plate 7.nd2", made)
    else:
        made = [Field(planes) for planes in fields]
        names = ("TileScan 1/A/1/R1", "TileScan 1/A/1/R2", "TileScan 1/B/2/R1")
        stacks = {name: stack_of(field) for name, field in zip(names, made, strict=True)}
        write_lif(source / "plate 7.lif", stacks)
    return {("A01", 1): made[0], ("A01", 2): made[1], ("B02", 1): made[2]}


@pytest.mark.parametrize("kind", ["czi", "nd2", "lif"])
def test_a_plate_in_one_container_is_read_by_its_own_metadata(kind, source):
    held = write(kind, source)
    result = run(source)
    reader = assert_holds(result, held)
    assert result.problems == ()
    assert reader.name == "plate 7"
    assert reader.pixel_size_um == 0.5
    assert reader.z_positions_um == (0.0, 2.0, 4.0)
    if kind != "czi":
        assert reader.times_min == (0.0, 1.0)
    if kind != "lif":
        assert set(reader.images[col.POSITION_X_UM]) == {100.0}


@pytest.mark.parametrize("kind", ["czi", "nd2", "lif"])
def test_files_of_one_well_each_are_read_by_their_names_and_a_pattern(kind, source):
    held = {}
    for seed, well in enumerate(("B03", "C04")):
        field = Field(make_planes(seed))
        held[well, 1] = field
        path = source / f"day1_{well}.{kind}"
        if kind == "czi":
            write_czi(path, [field])
        elif kind == "nd2":
            write_nd2(path, [field])
        else:
            write_lif(path, {"Image 1": stack_of(field)})
    with pytest.raises(InputError, match=r"tell no well, and wells are not guessed"):
        run(source)
    result = run(source, layout=RegexLayout(pattern=rf"day1_(?P<well>[A-H]\d\d)\.{kind}"))
    assert_holds(result, held)
    assert result.problems == ()


def test_a_pattern_may_match_the_images_of_a_container(source):
    fields = [Field(make_planes(seed)) for seed in range(2)]
    write_lif(
        source / "p.lif",
        {"well C5 pos 3": stack_of(fields[0]), "well D6 pos 9": stack_of(fields[1])},
    )
    pattern = r"p\.lif/well (?P<well>[A-H]\d) pos (?P<site>\d)"
    assert_holds(
        run(source, layout=RegexLayout(pattern=pattern)),
        {("C05", 3): fields[0], ("D06", 9): fields[1]},
    )


def test_the_expression_that_is_proposed_for_scenes_reads_them_by_their_number(source):
    fields = [Field(make_planes(seed)) for seed in range(2)]
    write_czi(source / "p (1).czi", fields)
    with pytest.raises(InputError, match="not guessed") as caught:
        run(source)
    pattern = re.search(r"for example --layout 'regex:(.*)', and", str(caught.value))[1]
    result = run(source, layout=RegexLayout(pattern=pattern), plate_wells=96)
    assert_holds(result, {("A01", 1): fields[0], ("A02", 1): fields[1]})


def test_an_nd2_of_one_well_is_known_by_nikons_file_name(source):
    fields = {}
    for seed, well in enumerate(("B03", "C04")):
        fields[well, 1] = Field(make_planes(seed), name="#1")
        write_nd2(source / f"run_Well{well}_Seq{seed:04}.nd2", [fields[well, 1]])
    assert_holds(run(source), fields)


def test_positions_in_a_file_that_nikon_names_after_its_well_may_be_called_as_they_like(source):
    fields = [Field(make_planes(n), name=f"P{n + 1}") for n in range(2)]
    write_nd2(source / "WellB03_Seq0001.nd2", fields)
    assert_holds(run(source), {("B03", 1): fields[0], ("B03", 2): fields[1]})


def test_a_position_named_after_another_well_than_its_file_is_not_read(source):
    fields = [Field(make_planes(n), name=name) for n, name in enumerate(("B3", "B4"))]
    write_nd2(source / "WellB03_Seq0001.nd2", fields)
    result = run(source)
    assert_holds(result, {("B03", 1): fields[0]})
    (row,) = result.problems
    assert "called after well B03, and this position after B04" in row.message


@pytest.mark.parametrize("names", [("P1", "P2"), ("F1", "F2", "F3")], ids=["positions", "fields"])
def test_names_that_number_positions_are_no_wells(names, source):
    write_nd2(source / "x.nd2", [Field(make_planes(n), name=name) for n, name in enumerate(names)])
    with pytest.raises(InputError, match="wells are not guessed"):
        run(source)


def test_images_without_a_well_are_named_beside_those_that_have_one(source):
    field = Field(make_planes(0))
    write_lif(
        source / "p.lif",
        {
            "Overview": stack_of(Field(make_planes(1))),
            "TileScan 1/A/1": stack_of(field),
            "TileScan 1/A/1_Merged": stack_of(Field(make_planes(2))),
        },
    )
    result = run(source)
    assert_holds(result, {("A01", 1): field})
    told = sorted((row.reason, row.message.split("'")[1]) for row in result.problems)
    assert told == [
        (Reason.UNMATCHED_FILE, "Overview"),
        (Reason.UNREAD_PAGES, "TileScan 1/A/1_Merged"),
    ]


def test_an_image_that_shares_its_name_with_another_is_named(source):
    fields = [Field(make_planes(n)) for n in range(3)]
    names = ("T/A/1/R1", "T/A/1/R1*", "T/B/2/R1")  # the first two are called the same
    write_lif(source / "p.lif", dict(zip(names, map(stack_of, fields), strict=True)))
    result = run(source)
    assert_holds(result, {("A01", 1): fields[1], ("B02", 1): fields[2]})
    (row,) = result.problems
    assert "'T/A/1/R1' is not read" in row.message
    assert "another image has the same name" in row.message


@pytest.mark.parametrize("array", ["P1", "TR1", "F1"])
def test_an_array_of_positions_is_no_well(array, source):
    write_czi(source / "p.czi", [Field(make_planes(0), array=array, name="P1")])
    with pytest.raises(InputError, match="wells are not guessed"):
        run(source)


def test_a_scene_named_twice_after_its_well_is_in_it(source):
    field = Field(make_planes(0), name="H12-H12")
    write_czi(source / "p.czi", [field])
    assert_holds(run(source), {("H12", 1): field})


def test_folders_of_positions_and_fields_are_no_wells(source):
    names = ("P1/F1", "P1/F2", "P2/F1")
    write_lif(source / "p.lif", {n: stack_of(Field(make_planes(i))) for i, n in enumerate(names)})
    with pytest.raises(InputError, match="wells are not guessed"):
        run(source)


def test_tiles_that_do_not_overlap_are_fields(source):
    tiles = {0: [(0, 0), (16, 0), (0, 12)]}
    write_czi(
        source / "p.czi", [Field(planes := make_planes(0), array="A1", name="P1")], tiles=tiles
    )
    held = {
        ("A01", n + 1): Field({key: (p + n).astype(p.dtype) for key, p in planes.items()})
        for n in range(3)
    }
    assert_holds(run(source), held)


def test_levels_of_a_pyramid_are_no_tiles(source):
    field = Field(make_planes(0), array="A1", name="P1")
    write_czi(source / "p.czi", [field], pyramid=True)
    result = run(source)
    assert_holds(result, {("A01", 1): field})
    assert result.problems == ()


def test_tiles_that_overlap_are_refused_in_words(source):
    fields = [Field(make_planes(n), array=well, name="P1") for n, well in enumerate(("A1", "B2"))]
    write_czi(source / "p.czi", fields, tiles={0: [(0, 0), (12, 0)]})
    result = run(source)
    assert_holds(result, {("B02", 1): fields[1]})
    (row,) = result.problems
    assert (row.reason, row.well) == (Reason.UNREAD_PAGES, "A01")
    assert "2 tiles overlap" in row.message
    assert "stitch them in ZEN" in row.message


def test_tiles_of_a_mosaic_of_leica_are_fields(source):
    planes = [make_planes(seed, (1, 1, 1)) for seed in range(3)]
    mosaic = np.stack([each[0, 0, 0] for each in planes])
    write_lif(source / "p.lif", {"TileScan 1/A/1/R1": mosaic}, axes="M")
    result = run(source)
    assert_holds(
        result, {("A01", n + 1): Field(p) for n, p in enumerate(planes)}, channels=("DAPI",)
    )
    assert "where tiles overlap, cells count twice" in result.summary["layout"]


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize("kind", ["czi", "nd2", "lif"])
def test_pixel_types_are_kept(kind, dtype, source):
    field = Field(make_planes(0, dtype=dtype), array="A1", name="A1")
    if kind == "czi":
        write_czi(source / "p.czi", [field])
    elif kind == "nd2":
        write_nd2(source / "p.nd2", [field])
    else:
        write_lif(source / "p.lif", {"T/A/1": stack_of(field)})
    assert assert_holds(run(source), {("A01", 1): field}).describe("A/1/0").dtype == dtype


def test_compressed_containers_are_read(source):
    czi, nd2 = Field(make_planes(0), array="A1"), Field(make_planes(1), name="B2")
    write_czi(
        source / "a.czi", [czi], compression="zstd1:ExplicitLevel=2;PreProcess=HiLoByteUnpack"
    )
    write_nd2(source / "b.nd2", [nd2], packed=True)
    assert_holds(run(source), {("A01", 1): czi, ("B02", 1): nd2})


def test_a_channel_of_fewer_planes_is_not_padded_in_silence(source):
    planes = make_planes(0, (2, 1, 3))
    del planes[1, 0, 1], planes[1, 0, 2]
    field = Field(planes, array="A1")
    write_czi(source / "p.czi", [field])
    result = run(source)
    reader = assert_holds(result, {("A01", 1): field})
    assert result.problems == ()
    assert reader.acquired("A/1/0", 1).tolist() == [[True, False, False]]


def test_a_plane_that_one_scene_lacks_is_a_problem(source):
    fields = [Field(make_planes(n, (1, 1, 3)), array=w) for n, w in enumerate(("A1", "A2", "A3"))]
    del fields[1].planes[0, 0, 2]
    write_czi(source / "p.czi", fields, channels=("DAPI",))
    result = run(source)
    assert_holds(result, {(f.array.replace("A", "A0"), 1): f for f in fields}, channels=("DAPI",))
    (row,) = result.problems
    assert (row.reason, row.well) == (Reason.MISSING_FILE, "A02")


def test_frames_that_nikon_did_not_take_or_lost_are_no_zeros(source):
    fields = [Field(make_planes(n, (1, 2, 1)), name=name) for n, name in enumerate(("A1", "B2"))]
    write_nd2(source / "p.nd2", fields, channels=("DAPI",), taken=3, lost=(1,))
    result = run(source)
    reader = PlateReader(result.out)
    # Frames run A1, B2, A1, B2: the second is lost, the fourth was never taken.
    assert [reader.acquired(path, 0)[:, 0].tolist() for path in ("A/1/0",)] == [[True, True]]
    assert list(reader.images["Metadata_Well"]) == ["A01"]
    reasons = {(row.reason, row.well) for row in result.problems}
    assert (Reason.TRUNCATED, "B02") in reasons


def test_a_container_that_was_cut_off_loses_what_is_not_there_only(source):
    fields = [Field(make_planes(n)) for n in range(2)]
    stacks = {"T/A/1": stack_of(fields[0]), "T/B/2": stack_of(fields[1])}
    write_lif(source / "p.lif", stacks, lost=100)
    result = run(source)
    rest = Field({(0, 0, 0): fields[1].planes[0, 0, 0]})
    reader = assert_holds(result, {("A01", 1): fields[0], ("B02", 1): rest})
    assert not reader.acquired("B/2/0", 1).any()
    assert any("T/B/2" in row.message and row.well == "B02" for row in result.problems)


def test_an_image_whose_block_is_smaller_than_its_planes_is_not_read_on_into_the_next(source):
    fields = [Field(make_planes(n)) for n in range(2)]
    stacks = {"T/A/1": stack_of(fields[0]), "T/B/2": stack_of(fields[1])}
    write_lif(source / "p.lif", stacks, short="T/A/1")
    result = run(source)
    assert_holds(result, {("B02", 1): fields[1]})
    (row,) = result.problems
    assert "cut off" in row.message
    assert row.well == "A01"


def test_color_images_are_refused(source):
    rgb = make_planes(0, (1, 1, 1), shape=(12, 16, 3), dtype="uint8")
    write_czi(source / "p.czi", [Field(rgb, array="A1")], channels=("RGB",))
    with pytest.raises(InputError, match="color image of 3 samples a pixel"):
        run(source)


def test_damaged_files_are_named(source):
    field = Field(make_planes(0), array="A1")
    write_czi(source / "a.czi", [field])
    (source / "b.czi").write_bytes(b"no image")
    (source / "c.nd2").write_bytes(b"no image" * 20)
    (source / "d.lif").write_bytes(b"no image" * 20)
    result = run(source)
    assert_holds(result, {("A01", 1): field})
    assert sorted(row.file for row in result.problems) == ["b.czi", "c.nd2", "d.lif"]
    assert {row.reason for row in result.problems} == {Reason.UNREADABLE}


def test_two_runs_of_the_same_wells_are_two_plates(source):
    fields = [Field(make_planes(n), array="A1") for n in range(2)]
    for name, field in zip(("first", "second"), fields, strict=True):
        write_czi(source / f"{name}.czi", [field])
    with pytest.raises(InputError, match=r"plates 'first', 'second', and none is named"):
        run(source)
    assert_holds(run(source, plate_name="second"), {("A01", 1): fields[1]})


def test_pixels_of_another_size_are_left_out_with_a_row(source):
    fields = [Field(make_planes(n), array=well) for n, well in enumerate(("A1", "B2", "C3"))]
    for field, size in zip(fields, (0.5, 0.500001, 0.25), strict=True):
        write_czi(source / f"{field.array}.czi", [field], pixel_um=(size, size))
    result = run(source)
    assert_holds(result, {("A01", 1): fields[0], ("B02", 1): fields[1]})
    (row,) = result.problems
    assert (row.reason, row.well) == (Reason.WRONG_SCALE, "C03")


def test_pixels_that_are_not_square_or_not_calibrated_give_no_size(source):
    field = Field(make_planes(0), array="A1")
    write_czi(source / "p.czi", [field], pixel_um=(0.5, 0.25))
    result = run(source)
    assert PlateReader(result.out).pixel_size_um is None
    assert "0.5 × 0.25 µm, not square" in result.summary["layout"]


def test_nikons_stand_in_for_an_unknown_size_is_not_believed(source):
    write_nd2(source / "p.nd2", [Field(make_planes(0), name="A1")], pixel_um=None)
    assert PlateReader(run(source).out).pixel_size_um is None


@pytest.mark.parametrize(
    ("kind", "package"), [("czi", "pylibCZIrw"), ("nd2", "nd2"), ("lif", "liffile")]
)
def test_the_extra_is_named_where_its_package_is_missing(kind, package, source, monkeypatch):
    (source / f"p.{kind}").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "pylibCZIrw.czi" if kind == "czi" else package, None)
    with pytest.raises(MissingExtraError, match=rf"{package}.*pip install 'hcs\[formats\]'"):
        run(source)


def test_a_pattern_must_not_say_what_the_container_says(source):
    write_nd2(source / "A01_f1.nd2", [Field(make_planes(n), name="") for n in range(2)])
    pattern = r"(?P<well>A01)_f(?P<site>\d)\.nd2"
    with pytest.raises(InputError, match=r"captures 'site' of A01_f1\.nd2, which holds 2 images"):
        run(source, layout=RegexLayout(pattern=pattern))


def test_one_file_a_time_point_becomes_a_time_lapse(source):
    fields = [Field(make_planes(n), name="") for n in range(2)]
    for hour, field in enumerate(fields):
        write_nd2(source / f"A01_{hour * 6}h.nd2", [field])
    result = run(source, layout=RegexLayout(pattern=r"(?P<well>A01)_(?P<t_h>\d+)h\.nd2"))
    whole = {
        (c, t, z): pixels
        for t, field in enumerate(fields)
        for (c, _, z), pixels in field.planes.items()
    }
    assert assert_holds(result, {("A01", 1): Field(whole)}).times_min == (0.0, 360.0)


def test_a_second_run_reads_nothing_and_a_changed_file_is_read_again(source):
    held = write("czi", source)
    run(source)
    assert run(source).n_run == 0
    (source / "plate 7.czi").unlink()
    changed = held["A01", 1].planes[0, 0, 0]
    changed[:] += 1
    fields = [Field(f.planes, array=well.replace("0", "")) for (well, _), f in held.items()]
    write_czi(source / "plate 7.czi", fields)
    assert_holds(run(source, layout=ContainerLayout()), held)


def test_a_container_of_wells_beside_image_files_of_a_plate_is_asked_about(source):
    write_czi(source / "p.czi", [Field(make_planes(0), array="A1")])
    tifffile.imwrite(source / "P_A01_s1_w1.tif", make_planes(0)[0, 0, 0])
    with pytest.raises(InputError, match=r"two layouts fit .* choose one with --layout"):
        run(source)


@st.composite
def plates(draw):
    """Draw plates of a container kind: ragged channels, planes that are lost, several files."""
    kind = draw(st.sampled_from(["czi", "nd2", "lif"]))
    size = draw(st.tuples(*[st.integers(1, 2), st.integers(1, 2), st.integers(1, 3)]))
    wells = draw(st.permutations(["A1", "B2", "C11"]))[: draw(st.integers(1, 3))]
    fields = {}
    for number, well in enumerate(wells):
        for site in range(draw(st.integers(1, 2))):
            planes = make_planes(10 * number + site, size)
            fields[well, site] = planes
    lost = draw(st.sets(st.sampled_from(sorted(fields)), max_size=1)) if kind == "czi" else set()
    for place in lost:
        gone = draw(st.sets(st.sampled_from(sorted(fields[place])), max_size=2))
        for key in list(gone)[: len(fields[place]) - 1]:
            del fields[place][key]
    return kind, size, fields, draw(st.booleans())


def write_drawn(folder, kind, fields, *, apart):
    """Write a drawn plate into one file, or into one a well."""
    groups = [[place for place in fields if place[0] == well or not apart] for well in
              (sorted({well for well, _ in fields}) if apart else [""])]  # fmt: skip
    for number, places in enumerate(groups):
        path = folder / f"file{number}.{kind}"
        made = [Field(fields[p], array=p[0], name=p[0] if kind == "nd2" else "P1") for p in places]
        if kind == "czi":
            write_czi(path, made)
        elif kind == "nd2":
            write_nd2(path, made)
        else:
            names = [f"T/{well[0]}/{well[1:]}/R{site}" for well, site in places]
            write_lif(path, dict(zip(names, map(stack_of, made), strict=True)))


@settings(max_examples=15, deadline=None)
@given(drawn=plates())
def test_every_plane_of_a_container_is_in_the_plate_or_named(drawn):
    kind, size, fields, apart = drawn
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "in")
        source.mkdir()
        write_drawn(source, kind, fields, apart=apart)
        result = run(source)
        reader = PlateReader(result.out)
        images = reader.images.set_index(["Metadata_Well", "Metadata_Site"])["field_path"]
        n_held = 0
        for (well, site), planes in fields.items():
            name = f"{well[0]}{int(well[1:]):02}"
            path = images.get((name, site + 1))
            for (c, t, z), pixels in planes.items():
                channel = reader.channels.index(("DAPI", "GFP")[c])
                held = path is not None and reader.acquired(path, channel)[t, z]
                if held:
                    stored = reader.read_plane(path, channel, t_index=t, z_index=z)
                    np.testing.assert_array_equal(stored, pixels)
                n_held += bool(held)
                assert held or any(row.well == name for row in result.problems)
        every = range(len(reader.channels))
        assert n_held == sum(int(reader.acquired(p, c).sum()) for p in images for c in every)
        if all(len(planes) == np.prod(size) for planes in fields.values()):
            assert result.problems == ()
            assert n_held == len(fields) * np.prod(size)


def test_nikons_files_are_read_and_not_mapped(source, monkeypatch):
    field = Field(make_planes(0), name="A1")
    write_nd2(source / "p.nd2", [field])
    mapped = []
    monkeypatch.setattr("mmap.mmap", lambda *given, **_: mapped.append(given))
    assert_holds(run(source), {("A01", 1): field})
    assert mapped == []


def test_a_part_of_a_czi_that_names_all_channels_keeps_the_names_of_those_it_has(source):
    planes = make_planes(5, (3, 1, 1))
    del planes[0, 0, 0]
    write_czi(
        source / "p.czi",
        [Field(planes, array="A1", name="P1")],
        ("DAPI", "GFP", "RFP"),
        unused=("DAPI",),
    )
    reader = PlateReader(run(source).out)
    assert reader.channels == ("GFP", "RFP")
    for channel in range(2):
        stored = reader.read_plane("A/1/0", channel)
        np.testing.assert_array_equal(stored, planes[channel + 1, 0, 0])
