"""Existing OME-Zarr plates as sources: converted, copied, or used where they lie."""

from __future__ import annotations

import shutil
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr
from small_plates import name_of
from typer.testing import CliRunner

from hcs.domain import columns as col
from hcs.domain.config.layouts import RegexLayout
from hcs.domain.config.stages import FeaturesConfig, IngestConfig
from hcs.domain.plate import Plane
from hcs.domain.wells import Well
from hcs.errors import InputError
from hcs.io.files.paths import sidecar
from hcs.io.images.sources import OME_ZARR, open_source
from hcs.io.plates.plate_tables import read_plate_table, write_plate_table
from hcs.io.plates.reader import PlateReader
from hcs.io.plates.validate import faults_of
from hcs.stages import features, ingest
from hcs_cli.app import app


def plate_of(source, tmp_path, **more):
    """Ingest the small plate; returns its path."""
    given = {
        "source": str(source.images),
        "out": str(tmp_path / "P1.zarr"),
        "platemap": str(source.platemap),
        "plate_name": "P1",
        "plate_wells": 24,
        "pixel_size_um": 0.65,
    }
    return ingest.run(IngestConfig.model_validate(given | more)).out


@pytest.fixture
def plate04(source, tmp_path):
    """The small plate as another program would write it: OME-Zarr 0.4, Zarr v2, levels '0', '1'."""
    reader = PlateReader(plate_of(source, tmp_path / "made"))
    out = str(tmp_path / "old.zarr")
    root = zarr.create_group(out, zarr_format=2)
    metadata = {**reader.metadata, "version": "0.4"}
    root.attrs["plate"] = metadata
    for well in metadata["wells"]:
        group = root.require_group(well["path"])
        paths = [
            path.rsplit("/", 1)[1]
            for path in reader.images[col.FIELD_PATH]
            if path.startswith(f"{well['path']}/")
        ]
        group.attrs["well"] = {"images": [{"path": path} for path in paths], "version": "0.4"}
        for path in paths:
            field = group.require_group(path)
            described = reader.field_metadata(f"{well['path']}/{path}")
            described.pop("version")
            described["multiscales"][0]["version"] = "0.4"
            field.attrs.update(described)
            for level in range(len(described["multiscales"][0]["datasets"])):
                pixels = reader.level(f"{well['path']}/{path}", level)[...]
                field.create_array(str(level), data=pixels, chunks=(1, 40, 50))
    return out


def snapshot(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(Path(folder).rglob("*"))
        if path.is_file()
    }


def test_a_plate_of_version_04_is_converted(source, plate04, tmp_path):
    before = snapshot(plate04)
    result = ingest.run(
        IngestConfig(
            source=plate04,
            out=str(tmp_path / "new.zarr"),
            platemap=str(source.platemap),
            verify=True,
        )
    )
    assert result.problems == ()
    assert "OME-Zarr 0.4" in str(result.summary["layout"])
    reader = PlateReader(result.out)
    assert (reader.version, reader.plate_format.n_wells, len(reader.images)) == ("0.5", 24, 24)
    assert reader.pixel_size_um == pytest.approx(0.65)
    assert reader.channels == ("Blue - FITC",)
    assert faults_of(result.out) == []
    expected = tifffile.imread(source.images / name_of("B", 3, 2))
    np.testing.assert_array_equal(reader.read_plane("B/3/1", 0), expected)
    assert snapshot(plate04) == before
    again = ingest.run(IngestConfig(source=plate04, out=result.out, platemap=str(source.platemap)))
    assert (again.n_run, again.n_skipped) == (0, 12)


def test_a_plate_of_version_04_is_used_where_it_lies(source, plate04, tmp_path):
    before = snapshot(plate04)
    config = IngestConfig(source=plate04, out=plate04, platemap=str(source.platemap))
    result = ingest.run(config)
    assert result.problems == ()
    assert snapshot(plate04) == before, "the plate itself stays as it is"
    row = PlateReader(plate04).images.query("Metadata_Well == 'B03'").iloc[0]
    assert row[col.CLONE] == "C06"
    out = str(tmp_path / "features.parquet")
    measured = features.run(FeaturesConfig(plates=(plate04,), out=out, write_labels=False))
    assert measured.n_run > 0
    with pytest.raises(InputError, match=r"0\.4, into which hcs writes no labels"):
        features.run(FeaturesConfig(plates=(plate04,), out=str(tmp_path / "more.parquet")))


def test_a_plate_of_version_05_gets_a_plate_map_without_a_copy(source, tmp_path):
    made = plate_of(source, tmp_path, platemap=None)
    shutil.rmtree(sidecar(made))
    shutil.rmtree(Path(made, "tables"))
    pixels = {name: data for name, data in snapshot(made).items() if "/c/" in name}
    result = ingest.run(IngestConfig(source=made, out=made, platemap=str(source.platemap)))
    assert result.problems == ()
    after = snapshot(made)
    assert {name: after[name] for name in pixels} == pixels
    assert PlateReader(made).images[col.CLONE].notna().all()
    assert faults_of(made) == []


def test_a_copy_keeps_the_plate_map_of_its_source(source, tmp_path):
    made = plate_of(source, tmp_path)
    copy = ingest.run(IngestConfig(source=made, out=str(tmp_path / "copy.zarr")))
    wells = [PlateReader(path).well_table[col.CLONE].tolist() for path in (made, copy.out)]
    assert wells[0] == wells[1]


def test_a_changed_field_of_the_source_is_copied_again(source, plate04, tmp_path):
    out = str(tmp_path / "new.zarr")
    ingest.run(IngestConfig(source=plate04, out=out))
    array = zarr.open_array(f"{plate04}/B/3/1/0", mode="r+")
    array[0, 0, 0] = 4321
    again = ingest.run(IngestConfig(source=plate04, out=out))
    assert (again.n_run, again.n_skipped) == (1, 11)
    assert PlateReader(out).read_plane("B/3/1", 0)[0, 0] == 4321


def test_in_place_and_projected_do_not_go_together(source, tmp_path):
    made = plate_of(source, tmp_path)
    with pytest.raises(InputError, match="other images"):
        ingest.run(IngestConfig(source=made, out=made, projection="max"))


def test_the_command_says_that_it_found_a_plate(source, plate04, tmp_path):
    said = CliRunner().invoke(
        app, ["ingest", plate04, str(tmp_path / "new.zarr"), "--cluster", "inline"]
    )
    assert said.exit_code == 0, said.output
    assert "OME-Zarr" in said.output


def test_a_lost_chunk_of_a_plate_that_got_a_plate_map_where_it_lies_is_no_zeros(source, tmp_path):
    made = plate_of(source, tmp_path, platemap=None)
    ingest.run(IngestConfig(source=made, out=made, platemap=str(source.platemap)))
    reader = PlateReader(made)
    field = str(reader.images[col.FIELD_PATH].iloc[0])
    next(path for path in Path(made, field, "0", "c").rglob("*") if path.is_file()).unlink()
    config = FeaturesConfig(
        plates=(made,), channel=reader.channels[0], out=str(tmp_path / "features.parquet")
    )
    problems = [p for p in features.run(config).problems if p.reason != col.Reason.DOUBTFUL]
    assert [(problem.reason, problem.file) for problem in problems] == [
        (col.Reason.MISSING_FILE, field)
    ]


def test_a_copy_shows_channels_and_places_fields_as_its_source_does(tmp_path):
    draws = np.random.default_rng(5)
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("TXRED", "MYDYE"):
        picture = draws.integers(1, 999, (24, 24), "uint16")
        tifffile.imwrite(folder / f"A01_{name}.tif", picture)
    layout = RegexLayout(pattern=r"(?P<well>[A-H]\d\d)_(?P<channel>\w+)\.tif")
    made = ingest.run(IngestConfig(source=str(folder), out=str(tmp_path / "P.zarr"), layout=layout))
    document = Path(made.out, "A", "1", "0", "zarr.json")
    document.write_text(document.read_text().replace("FF0000", "12AB34"))
    table = read_plate_table(made.out, "images")
    places = {col.POSITION_X_UM: [12.5], col.POSITION_Y_UM: [-3.0]}
    write_plate_table(made.out, "images", table.assign(**places))
    copy = ingest.run(IngestConfig(source=made.out, out=str(tmp_path / "copy.zarr")))
    colors = [
        [
            channel["color"]
            for channel in PlateReader(path).field_metadata("A/1/0")["omero"]["channels"]
        ]
        for path in (made.out, copy.out)
    ]
    assert colors[0] == colors[1]
    assert "12AB34" in colors[1]
    rows = PlateReader(copy.out).images
    assert {name: rows[name].tolist() for name in places} == places


def write_foreign(path: Path, shape=(2, 6, 24, 20), chunks=(1, 6, 16, 16)) -> np.ndarray:
    """Write a plate of one field, of which a chunk spans whole stacks."""
    root = zarr.open_group(str(path), mode="w", zarr_format=2)
    well = {"path": "A/1", "rowIndex": 0, "columnIndex": 0}
    root.attrs["plate"] = {
        "version": "0.4", "rows": [{"name": "A"}], "columns": [{"name": "1"}], "wells": [well],
    }  # fmt: skip
    group = root.create_group("A/1")
    group.attrs["well"] = {"version": "0.4", "images": [{"path": "0"}]}
    field = group.create_group("0")
    kinds = {"c": "channel", "z": "space", "y": "space", "x": "space"}
    scale = [{"type": "scale", "scale": [1, 1, 0.5, 0.5]}]
    field.attrs["multiscales"] = [
        {
            "version": "0.4",
            "axes": [{"name": name, "type": kind} for name, kind in kinds.items()],
            "datasets": [{"path": "0", "coordinateTransformations": scale}],
        }
    ]
    pixels = np.random.default_rng(3).integers(1, 999, shape, "uint16")
    field.create_array("0", shape=shape, chunks=chunks, dtype="uint16")[:] = pixels
    return pixels


@pytest.mark.parametrize("kept_bytes", [64 * 1024**2, 3000, 1])
@pytest.mark.parametrize(
    ("chunks", "n_reads"),
    [((1, 6, 16, 16), 2), ((2, 4, 16, 16), 4), ((2, 6, 24, 20), 1), ((1, 1, 16, 16), 12)],
)
def test_chunks_of_many_planes_are_decoded_once_and_each_plane_is_its_own(
    tmp_path, monkeypatch, chunks, n_reads, kept_bytes
):
    pixels = write_foreign(tmp_path / "f.zarr", chunks=chunks)
    monkeypatch.setattr("hcs.io.images.sources.KEPT_BYTES", kept_bytes)
    reads = []
    read = zarr.Array.__getitem__

    def count(array, index):
        reads.append(array.path)
        return read(array, index)

    monkeypatch.setattr(zarr.Array, "__getitem__", count)
    with closing(open_source(str(tmp_path / "f.zarr"), OME_ZARR)) as source:
        for c, z in np.ndindex(2, 6):
            plane = Plane(
                path="A/1/0", well=Well.parse("A1"), site=0, channel=str(c), page=c, z_index=z
            )
            found = source.read(plane, (24, 20), "uint16")
            np.testing.assert_array_equal(found, pixels[c, z])
            found[:] = 0  # what is kept is nobody's to change
    if kept_bytes > 3000:
        assert len(reads) == n_reads


def test_a_lost_chunk_takes_no_other_plane_with_it(tmp_path):
    pixels = write_foreign(tmp_path / "f.zarr", chunks=(1, 2, 24, 20))
    next((tmp_path / "f.zarr/A/1/0/0").glob("0*2*0*0")).write_bytes(b"no chunk")
    result = ingest.run(IngestConfig(source=str(tmp_path / "f.zarr"), out=str(tmp_path / "o.zarr")))
    reader = PlateReader(result.out)
    assert reader.acquired("A/1/0", 0).tolist() == [[True] * 4 + [False] * 2]
    for c, z in np.ndindex(2, 6):
        if (c, z) not in {(0, 4), (0, 5)}:
            np.testing.assert_array_equal(reader.read_plane("A/1/0", c, z_index=z), pixels[c, z])
