"""The frame of every stage: what it refuses, skips and redoes, and that no setting is forgotten."""

from __future__ import annotations

from pathlib import Path

import pytest
import small_studies
from pydantic import BaseModel

from hcs.compute.units import Unit
from hcs.domain import columns as col
from hcs.domain.config.layouts import InCellLayout
from hcs.domain.config.measuring import MorphologyConfig, Sizes
from hcs.domain.config.network import Augmentation, Backbone, FixedOptimizer, Head
from hcs.domain.config.planes import LastTime, MaximumOfPlanes
from hcs.domain.config.screening import HitsOptions
from hcs.domain.results import Problem
from hcs.errors import ImageReadError, LockedError, StaleError
from hcs.io.files.atomic import write_bytes
from hcs.io.files.parquet import read_problems
from hcs.io.runs.locks import locked
from hcs.stages.frame import Frame, MadeFrom, open_frame

# ── one frame ───────────────────────────────────────────────────────────────────────────────────


class Settings(BaseModel):
    """Of a stage that squares numbers."""

    out: str
    power: int = 2
    strict: bool = False


def _raise_number(job: tuple[Settings, int]) -> dict[str, object]:
    config, number = job
    if number < 0:
        if config.strict:
            raise ImageReadError(f"{number} is negative", col.Reason.UNREADABLE)
        found = Problem(
            stage="toy", file=str(number), reason=col.Reason.UNREADABLE,
            message=f"{number} is negative",
        )  # fmt: skip
        return {"problems": [found.model_dump(mode="json")]}
    write_bytes(f"{config.out}/{number}", str(number**config.power).encode())
    return {"value": number**config.power}


def run(config, numbers, *, reads=(), title="t", in_place=False):
    """Write a number a file, and all of them as one table."""
    apart = ("out", "strict")
    with open_frame("toy", config, out=config.out, reads=reads, apart=apart) as opened:
        common = MadeFrom(1, opened.settings).fingerprint
        units = [Unit(f"n{n}", MadeFrom(1, common, values=n).fingerprint, (config, n))
                 for n in numbers]  # fmt: skip
        found = opened.do(_raise_number, units, in_place=in_place)

        def write(made):
            rows = [result["value"] for result in found if "value" in result]
            write_bytes(f"{config.out}/table", f"{title} {rows}".encode())
            return {"stage": made["stage"], "n": len(rows)}

        made_from = MadeFrom(1, metadata=title, values=[unit.fingerprint for unit in units])
        joined = opened.join("table", made_from, write)
        return opened.result(joined)


@pytest.fixture
def config(tmp_path):
    return Settings(out=str(tmp_path / "toy"))


def table_of(config):
    return Path(config.out, "table").read_text()


def written_at(config):
    return Path(config.out, "table").stat().st_mtime_ns


def test_a_joined_table_is_written_again_only_when_it_must_be(config):
    first = run(config, [1, 2])
    assert (first.n_run, first.summary) == (2, {"stage": "toy", "n": 2})
    assert table_of(config) == "t [1, 4]"
    at = written_at(config)
    again = run(config, [1, 2])
    assert (again.n_run, again.n_skipped, again.summary) == (0, 2, first.summary)
    assert written_at(config) == at
    assert run(config, [1, 2], title="u").n_run == 0
    assert table_of(config) == "u [1, 4]"
    Path(config.out, "table").unlink()
    assert run(config, [1, 2], title="u").n_run == 0
    assert table_of(config) == "u [1, 4]"
    assert run(config, [1, 2, 3]).n_run == 1
    assert table_of(config) == "t [1, 4, 9]"
    assert run(config.model_copy(update={"power": 3}), [1, 2, 3]).n_run == 3
    assert table_of(config) == "t [1, 8, 27]"
    assert run(config.model_copy(update={"strict": True, "power": 3}), [1, 2, 3]).n_run == 0


def test_an_output_that_was_lost_is_made_again_and_no_other(config):
    run(config, [1, 2, 3])
    Path(config.out, "2").unlink()
    again = run(config, [1, 2, 3])
    assert (again.n_run, again.n_skipped) == (1, 2)
    assert Path(config.out, "2").read_text() == "4"


def test_what_the_output_no_longer_has_is_forgotten(config):
    run(config, [1, 2, 3])
    run(config, [1, 3])
    names = {path.name for path in Path(f"{config.out}.hcs/units").iterdir()}
    assert names == {"n1.json", "n3.json", "joined-table.json"}


def test_strict_stops_for_a_problem_that_an_earlier_run_met(config):
    lenient = run(config, [1, -2])
    assert [problem.message for problem in lenient.problems] == ["-2 is negative"]
    again = run(config, [1, -2])
    assert (again.n_run, again.problems) == (0, lenient.problems)
    assert read_problems(config.out)["message"].tolist() == ["-2 is negative"]
    with pytest.raises(ImageReadError, match="-2 is negative"):
        run(config.model_copy(update={"strict": True}), [1, -2])


def test_an_input_that_was_left_unfinished_is_refused_with_the_command(config, tmp_path):
    reader = Settings(out=str(tmp_path / "next"))
    run(config, [1], in_place=True)
    run(reader, [1], reads=[config.out])
    with pytest.raises(ImageReadError):
        run(config.model_copy(update={"strict": True}), [1, -2], in_place=True)
    with pytest.raises(StaleError, match="toy was left unfinished by a run of hcs toy that was"):
        run(reader, [1], reads=[config.out])
    run(config, [1, 2], in_place=True)
    run(reader, [1], reads=[config.out])


def test_a_stage_that_adds_parts_leaves_its_output_readable(config, tmp_path):
    run(config, [1])
    with pytest.raises(ImageReadError):
        run(config.model_copy(update={"strict": True}), [1, -2])
    run(Settings(out=str(tmp_path / "next")), [1], reads=[config.out])


def test_whatever_is_written_into_is_locked(config, tmp_path):
    other = str(tmp_path / "plate")
    with (
        locked(other),
        pytest.raises(LockedError),
        open_frame("toy", config, out=config.out, also_writes=[other]),
    ):
        pass


# ── every stage ─────────────────────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    """Write small inputs of every stage."""
    folder = tmp_path_factory.mktemp("inputs")
    small_studies.write_inputs(folder)
    return folder


class Stop(Exception):
    """The stage has said what it is made from."""


def marks_of(stage, inputs, out, monkeypatch, **settings):
    """Fingerprints of the units and tables that a stage would make, nothing of it being done."""
    marks = {}

    def note_units(self, work, units, **more):
        marks.update({unit.id: unit.fingerprint for unit in units})
        if stage != "ingest":  # which lists in its tables what its units returned
            raise Stop
        return do(self, work, units, **more)

    def note_table(self, name, made_from, write, **more):
        marks[name] = made_from.fingerprint
        if name != "windows":  # which ingest joins before its tables
            raise Stop

    do = Frame.do
    small_studies.prepare(stage, inputs, out)
    with monkeypatch.context() as patch:
        patch.setattr(Frame, "do", note_units)
        patch.setattr(Frame, "join", note_table)
        with pytest.raises(Stop):
            small_studies.run_stage(stage, inputs, out, **settings)
    return marks


def apart_of(stage, inputs, out, monkeypatch):
    """Settings that a stage names as those that change no result."""
    seen = []

    def note(self, *given, **more):
        seen.append(self.apart)
        raise Stop

    small_studies.prepare(stage, inputs, out)
    with monkeypatch.context() as patch:
        patch.setattr(Frame, "do", note)
        patch.setattr(Frame, "join", note)
        with pytest.raises(Stop):
            small_studies.run_stage(stage, inputs, out)
    return seen[0]


CHOICE = {"plane": MaximumOfPlanes(), "time": LastTime()}

OTHER = {
    "ingest": {
        "layout": InCellLayout(), "plate_name": "P2", "plate_wells": 384, "pixel_size_um": 0.5,
        "projection": "max", "pages": "z",
    },
    "features": {
        "morphology": MorphologyConfig(sizes=Sizes(soma_diameter_um=9.0)), "write_labels": False,
        **CHOICE,
    },
    "splits": {
        "group_by": col.DONOR, "label": col.BATCH, "positive": "control", "n_splits": 4, "train": 2,
        "validation": 2, "test": 2, "seed": 1,
    },
    "stack": {"channel": "Blue - FITC", "image_px": 40, "median_level": 70.0, **CHOICE},
    "embed": {
        "backbone": Backbone(weights="random", layer="block1_conv2"), "views": 2,
        "augmentation": Augmentation(rotation_deg=90), "seed": 1,
    },
    "train": {
        "head": Head(hidden_units=8), "optimizer": FixedOptimizer(momentum=0.5), "epochs": 3,
        "batch_size": 4, "seed": 1,
    },
    "forest": {
        "feature_set": "classic", "n_trees": 6, "min_samples_leaf": 2, "importance_repeats": 2,
        "seed": 1, "time": LastTime(),
    },
    "predict": CHOICE,
    "hits": {
        "time": LastTime(),
    }
    | {
        name: getattr(HitsOptions(**{name: value}), name)
        for name, value in {
            "aggregation": {"kind": "median"}, "scale": "score", "min_images": 2, "min_cells": 1.0,
            "image_limits": {"Image_Count_Cells": (1.0, None)}, "min_controls": 2,
            "reference": "samples", "normalize_over": "batch", "score_over": "batch",
            "spatial": {"kind": "median-polish"}, "normalization": {"kind": "z"},
            "direction": "both", "call": {"kind": "ssmd"}, "robust_z_threshold": 2.0, "fdr": 0.1,
            "min_cell_fraction": 0.4, "replicates": "mean", "limits": {"min_z_prime": 0.4},
            "dose": {"level": 0.4},
        }.items()
    },
    "evaluate": {"n_bootstrap": 60, "seed": 1},
}  # fmt: skip
"""Another value of every setting that changes what a stage makes."""


@pytest.mark.parametrize("stage", small_studies.STAGES)
def test_every_setting_counts_unless_the_stage_names_it(inputs, tmp_path, monkeypatch, stage):
    config = small_studies.config_of(stage, inputs, tmp_path)
    apart = apart_of(stage, inputs, tmp_path / "apart", monkeypatch)
    if stage == "hits":  # which takes its paths out itself: they stand within its source
        apart = {"source", "out"}
    if stage == "ingest":  # files have no acquisitions: the setting is refused
        apart = apart | {"acquisition"}
    assert set(OTHER[stage]) == set(type(config).model_fields) - apart
    before = marks_of(stage, inputs, tmp_path / "before", monkeypatch)
    assert marks_of(stage, inputs, tmp_path / "again", monkeypatch) == before
    for name, value in OTHER[stage].items():
        assert value != getattr(config, name)
        after = marks_of(stage, inputs, tmp_path / name, monkeypatch, **{name: value})
        assert set(after.values()) - set(before.values()), f"{name} changes nothing"
