"""The command line: quick help without heavy imports, exit codes, JSON, examples."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import tifffile
from small_plates import field, name_of
from typer.testing import CliRunner

from hcs.domain.config.screening import HitsOptions
from hcs_cli.app import app

RUNNER = CliRunner()
COMMANDS = [
    command.name or command.callback.__name__  # type: ignore[union-attr]
    for command in app.registered_commands
]


def call(*arguments: str):
    """Run a command in this process."""
    return RUNNER.invoke(app, list(arguments))


HEAVY = {
    "tensorflow",
    "keras",
    "zarr",
    "dask",
    "distributed",
    "pandas",
    "numpy",
    "sklearn",
    "bokeh",
}
PAGES = [*([name] for name in COMMANDS), ["blind", "layout"], ["schema", "write"]]


@pytest.mark.parametrize(
    ("pages", "heavy"),
    [
        pytest.param([[]], HEAVY | {"pydantic"}, id="hcs"),
        pytest.param(PAGES, HEAVY, id="commands"),  # typer asks pydantic about their options
    ],
)
def test_help_imports_nothing_heavy(pages, heavy):
    code = (
        "import sys; from typer.testing import CliRunner; from hcs_cli.app import app\n"
        f"for page in {pages}:\n"
        "    assert CliRunner().invoke(app, [*page, '--help']).exit_code == 0, page\n"
        f"print({heavy} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(command):
    result = call(command, "--help")
    assert result.exit_code == 0
    assert f"hcs {command}" in result.stdout.split("Example:")[1]


@pytest.mark.parametrize("command", ["features", "gallery", "splits", "stack", "predict models"])
def test_an_output_among_the_plates_is_named(command):
    done = call(*command.split(), "P1.zarr", "what.parquet")
    assert done.exit_code == 2
    assert "what.parquet is no plate" in " ".join(done.stderr.replace("│", "").split())


def test_predict_takes_a_table_of_features(tmp_path):
    done = call("predict", str(tmp_path / "forest"), "features.parquet", "--cluster", "inline")
    assert (done.exit_code, "is no plate" in done.stderr) == (1, False)


def test_unknown_command_and_option_are_usage_errors():
    assert call("nonsense").exit_code == 2
    assert call("ingest", "--nonsense").exit_code == 2


def test_version():
    assert re.fullmatch(r"hcs \d+\.\d+\.\d+\S*\n", call("--version").stdout)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Make a folder of four images."""
    images = tmp_path / "tiffs"
    images.mkdir()
    for column in range(1, 5):
        tifffile.imwrite(images / name_of("A", column, 1), field(column))
    return images


def test_done_is_0_and_json_goes_to_stdout(folder, tmp_path):
    out = str(tmp_path / "P.zarr")
    result = call("ingest", str(folder), out, "--cluster", "inline", "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["summary"]["fields"] == 4
    assert call("validate", out).exit_code == 0
    found = json.loads(call("info", out, "--json").stdout)
    assert (found["fields"], found["channels"]) == (4, ["Blue - FITC"])


def test_done_with_problems_is_3_and_names_them(folder, tmp_path):
    (folder / name_of("A", 2, 1)).write_text("not an image")
    result = call("ingest", str(folder), str(tmp_path / "P.zarr"), "--cluster", "inline")
    assert result.exit_code == 3
    assert "1 problems" in result.stderr
    assert "A02" in result.stderr


def test_strict_fails_with_1(folder, tmp_path):
    (folder / name_of("A", 2, 1)).write_text("not an image")
    out = str(tmp_path / "P.zarr")
    result = call("ingest", str(folder), out, "--cluster", "inline", "--strict")
    assert result.exit_code == 1
    assert name_of("A", 2, 1) in result.stderr


def test_failed_is_1_with_the_reason_on_stderr(tmp_path):
    result = call("info", str(tmp_path / "nothing.zarr"))
    assert result.exit_code == 1
    assert "nothing.zarr" in result.stderr
    assert "Traceback" not in result.stderr


def test_settings_that_cannot_be_used_are_2_and_all_listed(folder, tmp_path):
    result = call(
        "ingest", str(folder), str(tmp_path / "P.zarr"), "--layout", "regex:(", "--plate-wells",
        "97", "--cluster", "inline",
    )  # fmt: skip
    assert result.exit_code == 2
    assert "layout.regex.pattern" in result.stderr
    assert "plate_wells" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        pytest.param(
            ("--layout", "operata"), "layout: there is no 'operata'; choose one of auto, incell",
            id="unknown",
        ),
        pytest.param(("--layout", "regex"), "layout.regex.pattern: Field required", id="bare"),
        pytest.param(("--layout", "regex:(?P<x"), "not a regular expression", id="no-pattern"),
        pytest.param(("--layout", r"regex:(?P<a>\d)"), "unknown groups ['a']", id="other-group"),
        pytest.param(("--layout", r"regex:\d"), "needs a group 'well'", id="no-well"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_layout_is_said_without_what_validates_it(folder, arguments, told):
    result = call("ingest", str(folder), "out.zarr", "--cluster", "inline", *arguments)
    assert result.exit_code == 2
    assert told in " ".join(result.stderr.split())
    assert not any(word in result.stderr for word in ("{", "Input tag", "Value error", "kind"))


def test_a_study_file_with_faults_lists_all_of_them(tmp_path):
    study = tmp_path / "study.yaml"
    study.write_text("name: s\nplates: []\nembed: {views: -1}\ncolour: red\n")
    result = call("run", str(study))
    assert result.exit_code == 1
    assert "3 faults" in result.stderr
    for what in ("plates", "embed.views", "colour"):
        assert what in result.stderr


def test_dry_run_lists_and_writes_nothing(folder, tmp_path):
    (folder / "thumb.tif").write_bytes(b"")
    out = tmp_path / "P.zarr"
    pattern = r"regex:(?P<row>[A-P]) - (?P<column>\d+)\(fld (?P<site>\d+) wv (?P<channel>.+)\)\.tif"
    result = call("ingest", str(folder), str(out), "--layout", pattern, "--dry-run")
    assert "A03 site 1 Blue - FITC" in result.stdout
    assert "thumb.tif" in result.stderr
    assert not out.exists()


def test_schemas_are_in_step_with_the_models(tmp_path):
    assert call("schema", "write", "--out", str(tmp_path)).exit_code == 0
    kept = Path(__file__).resolve().parents[2] / "schemas"
    written = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert written == {path.name: path.read_text() for path in kept.glob("*.json")}


def test_defaults_that_help_states_are_those_of_the_settings():
    page = " ".join(call("hits", "--help").stdout.replace("│", " ").split())
    settings = HitsOptions()
    stated = {
        "aggregate": settings.aggregation.kind,
        "scale": settings.scale,
        "correct": settings.spatial.kind,
        "normalize": settings.normalization.kind,
        "over": settings.normalize_over,
        "score-over": settings.score_over,
        "reference": settings.reference,
        "call": settings.call.kind,
        "threshold": settings.robust_z_threshold,
        "fdr": settings.fdr,
        "direction": settings.direction,
        "replicates": settings.replicates,
        "min-cells": settings.min_cells,
        "min-images": settings.min_images,
        "min-cell-fraction": settings.min_cell_fraction,
        "min-controls": settings.min_controls,
    }
    for name, value in stated.items():
        told = re.search(rf" --{name} <.*?\[default: \(?(.*?)\)?\]", page)
        assert told is not None, name
        assert (name, told[1]) == (name, str(value))
