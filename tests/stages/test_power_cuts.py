"""After a power cut at any point the same command goes on and its output is the same."""

from __future__ import annotations

import errno
import itertools
import os
import shutil

import power_cuts
import pytest
import small_studies

from hcs.compute.units import Unit, run_units
from hcs.io.files import durable
from hcs.io.runs.ledger import Ledger

FORMER = {
    "ingest": {"pixel_size_um": 2.0},
    "stack": {"median_level": 40.0},
    "train": {"epochs": 1},
}
"""Settings of an earlier run, of which outputs have the same sizes."""


CUTS = int(os.environ.get("HCS_TEST_CUTS", "3"))
"""Points at which each run is cut; more of them by this variable of the environment."""


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("inputs")
    small_studies.write_inputs(folder, with_network=False)
    return folder


def started_anew(monkeypatch):
    monkeypatch.setenv(durable.SWITCH, "1")
    monkeypatch.setattr(durable, "_read_boot", lambda: "after the cut")


@pytest.mark.parametrize(
    ("stage", "again"),
    [("ingest", False), ("ingest", True), ("stack", False), ("stack", True), ("train", True)],
)
def test_the_same_command_goes_on_after_a_cut(inputs, tmp_path, monkeypatch, stage, again):
    out = tmp_path / "out"
    former, reference = tmp_path / "former", tmp_path / "reference"
    for folder, settings in ((former, FORMER[stage]), (reference, {})):
        small_studies.prepare(stage, inputs, folder)
        small_studies.run_stage(stage, inputs, folder, **settings)
    small_studies.prepare(stage, inputs, out)
    if again:
        small_studies.run_stage(stage, inputs, out, **FORMER[stage])
    with power_cuts.traced(out, monkeypatch) as trace:
        small_studies.run_stage(stage, inputs, out)
    wanted = small_studies.read_output(reference)
    assert small_studies.find_differences(small_studies.read_output(out), wanted) == []
    assert len(trace.steps) > 20
    started_anew(monkeypatch)
    steps = trace.steps[:: max(1, len(trace.steps) // CUTS)]
    for seed, (step, left) in enumerate(itertools.product(steps, power_cuts.LEFT)):
        # Also back to the earlier settings: what was changed meanwhile must not count as theirs.
        back = again and seed % 2
        power_cuts.cut(out, step, left, seed)
        small_studies.run_stage(stage, inputs, out, **(FORMER[stage] if back else {}))
        expected = small_studies.read_output(former) if back else wanted
        found = small_studies.find_differences(small_studies.read_output(out), expected)
        assert found == [], (left, seed)


def _write(payload):
    from hcs.io.files.atomic import write_bytes

    write_bytes(payload, b"content")
    return {}


def test_a_cut_takes_what_was_not_waited_for_and_a_kill_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv(durable.SWITCH, "1")

    def fail(_):
        raise OSError(errno.EIO, "the disk is gone")

    monkeypatch.setattr(durable, "_find_call", lambda: fail)
    ledger = Ledger.of(tmp_path / "out")
    units = [Unit(f"u{n}", "mark", str(tmp_path / f"out/{n}")) for n in range(3)]
    with pytest.raises(OSError, match="the disk is gone"):
        run_units(_write, units, ledger=ledger, client=None, label="write")
    from hcs.compute.work import Work, find_done

    here = Work(_write, ledger, boot=durable.name_boot())
    assert len(list(here.perform(units))) == 3  # recorded, and never confirmed
    assert len(find_done(units, ledger)) == 3
    started_anew(monkeypatch)
    assert find_done(units, ledger) == {}
    monkeypatch.setattr(durable, "_find_call", lambda: lambda _: None)
    assert run_units(_write, units, ledger=ledger, client=None, label="write").n_run == 3
    monkeypatch.setattr(durable, "_read_boot", lambda: "after another")
    assert run_units(_write, units, ledger=ledger, client=None, label="write").n_run == 0


def test_another_machine_than_the_commands_waits_for_its_own_disk(tmp_path, monkeypatch):
    from hcs.compute.work import Work, find_done

    monkeypatch.setenv(durable.SWITCH, "1")
    waited = []
    monkeypatch.setattr(durable, "_find_call", lambda: waited.append)
    ledger = Ledger.of(tmp_path / "out")
    units = [Unit(f"u{n}", "mark", str(tmp_path / f"out/{n}")) for n in range(3)]
    list(Work(_write, ledger, boot="of the command").perform(units))
    assert len(waited) == 1
    started_anew(monkeypatch)
    assert len(find_done(units, ledger)) == 3
    shutil.rmtree(tmp_path / "out")
    assert find_done(units, ledger) == {}
