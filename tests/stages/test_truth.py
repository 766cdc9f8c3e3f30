"""Answers that were wrong in silence: lost pixels, late workers, tables of another past."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pandas as pd
import pytest
import small_studies
import tifffile
from small_plates import field, name_of

from hcs.compute.units import Unit, Work, run_units
from hcs.domain import columns as col
from hcs.domain.columns import Reason
from hcs.domain.config.stages import FeaturesConfig, IngestConfig
from hcs.errors import ImageReadError, InputError, StaleError
from hcs.io.files import parquet
from hcs.io.files.together import finish_replacement, replace_together
from hcs.io.plates.reader import PlateReader
from hcs.io.runs.ledger import Ledger
from hcs.io.runs.unfinished import refuse_unfinished
from hcs.stages import features, ingest, train
from hcs.stages.work.study import fingerprint_splits, read_splits


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("inputs")
    small_studies.write_inputs(folder, with_network=False)
    return folder


@pytest.fixture
def plate(inputs, tmp_path):
    """Copy a plate, its records and its images."""
    for name in ("P1.zarr", "P1.zarr.hcs", "images"):
        shutil.copytree(inputs / name, tmp_path / name)
    shutil.copy(inputs / "wells.csv", tmp_path)
    return tmp_path / "P1.zarr"


def measure(plate, out="f.parquet", **more):
    config = FeaturesConfig(
        plates=(str(plate),), out=str(plate.parent / out), write_labels=False, **more
    )
    return features.run(config)


def write_again(plate):
    folder = plate.parent
    config = IngestConfig(
        source=str(folder / "images"), out=str(plate), platemap=str(folder / "wells.csv"),
        plate_name="P1", pixel_size_um=1.0,
    )  # fmt: skip
    return ingest.run(config)


def test_a_lost_chunk_is_named_and_never_zeros_and_mending_it_mends_the_tables(plate):
    fixed = {"sizes": {"soma_diameter_um": 8, "neurite_width_um": 2}, "illumination": "none"}
    whole = measure(plate, "whole.parquet", morphology=fixed)
    write_again(plate)  # records of this very folder
    lost = plate / "A/2/0/0/c/0/0/0"
    lost.unlink()
    with pytest.raises(ImageReadError, match=r"A/2/0/0/c/0/0/0 is lost; hcs ingest"):
        PlateReader(str(plate)).read_plane("A/2/0", 0)
    found = measure(plate, morphology=fixed)
    assert [(item.reason, item.well) for item in found.problems] == [(Reason.MISSING_FILE, "A02")]
    assert len(pd.read_parquet(found.out)) == len(pd.read_parquet(whole.out)) - 1
    assert write_again(plate).n_run == 1
    mended = measure(plate, morphology=fixed)
    assert (mended.n_run, mended.problems) == (1, ())
    pd.testing.assert_frame_equal(pd.read_parquet(mended.out), pd.read_parquet(whole.out))


def test_heads_are_not_trained_on_splits_that_changed_meanwhile(inputs, tmp_path):
    config = small_studies.config_of("train", inputs, tmp_path)
    job = train.HeadJob(config, 0, "fingerprint of other splits")
    with pytest.raises(StaleError, match="was changed while work on it ran"):
        next(train._train_heads([(job, None)]))
    expected = fingerprint_splits(read_splits(config.splits))
    assert read_splits(config.splits, expected)


def _say(payload):
    return {"said": payload}


def test_a_worker_of_an_earlier_run_records_nothing(tmp_path):
    ledger = Ledger.of(tmp_path / "out.parquet")
    early = ledger.begin_run()
    run_units(_say, [Unit("u", "new", "new")], ledger=ledger, client=None, label="say")
    with pytest.raises(StaleError, match="a later run writes"):
        list(Work(_say, ledger, token=early).perform([Unit("u", "old", "old")]))
    assert ledger.read("u").result == {"said": "new"}


def test_tables_are_joined_again_when_a_unit_was_done_again(plate):
    first = measure(plate)
    whole = pd.read_parquet(first.out)
    ledger = Ledger.of(first.out)
    parquet.write_table(first.out, whole.iloc[:3])  # as a joined table of another past
    ledger.forget("P1-A01")
    again = measure(plate)
    assert again.n_run == 1
    pd.testing.assert_frame_equal(pd.read_parquet(again.out), whole)


def test_changed_pixels_of_a_plate_of_another_program_are_noticed(plate):
    shutil.rmtree(plate / "tables")
    document = json.loads((plate / "zarr.json").read_text())
    del document["attributes"]["hcs"]  # as another program leaves it
    (plate / "zarr.json").write_text(json.dumps(document))
    before = PlateReader(str(plate)).images[col.FINGERPRINT].to_numpy()
    same = PlateReader(str(plate)).images[col.FINGERPRINT].to_numpy()
    chunk = plate / "A/2/0/0/c/0/0/0"
    chunk.write_bytes(chunk.read_bytes() + b"\0")
    after = PlateReader(str(plate)).images[col.FINGERPRINT].to_numpy()
    assert (before == same).all()
    assert (before != after).sum() == 1


def test_two_images_of_one_key_are_refused(plate):
    table = plate / "tables/images/table.parquet"
    rows = pd.read_parquet(table)
    pd.concat([rows, rows.iloc[:1]]).to_parquet(table)
    with pytest.raises(InputError, match="several images for one well and site"):
        _ = PlateReader(str(plate)).images


def test_a_journal_is_finished_where_it_lies_and_readers_wait_for_it(tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    out = home / "hits.parquet"
    out.write_text("old")
    (home / "compounds.parquet").write_text("old")

    class Killed(Exception):
        pass

    def die(*_):
        raise Killed

    def replace():
        with replace_together(str(out)) as place:
            place(str(out)).write_text("new")
            place.drop(str(home / "compounds.parquet"))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("hcs.io.files.together.finish_replacement", die)
        with pytest.raises(Killed):
            replace()
    moved = tmp_path / "moved"
    shutil.copytree(home, moved)
    with pytest.raises(StaleError, match="half replaced"):
        refuse_unfinished(str(moved / "hits.parquet"))
    finish_replacement(str(moved / "hits.parquet"))
    assert (moved / "hits.parquet").read_text() == "new"
    assert not (moved / "compounds.parquet").exists()
    assert (out.read_text(), (home / "compounds.parquet").read_text()) == ("old", "old")
    refuse_unfinished(str(moved / "hits.parquet"))


def test_whole_numbers_stay_whole_beside_blanks(tmp_path):
    clones = pd.DataFrame({col.CLONE: pd.array([1, None, 3], dtype="Int64")})
    parquet.write_table(tmp_path / "t.parquet", clones.convert_dtypes())
    schema = parquet.read_schema(tmp_path / "t.parquet")
    parquet.write_stream(tmp_path / "s.parquet", [schema], [clones])
    for name in ("t.parquet", "s.parquet"):
        found = parquet.read_table(tmp_path / name)[col.CLONE].astype(str).tolist()
        assert found == ["1", "<NA>", "3"]


def test_a_study_that_is_moved_is_not_measured_again(plate, tmp_path):
    home = tmp_path / "study"
    home.mkdir()
    for name in ("P1.zarr", "P1.zarr.hcs"):
        shutil.move(tmp_path / name, home / name)
    config = FeaturesConfig(plates=(str(home / "P1.zarr"),), out=str(home / "f.parquet"))
    n_units = features.run(config).n_run
    shutil.move(home, tmp_path / "elsewhere")
    moved = tmp_path / "elsewhere"
    config = FeaturesConfig(plates=(str(moved / "P1.zarr"),), out=str(moved / "f.parquet"))
    again = features.run(config)
    assert (again.n_run, again.n_skipped) == (0, n_units)
    (moved / "f_cells.parquet").unlink()
    features.run(config)
    assert (moved / "f_cells.parquet").exists()


def test_another_number_of_planes_writes_every_field_anew(plate):
    write_again(plate)
    folder = plate.parent / "images"
    stack = np.stack([field(5), field(6)])
    for file in folder.iterdir():
        file.unlink()
    tifffile.imwrite(folder / name_of("A", 1, 1), field(1))
    tifffile.imwrite(folder / name_of("A", 2, 1), field(2))
    assert write_again(plate).n_run == 2
    del stack


def test_a_lost_plate_map_is_a_fault_and_no_empty_one(plate):
    shutil.rmtree(plate / "tables/wells")
    with pytest.raises(StaleError, match=r"tables/wells/table\.parquet is lost; hcs ingest"):
        measure(plate)


def test_sizes_and_light_of_a_damaged_plate_are_not_remembered(plate):
    write_again(plate)
    whole = measure(plate, "whole.parquet")
    for well in ("A/1", "A/2", "B/1"):
        shutil.rmtree(plate / well / "0/0/c")
    measure(plate, "f.parquet")
    write_again(plate)
    mended = measure(plate, "f.parquet")
    pd.testing.assert_frame_equal(pd.read_parquet(mended.out), pd.read_parquet(whole.out))


def test_without_labels_a_plate_is_left_alone(plate):
    measured = FeaturesConfig(plates=(str(plate),), out=str(plate.parent / "a.parquet"))
    features.run(measured)
    before = {path: path.stat().st_mtime_ns for path in plate.rglob("*") if path.is_file()}
    measure(plate, "b.parquet", morphology={"sizes": {"soma_diameter_um": 6}})
    after = {path: path.stat().st_mtime_ns for path in plate.rglob("*") if path.is_file()}
    assert after == before


def test_splits_that_somebody_changed_are_not_drawn_over(inputs, tmp_path):
    first = small_studies.run_stage("splits", inputs, tmp_path)
    drawn = tmp_path / "splits.json"
    text = drawn.read_text()
    drawn.write_text(text.replace('"index": 0', '"index":  0'))
    with pytest.raises(StaleError, match="was changed after it was drawn"):
        small_studies.run_stage("splits", inputs, tmp_path)
    drawn.unlink()
    assert small_studies.run_stage("splits", inputs, tmp_path).n_run == first.n_run
