"""OME-Zarr plates of other programs, field by field: every channel of every image, or a reason."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pandas as pd
import pytest
import zarr
from foreign_plates import Image, write_plate

from hcs.domain import columns as col
from hcs.domain.config.stages import FeaturesConfig, IngestConfig
from hcs.errors import InputError
from hcs.io.plates.describe import describe
from hcs.io.plates.reader import PlateReader
from hcs.stages import features, ingest


def ingest_plate(tmp_path, **more):
    """Ingest the plate at ``in.zarr``; returns the result and a reader of what was written."""
    config = {"source": str(tmp_path / "in.zarr"), "out": str(tmp_path / "out.zarr")}
    result = ingest.run(IngestConfig.model_validate(config | more))
    return result, PlateReader(result.out)


def assert_plane(reader, well, site, channel, expected, **place):
    """Compare one plane with pixels of the source."""
    row = reader.images[(reader.images[col.WELL] == well) & (reader.images[col.SITE] == site)]
    found = reader.read_plane(row[col.FIELD_PATH].item(), reader.channel_index(channel), **place)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(
    ("labels", "expected", "said"),
    [
        pytest.param(None, ("0", "1", "2"), "numbers stand for them", id="no-omero"),
        pytest.param(("DAPI",), ("DAPI", "1", "2"), "numbers stand for them", id="fewer-entries"),
        pytest.param(("A", "B", "A"), ("A 0", "B", "A 2"), "bear their number", id="twins"),
        pytest.param(("A", "", "C"), ("A", "1", "C"), "", id="an-empty-label"),
        pytest.param(("A", "B", "C", "D"), ("A", "B", "C"), "", id="more-entries"),
    ],
)
@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_every_channel_arrives_under_a_name_of_its_own(tmp_path, labels, expected, said, version):
    image = Image(labels=labels, n={"c": 3})
    source = write_plate(
        tmp_path / "in.zarr", {"A/1": {"0": image}, "B/2": {"0": image}}, version=version
    )
    result, reader = ingest_plate(tmp_path)
    assert reader.channels == expected
    assert said in str(result.summary["layout"])
    assert result.problems == ()
    for well, path in (("A01", "A/1"), ("B02", "B/2")):
        for index, channel in enumerate(expected):
            assert_plane(reader, well, 0, channel, source[path, "0"][index, 0])


@pytest.mark.parametrize(
    ("axes", "lengths"),
    [
        pytest.param("yx", {}, id="plane"),
        pytest.param("zyx", {"z": 2}, id="stack"),
        pytest.param("tczyx", {"t": 2, "z": 2}, id="all"),
        pytest.param("zcyx", {"z": 2}, id="z-before-c"),
        pytest.param("yxc", {}, id="channel-last"),
        pytest.param("cxy", {}, id="x-before-y"),
    ],
)
def test_any_order_of_axes_is_read(tmp_path, axes, lengths):
    labels = ("DAPI", "GFP") if "c" in axes else ("DAPI",)
    image = Image(axes=axes, n={**lengths, "x": 20}, labels=labels)
    source = write_plate(tmp_path / "in.zarr", {"A/1": {"0": image}})["A/1", "0"]
    _, reader = ingest_plate(tmp_path)
    full = np.moveaxis(
        source[(..., *[None] * (5 - source.ndim))],
        range(5),
        ["tczyx".index(axis) for axis in axes + "".join(a for a in "tczyx" if a not in axes)],
    )
    for t, c, z in np.ndindex(full.shape[:3]):
        assert_plane(reader, "A01", 0, labels[c], full[t, c, z], t_index=t, z_index=z)
    in_place = PlateReader(str(tmp_path / "in.zarr"))
    np.testing.assert_array_equal(in_place.read_plane("A/1/0", len(labels) - 1), full[0, -1, 0])


@pytest.mark.parametrize("version", ["0.1", "0.2", "0.3", "0.4", "0.5", "0.6.dev4"])
def test_all_versions_are_read(tmp_path, version):
    image = Image(axes="tczyx")
    source = write_plate(tmp_path / "in.zarr", {"A/1": {"0": image}}, version=version)["A/1", "0"]
    result, reader = ingest_plate(tmp_path)
    assert f"OME-Zarr {version}" in str(result.summary["layout"])
    assert_plane(reader, "A01", 0, "DAPI", source[0, 0, 0])
    assert_plane(reader, "A01", 0, "GFP", source[0, 1, 0])
    assert reader.pixel_size_um == (0.65 if version >= "0.4" else None)


@pytest.mark.parametrize(
    ("unit", "scale", "expected"),
    [
        pytest.param("nanometer", 325.0, 0.325, id="nanometer"),
        pytest.param("angstrom", 3250.0, 0.325, id="angstrom"),
        pytest.param("millimeter", 0.0005, 0.5, id="millimeter"),
        pytest.param("µm", 0.5, 0.5, id="sign"),
        pytest.param("pixel", 0.5, None, id="unknown"),
        pytest.param(None, 0.5, None, id="none"),
    ],
)
def test_units_become_micrometers(tmp_path, unit, scale, expected):
    write_plate(tmp_path / "in.zarr", {"A/1": {"0": Image(unit=unit, scale=scale)}})
    result, reader = ingest_plate(tmp_path)
    assert reader.pixel_size_um == expected
    assert PlateReader(str(tmp_path / "in.zarr")).pixel_size_um == expected
    assert ("unit pixel is no length" in str(result.summary["layout"])) == (unit == "pixel")


def test_fields_of_another_pixel_size_are_left_out_and_named(tmp_path):
    fields = {"0": Image(), "1": Image(), "2": Image(scale=1.3)}
    source = write_plate(tmp_path / "in.zarr", {"A/1": fields})
    result, reader = ingest_plate(tmp_path)
    (problem,) = result.problems
    assert (problem.reason, problem.site, problem.kept) == ("wrong-scale", 2, False)
    assert "1.3 µm" in problem.message
    assert reader.images[col.SITE].tolist() == [0, 1]
    assert_plane(reader, "A01", 1, "GFP", source["A/1", "1"][1, 0])
    stated, _ = ingest_plate(tmp_path, out=str(tmp_path / "stated.zarr"), pixel_size_um=0.65)
    assert (stated.problems, stated.summary["fields"]) == ((), 3)


def multiplexed(tmp_path, first=("DAPI", "GFP"), second=("TOM20", "ACTIN"), **more):
    """Two acquisitions of the same place in each of two wells."""
    images = {"0": Image(labels=first, acquisition=0), "1": Image(labels=second, acquisition=1)}
    wells = {"A/1": images, "B/1": images}
    return write_plate(tmp_path / "in.zarr", wells, **more)


def test_acquisitions_become_channels_of_one_field(tmp_path):
    source = multiplexed(tmp_path)
    result, reader = ingest_plate(tmp_path)
    assert reader.channels == ("DAPI", "GFP", "TOM20", "ACTIN")
    assert len(reader.images) == 2
    assert "acquisitions 0, 1 are channels" in str(result.summary["layout"])
    for well, path in (("A01", "A/1"), ("B01", "B/1")):
        for image, index, channel in (
            ("0", 0, "DAPI"),
            ("0", 1, "GFP"),
            ("1", 0, "TOM20"),
            ("1", 1, "ACTIN"),
        ):
            assert_plane(reader, well, 0, channel, source[path, image][index, 0])


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        pytest.param(None, "acquisition 1", id="by-number"),
        pytest.param(
            [{"id": 0, "name": "day 1"}, {"id": 1, "name": "day 2"}], "day 2", id="by-name"
        ),
    ],
)
def test_a_stain_of_two_acquisitions_has_two_names(tmp_path, declared, expected):
    source = multiplexed(tmp_path, second=("DAPI", "ACTIN"), plate={"acquisitions": declared})
    _, reader = ingest_plate(tmp_path)
    assert reader.channels[1:] == ("GFP", f"DAPI {expected}", "ACTIN")
    assert_plane(reader, "A01", 0, f"DAPI {expected}", source["A/1", "1"][0, 0])
    assert_plane(reader, "A01", 0, "ACTIN", source["A/1", "1"][1, 0])


def test_one_acquisition_is_read_by_its_number(tmp_path):
    source = multiplexed(tmp_path)
    _, reader = ingest_plate(tmp_path, acquisition=1)
    assert reader.channels == ("TOM20", "ACTIN")
    assert reader.images[col.SITE].tolist() == [0, 0]
    assert_plane(reader, "B01", 0, "TOM20", source["B/1", "1"][0, 0])
    with pytest.raises(InputError, match="acquisition 7; there are: acquisition 0, acquisition 1"):
        ingest_plate(tmp_path, acquisition=7)


@pytest.mark.parametrize(
    "second",
    [
        pytest.param({"1": Image(acquisition=1), "2": Image(acquisition=1)}, id="more-fields"),
        pytest.param({"1": Image(acquisition=1, size=32)}, id="another-shape"),
        pytest.param({"1": Image(acquisition=1, scale=1.3)}, id="another-size"),
    ],
)
def test_acquisitions_that_do_not_match_are_refused(tmp_path, second):
    source = write_plate(tmp_path / "in.zarr", {"A/1": {"0": Image(acquisition=0), **second}})
    with pytest.raises(InputError, match="--acquisition 0 or --acquisition 1"):
        ingest_plate(tmp_path)
    _, reader = ingest_plate(tmp_path, acquisition=1)
    assert_plane(reader, "A01", 0, "GFP", source["A/1", "1"][1, 0])


def test_images_that_hide_their_acquisition_are_refused(tmp_path):
    images = {"0": Image(), "1": Image(labels=("TOM20", "ACTIN"))}
    plate = {"acquisitions": [{"id": 0}, {"id": 1}]}
    write_plate(tmp_path / "in.zarr", {"A/1": images}, plate=plate)
    with pytest.raises(InputError, match="do not say which of the acquisitions 0, 1"):
        ingest_plate(tmp_path)


@pytest.mark.parametrize(
    ("names", "sites"),
    [
        pytest.param(("left", "right"), (0, 1), id="words"),
        pytest.param(("1_10", "11_0", "110"), (0, 1, 2), id="digits-that-collide"),
        pytest.param(("3", "7"), (3, 7), id="numbers"),
        pytest.param(("3", "03"), (0, 1), id="one-number-twice"),
    ],
)
def test_fields_have_numbers_of_their_own(tmp_path, names, sites):
    wells = {"A/1": {name: Image() for name in names}, "B/2": {names[-1]: Image()}}
    source = write_plate(tmp_path / "in.zarr", wells)
    _, reader = ingest_plate(tmp_path)
    assert len(reader.images) == len(names) + 1
    for name, site in zip(names, sites, strict=True):
        assert_plane(reader, "A01", site, "GFP", source["A/1", name][1, 0])
    assert_plane(reader, "B02", sites[-1], "DAPI", source["B/2", names[-1]][0, 0])


@pytest.mark.parametrize(
    ("wells", "plate", "n_wells"),
    [
        pytest.param(("B/03", "C/07"), {}, 48, id="only-used-ones"),
        pytest.param(("I/13", "P/24"), {}, 384, id="quadrant"),
        pytest.param(("A/1", "H/12"), {"rows": None, "columns": None}, 96, id="no-rows"),
        pytest.param(
            ("A/1",),
            {
                "rows": [{"name": row} for row in "ABCDEFGH"],
                "columns": [{"name": f"{n:02d}"} for n in range(1, 13)],
            },
            96,
            id="all-declared",
        ),
    ],
)
def test_the_format_is_that_of_the_wells(tmp_path, wells, plate, n_wells):
    source = write_plate(
        tmp_path / "in.zarr", {path: {"0": Image()} for path in wells}, plate=plate
    )
    result, reader = ingest_plate(tmp_path)
    assert result.summary["format"] == f"{n_wells} wells"
    name = f"{wells[-1][0]}{int(wells[-1][2:]):02d}"
    assert_plane(reader, name, 0, "GFP", source[wells[-1], "0"][1, 0])


def test_indices_that_contradict_the_path_are_named(tmp_path):
    wells = [
        {"path": "A/2", "rowIndex": 1, "columnIndex": 0},
        {"path": "B/1", "rowIndex": 0, "columnIndex": 1},
    ]
    write_plate(
        tmp_path / "in.zarr", {"A/2": {"0": Image()}, "B/1": {"0": Image()}}, plate={"wells": wells}
    )
    result, _ = ingest_plate(tmp_path)
    assert [(p.reason, p.well, p.kept) for p in result.problems] == [
        ("contradictory", "A02", True),
        ("contradictory", "B01", True),
    ]
    assert "rowIndex 1 points at 'B', its path says 'A'" in result.problems[0].message


@pytest.mark.parametrize(
    ("lost", "reason", "kept", "n_fields"),
    [
        pytest.param("A/1", "missing-file", False, 2, id="well"),
        pytest.param("A/1/0", "missing-file", False, 3, id="first-field"),
        pytest.param("B/1/1", "missing-file", False, 3, id="last-field"),
        pytest.param("B/1/1/0", "missing-file", False, 3, id="largest-array"),
        pytest.param("B/1/1/1", "missing-file", True, 4, id="smaller-array"),
    ],
)
def test_what_is_listed_and_not_there_is_named(tmp_path, lost, reason, kept, n_fields):
    fields = {"0": Image(n_levels=2), "1": Image(n_levels=2)}
    source = write_plate(tmp_path / "in.zarr", {"A/1": fields, "B/1": fields})
    shutil.rmtree(tmp_path / "in.zarr" / lost)
    result, reader = ingest_plate(tmp_path)
    (problem,) = result.problems
    assert (problem.reason, problem.kept) == (reason, kept)
    assert lost.startswith(problem.file)
    assert len(reader.images) == n_fields
    assert_plane(reader, "B01", 0, "GFP", source["B/1", "0"][1, 0])


def test_chunks_that_another_program_left_out_are_read_and_a_blank_image_is_said(tmp_path):
    write_plate(tmp_path / "in.zarr", {"A/1": {"0": Image(), "1": Image()}})
    for chunk in (tmp_path / "in.zarr/A/1/1/0").glob("0.*"):
        chunk.unlink()
    result, reader = ingest_plate(tmp_path)
    (problem,) = result.problems
    assert (problem.reason, problem.site, problem.kept) == ("constant", 1, True)
    assert "channel DAPI is 0" in problem.message
    assert len(reader.images) == 2


def test_a_blank_or_lost_image_is_not_measured_where_it_lies(tmp_path):
    write_plate(tmp_path / "in.zarr", {"A/1": {"0": Image(size=64), "1": Image(size=64)}})
    for chunk in (tmp_path / "in.zarr/A/1/1/0").glob("1.*"):
        chunk.unlink()
    plate, out = str(tmp_path / "in.zarr"), str(tmp_path / "f.parquet")
    config = FeaturesConfig(plates=(plate,), out=out, channel="GFP", write_labels=False)
    (problem,) = features.run(config).problems
    assert (problem.reason, problem.site) == ("missing-file", 1)
    assert "blank or lost" in problem.message
    assert pd.read_parquet(out)[col.SITE].tolist() == [0]


def test_damaged_documents_are_named_and_the_rest_goes_on(tmp_path):
    names = ("0", "1", "2", "3")
    source = write_plate(tmp_path / "in.zarr", {"A/1": {name: Image() for name in names}})
    root = tmp_path / "in.zarr/A/1"
    (root / "0/.zattrs").write_text("{ no json")
    (root / "1/.zattrs").write_text(json.dumps({"multiscales": [{"datasets": "none"}]}))
    (root / "2/.zattrs").write_text(json.dumps({"multiscales": 7}))
    result, reader = ingest_plate(tmp_path)
    assert [(p.reason, p.site) for p in result.problems] == [("unreadable", n) for n in range(3)]
    assert_plane(reader, "A01", 3, "GFP", source["A/1", "3"][1, 0])


def test_big_endian_pixels_are_equal(tmp_path):
    source = write_plate(tmp_path / "in.zarr", {"A/1": {"0": Image(dtype=">u2")}})
    _, reader = ingest_plate(tmp_path)
    assert_plane(reader, "A01", 0, "GFP", source["A/1", "0"][1, 0])


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"0": Image(), "1": Image(labels=("TOM20", "ACTIN"))}, id="channels"),
        pytest.param({"0": Image(), "1": Image(scale=1.3)}, id="sizes"),
        pytest.param({"0": Image(acquisition=0), "1": Image(acquisition=1)}, id="acquisitions"),
    ],
)
def test_a_plate_whose_fields_differ_is_not_used_where_it_lies(tmp_path, fields):
    write_plate(tmp_path / "in.zarr", {"A/1": fields})
    plate, out = str(tmp_path / "in.zarr"), str(tmp_path / "f.parquet")
    with pytest.raises(InputError, match=r"where it lies: hcs ingest .*in\.zarr NEW\.zarr"):
        features.run(FeaturesConfig(plates=(plate,), out=out, channel="DAPI", write_labels=False))
    try:
        result = ingest.run(IngestConfig(source=plate, out=plate))
    except InputError:
        return
    (problem,) = result.problems  # of two pixel sizes one is left out, and the rest is used
    assert (problem.reason, problem.site) == ("wrong-scale", 1)
    assert PlateReader(plate).images[col.SITE].tolist() == [0]


def test_fields_of_other_axes_are_measured_where_they_lie(tmp_path):
    fields = {"0": Image(size=64), "1": Image(size=64, axes="tczyx")}
    source = write_plate(tmp_path / "in.zarr", {"A/1": fields})
    plate, out = str(tmp_path / "in.zarr"), str(tmp_path / "f.parquet")
    features.run(FeaturesConfig(plates=(plate,), out=out, channel="GFP", write_labels=False))
    found = pd.read_parquet(out).sort_values(col.SITE)["Image_Intensity_Mean"]
    expected = [source["A/1", "0"][1, 0].mean(), source["A/1", "1"][0, 1, 0].mean()]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("inside", "expected"),
    [
        pytest.param("A/1/0", "single OME-Zarr image", id="image"),
        pytest.param("A/1", "one well of a plate; give the plate, .*in.zarr", id="well"),
        pytest.param("A", "an OME-Zarr HCS plate was expected", id="row"),
    ],
)
def test_what_is_no_plate_is_named(tmp_path, inside, expected):
    write_plate(tmp_path / "in.zarr", {"A/1": {"0": Image()}})
    source = str(tmp_path / "in.zarr" / inside)
    with pytest.raises(InputError, match=expected):
        ingest.run(IngestConfig(source=source, out=str(tmp_path / "out.zarr")))
    with pytest.raises(InputError, match=expected):
        features.run(FeaturesConfig(plates=(source,), out=str(tmp_path / "f.parquet")))


def test_info_tells_the_kinds_of_images_of_a_plate_that_differs(tmp_path):
    multiplexed(tmp_path)
    found = describe(tmp_path / "in.zarr")
    assert found["images"] == 4
    assert found["kind 1"].startswith("2 images of acquisition 0: channels DAPI, GFP; 2 × 1 × 24")
    assert found["kind 2"].startswith("2 images of acquisition 1: channels TOM20, ACTIN")


def test_a_channel_that_some_fields_lack_is_recorded_and_never_measured(tmp_path):
    fields = {"0": Image(size=64), "1": Image(size=64, labels=("DAPI", "TOM20"))}
    source = write_plate(tmp_path / "in.zarr", {"A/1": fields})
    result, reader = ingest_plate(tmp_path)
    assert reader.channels == ("DAPI", "GFP", "TOM20")
    assert [(p.reason, p.site, p.kept) for p in result.problems] == [
        ("missing-channel", 0, True),
        ("missing-channel", 1, True),
    ]
    assert_plane(reader, "A01", 0, "GFP", source["A/1", "0"][1, 0])
    assert_plane(reader, "A01", 1, "TOM20", source["A/1", "1"][1, 0])
    assert_plane(reader, "A01", 1, "DAPI", source["A/1", "1"][0, 0])
    out = str(tmp_path / "f.parquet")
    config = FeaturesConfig(plates=(result.out,), out=out, channel="TOM20", write_labels=False)
    (problem,) = features.run(config).problems
    assert (problem.reason, problem.site) == ("not-acquired", 0)
    assert pd.read_parquet(out)[col.SITE].tolist() == [1]


def test_an_acquisition_that_a_well_lacks_is_recorded(tmp_path):
    one, two = Image(acquisition=0), Image(acquisition=1, labels=("TOM20",))
    source = write_plate(tmp_path / "in.zarr", {"A/1": {"0": one, "1": two}, "B/1": {"0": one}})
    result, reader = ingest_plate(tmp_path, verify=True)
    assert str(result.summary["verified"]).startswith("all pixels as in the source")
    assert [(p.reason, p.well) for p in result.problems] == [("missing-channel", "B01")]
    assert_plane(reader, "A01", 0, "TOM20", source["A/1", "1"][0, 0])
    assert_plane(reader, "B01", 0, "GFP", source["B/1", "0"][1, 0])
    assert not reader.acquired("B/1/0", 2).any()


def test_chunks_in_folders_that_nobody_declared_are_refused(tmp_path):
    # They would read as zeros.
    write_plate(tmp_path / "in.zarr", {"A/1": {"0": Image(), "1": Image()}})
    array = tmp_path / "in.zarr/A/1/1/0"
    for chunk in array.glob("*.*.*.*"):
        nested = array / chunk.name.replace(".", "/")
        nested.parent.mkdir(parents=True, exist_ok=True)
        chunk.rename(nested)
    document = json.loads((array / ".zarray").read_text())
    document.pop("dimension_separator", None)
    (array / ".zarray").write_text(json.dumps(document))
    result, reader = ingest_plate(tmp_path)
    (problem,) = result.problems
    assert (problem.reason, problem.site) == ("unreadable", 1)
    assert '"dimension_separator": "/"' in problem.message
    assert reader.images[col.SITE].tolist() == [0]


def test_a_folder_of_plates_is_told_from_one_of_images(tmp_path):
    for name in ("P1.zarr", "P2.zarr"):
        write_plate(tmp_path / "in" / name, {"A/1": {"0": Image()}})
    with pytest.raises(
        InputError, match=r"no image files in .*2 OME-Zarr plate.*P1\.zarr, P2\.zarr"
    ):
        ingest_plate(tmp_path, source=str(tmp_path / "in"))


@pytest.mark.parametrize(
    ("name", "key", "value"),
    [
        pytest.param("0.4", "chunks", [1, 1, 24, 0], id="no-chunk"),
        pytest.param("0.4", "dtype", "no-such", id="no-type"),
        pytest.param("0.4", "shape", "wide", id="no-shape"),
        pytest.param("0.5", "fill_value", -1, id="no-fill"),
        pytest.param("0.5", "chunk_grid", {"configuration": [3]}, id="no-grid"),
        pytest.param("0.5", "codecs", None, id="no-codecs"),
    ],
)
def test_damaged_arrays_are_named_and_the_rest_goes_on(tmp_path, name, key, value):
    fields = {"0": Image(), "1": Image()}
    source = write_plate(tmp_path / "in.zarr", {"A/1": fields}, version=name)
    file = tmp_path / "in.zarr/A/1/0/0" / ("zarr.json" if name == "0.5" else ".zarray")
    file.write_text(json.dumps(json.loads(file.read_text()) | {key: value}))
    result, reader = ingest_plate(tmp_path)
    assert {(p.reason, p.site) for p in result.problems} == {("unreadable", 0)}
    assert_plane(reader, "A01", 1, "GFP", source["A/1", "1"][1, 0])


@pytest.mark.parametrize("scaled", [True, False], ids=["with-scales", "without"])
def test_the_finest_level_is_read_wherever_it_is_listed(tmp_path, scaled):
    source = write_plate(tmp_path / "in.zarr", {"A/1": {"0": Image(labels=("D", "T"), n={"c": 2})}})
    pixels = source["A/1", "0"]
    image = zarr.open_group(tmp_path / "in.zarr", mode="r+")["A/1/0"]
    entry = dict(image.attrs["multiscales"][0])
    (finest,) = entry["datasets"]
    coarse = pixels[..., ::2, ::2]
    image.create_array("small", data=coarse, chunks=coarse.shape)
    scale = [1.0] * (pixels.ndim - 2)
    levels = [
        {"path": path, "coordinateTransformations": [{"type": "scale", "scale": [*scale, n, n]}]}
        for path, n in (("small", 2.0), (finest["path"], 1.0))
    ]
    kept = levels if scaled else [{"path": level["path"]} for level in levels]
    image.attrs["multiscales"] = [entry | {"datasets": kept}]
    if not scaled:
        with pytest.raises(InputError, match=r"level 0 of .* is larger than small of"):
            ingest_plate(tmp_path)
        return
    reader = PlateReader(str(tmp_path / "in.zarr"))
    np.testing.assert_array_equal(reader.read_plane("A/1/0", 1), pixels[1, 0])
    result, reader = ingest_plate(tmp_path)
    assert "listed out of order; the finest is read" in str(result.summary["layout"])
    for index, channel in enumerate(("D", "T")):
        assert_plane(reader, "A01", 0, channel, pixels[index, 0])


def test_a_shallower_stack_is_projected_over_the_planes_that_its_image_has(tmp_path):
    deep, shallow = Image(n={"z": 5}), Image(n={"z": 3})
    wells = {"A/1": {"0": deep}, "A/2": {"0": deep}, "B/1": {"0": deep}, "B/2": {"0": shallow}}
    source = write_plate(tmp_path / "in.zarr", wells)
    result, reader = ingest_plate(tmp_path, projection="max")
    assert result.problems == ()
    for well, path in (("A01", "A/1"), ("B02", "B/2")):
        assert_plane(reader, well, 0, "GFP", source[path, "0"][1].max(axis=0))
    kept = ingest.run(
        IngestConfig(source=str(tmp_path / "in.zarr"), out=str(tmp_path / "kept.zarr"))
    )
    assert kept.problems == ()
    there = PlateReader(kept.out)
    field = there.images.set_index(col.WELL)[col.FIELD_PATH]["B02"]
    assert there.acquired(field, 1).tolist() == [[True] * 3 + [False] * 2]
    assert not there.missing(field, 1).any()


@pytest.mark.parametrize("dtype", ["int16", "bool"])
def test_a_field_of_a_type_that_is_not_read_is_named_and_the_others_are_kept(tmp_path, dtype):
    usual, other = Image(size=600), Image(size=600, dtype=dtype)
    wells = {"A/1": {"0": usual}, "A/2": {"0": other}, "B/1": {"0": usual}}
    write_plate(tmp_path / "in.zarr", wells)
    result, reader = ingest_plate(tmp_path)
    assert set(reader.images[col.WELL]) == {"A01", "B01"}
    assert {(p.reason, p.well, p.kept) for p in result.problems} == {
        (col.Reason.WRONG_TYPE, "A02", False)
    }
    write_plate(tmp_path / "in.zarr", {"A/2": {"0": other}})
    with pytest.raises(InputError, match=rf"A/2/0: pixels of type {dtype}"):
        ingest_plate(tmp_path)


def test_what_could_not_be_measured_is_said_when_nothing_could(tmp_path):
    write_plate(tmp_path / "in.zarr", {"A/2": {"0": Image(dtype="int16")}})
    config = FeaturesConfig(
        plates=(str(tmp_path / "in.zarr"),), channel="GFP", out=str(tmp_path / "f.parquet")
    )
    with pytest.raises(InputError, match=r"could be measured: .*int16"):
        features.run(config)
