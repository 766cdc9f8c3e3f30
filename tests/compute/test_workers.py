"""Clusters that change: workers that come late, run other code, are too small, or still write."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest
from distributed import Client, LocalCluster

import hcs
from hcs.compute import budget, progress
from hcs.compute.budget import GIB, check_budget, find_need, worker_memory_bytes
from hcs.compute.client import has_gpus, open_client
from hcs.compute.dispatch import _attempt, _Terms
from hcs.compute.identity import Identity, check_workers, hash_source
from hcs.compute.units import Unit, Work, run_units
from hcs.domain.config.stages import ExistingCluster
from hcs.errors import MemoryBudgetError, VersionError, WorkerError
from hcs.io.runs.ledger import Ledger

REPOSITORY = Path(__file__).parents[2]


def _sleep(seconds: float) -> dict[str, float]:
    time.sleep(seconds)
    return {"slept": seconds}


def _meet(payload: tuple[str, int]) -> dict[str, int]:
    """Stay until so many tasks are at work at once, at most half a minute."""
    folder, count = payload
    Path(folder, f"{os.getpid()}-{time.time_ns()}").touch()
    end = time.monotonic() + 30
    while (met := len(list(Path(folder).iterdir()))) < count and time.monotonic() < end:
        time.sleep(0.05)
    return {"met": met}


def _write_slowly(payload: tuple[str, int]) -> dict[str, int]:
    """Fail soon in the first unit; begin to write at once and end much later in the others."""
    folder, number = payload
    if number == 0:
        time.sleep(0.5)
        msg = "zero is too few"
        raise RuntimeError(msg)
    Path(folder, f"begun{number}").touch()
    time.sleep(2)
    Path(folder, f"ended{number}").touch()
    return {"value": number}


class Heard(progress.Silent):
    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)


@pytest.fixture
def empty() -> Iterator[LocalCluster]:
    """Scheduler without workers."""
    with LocalCluster(
        n_workers=0,
        threads_per_worker=1,
        memory_limit=GIB,
        host="127.0.0.1",
        dashboard_address=":0",
    ) as started:
        yield started


@pytest.fixture
def client(empty) -> Iterator[Client]:
    with open_client(ExistingCluster(address=empty.scheduler_address)) as opened:
        assert opened is not None
        yield opened


@pytest.fixture
def ledger(tmp_path) -> Ledger:
    return Ledger.of(tmp_path / "out.parquet")


@contextmanager
def later(seconds: float, *call) -> Iterator[None]:
    """Do something a while after the block has begun."""
    timer = threading.Timer(seconds, call[0], call[1:])
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()


@contextmanager
def worker(address: str, folder: Path, *options: str, code: Path | None = None) -> Iterator[None]:
    """Run a worker of one's own, with another code where it is told."""
    path = os.pathsep.join(map(str, filter(None, [code, REPOSITORY])))
    command = [sys.executable, "-m", "distributed.cli.dask_worker", address, "--nthreads", "1"]
    command += ["--no-dashboard", "--no-nanny", "--local-directory", str(folder / "scratch")]
    process = subprocess.Popen(
        [*command, *options],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    with process:
        try:
            yield
        finally:
            process.kill()


def find_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


# ── late ────────────────────────────────────────────────────────────────────────────────────────


def test_workers_that_come_late_are_all_used(empty, client, ledger, tmp_path):
    folder = tmp_path / "met"
    folder.mkdir()
    units = [Unit(f"u{number}", "a", (str(folder), 6)) for number in range(6)]
    heard = Heard()
    with progress.show_on(heard), later(0.7, empty.scale, 1), later(4, empty.scale, 6):
        outcome = run_units(_meet, units, ledger=ledger, client=client, label="meet")
    assert heard.said == [f"waiting for the first worker of {empty.scheduler_address}"]
    assert [result["met"] for result in outcome.results] == [6] * 6


def test_nothing_is_decided_on_an_empty_cluster(empty, client):
    heard = Heard()
    with progress.show_on(heard), later(0.7, empty.scale, 1):
        assert worker_memory_bytes(client) == GIB
    assert len(heard.said) == 1
    empty.scale(0)
    while client.nthreads():
        time.sleep(0.05)
    with progress.show_on(heard), later(0.7, empty.scale, 1):
        assert not has_gpus(client)
    assert len(heard.said) == 2


def test_waiting_for_a_worker_ends_at_an_interrupt(client):
    with later(1, os.kill, os.getpid(), signal.SIGINT), pytest.raises(KeyboardInterrupt):
        worker_memory_bytes(client)


def test_a_worker_that_is_too_small_and_comes_late_is_refused_by_name(
    empty, client, ledger, tmp_path
):
    empty.scale(1)
    check_budget("embed", GIB // 2, client, "give workers more memory")
    units = [Unit(f"u{number}", "a", 0.2) for number in range(300)]
    told = r"embed needs about 0\.5 GiB a worker thread, but worker tcp://.* has 0\.2 GiB; give"
    small = worker(empty.scheduler_address, tmp_path, "--memory-limit", "200MiB")
    with small, pytest.raises(MemoryBudgetError, match=told):
        run_units(_sleep, units, ledger=ledger, client=client, label="embed")


def test_a_need_ends_with_its_output(cluster):
    budget._NEEDS.pop(cluster, None)
    assert find_need(cluster, "a") is None
    check_budget("embed", 1, cluster, "")
    need = find_need(cluster, "a")
    assert need is not None
    assert find_need(cluster, "a") == need
    assert find_need(cluster, "b") is None
    assert find_need(cluster, "a") is None


# ── other code ──────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def other_code(tmp_path, request) -> Path:
    """Make a copy of hcs that differs in one letter, or a place where there is none."""
    folder = tmp_path / "other"
    if request.param == "changed":
        shutil.copytree(REPOSITORY / "hcs", folder / "hcs")
        with (folder / "hcs" / "ops" / "__init__.py").open("a") as stream:
            stream.write("#")
    elif request.param == "older":
        shutil.copytree(REPOSITORY / "hcs", folder / "hcs")
        (folder / "hcs" / "compute" / "identity.py").unlink()
    else:
        (folder / "hcs").mkdir(parents=True)
        (folder / "hcs" / "__init__.py").write_text("raise ImportError('no hcs here')")
    return folder


OTHERS = pytest.mark.parametrize(
    ("other_code", "told"),
    [
        pytest.param(
            "changed", r"worker tcp://.* runs another hcs: .*\(code .*install", id="changed"
        ),
        pytest.param("older", r"worker tcp://.* has no hcs, or another one.*install", id="older"),
        pytest.param("none", r"worker tcp://.* has no hcs, or another one.*install", id="none"),
    ],
    indirect=["other_code"],
)


@OTHERS
def test_a_worker_with_other_code_is_refused_when_a_client_opens(
    empty, client, tmp_path, other_code, told
):
    with worker(empty.scheduler_address, tmp_path, code=other_code):
        client.wait_for_workers(1, timeout=60)
        existing = ExistingCluster(address=empty.scheduler_address)
        with pytest.raises(VersionError, match=told), open_client(existing):
            pass


@OTHERS
def test_a_worker_with_other_code_is_refused_when_it_comes_late(
    empty, client, ledger, tmp_path, other_code, told
):
    empty.scale(1)
    client.wait_for_workers(1, timeout=60)
    units = [Unit(f"u{number}", "a", 0.2) for number in range(300)]
    with (
        worker(empty.scheduler_address, tmp_path, code=other_code),
        pytest.raises(VersionError, match=told),
    ):
        run_units(_sleep, units, ledger=ledger, client=client, label="sleep")


def test_a_task_carries_the_code_of_its_command(cluster, ledger):
    terms = _Terms(Identity("0.0.9", "0a" * 32, ()), None)
    units = [Unit("u", "a", 0.0)]
    done = cluster.submit(_attempt, Work(_sleep, ledger), units, terms, pure=False).result()
    with pytest.raises(VersionError, match=rf"{hcs.__version__} \(code .* 0\.0\.9 \(code 0a0a"):
        raise done.error
    assert ledger.read("u") is None


def test_other_packages_are_warned_of(empty, client, tmp_path, caplog):
    other = tmp_path / "other" / "numpy-0.1.dist-info"
    other.mkdir(parents=True)
    (other / "METADATA").write_text("Metadata-Version: 2.1\nName: numpy\nVersion: 0.1\n")
    with worker(empty.scheduler_address, tmp_path, code=other.parent):
        client.wait_for_workers(1, timeout=60)
        for _ in range(2):
            check_workers(client, client.nthreads())
    assert caplog.text.count("has numpy 0.1 (here") == 1


def test_the_code_is_known_by_every_name_and_letter(tmp_path):
    found = set()
    (tmp_path / "deep").mkdir()
    for name, text in [("a.py", "x"), ("b.py", "x"), ("deep/a.py", "y"), ("deep/a.py", "z")]:
        (tmp_path / name).write_text(text)
        found.add(hash_source(tmp_path))
    (tmp_path / "notes.txt").write_text("x")
    assert len(found) == 4
    assert hash_source(tmp_path) in found


# ── the end ─────────────────────────────────────────────────────────────────────────────────────


def named(folder: Path, prefix: str) -> list[str]:
    return sorted(path.name.removeprefix(prefix) for path in folder.glob(f"{prefix}*"))


@pytest.mark.parametrize("why", ["failed", "interrupted"])
def test_nothing_is_written_after_a_run_has_ended(cluster, ledger, tmp_path, why):
    folder = tmp_path / "written"
    folder.mkdir()
    first = 0 if why == "failed" else 1
    units = [Unit(f"u{number}", "a", (str(folder), number)) for number in range(first, 12)]
    interrupt = later(1, os.kill, os.getpid(), signal.SIGINT)
    error = WorkerError if why == "failed" else KeyboardInterrupt
    heard = Heard()
    with progress.show_on(heard), interrupt if first else nullcontext(), pytest.raises(error):
        run_units(_write_slowly, units, ledger=ledger, client=cluster, label="write")
    begun = named(folder, "begun")
    assert 0 < len(begun) < 11
    assert named(folder, "ended") == begun
    time.sleep(2.5)
    assert named(folder, "begun") == begun
    assert "running tasks to end" in heard.said[-1]


def test_a_scheduler_that_is_gone_is_said(ledger, tmp_path):
    address = f"tcp://127.0.0.1:{find_port()}"
    command = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--no-dashboard"]
    command += ["--host", "127.0.0.1", "--port", address.rpartition(":")[2]]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, cwd=tmp_path, **quiet) as scheduler:
        Client(address, timeout="60s").close()
        with worker(address, tmp_path), open_client(ExistingCluster(address=address)) as client:
            units = [Unit(f"u{number}", "a", 0.1) for number in range(900)]
            with later(3, scheduler.kill), pytest.raises(WorkerError, match="the same command"):
                run_units(_sleep, units, ledger=ledger, client=client, label="sleep")
