"""A resumable map: skips what is done, keeps what was finished, names what failed."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from hcs.compute import progress
from hcs.compute import units as units_module
from hcs.compute.units import Unit, _attempt, _UnitError, run_units
from hcs.errors import ImageReadError, WorkerError
from hcs.io.runs.ledger import Ledger


def _double(payload: int) -> dict[str, int]:
    return {"value": 2 * payload, "pid": os.getpid()}


def _fails_on_three(payload: int) -> dict[str, int]:
    if payload == 3:
        msg = "three is too many"
        raise RuntimeError(msg)
    return {"value": payload}


def _bad_image(payload: int) -> dict[str, int]:
    msg = "A01.tif is truncated"
    raise ImageReadError(msg, "truncated")


def _dies_once(payload: str) -> dict[str, int]:
    marker = Path(payload)
    if not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return {"value": 1}


def _notes_and_dies_once(payload: tuple[str, bool]) -> dict[str, int]:
    """Write a line into a file; kill its own process the first time where told so."""
    path, deadly = payload
    with Path(path).open("a", encoding="utf-8") as stream:
        stream.write("x")
    if deadly and Path(path).read_text(encoding="utf-8") == "x":
        os.kill(os.getpid(), signal.SIGKILL)
    return {"value": 1}


def _notes_and_fails_once(payload: tuple[str, bool]) -> dict[str, int]:
    path, bad = payload
    with Path(path).open("a", encoding="utf-8") as stream:
        stream.write("x")
    if bad and Path(path).read_text(encoding="utf-8") == "x":
        msg = "once"
        raise RuntimeError(msg)
    return {"value": 1}


def units_of(count: int, mark: str = "a") -> list[Unit[int]]:
    return [Unit(f"u{number}", f"{mark}{number}", number) for number in range(count)]


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger.of(tmp_path / "out.parquet")


def test_results_keep_the_order_of_the_units(ledger, cluster):
    outcome = run_units(_double, units_of(20), ledger=ledger, client=cluster, label="double")
    assert [result["value"] for result in outcome.results] == [2 * n for n in range(20)]
    assert (outcome.n_run, outcome.n_skipped) == (20, 0)


def test_second_run_does_nothing_and_gives_the_same_results(ledger):
    first = run_units(_double, units_of(5), ledger=ledger, client=None, label="double")
    second = run_units(_double, units_of(5), ledger=ledger, client=None, label="double")
    assert second.results == first.results
    assert (second.n_run, second.n_skipped) == (0, 5)


def test_only_units_with_another_fingerprint_are_done_again(ledger):
    run_units(_double, units_of(5), ledger=ledger, client=None, label="double")
    units = units_of(5)
    units[2] = Unit("u2", "changed", 50)
    outcome = run_units(_double, units, ledger=ledger, client=None, label="double")
    assert (outcome.n_run, outcome.n_skipped) == (1, 4)
    assert outcome.results[2]["value"] == 100


@pytest.mark.parametrize(
    "on_workers", [pytest.param(False, id="here"), pytest.param(True, id="workers")]
)
def test_a_failing_unit_is_named_and_the_finished_ones_stay(ledger, request, on_workers):
    client = request.getfixturevalue("cluster") if on_workers else None
    with pytest.raises(WorkerError, match=r"unit u3 failed: RuntimeError: three is too many"):
        run_units(_fails_on_three, units_of(4), ledger=ledger, client=client, label="fail")
    assert ledger.read("u0") is not None
    assert ledger.read("u3") is None


def test_our_own_errors_cross_the_process_border_whole(ledger, cluster):
    with pytest.raises(ImageReadError, match=r"A01\.tif is truncated") as caught:
        run_units(_bad_image, units_of(1), ledger=ledger, client=cluster, label="bad")
    assert caught.value.reason == "truncated"


def test_a_killed_worker_loses_nothing(ledger, cluster, tmp_path):
    units = [Unit(f"u{n}", "a", str(tmp_path / f"marker{n}")) for n in range(1)]
    outcome = run_units(_dies_once, units, ledger=ledger, client=cluster, label="die")
    assert outcome.results == [{"value": 1}]


def test_quick_units_share_tasks_and_keep_records_of_their_own(ledger, cluster, monkeypatch):
    sizes = []
    next_count = units_module._next_count

    def counted(*arguments):
        sizes.append(next_count(*arguments))
        return sizes[-1]

    monkeypatch.setattr(units_module, "_next_count", counted)
    outcome = run_units(_double, units_of(300), ledger=ledger, client=cluster, label="double")
    assert [result["value"] for result in outcome.results] == [2 * n for n in range(300)]
    assert sum(sizes) == 300
    assert len(sizes) < 100
    assert len(list(Path(ledger.folder).glob("*.json"))) == 300


def test_a_killed_worker_repeats_nothing_that_its_task_had_finished(ledger, cluster, tmp_path):
    units = [Unit(f"u{n}", "a", (str(tmp_path / f"note{n}"), n == 150)) for n in range(200)]
    run_units(_notes_and_dies_once, units, ledger=ledger, client=cluster, label="die")
    runs = {n: (tmp_path / f"note{n}").read_text(encoding="utf-8") for n in range(200)}
    assert runs.pop(150) == "xx"
    assert set(runs.values()) == {"x"}


def test_a_task_that_is_tried_again_takes_up_what_it_had_finished(ledger, tmp_path):
    units = [Unit(f"u{n}", "a", (str(tmp_path / f"note{n}"), n == 2)) for n in range(4)]
    with pytest.raises(_UnitError, match=r"unit u2 failed: RuntimeError: once"):
        _attempt(_notes_and_fails_once, units, ledger)
    done = _attempt(_notes_and_fails_once, units, ledger)
    assert [name for name, _ in done.results] == ["u0", "u1", "u2", "u3"]
    runs = [(tmp_path / f"note{n}").read_text(encoding="utf-8") for n in range(4)]
    assert runs == ["x", "x", "xx", "x"]


def test_a_unit_that_was_begun_anew_is_not_taken_for_the_old_one(ledger):
    done = [Unit("u", "old", 1)]
    run_units(_double, done, ledger=ledger, client=None, label="double")
    with pytest.raises(WorkerError):
        run_units(_fails_on_three, [Unit("u", "new", 3)], ledger=ledger, client=None, label="fail")
    outcome = run_units(_double, done, ledger=ledger, client=None, label="double")
    assert (outcome.n_run, outcome.results[0]["value"]) == (1, 2)


def test_a_damaged_record_is_done_again(ledger):
    run_units(_double, units_of(1), ledger=ledger, client=None, label="double")
    Path(ledger.folder, "u0.json").write_text('{"fingerprint": "a0", "resu')
    outcome = run_units(_double, units_of(1), ledger=ledger, client=None, label="double")
    assert outcome.n_run == 1
    assert json.loads(Path(ledger.folder, "u0.json").read_text())["result"]["value"] == 0


def test_progress_counts_what_was_done_before(ledger):
    class Heard:
        def __init__(self):
            self.lines = []

        def begin(self, label, total, done):
            self.lines.append((label, total, done))

        def advance(self):
            self.lines.append("advance")

        def end(self):
            self.lines.append("end")

        def say(self, text):
            self.lines.append(text)

    run_units(_double, units_of(2), ledger=ledger, client=None, label="double")
    heard = Heard()
    with progress.show_on(heard):
        run_units(_double, units_of(3), ledger=ledger, client=None, label="double")
    assert heard.lines == [("double", 3, 2), "advance", "end"]
