"""A plane and a time point are chosen, never assumed: by every stage, on plates with the answer."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from planted_stacks import (
    CELLS,
    LENGTHS,
    N_Z,
    SHARP,
    SIZES,
    write_lapse,
    write_plain,
    write_ragged,
    write_stack,
)
from small_studies import write_models
from typer.testing import CliRunner

from hcs.domain import columns as col
from hcs.domain.config.planes import FirstTime, LastTime
from hcs.domain.config.stages import (
    FeaturesConfig,
    ForestConfig,
    HitsConfig,
    PredictConfig,
    ProbeConfig,
    ScoreConfig,
    StackConfig,
)
from hcs.domain.config.studies import StudyConfig
from hcs.domain.results import StageResult
from hcs.domain.splits import Splits
from hcs.errors import ChoiceError
from hcs.io import heads as io_heads
from hcs.io import stack as io_stack
from hcs.io.files import parquet
from hcs.io.plates.reader import PlateReader
from hcs.io.plates.validate import faults_of
from hcs.learn.splits.drawing import Group, make_splits
from hcs.ops import intensity, resizing
from hcs.planes.reading import choose_in, read_chosen
from hcs.report.gallery import write_gallery
from hcs.stages import (
    embed,
    evaluate,
    features,
    forest,
    hits,
    ingest,
    predict,
    splits,
    stack,
    train,
)
from hcs.stages.study import run as study_run
from hcs.stages.work.probe_inputs import intensity_table
from hcs_cli.app import app

LENGTH = "Image_Neurite_TotalLength_px"


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("choice")


@pytest.fixture(scope="module")
def z_plate(folder) -> str:
    return write_stack(folder)


@pytest.fixture(scope="module")
def t_plate(folder) -> str:
    return write_lapse(folder)


@pytest.fixture(scope="module")
def models(folder) -> str:
    write_models(folder / "models")
    return str(folder / "models")


def measure(plate: str, out: Path, **more) -> StageResult:
    given = {"plates": (plate,), "out": str(out), "morphology": SIZES, "write_labels": False}
    return features.run(FeaturesConfig.model_validate(given | more))


@pytest.fixture(scope="module")
def measured(t_plate, folder) -> str:
    """Measure the time-lapse at all times, with labels."""
    out = folder / "lapse.parquet"
    result = measure(t_plate, out, time="all", write_labels=True)
    assert result.problems == ()
    return str(out)


# ── z-stacks ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("plane", ["max", "focus", f"z:{SHARP}"])
def test_cells_that_one_plane_shows_are_counted(z_plate, tmp_path, plane):
    table = pd.read_parquet(measure(z_plate, tmp_path / "f.parquet", plane=plane).out)
    found = dict(zip(table[col.WELL].str.replace("0", ""), table[col.N_CELLS], strict=True))
    assert found == CELLS
    chosen = [name for name in table if name.startswith(col.FOCUS_PLANE)]
    assert chosen == ([f"{col.FOCUS_PLANE}TUJ1"] if plane == "focus" else [])
    assert all((table[name] == SHARP).all() for name in chosen)
    assert col.TIME not in table


def test_another_plane_shows_none_and_another_choice_measures_again(z_plate, tmp_path):
    out = tmp_path / "f.parquet"
    assert pd.read_parquet(measure(z_plate, out, plane="z:0").out)[col.N_CELLS].sum() == 0
    again = measure(z_plate, out, plane="z:2")
    assert (again.n_run, again.n_skipped) == (len(CELLS), 0)
    assert pd.read_parquet(again.out)[col.N_CELLS].sum() == sum(CELLS.values())


def test_a_plane_is_what_was_acquired_under_its_index(z_plate):
    reader = PlateReader(z_plate)
    planes = np.stack([reader.read_plane("A/1/0", 0, z_index=z) for z in range(N_Z)])
    for said, expected in (
        ("max", planes.max(axis=0)),
        ("mean", np.rint(planes.mean(axis=0))),
        ("focus", planes[SHARP]),
        ("z:3", planes[3]),
    ):
        choice = FeaturesConfig(plates=("x",), out="x", plane=said).plane
        np.testing.assert_array_equal(read_chosen(reader, "A/1/0", 0, choice), expected)


class Ragged:
    """A field of which one channel lacks planes, as a plate reader shows it."""

    path, channels = "P", ("DAPI", "BF")
    there = np.array([[True, False, True, False]])

    def acquired(self, _field, _channel):
        return self.there

    def missing(self, _field, _channel):
        return np.zeros_like(self.there)

    def read_plane(self, _field, _channel, _level=0, *, z_index, t_index=0):
        assert self.there[t_index, z_index], "a plane that was not acquired is read"
        return np.full((2, 2), 10 * (z_index + 1), np.uint16)


def test_planes_that_were_not_acquired_are_never_part_of_a_projection():
    choices = {said: FeaturesConfig(plates=("x",), out="x", plane=said).plane for said in PLANES}
    found = {said: int(read_chosen(Ragged(), "f", 1, how)[0, 0]) for said, how in choices.items()}
    assert found == {"max": 30, "mean": 20, "focus": 10}


PLANES = ("max", "mean", "focus")


def test_a_plate_of_one_plane_needs_no_choice_and_takes_one(tmp_path):
    plain = write_plain(tmp_path)
    one = pd.read_parquet(measure(plain, tmp_path / "a.parquet").out)
    two = pd.read_parquet(measure(plain, tmp_path / "b.parquet", plane="max", time="last").out)
    pd.testing.assert_frame_equal(one, two)


# ── what is refused ─────────────────────────────────────────────────────────────────────────────

COMMANDS = {
    "features": "features {plate} --out {out}.parquet --no-write-labels --cluster inline",
    "stack": "stack {plate} --out {out}.zarr --cluster inline",
    "predict": "predict {models} {plate} --out {out}.parquet --cluster inline",
    "explain": "explain {models} {plate} --well A01 --out {out}",
    "gallery": "gallery {plate} --out {out}.png",
    "info": "info {plate} --overview {out}.png",
}


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("which", ["z", "t"])
def test_every_command_that_reads_pixels_asks_which(
    command, which, z_plate, t_plate, models, tmp_path
):
    plate = z_plate if which == "z" else t_plate
    line = COMMANDS[command].format(plate=plate, models=models, out=tmp_path / "out")
    found = CliRunner().invoke(app, line.split())
    assert found.exit_code == 1
    has, option = {
        "z": ("plate Z has 4 z-planes (0 to 3", "--plane"),
        "t": ("plate T has 3 time points (0 to 2", "--time"),
    }[which]
    assert has in found.stderr
    assert option in found.stderr
    assert not [
        name for name in ("out.parquet", "out.png", "out.zarr") if (tmp_path / name).exists()
    ]


def test_both_are_asked_for_at_once_and_of_all_plates(z_plate, t_plate, tmp_path):
    config = FeaturesConfig(plates=(z_plate, t_plate), out=str(tmp_path / "f.parquet"))
    with pytest.raises(ChoiceError, match=r"plate Z has 4 z-planes.*; plate T has 3 time points"):
        features.run(config)


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"plane": "z:4"}, r"plate Z has 4 z-planes \(0 to 3.*: there is no z:4"),
        ({"plane": "max", "time": 1}, "plate Z has one time point: there is no time 1"),
    ],
)
def test_a_choice_that_a_plate_has_not_is_refused(z_plate, said, why):
    config = FeaturesConfig.model_validate({"plates": ("x",), "out": "x"} | said)
    with pytest.raises(ChoiceError, match=why):
        choose_in(PlateReader(z_plate), config.plane, config.time)


def test_no_command_takes_a_plane_that_is_none(z_plate, tmp_path):
    line = f"features {z_plate} --plane best --out {tmp_path}/f.parquet --cluster inline"
    found = CliRunner().invoke(app, line.split())
    assert found.exit_code == 2
    assert "'best' names no plane: give max, mean, focus, z:INDEX" in found.stderr


# ── time-lapses ─────────────────────────────────────────────────────────────────────────────────


def test_every_time_point_has_its_row(measured):
    table = pd.read_parquet(measured)
    keys = [*col.IMAGE_KEY, col.TIME]
    assert list(table.columns[:4]) == keys
    assert len(table) == len(CELLS) * len(LENGTHS)
    assert not table.duplicated(keys).any()
    for well, rows in table.groupby(col.WELL):
        assert list(rows[col.TIME]) == [0, 1, 2]
        assert set(rows[col.N_CELLS]) == {CELLS[well.replace("0", "")]}
        assert rows[LENGTH].is_monotonic_increasing
        each = rows[LENGTH].to_numpy() / rows[col.N_CELLS].to_numpy()
        np.testing.assert_allclose(each, LENGTHS, atol=5)
    cells = pd.read_parquet(features.locate_cells(measured))
    assert len(cells) == len(LENGTHS) * sum(CELLS.values())
    assert cells.groupby(col.TIME).size().tolist() == [sum(CELLS.values())] * len(LENGTHS)


def test_labels_of_a_time_lapse_have_its_axis(measured, t_plate):
    table = pd.read_parquet(measured).set_index([col.WELL, col.TIME])
    reader = PlateReader(t_plate)
    for time in range(len(LENGTHS)):
        soma = reader.read_label("B/1/0", "soma", t_index=time)
        neurites = reader.read_label("B/1/0", "neurites", t_index=time)
        assert soma.max() == table.loc[("B01", time), col.N_CELLS] == CELLS["B1"]
        assert (neurites > 0).sum() >= CELLS["B1"] * (LENGTHS[time] - 5)
    assert faults_of(t_plate) == []


def test_ngio_opens_labels_over_time(measured, t_plate):
    ngio = pytest.importorskip("ngio")
    image = ngio.open_ome_zarr_plate(t_plate).get_image("B", 1, "0")
    label = image.get_label("soma").get_as_numpy()
    assert label.shape[-3:] == (len(LENGTHS), 64, 64)
    assert label[0].max() == CELLS["B1"]


def test_one_time_point_is_the_same_as_among_all(measured, t_plate, tmp_path):
    one = pd.read_parquet(measure(t_plate, tmp_path / "one.parquet", time=1).out)
    every = pd.read_parquet(measured)
    expected = every[every[col.TIME] == 1].reset_index(drop=True)
    scaled = [name for name in one if name.startswith("Image_Quality")]  # sees its own light
    pd.testing.assert_frame_equal(one.drop(columns=scaled), expected.drop(columns=scaled))


def test_a_second_run_does_nothing(measured, t_plate):
    again = measure(t_plate, Path(measured), time="all", write_labels=True)
    assert (again.n_run, again.n_skipped) == (0, len(CELLS))


def test_the_stack_holds_the_chosen_time(t_plate, tmp_path):
    config = {"plates": (t_plate,), "out": str(tmp_path / "s.zarr"), "image_px": 32}
    for time, index in ((1, 1), ("last", 2)):  # the second run replaces every image
        made = stack.run(StackConfig.model_validate(config | {"time": time}))
        assert made.n_run == 1
        opened = io_stack.open_stack(made.out)
        assert set(opened.frame[col.TIME]) == {index}
        plane = PlateReader(t_plate).read_plane("A/1/0", 0, t_index=index)
        scaled = intensity.rescale_to_median(plane, median_level=63.0)
        expected = resizing.resize_plane(scaled, (32, 32)).astype(np.uint8)
        np.testing.assert_array_equal(opened.read(0, 1)[0], expected)
    assert opened.settings["time"] == {"kind": "last"}


def test_a_stack_that_lost_a_plane_is_a_problem_not_another_projection(tmp_path):
    plate = write_stack(tmp_path, lost=("A1", 1))
    result = measure(plate, tmp_path / "f.parquet", plane="max")
    (problem,) = result.problems
    assert (problem.well, problem.reason) == ("A01", col.Reason.MISSING_FILE)
    table = pd.read_parquet(result.out)
    assert "A01" not in set(table[col.WELL])
    assert table[col.N_CELLS].sum() == sum(CELLS.values()) - CELLS["A1"]
    whole = measure(plate, tmp_path / "g.parquet", plane=f"z:{SHARP}")
    assert whole.problems == ()  # the plane that was asked for is there
    assert len(pd.read_parquet(whole.out)) == len(CELLS)


# ── channels of unlike planes and times ─────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def ragged(folder) -> str:
    return write_ragged(folder)


def test_a_channel_is_projected_over_the_planes_that_it_has(ragged, tmp_path):
    """NUC has one plane of two: its mean is that plane, not half of it."""
    more = {"channel": "NUC", "plane": "mean", "time": "last"}
    table = pd.read_parquet(measure(ragged, tmp_path / "f.parquet", **more).out)
    reader = PlateReader(ragged)
    nuc = reader.read_plane("A/1/0", reader.channel_index("NUC"), t_index=2)
    first = table[table[col.WELL] == "A01"].iloc[0]
    assert first["Image_Intensity_Mean"] == pytest.approx(nuc.mean(), rel=1e-6)
    assert table[col.N_CELLS].tolist() == [1, 2]


def test_times_at_which_a_channel_was_not_acquired_are_passed_over(ragged, tmp_path):
    result = measure(ragged, tmp_path / "f.parquet", channel="NUC", plane="max", time="all")
    table = pd.read_parquet(result.out)
    assert result.problems == ()
    assert table[col.TIME].tolist() == [2, 2]
    assert result.summary["fields at times at which they were not acquired"] == 4


def test_cells_whose_nuclei_were_not_acquired_are_problems_not_zeros(ragged, tmp_path):
    settings = SIZES | {"nuclei": "NUC"}
    more = {"channel": "TUJ1", "plane": "max", "time": "all", "morphology": settings}
    result = measure(ragged, tmp_path / "f.parquet", **more)
    table = pd.read_parquet(result.out)
    assert table[col.TIME].tolist() == [2, 2]
    assert table["Image_Count_Nuclei"].tolist() == [1, 2]
    problems = [item for item in result.problems if item.reason != col.Reason.DOUBTFUL]
    assert {item.reason for item in problems} == {col.Reason.NOT_ACQUIRED}
    assert sorted(item.message[:7] for item in problems) == ["time 0:"] * 2 + ["time 1:"] * 2


def test_labels_of_a_projected_time_lapse_keep_its_axes(ragged, tmp_path):
    more = {"channel": "TUJ1", "plane": "max", "time": "all", "write_labels": True}
    table = pd.read_parquet(measure(ragged, tmp_path / "f.parquet", **more).out)
    reader = PlateReader(ragged)
    for row in table.to_dict(orient="records"):
        path = f"A/{row[col.WELL][-1]}/0"
        assert reader.read_label(path, "soma", t_index=row[col.TIME]).max() == row[col.N_CELLS]
    assert faults_of(ragged) == []
    ngio = pytest.importorskip("ngio")
    label = ngio.open_ome_zarr_plate(ragged).get_image("A", 2, "0").get_label("soma")
    assert label.get_as_numpy().shape == (len(LENGTHS), 1, 64, 64)


# ── what was trained ────────────────────────────────────────────────────────────────────────────


def with_choice(models: str, folder: Path, **said) -> str:
    """Copy models, as if they had been trained on another plane or time point."""
    made = folder / "trained"
    made.mkdir()
    for item in Path(models).iterdir():
        if item.name != io_heads.MANIFEST:
            (made / item.name).symlink_to(item)
    manifest = json.loads((Path(models) / io_heads.MANIFEST).read_text())
    manifest["images"] |= said
    (made / io_heads.MANIFEST).write_text(json.dumps(manifest))
    return str(made)


def score(models: str, plate: str, out: Path, **more) -> pd.DataFrame:
    given = {"models": models, "plates": (plate,), "out": str(out), "batch_images": 4}
    return pd.read_parquet(predict.run(PredictConfig.model_validate(given | more)).out)


def test_new_images_are_of_the_plane_of_training(z_plate, models, tmp_path):
    trained = with_choice(models, tmp_path, plane={"kind": "z", "index": SHARP})
    by_models = score(trained, z_plate, tmp_path / "a.parquet")
    said = score(models, z_plate, tmp_path / "b.parquet", plane="z:2")
    pd.testing.assert_frame_equal(by_models, said)
    sharp = score(models, write_plain(tmp_path), tmp_path / "c.parquet")
    np.testing.assert_array_equal(said[col.SCORE], sharp[col.SCORE])
    other = score(models, z_plate, tmp_path / "d.parquet", plane="z:0")
    assert not np.allclose(other[col.SCORE], said[col.SCORE], atol=1e-6)


def test_a_plate_without_the_plane_of_training_is_refused(z_plate, models, tmp_path):
    trained = with_choice(models, tmp_path, plane={"kind": "z", "index": 7})
    with pytest.raises(ChoiceError, match=r"trained on images of plane z:7.*there is no z:7"):
        score(trained, z_plate, tmp_path / "a.parquet")


def test_every_time_point_is_scored_for_itself(t_plate, models, tmp_path):
    every = score(models, t_plate, tmp_path / "a.parquet", time="all")
    assert len(every) == 4 * len(CELLS) * len(LENGTHS)
    assert not every.duplicated([col.SPLIT, *col.IMAGE_KEY, col.TIME]).any()
    assert every[col.CLONE].notna().all()
    for time in range(len(LENGTHS)):
        alone = score(models, t_plate, tmp_path / f"{time}.parquet", time=time)
        among = every[every[col.TIME] == time].reset_index(drop=True)
        pd.testing.assert_frame_equal(alone, among)
    given = {"models": models, "plates": (t_plate,), "out": str(tmp_path / "a.parquet")}
    again = predict.run(PredictConfig.model_validate(given | {"time": "all"}))
    assert again.n_run == 0


# ── tables of several time points ───────────────────────────────────────────────────────────────


def forest_config(measured, tmp_path, **more):
    groups = [
        Group(name=f"C{i}", label="ALS" if i % 2 else "control", donor=f"D{i}", n_images=1)
        for i in range(len(CELLS))
    ]
    drawn = make_splits(
        groups, group_by=col.CLONE, label=col.DIAGNOSIS, positive="ALS", n_splits=3,
        train=1, validation=1, test=1, seed=0,
    )  # fmt: skip
    (tmp_path / "splits.json").write_text(drawn.to_json())
    given = {
        "features": measured,
        "splits": str(tmp_path / "splits.json"),
        "out": str(tmp_path / "forest"),
        "n_trees": 3,
        "min_samples_leaf": 1,
        "importance_repeats": 0,
    }
    return ForestConfig.model_validate(given | more)


def test_forests_see_one_time_point_and_score_each(measured, tmp_path):
    with pytest.raises(ChoiceError, match=r"holds 3 time points of plate T \(0, 1, 2\).*--time"):
        forest.run(forest_config(measured, tmp_path))
    made = forest.run(forest_config(measured, tmp_path, time="last"))
    own = pd.read_parquet(Path(made.out) / io_heads.PREDICTIONS)
    assert len(own) == 3 * len(CELLS)
    assert set(own[col.TIME]) == {2}
    config = ScoreConfig(models=made.out, features=measured, out=str(tmp_path / "p.parquet"))
    scores = pd.read_parquet(predict.run_forests(config).out)
    assert len(scores) == 3 * len(CELLS) * len(LENGTHS)
    last = scores[scores[col.TIME] == 2]
    np.testing.assert_allclose(last[col.SCORE].to_numpy(), own[col.SCORE].to_numpy())


@pytest.mark.parametrize(("trained", "refused"), [("max", False), ("focus", True)])
def test_forests_score_features_of_the_projection_of_training(measured, tmp_path, trained, refused):
    models = Path(forest.run(forest_config(measured, tmp_path, time=0)).out)
    manifest = json.loads((models / io_heads.MANIFEST).read_text())
    (models / io_heads.MANIFEST).write_text(json.dumps(manifest | {"plane": {"kind": trained}}))
    table = parquet.read_table(measured)
    other = str(tmp_path / "other.parquet")
    parquet.write_table(other, table, {"config": {"plane": {"kind": "max"}}})
    config = ScoreConfig(models=str(models), features=other, out=str(tmp_path / "p.parquet"))
    if not refused:
        assert predict.run_forests(config).n_run == 1
        return
    with pytest.raises(ChoiceError, match=r"plane focus, .* was measured on plane max: measure it"):
        predict.run_forests(config)


def test_a_choice_that_would_be_passed_over_is_a_usage_error(measured, models, tmp_path):
    line = f"predict {models} {measured} --time 1 --out {tmp_path}/p.parquet --cluster inline"
    found = CliRunner().invoke(app, line.split())
    assert found.exit_code == 2
    assert "--plane and --time are of plates" in " ".join(found.stderr.replace("│", " ").split())


def test_hits_are_of_one_time_point(measured, tmp_path):
    table = pd.read_parquet(measured).assign(**{col.PERT_TYPE: "trt"})
    table.to_parquet(tmp_path / "v.parquet")
    source = {"kind": "values", "path": str(tmp_path / "v.parquet"), "columns": (LENGTH,)}
    given = {"source": source, "out": str(tmp_path / "hits.parquet")}
    with pytest.raises(ChoiceError, match="holds 3 time points of plate T"):
        hits.run(HitsConfig.model_validate(given))
    for time in range(len(LENGTHS)):
        made = hits.run(HitsConfig.model_validate(given | {"time": time}))
        wells = pd.read_parquet(made.out)
        expected = table[table[col.TIME] == time]
        np.testing.assert_allclose(wells[col.SCORE], expected[LENGTH])


def test_hits_count_the_cells_of_the_scores_time(measured, tmp_path):
    """Cells of one well die: of each score those of its own time point count."""
    table = parquet.read_table(measured)
    table[col.N_CELLS] = 10.0 * (table[col.TIME] + 1)
    parquet.write_table(tmp_path / "f.parquet", table)
    scores = table[[*col.IMAGE_KEY, col.TIME]].assign(**{col.SCORE: 0.5, col.MODEL: "cnn"})
    scores = scores.assign(**{col.SPLIT: 0, col.ROLE: "new", col.PERT_TYPE: "trt"})
    for time, said in ((1, {"time": 1}), (2, {})):
        of_time = scores if said else scores[scores[col.TIME] == time]
        parquet.write_table(tmp_path / "p.parquet", of_time)
        source = {"path": str(tmp_path / "p.parquet"), "features": str(tmp_path / "f.parquet")}
        given = {"source": source | {"kind": "predictions"}, "out": str(tmp_path / "hits.parquet")}
        wells = pd.read_parquet(hits.run(HitsConfig.model_validate(given | said)).out)
        assert set(wells[col.N_CELLS]) == {10.0 * (time + 1)}


def test_a_gallery_shows_cells_of_its_own_time(tmp_path):
    plate = write_lapse(tmp_path)
    measure(plate, tmp_path / "f.parquet", time="last", write_labels=True)
    count = {f"A{i:02d}" if i < 4 else f"B{i - 3:02d}": n for i, n in enumerate(CELLS.values(), 1)}
    last = write_gallery([plate], tmp_path / "g.png", time=LastTime())
    assert len(last) == len(CELLS)
    for caption in last:
        well = caption.split(", ")[1]
        assert "time 2" in caption
        assert f"{count[well]} cells in the field" in caption
    for caption in write_gallery([plate], tmp_path / "g.png", time=FirstTime()):
        assert "time 0" in caption
        assert "not measured" in caption  # rather than that it has no cells


# ── a study, and the probes ─────────────────────────────────────────────────────────────────────


def test_a_study_says_it_once_for_all_stages(monkeypatch, tmp_path):
    """Every time point is measured, and one of them is what classifiers and hits are made from."""
    said = {}

    def note(stage):
        def run(config, *_):
            said[stage] = (getattr(config, "plane", None), config.time)
            raise Stop if stage == "hits" else Seen

        return run

    class Seen(Exception):
        pass

    class Stop(Exception):
        pass

    study = StudyConfig.model_validate(
        {
            "name": "lapse",
            "out": str(tmp_path),
            "plates": [
                {"name": "P", "source": "p"},
                {"name": "S", "source": "s", "role": "screen"},
            ],
            "plane": "focus",
            "time": "2",
        }
    )
    for stage in (features, stack, forest, hits):
        with monkeypatch.context() as patch:
            for other in (ingest, features, splits, stack, embed, train, forest, evaluate, predict):
                patch.setattr(other, "run", lambda *_: StageResult(stage="x", out="x"))
            patch.setattr(stage, "run", note(stage.STAGE))
            with pytest.raises((Seen, Stop)):
                list(study_run.run_stages(study))
    shown = {name: (str(plane), str(time)) for name, (plane, time) in said.items()}
    assert shown == {
        "features": ("focus", "all"),
        "stack": ("focus", "2"),
        "forest": ("None", "2"),
        "hits": ("None", "2"),
    }


def test_a_study_cannot_be_of_all_times_at_once():
    with pytest.raises(ValueError, match="one time point is needed here, not all of them"):
        StudyConfig(name="x", plates=[{"name": "P", "source": "p"}], time="all")


def test_probes_see_the_intensity_of_the_network_s_time_point(t_plate, measured, tmp_path):
    made = forest_config(measured, tmp_path)
    drawn = Splits.read_json(Path(made.splits).read_text(), where="splits")
    config = ProbeConfig(bank="x", splits="x", plates=(t_plate,), features=measured)
    seen = PlateReader(t_plate).images.assign(**{col.TIME: 1})
    found = intensity_table(config, drawn, seen)
    assert len(found.images) == len(CELLS)
    assert not [name for name in found.columns if name.startswith("Image_Intensity_Min")]
    table = pd.read_parquet(measured)
    expected = table[table[col.TIME] == 1].set_index(col.WELL)["Image_Intensity_Mean"]
    found_mean = found.images.set_index(col.WELL)["Image_Intensity_Mean"]
    pd.testing.assert_series_equal(found_mean.sort_index(), expected.sort_index())
